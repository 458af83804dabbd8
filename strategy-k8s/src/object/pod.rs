//! Pods themselves, for those who have no Service.

use serde::Deserialize;

use super::{Object, meta::Meta, resource};
use crate::endpoint::{Condition, Endpoint, Family, PodRef};

/// The label that a pod is given with its machine's zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// `v1` Pod.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pod {
    #[serde(default)]
    pub(super) metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    hostname: Option<String>,
    node_name: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    phase: String,
    // The API's spelling.
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs", default)]
    pod_ips: Vec<PodIp>,
    #[serde(default)]
    conditions: Vec<PodCondition>,
}

#[derive(Debug, Clone, Deserialize)]
struct PodIp {
    ip: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct PodCondition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: String,
}

resource!(Pod, "Pod", "", "pods");

impl Object for Pod {
    const PLURAL: &'static str = "pods";
    const GROUP: &'static str = "";
    /// As other clients ask for.
    const PAGE: u32 = 500;

    /// One that has ended keeps its address, which may be another's by now.
    fn into_endpoints(self, prefer: Family) -> Vec<Endpoint> {
        if matches!(self.status.phase.as_str(), "Succeeded" | "Failed") {
            return Vec::new();
        }
        let address = self.address(prefer).map(str::to_owned);
        address.map(|address| self.into_endpoint(address)).into_iter().collect()
    }
}

impl Pod {
    fn address(&self, prefer: Family) -> Option<&str> {
        let mut addresses =
            self.status.pod_ips.iter().filter_map(|ip| ip.ip.as_deref()).filter(|ip| !ip.is_empty());
        let preferred = addresses.clone().find(|address| Family::of(address) == Some(prefer));
        let main = self.status.pod_ip.as_deref().filter(|ip| !ip.is_empty());
        preferred.or(main).or_else(|| addresses.next())
    }

    fn into_endpoint(self, address: String) -> Endpoint {
        let Self { metadata, spec, status } = self;
        let is_ready =
            status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True");
        let labels = metadata.object.labels.unwrap_or_default();
        let uid = metadata.object.uid.unwrap_or_default();
        Endpoint {
            address,
            condition: Condition::new(Some(is_ready), None, Some(metadata.is_terminating)),
            hostname: spec.hostname.filter(|hostname| !hostname.is_empty()),
            namespace: metadata.object.namespace.unwrap_or_default().into(),
            pod: metadata.object.name.map(|name| PodRef { name, uid }),
            machine: spec.node_name,
            zone: labels.get(ZONE).cloned(),
            labels: labels.into_iter().collect(),
        }
    }
}
