use std::net::TcpListener;

use cluster_sdk::{Operation, abi::host::OperationOutcome, serde_json::json, testing::TestHost};

use super::*;

/// A node on this machine, and the connector.
fn node() -> (TcpListener, Node, TestHost) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let node = Node::try_new("app@127.0.0.1").unwrap().address(&address);
    let host = TestHost::connector::<NewcomerConnector>(json!({})).unwrap();
    (listener, node, host)
}

/// A link is there until it is cut.
#[test]
fn connects_and_disconnects() {
    let (_listener, node, host) = node();
    let name = node.name().clone();
    assert_eq!(
        host.perform(&Operation::Connect(node)).unwrap(),
        OperationOutcome::Done
    );
    assert_eq!(
        host.perform(&Operation::List).unwrap(),
        OperationOutcome::Done
    );
    host.wait_for_links(|up| up == [name.clone()]).unwrap();
    assert_eq!(
        host.perform(&Operation::Disconnect(name)).unwrap(),
        OperationOutcome::Done
    );
    assert_eq!(
        host.perform(&Operation::List).unwrap(),
        OperationOutcome::Done
    );
    host.wait_for_links(<[NodeName]>::is_empty).unwrap();
}

/// A link that is lost is told without being asked.
#[test]
fn lost_link() {
    let (listener, node, host) = node();
    let name = node.name().clone();
    assert_eq!(
        host.perform(&Operation::Connect(node)).unwrap(),
        OperationOutcome::Done
    );
    drop(listener.accept().unwrap());
    let change = host.next_link().unwrap();
    assert_eq!((change.node, change.up), (name, false));
}

/// Where nobody listens, the reason has the address.
#[test]
fn unreachable() {
    let (listener, node, host) = node();
    drop(listener);
    let address = node.addresses().next().unwrap().to_owned();
    let OperationOutcome::Unreachable(reason) = host.perform(&Operation::Connect(node)).unwrap()
    else {
        panic!("nobody listens at {address}");
    };
    assert!(reason.starts_with(&address), "{reason}");
}
