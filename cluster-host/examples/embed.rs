//! A service that is its own cluster host: it starts one, follows the members, changes the configuration, and stops.
//!
//! ```text
//! cargo run --package cluster-host --example embed
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]

use std::{error::Error, time::Duration};

use cluster_core::{Delivery, Event, EventKind, Snapshot, Subscription, TopologyName};
use cluster_host::{Config, Host, Registry};
use serde_json::json;
use tokio::time::timeout;

/// How long the service is willing to wait for its cluster.
const PATIENCE: Duration = Duration::from_secs(30);

/// A list of nodes, which counts at once. In life the strategy is `gossip`, `kubernetes`, `dns` …, and `connect` a connector.
fn config(nodes: &[&str]) -> Result<Config, Box<dyn Error>> {
    Ok(Config::from_json(json!({
        "node": { "name": "service@10.0.0.1", "attributes": { "role": "api" } },
        "topologies": {
            "shop": {
                "strategy": "epmd",
                "config": { "hosts": nodes },
                "connect": "none",
                "prune": { "rounds": 1, "max_fraction": 1.0 },
            },
        },
    }))?)
}

/// Prints what happens, up to the last of it.
async fn print_changes(
    changes: &mut Subscription<Event, Snapshot>,
    is_last: impl Fn(&str) -> bool,
) -> Result<(), Box<dyn Error>> {
    loop {
        let mut news = Vec::new();
        match timeout(PATIENCE, changes.next()).await?.ok_or("the host has ended")? {
            // All that was known is replaced: the first delivery, and another one for a subscriber that was far too slow.
            Delivery::Resync { snapshot, .. } => {
                news.extend(snapshot.members.keys().map(|node| format!("there: {node}")));
                news.push("all is known".to_owned());
            }
            Delivery::Events(batch) => {
                for (_revision, event) in batch.iter() {
                    let word = match event.kind {
                        EventKind::NodeUp => "up",
                        EventKind::NodeDown => "down",
                        EventKind::NodeLeft => "left",
                        _ => continue,
                    };
                    news.extend(event.node.iter().map(|node| format!("{word}: {node}")));
                }
            }
        }
        for change in &news {
            println!("{change}");
        }
        if news.iter().any(|change| is_last(change)) {
            return Ok(());
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Plugins that are linked in. `Registry::scan("plugins".as_ref())` takes those in a directory.
    let registry = Registry::new().with_builtin(strategy_epmd::plugin())?;
    // What a later configuration is looked up in.
    let mut again = registry.rescan();
    let host = Host::builder(config(&["a@10.0.0.2", "b@10.0.0.3"])?, registry).start()?;

    let members = timeout(PATIENCE, host.wait_up(3)).await?.ok_or("the host has ended")?;
    println!("{} are up", members.up().count());

    // The members as they are now, then every change, without a gap.
    let mut changes = host.subscribe();
    print_changes(&mut changes, |change| change == "all is known").await?;

    // Another configuration: what it does not change runs on.
    let changed = host.handle().apply(config(&["a@10.0.0.2", "c@10.0.0.4"])?, &mut again).await?;
    println!("another source: {}", changed.changed.iter().map(TopologyName::as_str).collect::<String>());
    print_changes(&mut changes, |change| change == "left: b@10.0.0.3").await?;

    // Strategies say goodbye, connectors let go, and the subscription ends.
    host.stop().await;
    println!("stopped");
    Ok(())
}
