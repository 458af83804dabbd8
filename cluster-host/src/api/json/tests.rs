use std::time::{Duration, SystemTime};

use cluster_core::{EventKind, MemberState, Node, membership::explain};
use expect_test::{Expect, expect};

use super::*;
use crate::api::testing::{at, bare_member, cursor, event, explanation, hook, member, snapshot, topology};

#[track_caller]
fn check<T: Serialize>(shape: &T, expected: &Expect) {
    expected.assert_eq(&format!("{}\n", serde_json::to_string_pretty(shape).unwrap()));
}

/// MEMBER, with everything that a member can have: scripts rely on its keys.
#[test]
fn member_shape() {
    check(
        &Member::from(&member("n1@10.0.0.7")),
        &expect![[r#"
        {
          "name": "n1@10.0.0.7",
          "self": false,
          "state": "down",
          "incarnation": 17,
          "addresses": [
            "10.0.0.7:9000",
            "[fd00::7]:9000"
          ],
          "attributes": {
            "zone": "eu-1"
          },
          "topologies": [
            {
              "name": "gossip",
              "link": "none",
              "since": "2026-01-01T00:00:01.000000Z",
              "reason": null
            },
            {
              "name": "mesh",
              "link": "down",
              "since": "2026-01-01T00:00:01.000000Z",
              "reason": "connection refused"
            }
          ],
          "since": "2026-01-01T00:00:01.234000Z",
          "reason": "link lost: \"peer\" reset"
        }
    "#]],
    );
}

/// What is not known is null or empty, and never absent.
#[test]
fn bare_member_shape() {
    let mut this = bare_member("a@h", MemberState::Discovered);
    this.is_self = true;
    check(
        &Member::from(&this),
        &expect![[r#"
        {
          "name": "a@h",
          "self": true,
          "state": "discovered",
          "incarnation": null,
          "addresses": [],
          "attributes": {},
          "topologies": [],
          "since": "2026-01-01T00:00:00.000000Z",
          "reason": null
        }
    "#]],
    );
}

/// A line of each type: the keys are always the same, whatever the event lacks.
#[test]
fn event_shapes() {
    use EventKind as K;
    let up = || bare_member("b@h", MemberState::Up);
    let mut events = [
        event(1, K::NodeDiscovered, Some(bare_member("b@h", MemberState::Discovered))),
        event(2, K::NodeUp, Some(up())),
        event(3, K::NodeDown, Some(bare_member("b@h", MemberState::Down))),
        event(4, K::NodeUpdated, Some(up())),
        event(5, K::NodeLeft, None),
        event(6, K::ConnectFailed, Some(bare_member("b@h", MemberState::Discovered))),
        event(7, K::TopologyChanged, None),
    ];
    events[4].node = Some("b@h".parse().unwrap());
    events[5].reason = Some("connection refused".into());
    for event in &mut events[5..] {
        event.topology = Some("mesh".parse().unwrap());
    }
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(&Event::new(cursor(event.revision), event)).unwrap() + "\n");
    expect![[r#"
        {"epoch":"0192a5c7d1e8f402","revision":1,"cursor":"0192a5c7d1e8f402:1","type":"node_discovered","node":"b@h","member":{"name":"b@h","self":false,"state":"discovered","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null},"topology":null,"reason":null,"at":"2026-01-01T00:00:00.001000Z"}
        {"epoch":"0192a5c7d1e8f402","revision":2,"cursor":"0192a5c7d1e8f402:2","type":"node_up","node":"b@h","member":{"name":"b@h","self":false,"state":"up","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null},"topology":null,"reason":null,"at":"2026-01-01T00:00:00.002000Z"}
        {"epoch":"0192a5c7d1e8f402","revision":3,"cursor":"0192a5c7d1e8f402:3","type":"node_down","node":"b@h","member":{"name":"b@h","self":false,"state":"down","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null},"topology":null,"reason":null,"at":"2026-01-01T00:00:00.003000Z"}
        {"epoch":"0192a5c7d1e8f402","revision":4,"cursor":"0192a5c7d1e8f402:4","type":"node_updated","node":"b@h","member":{"name":"b@h","self":false,"state":"up","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null},"topology":null,"reason":null,"at":"2026-01-01T00:00:00.004000Z"}
        {"epoch":"0192a5c7d1e8f402","revision":5,"cursor":"0192a5c7d1e8f402:5","type":"node_left","node":"b@h","member":null,"topology":null,"reason":null,"at":"2026-01-01T00:00:00.005000Z"}
        {"epoch":"0192a5c7d1e8f402","revision":6,"cursor":"0192a5c7d1e8f402:6","type":"connect_failed","node":"b@h","member":{"name":"b@h","self":false,"state":"discovered","incarnation":null,"addresses":[],"attributes":{},"topologies":[],"since":"2026-01-01T00:00:00.000000Z","reason":null},"topology":"mesh","reason":"connection refused","at":"2026-01-01T00:00:00.006000Z"}
        {"epoch":"0192a5c7d1e8f402","revision":7,"cursor":"0192a5c7d1e8f402:7","type":"topology_changed","node":null,"member":null,"topology":"mesh","reason":null,"at":"2026-01-01T00:00:00.007000Z"}
    "#]].assert_eq(&lines.collect::<String>());
}

/// The members of a topology are counted in the snapshot.
#[test]
fn topologies_shape() {
    let snapshot = snapshot(7, [member("b@h"), member("c@h"), bare_member("d@h", MemberState::Up)]);
    check(
        &Topologies::new(cursor(7), &[topology()], &snapshot),
        &expect![[r#"
            {
              "epoch": "0192a5c7d1e8f402",
              "revision": 7,
              "topologies": [
                {
                  "name": "gossip",
                  "strategy": "gossip",
                  "plugin": "strategy-gossip",
                  "connector": "none",
                  "health": "degraded",
                  "reason": "no route to host",
                  "since": "2026-01-01T00:00:05.000000Z",
                  "members": 2,
                  "held": [
                    "b@h"
                  ],
                  "remembered": [
                    "d@h"
                  ],
                  "unclaimed": [
                    "x@h"
                  ],
                  "counters": {
                    "datagrams_bad": 4
                  },
                  "restarts": 1,
                  "last_report": "2026-01-01T00:00:06.000000Z"
                }
              ]
            }
        "#]],
    );
}

/// All that is known of a node; the member in it is as elsewhere.
#[test]
fn explanation_shape() {
    let mut known = explanation("n1@10.0.0.7");
    known.member = None;
    check(
        &Explanation::from(&known),
        &expect![[r#"
        {
          "name": "n1@10.0.0.7",
          "member": null,
          "vouches": [
            {
              "topology": "gossip",
              "node": {
                "incarnation": 17,
                "addresses": [
                  "10.0.0.7:9000"
                ],
                "attributes": {
                  "zone": "eu-1"
                },
                "leaving": false
              },
              "since": "2026-01-01T00:00:00.000000Z",
              "renewed": "2026-01-01T00:00:57.000000Z",
              "expires": "2026-01-01T00:01:27.000000Z",
              "stale": false,
              "absent_rounds": 1,
              "held_until": "2026-01-01T00:05:00.000000Z",
              "remembered": true
            }
          ],
          "links": [
            {
              "connector": "tcp",
              "state": "down",
              "since": "2026-01-01T00:00:01.000000Z",
              "failures": 2,
              "attempts": [
                {
                  "at": "2026-01-01T00:00:00.500000Z",
                  "failure": null
                },
                {
                  "at": "2026-01-01T00:00:02.000000Z",
                  "failure": "connection refused"
                },
                {
                  "at": "2026-01-01T00:00:09.000000Z",
                  "failure": "no route to host"
                }
              ],
              "next_attempt": "2026-01-01T00:01:12.000000Z",
              "kept": "it would cost others"
            }
          ],
          "dead": [
            {
              "topology": "gossip",
              "incarnation": 16
            }
          ]
        }
    "#]],
    );
}

/// What the server writes the client reads back as the same values.
#[test]
fn read_back() {
    fn check<'a, T: Serialize + Deserialize<'a> + PartialEq + std::fmt::Debug>(shape: &T, text: &'a str) {
        assert_eq!(&serde_json::from_str::<T>(text).unwrap(), shape);
    }
    let known: explain::Explanation = explanation("n1@10.0.0.7");
    let shape = Explanation::from(&known);
    check(&shape, &serde_json::to_string(&shape).unwrap());
    let snapshot = snapshot(7, [member("b@h")]);
    let topologies = [topology()];
    let shape = Topologies::new(cursor(7), &topologies, &snapshot);
    check(&shape, &serde_json::to_string(&shape).unwrap());
    let event = event(3, EventKind::NodeDown, Some(member("b@h")));
    let shape = Event::new(cursor(3), &event);
    check(&shape, &serde_json::to_string(&shape).unwrap());
    let leaving = Node::try_new("b@h").unwrap().with_leaving();
    let shape = super::Node::from(&leaving);
    assert!(shape.leaving);
    check(&shape, &serde_json::to_string(&shape).unwrap());
}

/// Times sort as text, whatever their fraction is, and a clock before 1970 or beyond 9999 breaks nothing.
#[test]
fn times() {
    let text = |time: SystemTime| Time(time).to_text(Precision::Micros);
    assert_eq!(text(at(0)), "2026-01-01T00:00:00.000000Z");
    assert_eq!(text(at(1_234)), "2026-01-01T00:00:01.234000Z");
    assert_eq!(Time(at(1_999)).to_text(Precision::Seconds), "2026-01-01T00:00:01Z");
    let day = Duration::from_secs(86_400);
    assert_eq!(text(SystemTime::UNIX_EPOCH - day), "1970-01-01T00:00:00.000000Z");
    assert_eq!(text(SystemTime::UNIX_EPOCH + day * 4_000_000), "9999-12-31T23:59:59.000000Z");
}

/// The hooks: scripts rely on the keys.
#[test]
fn hooks_shape() {
    check(
        &Hooks::new(cursor(10), &[hook()]),
        &expect![[r#"
        {
          "epoch": "0192a5c7d1e8f402",
          "revision": 10,
          "hooks": [
            {
              "name": "pager",
              "action": "post https://pager.example/events",
              "cursor": "0192a5c7d1e8f402:7",
              "saved": "0192a5c7d1e8f402:5",
              "save_failure": null,
              "lag": 3,
              "delivered": 7,
              "failed": 2,
              "given_up": 0,
              "last_success": "2026-01-01T00:00:01.000000Z",
              "last_failure": {
                "at": "2026-01-01T00:00:02.000000Z",
                "reason": "503 Service Unavailable"
              },
              "next_try": "2026-01-01T00:01:04.000000Z"
            }
          ]
        }
    "#]],
    );
}
