//! A connector of the program's own: it makes the links, here in name only, and may refuse to.
//!
//! ```text
//! cargo run --package cluster-host --example connector
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]

use std::{cell::RefCell, collections::BTreeSet, error::Error, time::Duration};

use cluster_host::{Config, Host, Registry};
use cluster_sdk::{Connector, ConnectorContext, Node, NodeName, Outcome, Result, schemars, serde};
use serde_json::json;
use tokio::time::timeout;

/// Whom to link.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
struct Options {
    /// The zone that is linked with
    zone: String,
}

struct Mesh {
    zone: String,
    links: RefCell<BTreeSet<NodeName>>,
}

impl Connector for Mesh {
    const NAME: &'static str = "mesh";
    type Config = Options;

    async fn start(options: Options, _: ConnectorContext) -> Result<Self> {
        Ok(Self { zone: options.zone, links: RefCell::default() })
    }

    async fn connect(&self, node: &Node) -> Outcome {
        if !node.name().as_str().ends_with(&self.zone) {
            return Outcome::Unreachable(format!("{} is not in {}", node.name(), self.zone));
        }
        self.links.borrow_mut().insert(node.name().clone());
        Outcome::Done
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        self.links.borrow_mut().remove(node);
        Outcome::Done
    }

    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        Ok(Some(self.links.borrow().iter().cloned().collect()))
    }
}

cluster_sdk::plugin!(connectors: [Mesh]);

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let config = Config::from_json(json!({
        "topologies": {
            "shop": {
                "strategy": "epmd",
                "config": { "hosts": ["a@one.eu", "b@two.eu", "c@one.us"] },
                "connect": { "mesh": { "zone": "eu" } },
            },
        },
    }))?;
    let registry = Registry::new().with_builtin(strategy_epmd::plugin())?.with_builtin(plugin())?;
    let host = Host::builder(config, registry).start()?;
    let settled = host.handle().wait_until(|snapshot| {
        snapshot.up().count() == 2 && snapshot.members.values().any(|member| member.reason.is_some())
    });
    let members = timeout(Duration::from_secs(30), settled).await?.ok_or("the host has ended")?;
    for member in members.members.values() {
        println!("{}: {} {}", member.name, member.state, member.reason.as_deref().unwrap_or_default());
    }
    host.stop().await;
    Ok(())
}
