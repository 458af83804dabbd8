//! The strategy `newcomer`: each address that a name resolves to is a node.

use cluster_sdk::{
    ConfigDuration, Context, Discover, NameTemplate, Node, Placeholders, Result, View,
    anyhow::Context as _, tokio::net::lookup_host,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Nodes behind one name: each address that it resolves to is a node.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What to look up: a name, or an address
    host: String,
    /// How nodes are named
    #[serde(default = "default_name")]
    name: NameTemplate<NewcomerStrategy>,
    /// How far apart look-ups are
    #[serde(default = "default_interval")]
    interval: ConfigDuration,
}

struct NewcomerStrategy;

impl Placeholders for NewcomerStrategy {
    const POSSIBLE: &'static [&'static str] = &["host", "ip"];
}

impl Discover for NewcomerStrategy {
    const NAME: &'static str = "newcomer";
    type Config = Config;

    fn interval(config: &Config) -> std::time::Duration {
        config.interval.get()
    }

    /// Looks up once. Whatever keeps it from knowing is an error, never an empty view: with an error all stays as it was.
    async fn discover(config: &Config, _ctx: &Context) -> Result<View> {
        let host = config.host.as_str();
        let found = lookup_host((host, 0))
            .await
            .with_context(|| format!("looking up {host:?}"))?;
        let mut nodes = Vec::new();
        for address in found {
            let ip = address.ip().to_string();
            let name = config.name.name(&[("host", host), ("ip", &ip)])?;
            nodes.push(Node::new(name).address(&ip));
        }
        Ok(View::complete(nodes))
    }
}

fn default_name() -> NameTemplate<NewcomerStrategy> {
    NameTemplate::from_static("app@{ip}")
}

fn default_interval() -> ConfigDuration {
    ConfigDuration::from_secs(5)
}

cluster_sdk::export_plugin!(discover: [NewcomerStrategy]);
