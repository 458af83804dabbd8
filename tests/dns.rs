//! Hosts find each other through `libstrategy_dns.so` and a real name server, Knot DNS on loopback.

use std::{
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

// What is tested beside a host and what is tested in one ask the same server.
#[path = "../strategy-dns/src/knot/server.rs"]
#[expect(dead_code, reason = "the tests of the crate use more of it")]
mod server;

#[path = "doctor/dns.rs"]
mod doctor;

use test_ports::lasting_port;

use self::server::Knot;
use crate::host::{DNS, Host, Launch, Plugins, outcome};

const A: &str = "app@127.0.0.1";
const B: &str = "app@127.0.0.2";
const C: &str = "app@127.0.0.3";
const ALL: [&str; 3] = [A, B, C];
const RECORDS: &str = "app 60 A 127.0.0.1\napp 60 A 127.0.0.2\napp 60 A 127.0.0.3";

/// A host whose topology `t` has the nodes at a name.
fn start(knot: &Knot, plugins: &Plugins, node: &str, connect: &str) -> Host {
    let server = knot.address();
    let config = format!(
        r#"[node]
name = "{node}"
[topologies.t]
strategy = "dns"
connect = {connect}
opts = {{ retry = {{ first = "100ms", cap = "1s" }} }}
[topologies.t.config]
query = "app.example"
node_basename = "app"
nameservers = ["{server}"]
polling_interval = "200ms"
max_ttl = 0
timeout = "500ms"
attempts = 2
"#
    );
    Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() })
}

/// A service at an address that takes all connections and keeps them.
fn serve(address: &str, port: u16) -> Arc<Mutex<Vec<TcpStream>>> {
    let listener = TcpListener::bind((address, port)).unwrap();
    let links = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&links);
    thread::spawn(move || {
        for link in listener.incoming() {
            kept.lock().unwrap().push(link.unwrap());
        }
    });
    links
}

#[track_caller]
fn wait_degraded(host: &Host, parts: &[&str]) {
    host.settle("a degraded topology", || {
        let topology = host.topology("t");
        let reason = topology["reason"].as_str().unwrap_or_default();
        (topology["health"] == "degraded" && parts.iter().all(|part| reason.contains(part))).then_some(())
    });
}

#[track_caller]
fn wait_healthy(host: &Host) {
    host.settle("a healthy topology", || (host.topology("t")["health"] == "running").then_some(()));
}

/// Three hosts find each other by one name. A record goes, and its node leaves the others; it is back with its record.
#[test]
fn three_hosts_by_one_name() {
    let (knot, plugins) = (Knot::start(&[("example.", RECORDS)]), Plugins::with(&[DNS]));
    let hosts = ALL.map(|node| start(&knot, &plugins, node, "\"none\""));
    for host in &hosts {
        host.wait_up(&ALL);
    }
    knot.change("example.", &["app 60 A 127.0.0.3"], &[]);
    for host in &hosts[..2] {
        host.wait("c gone", |view| view.events_of("node_left", C).count() == 1);
        host.wait_up(&[A, B]);
    }
    knot.change("example.", &[], &["app 60 A 127.0.0.3"]);
    for host in &hosts {
        host.wait_up(&ALL);
        host.check_fold();
        wait_healthy(host);
    }
}

/// The name server dies: the topology is degraded and nobody leaves, links stay. When it is back what has changed
/// meanwhile counts.
#[test]
fn server_dies() {
    let (mut knot, plugins) = (Knot::start(&[("example.", RECORDS)]), Plugins::with(&[DNS]));
    let port = lasting_port();
    let _links = ["127.0.0.2", "127.0.0.3"].map(|address| serve(address, port));
    let host = start(&knot, &plugins, A, &format!("{{ tcp = {{ port = {port} }} }}"));
    host.wait_up(&ALL);
    assert_eq!(host.view().members[B]["topologies"][0]["link"], "up");
    let rounds = host.counter("t", "failed_rounds");
    knot.kill();
    wait_degraded(&host, &["app.example. (A, AAAA) at 127.0.0.1:", "no answer"]);
    // Long enough that a view with nobody in it would have counted twice.
    host.settle("more failures", || (host.counter("t", "failed_rounds") >= rounds + 4).then_some(()));
    host.wait_up(&ALL);
    for node in [B, C] {
        assert_eq!(host.view().events_of("node_down", node).count(), 0, "{node}");
        assert_eq!(host.view().events_of("node_left", node).count(), 0, "{node}");
    }
    knot.write_zone("example.", "app 60 A 127.0.0.1\napp 60 A 127.0.0.2");
    knot.restart();
    wait_healthy(&host);
    host.wait("c gone", |view| view.events_of("node_left", C).count() == 1);
    host.wait_up(&[A, B]);
    host.check_fold();
}

/// All three are offered by the file, and their options are told with what they mean.
#[test]
fn described() {
    let plugins = Plugins::with(&[DNS]);
    let directory = plugins.path().display().to_string();
    for (strategy, parts) in [
        ("dns", ["query", "node_basename", "family", "nameservers"]),
        ("kubernetes_dns", ["service", "application_name", "polling_interval", "resolv_conf"]),
        ("kubernetes_dns_srv", ["namespace", "cluster_domain", "max_ttl", "Default 5s, as in libcluster"]),
    ] {
        let described =
            crate::host::cluster_host(&["strategies", "--plugins", &directory, "describe", strategy]);
        let (code, text, errors) = outcome(&described);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}
