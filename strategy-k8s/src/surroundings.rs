//! What the environment says: read once, at the start.

use std::{env, net::IpAddr};

use crate::config::KubernetesConfig;

/// The variables of the environment that count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// `CLUSTER_DOMAIN`.
    pub(crate) cluster_domain: Option<String>,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, which each pod has.
    pub(crate) api_server: Option<String>,
    /// `POD_NAME`, else `HOSTNAME`.
    pub(crate) pod_name: Option<String>,
    /// `POD_IP`.
    pub(crate) pod_ip: Option<IpAddr>,
}

impl Surroundings {
    pub(crate) fn of_this_process() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let host = set("KUBERNETES_SERVICE_HOST").map(|host| match host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            Ok(IpAddr::V4(_)) | Err(_) => host,
        });
        Self {
            cluster_domain: set("CLUSTER_DOMAIN"),
            api_server: host.map(|host| {
                let port = set("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
                format!("{host}:{port}")
            }),
            pod_name: set("POD_NAME").or_else(|| set("HOSTNAME")),
            pod_ip: set("POD_IP").and_then(|address| address.parse().ok()),
        }
    }

    pub(crate) fn pod_name(&self, config: &KubernetesConfig) -> Option<String> {
        config.pod_name.clone().or_else(|| self.pod_name.clone())
    }

    pub(crate) fn pod_ip(&self, config: &KubernetesConfig) -> Option<IpAddr> {
        config.pod_ip.or(self.pod_ip)
    }
}
