//! `[ready]`: when the host counts as ready, and who would wait for whom.

use std::collections::BTreeMap;

use cluster_core::TopologyName;
use cluster_sdk::config::{ConfigError, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

use super::{Config, TopologyConfig};

/// `[ready]`: what `/ready` and `cluster-host ready` wait for, beside the local node, which has to be up where there is one.
/// Without the table: that each topology has given a view.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ReadyConfig {
    /// Members that have to be up, the local node among them.
    pub min_members: u32,
    /// The topologies that have to have given a view, be it an empty one. Default: all of them; `[]` waits for none.
    #[serde(deserialize_with = "topologies")]
    #[schemars(with = "Option<Vec<String>>")]
    pub topologies: Option<Vec<TopologyName>>,
    /// Whether that is for the beginning only: once ready, the host stays so while its local node is up, whatever becomes
    /// of the others. With false it is not ready whenever fewer than `min_members` are up: then the loss of one node can
    /// take all the others out of service.
    pub once: bool,
}

// === impl ReadyConfig ===

impl Default for ReadyConfig {
    fn default() -> Self {
        Self { min_members: 0, topologies: None, once: true }
    }
}

impl ReadyConfig {
    /// Whether it is waited for this topology's first view.
    pub(crate) fn awaits(&self, topology: &TopologyName) -> bool {
        self.topologies.as_ref().is_none_or(|named| named.contains(topology))
    }

    /// The topologies that it names and that are not there.
    pub(super) fn check(&self, there: &BTreeMap<TopologyName, TopologyConfig>) -> Vec<ConfigError> {
        let named = self.topologies.iter().flatten().enumerate();
        let unknown = named.filter(|(_, name)| !there.contains_key(*name)).map(|(index, name)| {
            let hint = nearest(name.as_str(), there.keys().map(TopologyName::as_str))
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            ConfigError {
                path: format!("ready.topologies[{index}]"),
                message: format!("there is no topology {name}{hint}"),
            }
        });
        unknown.collect()
    }
}

fn topologies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<TopologyName>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let names = names.iter().map(|name| TopologyName::try_new(name));
    names.collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
}

/// Where readiness waits for a topology whose source may name only who is ready already: nobody would ever be.
pub(super) fn never_ready(config: &Config, name: &TopologyName, topology: &TopologyConfig) -> Option<String> {
    let ready = &config.ready;
    let is_asked = config.api.probe_listen.is_some() || *ready != ReadyConfig::default();
    let waits_for_members = ready.min_members > 1;
    let published = "a headless Service without `publishNotReadyAddresses: true` has an address in the DNS only for \
                     pods that are ready";
    match topology.strategy.as_str() {
        "kubernetes" if waits_for_members => {
            let is = |key, value| topology.config.get(key).and_then(|set| set.as_str()) == Some(value);
            let takes_all = is("include", "all")
                || (topology.config.get("include").is_none() && is("kubernetes_ip_lookup_mode", "pods"));
            // Whether a pod passes its readiness probe does not depend on what its Service publishes.
            let or = if is("include", "serving") {
                ""
            } else {
                ", or give the Service `publishNotReadyAddresses: true`"
            };
            (!takes_all).then(|| {
                format!(
                    "`ready.min_members` is {} and this topology takes only pods that are ready: each may wait for \
                     the others for ever; set `include = \"all\"` in `config`{or}",
                    ready.min_members
                )
            })
        }
        "dns" if waits_for_members => Some(format!(
            "`ready.min_members` is {}: {published}, and each may wait for the others for ever; set that at the \
             Service if this is one's name",
            ready.min_members
        )),
        "kubernetes_dns" | "kubernetes_dns_srv" if waits_for_members || (is_asked && ready.awaits(name)) => {
            Some(format!(
                "readiness waits for this topology: {published}, and none would ever be; set that at the Service, \
                 or leave the topology out of `ready.topologies` and `ready.min_members` at 1"
            ))
        }
        _ => None,
    }
}
