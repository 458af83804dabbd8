//! Connectors in processes of their own.

use std::{fs, net::TcpListener};

use super::{SELF, STEADY, check_steady, start, wait_topology};
use crate::host::{Host, private_directory};

const APP: &str = "app@127.0.0.1";

/// A connector of the host and its links, in a process: made, lost and made again as in the host's own.
#[test]
fn links_are_made_from_a_process() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    let host = start(&format!(
        "[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{APP}\"] }}\n\
         connect = {{ tcp = {{ port = {port}, isolation = \"process\" }} }}\n"
    ));
    let (link, _) = service.accept().unwrap();
    host.wait_up(&[APP, SELF, STEADY[0], STEADY[1]]);
    drop(link);
    host.wait("the link's end", |view| view.events_of("node_down", APP).count() == 1);
    let (_link, _) = service.accept().unwrap();
    host.wait("a new link", |view| view.events_of("node_up", APP).count() == 2);
    check_steady(&host);
}

/// A host whose connector dies once, as the file says, and is there again.
fn dies_once(connector: &str) -> (Host, serde_json::Value) {
    let scratch = private_directory();
    let file = scratch.path().join("links");
    fs::write(&file, APP).unwrap();
    let host = start(&format!(
        "[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{APP}\"] }}\n\
         connect = {{ {connector} = {{ file = \"{}\" }} }}\n",
        file.display()
    ));
    host.wait("the link", |view| view.state(APP) == Some("up"));
    fs::write(&file, "die").unwrap();
    let told = wait_topology(&host, "t", "the end of its connector", |topology| {
        topology["reason"].as_str().is_some_and(|reason| reason.contains("SIGABRT"))
    });
    fs::write(&file, APP).unwrap();
    wait_topology(&host, "t", "its connector again", |topology| topology["health"] == "running");
    (host, told)
}

/// The links of a connector that owns them go with its process, and are made again by the next.
#[test]
fn own_links_go_with_the_process() {
    let (host, _) = dies_once("dying-own");
    host.wait("the link anew", |view| {
        view.events_of("node_down", APP).count() == 1 && view.events_of("node_up", APP).count() == 2
    });
    check_steady(&host);
}

/// The links of a connector that they outlive stay, whatever becomes of its process.
#[test]
fn outliving_links_stay() {
    let (host, _) = dies_once("dying-outlive");
    host.wait("the link as it was", |view| view.state(APP) == Some("up"));
    assert_eq!(host.view().events_of("node_down", APP).count(), 0);
    check_steady(&host);
}
