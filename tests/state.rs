//! A host that remembers: what its subscribers, its members and its operators see of a restart.

use std::{fs, io::BufRead as _, net::TcpListener, path::Path, thread};

use rustix::process::Signal;
use serde_json::Value;

use crate::host::{BASIC, FAULTY, Host, Launch, Plugins, cluster_host, http, outcome};

const SELF: &str = "self@127.0.0.1";

/// A host with a state directory, or without one, whose topology names these nodes.
fn config(state: Option<&Path>, nodes: &[&str], connect: &str) -> String {
    let state = state.map(|path| format!("[state]\ndirectory = {path:?}\n")).unwrap_or_default();
    format!(
        "reload = {{ watch = false }}\n[node]\nname = \"{SELF}\"\n{state}[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = {nodes:?} }}\nconnect = {connect}\n"
    )
}

fn start(plugins: &Plugins, config: String) -> Host {
    Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() })
}

/// The events that a client with this cursor is told now.
fn since(host: &Host, cursor: &str) -> Vec<Value> {
    let path = format!("/v1/events?follow=false&since={cursor}");
    let stream = host.settle("the events", || http::open(&host.socket(), &path).ok());
    let lines = stream.lines().map(Result::unwrap);
    lines.filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap())).collect()
}

fn cursor(event: &Value) -> &str {
    event["cursor"].as_str().unwrap()
}

fn settle(host: &Host, nodes: &[&str]) {
    host.wait_up(&[&[SELF], nodes].concat());
    host.settle("it to run", || (host.topology("t")["health"] == "running").then_some(()));
}

/// With a state directory a client with its last event's id sees every event once, through `kill -9` and through a stop;
/// that nothing changed is no event of a member but that the local node is another incarnation.
#[test]
fn subscriber_resumes() {
    let plugins = Plugins::with(&[FAULTY]);
    let state = plugins.path().join("state/of/self");
    let nodes = ["a@127.0.0.1", "b@127.0.0.1"];
    let mut host = start(&plugins, config(Some(&state), &nodes, "\"none\""));
    settle(&host, &nodes);
    let mut seen = since(&host, "0");
    let epoch = seen[0]["epoch"].clone();
    for is_killed in [true, false, true] {
        let before = seen.len();
        if is_killed {
            host.kill();
        } else {
            assert!(host.terminate().success(), "{}", host.log());
        }
        host.restart();
        settle(&host, &nodes);
        let last = cursor(seen.last().unwrap()).to_owned();
        seen.extend(since(&host, &last));
        for event in &seen[before..] {
            let is_expected = event["type"] == "topology_changed"
                || (event["type"] == "node_updated" && event["node"] == SELF);
            assert!(is_expected, "{event}\n{}", host.log());
        }
        assert!(seen.len() > before);
    }
    for (event, revision) in seen.iter().zip(1..) {
        assert_eq!((&event["revision"], &event["epoch"]), (&Value::from(revision), &epoch));
    }
    host.check_fold();
    // Without what was remembered it is another epoch, and one resync.
    host.kill();
    fs::remove_dir_all(&state).unwrap();
    host.restart();
    settle(&host, &nodes);
    let told = since(&host, cursor(seen.last().unwrap()));
    assert_eq!((told.len(), &told[0]["type"]), (1, &Value::from("resync")));
    assert_ne!(told[0]["epoch"], epoch);
}

/// Without a state directory a restart is exactly one resync.
#[test]
fn one_resync_without() {
    let plugins = Plugins::with(&[FAULTY]);
    let mut host = start(&plugins, config(None, &["a@127.0.0.1"], "\"none\""));
    settle(&host, &["a@127.0.0.1"]);
    let last = cursor(since(&host, "0").last().unwrap()).to_owned();
    host.kill();
    host.restart();
    settle(&host, &["a@127.0.0.1"]);
    let told = since(&host, &last);
    assert_eq!((told.len(), &told[0]["type"]), (1, &Value::from("resync")));
}

/// The last known members are linked before discovery answers: the source of the restarted host has only errors. It can be
/// asked which members are only remembered.
#[test]
fn dials_before_discovery() {
    let plugins = Plugins::with(&[BASIC]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let (source, node) = (plugins.path().join("nodes"), "a@127.0.0.1");
    fs::write(&source, node).unwrap();
    let text = format!(
        "{}connect = {{ tcp = {{ port = {port} }} }}\n",
        config(Some(&plugins.path().join("state")), &[], "").split("strategy").next().unwrap()
    ) + &format!("strategy = \"file\"\nconfig = {{ path = {source:?} }}\n");
    let mut host = start(&plugins, text);
    settle(&host, &[node]);
    host.kill();
    fs::remove_file(&source).unwrap();
    host.restart();
    host.wait_up(&[SELF, node]);
    host.settle("the look-up to fail", || (host.topology("t")["health"] == "degraded").then_some(()));
    let topology = host.topology("t");
    assert_eq!((&topology["last_report"], &topology["remembered"][0]), (&Value::Null, &Value::from(node)));
    let (_, text, _) = outcome(&host.ask(&format!("explain {node}")));
    assert!(text.contains("remembered from before the restart"), "{text}");
    fs::write(&source, node).unwrap();
    settle(&host, &[node]);
    assert_eq!(host.topology("t")["remembered"], Value::Array(Vec::new()));
    host.check_fold();
    let lost = host.view().events_of("node_left", node).count();
    assert_eq!(lost, 0);
}

/// A second host is refused in one line; the first goes on.
#[test]
fn one_host_each() {
    let plugins = Plugins::with(&[FAULTY]);
    let state = plugins.path().join("state");
    let host = start(&plugins, config(Some(&state), &[], "\"none\""));
    host.wait_up(&[SELF]);
    let file = host.config_file();
    let second = format!("unix:{}", plugins.path().join("second.sock").display());
    let words = [
        "run",
        "--config",
        file.to_str().unwrap(),
        "--plugins",
        plugins.path().to_str().unwrap(),
        "--listen",
        &second,
    ];
    let (code, _, errors) = outcome(&cluster_host(&words));
    let expected =
        format!("[state] directory {} is in use by another host: give each its own", state.display());
    assert_eq!(code, Some(2), "{errors}");
    assert_eq!(errors.lines().filter(|line| line.contains(&expected)).count(), 1, "{errors}");
    host.signal(Signal::TERM);
    assert!(host.wait_end().success());
}
