//! A thousand who follow the events of one host, of whom a hundred never read.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::host::{BASIC, DEADLINE, Host, Launch, Plugins, private_directory};

const READERS: usize = 900;
const STALLED: usize = 100;
/// Nodes, all of which change in each round.
const NODES: usize = 300;
const ROUNDS: usize = 2;
/// What a change of a node weighs on the wire at least, in bytes: all of them are many times what a socket takes.
const PADDING: usize = 600;
/// What the host may have more after all of that, in KiB: a quarter of what those who never read would have kept.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

/// Descriptors for both ends; the host is given as many as this process has.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = 4_096;
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
}

/// All nodes, changed as of this round.
fn put_nodes(path: &Path, round: usize) {
    let padding = "x".repeat(PADDING);
    let node = |number| {
        json!({ "name": format!("app@10.0.{}.{}", number / 250, number % 250 + 1),
                "attributes": { "round": round.to_string(), "padding": padding } })
    };
    let nodes: Vec<_> = (0..NODES).map(node).collect();
    let beside = path.with_extension("new");
    fs::write(&beside, serde_json::to_string(&nodes).unwrap()).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// One who follows from a revision on.
fn follow(host: &Host, since: u64) -> UnixStream {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET /v1/events?since={since} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

/// The head of the answer has come: the host knows of this one.
fn begun(stream: UnixStream) -> BufReader<UnixStream> {
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert!(line.contains(" 200 "), "{line}");
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line).unwrap();
    }
    answer
}

/// Reads up to a revision: each one in its turn, and no resync.
fn read_to(answer: &mut BufReader<UnixStream>, from: u64, to: u64) {
    let (mut revision, mut line) = (from, String::new());
    while revision < to {
        line.clear();
        assert!(answer.read_line(&mut line).unwrap() > 0, "the stream ends at {revision}");
        if let Some(id) = line.strip_prefix("id: ") {
            revision += 1;
            assert!(id.trim_end().ends_with(&format!(":{revision}")), "{line} in the place of {revision}");
        }
    }
}

/// All who read have each event, once and in order, however many do not read; those cost the host next to nothing, and it
/// answers others meanwhile. When they are gone nothing of them is left.
#[test]
fn who_does_not_read_costs_nothing() {
    raise_open_files();
    let (plugins, directory) = (Plugins::with(&[BASIC]), private_directory());
    let file = directory.path().join("nodes");
    put_nodes(&file, 0);
    let config = format!(
        "[topologies.t]\nstrategy = \"file\"\nconnect = \"none\"\nconfig = {{ path = {:?} }}\n",
        file.to_str().unwrap()
    );
    let host = Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() });
    host.wait("all nodes", |view| view.members.len() == NODES && view.up().len() == NODES);
    let since = host.settle("a revision that stays", || {
        let revision = host.view().revision;
        (host.members()["revision"] == revision).then_some(revision)
    });
    let descriptors = host.descriptors();
    let stalled: Vec<_> = (0..STALLED).map(|_| begun(follow(&host, since))).collect();
    let mut readers: Vec<_> = (0..READERS).map(|_| begun(follow(&host, since))).collect();
    let before = host.memory_kib();
    let mut revision = since;
    for round in 1..=ROUNDS {
        put_nodes(&file, round);
        let to = revision + u64::try_from(NODES).unwrap();
        for reader in &mut readers {
            read_to(reader, revision, to);
        }
        revision = to;
        assert_eq!(host.members()["members"].as_array().unwrap().len(), NODES);
    }
    let growth = host.memory_kib().saturating_sub(before);
    assert!(growth <= GROWTH_KIB_MAX, "{growth} KiB more than before");
    assert_eq!(host.view().revision, revision, "nothing else has happened");
    drop((stalled, readers));
    host.settle("the streams to end", || (host.descriptors() <= descriptors + 8).then_some(()));
    host.check_fold();
}
