//! Tests of the suite itself: what a real server is started with, as far as that can be seen without one.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    certificates::Certificates,
    cluster::USERS,
    real::{
        Binaries,
        command::{Layout, Ports, tokens},
        post,
        process::Process,
    },
    rest::collection,
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 6] = [
        ("command_lines", command_lines),
        ("token_file", token_file),
        ("binaries", binaries),
        ("processes", processes),
        ("posts", posts),
        ("collections", collections),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(format!("driver::{name}"), move || {
            test();
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

/// No flag is given twice, each has a value, what is named as a file is there, and everything is on loopback.
fn command_lines() {
    let directory = TempDir::new().unwrap();
    let layout = Layout {
        directory: directory.path().to_owned(),
        certificates: Certificates::generate(directory.path()),
        tokens: directory.path().join("tokens.csv"),
        ports: Ports { etcd_client: 1_001, etcd_peer: 1_002, api_server: 1_003 },
    };
    fs::write(&layout.tokens, tokens(&USERS)).unwrap();
    for arguments in [layout.etcd(true), layout.etcd(false), layout.api_server()] {
        let mut seen = BTreeSet::new();
        for argument in &arguments {
            let (flag, value) = argument.strip_prefix("--").unwrap().split_once('=').unwrap();
            assert!(seen.insert(flag), "{flag} is given twice: {arguments:?}");
            assert!(!value.is_empty(), "{argument}");
            if flag.ends_with("-file") || flag == "cert-dir" {
                assert!(Path::new(value).exists(), "{argument} is not there");
            }
            if value.contains("http://") || flag.ends_with("-address") {
                assert!(value.contains("127.0.0.1"), "{argument} is not on loopback");
            }
        }
    }
    assert!(layout.etcd(true).contains(&"--unsafe-no-fsync=true".to_owned()));
    assert_eq!(layout.etcd(true).len(), layout.etcd(false).len() + 1);
}

/// One of the tokens is of the group that may do everything, and only that one.
fn token_file() {
    let text = tokens(&[("t-0", "admin"), ("t-1", "system:serviceaccount:demo:x")]);
    assert_eq!(text, "t-0,admin,uid-0,\"system:masters\"\nt-1,system:serviceaccount:demo:x,uid-1\n");
}

/// Both programs have to be there; what is named and not there is no reason to run less.
fn binaries() {
    let directory = TempDir::new().unwrap();
    let file = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, "").unwrap();
        path
    };
    let find = |set: &[(&str, &Path)]| {
        let value =
            |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, path)| OsString::from(path));
        Binaries::find(value)
    };
    assert_eq!(find(&[]), Ok(None));
    assert_eq!(find(&[("PATH", directory.path())]), Ok(None));
    let etcd = file("etcd");
    assert_eq!(find(&[("PATH", directory.path())]), Ok(None));
    find(&[("ETCD", &etcd)]).unwrap_err();
    let api_server = file("kube-apiserver");
    let both = Binaries { api_server: api_server.clone(), etcd: etcd.clone() };
    assert_eq!(find(&[("PATH", directory.path())]), Ok(Some(both.clone())));
    assert_eq!(find(&[("KUBE_APISERVER", &api_server), ("ETCD", &etcd)]), Ok(Some(both)));
    find(&[("KUBE_APISERVER", &directory.path().join("none")), ("PATH", directory.path())]).unwrap_err();
}

/// A process is held up, goes on, logs and is killed.
fn processes() {
    let directory = TempDir::new().unwrap();
    let script = "echo begun; while :; do read -r line < /dev/zero; done";
    let arguments = ["-c", script].map(str::to_owned);
    let mut process = Process::start("stand-in", Path::new("/bin/sh"), &arguments, directory.path());
    let state = |id: u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    let id = process.id();
    wait_until("it logs", || fs::read_to_string(directory.path().join("stand-in.log")).unwrap() == "begun\n");
    process.pause();
    wait_until("it stands still", || state(id) == Some('T'));
    process.resume();
    wait_until("it goes on", || state(id).is_some_and(|state| state != 'T'));
    process.kill();
    assert_eq!(state(id), None);
    // It may have ended by itself before it is killed.
    process.kill();
}

/// What etcd is asked goes over plain HTTP, and its answer is read to the end.
fn posts() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"{\"key\":\"AA==\"}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.extend(byte);
        }
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"header\":{\"revision\":\"7\"}}").unwrap();
        String::from_utf8(seen).unwrap()
    });
    let answer = post(address, "/v3/kv/range", &json!({ "key": "AA==" }));
    assert_eq!(answer["header"]["revision"], "7");
    let seen = server.join().unwrap();
    assert!(
        seen.starts_with("POST /v3/kv/range HTTP/1.0\r\n") && seen.contains("Content-Length: 14\r\n"),
        "{seen}"
    );
}

/// Objects of each kind are created where the API has them.
fn collections() {
    for (version, kind, namespace, expected) in [
        ("v1", "Namespace", None, "/api/v1/namespaces"),
        ("v1", "Endpoints", Some("demo"), "/api/v1/namespaces/demo/endpoints"),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            Some("demo"),
            "/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            None,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        ),
    ] {
        let object =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": namespace}});
        assert_eq!(collection(&object), expected);
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let wait = async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let within = std::time::Duration::from_secs(20);
    let outcome = runtime.block_on(async { tokio::time::timeout(within, wait).await });
    assert!(outcome.is_ok(), "{what}: that did not happen");
}
