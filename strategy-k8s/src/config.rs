//! The options of the `kubernetes` strategy.

use std::{
    borrow::Cow,
    net::IpAddr,
    path::{Path, PathBuf},
};

use cluster_sdk::{
    ConfigDuration, ConfigError, LocalNode,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};

use crate::endpoint::Family;

/// Namespaces that one topology may name.
pub const NAMESPACES_MAX: usize = 64;
/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Polling faster than this is a burden on the API server, and a watch is faster still.
const POLLING_INTERVAL_MIN: ConfigDuration = ConfigDuration::from_millis(500);

/// Options of the `kubernetes` strategy: the nodes are the pods behind the Services, or the pods themselves, that a label
/// selector picks, told by the Kubernetes API. What changes there is watched, so it arrives within milliseconds; libcluster
/// polls. Options named `kubernetes_…`, `mode` and `polling_interval` are libcluster's and give the same names of nodes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
pub struct KubernetesConfig {
    /// What stands before the `@` in the names of nodes: "myapp" gives `myapp@10.1.2.3`. Required.
    pub kubernetes_node_basename: String,
    /// Label selector, as "app=myapp,tier in (web,api)": of the EndpointSlices, which carry the labels of their Service, or of
    /// the pods where `kubernetes_ip_lookup_mode` is "pods". Required unless `kubernetes_service_name` is given, which then
    /// picks the EndpointSlices of that one Service.
    #[serde(default)]
    pub kubernetes_selector: Option<String>,
    /// The namespace, or a list of them, at most 64; "*" for all, which takes a ClusterRole. Default: that of the service
    /// account (or of the kubeconfig's context). libcluster takes one.
    #[serde(default)]
    pub kubernetes_namespace: Option<Namespaces>,
    /// The headless Service that gives the pods their host names: part of the names with `mode` "hostname", and there
    /// required.
    #[serde(default)]
    pub kubernetes_service_name: Option<String>,
    /// The folder with the service account's `token`, `ca.crt` and `namespace`. Default
    /// "/var/run/secrets/kubernetes.io/serviceaccount". The token is read anew for each request.
    #[serde(default = "service_account")]
    pub kubernetes_service_account_path: PathBuf,
    /// The API server: `kubernetes.default.svc`, `10.0.0.1:6443`, `https://api.example:6443`. As in libcluster the cluster's
    /// domain is added to a name without port, unless it ends with it or with a full stop. Default: what
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` say, which each pod has; else "kubernetes.default.svc".
    #[serde(default)]
    pub kubernetes_master: Option<String>,
    /// The cluster's domain is this and ".local". Default "cluster". The environment variable `CLUSTER_DOMAIN` goes before
    /// it, in the names of nodes too, where libcluster forgets it.
    #[serde(default)]
    pub kubernetes_cluster_name: Option<String>,
    /// Where addresses are looked up: "endpoints", of Services (EndpointSlices, or Endpoints where the server or our rights
    /// do not allow for them), or "pods". Default "endpoints".
    #[serde(default)]
    pub kubernetes_ip_lookup_mode: LookupMode,
    /// Whether the first list may come from the API server's cache, which is cheaper for it and may be older. Default false.
    #[serde(default)]
    pub kubernetes_use_cached_resources: bool,
    /// What stands behind the `@`: "ip", "dns" (`10-1-2-3.NAMESPACE.pod.cluster.local`) or "hostname"
    /// (`HOSTNAME.SERVICE.NAMESPACE.svc.cluster.local`, for a StatefulSet: a pod without host name is left out). Default "ip".
    #[serde(default)]
    pub mode: Mode,
    /// Time between two lists where it polls, as "5s" or in milliseconds; default 5s, at least 500ms. It polls only with
    /// `poll`, or while it may list but not watch; a watch needs none.
    #[serde(default = "polling_interval")]
    pub polling_interval: ConfigDuration,

    /// Polls, as libcluster does, in place of the watch. Default false. Not in libcluster.
    #[serde(default)]
    pub poll: bool,
    /// Which pods count: "ready" (that the Service publishes as ready), "serving" (that pass their readiness probe, whatever
    /// the Service publishes), "all". One that terminates is leaving while it serves (with "all" as long as it is there).
    /// Default "ready"; "all" with `kubernetes_ip_lookup_mode` "pods", as in libcluster, but without those that have ended.
    #[serde(default)]
    pub include: Option<Include>,
    /// What becomes of a pod that terminates: "leaving" (its links stay, and are not made anew) or "drop" (it is cut at
    /// once). Default "leaving". Not in libcluster, whose Endpoints drop it.
    #[serde(default)]
    pub terminating: Terminating,
    /// Of pods that have both, "ipv4" or "ipv6". Default "ipv4". A pod that has but one is taken with it.
    #[serde(default)]
    pub prefer: Family,
    /// Field selector, as "metadata.name=myapp-abc", or for pods "spec.nodeName!=node-7". Not in libcluster.
    #[serde(default)]
    pub field_selector: Option<String>,
    /// The cluster's domain, before `CLUSTER_DOMAIN` and `kubernetes_cluster_name`. Not in libcluster.
    #[serde(default)]
    pub cluster_domain: Option<String>,
    /// A kubeconfig file, in place of the service account: outside of the cluster. Not in libcluster.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context. Default: its current one. Not in libcluster.
    #[serde(default)]
    pub context: Option<String>,
    /// Certificates that the API server's is checked against, in PEM. Default: `ca.crt` of the service account, or what the
    /// kubeconfig says. Not in libcluster.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Goes by this proxy, as `http://proxy.example:3128`. Default: none (with a kubeconfig what it says). The environment's
    /// `HTTPS_PROXY` is not heeded; `"${HTTPS_PROXY}"` here is. Not in libcluster.
    #[serde(default)]
    pub proxy_url: Option<String>,
    /// Trusts whoever answers, and lets "http://" be an API server: whoever is on the way can read the token and say who is
    /// in the cluster. Default false. libcluster does so where `ca.crt` is missing.
    #[serde(default)]
    pub insecure_skip_tls_verify: bool,
    /// The pod that this runs in, to be told from the others where its node has another name than it would get. Default: the
    /// environment variable `POD_NAME`, else `HOSTNAME`. Not in libcluster.
    #[serde(default)]
    pub pod_name: Option<String>,
    /// The address of the pod that this runs in, likewise. Default: the environment variable `POD_IP`. Not in libcluster.
    #[serde(default)]
    pub pod_ip: Option<IpAddr>,
}

