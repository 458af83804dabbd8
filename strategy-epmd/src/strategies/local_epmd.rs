//! The strategy `local_epmd`: all nodes of this machine.

use std::{num::NonZeroU16, time::Duration};

use cluster_sdk::{
    ConfigDuration, ConfigError, Context, Discover, LocalNode, NodeName, Result, View, anyhow,
    schemars::JsonSchema, serde::Deserialize,
};

use super::{
    kinds::{Kinds, asker},
    listing::Lister,
    name_type,
};
use crate::epmd::{Epmd, default_port};

/// How long one look-up may take: epmd is on this machine.
const ROUND_WITHIN: Duration = Duration::from_secs(5);
/// Shorter intervals than this are refused: they would be load without use.
pub(super) const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The strategy `local_epmd`.
#[derive(Debug)]
pub struct LocalEpmd;

/// Options of the `local_epmd` strategy: the nodes that are registered at the epmd of this machine, asked again and again.
/// libcluster asks once, when it starts, and fails without an epmd. Left out are hidden nodes (a cluster-host in mode `mesh`
/// is one), which are told by a greeting that ends before any cookie comes into play, and remote shells and maintenance scripts of releases, also where they are visible: names of the forms
/// `rem-1a2b-app`, `rpc-1a2b-app`, `remsh1a2b3c4d-app`, `maint1a2b3c4d-app` and `app_maint_1234`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", default, deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
pub struct LocalEpmdConfig {
    /// Time between two look-ups, as "5s" or in milliseconds, give or take a tenth. Default 5s; at least 100ms. While epmd
    /// does not answer the waits grow, up to half a minute, and what was found stays. Not in libcluster.
    pub polling_interval: ConfigDuration,
    /// Port of epmd. Default: that in the environment variable `ERL_EPMD_PORT`, which BEAM nodes heed too, else 4369.
    /// Not in libcluster, which has the environment variable alone.
    pub epmd_port: Option<NonZeroU16>,
    /// What the names get behind the @, as "10.0.0.7": epmd knows only what is in front. Default: the host of the local
    /// node's name, as in libcluster; needed where the local node has no name in the config. All nodes of the machine must
    /// have been started with this host.
    pub host: Option<String>,
    /// Not an option: what is known from one look-up to the next.
    #[serde(skip)]
    kinds: Kinds,
}

// === impl LocalEpmdConfig ===

impl Default for LocalEpmdConfig {
    fn default() -> Self {
        Self {
            polling_interval: ConfigDuration::from_secs(5),
            epmd_port: None,
            host: None,
            kinds: Kinds::default(),
        }
    }
}

// === impl LocalEpmd ===

impl Discover for LocalEpmd {
    const NAME: &'static str = "local_epmd";
    type Config = LocalEpmdConfig;

    fn interval(config: &LocalEpmdConfig) -> Duration {
        config.polling_interval.get()
    }

    fn validate(config: &LocalEpmdConfig, local: &LocalNode) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        errors.extend(interval_error(config.polling_interval));
        let wrong = match (&config.host, &local.name) {
            (None, None) => {
                Some("missing, and the local node has no name to take it from: set one of the two".to_owned())
            }
            (None, Some(_)) => None,
            (Some(host), _) => host_error(host).or_else(|| name_type::mismatch(host, local)),
        };
        errors.extend(wrong.map(|message| ConfigError::new("host", message)));
        errors
    }

    async fn discover(config: &LocalEpmdConfig, ctx: &Context) -> Result<View> {
        let local = ctx.local();
        let host = config.host.as_deref().or_else(|| local.name.as_ref().map(NodeName::host));
        let host = host.ok_or_else(|| anyhow::anyhow!("the local node has no name, and host is not set"))?;
        let epmd = Epmd::local(config.epmd_port.map_or_else(default_port, NonZeroU16::get));
        let lister = Lister { asker: asker(ctx), kinds: config.kinds.clone() };
        Ok(View::complete(lister.members(&epmd, host, ROUND_WITHIN).await?))
    }
}

/// What is wrong with a host as part of a name.
pub(super) fn host_error(host: &str) -> Option<String> {
    let is_wrong = host.contains('@') || NodeName::check(&format!("n@{host}")).is_err();
    is_wrong.then(|| format!("{host:?} is no host: write what nodes have behind the @ of their names"))
}

/// What is wrong with the time between two look-ups.
pub(super) fn interval_error(interval: ConfigDuration) -> Option<ConfigError> {
    let message = || format!("{interval} is too short: at least {INTERVAL_MIN:?}");
    (interval.get() < INTERVAL_MIN).then(|| ConfigError::new("polling_interval", message()))
}

#[cfg(test)]
mod tests;
