//! What one object says of one pod, as far as that counts here. Of 5,000 pods nothing else is kept.

use cluster_sdk::Node;

use crate::{
    endpoint::{Condition, Endpoint, Family},
    naming::Nameless,
    policy::Policy,
};

/// Labels of one pod that become attributes; the rest is left out.
const LABELS_MAX: usize = 64;

/// A pod, as one object names it.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub(crate) condition: Condition,
    /// None where its address is a DNS name.
    pub(crate) family: Option<Family>,
    /// It is the pod that this runs in.
    pub(crate) is_own: bool,
    /// What it is in the topology while it does not end, if it has a name.
    pub(crate) node: Result<Node, Nameless>,
}

impl Sighting {
    pub(crate) fn new(endpoint: &Endpoint, policy: &Policy) -> Self {
        Self {
            condition: endpoint.condition,
            family: Family::of(&endpoint.address),
            is_own: policy.own.is(endpoint),
            node: policy.naming.name(endpoint).map(|name| describe(Node::new(name), endpoint)),
        }
    }
}

fn describe(node: Node, endpoint: &Endpoint) -> Node {
    let labels: Vec<_> = endpoint.labels.iter().take(LABELS_MAX).collect();
    let keys: Vec<_> = labels.iter().map(|(key, _)| format!("label/{key}")).collect();
    let labels = keys.iter().zip(&labels).map(|(key, (_, value))| (key.as_str(), value.as_str()));
    let known = [
        ("namespace", Some(&*endpoint.namespace)),
        ("pod", endpoint.pod.as_ref().map(|pod| pod.name.as_str())),
        ("node", endpoint.machine.as_deref()),
        ("zone", endpoint.zone.as_deref()),
    ];
    let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
    node.address(&endpoint.address).with_attributes(known.chain(labels))
}
