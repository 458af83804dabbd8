use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream as StdStream},
};

use cluster_sdk::{
    Operation,
    abi::host::OperationOutcome,
    testing::{PATIENCE, TestHost},
};
use serde_json::json;
use socket2::SockFilter;

use super::*;

/// A service of the user: it listens and keeps connections open.
struct Service(TcpListener);

impl Service {
    fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn accept(&self) -> StdStream {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn host(port: u16) -> TestHost {
    TestHost::connector::<Tcp>(json!({ "port": port })).unwrap()
}

fn node(name: &str) -> Node {
    Node::try_new(name).unwrap()
}

fn connect(host: &TestHost, node: &Node) -> OperationOutcome {
    host.perform(&Operation::Connect(node.clone())).unwrap()
}

/// The names in the connector's list.
fn list(host: &TestHost, expected: &[&str]) {
    assert_eq!(host.perform(&Operation::List).unwrap(), OperationOutcome::Done);
    host.wait_for_links(|up| up.iter().map(NodeName::as_str).eq(expected.iter().copied())).unwrap();
}

/// A link is up while the connection is open, however much the other side sends, and down with its end.
#[test]
fn closed_by_the_other_side() {
    let service = Service::start();
    let host = host(service.port());
    let app = node("app@127.0.0.1");
    assert_eq!(connect(&host, &app), OperationOutcome::Done);
    let mut stream = service.accept();
    list(&host, &["app@127.0.0.1"]);
    // More than the buffers of both sides hold, so it only ends if it is read.
    stream.write_all(&vec![1; 32 * 1024 * 1024]).unwrap();
    assert_eq!(connect(&host, &app), OperationOutcome::Done, "done already");
    drop(stream);
    let change = host.next_link().unwrap();
    let reason = format!("127.0.0.1:{}: closed by the other side", service.port());
    assert_eq!((change.up, change.node, change.reason), (false, app.name().clone(), Some(reason)));
    list(&host, &[]);
}

/// A reset ends a link at once, and it can be made again.
#[test]
fn reset_and_made_again() {
    let service = Service::start();
    let host = host(service.port());
    let app = node("app@localhost");
    assert_eq!(connect(&host, &app), OperationOutcome::Done);
    let stream = service.accept();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let change = host.next_link().unwrap();
    assert!(change.reason.unwrap().contains("Connection reset by peer"));
    assert_eq!(connect(&host, &app), OperationOutcome::Done);
    let _open = service.accept();
    list(&host, &["app@localhost"]);
}

/// Who is not there is unreachable, with the address and the reason.
#[test]
fn unreachable() {
    let port = Service::start().port();
    let outcome = connect(&host(port), &node("app@127.0.0.1"));
    let expected = format!("127.0.0.1:{port}: Connection refused (os error 111)");
    assert_eq!(outcome, OperationOutcome::Unreachable(expected));
}

/// Addresses count before the name's host, a port in an address before the configured one, and each is tried.
#[test]
fn addresses() {
    let (service, gone) = (Service::start(), Service::start().port());
    let host = host(gone);
    let address = format!("127.0.0.1:{}", service.port());
    let app = node("app@192.0.2.1").address("127.0.0.1").address(&address);
    assert_eq!(connect(&host, &app), OperationOutcome::Done);
    let _open = service.accept();
}

/// A node that moves is dialled at its new address; the connection to the old one is closed.
#[test]
fn address_change() {
    let (old, new) = (Service::start(), Service::start());
    let host = host(1);
    let app = |service: &Service| node("app@h").address(&format!("127.0.0.1:{}", service.port()));
    assert_eq!(connect(&host, &app(&old)), OperationOutcome::Done);
    let mut first = old.accept();
    assert_eq!(connect(&host, &app(&new)), OperationOutcome::Done);
    let _second = new.accept();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    list(&host, &["app@h"]);
}

/// Cutting a link closes the connection without a word about a lost link; stopping closes all.
#[test]
fn disconnect_and_stop() {
    let service = Service::start();
    let host = host(service.port());
    let (a, b) = (node("a@127.0.0.1"), node("b@127.0.0.1"));
    assert_eq!(connect(&host, &a), OperationOutcome::Done);
    let mut link_a = service.accept();
    assert_eq!(connect(&host, &b), OperationOutcome::Done);
    let mut link_b = service.accept();
    assert_eq!(host.perform(&Operation::Disconnect(a.name().clone())).unwrap(), OperationOutcome::Done);
    assert_eq!(host.perform(&Operation::Disconnect(a.name().clone())).unwrap(), OperationOutcome::Done);
    assert_eq!(link_a.read(&mut [0]).unwrap(), 0);
    list(&host, &["b@127.0.0.1"]);
    host.stop().unwrap();
    assert_eq!(link_b.read(&mut [0]).unwrap(), 0);
}

/// A node that falls silent without closing its connection is noticed after `dead_after`. Here its kernel drops all
/// that comes for the connection, as if the cable were cut.
#[test]
fn silent_node() {
    const RETURN: u16 = 0x06;
    let service = Service::start();
    let config = json!({ "port": service.port(), "dead_after": "1s" });
    let host = TestHost::connector::<Tcp>(config).unwrap();
    let app = node("app@127.0.0.1");
    assert_eq!(connect(&host, &app), OperationOutcome::Done);
    let stream = service.accept();
    SockRef::from(&stream).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]).unwrap();
    let change = host.next_link().unwrap();
    let reason = format!("127.0.0.1:{}: no answer any more", service.port());
    assert_eq!((change.up, change.reason), (false, Some(reason)));
}

/// The kernel is told to give up after `dead_after`, and to ask often enough to notice.
#[tokio::test]
async fn dead_after() {
    let service = Service::start();
    let stream = TcpStream::connect(service.0.local_addr().unwrap()).await.unwrap();
    for (dead_after, interval) in [(1, 1), (10, 3), (60, 20)] {
        watch_for_death(&stream, Duration::from_secs(dead_after)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(dead_after)));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(interval));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(interval));
    }
}

/// How addresses are read.
#[test]
fn endpoints() {
    let address = |text: &str| Endpoint::Address(text.parse().unwrap());
    for (text, expected) in [
        ("10.0.0.7", address("10.0.0.7:9000")),
        ("10.0.0.7:80", address("10.0.0.7:80")),
        ("fd00::1", address("[fd00::1]:9000")),
        ("[fd00::1]", address("[fd00::1]:9000")),
        ("[fd00::1]:80", address("[fd00::1]:80")),
        ("host", Endpoint::Name("host", 9000)),
        ("host:80", Endpoint::Name("host", 80)),
        ("host:eighty", Endpoint::Name("host:eighty", 9000)),
    ] {
        assert_eq!(endpoint(text, 9000), expected, "{text}");
    }
}

/// What a config can have wrong beyond its types.
#[test]
fn validation() {
    let errors = |config: serde_json::Value| {
        let config = cluster_sdk::config::parse::<TcpConfig>(config).unwrap();
        let errors = Tcp::validate(&config, &LocalNode::default());
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(errors(json!({ "port": 9000 })).is_empty());
    assert_eq!(
        errors(json!({ "port": 0, "dead_after": "500ms", "connect_timeout": 0 })),
        [
            "port: 0 is no port to connect to",
            "dead_after: 500ms is not between 1s and 32767s",
            "connect_timeout: must be more than nothing",
        ]
    );
}
