//! The shape of the documents, and which events are told.

use std::collections::BTreeMap;

use cluster_core::{Event, EventKind, MemberState, NodeName};
use expect_test::{Expect, expect};
use serde_json::Value;

use super::super::{
    document::{Document, Source},
    filter::Filter,
};
use crate::{
    api::testing::{at, bare_member, cursor, event, member, snapshot},
    config::Config,
};

#[track_caller]
fn check(document: &Document, expected: &Expect) {
    let body: Value = serde_json::from_slice(&document.body).unwrap();
    let body = serde_json::to_string_pretty(&body).unwrap();
    let variables: BTreeMap<_, _> = document.variables.iter().cloned().collect();
    let variables: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    expected.assert_eq(&format!("{body}\n{variables}"));
}

/// An event as a `CloudEvent`: its data is what the event stream of the API has. Variables have no control characters,
/// whatever a stranger has sent.
#[test]
fn event_document() {
    let mut failed = event(9, EventKind::ConnectFailed, Some(bare_member("n1@10.0.0.7", MemberState::Down)));
    failed.topology = Some("mesh".parse().unwrap());
    failed.reason = Some("refused\0\nby \"it\"".into());
    let node: NodeName = "a@h".parse().unwrap();
    let source = Source { cluster: "the shop", node: Some(&node) };
    check(
        &Document::of_event(cursor(9), &failed, source).unwrap(),
        &expect![[r#"
        {
          "data": {
            "at": "2026-01-01T00:00:00.009000Z",
            "cursor": "0192a5c7d1e8f402:9",
            "epoch": "0192a5c7d1e8f402",
            "member": {
              "addresses": [],
              "attributes": {},
              "incarnation": null,
              "name": "n1@10.0.0.7",
              "reason": null,
              "self": false,
              "since": "2026-01-01T00:00:00.000000Z",
              "state": "down",
              "topologies": []
            },
            "node": "n1@10.0.0.7",
            "reason": "refused\u0000\nby \"it\"",
            "revision": 9,
            "topology": "mesh",
            "type": "connect_failed"
          },
          "datacontenttype": "application/json",
          "id": "0192a5c7d1e8f402:9",
          "source": "libcluster:the%20shop/a@h",
          "specversion": "1.0",
          "subject": "n1@10.0.0.7",
          "time": "2026-01-01T00:00:00.009000Z",
          "type": "libcluster.connect_failed"
        }
        CLUSTER_EVENT=connect_failed
        CLUSTER_ID=0192a5c7d1e8f402:9
        CLUSTER_NAME=the shop
        CLUSTER_NODE=n1@10.0.0.7
        CLUSTER_REASON=refused  by "it"
        CLUSTER_SELF=a@h
        CLUSTER_STATE=down
        CLUSTER_TIME=2026-01-01T00:00:00.009000Z
        CLUSTER_TOPOLOGY=mesh
    "#]],
    );
}

/// A change of a topology is about that.
#[test]
fn topology_document() {
    let mut changed = event(9, EventKind::TopologyChanged, None);
    changed.topology = Some("mesh".parse().unwrap());
    let source = Source { cluster: "shop", node: None };
    check(
        &Document::of_event(cursor(9), &changed, source).unwrap(),
        &expect![[r#"
        {
          "data": {
            "at": "2026-01-01T00:00:00.009000Z",
            "cursor": "0192a5c7d1e8f402:9",
            "epoch": "0192a5c7d1e8f402",
            "member": null,
            "node": null,
            "reason": null,
            "revision": 9,
            "topology": "mesh",
            "type": "topology_changed"
          },
          "datacontenttype": "application/json",
          "id": "0192a5c7d1e8f402:9",
          "source": "libcluster:shop",
          "specversion": "1.0",
          "subject": "mesh",
          "time": "2026-01-01T00:00:00.009000Z",
          "type": "libcluster.topology_changed"
        }
        CLUSTER_EVENT=topology_changed
        CLUSTER_ID=0192a5c7d1e8f402:9
        CLUSTER_NAME=shop
        CLUSTER_TIME=2026-01-01T00:00:00.009000Z
        CLUSTER_TOPOLOGY=mesh
    "#]],
    );
}

/// A resync has all members.
#[test]
fn resync_document() {
    let members = [bare_member("a@h", MemberState::Up), bare_member("b@h", MemberState::Down)];
    let snapshot = snapshot(9, members);
    let source = Source { cluster: "shop", node: None };
    let document = Document::of_snapshot(cursor(9), (&snapshot, "lost"), source, at(0).into()).unwrap();
    check(
        &document,
        &expect![[r#"
        {
          "data": {
            "at": "2026-01-01T00:00:00.000000Z",
            "cursor": "0192a5c7d1e8f402:9",
            "epoch": "0192a5c7d1e8f402",
            "members": [
              {
                "addresses": [],
                "attributes": {},
                "incarnation": null,
                "name": "a@h",
                "reason": null,
                "self": false,
                "since": "2026-01-01T00:00:00.000000Z",
                "state": "up",
                "topologies": []
              },
              {
                "addresses": [],
                "attributes": {},
                "incarnation": null,
                "name": "b@h",
                "reason": null,
                "self": false,
                "since": "2026-01-01T00:00:00.000000Z",
                "state": "down",
                "topologies": []
              }
            ],
            "node": null,
            "reason": "lost",
            "revision": 9,
            "topology": null,
            "type": "resync"
          },
          "datacontenttype": "application/json",
          "id": "0192a5c7d1e8f402:9:resync",
          "source": "libcluster:shop",
          "specversion": "1.0",
          "time": "2026-01-01T00:00:00.000000Z",
          "type": "libcluster.resync"
        }
        CLUSTER_EVENT=resync
        CLUSTER_ID=0192a5c7d1e8f402:9:resync
        CLUSTER_NAME=shop
        CLUSTER_REASON=lost
        CLUSTER_TIME=2026-01-01T00:00:00.000000Z
    "#]],
    );
}

/// The events of which a hook with these filters is told, by number.
#[track_caller]
fn check_filter(filter: &str, expected: &[u64]) {
    let text = format!("on_event = [{{ name = 'x', command = ['true'], {filter} }}]");
    let config = Config::parse("host.toml".as_ref(), &text, &|_| None).unwrap().config;
    let filter = Filter::new(&config.on_event[0]);
    let told = |event: &&Event| filter.lets_through(event);
    let told: Vec<u64> = events().iter().filter(told).map(|event| event.revision).collect();
    assert_eq!(told, expected);
}

fn events() -> [Event; 5] {
    let mut left = event(3, EventKind::NodeLeft, None);
    left.node = Some("n3@10.0.0.9".parse().unwrap());
    let mut left_by_dns = left.clone();
    left_by_dns.revision = 4;
    left_by_dns.topology = Some("dns".parse().unwrap());
    let mut changed = event(5, EventKind::TopologyChanged, None);
    changed.topology = Some("gossip".parse().unwrap());
    [
        // Of the topologies gossip and mesh.
        event(1, EventKind::NodeUp, Some(member("n1@10.0.0.7"))),
        event(2, EventKind::NodeDown, Some(bare_member("n2@10.0.1.8", MemberState::Down))),
        left,
        left_by_dns,
        changed,
    ]
}

/// Each part of a filter, and all of them together.
#[test]
fn filters() {
    check_filter("", &[1, 2, 3, 4, 5]);
    check_filter("events = ['node_up', 'topology_changed']", &[1, 5]);
    // Of the third it is not known where it was.
    check_filter("topologies = ['mesh']", &[1, 3]);
    check_filter("topologies = ['gossip']", &[1, 3, 5]);
    check_filter("topologies = ['dns', 'other']", &[3, 4]);
    check_filter("nodes = ['*@10.0.0.*']", &[1, 3, 4]);
    check_filter("nodes = ['n?@10.0.1.8', 'n1*']", &[1, 2]);
    check_filter("nodes = ['n1']", &[]);
    check_filter("events = ['node_left'], nodes = ['n3@*'], topologies = ['dns']", &[3, 4]);
}
