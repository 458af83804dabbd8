//! A connector works from a shared library as it does when it is linked in.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests too, but clippy does not know it"
)]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use cluster_host::plugin::{Registry, load};
use cluster_sdk::{
    LocalNode, Node, OfferKind, Operation, Refused, Report, StopReason,
    abi::host::{
        Exit, ExitKind, HostInterface, InstanceStatus, LinkChange, LogRecord, OperationOutcome, Start,
    },
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Completed(u64, OperationOutcome),
    Link(LinkChange),
    Exited(Exit),
}

struct Host(Mutex<Sender<Said>>);

impl Host {
    fn start() -> (Arc<Self>, Receiver<Said>) {
        let (sender, receiver) = mpsc::channel();
        (Arc::new(Self(Mutex::new(sender))), receiver)
    }

    fn note(&self, said: Said) {
        self.0.lock().unwrap().send(said).unwrap_or_default();
    }
}

impl HostInterface for Host {
    fn log(&self, _record: &LogRecord<'_>) {}
    fn report(&self, _report: Report) -> Result<(), Refused> {
        Ok(())
    }
    fn status(&self, _status: InstanceStatus) {}
    fn completed(&self, op: u64, outcome: OperationOutcome) {
        self.note(Said::Completed(op, outcome));
    }
    fn link(&self, change: LinkChange) {
        self.note(Said::Link(change));
    }
    fn exited(&self, exit: Exit) {
        self.note(Said::Exited(exit));
    }
}

/// The library is found by what it offers, loaded, connects, notices the end of a connection, and stops.
#[test]
fn links_through_a_shared_library() {
    let built = std::env::current_exe().unwrap().with_file_name("libplugin_tcp_connector.so");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("libplugin_tcp_connector.so");
    fs::copy(built, &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let registry = Registry::scan(directory.path()).with_builtin(cluster_host::connectors::plugin()).unwrap();
    let source = registry.find(OfferKind::Connector, "tcp-from-file").unwrap();
    assert_eq!(source.path(), Some(file.as_path()));
    let plugin = load(source).unwrap();

    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Start {
        kind: OfferKind::Connector,
        name: "tcp-from-file".to_owned(),
        config: json!({ "port": service.local_addr().unwrap().port(), "dead_after": "2s" }),
        topology: "test".to_owned(),
        local: LocalNode::default(),
        log_level: tracing::level_filters::LevelFilter::INFO,
        diagnose: None,
    };
    let errors = plugin.validate(start.kind, &start.name, &json!({ "prot": 1 }), &start.local).unwrap();
    assert!(errors[0].message.contains("did you mean `port`?"), "{errors:?}");
    let (host, said) = Host::start();
    let running = plugin.start(&start, host).unwrap();
    let node = Node::try_new("app@127.0.0.1").unwrap();
    running.submit(1, &Operation::Connect(node.clone()), PATIENCE).unwrap();
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), Said::Completed(1, OperationOutcome::Done));
    drop(service.accept().unwrap());
    let Said::Link(change) = said.recv_timeout(PATIENCE).unwrap() else {
        unreachable!("a word about the link")
    };
    assert_eq!((change.up, &change.node), (false, node.name()));
    running.stop(StopReason::Leave, PATIENCE);
    let exit = Exit { kind: ExitKind::Stopped, reason: None };
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), Said::Exited(exit));
}