/// Where addresses are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "cluster_sdk::schemars")]
pub enum LookupMode {
    /// The endpoints of Services.
    #[default]
    Endpoints,
    /// The pods themselves.
    Pods,
}

/// What the host part of a node's name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "cluster_sdk::schemars")]
pub enum Mode {
    /// The address.
    #[default]
    Ip,
    /// The pod's DNS name, made of its address.
    Dns,
    /// The pod's host name below its Service.
    Hostname,
}

/// Which pods count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "cluster_sdk::schemars")]
pub enum Include {
    /// Those that the Service publishes as ready.
    Ready,
    /// Those that pass their readiness probe.
    Serving,
    /// All that have not ended.
    All,
}

/// What becomes of a pod that terminates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "cluster_sdk::schemars")]
pub enum Terminating {
    /// Its links stay, and are not made anew.
    #[default]
    Leaving,
    /// It is gone at once.
    Drop,
}

/// The namespaces of a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// `"*"`.
    All,
    /// By name, each once.
    These(Vec<String>),
}

fn service_account() -> PathBuf {
    SERVICE_ACCOUNT.into()
}

fn polling_interval() -> ConfigDuration {
    ConfigDuration::from_secs(5)
}

// === impl KubernetesConfig ===

impl KubernetesConfig {
    /// Everything that is wrong beyond types.
    pub(crate) fn errors(&self, _local: &LocalNode) -> Vec<ConfigError> {
        let mut errors = self.name_errors();
        let mut error = |path: &str, message: &str| errors.push(ConfigError::new(path, message));
        let empty = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        match (&self.kubernetes_selector, &self.kubernetes_service_name) {
            (None, None) => error(
                "kubernetes_selector",
                "missing: which EndpointSlices or pods are meant, as \"app=myapp\"; or give kubernetes_service_name",
            ),
            (None, Some(_)) if self.kubernetes_ip_lookup_mode == LookupMode::Pods => {
                error("kubernetes_selector", "missing: which pods are meant, as \"app=myapp\"");
            }
            (Some(_), _) if empty(&self.kubernetes_selector) => error(
                "kubernetes_selector",
                "is empty, which would pick everything in the namespace: write a label, as \"app=myapp\"",
            ),
            (None | Some(_), None | Some(_)) => {}
        }
        if self.polling_interval < POLLING_INTERVAL_MIN {
            let interval = self.polling_interval;
            let message = format!(
                "{interval} is too short: at least {POLLING_INTERVAL_MIN}; without poll nothing is polled"
            );
            error("polling_interval", &message);
        }
        if self.kubeconfig.is_some() && self.kubernetes_master.is_some() {
            error(
                "kubernetes_master",
                "has no effect beside kubeconfig, which names the server: leave one of them out",
            );
        }
        if self.context.is_some() && self.kubeconfig.is_none() {
            error("context", "is a context of a kubeconfig: give kubeconfig too");
        }
        if self.insecure_skip_tls_verify && self.ca_file.is_some() {
            error("insecure_skip_tls_verify", "leaves ca_file without effect: leave one of them out");
        }
        errors.extend(self.url_errors());
        errors
    }

