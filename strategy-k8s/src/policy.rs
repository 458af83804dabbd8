//! What becomes a node and how, as the config and the surroundings have it.

use std::net::IpAddr;

use cluster_sdk::NodeName;

use crate::{
    config::{Include, KubernetesConfig, Terminating},
    endpoint::{Endpoint, Family},
    naming::Naming,
    surroundings::Surroundings,
};

/// What becomes a node, and how.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) naming: Naming,
    pub(crate) include: Include,
    pub(crate) terminating: Terminating,
    pub(crate) prefer: Family,
    pub(crate) own: Own,
}

/// The pod that this runs in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// Its node's name, as the host knows it.
    pub(crate) node: Option<NodeName>,
    pub(crate) namespace: Option<String>,
    pub(crate) pod: Option<String>,
    pub(crate) address: Option<IpAddr>,
}

// === impl Policy ===

impl Policy {
    pub(crate) fn new(config: &KubernetesConfig, around: &Surroundings, own: Own) -> Self {
        let domain = config.domain(around.cluster_domain.as_deref());
        let naming = Naming {
            basename: config.kubernetes_node_basename.as_str().into(),
            mode: config.mode,
            service: config.kubernetes_service_name.as_deref().unwrap_or_default().into(),
            domain: domain.into(),
        };
        Self {
            naming,
            include: config.include(),
            terminating: config.terminating,
            prefer: config.prefer,
            own,
        }
    }
}

// === impl Own ===

impl Own {
    /// Whether an endpoint is this pod itself.
    pub(crate) fn is(&self, endpoint: &Endpoint) -> bool {
        let is_here = self.namespace.as_deref().is_none_or(|namespace| *namespace == *endpoint.namespace);
        let by_name =
            is_here && endpoint.pod.as_ref().is_some_and(|pod| self.pod.as_ref() == Some(&pod.name));
        let by_address = || self.address.is_some_and(|own| endpoint.address.parse() == Ok(own));
        by_name || by_address()
    }

    /// Whether its node is known to be named otherwise.
    pub(crate) fn has_other_name(&self, name: &NodeName) -> bool {
        self.node.as_ref().is_some_and(|own| own != name)
    }
}
