//! Connectors: built in, from a shared library, and commands.

use std::{fs, net::TcpListener, path::Path};

use crate::{
    host::{FAULTY, GOSSIP, Host, Launch, Plugins, TCP_CONNECTOR, private_directory},
    lan::Lan,
};

const SELF: &str = "self@127.0.0.1";
const APP: &str = "app@127.0.0.1";

fn start(plugins: &Plugins, topologies: &str) -> Host {
    let config = format!("[node]\nname = \"{SELF}\"\n{topologies}");
    Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() })
}

/// A link is a connection that stays open, whether the connector is built in or comes from a `.so`: up when it is made,
/// down when the other side closes it, and made anew.
#[test]
fn tcp_built_in_and_from_a_file() {
    let plugins = Plugins::with(&[FAULTY, TCP_CONNECTOR]);
    for connector in ["tcp", "tcp-from-file"] {
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = service.local_addr().unwrap().port();
        let host = start(
            &plugins,
            &format!(
                "[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{APP}\", \"{SELF}\"] }}\nconnect = {{ {connector} = {{ port = {port} }} }}\n"
            ),
        );
        let (link, _) = service.accept().unwrap();
        host.wait_up(&[APP, SELF]);
        assert_eq!(host.view().members[APP]["topologies"][0]["link"], "up");
        assert_eq!(host.topology("t")["connector"], connector);
        drop(link);
        host.wait("the link's end", |view| view.events_of("node_down", APP).count() == 1);
        let down = host.view().events_of("node_down", APP).next().unwrap().clone();
        assert!(
            down["reason"].as_str().is_some_and(|reason| reason.contains("closed by the other side")),
            "{down}"
        );
        let (_link, _) = service.accept().unwrap();
        host.wait("a new link", |view| view.events_of("node_up", APP).count() == 2);
        host.check_fold();
    }
}

/// Who is not there is discovered but not up; why is told once, and tried again until it is there.
#[test]
fn tcp_retries() {
    let plugins = Plugins::with(&[FAULTY]);
    let port = crate::host::free_tcp_port();
    let host = start(
        &plugins,
        &format!(
            "[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{APP}\"] }}\nconnect = {{ tcp = {{ port = {port} }} }}\nopts = {{ retry = {{ first = \"50ms\", cap = \"200ms\" }} }}\n"
        ),
    );
    host.wait("the failure", |view| view.events_of("connect_failed", APP).count() == 1);
    let (code, text, _) = crate::host::outcome(&host.ask(&format!("explain {APP}")));
    assert_eq!(code, Some(0));
    assert!(text.contains("Connection refused"), "{text}");
    host.settle("more tries", || {
        let explained = host.get(&format!("/v1/members/{APP}"));
        (explained["links"][0]["failures"].as_u64() >= Some(3)).then_some(())
    });
    let view = host.view();
    assert_eq!(view.events_of("connect_failed", APP).count(), 1, "the same reason is told once: {view}");
    assert_eq!(view.state(APP), Some("discovered"));
    let service = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (_link, _) = service.accept().unwrap();
    host.wait_up(&[APP, SELF]);
}

/// A program that writes down how it is called, and fails for nodes whose name begins with `bad`.
fn calls(directory: &Path) -> (String, impl Fn() -> Vec<String>) {
    let (script, journal) = (directory.join("link.sh"), directory.join("journal"));
    let text = format!(
        "echo \"$@\" >> {0}\ncase $2 in bad*) echo no such node >&2; exit 1;; esac\n",
        journal.display()
    );
    fs::write(&script, text).unwrap();
    fs::write(&journal, "").unwrap();
    let list = directory.join("links");
    let connect = format!(
        "connect = {{ exec = {{ connect = [\"sh\", \"{0}\", \"connect\"], disconnect = [\"sh\", \"{0}\", \"disconnect\"], list = [\"cat\", \"{1}\"] }} }}",
        script.display(),
        list.display()
    );
    (connect, move || fs::read_to_string(&journal).unwrap().lines().map(str::to_owned).collect())
}

