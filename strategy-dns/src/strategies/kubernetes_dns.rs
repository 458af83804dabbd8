//! The strategy `kubernetes_dns`: a node for each pod of a headless Service, by address.

use cluster_sdk::{ConfigError, Context, LocalNode, Result, Strategy};

use crate::{
    basename::Basename,
    domain::Domain,
    naming::{Family, Naming},
    options::dns_options,
    poll::Poll,
};

/// The strategy `kubernetes_dns`.
#[derive(Debug)]
pub struct KubernetesDns;

dns_options! {
    /// Options of the `kubernetes_dns` strategy, which is libcluster's `Kubernetes.DNS`: a node for each pod of a headless
    /// Service (`clusterIP: None`), named `application_name@ADDRESS`. It needs no rights in Kubernetes. A name that cannot be
    /// looked up takes nobody down: what was known stands and the topology is degraded.
    pub struct KubernetesDnsConfig {
        /// The headless Service: "app-headless" in the pod's own namespace, "app-headless.other" in another one, or its whole
        /// name with a full stop at the end.
        pub service: Domain,
        /// The part of the nodes' names before the `@`, the same for all, as "app": they are started as `app@` and the address of
        /// their pod.
        pub application_name: Basename,
        /// Which addresses: "ipv4" (A records), "ipv6" (AAAA records) or "both". Default "ipv4", as in libcluster, which has
        /// nothing else. With "both" each pod of a dual-stack Service has two names, of which its node goes by one.
        #[serde(default = "default_family")]
        pub family: Family,
    }
}

fn default_family() -> Family {
    Family::Ipv4
}

// === impl KubernetesDns ===

impl Strategy for KubernetesDns {
    const NAME: &'static str = "kubernetes_dns";
    type Config = KubernetesDnsConfig;

    fn validate(config: &KubernetesDnsConfig, _: &LocalNode) -> Vec<ConfigError> {
        config.common().errors()
    }

    async fn run(config: KubernetesDnsConfig, ctx: Context) -> Result<()> {
        let poll = Poll {
            names: vec![config.service.name().clone()],
            system: config.common().system(),
            schedule: config.common().schedule(),
            naming: Naming::Addresses(config.application_name, config.family),
        };
        poll.run(&ctx).await
    }
}
