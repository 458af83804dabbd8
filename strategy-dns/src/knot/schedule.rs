//! How often the server is asked.

use cluster_sdk::serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Topology,
    server::{DEADLINE, Knot, rest},
};
use crate::Dns;

fn options(basename: &str, max_ttl: &str) -> Value {
    json!({ "query": "api.example", "node_basename": basename, "family": "ipv4", "max_ttl": max_ttl, "timeout": "60s" })
}

/// While an answer holds the question is not repeated; what has no such answer is asked at the usual pace meanwhile.
#[test]
fn ttl_is_heeded() {
    let records = "api 600 A 127.0.0.2";
    let (patient, brisk) = (Knot::start(&[("example.", records)]), Knot::start(&[("example.", records)]));
    let waits = Topology::start::<Dns>(&patient.address(), options("app", "10m"));
    let hurries = Topology::start::<Dns>(&brisk.address(), options("app", "0s"));
    waits.wait_whole(&["app@127.0.0.2"]);
    hurries.wait_whole(&["app@127.0.0.2"]);
    wait_questions(&brisk, 20);
    assert_eq!(patient.questions(), 1);
    // The two chains of libcluster would be seen here: rounds and questions are one to one.
    hurries
        .0
        .wait_for_status(|status| status.counters.get("rounds").is_some_and(|rounds| *rounds >= 20))
        .unwrap();
    drop(hurries);
}

/// `max_ttl` ends the patience: the question is repeated before the answer runs out.
#[test]
fn ttl_is_limited() {
    let knot = Knot::start(&[("example.", "api 600 A 127.0.0.2")]);
    let topology = Topology::start::<Dns>(&knot.address(), options("app", "1s"));
    topology.wait_whole(&["app@127.0.0.2"]);
    knot.change("example.", &["api 600 A"], &["api 600 A 127.0.0.3"]);
    topology.wait_whole(&["app@127.0.0.3"]);
    // A short TTL counts as well, and is the one of this record.
    knot.change("example.", &["api 600 A"], &["api 0 A 127.0.0.4"]);
    topology.wait_whole(&["app@127.0.0.4"]);
    wait_questions(&knot, 10);
}

fn wait_questions(knot: &Knot, count: u64) {
    let deadline = Instant::now() + DEADLINE;
    while knot.questions() < count {
        assert!(Instant::now() < deadline, "only {} questions", knot.questions());
        rest();
    }
}
