//! A real BEAM as a peer: what libcluster's Gossip does with the functions of OTP understands our heartbeats, and we
//! its.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use crate::{
    host::{DEADLINE, Host, now},
    lan::Lan,
};

const RUSTY: &str = "rusty@127.0.0.1";
const BEAM: &str = "beam@127.0.0.1";
const GROUP: &str = "230.1.1.251";

/// The peer, which ends when this is dropped.
struct Peer {
    child: Child,
    lines: mpsc::Receiver<String>,
}

// === impl Peer ===

impl Peer {
    fn start(lan: &Lan, node: &str, version: u8, secret: Option<&str>) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/beam/gossip_peer.escript");
        let found = Command::new("sh").args(["-c", "command -v escript >/dev/null"]).status();
        assert!(
            found.is_ok_and(|found| found.success()),
            "escript is missing (packages erlang-base and erlang-crypto); `make test` installs what can be installed"
        );
        // Erlang takes the text of its arguments for UTF-8 where the locale says so.
        let mut child = Command::new("escript")
            .arg(script)
            .args([&lan.port.to_string(), GROUP, node, &version.to_string()])
            .args(secret)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits until it says that it understood a heartbeat of the node.
    fn wait_heard(&self, node: &str) {
        let heard = format!("heard {node}");
        let deadline = now() + DEADLINE;
        let mut lines = Vec::new();
        while lines.last() != Some(&heard) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    panic!("the BEAM did not understand a heartbeat of {node}: {error}; it says {lines:?}")
                }
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn host(lan: &Lan, secret: Option<&str>) -> Host {
    let option = secret.map(|secret| format!("secret = \"{secret}\"")).unwrap_or_default();
    let told = "attributes = { zone = \"eu-1\" }\naddresses = [\"127.0.0.1:7000\"]\n[topologies.lan]\n";
    lan.start_with(lan.config(RUSTY, &option).replace("[topologies.lan]\n", told))
}

/// Both ways, plain and with a secret, in the encoding of OTP 25 and in that of OTP 26.
#[test]
fn understand_each_other() {
    for version in [1, 2] {
        for secret in [None, Some("somepassword"), Some("pässwörd")] {
            let lan = Lan::new();
            let host = host(&lan, secret);
            let peer = Peer::start(&lan, BEAM, version, secret);
            host.wait_up(&[RUSTY, BEAM]);
            assert!(host.view().members[BEAM]["incarnation"].is_null(), "a BEAM tells none");
            peer.wait_heard(RUSTY);
        }
    }
}

/// Names outside ASCII are the same on both sides, in both encodings.
#[test]
fn names_beyond_ascii() {
    for version in [1, 2] {
        let lan = Lan::new();
        let node = "n1@höst.local";
        let ours = lan.start("ü@höst.local", "");
        let peer = Peer::start(&lan, node, version, None);
        ours.wait_up(&["ü@höst.local", node]);
        peer.wait_heard("ü@höst.local");
    }
}

/// Different secrets, or one with and one without: neither understands the other, in silence.
#[test]
fn other_secrets_are_silent() {
    let lan = Lan::new();
    let host = host(&lan, Some("somepassword"));
    let _guessing = Peer::start(&lan, "guessing@127.0.0.1", 2, Some("other"));
    let _plain = Peer::start(&lan, "plain@127.0.0.1", 2, None);
    let knowing = Peer::start(&lan, BEAM, 2, Some("somepassword"));
    host.wait_up(&[RUSTY, BEAM]);
    knowing.wait_heard(RUSTY);
    host.settle("both strangers to be counted", || {
        (host.counter("lan", "datagrams_undecipherable") > 1).then_some(())
    });
    host.wait_up(&[RUSTY, BEAM]);
}

/// A cluster of both kinds: two hosts and two BEAMs, each hears the three others.
#[test]
fn mixed_cluster() {
    let lan = Lan::new();
    let beams = ["beam1@127.0.0.1", "beam2@127.0.0.1"];
    let hosts = [RUSTY, "crusty@127.0.0.1"];
    let running = hosts.map(|node| lan.start(node, ""));
    let peers = [Peer::start(&lan, beams[0], 1, None), Peer::start(&lan, beams[1], 2, None)];
    let all = [beams, hosts].concat();
    for host in &running {
        host.wait_up(&all);
        host.check_fold();
    }
    for peer in &peers {
        for node in hosts {
            peer.wait_heard(node);
        }
    }
}
