//! Hooks of real hosts: `[[on_event]]` with real commands and real servers, through reloads, stops and `kill -9`.
//!
//! What a hook is told, folded, is what the host says; that holds with and without a journal. With one no event is
//! told of by a `resync` after a restart: see [`across_restarts`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;
use tempfile::TempDir;
use test_httpserver::{Asked, Reply, Server};

use crate::host::{BASIC, Host, Launch, Plugins, cluster_host, outcome, pause, private_directory};

/// Where nodes come from and events go to.
struct Place {
    plugins: Plugins,
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { plugins: Plugins::with(&[BASIC]), directory: private_directory() };
        place.put_nodes(&[]);
        place
    }

    /// The nodes that the strategy finds. Who is not named any more is gone at once.
    fn put_nodes(&self, nodes: &[&str]) {
        let list: Vec<String> = nodes.iter().map(|node| format!("{node:?}")).collect();
        put(&self.directory.path().join("nodes"), &format!("[{}]", list.join(",")));
    }

    /// A configuration with hooks; `DIR` stands for the directory.
    fn config(&self, hooks: &str) -> String {
        let text = format!(
            "reload = {{ watch = false }}\nstate.directory = \"DIR/state\"\n\
             [topologies.t]\nstrategy = \"file\"\nconnect = \"none\"\nconfig = {{ path = \"DIR/nodes\", interval = \"1h\" }}\n\
             prune = {{ rounds = 1, after = \"0s\", max_fraction = 1.0, hold = \"0s\" }}\n{hooks}"
        );
        text.replace("DIR", &self.directory.path().display().to_string())
    }

    fn start(&self, hooks: &str) -> Host {
        let config = self.config(hooks);
        Host::start(Launch { config, plugins: self.plugins.path().to_owned(), ..Launch::default() })
    }

    /// Documents that a command has written, one a line.
    fn documents(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.path().join("documents")).unwrap_or_default();
        // One that is being written is not there yet.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A hook that writes each document, whole or not at all.
const DOCUMENTS: &str = r#"
[[on_event]]
name = "documents"
command = ["sh", "-c", "document=$(cat); echo \"$document\" >> DIR/documents"]
"#;

fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

fn hook(host: &Host, name: &str) -> Value {
    let answer = host.get("/v1/hooks");
    let hooks = answer["hooks"].as_array().unwrap();
    hooks.iter().find(|hook| hook["name"] == name).unwrap_or_else(|| panic!("no {name} in {answer}")).clone()
}

/// Ends a host without giving it a chance to say so, and starts it again. A command that it was just starting has its
/// descriptors until it is the command, its socket among them.
fn kill_and_restart(host: &mut Host) {
    host.kill();
    while UnixStream::connect(host.socket()).is_ok() {
        pause();
    }
    host.restart();
}

/// Waits until a hook has nothing left to do.
#[track_caller]
fn wait_done(host: &Host, name: &str) {
    host.settle("the hook to have done all", || (hook(host, name)["lag"] == 0).then_some(()));
}

/// The members, by what a hook was told, each with what its last document had of it. What comes twice, or late of a
/// command that has outlived its host, changes nothing. No document may be missing between two of one epoch, unless a
/// resync stands there.
fn fold(documents: &[Value]) -> BTreeMap<String, Value> {
    let mut members = BTreeMap::new();
    let mut last: Option<(&str, u64)> = None;
    let mut before = BTreeSet::new();
    for document in documents {
        let data = &document["data"];
        let (epoch, revision) = (data["epoch"].as_str().unwrap(), data["revision"].as_u64().unwrap());
        let is_known = last.is_some_and(|(last_epoch, newest)| last_epoch == epoch && revision <= newest);
        if is_known || before.contains(epoch) {
            continue;
        }
        if let Some(list) = data["members"].as_array() {
            members = list.iter().map(|member| (name(member), member.clone())).collect();
        } else {
            if let Some((last_epoch, newest)) = last {
                assert_eq!(last_epoch, epoch, "without a resync: {document}");
                assert_eq!(revision, newest + 1, "one is missing before {document}");
            }
            match (data["node"].as_str(), &data["member"]) {
                (Some(node), Value::Null) => drop(members.remove(node)),
                (Some(node), member) => drop(members.insert(node.to_owned(), member.clone())),
                (None, _) => {}
            }
        }
        before.extend(last.map(|(last_epoch, _)| last_epoch).filter(|last_epoch| *last_epoch != epoch));
        last = Some((epoch, revision));
    }
    members
}

fn name(member: &Value) -> String {
    member["name"].as_str().unwrap().to_owned()
}

/// What a hook was told is what the host says.
#[track_caller]
fn check_fold(host: &Host, documents: &[Value]) {
    let told: Vec<Value> = fold(documents).into_values().collect();
    let answer = host.members();
    assert_eq!(&told, answer["members"].as_array().unwrap(), "{}", host.log());
}

