//! Nodes by address: who comes, who goes, aliases, several names.

use cluster_sdk::serde_json::json;

use super::{Topology, server::Knot};
use crate::{Dns, KubernetesDns};

/// Addresses of both families appear and go, as nodes with libcluster's names and with their address.
#[test]
fn come_and_go() {
    let knot = Knot::start(&[("example.", "api 60 A 127.0.0.2")]);
    let topology =
        Topology::start::<Dns>(&knot.address(), json!({ "query": "api.example", "node_basename": "app" }));
    let view = topology.wait_whole(&["app@127.0.0.2"]);
    let node = view.nodes.iter().next().unwrap().to_node().unwrap();
    assert_eq!(node.addresses().collect::<Vec<_>>(), ["127.0.0.2"]);
    assert_eq!((node.attributes().count(), node.incarnation(), view.ttl), (0, None, None));
    knot.change("example.", &[], &["api 60 A 127.0.0.3", "api 60 AAAA fd00::1"]);
    topology.wait_whole(&["app@127.0.0.2", "app@127.0.0.3", "app@fd00::1"]);
    knot.change("example.", &["api 60 A 127.0.0.2", "api 60 A 127.0.0.3"], &[]);
    topology.wait_whole(&["app@fd00::1"]);
    topology.wait_healthy();
}

/// Where the name exists and has no address left, nobody is there; that is an answer and no failure.
#[test]
fn nobody_is_an_answer() {
    let knot = Knot::start(&[("example.", "api 60 A 127.0.0.2\napi 60 TXT here")]);
    let topology =
        Topology::start::<Dns>(&knot.address(), json!({ "query": "api.example", "node_basename": "app" }));
    topology.wait_whole(&["app@127.0.0.2"]);
    knot.change("example.", &["api 60 A 127.0.0.2"], &[]);
    topology.wait_whole(&[]);
    topology.0.wait_for_log("nobody is there").unwrap();
    topology.wait_healthy();
    knot.change("example.", &[], &["api 60 A 127.0.0.4"]);
    topology.wait_whole(&["app@127.0.0.4"]);
    topology.0.wait_for_log("has records again").unwrap();
    assert!(
        topology.0.statuses().iter().all(|status| status.reason.is_none()),
        "{:?}",
        topology.0.statuses()
    );
}

/// Only the family that is wanted is asked for: of the other one nothing is known.
#[test]
fn families() {
    let knot = Knot::start(&[("example.", "api 60 A 127.0.0.2\napi 60 AAAA fd00::2")]);
    let start = |family| {
        let options = json!({ "query": "api.example.", "node_basename": "app", "family": family });
        Topology::start::<Dns>(&knot.address(), options)
    };
    start("ipv4").wait_whole(&["app@127.0.0.2"]);
    start("ipv6").wait_whole(&["app@fd00::2"]);
    let options = json!({ "service": "api.example", "application_name": "app" });
    Topology::start::<KubernetesDns>(&knot.address(), options).wait_whole(&["app@127.0.0.2"]);
}

/// Aliases are followed in their zone, and into another one of which the first answer says nothing.
#[test]
fn aliases() {
    let example = "api 60 CNAME b\nb 60 CNAME real\nreal 60 A 127.0.0.2\nfar 60 CNAME api.other.\nempty 60 CNAME text\ntext 60 TXT x";
    let knot = Knot::start(&[("example.", example), ("other.", "api 60 CNAME real\nreal 60 A 127.0.0.3")]);
    let start = |query: &str| {
        Topology::start::<Dns>(&knot.address(), json!({ "query": query, "node_basename": "app" }))
    };
    start("api.example").wait_whole(&["app@127.0.0.2"]);
    let far = start("far.example");
    far.wait_whole(&["app@127.0.0.3"]);
    knot.change("example.", &["far 60 CNAME api.other."], &["far 60 CNAME real"]);
    far.wait_whole(&["app@127.0.0.2"]);
    start("empty.example").wait_whole(&[]);
}

/// The nodes of several names are taken together. While one of them cannot be looked up the view is partial, so that
/// nobody is taken to be gone.
#[test]
fn several_names() {
    let knot = Knot::start(&[("example.", "a 60 A 127.0.0.2\nb 60 A 127.0.0.3\nb 60 A 127.0.0.2")]);
    let query = json!(["a.example", "b.example", "A.example"]);
    let topology = Topology::start::<Dns>(&knot.address(), json!({ "query": query, "node_basename": "app" }));
    topology.wait_whole(&["app@127.0.0.2", "app@127.0.0.3"]);
    knot.change("example.", &["b 60 A"], &["a 60 A 127.0.0.4"]);
    topology.wait_partial(&["app@127.0.0.2", "app@127.0.0.4"]);
    let reason = topology.wait_degraded(&[], &["b.example. at 127.0.0.1:", "NXDOMAIN"]);
    assert!(!reason.contains("a.example."), "{reason}");
    knot.change("example.", &[], &["b 60 A 127.0.0.5"]);
    topology.wait_whole(&["app@127.0.0.2", "app@127.0.0.4", "app@127.0.0.5"]);
    topology.wait_healthy();
}
