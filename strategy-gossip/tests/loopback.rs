//! The strategy over real sockets on the loopback interface, run as a host runs it.
//!
//! Heartbeats are a minute apart here, so that whatever happens sooner happens for its own reason. Each test has a
//! port and a group of its own.
#![expect(clippy::unwrap_used, reason = "test helpers, which the setting for tests does not reach")]

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cluster_sdk::{
    Changes, LocalNode, NodeName, Report, StopReason,
    serde_json::{Value, json},
    testing::{Setting, TestHost},
};
use strategy_gossip::Gossip;

/// The options of a test's nodes.
#[derive(Clone)]
struct Net {
    config: BTreeMap<&'static str, Value>,
    port: u16,
    group: Ipv4Addr,
}

impl Net {
    /// `number` differs from test to test.
    fn new(number: u8) -> Self {
        let group = Ipv4Addr::new(239, 7, 7, number);
        let port = free_port();
        let config = BTreeMap::from([
            ("port", json!(port)),
            ("multicast_if", json!("127.0.0.1")),
            ("multicast_addr", json!(group)),
            ("heartbeat_interval", json!("60s")),
            ("heartbeat_timeout", json!("120s")),
        ]);
        Self { config, port, group }
    }

    fn with(&self, key: &'static str, value: Value) -> Self {
        let mut net = self.clone();
        net.config.insert(key, value);
        net
    }

    /// With heartbeats so close that one is heard by who opens its socket a moment later, and says nothing.
    fn insistent(&self) -> Self {
        self.with("heartbeat_interval", json!("100ms"))
    }

    fn start(&self, local: LocalNode) -> TestHost {
        let setting = Setting { local, ..Setting::default() };
        setting.strategy::<Gossip>(json!(self.config)).unwrap()
    }

