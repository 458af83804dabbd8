//! A strategy of the program's own, linked in: nothing is loaded, and no plugin directory is needed.
//!
//! ```text
//! cargo run --package cluster-host --example static_plugin
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]

use std::{error::Error, time::Duration};

use cluster_host::{Config, Host, Registry};
use cluster_sdk::{Context, Discover, Node, Result, View, schemars, serde};
use serde_json::json;
use tokio::time::timeout;

/// Where the program's nodes are.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
struct Options {
    /// The table that lists them
    table: String,
}

struct Inventory;

impl Discover for Inventory {
    const NAME: &'static str = "inventory";
    type Config = Options;

    async fn discover(options: &Options, _: &Context) -> Result<View> {
        // A look-up in a database, as it may be. An error keeps what was found before.
        let rows = [("web", "10.0.0.7"), ("db", "10.0.0.8")];
        let nodes = rows.map(|(role, ip)| {
            let node = Node::try_new(&format!("{role}@{ip}"))?;
            Ok(node.address(ip).attribute("table", &options.table))
        });
        Ok(View::complete(nodes.into_iter().collect::<Result<Vec<_>>>()?))
    }
}

// In a crate that is also built as a `.so`, `export_plugin!` with the same lists makes both.
cluster_sdk::plugin!(discover: [Inventory]);

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let config = Config::from_json(json!({
        "topologies": {
            "shop": { "strategy": "inventory", "config": { "table": "machines" }, "connect": "none" },
        },
    }))?;
    let registry = Registry::new().with_builtin(plugin())?;
    let host = Host::builder(config, registry).start()?;
    let members = timeout(Duration::from_secs(30), host.wait_up(2)).await?.ok_or("the host has ended")?;
    for member in members.up() {
        println!(
            "{} at {} of {:?}",
            member.name,
            member.addresses.join(", "),
            member.attributes.get("table")
        );
    }
    host.stop().await;
    Ok(())
}
