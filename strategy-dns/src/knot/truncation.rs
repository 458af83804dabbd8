//! Answers that do not fit in a datagram.

use cluster_sdk::serde_json::json;

use super::{
    Topology,
    liar::{Liar, add_address},
    server::Knot,
};
use crate::Dns;

/// 300 addresses come whole, by TCP.
#[test]
fn whole_by_tcp() {
    let address = |i: u16| format!("10.1.{}.{}", i / 200, i % 200);
    let records: Vec<_> = (0..300).map(|i| format!("api 60 A {}", address(i))).collect();
    let knot = Knot::start(&[("example.", &records.join("\n"))]);
    let topology =
        Topology::start::<Dns>(&knot.address(), json!({ "query": "api.example", "node_basename": "app" }));
    let names: Vec<_> = (0..300).map(|i| format!("app@{}", address(i))).collect();
    topology.wait_whole(&names.iter().map(String::as_str).collect::<Vec<_>>());
    topology.wait_healthy();
}

/// Where TCP is closed a truncated answer is a failure, and the part of it that came is not reported.
#[test]
fn no_tcp() {
    let liar = Liar::start(|_, answer| {
        add_address(answer, 1);
        answer.metadata.truncation = true;
    });
    let options = json!({ "query": "api.example", "node_basename": "app", "family": "ipv4" });
    let topology = Topology::start::<Dns>(&liar.address(), options);
    let failed = format!("api.example. (A) at {}: the answer was truncated", liar.address());
    topology.wait_degraded(&[], &[&failed, "refused", "TCP port"]);
    assert!(topology.0.reports().is_empty());
}
