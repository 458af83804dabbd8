//! Names of nodes, as libcluster makes them.

use std::{fmt::Write as _, sync::Arc};

use cluster_sdk::{NameError, NodeName};

use crate::{config::Mode, endpoint::Endpoint};

/// How a node is named after its endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    pub(crate) basename: Arc<str>,
    pub(crate) mode: Mode,
    /// The headless Service, for host names.
    pub(crate) service: Arc<str>,
    /// The cluster's domain.
    pub(crate) domain: Arc<str>,
}

/// Why an endpoint has no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nameless {
    /// Its pod is given no host name: it has no `subdomain`, or this is the slice of another Service.
    #[error("it has no host name")]
    NoHostname,
    /// The parts make no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Naming {
    pub(crate) fn name(&self, endpoint: &Endpoint) -> Result<NodeName, Nameless> {
        let Self { basename, service, domain, .. } = self;
        let (address, namespace) = (endpoint.address.as_str(), &endpoint.namespace);
        let mut name = format!("{basename}@");
        let written = match (self.mode, &endpoint.hostname) {
            (Mode::Ip, _) => write!(name, "{address}"),
            (Mode::Dns, _) => {
                let dashed = address.replace(['.', ':'], "-");
                write!(name, "{dashed}.{namespace}.pod.{domain}")
            }
            (Mode::Hostname, Some(host)) => write!(name, "{host}.{service}.{namespace}.svc.{domain}"),
            (Mode::Hostname, None) => return Err(Nameless::NoHostname),
        };
        written.unwrap_or_default();
        Ok(NodeName::try_new(&name)?)
    }
}
