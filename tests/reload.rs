//! A new configuration or a new plugin file in a host that runs: only what has changed is started anew, nobody is lost,
//! and what is wrong changes nothing.

use std::{
    collections::BTreeSet,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::Path,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    host::{FAULTY, GOSSIP, Host, Launch, Plugins, built, outcome},
    lan::Lan,
};

const SELF: &str = "self@127.0.0.1";
const A: &str = "a@127.0.0.1";
const B: &str = "b@127.0.0.1";
const C: &str = "c@127.0.0.1";
/// Changes count when they are asked for.
const ASKED: &str = "reload = { watch = false }\n";

/// A configuration of topologies, each with its nodes and more of its options.
fn config(head: &str, topologies: &[(&str, &[&str], &str)]) -> String {
    let topology = |(name, nodes, options): &(&str, &[&str], &str)| {
        format!("[topologies.{name}]\nstrategy = \"fixed\"\nconfig = {{ nodes = {nodes:?} }}\n{options}\n")
    };
    format!("{head}[node]\nname = \"{SELF}\"\n{}", topologies.iter().map(topology).collect::<String>())
}

const NONE: &str = "connect = \"none\"";

fn start(plugins: &Plugins, config: String) -> Host {
    Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() })
}

/// As an editor or a deployment does it: the old content until the new one is whole.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

/// Has the host read another configuration, and gives what is printed of it.
#[track_caller]
fn reload(host: &Host, config: &str) -> String {
    write(&host.config_file(), config);
    let (code, text, errors) = outcome(&host.ask("reload"));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}\n{}", host.log());
    text
}

/// The revision once everything that has started says so.
#[track_caller]
fn settled(host: &Host) -> u64 {
    host.settle("all to run", || {
        let answer = host.get("/v1/topologies");
        let mut topologies = answer["topologies"].as_array().unwrap().iter();
        topologies.all(|topology| topology["health"] == "running").then_some(())
    });
    host.check_fold();
    host.view().revision
}

/// Nobody but these was ever down or left.
#[track_caller]
fn check_only_gone(host: &Host, gone: &[&str]) {
    let view = host.view();
    let nodes = |kind: &str| -> BTreeSet<String> {
        let of_kind = view.events.iter().filter(|event| event["type"] == kind);
        of_kind.filter_map(|event| Some(event["node"].as_str()?.to_owned())).collect()
    };
    let gone: BTreeSet<String> = gone.iter().copied().map(str::to_owned).collect();
    assert_eq!((nodes("node_down"), nodes("node_left")), (gone.clone(), gone), "{view}");
    host.check_fold();
}

/// Topologies are added and removed; the others run on. Who is in one that is gone and in one that is new stays.
#[test]
fn topologies_come_and_go() {
    let plugins = Plugins::with(&[FAULTY]);
    let host = start(&plugins, config(ASKED, &[("one", &[A, B], NONE), ("two", &[C], NONE)]));
    host.wait_up(&[SELF, A, B, C]);
    let text = reload(&host, &config(ASKED, &[("three", &[B], NONE), ("two", &[C], NONE)]));
    assert_eq!(text, "added      three\nremoved    one\n1 topology runs on\n");
    host.wait_up(&[SELF, B, C]);
    check_only_gone(&host, &[A]);
    assert_eq!(host.topology("two")["restarts"], 0);
    let topologies = host.get("/v1/topologies");
    let names: Vec<_> = topologies["topologies"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["three", "two"]);
    let text = reload(&host, &config(ASKED, &[("three", &[B], NONE), ("two", &[C], NONE)]));
    assert_eq!(text, "nothing has changed\n");
}

/// Another source: who is in both stays up throughout, and who is not named any more goes with the first view, be it
/// most of the topology.
#[test]
fn another_source() {
    let plugins = Plugins::with(&[FAULTY]);
    let nodes: Vec<String> = (0..20).map(|index| format!("n{index}@127.0.0.1")).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let host = start(&plugins, config(ASKED, &[("one", &nodes, NONE)]));
    host.wait("all", |view| view.up().len() == nodes.len() + 1);
    assert_eq!(
        reload(&host, &config(ASKED, &[("one", &[nodes[0], C], NONE)])),
        "changed    one\n0 topologies run on\n"
    );
    host.wait_up(&[SELF, nodes[0], C]);
    check_only_gone(&host, &nodes[1..]);
}