/// Commands make the links: the node's name is the last argument, the exit code is the answer, and what the command says
/// on its standard error is the reason. Nobody dials itself, and the host's stop cuts no link.
#[test]
fn exec_connects() {
    let plugins = Plugins::with(&[FAULTY]);
    let scratch = private_directory();
    let (connect, journal) = calls(scratch.path());
    fs::write(scratch.path().join("links"), format!("{APP}\n")).unwrap();
    let host = start(
        &plugins,
        &format!(
            "[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{APP}\", \"bad@10.0.0.9\", \"{SELF}\"] }}\n{connect}\n"
        ),
    );
    host.wait("a link and a failure", |view| {
        view.state(APP) == Some("up") && view.events_of("connect_failed", "bad@10.0.0.9").count() == 1
    });
    let failed = host.view().events_of("connect_failed", "bad@10.0.0.9").next().unwrap().clone();
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("no such node")), "{failed}");
    assert!(host.terminate().success());
    let journal = journal();
    assert!(!journal.iter().any(|call| call.contains(SELF) || call.starts_with("disconnect")), "{journal:?}");
}

/// A node that leaves is disconnected by its command, and one whose link is lost is noticed by the list.
#[test]
fn exec_disconnects_and_lists() {
    let lan = Lan::with(Plugins::with(&[GOSSIP]));
    let scratch = private_directory();
    let (connect, journal) = calls(scratch.path());
    let list = scratch.path().join("links");
    fs::write(&list, "bob@127.0.0.1\ncarol@127.0.0.1\n").unwrap();
    let config = lan.config("alice@127.0.0.1", "").replace("connect = \"none\"", &connect);
    let alice = lan.start_with(config);
    let (bob, _carol) = (lan.start("bob@127.0.0.1", ""), lan.start("carol@127.0.0.1", ""));
    alice.wait_up(&["alice@127.0.0.1", "bob@127.0.0.1", "carol@127.0.0.1"]);
    assert!(bob.terminate().success());
    alice.wait("bob gone", |view| view.events_of("node_left", "bob@127.0.0.1").count() == 1);
    alice.settle("the command", || journal().contains(&"disconnect bob@127.0.0.1".to_owned()).then_some(()));
    fs::write(&list, "").unwrap();
    alice.wait("carol's lost link", |view| view.events_of("node_down", "carol@127.0.0.1").count() == 1);
    alice.wait("carol linked anew", |view| view.events_of("node_up", "carol@127.0.0.1").count() >= 2);
}

/// Two topologies that name one node make one member: it stays as long as either vouches, and being vouched for alone
/// does not make it up where the other has a real link to make.
#[test]
fn two_topologies_one_node() {
    let plugins = Plugins::with(&[FAULTY]);
    let port = crate::host::free_tcp_port();
    let host = start(
        &plugins,
        &format!(
            r#"
[topologies.brief]
strategy = "fixed"
config = {{ nodes = ["{APP}", "other@127.0.0.1"], ttl = 1500 }}
connect = "none"
[topologies.lasting]
strategy = "fixed"
config = {{ nodes = ["{APP}"] }}
connect = {{ tcp = {{ port = {port} }} }}
opts = {{ retry = {{ first = "50ms", cap = "200ms" }} }}
"#
        ),
    );
    host.wait("both to have reported", |view| {
        let vouched = |node: &str| {
            view.members.get(node).map_or(0, |member| member["topologies"].as_array().map_or(0, Vec::len))
        };
        vouched(APP) == 2 && vouched("other@127.0.0.1") == 1
    });
    assert_eq!(host.view().count("node_discovered"), 3, "one member per name, and the host's own");
    host.wait("the brief one to be over", |view| view.events_of("node_left", "other@127.0.0.1").count() == 1);
    host.wait("one topology less", |view| {
        view.members.get(APP).is_some_and(|member| member["topologies"].as_array().map(Vec::len) == Some(1))
    });
    host.wait("it to wait for its link", |view| view.state(APP) != Some("up"));
    let service = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (_link, _) = service.accept().unwrap();
    host.wait_up(&[APP, SELF]);
    let view = host.view();
    assert_eq!(view.events_of("node_left", APP).count(), 0, "{view}");
    host.check_fold();
}
