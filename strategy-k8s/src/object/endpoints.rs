//! Endpoints: what Services had before EndpointSlices. Deprecated since Kubernetes 1.33; cut off at 1,000 addresses.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    Object,
    meta::Meta,
    resource,
    slice::{TargetRef, pod_of},
};
use crate::endpoint::{Condition, Endpoint, Family};

/// The annotation of one that has no room for all addresses.
pub(super) const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// `v1` Endpoints.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Endpoints {
    #[serde(default)]
    pub(super) metadata: Meta,
    #[serde(default)]
    subsets: Option<Vec<Subset>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subset {
    #[serde(default)]
    addresses: Option<Vec<Address>>,
    #[serde(default)]
    not_ready_addresses: Option<Vec<Address>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    ip: String,
    hostname: Option<String>,
    target_ref: Option<TargetRef>,
    node_name: Option<String>,
}

resource!(Endpoints, "Endpoints", "", "endpoints");

impl Object for Endpoints {
    const PLURAL: &'static str = "endpoints";
    const GROUP: &'static str = "";
    /// Each has up to 1,000 addresses.
    const PAGE: u32 = 10;

    /// An address that has several ports is in several subsets; ready in one is ready.
    fn into_endpoints(self, _prefer: Family) -> Vec<Endpoint> {
        let namespace: Arc<str> = self.metadata.object.namespace.unwrap_or_default().into();
        let read = |(addresses, is_ready): (Option<Vec<Address>>, bool)| {
            let addresses = addresses.into_iter().flatten();
            addresses.map(|address| address.read(is_ready, &namespace)).collect::<Vec<_>>()
        };
        let both = |subset: Subset| [(subset.addresses, true), (subset.not_ready_addresses, false)];
        let mut endpoints: Vec<Endpoint> =
            self.subsets.into_iter().flatten().flat_map(both).flat_map(read).collect();
        endpoints.sort_by(|a, b| (&a.address, b.condition.ready).cmp(&(&b.address, a.condition.ready)));
        endpoints.dedup_by(|later, earlier| later.address == earlier.address);
        endpoints
    }

    fn is_truncated(&self) -> bool {
        let annotations = self.metadata.object.annotations.as_ref();
        annotations
            .and_then(|annotations| annotations.get(OVER_CAPACITY))
            .is_some_and(|word| word == "truncated")
    }
}

impl Address {
    /// Those that terminate are not told from others: they are not ready, or gone.
    fn read(self, is_ready: bool, namespace: &Arc<str>) -> Endpoint {
        let (pod, namespace) = pod_of(self.target_ref, namespace);
        Endpoint {
            address: self.ip,
            condition: Condition::new(Some(is_ready), None, None),
            hostname: self.hostname.filter(|hostname| !hostname.is_empty()),
            namespace,
            pod,
            machine: self.node_name,
            zone: None,
            labels: Vec::new(),
        }
    }
}
