//! The whole way: from the endpoints of a Service to links between nodes.

use std::{
    cell::RefCell,
    io::{ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
};

use serde_json::json;

use super::{
    A, B, C, D, Site, address, check_nobody_went, config, pod, service, terminating, told, wait_health,
};
use crate::host::Host;

/// What the connector `tcp` dials: a node is whatever listens at its address, and keeps the links that it is given.
struct Listener {
    socket: TcpListener,
    links: RefCell<Vec<TcpStream>>,
}

// === impl Listener ===

impl Listener {
    /// One for each of these nodes, at one port.
    fn all<const N: usize>(nodes: [&str; N]) -> ([Self; N], u16) {
        loop {
            let port = crate::host::free_tcp_port();
            let sockets = nodes.map(|node| TcpListener::bind((address(node), port)).ok());
            if sockets.iter().all(Option::is_some) {
                let listen = |socket: Option<TcpListener>| {
                    let socket = socket.unwrap();
                    socket.set_nonblocking(true).unwrap();
                    Self { socket, links: RefCell::default() }
                };
                return (sockets.map(listen), port);
            }
        }
    }

    /// How many links it was given so far.
    fn links(&self) -> usize {
        let mut links = self.links.borrow_mut();
        links.extend(std::iter::from_fn(|| self.socket.accept().ok()).map(|(link, _)| link));
        links.len()
    }

    /// How many of them are open.
    fn open_links(&self) -> usize {
        self.links();
        let is_open = |mut link: &TcpStream| {
            link.set_nonblocking(true).unwrap();
            link.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        };
        self.links.borrow().iter().filter(|link| is_open(link)).count()
    }

    /// Cuts its links, as a process does that ends.
    fn cut(&self) {
        self.links();
        for link in self.links.borrow().iter() {
            link.shutdown(std::net::Shutdown::Both).unwrap();
        }
    }
}

/// Three pods of one Service find each other by the API server, and link: one that terminates keeps its links, and they are
/// not made anew when it cuts them; one that is gone has left; one that comes back has another address, and is new.
#[test]
fn three_pods() {
    let site = Site::new();
    let (listeners, port) = Listener::all([A, B, C, D]);
    let start = |node| {
        let topology = format!(
            "connect = {{ tcp = {{ port = {port} }} }}\nopts = {{ retry = {{ first = \"50ms\", cap = \"200ms\" }} }}"
        );
        site.launch(config(node, &topology, &site.way()), &[])
    };
    let hosts = [A, B, C].map(start);
    site.publish([A, B, C]);
    for host in &hosts {
        host.wait_up(&[A, B, C]);
        assert_eq!(host.topology("t")["connector"], "tcp");
    }
    let [a, b, c] = &hosts;
    a.wait("its links", |view| {
        [B, C].iter().all(|node| view.members[*node]["topologies"][0]["link"] == "up")
    });
    let counts = || [0, 1, 2, 3].map(|index: usize| listeners[index].links());
    a.settle("two links to each of them", || (counts() == [2, 2, 2, 0]).then_some(()));

    site.api.apply(service().endpoints([pod(A), pod(B), terminating(C)]));
    for host in [a, b] {
        host.wait("c leaving", |view| view.state(C) == Some("leaving"));
        assert_eq!(host.view().members[C]["topologies"][0]["link"], "up");
    }
    assert_eq!(listeners[2].open_links(), 2);
    listeners[2].cut();
    for host in [a, b] {
        host.wait("the cut", |view| view.members[C]["topologies"][0]["link"] != "up");
        let link = host.get(&format!("/v1/members/{C}"))["links"][0].clone();
        assert!(link["next_attempt"].is_null(), "{link}");
        assert_eq!(host.view().state(C), Some("leaving"));
    }

    site.api.apply(service().endpoints([pod(A), pod(B)]));
    for host in [a, b] {
        host.wait("c gone", |view| view.state(C).is_none());
        assert_eq!(host.view().events_of("node_left", C).count(), 1);
    }
    assert_eq!(counts(), [2, 2, 2, 0], "nobody was dialled again");
    c.wait("its own links", |view| view.state(A) == Some("up") && view.state(B) == Some("up"));

    site.publish([A, B, D]);
    for host in [a, b] {
        host.wait_up(&[A, B, D]);
        host.check_fold();
        let view = host.view();
        assert_eq!((view.events_of("node_left", A).count(), view.events_of("node_left", B).count()), (0, 0));
    }
    c.check_fold();
    a.settle("a link to d of each", || (counts() == [2, 2, 2, 3]).then_some(()));
}

/// A link of a pod that is gone, and did not say so before, is cut.
#[test]
fn gone_at_once() {
    let site = Site::new();
    let (listeners, port) = Listener::all([A, B]);
    site.publish([A, B]);
    let topology = format!("connect = {{ tcp = {{ port = {port} }} }}");
    let host = site.launch(config(A, &topology, &site.way()), &[]);
    host.wait_up(&[A, B]);
    host.settle("the link", || (listeners[1].open_links() == 1).then_some(()));
    site.publish([A]);
    host.wait("b gone", |view| view.state(B).is_none());
    host.settle("the cut", || (listeners[1].open_links() == 0).then_some(()));
    host.check_fold();
}

/// Once it has listed and watches, nothing is asked for, whatever happens: the watch tells it. Where it may be that the
/// minute of the watch is over in between, it is renewed.
#[test]
fn asks_for_nothing_more() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "");
    site.await_watch();
    host.settle("what it counts", || (host.counter("t", "requests") == 2).then_some(()));
    let (first, [lists, watches]) =
        (site.api.requests(), ["lists", "watches"].map(|name| host.counter("t", name)));
    assert_eq!((first.len(), lists, watches), (2, 1, 1), "{first:?}");
    let query = first[0].query_value("labelSelector").to_owned();
    assert!(first[0].is_list() && first[1].is_watch() && query == "app=app", "{first:?}");
    for nodes in [&[A, B, C][..], &[A, C], &[A, B, C, D], &[A, B, D]] {
        site.publish(nodes.iter().copied());
        host.wait_up(nodes);
    }
    let more = &site.api.requests()[2..];
    assert!(more.len() <= 1 && more.iter().all(|request| request.is_watch()), "{more:?}");
    host.check_fold();
}

