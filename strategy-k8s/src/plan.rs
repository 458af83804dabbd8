//! What is to be asked for, as the config has it.

use std::time::Duration;

use crate::config::{KubernetesConfig, LookupMode};

/// A kind of object that names endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    EndpointSlices,
    Endpoints,
    Pods,
}

/// What is to be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// In the order of preference: the next one where this one is refused.
    pub(crate) kinds: &'static [Kind],
    pub(crate) label_selector: Option<String>,
    pub(crate) field_selector: Option<String>,
    pub(crate) use_cached_resources: bool,
    pub(crate) poll: bool,
    pub(crate) polling_interval: Duration,
    /// The API server, for messages.
    pub(crate) server: String,
}

impl Plan {
    pub(crate) fn new(config: &KubernetesConfig, server: String) -> Self {
        Self {
            kinds: match config.kubernetes_ip_lookup_mode {
                LookupMode::Endpoints => &[Kind::EndpointSlices, Kind::Endpoints],
                LookupMode::Pods => &[Kind::Pods],
            },
            label_selector: config.selector().map(Into::into),
            field_selector: config.field_selector.clone(),
            use_cached_resources: config.kubernetes_use_cached_resources,
            poll: config.poll,
            polling_interval: config.polling_interval.get(),
            server,
        }
    }
}
