//! Reads a host: its members with all that is known of them, its topologies, and why a node is not there.
//!
//! ```text
//! cargo run --package cluster-host --example members
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]

use std::{error::Error, time::Duration};

use cluster_core::{LinkState, NodeName, Start};
use cluster_host::{Config, Host, Registry, api::Source as _};
use serde_json::json;
use tokio::{net::TcpListener, time::timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // One node is there, as far as a TCP connection can tell; the other one is not: nobody listens on 127.0.0.2.
    let there = TcpListener::bind("127.0.0.1:0").await?;
    let port = there.local_addr()?.port();
    let config = Config::from_json(json!({
        "topologies": {
            "shop": {
                "strategy": "epmd",
                "config": { "hosts": ["there@127.0.0.1", "gone@127.0.0.2"] },
                "connect": { "tcp": { "port": port } },
            },
        },
    }))?;
    // `tcp` is a connector of the host's own, and a plugin like any other.
    let registry = Registry::new()
        .with_builtin(strategy_epmd::plugin())?
        .with_builtin(cluster_host::connectors::plugin())?;
    let host = Host::builder(config, registry).start()?;
    // A handle is cheap to clone and can be given to whoever reads.
    let handle = host.handle().clone();

    let both = handle.wait_until(|snapshot| {
        let links = snapshot.members.values().flat_map(|member| member.topologies.iter());
        let (up, tried): (Vec<_>, Vec<_>) = links.partition(|vouched| vouched.link == LinkState::Up);
        up.len() == 1 && tried.iter().any(|vouched| vouched.reason.is_some())
    });
    let snapshot = timeout(Duration::from_secs(30), both).await?.ok_or("the host has ended")?;
    for member in snapshot.members.values() {
        for vouched in member.topologies.iter() {
            println!("{} is {}: {} by {}", member.name, member.state, vouched.link, vouched.name);
        }
    }
    for (name, status) in &snapshot.topologies {
        println!("{name} is {}", status.health);
    }

    let gone = NodeName::try_new("gone@127.0.0.2")?;
    let explanation = handle.explain(gone).await.ok_or("nothing is known of it")?;
    let reason = explanation.member.and_then(|member| member.reason.clone()).unwrap_or_default();
    println!("gone: {}", if reason.contains("refused") { "connection refused" } else { &reason });

    // A cursor resumes where one was, in this life of the host: nothing is missed and nothing comes twice.
    let mut follower = handle.log().subscribe(Start::Snapshot);
    let _everything = follower.try_next();
    let cursor = follower.cursor();
    drop(follower);
    assert!(handle.log().subscribe(Start::After(cursor)).try_next().is_none(), "nothing has happened since");
    host.stop().await;
    Ok(())
}