    /// Sends as a stranger on this machine.
    fn send(&self, datagram: &[u8]) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        UdpSocket::from(socket).send_to(datagram, (self.group, self.port)).unwrap();
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

fn node(name: &str, incarnation: u64) -> LocalNode {
    LocalNode {
        cluster: "blue".to_owned(),
        name: Some(name.parse().unwrap()),
        incarnation,
        addresses: vec!["127.0.0.1:9000".to_owned()],
        attributes: BTreeMap::from([("zone".to_owned(), "eu-1".to_owned())]),
        ..LocalNode::default()
    }
}

fn changes(report: &Report) -> Changes {
    match report {
        Report::Apply(changes) => changes.clone(),
        Report::Reset(_) => Changes::default(),
    }
}

fn upserted(report: &Report, name: &str) -> Option<cluster_sdk::Node> {
    let name: NodeName = name.parse().unwrap();
    changes(report).upserts.iter().map(|record| record.to_node().unwrap()).find(|node| *node.name() == name)
}

/// Waits until the node hears of another, and returns what it hears.
#[track_caller]
fn hears(host: &TestHost, name: &str) -> cluster_sdk::Node {
    let report = host.wait_for_report(|report| upserted(report, name).is_some()).unwrap();
    upserted(&report, name).unwrap()
}

#[track_caller]
fn counts(host: &TestHost, counter: &str, at_least: u64) {
    host.wait_for_status(|status| status.counters.get(counter).is_some_and(|count| *count >= at_least))
        .unwrap();
}

fn fixture(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/libcluster/");
    std::fs::read(format!("{root}{path}")).unwrap()
}

/// Three nodes that start one after the other know each other by answers alone, with all that they say of themselves;
/// the first report of each is an empty partial list.
#[test]
fn formation_by_answers() {
    let net = Net::new(1);
    let hosts = ["a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"].map(|name| (name, net.start(node(name, 7))));
    for (own, host) in &hosts {
        match host.next_report().unwrap() {
            Report::Reset(view) => assert!(view.nodes.is_empty() && view.ttl.is_none()),
            Report::Apply(_) => panic!("{own} did not begin with a list"),
        }
        let others: Vec<_> = hosts.iter().filter(|(name, _)| name != own).collect();
        let mut missing: Vec<_> = others.iter().map(|(name, _)| *name).collect();
        while !missing.is_empty() {
            let report = host.next_report().unwrap();
            assert_eq!(changes(&report).ttl, Some(Duration::from_secs(120)));
            assert!(upserted(&report, own).is_none());
            missing.retain(|name| upserted(&report, name).is_none());
            for (name, _) in &others {
                let Some(node) = upserted(&report, name) else {
                    continue;
                };
                assert_eq!(node.incarnation(), Some(7));
                assert_eq!(node.addresses().collect::<Vec<_>>(), ["127.0.0.1:9000"]);
                assert_eq!(node.attributes().collect::<Vec<_>>(), [("zone", "eu-1")]);
            }
        }
    }
}

/// Who leaves is gone at once, in its incarnation; who is restarted says nothing and is back in the next one.
#[test]
fn goodbye_and_restart() {
    let net = Net::new(2);
    let stays = net.start(node("stays@127.0.0.1", 1));
    let leaves = net.start(node("leaves@127.0.0.1", 5));
    hears(&stays, "leaves@127.0.0.1");
    leaves.stop().unwrap();
    let report = stays.wait_for_report(|report| !changes(report).removals.is_empty()).unwrap();
    let removed: Vec<_> = changes(&report).removals.iter().map(|record| record.to_node().unwrap()).collect();
    assert_eq!(removed.len(), 1);
    assert_eq!((removed[0].name().as_str(), removed[0].incarnation()), ("leaves@127.0.0.1", Some(5)));

    let restarts = net.start(node("leaves@127.0.0.1", 6));
    assert_eq!(hears(&stays, "leaves@127.0.0.1").incarnation(), Some(6));
    restarts.request_stop(StopReason::Restart, Duration::from_secs(2));
    restarts.exit().unwrap();
    let _again = net.start(node("leaves@127.0.0.1", 7));
    let report = stays
        .wait_for_report(|report| {
            assert!(changes(report).removals.is_empty());
            upserted(report, "leaves@127.0.0.1").is_some_and(|node| node.incarnation() == Some(7))
        })
        .unwrap();
    assert!(changes(&report).removals.is_empty());
}

/// A changed attribute is told at once.
#[test]
fn attributes_follow() {
    let net = Net::new(3);
    let [a, b] = ["a@127.0.0.1", "b@127.0.0.1"].map(|name| net.start(node(name, 1)));
    hears(&a, "b@127.0.0.1");
    let mut local = node("b@127.0.0.1", 1);
    local.attributes.insert("zone".to_owned(), "eu-2".to_owned());
    b.update(&local);
    a.wait_for_report(|report| {
        upserted(report, "b@127.0.0.1").is_some_and(|node| node.attribute_map()["zone"] == "eu-2")
    })
    .unwrap();
}

/// Nodes with another secret and nodes of another cluster are not heard, but counted, and the latter are named.
#[test]
fn strangers_are_counted() {
    let net = Net::new(4).with("secret", json!("somepassword"));
    let own = net.start(node("own@127.0.0.1", 1));
    counts(&own, "datagrams_own", 1);
    let _other_secret = net.with("secret", json!("other")).start(node("secret@127.0.0.1", 1));
    let _other_cluster = net.start(LocalNode { cluster: "green".to_owned(), ..node("green@127.0.0.1", 1) });
    net.send(&fixture("gossip/real-secret-somepassword-1.bin"));
    hears(&own, "a@127.0.0.1");
    counts(&own, "datagrams_undecipherable", 1);
    counts(&own, "datagrams_other_cluster", 1);
    own.wait_for_log(r#"heartbeats of another cluster are ignored other_cluster="green" own_cluster="blue""#)
        .unwrap();
    let _friend = net.start(node("friend@127.0.0.1", 1));
    own.wait_for_report(|report| {
        let stranger =
            ["secret@127.0.0.1", "green@127.0.0.1"].iter().any(|name| upserted(report, name).is_some());
        assert!(!stranger, "{report:?}");
        upserted(report, "friend@127.0.0.1").is_some()
    })
    .unwrap();
}

/// Without multicast: by unicast, to an address one way and to a name the other.
#[test]
fn unicast() {
    let net = Net::new(5);
    let ports = [free_port(), free_port()];
    let seed = |port| vec![format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let [a, b] = [("a@127.0.0.1", 0), ("b@127.0.0.1", 1)].map(|(name, at)| {
        let net = net.with("port", json!(ports[at])).with("unicast", json!([seed(ports[1 - at])[at]]));
        net.start(node(name, 1))
    });
    hears(&a, "b@127.0.0.1");
    hears(&b, "a@127.0.0.1");
}

/// Under a flood of junk a node still hears, is heard, and stops in time.
#[test]
fn flood() {
    let net = Net::new(6);
    let flooded = net.start(node("flooded@127.0.0.1", 1));
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let (net, is_over) = (net.clone(), Arc::clone(&is_over));
        move || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
            socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
            let socket = UdpSocket::from(socket);
            while !is_over.load(Ordering::Relaxed) {
                // The kernel may have no room for more.
                socket.send_to(b"heartbeat::\x83\x74junk", (net.group, net.port)).unwrap_or_default();
            }
        }
    });
    counts(&flooded, "datagrams_malformed", 10_000);
    // Of several heartbeats one gets through a receive buffer that is always full.
    let quick = net.with("heartbeat_interval", json!("20ms")).with("heartbeat_timeout", json!("60s"));
    let newcomer = quick.start(node("newcomer@127.0.0.1", 1));
    hears(&flooded, "newcomer@127.0.0.1");
    hears(&newcomer, "flooded@127.0.0.1");
    flooded.stop().unwrap();
    is_over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
}

