use std::{
    io::Write as _,
    net::{TcpListener, TcpStream as Blocking},
};

use cluster_sdk::{Report, abi::host::ExitKind, serde_json::json, testing::TestHost};

use super::*;

/// A registry on this machine, and the strategy that follows it.
fn followed() -> (Blocking, TestHost) {
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = json!({ "registry": registry.local_addr().unwrap().to_string() });
    let host = TestHost::strategy::<NewcomerStrategy>(config).unwrap();
    (registry.accept().unwrap().0, host)
}

/// The list is one complete view, however slowly it comes; what follows are changes.
#[test]
fn list_and_changes() {
    let (mut registry, host) = followed();
    registry.write_all(b"+ a@h\n+ b@h\n=\n").unwrap();
    assert_eq!(host.next_view().unwrap().names(), ["a@h", "b@h"]);
    registry.write_all(b"- a@h\n+ c@h\n").unwrap();
    assert_eq!(
        host.next_report().unwrap(),
        Report::Apply(removed(Node::try_new("a@h").unwrap()))
    );
    assert_eq!(
        host.next_report().unwrap(),
        Report::Apply(added(Node::try_new("c@h").unwrap()))
    );
}

/// A list that breaks off is no view at all, and the reason says whose fault it is.
#[test]
fn broken_list() {
    let (mut registry, host) = followed();
    registry.write_all(b"+ a@h\n").unwrap();
    drop(registry);
    let exit = host.exit().unwrap();
    assert_eq!(exit.kind, ExitKind::Failed);
    assert!(exit.reason.unwrap().ends_with("has closed the connection"));
    assert_eq!(host.reports(), []);
}

/// What is no line of the registry ends the instance with that line.
#[test]
fn nonsense() {
    let (mut registry, host) = followed();
    registry.write_all(b"hello\n").unwrap();
    let reason = host.exit().unwrap().reason.unwrap();
    assert!(reason.contains("sent \"hello\""), "{reason}");
}
