//! Probes and what waits for members, of running hosts.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use test_httpserver::{Reply, Server};

use crate::{
    host::{BASIC, DEADLINE, EPMD, GOSSIP, Host, Launch, Plugins, cluster_host, free_tcp_port, outcome},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";

/// A line of configuration, and the port that it names.
pub(crate) fn probes() -> (u16, String) {
    let port = free_tcp_port();
    (port, format!("api.probe_listen = \"0.0.0.0:{port}\"\n"))
}

/// The status and the body of an answer; nothing where there is none, or none in time.
pub(crate) fn probe(port: u16, path: &str, within: Duration) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(within)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[track_caller]
fn wait_for(host: &Host, port: u16, path: &str, status: u16, words: &str) {
    let what = format!("{path} to answer {status} {words}");
    host.settle(&what, || {
        let (answered, body) = probe(port, path, DEADLINE)?;
        assert!(!body.contains('@') && !body.contains("127.0.0.1"), "{body}");
        (answered == status && body.contains(words)).then_some(())
    });
}

fn ask(host: &Host, command: &str) -> (Option<i32>, String) {
    let (code, out, errors) = outcome(&host.ask(command));
    (code, out + &errors)
}

/// One that waits for another says so, is ready once that is there, and stays so when it is gone; with `once = false` it
/// does not. The other paths are not there.
#[test]
fn ready_by_members() {
    let lan = Lan::new();
    let (port, line) = probes();
    let (strict_port, strict_line) = probes();
    let quick = "heartbeat_interval = \"200ms\"\nheartbeat_timeout = \"1s\"\n";
    let alice = lan.start_with(format!("{line}ready.min_members = 3\n{}", lan.config(ALICE, quick)));
    let ready = "ready = { min_members = 3, once = false }\n";
    let bob = lan.start_with(format!("{strict_line}{ready}{}", lan.config(BOB, quick)));
    wait_for(&alice, port, "/healthz", 200, "ok");
    wait_for(&alice, port, "/ready", 503, "not ready: 2 of at least 3 members are up");
    let (code, line) = ask(&alice, "ready");
    assert_eq!((code, line.as_str()), (Some(1), "not ready: 2 of at least 3 members are up\n"));
    let carol = lan.start("carol@127.0.0.1", quick);
    wait_for(&alice, port, "/ready", 200, "ready: 3 members are up");
    wait_for(&bob, strict_port, "/ready", 200, "ready: 3 members are up");
    let (code, line) = ask(&alice, "ready");
    assert_eq!((code, line.as_str()), (Some(0), "ready: 3 members are up\n"));
    carol.kill();
    wait_for(&bob, strict_port, "/ready", 503, "2 of at least 3");
    wait_for(&alice, port, "/ready", 200, "ready: 2 members are up");
    wait_for(&alice, port, "/v1/members", 404, "/healthz");
    assert!(alice.terminate().success());
    assert_eq!(probe(port, "/ready", DEADLINE), None);
}

/// Without its BEAM node a host works and is not ready.
#[test]
fn without_beam() {
    let (port, line) = probes();
    let config = format!(
        "{line}[node]\nname = \"{ALICE}\"\n[topologies.none]\nstrategy = \"epmd\"\nconfig = {{ hosts = [\"{BOB}\"] }}\n\
         connect = {{ erlang = {{ cookie_env = \"COOKIE\" }} }}\n"
    );
    let env = vec![("COOKIE".to_owned(), "secret".to_owned())];
    let plugins = Plugins::with(&[EPMD]);
    let host = Host::start(Launch { config, plugins: plugins.path().to_owned(), env, ..Launch::default() });
    wait_for(&host, port, "/healthz", 200, "ok");
    wait_for(&host, port, "/ready", 503, "the local node is not up yet");
    wait_for(&host, port, "/metrics", 200, "\ncluster_local_node_up 0\n");
}

/// A source that refuses, or whose look-up fails, keeps readiness back, and not the host; once it gives a view all is well,
/// and its next failure takes nobody out of use.
#[test]
fn without_view() {
    let server = Server::http(|_| Reply::new(403, ""));
    let scratch = crate::host::private_directory();
    let file = scratch.path().join("nodes");
    let (port, line) = probes();
    let config = format!(
        "{line}ready.topologies = [\"late\"]\n[topologies.late]\nstrategy = \"file\"\nconnect = \"none\"\n\
         config = {{ path = \"{}\" }}\n[topologies.denied]\nstrategy = \"http\"\nconnect = \"none\"\n\
         config = {{ url = \"{}\" }}\n",
        file.display(),
        server.url("/nodes")
    );
    let plugins = Plugins::with(&[BASIC]);
    let host = Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() });
    wait_for(&host, port, "/healthz", 200, "ok");
    wait_for(&host, port, "/ready", 503, "topology late has given no view yet (degraded)");
    wait_for(
        &host,
        port,
        "/metrics",
        200,
        "cluster_topology_health{topology=\"denied\",health=\"denied\"} 1\n",
    );
    wait_for(
        &host,
        port,
        "/metrics",
        200,
        "cluster_discovery_errors_total{topology=\"denied\",kind=\"denied\"} 1\n",
    );
    std::fs::write(&file, format!("{ALICE}\n")).unwrap();
    wait_for(&host, port, "/ready", 200, "ready: 1 member is up");
    std::fs::remove_file(&file).unwrap();
    wait_for(
        &host,
        port,
        "/metrics",
        200,
        "cluster_topology_health{topology=\"late\",health=\"degraded\"} 1\n",
    );
    wait_for(&host, port, "/ready", 200, "ready: 1 member is up");
}