/// A source that says nothing yet, or fails, takes nobody away.
#[test]
fn another_source_that_fails() {
    let plugins = Plugins::with(&[FAULTY]);
    let host = start(&plugins, config(ASKED, &[("one", &[A, B], NONE)]));
    host.wait_up(&[SELF, A, B]);
    let failing = config(ASKED, &[("one", &[C], NONE)]).replace("] }", "], error = \"403\" }");
    reload(&host, &failing);
    host.settle("its failure", || {
        host.topology("one")["reason"].as_str().is_some_and(|reason| reason.contains("403")).then_some(())
    });
    host.wait_up(&[SELF, A, B]);
    reload(&host, &config(ASKED, &[("one", &[A, C], NONE)]));
    host.wait_up(&[SELF, A, C]);
    check_only_gone(&host, &[B]);
}

/// A wrong configuration is refused with all that is wrong, and so is what only a new start can change.
#[test]
fn refused() {
    let plugins = Plugins::with(&[FAULTY]);
    let right = config(ASKED, &[("one", &[A], NONE)]);
    let host = start(&plugins, right.clone());
    host.wait_up(&[SELF, A]);
    let revision = settled(&host);
    for (config, parts) in [
        (
            "[topologies.one]\nstrategy = 5\nconect = 1".to_owned(),
            &["host.toml:2: ", "host.toml:3: ", "conect"][..],
        ),
        (config(ASKED, &[("one", &["nobody"], NONE)]), &["topologies.one.config.nodes[0]"]),
        (right.replace("\"fixed\"", "\"fixd\""), &["did you mean \"fixed\"?"]),
        (
            right.replace(SELF, "other@127.0.0.1"),
            &["node.name cannot be changed by a reload: restart the host"],
        ),
    ] {
        write(&host.config_file(), &config);
        for command in ["reload", "reload --dry-run"] {
            let (code, text, errors) = outcome(&host.ask(command));
            assert_eq!((code, text.as_str()), (Some(2), ""), "{errors}");
            assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
        }
    }
    assert_eq!(host.topology("one")["health"], "running");
    assert_eq!(host.view().revision, revision, "nothing has happened");
    assert!(host.log().contains("everything runs on as it was"), "{}", host.log());
    fs::remove_file(host.config_file()).unwrap();
    let (code, _, errors) = outcome(&host.ask("reload"));
    assert!(code == Some(2) && errors.contains("host.toml: cannot be opened"), "{code:?} {errors}");
}