/// Events of a host are told to a command and to a server, all of them from the first one on, and operators see how far
/// each hook is.
#[test]
fn told() {
    let place = Place::new();
    let server = Server::http(|_: &Asked| Reply::new(204, ""));
    let post = format!("[[on_event]]\nname = 'post'\npost = {:?}\nevents = ['node_up']\n", server.url("/"));
    let host = place.start(&format!("{DOCUMENTS}{post}"));
    place.put_nodes(&["a@h", "b@h"]);
    host.wait_up(&["a@h", "b@h"]);
    place.put_nodes(&["b@h"]);
    host.wait_up(&["b@h"]);
    wait_done(&host, "documents");
    wait_done(&host, "post");
    let documents = place.documents();
    assert_eq!(documents[0]["data"]["revision"], 1);
    check_fold(&host, &documents);
    let posted: Vec<Value> =
        server.asked().iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    let subjects: Vec<&Value> = posted.iter().map(|document| &document["subject"]).collect();
    assert_eq!(subjects, ["a@h", "b@h"]);
    let (code, text, errors) = outcome(&host.ask("hooks"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let names: Vec<_> =
        text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(names, ["NAME LAG", "documents 0", "post 0"]);
}

/// A hook that fails shows why and when it is tried again, and is mended by a reload, which tells what it has changed; a
/// hook that is not changed is not started anew.
#[test]
fn mended_by_a_reload() {
    let place = Place::new();
    let broken = "[[on_event]]\nname = 'broken'\nretry = { first = '1h', cap = '1h' }\ncommand = ['sh', '-c', 'echo no such pager >&2; exit 7']\n";
    let host = place.start(&format!("{DOCUMENTS}{broken}"));
    place.put_nodes(&["a@h"]);
    host.settle("the failure", || (hook(&host, "broken")["failed"] == 1).then_some(()));
    let (_, text, _) = outcome(&host.ask("hooks"));
    assert!(text.contains("\"sh\": exit code 7: no such pager"), "{text}");
    assert!(host.log().contains("no such pager"), "{}", host.log());
    assert!(hook(&host, "broken")["next_try"].is_string());
    host.wait_up(&["a@h"]);
    wait_done(&host, "documents");
    let delivered = hook(&host, "documents")["delivered"].clone();
    let mended = "[[on_event]]\nname = 'broken'\ncommand = ['sh', '-c', 'echo $CLUSTER_ID >> DIR/ids']\n";
    let new = "[[on_event]]\nname = 'new'\ncommand = ['false']\n";
    put(&host.config_file(), &place.config(&format!("{DOCUMENTS}{mended}{new}")));
    let (code, text, errors) = outcome(&host.ask("reload --dry-run"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let would = "add        hook new\nchange     hook broken\n1 topology would run on; nothing was changed\n";
    assert_eq!(text, would);
    let (code, text, _) = outcome(&host.ask("reload"));
    assert_eq!(
        (code, text.as_str()),
        (Some(0), "added      hook new\nchanged    hook broken\n1 topology runs on\n")
    );
    wait_done(&host, "broken");
    let ids = fs::read_to_string(place.directory.path().join("ids")).unwrap();
    assert!(ids.lines().next().unwrap().ends_with(":1"), "{ids}");
    assert_eq!(hook(&host, "documents")["delivered"], delivered);
    // It is new, and nothing has happened since.
    assert_eq!((&hook(&host, "new")["lag"], &hook(&host, "new")["failed"]), (&0.into(), &0.into()));
    put(&host.config_file(), &place.config(DOCUMENTS));
    let (_, text, _) = outcome(&host.ask("reload"));
    assert_eq!(text, "removed    hook broken\nremoved    hook new\n1 topology runs on\n");
    assert_eq!(host.get("/v1/hooks")["hooks"].as_array().unwrap().len(), 1);
}

/// Hooks that hang, fail or are not there hold up neither another hook nor the API. They may fall behind as far as they
/// like: what the log has forgotten nobody keeps for them.
#[test]
fn nobody_is_held_up() {
    /// Each brings 200 nodes and takes those of before: 800 events, so the log is full after the first half.
    const ROUNDS: usize = 44;
    let place = Place::new();
    let silent = Server::raw(|stream| std::io::copy(&mut &stream, &mut std::io::sink()).map(drop));
    let server = Server::http(|_: &Asked| Reply::ok(""));
    let hooks = format!(
        "[[on_event]]\nname = 'silent'\npost = {:?}\ntimeout = '10m'\n\
         [[on_event]]\nname = 'hangs'\ncommand = ['sleep', '1000']\ntimeout = '10m'\n\
         [[on_event]]\nname = 'missing'\ncommand = ['/does/not/exist']\n\
         [[on_event]]\nname = 'fast'\npost = {:?}\nevents = ['node_up']\nnodes = ['n0-*']\n",
        silent.url("/"),
        server.url("/")
    );
    let host = place.start(&hooks);
    let mut memory = 0;
    for round in 0..ROUNDS {
        let nodes: Vec<String> = (0..200).map(|index| format!("n{index}-{round}@h")).collect();
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        place.put_nodes(&nodes);
        host.wait_up(&nodes);
        wait_done(&host, "fast");
        assert_eq!(server.asked().len(), round + 1);
        if round == ROUNDS / 2 {
            memory = host.memory_kib();
        }
    }
    for name in ["silent", "hangs", "missing"] {
        let lag = hook(&host, name)["lag"].as_u64().unwrap();
        assert!(lag > 2 * 16_384, "{name}: {lag}");
    }
    let grown = host.memory_kib().saturating_sub(memory);
    assert!(grown < 2 * 1024, "{grown} KiB more");
    assert_eq!(host.terminate().code(), Some(0));
}

/// A host that stops lets what is under way end; what fails is told after the restart, in order.
#[test]
fn stopped_and_started() {
    let place = Place::new();
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let server = Server::http(
        move |_: &Asked| if gate.load(Ordering::Relaxed) { Reply::ok("") } else { Reply::new(500, "") },
    );
    let post = format!("[[on_event]]\nname = 'post'\npost = {:?}\n", server.url("/"));
    let mut host = place.start(&format!("{DOCUMENTS}{post}"));
    place.put_nodes(&["a@h", "b@h"]);
    host.wait_up(&["a@h", "b@h"]);
    host.settle("a failure", || hook(&host, "post")["failed"].as_u64().filter(|failed| *failed > 0));
    assert_eq!(host.terminate().code(), Some(0));
    let before = server.asked().len();
    is_open.store(true, Ordering::Relaxed);
    host.restart();
    host.wait_up(&["a@h", "b@h"]);
    wait_done(&host, "post");
    wait_done(&host, "documents");
    check_fold(&host, &place.documents());
    let posted: Vec<Value> =
        server.asked()[before..].iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    check_fold(&host, &posted);
}

/// Whatever the moment of a `kill -9`: folded, what a hook was told is what the host says at the end, so nothing was left
/// out.
#[test]
fn killed() {
    let place = Place::new();
    let mut host = place.start(DOCUMENTS);
    for round in 0..12 {
        let nodes: Vec<String> = (0..=round % 4).map(|index| format!("n{}@h", index + round)).collect();
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        place.put_nodes(&nodes);
        let known = place.documents().len();
        host.settle("some of it", || (place.documents().len() > known + round % 3).then_some(()));
        kill_and_restart(&mut host);
    }
    place.put_nodes(&["last@h"]);
    host.wait_up(&["last@h"]);
    wait_done(&host, "documents");
    check_fold(&host, &place.documents());
}

/// What holds where the events of before a restart are there after it: hooks go on without a resync.
mod across_restarts {
    use super::*;

    /// Whether the log of a host goes on after a restart, with the same epoch.
    fn remembers(host: &mut Host) -> bool {
        let epoch = host.members()["epoch"].clone();
        kill_and_restart(host);
        host.members()["epoch"] == epoch
    }

    /// Through `kill -9` a hook is told each event, at least once, in order, and is never given a resync in its place.
    #[test]
    fn no_resync() {
        let place = Place::new();
        let mut host = place.start(DOCUMENTS);
        place.put_nodes(&["a@h"]);
        host.wait_up(&["a@h"]);
        wait_done(&host, "documents");
        let remembers = remembers(&mut host);
        for round in 0..10 {
            let nodes: Vec<String> = (0..=round).map(|index| format!("n{index}@h")).collect();
            let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
            place.put_nodes(&nodes);
            host.wait_up(&nodes);
            // Not all of it may have been told by now.
            if round % 2 == 0 {
                pause();
            }
            kill_and_restart(&mut host);
        }
        wait_done(&host, "documents");
        let documents = place.documents();
        check_fold(&host, &documents);
        let resyncs = documents.iter().filter(|document| document["type"] == "libcluster.resync").count();
        assert!(!remembers || resyncs == 0, "{resyncs} resyncs");
    }
}

/// `check` tells what is wrong with hooks, and that those of a host without a state directory forget.
#[test]
fn checked() {
    let directory = private_directory();
    let file = directory.path().join("host.toml");
    fs::write(&file, "[[on_event]]\nname = 'x'\ncommand = ['true']\n[topologies]\n").unwrap();
    let check = || outcome(&cluster_host(&["check", "--config", &file.display().to_string()]));
    let (code, text, errors) = check();
    assert_eq!((code, text.as_str()), (Some(0), "ok: 0 topologies, hooks: x\n"));
    let warning = "host.toml:1: warning: on_event: without `directory` in [state] a restart of the host forgets what was not delivered yet";
    assert!(errors.contains(warning), "{errors}");
    fs::write(&file, "[[on_event]]\nname = 'x'\n[[on_event]]\nname = 'x'\npost = 'x'\n").unwrap();
    let (code, text, _) = check();
    assert_eq!(code, Some(1));
    let lines: Vec<_> = text.lines().map(|line| line.rsplit_once("host.toml:").unwrap().1).collect();
    assert_eq!(
        lines,
        [
            "1: on_event[0]: does nothing: give it a `command` or an address to `post` to",
            "4: on_event[1].name: there is another hook \"x\"",
            "5: on_event[1].post: \"x\" is not an address: write it whole, with http:// or https:// before it",
        ]
    );
}