/// Without a name a node hears and says so, and sends nothing until it has one.
#[test]
fn observer() {
    let net = Net::new(7);
    let observer = net.start(LocalNode { name: None, ..node("late@127.0.0.1", 1) });
    observer.wait_for_log("gossip listens and announces nothing").unwrap();
    let other = net.insistent().start(node("other@127.0.0.1", 1));
    hears(&observer, "other@127.0.0.1");
    counts(&other, "datagrams_own", 1);
    assert!(other.reports().iter().all(|report| changes(report).upserts.is_empty()));
    observer.update(&node("late@127.0.0.1", 1));
    hears(&other, "late@127.0.0.1");
}

/// A node that does not take part hears and says nothing, not even that it leaves; when it does, it is heard at once.
#[test]
fn absent() {
    let net = Net::new(13);
    let away = || LocalNode { present: false, ..node("a@127.0.0.1", 1) };
    let host = net.start(away());
    host.wait_for_log("does not take part: gossip listens and announces nothing").unwrap();
    let other = net.insistent().start(node("other@127.0.0.1", 1));
    hears(&host, "other@127.0.0.1");
    assert!(other.reports().iter().all(|report| changes(report).upserts.is_empty()));

    host.update(&node("a@127.0.0.1", 1));
    hears(&other, "a@127.0.0.1");

    host.update(&away());
    host.update(&node("a@127.0.0.1", 1));
    let back = hears(&other, "a@127.0.0.1");
    assert_eq!(back.incarnation(), Some(1), "the incarnation was not declared dead");

    host.update(&away());
    host.stop().unwrap();
    let _last = net.start(node("last@127.0.0.1", 1));
    let mut heard = other.next_report().unwrap();
    while upserted(&heard, "last@127.0.0.1").is_none() {
        assert!(changes(&heard).removals.is_empty(), "nobody said that it leaves");
        heard = other.next_report().unwrap();
    }
}

/// Trouble with the socket is told with a remedy, and ends by itself.
#[test]
fn socket_trouble_ends() {
    let holder = UdpSocket::bind("0.0.0.0:0").unwrap();
    let net = Net::new(8).with("port", json!(holder.local_addr().unwrap().port()));
    let host = net.start(node("a@127.0.0.1", 1));
    let said = |host: &TestHost, text: &str| {
        host.wait_for_status(|status| status.reason.as_ref().is_some_and(|reason| reason.contains(text)))
            .unwrap();
    };
    said(&host, "another program holds the port and does not share it: stop it, or set another port");
    drop(holder);
    host.wait_for_status(|status| status.reason.is_none()).unwrap();
    counts(&host, "datagrams_own", 1);

    let host = Net::new(9).with("multicast_if", json!("192.0.2.1")).start(node("a@127.0.0.1", 1));
    said(&host, "on 192.0.2.1: ");
    said(&host, "set multicast_if to the address of an interface that carries multicast");

    let quick = Net::new(10).with("heartbeat_interval", json!("20ms")).with("if_addr", json!("127.0.0.1"));
    let host = quick.start(node("a@127.0.0.1", 1));
    said(&host, "not even our own: a socket bound to if_addr 127.0.0.1 hears no multicast on Linux");

    let host =
        Net::new(11).with("secret", json!({ "file": "/nonexistent/key" })).start(node("a@127.0.0.1", 1));
    said(&host, "secret file \"/nonexistent/key\" cannot be read");
}

/// libcluster's recorded heartbeats are heard, whatever else comes; hosts outside `allow` are not.
#[test]
fn hears_libcluster() {
    let net = Net::new(12).with("allow", json!(["127.0.0.0/8"]));
    let host = net.start(node("own@127.0.0.1", 1));
    counts(&host, "datagrams_own", 1);
    for name in ["crash-truncated-plain", "crash-empty-etf", "crash-garbage-etf", "ignored-wrong-secret"] {
        net.send(&fixture(&format!("gossip-negative/{name}.bin")));
    }
    net.send(&fixture("gossip/real-plain-a@b.c.bin"));
    net.send(&fixture("gossip/derived-otp26-plain-a@127.0.0.1.bin"));
    let heard = hears(&host, "a@127.0.0.1");
    assert_eq!((heard.incarnation(), heard.addresses().count()), (None, 0));
    counts(&host, "datagrams_malformed", 3);
    counts(&host, "datagrams_undecipherable", 1);
    counts(&host, "datagrams_not_allowed", 1);
}
