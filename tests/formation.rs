//! Hosts on one machine form a cluster through `libstrategy_gossip.so`, and notice who comes and goes.

use serde_json::json;

use crate::{
    host::{Host, outcome},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";
const CAROL: &str = "carol@127.0.0.1";
const ALL: [&str; 3] = [ALICE, BOB, CAROL];
/// Notices the silent quickly, though not before a few heartbeats were lost on a busy machine.
const BRISK: &str = "heartbeat_interval = \"500ms\"\nheartbeat_timeout = \"5s\"";
/// Nobody is ever given up for being silent.
const PATIENT: &str = "heartbeat_timeout = \"1h\"";

fn start_all(lan: &Lan, options: &str) -> [Host; 3] {
    let hosts = ALL.map(|node| lan.start(node, options));
    for host in &hosts {
        host.wait_up(&ALL);
    }
    hosts
}

/// Three hosts agree on the members, what each says of itself reaches the others, and the folded events are the
/// snapshot.
#[test]
fn three_hosts_find_each_other() {
    let lan = Lan::new();
    let told = "attributes = { zone = \"eu-1\", role = \"api\" }\naddresses = [\"127.0.0.1:7000\"]\n[topologies.lan]";
    let alice = lan.start_with(lan.config(ALICE, "").replace("[topologies.lan]\n", &format!("{told}\n")));
    let others = [lan.start(BOB, ""), lan.start(CAROL, "")];
    alice.wait_up(&ALL);
    for host in &others {
        host.wait_up(&ALL);
        host.wait("what alice says of herself", |view| {
            let alice = &view.members[ALICE];
            alice["attributes"] == json!({ "zone": "eu-1", "role": "api" })
                && alice["addresses"] == json!(["127.0.0.1:7000"])
                && alice["self"] == false
                && alice["incarnation"].is_u64()
        });
        host.check_fold();
    }
    alice.check_fold();
    let view = alice.view();
    assert_eq!(view.members[ALICE]["self"], true);
    assert_eq!(alice.members()["self"], ALICE);
    let vouched = &view.members[BOB]["topologies"][0];
    assert_eq!((&vouched["name"], &vouched["link"]), (&json!("lan"), &json!("none")));
}

/// The shapes that scripts rely on, by the command line.
#[test]
fn printed_shapes() {
    let lan = Lan::new();
    let [alice, _bob, _carol] = start_all(&lan, PATIENT);
    let keys = |value: &serde_json::Value| {
        let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
        object.keys().cloned().collect::<Vec<_>>().join(" ")
    };

    let (code, members, errors) = outcome(&alice.ask("members --json"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let members: serde_json::Value = serde_json::from_str(&members).unwrap();
    assert_eq!(keys(&members), "epoch members revision self");
    let member = "addresses attributes incarnation name reason self since state topologies";
    assert_eq!(keys(&members["members"][0]), member);
    assert_eq!(keys(&members["members"][1]["topologies"][0]), "link name reason since");

    let (code, events, errors) = outcome(&alice.ask("events --json"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(keys(&events[0]), "at cursor epoch members node reason revision topology type");
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("resync")));

    let (code, events, errors) = outcome(&alice.ask("events --json --since 0"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let up = events
        .iter()
        .find(|event| event["type"] == "node_up" && event["node"] == BOB)
        .expect("bob's node_up");
    assert_eq!(keys(up), "at cursor epoch member node reason revision topology type");
    assert_eq!(keys(&up["member"]), member);
    let cursor = format!("{}:{}", up["epoch"].as_str().unwrap(), up["revision"]);
    assert_eq!(up["cursor"], cursor);
}

/// A node whose host is killed is noticed by its silence, and returns with a higher incarnation when it is started
/// again.
#[test]
fn killed_and_back() {
    let lan = Lan::new();
    let [alice, bob, mut carol] = start_all(&lan, BRISK);
    let first = alice.view().incarnation(CAROL).expect("carol's incarnation");
    carol.kill();
    for host in [&alice, &bob] {
        host.wait("carol gone", |view| view.events_of("node_left", CAROL).count() == 1);
        host.wait_up(&[ALICE, BOB]);
        let view = host.view();
        let down = view.events_of("node_down", CAROL).next().expect("down before it leaves");
        let left = view.events_of("node_left", CAROL).next().expect("left");
        assert!(down["revision"].as_u64() < left["revision"].as_u64());
        assert!(left["member"].is_null());
    }
    carol.restart();
    for host in [&alice, &bob, &carol] {
        host.wait_up(&ALL);
        host.wait("a later incarnation", |view| view.incarnation(CAROL) > Some(first));
        host.check_fold();
    }
}

/// Who is started again before its silence was noticed is updated to its new incarnation, and nobody thinks it gone
/// for the old one's sake.
#[test]
fn back_before_it_was_missed() {
    let lan = Lan::new();
    let [alice, _bob, mut carol] = start_all(&lan, PATIENT);
    let first = alice.view().incarnation(CAROL).expect("carol's incarnation");
    carol.kill();
    carol.restart();
    alice.wait("a later incarnation", |view| view.incarnation(CAROL) > Some(first));
    alice.wait_up(&ALL);
    assert_eq!(alice.view().count("node_left"), 0);
}

/// A node that stops cleanly is gone at once: nobody here gives up the silent within this test.
#[test]
fn clean_stop_is_told() {
    let lan = Lan::new();
    let [alice, bob, mut carol] = start_all(&lan, PATIENT);
    let status = carol.terminate();
    assert!(status.success(), "{status}");
    for host in [&alice, &bob] {
        host.wait_up(&[ALICE, BOB]);
        assert_eq!(host.view().events_of("node_left", CAROL).count(), 1);
    }
    carol.restart();
    for host in [&alice, &bob, &carol] {
        host.wait_up(&ALL);
    }
}

/// A newcomer is answered at once, so that a cluster forms in milliseconds: here nobody's turn to send comes within
/// the test but by that answer.
#[test]
fn newcomers_are_answered() {
    let lan = Lan::new();
    let slow = "heartbeat_interval = \"1h\"\nheartbeat_timeout = \"3h\"";
    let _hosts = start_all(&lan, slow);
}

/// Nodes of another cluster on the same port are ignored and counted, whichever was first.
#[test]
fn other_clusters() {
    let lan = Lan::new();
    let alice = lan.start(ALICE, "");
    let bob = lan.start_with(lan.config(BOB, "").replace("cluster = \"test\"", "cluster = \"other\""));
    for host in [&alice, &bob] {
        host.settle("a datagram of another cluster", || {
            (host.counter("lan", "datagrams_other_cluster") > 0).then_some(())
        });
    }
    alice.wait_up(&[ALICE]);
    bob.wait_up(&[BOB]);
}

/// With a secret those who know it form a cluster, from whatever source they have it; others neither understand nor
/// are understood.
#[test]
fn secrets() {
    let lan = Lan::new();
    let file = lan.plugins.path().join("secret");
    std::fs::write(&file, "pässwörd\n").unwrap();
    let alice = lan.start(ALICE, "secret = \"pässwörd\"");
    let bob = lan.start(BOB, &format!("secret = {{ file = \"{}\" }}", file.display()));
    let wrong = lan.start(CAROL, "secret = \"guessed\"");
    let none = lan.start("dave@127.0.0.1", "");
    for host in [&alice, &bob] {
        host.wait_up(&[ALICE, BOB]);
    }
    for host in [&alice, &wrong, &none] {
        host.settle("an undecipherable datagram", || {
            (host.counter("lan", "datagrams_undecipherable") > 0).then_some(())
        });
    }
    wrong.wait_up(&[CAROL]);
    none.wait_up(&["dave@127.0.0.1"]);
    alice.wait_up(&[ALICE, BOB]);
}

/// Where there is no multicast between nodes, `unicast` is enough, by address and by name; one direction suffices to
/// be found, as a newcomer is answered by all ways.
#[test]
fn unicast() {
    let (first, second) = (Lan::new(), Lan::new());
    let alice = first.start(ALICE, &format!("unicast = [\"127.0.0.1:{}\"]", second.port));
    let bob = second.start(BOB, &format!("unicast = [\"localhost:{}\"]", first.port));
    alice.wait_up(&[ALICE, BOB]);
    bob.wait_up(&[ALICE, BOB]);
}

/// Broadcast works in place of multicast.
#[test]
fn broadcast() {
    let lan = Lan::new();
    let options = "broadcast_only = true\nmulticast_addr = \"127.255.255.255\"";
    let hosts = [lan.start(ALICE, options), lan.start(BOB, options)];
    for host in &hosts {
        host.wait_up(&[ALICE, BOB]);
    }
}

/// With `allow` only those whose name has an address inside count.
#[test]
fn allowed_networks() {
    let lan = Lan::new();
    let alice = lan.start(ALICE, "allow = [\"127.0.0.0/8\"]");
    let bob = lan.start(BOB, "");
    let stranger = lan.start("eve@203.0.113.1", "");
    alice.settle("a datagram of a stranger", || {
        (alice.counter("lan", "datagrams_not_allowed") > 0).then_some(())
    });
    alice.wait_up(&[ALICE, BOB]);
    let all = [ALICE, BOB, "eve@203.0.113.1"];
    bob.wait_up(&all);
    stranger.wait_up(&all);
}
