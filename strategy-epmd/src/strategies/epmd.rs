//! The strategy `epmd`: a list of nodes.

use std::future;

use cluster_sdk::{
    ConfigError, Context, LocalNode, Node, NodeName, Result, Strategy, View, schemars::JsonSchema,
    serde::Deserialize,
};

use super::{name_type, timeout::NoTimeout};

/// The strategy `epmd`.
#[derive(Debug)]
pub struct Epmd;

/// Options of the `epmd` strategy: nodes that are known by name. Connecting to them, again and again, is the connector's
/// work; it is there that their epmd is asked. libcluster dials the list once and then leaves it alone; here a node of the
/// list is dialled until it is there, and again whenever its link was lost.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
pub struct EpmdConfig {
    /// Names of the nodes, as `["a@10.0.0.5", "b@10.0.0.6"]`: all of them, on each node the same list; the local node may be
    /// among them. The names must be those that the nodes were started with, and all short or all long. At least one, unlike
    /// in libcluster, where an empty list does nothing.
    pub hosts: Vec<String>,
    /// Has no effect; accepted so that libcluster's configs can be carried over. There it is the time between two dials of
    /// the whole list, and by default there is no second one. Here each node is redialled by itself, with growing waits.
    #[serde(default)]
    pub timeout: Option<NoTimeout>,
}

// === impl Epmd ===

impl Strategy for Epmd {
    const NAME: &'static str = "epmd";
    type Config = EpmdConfig;

    fn validate(config: &EpmdConfig, local: &LocalNode) -> Vec<ConfigError> {
        if config.hosts.is_empty() {
            let message = "names no node, so nothing would ever be connected: list them, as [\"a@10.0.0.5\"]";
            return vec![ConfigError::new("hosts", message)];
        }
        let wrong = |(place, host): (usize, &String)| {
            let message = what_is_wrong(host, local)?;
            Some(ConfigError::new(format!("hosts[{place}]"), message))
        };
        config.hosts.iter().enumerate().filter_map(wrong).collect()
    }

    async fn run(config: EpmdConfig, ctx: Context) -> Result<()> {
        let nodes = config.hosts.iter().map(|host| Node::try_new(host));
        ctx.report(View::complete(nodes.collect::<Result<Vec<_>, _>>()?))?;
        // The list does not change, and what becomes of each node is not this strategy's business.
        future::pending().await
    }
}

fn what_is_wrong(host: &str, local: &LocalNode) -> Option<String> {
    if host.starts_with(':') || host.contains(['"', '\'']) {
        let plain = host.trim_start_matches(':').replace(['"', '\''], "");
        return Some(format!("node name {host:?} is written as an atom: write {plain:?}"));
    }
    match NodeName::try_new(host) {
        Ok(name) => name_type::mismatch(name.host(), local),
        Err(err) => Some(err.to_string()),
    }
}

#[cfg(test)]
mod tests;