/// A dry run tells who would come and go, and does nothing.
#[test]
fn dry_run() {
    let plugins = Plugins::with(&[FAULTY]);
    let host = start(&plugins, config(ASKED, &[("one", &[A, B], NONE), ("two", &[B], NONE)]));
    host.wait_up(&[SELF, A, B]);
    let revision = settled(&host);
    write(&host.config_file(), &config(ASKED, &[("one", &[SELF, A, C], NONE), ("three", &[B], NONE)]));
    let (code, text, errors) = outcome(&host.ask("reload --dry-run"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(
        text,
        format!(
            "add        three\n    + {B}\nchange     one\n    + {C}\n    - {B}\nremove     two\n    - {B}\n0 topologies would run on; nothing was changed\n"
        )
    );
    let (_, text, _) = outcome(&host.ask("reload --dry-run --json"));
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["topologies"]["changed"], json!(["one"]));
    assert_eq!(answer["previews"]["one"]["joins"], json!([C]));
    assert_eq!(host.view().revision, revision, "nothing has happened");
}

/// A dry run hears whom the topology would hear: those of the same cluster. It announces nothing itself.
#[test]
fn dry_run_of_gossip() {
    let lan = Lan::new();
    let other = lan.start(B, "heartbeat_interval = \"100ms\"");
    let text = lan.config(SELF, "");
    let (head, _) = text.split_once("[topologies").unwrap();
    let host = lan.start_with(format!("{ASKED}{head}"));
    host.wait_up(&[SELF]);
    write(&host.config_file(), &format!("{ASKED}{text}"));
    let (code, text, errors) = outcome(&host.ask("reload --dry-run"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(text.starts_with(&format!("add        lan\n    + {B}\n")), "{text}");
    other.wait_up(&[B]);
    assert_eq!(other.view().events_of("node_discovered", SELF).count(), 0, "{}", other.view());
}

/// A change of the file is noticed, a link that is exchanged as well; where that is not wanted, SIGHUP asks for it.
#[test]
fn noticed() {
    let plugins = Plugins::with(&[FAULTY]);
    let host = start(&plugins, config("", &[("one", &[A], NONE)]));
    host.wait_up(&[SELF, A]);
    write(&host.config_file(), &config("", &[("one", &[A, B], NONE)]));
    host.wait_up(&[SELF, A, B]);
    // What is wrong is told once, and what is right again counts.
    write(&host.config_file(), "[node");
    host.settle("the refusal", || host.log().contains("everything runs on as it was").then_some(()));
    write(&host.config_file(), &config("", &[("one", &[A, C], NONE)]));
    host.wait_up(&[SELF, A, C]);
    check_only_gone(&host, &[B]);
    // As a ConfigMap is mounted: what the link leads to is exchanged beside it.
    let directory = host.config_file().parent().unwrap().to_owned();
    for (version, nodes) in [("v1", [B, C]), ("v2", [A, B])] {
        fs::create_dir(directory.join(version)).unwrap();
        fs::write(directory.join(version).join("host.toml"), config("", &[("one", &nodes, NONE)])).unwrap();
        symlink(version, directory.join("..new")).unwrap();
        fs::rename(directory.join("..new"), directory.join("..data")).unwrap();
        if version == "v1" {
            symlink("..data/host.toml", directory.join("link")).unwrap();
            fs::rename(directory.join("link"), host.config_file()).unwrap();
        }
        host.wait_up(&[SELF, nodes[0], nodes[1]]);
    }

    let host = start(&plugins, config(ASKED, &[("one", &[A], NONE)]));
    host.wait_up(&[SELF, A]);
    write(&host.config_file(), &config(ASKED, &[("one", &[A, B], NONE)]));
    host.signal(Signal::HUP);
    host.wait_up(&[SELF, A, B]);
}

/// Another file of a plugin: its strategies are started anew by it, and nobody notices. A broken one is refused.
#[test]
fn another_file() {
    let plugins = Plugins::with(&[FAULTY, GOSSIP]);
    let lan = Lan::new();
    let text = lan.config(SELF, "")
        + "[topologies.one]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = { nodes = [\""
        + A
        + "\"] }\n";
    let host = start(&plugins, text);
    let other = lan.start(B, "");
    host.wait_up(&[SELF, A, B]);
    for (file, topology) in [(FAULTY, "one"), (GOSSIP, "lan")] {
        let path = plugins.path().join(file);
        let reloads = || host.log().matches(&format!("reloaded: restarted {topology}; 1 as before")).count();
        crate::host::copy(&built(file), &path.with_extension("new"));
        fs::rename(path.with_extension("new"), &path).unwrap();
        host.settle("the other file", || (reloads() == 1).then_some(()));
        host.settle("its start", || (host.topology(topology)["health"] == "running").then_some(()));
        fs::write(path.with_extension("new"), "not a library").unwrap();
        let refusals = host.log().matches("everything runs on as it was").count();
        fs::rename(path.with_extension("new"), &path).unwrap();
        host.settle("the refusal", || {
            (host.log().matches("everything runs on as it was").count() > refusals).then_some(())
        });
        crate::host::copy(&built(file), &path.with_extension("new"));
        fs::rename(path.with_extension("new"), &path).unwrap();
        host.settle("a good file", || (reloads() == 2).then_some(()));
    }
    other.wait_up(&[SELF, B]);
    for host in [&host, &other] {
        check_only_gone(host, &[]);
    }
}

/// A connector is one for all topologies that use it in the same way: it stays as long as one of them does. Used in
/// another way it is started anew; links that it made then are made again, those of others are not touched.
#[test]
fn connectors() {
    let plugins = Plugins::with(&[FAULTY]);
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let by = |listener: &TcpListener, more: &str| {
        let port = listener.local_addr().unwrap().port();
        format!("connect = {{ tcp = {{ port = {port}{more} }} }}")
    };
    let (one, two) = (by(&first, ""), by(&second, ""));
    let host =
        start(&plugins, config(ASKED, &[("one", &[A], &one), ("also", &[B], &one), ("two", &[C], &two)]));
    let links: [TcpStream; 3] = [&first, &first, &second].map(|listener| listener.accept().unwrap().0);
    host.wait_up(&[SELF, A, B, C]);
    // One of two is gone: the other's link is the same.
    reload(&host, &config(ASKED, &[("one", &[A], &one), ("two", &[C], &two)]));
    host.wait_up(&[SELF, A, C]);
    check_only_gone(&host, &[B]);
    // Limits alone: nothing is started anew.
    let slower = format!("{one}\nopts = {{ deadline = \"9s\" }}");
    assert_eq!(
        reload(&host, &config(ASKED, &[("one", &[A], &slower), ("two", &[C], &two)])),
        "adjusted   one\n1 topology runs on\n"
    );
    check_only_gone(&host, &[B]);
    // Another port: its own link is made again.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    reload(&host, &config(ASKED, &[("one", &[A], &by(&other, "")), ("two", &[C], &two)]));
    let (_link, _) = other.accept().unwrap();
    host.wait("the other link", |view| view.events_of("node_up", A).count() == 2);
    host.wait_up(&[SELF, A, C]);
    let view = host.view();
    assert_eq!((view.count("node_left"), view.events_of("node_down", C).count()), (1, 0), "{view}");
    // None at all: being vouched for is enough, so nobody goes down by it.
    reload(&host, &config(ASKED, &[("one", &[A], NONE), ("two", &[C], NONE)]));
    host.settle("no links", || {
        let links =
            host.view().members.values().filter(|member| member["topologies"][0]["link"] == "none").count();
        (links == 2).then_some(())
    });
    assert_eq!(host.view().events_of("node_down", C).count(), 0);
    host.check_fold();
    drop(links);
}

/// Addresses and attributes of the local node count at once, here and with the others.
#[test]
fn local_node() {
    let lan = Lan::new();
    let text = lan.config(SELF, "");
    let (host, other) = (lan.start_with(text.clone()), lan.start(B, ""));
    other.wait_up(&[SELF, B]);
    let described = text.replace("[topologies.lan]", "attributes = { zone = \"eu-1\" }\n[topologies.lan]");
    assert_eq!(reload(&host, &described), "nothing has changed\n");
    for host in [&host, &other] {
        host.wait("the zone", |view| view.members[SELF]["attributes"]["zone"] == "eu-1");
        check_only_gone(host, &[]);
    }
}

/// A hundred reloads while heartbeats come and a subscriber follows: nobody goes down, no event is missing (the follower
/// checks that), and memory and descriptors stay where they were.
#[test]
fn a_hundred() {
    let lan = Lan::with(Plugins::with(&[GOSSIP, FAULTY]));
    let text = |round: usize| {
        let gossip = lan.config(SELF, &format!("heartbeat_interval = \"{}ms\"", 200 + round % 2));
        let nodes = [A.to_owned(), format!("n{}@127.0.0.1", round % 3)];
        format!(
            "{ASKED}{gossip}[topologies.one]\nstrategy = \"fixed\"\nconnect = \"none\"\nopts = {{ isolation = \"in-process\" }}\nconfig = {{ nodes = {nodes:?} }}\n"
        )
    };
    let host = lan.start_with(text(0));
    let other = lan.start(B, "");
    let round = |number: usize| {
        assert_eq!(reload(&host, &text(number)), "changed    lan\nchanged    one\n0 topologies run on\n");
        host.wait_up(&[SELF, A, B, &format!("n{}@127.0.0.1", number % 3)]);
    };
    host.wait_up(&[SELF, A, B, "n0@127.0.0.1"]);
    (1..=20).for_each(round);
    let usage = || (host.memory_kib(), host.descriptors(), host.threads());
    let before = usage();
    (21..=100).for_each(round);
    check_only_gone(&host, &["n0@127.0.0.1", "n1@127.0.0.1", "n2@127.0.0.1"]);
    check_only_gone(&other, &[]);
    // The instances of the last round, and those who asked for it, may still be at their ends.
    let few = |after: &(u64, u64, usize)| {
        after.0 <= before.0 + 2_048 && after.1 <= before.1 + 4 && after.2 <= before.2 + 2
    };
    host.settle(&format!("no more KiB, descriptors and threads than {before:?}"), || {
        Some(usage()).filter(few)
    });
}