    /// What would make no names of nodes.
    fn name_errors(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let basename = &self.kubernetes_node_basename;
        if basename.is_empty() || basename.contains('@') || basename.chars().any(char::is_whitespace) {
            let message = format!(
                "{basename:?} is no first part of a node's name: write what stands before the @, as \"myapp\""
            );
            errors.push(ConfigError::new("kubernetes_node_basename", message));
        }
        if self.mode == Mode::Hostname && self.kubernetes_service_name.as_deref().is_none_or(str::is_empty) {
            let message =
                "missing: with mode = \"hostname\" it is part of the names, and the pods' `subdomain`";
            errors.push(ConfigError::new("kubernetes_service_name", message));
        }
        if self.cluster_domain.is_some() && self.kubernetes_cluster_name.is_some() {
            let message = "has no effect beside cluster_domain: leave one of them out";
            errors.push(ConfigError::new("kubernetes_cluster_name", message));
        }
        errors
    }

    fn url_errors(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        if let Some(master) = &self.kubernetes_master {
            if master.starts_with("http://") && !self.insecure_skip_tls_verify {
                let message = "is without TLS: the token could be read on the way. Write https://, or set \
                               insecure_skip_tls_verify = true";
                errors.push(ConfigError::new("kubernetes_master", message));
            } else if let Err(err) = crate::access::server_url(master, "cluster.local") {
                errors.push(ConfigError::new("kubernetes_master", err.to_string()));
            }
        }
        if let Some(proxy) = &self.proxy_url
            && crate::access::proxy(proxy).is_err()
        {
            // It may have a password in it, so it is not shown.
            let message = "is no URL of a proxy: write http://host:port";
            errors.push(ConfigError::new("proxy_url", message));
        }
        errors
    }

    /// Which pods count.
    pub(crate) fn include(&self) -> Include {
        self.include.unwrap_or(match self.kubernetes_ip_lookup_mode {
            LookupMode::Endpoints => Include::Ready,
            LookupMode::Pods => Include::All,
        })
    }

    /// The label selector that is sent.
    pub(crate) fn selector(&self) -> Option<Cow<'_, str>> {
        match (&self.kubernetes_selector, &self.kubernetes_service_name) {
            (Some(selector), _) => Some(Cow::Borrowed(selector)),
            (None, Some(service)) => Some(Cow::Owned(format!("kubernetes.io/service-name={service}"))),
            (None, None) => None,
        }
    }

    /// The cluster's domain, without the full stop at its end.
    pub(crate) fn domain(&self, environment: Option<&str>) -> String {
        let domain =
            self.cluster_domain.as_deref().or_else(|| environment.filter(|domain| !domain.is_empty()));
        let name = || self.kubernetes_cluster_name.as_deref().unwrap_or("cluster");
        domain.map_or_else(|| format!("{}.local", name()), |domain| domain.trim_matches('.').to_owned())
    }

    /// A file of the service account.
    pub(crate) fn service_account(&self, file: &str) -> PathBuf {
        Path::new(&self.kubernetes_service_account_path).join(file)
    }
}

// === impl Namespaces ===

impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            crate = "cluster_sdk::serde",
            untagged,
            expecting = "a namespace, a list of namespaces, or \"*\""
        )]
        enum Written {
            One(String),
            Many(Vec<String>),
        }
        let mut names = match Written::deserialize(deserializer)? {
            Written::One(all) if all == "*" => return Ok(Self::All),
            Written::One(name) => vec![name],
            Written::Many(names) => names,
        };
        let is_name = |name: &String| {
            let label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=63).contains(&name.len()) && name.bytes().all(label)
        };
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            let message =
                format!("{name:?} is no namespace: lower case letters, digits and -, or \"*\" alone for all");
            return Err(de::Error::custom(message));
        }
        names.sort();
        names.dedup();
        if names.is_empty() || names.len() > NAMESPACES_MAX {
            let message = format!("{} namespaces: 1 to {NAMESPACES_MAX}, or \"*\" for all", names.len());
            return Err(de::Error::custom(message));
        }
        Ok(Self::These(names))
    }
}

impl JsonSchema for Namespaces {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Namespaces".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

#[cfg(test)]
mod tests;
