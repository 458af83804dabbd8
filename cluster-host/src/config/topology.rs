//! One topology: who finds its nodes, who links them, and by which rules.

use std::{collections::BTreeMap, num::NonZeroUsize};

use cluster_core::TopologyName;
use cluster_sdk::config::key_path;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    connect::{ConnectConfig, PluginConfig},
    options::{Options, Prune},
};

/// `[topologies.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TopologyConfig {
    /// The strategy that finds its nodes, by the name under which a plugin offers it.
    #[schemars(description = "the name of a strategy that a plugin offers")]
    pub strategy: String,
    /// The strategy's own config, which its plugin checks.
    #[serde(default)]
    pub config: PluginConfig,
    /// What makes the links: `"erlang"` where nothing is written, as in libcluster.
    #[serde(default)]
    #[schemars(
        description = "\"erlang\" by default, the connector of the plugin libstrategy_epmd.so; \"none\" watches without linking"
    )]
    pub connect: ConnectConfig,
    /// How it is run.
    #[serde(default)]
    pub opts: Options,
    /// How members may leave by the strategy's word.
    #[serde(default)]
    pub prune: Prune,
    /// A report that would make more members is refused whole.
    #[serde(default = "members_max_default")]
    pub members_max: NonZeroUsize,
}

/// The key of a topology's table: `topologies.NAME`.
pub(super) fn path(name: &TopologyName) -> String {
    key_path("topologies", name.as_str())
}

pub(super) fn by_name<'de, D>(deserializer: D) -> Result<BTreeMap<TopologyName, TopologyConfig>, D::Error>
where
    D: Deserializer<'de>,
{
    let topologies = BTreeMap::<Name, TopologyConfig>::deserialize(deserializer)?;
    Ok(topologies.into_iter().map(|(name, topology)| (name.0, topology)).collect())
}

fn members_max_default() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(99_999)
}

// === impl TopologyConfig ===

impl TopologyConfig {
    /// Whether both use one instance of a connector. They do where `connect` is equal, and with it all that decides
    /// how the connector is used.
    pub(crate) fn shares_connector(&self, other: &Self) -> bool {
        self.connect == other.connect && self.opts.linking() == other.opts.linking()
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name(TopologyName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TopologyName::try_new(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}
