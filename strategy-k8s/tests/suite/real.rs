//! A real `kube-apiserver` with an `etcd` of its own, on loopback and in a temporary directory.
//!
//! There is no controller: what controllers would make, slices and the status of pods, is written by the scenarios.

pub(crate) mod binaries;
pub(crate) mod command;
pub(crate) mod process;

use std::{
    cell::RefCell,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use self::binaries::Binaries;
use self::{
    command::{Layout, Ports},
    process::Process,
};
use crate::{
    certificates::Certificates,
    cluster::{Server, USERS},
};

/// How long etcd may take to an answer.
const ETCD_WITHIN: Duration = Duration::from_secs(30);

/// It.
pub(crate) struct Real {
    binaries: Binaries,
    layout: Layout,
    // In this order the server ends before its etcd, and the files go last.
    api_server: RefCell<Process>,
    _etcd: Process,
    _directory: TempDir,
}

impl Real {
    /// Starts both. That it is ready has to be waited for; it waits for etcd by itself.
    pub(crate) fn start(binaries: &Binaries) -> Self {
        let directory = TempDir::new().unwrap();
        let layout = Layout {
            directory: directory.path().to_owned(),
            certificates: Certificates::generate(directory.path()),
            tokens: directory.path().join("tokens.csv"),
            ports: Ports { etcd_client: free_port(), etcd_peer: free_port(), api_server: free_port() },
        };
        fs::write(&layout.tokens, command::tokens(&USERS)).unwrap();
        let help = Command::new(&binaries.etcd).arg("--help").output().unwrap();
        let help = [help.stdout, help.stderr].concat();
        let may_skip_fsync = String::from_utf8_lossy(&help).contains("unsafe-no-fsync");
        let etcd = Process::start("etcd", &binaries.etcd, &layout.etcd(may_skip_fsync), directory.path());
        let api_server = run(binaries, &layout);
        Self {
            binaries: binaries.clone(),
            layout,
            api_server: RefCell::new(api_server),
            _etcd: etcd,
            _directory: directory,
        }
    }

    /// Asks etcd by its gateway for JSON.
    fn ask_etcd(&self, path: &str, body: &Value) -> Value {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.layout.ports.etcd_client));
        post(address, path, body)
    }
}

impl Server for Real {
    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.layout.ports.api_server)
    }

    fn authority(&self) -> String {
        fs::read_to_string(&self.layout.certificates.authority).unwrap()
    }

    fn kill(&self) {
        self.api_server.borrow_mut().kill();
    }

    fn start_again(&self) {
        self.kill();
        self.api_server.replace(run(&self.binaries, &self.layout));
    }

    fn pause(&self) {
        self.api_server.borrow().pause();
    }

    fn resume(&self) {
        self.api_server.borrow().resume();
    }

    fn compact(&self) {
        // Any key does: the revision is that of the whole.
        let answer = self.ask_etcd("/v3/kv/range", &json!({ "key": "AA==" }));
        let revision = answer.pointer("/header/revision").and_then(Value::as_str);
        let revision = revision.unwrap_or_else(|| panic!("etcd tells no revision: {answer}"));
        self.ask_etcd("/v3/kv/compaction", &json!({ "revision": revision, "physical": true }));
    }
}

fn run(binaries: &Binaries, layout: &Layout) -> Process {
    Process::start("kube-apiserver", &binaries.api_server, &layout.api_server(), &layout.directory)
}

/// A port that nobody has now. Somebody may take it before the server does; then the server says so and ends.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Sends JSON over plain HTTP, and gives the JSON of the answer.
pub(crate) fn post(address: SocketAddr, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect_timeout(&address, ETCD_WITHIN).unwrap();
    stream.set_read_timeout(Some(ETCD_WITHIN)).unwrap();
    let body = body.to_string();
    // Of HTTP 1.0, so that the answer ends with the connection and has no chunks.
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {answer}"));
    let is_success = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    assert!(is_success, "{path} was refused: {answer}");
    serde_json::from_str(body).unwrap()
}