/// A host that hangs gives no answer to a probe, and whoever waits for members is told that, and not that there are none. When
/// it goes on, all is well.
#[test]
fn hanging() {
    let lan = Lan::new();
    let (port, line) = probes();
    let alice = lan.start_with(line + &lan.config(ALICE, ""));
    wait_for(&alice, port, "/healthz", 200, "ok");
    alice.signal(Signal::STOP);
    assert_eq!(probe(port, "/healthz", Duration::from_millis(300)), None);
    let (code, line) = ask(&alice, "wait --members 1 --timeout 300ms");
    assert_eq!(code, Some(3), "{line}");
    assert!(line.contains("it gives no answer"), "{line}");
    alice.signal(Signal::CONT);
    wait_for(&alice, port, "/healthz", 200, "ok");
    assert_eq!(ask(&alice, "wait --members 1"), (Some(0), "1 member is up\n".to_owned()));
}

/// `wait` begins before there is a daemon, outlives one, and ends with the last member that it takes.
#[test]
fn waiting_from_the_beginning() {
    let lan = Lan::new();
    let mut alice = lan.start(ALICE, "");
    alice.wait_up(&[ALICE]);
    alice.kill();
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_cluster-host"))
        .args(["wait", "--members", "2", "--topology", "lan", "--json", "--api", &alice.api()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    alice.restart();
    alice.wait_up(&[ALICE]);
    assert!(waiting.try_wait().unwrap().is_none());
    let bob = lan.start(BOB, "");
    let output = waiting.wait_with_output().unwrap();
    let (code, out, _) = outcome(&output);
    let reached = "{\"reached\":true,\"wanted\":2,\"up\":2,\"missing\":[],\"topologies\":[]}\n";
    assert_eq!((code, out.as_str()), (Some(0), reached));
    drop(bob);
    let line = alice.settle("those who are missing", || {
        let (code, line) = ask(&alice, "wait --members 5 --timeout 1s");
        (code == Some(1)).then_some(line)
    });
    assert!(line.contains("of 5 members") && line.contains("named by no strategy"), "{line}");
}

/// A place for probes that is taken, or is none, is told before anything runs; that of the command line counts.
#[test]
fn places() {
    let plugins = Plugins::with(&[GOSSIP]);
    let scratch = crate::host::private_directory();
    let config = scratch.path().join("host.toml");
    std::fs::write(&config, "api.probe_listen = \"127.0.0.1:1\"\n").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (config, plugins) = (config.to_str().unwrap(), plugins.path().to_str().unwrap());
    let api = format!("unix:{}", scratch.path().join("api.sock").display());
    let run = |place: &str| {
        let run =
            ["run", "--config", config, "--plugins", plugins, "--listen", &api, "--probe-listen", place];
        let (code, _, errors) = outcome(&cluster_host(&run));
        assert_eq!(code, Some(2), "{errors}");
        errors
    };
    let place = taken.local_addr().unwrap().to_string();
    assert!(run(&place).contains("another process already does"));
    assert!(run("4445").contains("is no address to listen on"));
}
