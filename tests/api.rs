//! The API and the commands that ask it, of a running host.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    host::{Host, Launch, cluster_host, free_tcp_port, outcome},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";

fn events(host: &Host, command: &str) -> Vec<Value> {
    let (code, out, errors) = outcome(&host.ask(command));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{command}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The socket is its owner's alone, and gone with the host.
#[test]
fn socket_is_private() {
    let lan = Lan::new();
    let alice = lan.start(ALICE, "");
    alice.wait_up(&[ALICE]);
    let socket = fs::metadata(alice.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert!(alice.terminate().success());
    assert!(!alice.socket().exists());
}

/// A host that was killed leaves its socket, and the next one takes its place; a living one keeps it.
#[test]
fn socket_of_the_dead() {
    let lan = Lan::new();
    let mut alice = lan.start(ALICE, "");
    alice.wait_up(&[ALICE]);
    alice.kill();
    assert!(alice.socket().exists());
    alice.restart();
    alice.wait_up(&[ALICE]);
    let (api, config) = (alice.api(), alice.config_file());
    let plugins = lan.plugins.path().to_str().unwrap();
    let second =
        cluster_host(&["run", "--config", config.to_str().unwrap(), "--plugins", plugins, "--listen", &api]);
    let (code, _, errors) = outcome(&second);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("another process already does"), "{errors}");
    assert_eq!(alice.members()["self"], ALICE);
}

/// An HTTP request over TCP, and the status and body of its answer.
fn request(port: u16, head: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "{head}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Over loopback TCP the API reads only, and answers neither to another name nor to another site's script.
#[test]
fn tcp_is_guarded() {
    let lan = Lan::new();
    let port = free_tcp_port();
    let (config, plugins) = (lan.config(ALICE, ""), lan.plugins.path().to_owned());
    let listen = Some(format!("127.0.0.1:{port}"));
    let alice = Host::start(Launch { config, plugins, listen, ..Launch::default() });
    let own = format!("Host: 127.0.0.1:{port}");
    let (status, body) =
        alice.settle("an answer over TCP", || request(port, &format!("GET /v1/members HTTP/1.1\r\n{own}")));
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"epoch\""), "{body}");
    for (head, expected) in [
        (format!("GET /v1/members HTTP/1.1\r\nHost: localhost:{port}"), 200),
        (format!("GET /v1/members HTTP/1.1\r\n{own}\r\nOrigin: http://127.0.0.1:{port}"), 200),
        ("GET /v1/members HTTP/1.1\r\nHost: evil.example".to_owned(), 403),
        (format!("GET /v1/members HTTP/1.1\r\nHost: evil.example:{port}"), 403),
        (format!("GET /v1/members HTTP/1.1\r\n{own}\r\nOrigin: http://evil.example"), 403),
        (format!("GET /v1/members HTTP/1.1\r\n{own}\r\nOrigin: null"), 403),
        (format!("POST /v1/members HTTP/1.1\r\n{own}\r\nContent-Length: 0"), 405),
        (format!("DELETE /v1/members HTTP/1.1\r\n{own}"), 405),
    ] {
        let answer = request(port, &head);
        assert_eq!(answer.as_ref().map(|(status, _)| *status), Some(expected), "{head}: {answer:?}");
    }
    let url = format!("http://127.0.0.1:{port}");
    let (code, members, errors) = outcome(&cluster_host(&["members", "--json", "--api", &url]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(members.contains(ALICE), "{members}");
}

/// Addresses that others can reach are refused where nothing says who may ask.
#[test]
fn other_addresses_are_refused() {
    let lan = Lan::new();
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:4444"] {
        let (config, plugins) = (lan.config(ALICE, ""), lan.plugins.path().to_owned());
        let host =
            Host::start(Launch { config, plugins, listen: Some(address.to_owned()), ..Launch::default() });
        assert_eq!(host.wait_end().code(), Some(2), "{address}: {}", host.log());
        assert!(host.log().contains("loopback"), "{address}: {}", host.log());
    }
}

/// A subscriber that comes back with its cursor gets what it missed, each event once and in order, and the fold of that
/// is the snapshot; with a cursor of another epoch it gets the members anew.
#[test]
fn resume_by_cursor() {
    let lan = Lan::new();
    let mut alice = lan.start(ALICE, "heartbeat_timeout = \"1h\"");
    alice.wait_up(&[ALICE]);
    let first = events(&alice, "events --json");
    let [resync] = first.as_slice() else { panic!("not one event: {first:?}") };
    let cursor = resync["cursor"].as_str().unwrap().to_owned();

    // Somebody came, went, and came again while it was away.
    let mut bob = lan.start(BOB, "");
    alice.wait_up(&[ALICE, BOB]);
    assert!(bob.terminate().success());
    alice.wait_up(&[ALICE]);
    bob.restart();
    alice.wait_up(&[ALICE, BOB]);

    let missed = events(&alice, &format!("events --json --since {cursor}"));
    let revision = resync["revision"].as_u64().unwrap();
    let revisions: Vec<u64> = missed.iter().map(|event| event["revision"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (revision + 1..=revision + missed.len() as u64).collect();
    assert_eq!(revisions, expected);
    let ups = missed.iter().filter(|event| event["type"] == "node_up" && event["node"] == BOB).count();
    assert_eq!(ups, 2);
    let mut members: BTreeMap<String, Value> = BTreeMap::new();
    for member in resync["members"].as_array().unwrap() {
        members.insert(member["name"].as_str().unwrap().to_owned(), member.clone());
    }
    for event in &missed {
        match (event["node"].as_str(), &event["member"]) {
            (None, _) => {}
            (Some(node), Value::Null) => drop(members.remove(node)),
            (Some(node), member) => drop(members.insert(node.to_owned(), member.clone())),
        }
    }
    let latest = events(&alice, "events --json");
    if latest[0]["revision"] == *revisions.last().unwrap() {
        assert_eq!(latest[0]["members"], Value::from_iter(members.into_values()));
    }
    // A bare revision is one of the current epoch.
    assert_eq!(events(&alice, &format!("events --json --since {revision}"))[0], missed[0]);
    let now = latest[0]["cursor"].as_str().unwrap();
    assert!(events(&alice, &format!("events --json --since {now}")).is_empty());

    alice.kill();
    alice.restart();
    alice.wait_up(&[ALICE, BOB]);
    let anew = events(&alice, &format!("events --json --since {cursor}"));
    assert_eq!(anew[0]["type"], "resync");
    assert_ne!(anew[0]["epoch"], resync["epoch"]);
    let (code, _, errors) = outcome(&alice.ask("events --json --since yesterday"));
    assert_eq!(code, Some(2), "{errors}");
}

/// `cluster-host events --follow` as a script runs it.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Following {
    fn start(host: &Host, since: Option<&str>) -> Self {
        let mut command = Command::new("timeout");
        command.args([
            "60",
            env!("CARGO_BIN_EXE_cluster-host"),
            "events",
            "--json",
            "--follow",
            "--api",
            &host.api(),
        ]);
        if let Some(since) = since {
            command.args(["--since", since]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    #[track_caller]
    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("another event").unwrap()).unwrap()
    }

    /// Reads up to the event of this type about the node, or about none.
    fn until(&mut self, kind: &str, node: Option<&str>) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let found = event["type"] == kind && event["node"].as_str() == node;
            events.push(event);
            if found {
                return events;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It passes that on; with SIGKILL the command would be left.
        let timeout = Pid::from_child(&self.child);
        let _ended = kill_process(timeout, Signal::TERM);
        let _reaped = self.child.wait();
    }
}

/// A script that follows the events hears of each change as it happens, and one that was cut off goes on where it was.
#[test]
fn follow() {
    let lan = Lan::new();
    let alice = lan.start(ALICE, "heartbeat_timeout = \"1h\"");
    alice.wait_up(&[ALICE]);
    let mut following = Following::start(&alice, None);
    let first = following.next();
    assert_eq!(first["type"], "resync");
    let bob = lan.start(BOB, "");
    let mut seen = vec![first];
    seen.extend(following.until("node_up", Some(BOB)));
    let cursor = seen.last().unwrap()["cursor"].as_str().unwrap().to_owned();
    drop(following);
    assert!(bob.terminate().success());
    alice.wait_up(&[ALICE]);
    let missed = Following::start(&alice, Some(&cursor)).until("node_left", Some(BOB));
    let seen = seen.iter().chain(&missed).map(|event| event["revision"].as_u64().unwrap());
    let seen: Vec<u64> = seen.collect();
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
}

/// Where nobody reads any more it ends, though there is nothing to print.
#[test]
fn follow_without_reader() {
    let lan = Lan::new();
    let alice = lan.start(ALICE, "");
    alice.wait_up(&[ALICE]);
    for command in [["events", "--follow"], ["members", "--watch"]] {
        let mut following = Command::new(env!("CARGO_BIN_EXE_cluster-host"));
        following.args(command).args(["--api", &alice.api()]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut following = following.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(following.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let status = alice.settle("the end of who follows", || following.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{command:?}");
    }
}

/// It goes on through the end of the daemon and its return: with what is remembered each event comes once, without there
/// is one resync.
#[test]
fn follow_through_restarts() {
    let lan = Lan::new();
    for is_remembered in [true, false] {
        let state = tempfile::tempdir().unwrap();
        let state = format!("[state]\ndirectory = {:?}\n", state.path().join("state"));
        let state = if is_remembered { state } else { String::new() };
        let mut alice = lan.start_with(format!("{}{state}", lan.config(ALICE, "")));
        alice.wait_up(&[ALICE]);
        let mut following = Following::start(&alice, None);
        let bob = lan.start(BOB, "");
        let mut seen = following.until("node_up", Some(BOB));
        for is_killed in [true, false] {
            if is_killed {
                alice.kill();
            } else {
                assert!(alice.terminate().success());
            }
            alice.restart();
            alice.wait_up(&[ALICE, BOB]);
            if !is_remembered {
                seen.extend(following.until("resync", None));
            }
        }
        assert!(bob.terminate().success());
        seen.extend(following.until("node_left", Some(BOB)));
        let resyncs = seen.iter().filter(|event| event["type"] == "resync").count();
        assert_eq!(resyncs, if is_remembered { 1 } else { 3 }, "{seen:#?}");
        for pair in seen.windows(2) {
            if pair[1]["type"] != "resync" {
                assert_eq!(pair[0]["epoch"], pair[1]["epoch"], "{pair:#?}");
                assert_eq!(pair[0]["revision"].as_u64().unwrap() + 1, pair[1]["revision"], "{pair:#?}");
            }
        }
    }
}

/// `explain` tells of a member why it is one, and says with its exit code that it knows nothing of a stranger.
#[test]
fn explain() {
    let lan = Lan::new();
    let (alice, _bob) = (lan.start(ALICE, ""), lan.start(BOB, ""));
    alice.wait_up(&[ALICE, BOB]);
    let (code, text, errors) = outcome(&alice.ask(&format!("explain {BOB}")));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(text.contains(BOB) && text.contains("lan"), "{text}");
    let (code, _, errors) = outcome(&alice.ask("explain nobody@127.0.0.1"));
    assert_eq!(code, Some(1), "{errors}");
    for part in ["  lan  gossip, running; last answered ", "at its host is ", BOB] {
        assert!(errors.contains(part), "{part:?} in {errors}");
    }
    assert!(errors.contains("nobody@127.0.0.1"), "{errors}");
}