/// The own node is known by its name. Where others would know this pod by another name, the one is not dialled, and the
/// other is told, as a note beside what works.
#[test]
fn own_pod() {
    let site = Site::new();
    let (listeners, port) = Listener::all([A, B]);
    let topology = format!("connect = {{ tcp = {{ port = {port} }} }}");
    site.publish([A, B]);

    let same = site.launch(config(A, &topology, &site.way()), &[("POD_IP", "127.0.0.1")]);
    same.wait_up(&[A, B]);
    assert_eq!(same.view().members[A]["self"], json!(true));
    wait_health(&same, "running", &[]);

    let other = site.launch(config("other@127.0.0.1", &topology, &site.way()), &[("POD_IP", "127.0.0.1")]);
    other.wait_up(&["other@127.0.0.1", B]);
    let note = wait_health(&other, "running", &["other@127.0.0.1", A, "[node].name"]);
    assert!(!note.contains('\n'), "{note}");
    let table = told(&other, "topologies");
    assert!(
        table.lines().nth(1).is_some_and(|row| row.contains("running") && row.ends_with(&note)),
        "{table}"
    );
    other.settle("its line in the log", || other.log().contains(&note).then_some(()));
    assert!(!other.log().contains("topology is not well"), "{}", other.log());
    assert_eq!((listeners[0].links(), other.view().count("node_down")), (0, 0));
    other.settle("both links to b", || (listeners[1].links() == 2).then_some(()));

    // Without that variable there is no way to know.
    let unknowing = site.launch(config("other@127.0.0.1", &topology, &site.way()), &[]);
    unknowing.wait_up(&["other@127.0.0.1", A, B]);
    wait_health(&unknowing, "running", &[]);
    check_nobody_went(&unknowing);
}

/// A selector that nobody matches is told, and what to look at.
#[test]
fn nobody_matches() {
    let site = Site::new();
    let host: Host = site.start("");
    wait_health(&host, "running", &["nothing matches the selector"]);
    site.publish([A, B]);
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
}
