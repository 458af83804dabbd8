//! The strategy `kubernetes_dns_srv`: a node for each pod of a headless Service, by host name.

use cluster_sdk::{ConfigError, Context, LocalNode, Result, Strategy};

use crate::{
    basename::Basename,
    domain::{Domain, DomainError},
    naming::Naming,
    options::dns_options,
    poll::Poll,
};

/// The strategy `kubernetes_dns_srv`.
#[derive(Debug)]
pub struct KubernetesDnsSrv;

dns_options! {
    /// Options of the `kubernetes_dns_srv` strategy, which is libcluster's `Kubernetes.DNSSRV`: a node for each pod of a
    /// `StatefulSet` with a headless Service, named `application_name@POD.service.namespace.svc.cluster.local`, which stays when
    /// the pod gets another address. The Service needs at least one port. It needs no rights in Kubernetes. A name that cannot
    /// be looked up takes nobody down: what was known stands and the topology is degraded.
    pub struct KubernetesDnsSrvConfig {
        /// The headless Service that the `StatefulSet` has as its `serviceName`, as "app-headless".
        pub service: Domain,
        /// The namespace of the Service, as "prod".
        pub namespace: Domain,
        /// The part of the nodes' names before the `@`, the same for all, as "app": they are started as `app@` and what
        /// `hostname -f` gives in their pod.
        pub application_name: Basename,
        /// The domain of the cluster, as "cluster.local". Default: the environment variable `CLUSTER_DOMAIN`, as in libcluster,
        /// else "cluster.local". The option is not in libcluster.
        #[serde(default)]
        pub cluster_domain: Option<Domain>,
    }
}

// === impl KubernetesDnsSrvConfig ===

impl KubernetesDnsSrvConfig {
    /// The name to look up, `environment` being what `CLUSTER_DOMAIN` is. SRV records of all ports are there.
    fn lookup_name(&self, environment: Option<String>) -> Result<Domain, DomainError> {
        let option = self.cluster_domain.as_ref().map(ToString::to_string);
        let domain = option.or_else(|| environment.filter(|domain| !domain.is_empty()));
        let domain = domain.as_deref().unwrap_or("cluster.local");
        let [service, namespace] = [&self.service, &self.namespace].map(ToString::to_string);
        let parts = [service.as_str(), namespace.as_str(), "svc", domain].map(|part| part.trim_matches('.'));
        format!("{}.", parts.join(".")).parse()
    }
}

// === impl KubernetesDnsSrv ===

impl Strategy for KubernetesDnsSrv {
    const NAME: &'static str = "kubernetes_dns_srv";
    type Config = KubernetesDnsSrvConfig;

    fn validate(config: &KubernetesDnsSrvConfig, _: &LocalNode) -> Vec<ConfigError> {
        let mut errors = config.common().errors();
        if let Err(err) = config.lookup_name(environment()) {
            errors.push(ConfigError::new("", format!("the name to look up {err}")));
        }
        errors
    }

    async fn run(config: KubernetesDnsSrvConfig, ctx: Context) -> Result<()> {
        let poll = Poll {
            names: vec![config.lookup_name(environment())?.name().clone()],
            system: config.common().system(),
            schedule: config.common().schedule(),
            naming: Naming::Targets(config.application_name),
        };
        poll.run(&ctx).await
    }
}

fn environment() -> Option<String> {
    std::env::var("CLUSTER_DOMAIN").ok()
}

#[cfg(test)]
mod tests {
    use cluster_sdk::{config, serde_json::json};

    use super::*;

    #[track_caller]
    fn check(cluster_domain: Option<&str>, environment: Option<&str>, expected: &str) {
        let mut options = json!({ "service": "app", "namespace": "prod", "application_name": "shop" });
        if let Some(domain) = cluster_domain {
            options["cluster_domain"] = domain.into();
        }
        let config: KubernetesDnsSrvConfig = config::parse(options).unwrap();
        assert_eq!(config.lookup_name(environment.map(str::to_owned)).unwrap().to_string(), expected);
    }

    /// The option counts more than the environment, and that more than the default; full stops at ends do not matter.
    #[test]
    fn domains() {
        check(None, None, "app.prod.svc.cluster.local.");
        check(None, Some(""), "app.prod.svc.cluster.local.");
        check(None, Some("k8s.example."), "app.prod.svc.k8s.example.");
        check(Some("here.example"), Some("k8s.example"), "app.prod.svc.here.example.");
        check(Some("here.example."), None, "app.prod.svc.here.example.");
    }

    /// What gets too long together is refused.
    #[test]
    fn too_long() {
        let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join(".");
        let options = json!({ "service": "app", "namespace": "prod", "application_name": "shop", "cluster_domain": long });
        let config: KubernetesDnsSrvConfig = config::parse(options).unwrap();
        let errors = KubernetesDnsSrv::validate(&config, &LocalNode::default());
        assert!(errors[0].to_string().contains("253 in all"), "{errors:?}");
    }
}
