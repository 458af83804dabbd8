//! EndpointSlices: the pods behind a Service, up to a hundred in each.

use std::sync::Arc;

use serde::Deserialize;

use super::{Object, meta::Meta, resource};
use crate::endpoint::{Condition, Endpoint, Family, PodRef};

/// The label that says which Service a slice is of.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// `discovery.k8s.io/v1` EndpointSlice.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointSlice {
    #[serde(default)]
    pub(super) metadata: Meta,
    #[serde(default)]
    address_type: String,
    #[serde(default)]
    endpoints: Option<Vec<SliceEndpoint>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SliceEndpoint {
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Option<Conditions>,
    hostname: Option<String>,
    target_ref: Option<TargetRef>,
    node_name: Option<String>,
    zone: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

/// What an endpoint stands for.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TargetRef {
    #[serde(default)]
    kind: String,
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    uid: String,
}

resource!(EndpointSlice, "EndpointSlice", "discovery.k8s.io", "endpointslices");

impl Object for EndpointSlice {
    const PLURAL: &'static str = "endpointslices";
    const GROUP: &'static str = "discovery.k8s.io";
    /// Each has up to 100 endpoints, where the cluster does not say otherwise.
    const PAGE: u32 = 20;

    fn into_endpoints(self, _prefer: Family) -> Vec<Endpoint> {
        let namespace: Arc<str> = self.metadata.object.namespace.unwrap_or_default().into();
        self.endpoints.into_iter().flatten().filter_map(|endpoint| endpoint.read(&namespace)).collect()
    }

    fn service(&self) -> Option<(&str, Family)> {
        let service = self.metadata.object.labels.as_ref()?.get(SERVICE_NAME)?;
        let family = match self.address_type.as_str() {
            "IPv4" => Family::Ipv4,
            "IPv6" => Family::Ipv6,
            _names => return None,
        };
        Some((service, family))
    }
}

// === impl SliceEndpoint ===

impl SliceEndpoint {
    /// Of several addresses, which all lead to the same, the first is meant to be used.
    fn read(self, namespace: &Arc<str>) -> Option<Endpoint> {
        let conditions = self.conditions.unwrap_or_default();
        let (pod, namespace) = pod_of(self.target_ref, namespace);
        Some(Endpoint {
            address: self.addresses.into_iter().next()?,
            condition: Condition::new(conditions.ready, conditions.serving, conditions.terminating),
            hostname: self.hostname.filter(|hostname| !hostname.is_empty()),
            namespace,
            pod,
            machine: self.node_name,
            zone: self.zone,
            labels: Vec::new(),
        })
    }
}

/// The pod behind an address, and its namespace. What somebody wrote by hand has none, and is where its object is.
pub(super) fn pod_of(target: Option<TargetRef>, namespace: &Arc<str>) -> (Option<PodRef>, Arc<str>) {
    let Some(target) = target else {
        return (None, Arc::clone(namespace));
    };
    let elsewhere = target.namespace.as_deref().filter(|other| **other != **namespace && !other.is_empty());
    let namespace = elsewhere.map_or_else(|| Arc::clone(namespace), Into::into);
    let name = target.name.filter(|_| target.kind == "Pod");
    (name.map(|name| PodRef { name, uid: target.uid }), namespace)
}
