//! Heartbeats as the real libcluster sends them, and datagrams that end it: into a running host, by its socket.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    thread,
};

use socket2::SockRef;

use crate::{
    host::{Host, http},
    lan::Lan,
};

const SELF: &str = "self@127.0.0.1";
const GROUP: Ipv4Addr = Ipv4Addr::new(230, 1, 1, 251);
const SENTINEL: &str = "sentinel@127.0.0.1";

/// A heartbeat as OTP 26 and later encodes it.
pub(crate) fn heartbeat(node: &str) -> Vec<u8> {
    let mut bytes = b"heartbeat::\x83\x74\0\0\0\x01\x77\x04node\x77".to_vec();
    bytes.push(u8::try_from(node.len()).expect("a short name"));
    bytes.extend_from_slice(node.as_bytes());
    bytes
}

fn fixtures(directory: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/libcluster").join(directory);
    let entries = fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    assert!(!paths.is_empty(), "{} is empty", root.display());
    let named =
        |path: &PathBuf| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
    paths.iter().map(named).collect()
}

/// Sends datagrams to all hosts of a LAN, which take them in this order.
struct Sender {
    socket: UdpSocket,
    port: u16,
}

impl Sender {
    fn to(lan: &Lan) -> Self {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        Self { socket, port: lan.port }
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, (GROUP, self.port)).unwrap();
    }
}

/// A host that listens, with a secret or without.
fn listening(lan: &Lan, secret: Option<&str>) -> Host {
    let option = secret.map(|secret| format!("secret = \"{secret}\"")).unwrap_or_default();
    let host = lan.start(SELF, &option);
    // It hears itself, so it would hear others.
    host.settle("its own heartbeat", || (host.counter("lan", "datagrams_own") > 0).then_some(()));
    host
}

/// Every recorded heartbeat makes the member that the real libcluster would dial, at the host with its secret only; of
/// the files exactly as many are taken.
#[test]
fn recorded_heartbeats() {
    let long = "n".repeat(200) + "@127.0.0.1";
    let longest = "n".repeat(245) + "@127.0.0.1";
    let cjk = "日".repeat(245) + "@127.0.0.1";
    let plain: [&str; 7] = ["a@127.0.0.1", "a@b.c", &long, &longest, "n1@höst.local", "n1@日本.local", &cjk];
    let files = fixtures("gossip");
    // Those with a secret, and that of a BEAM that is not distributed, name nobody to a host without.
    let count = files.iter().filter(|(file, _)| !file.contains("secret") && !file.contains("nonode")).count();
    let expected: [(Option<&str>, &[&str], usize); 4] = [
        (None, &plain, count),
        (Some("somepassword"), &["a@127.0.0.1"], 3),
        (Some("pässwörd"), &["a@127.0.0.1"], 1),
        (Some("s"), &["a@b.c"], 1),
    ];
    for (secret, nodes, taken) in expected {
        let lan = Lan::new();
        let host = listening(&lan, secret);
        let sender = Sender::to(&lan);
        for (_, datagram) in &files {
            sender.send(datagram);
        }
        let all: Vec<&str> = nodes.iter().copied().chain([SELF]).collect();
        host.wait_up(&all);
        let counted = (taken as u64, files.len() as u64);
        host.settle("each file to be counted", || (heard(&host) == counted).then_some(()));
        host.wait_up(&all);
        host.check_fold();
    }
}

/// What a host has counted of others' datagrams: heartbeats that it took, and all.
fn heard(host: &Host) -> (u64, u64) {
    let topology = host.topology("lan");
    let of_others =
        |name: &str| name.starts_with("datagrams_") && !["datagrams_own", "datagrams_sent"].contains(&name);
    let counters = topology["counters"].as_object().expect("counters").iter();
    let all = counters.filter(|(name, _)| of_others(name)).filter_map(|(_, count)| count.as_u64()).sum();
    (topology["counters"]["datagrams_accepted"].as_u64().unwrap_or_default(), all)
}

/// What ends libcluster's supervisor, and all else that it ignores or should, costs a counter here.
#[test]
fn bad_datagrams_cost_a_counter() {
    for secret in [None, Some("somepassword")] {
        let lan = Lan::new();
        let host = listening(&lan, secret);
        let sender = Sender::to(&lan);
        let mut files = fixtures("gossip-negative");
        // Whole blocks and a padding that its unpad lets through: libcluster dials these, and so may we.
        files.retain(|(file, _)| !file.contains("oddity-secret"));
        for (_, datagram) in &files {
            sender.send(datagram);
        }
        let counted = (0, files.len() as u64);
        host.settle("each datagram to be refused", || (heard(&host) == counted).then_some(()));
        host.wait_up(&[SELF]);
        let view = host.view();
        assert_eq!(view.count("node_discovered"), 1, "itself alone: {view}");
        assert_eq!(host.topology("lan")["restarts"], 0);
    }
}

/// A million bad datagrams change nothing: the members stay, the host answers meanwhile, and afterwards it hears
/// newcomers as before. Both hosts get them all.
#[test]
fn a_million_bad_datagrams() {
    const DATAGRAMS: usize = 1_000_000;
    let lan = Lan::new();
    let (host, peer) = (listening(&lan, None), lan.start("peer@127.0.0.1", ""));
    let both = [SELF, "peer@127.0.0.1"];
    host.wait_up(&both);
    peer.wait_up(&both);
    let revision = host.view().revision;

    let mut bad: Vec<Vec<u8>> =
        fixtures("gossip-negative").into_iter().map(|(_, datagram)| datagram).collect();
    bad.extend([vec![], vec![0xff; 1400], b"heartbeat::\x83\x74\xff\xff\xff\xff".to_vec()]);
    let sender = Sender::to(&lan);
    let flood = thread::spawn(move || {
        for datagram in bad.iter().cycle().take(DATAGRAMS) {
            sender.send(datagram);
        }
        sender
    });
    let mut answers = 0;
    while !flood.is_finished() {
        assert!(http::get(&host.socket(), "/v1/members").is_ok());
        answers += 1;
    }
    let sender = flood.join().unwrap();
    assert!(answers > 0, "the flood was over too soon to tell anything");

    host.settle("a heartbeat after the flood", || {
        sender.send(&heartbeat(SENTINEL));
        (host.view().state(SENTINEL) == Some("up")).then_some(())
    });
    let view = host.view();
    let meanwhile: Vec<_> =
        view.events.iter().filter(|event| event["revision"].as_u64() > Some(revision)).collect();
    let others: Vec<_> = meanwhile.iter().filter(|event| event["node"] != SENTINEL).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(host.topology("lan")["restarts"], 0);
    host.check_fold();
}
