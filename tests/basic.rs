//! Hosts whose nodes are what a command prints, a file has, or a server answers, by `libstrategy_basic.so`.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use test_httpserver::{Reply, Server};

use crate::host::{BASIC, Host, Launch, Plugins, cluster_host, outcome, private_directory};

const A: &str = "app@10.0.0.1";
const B: &str = "app@10.0.0.2";

/// A host whose topology `t` has this strategy, with options and a connector as TOML.
fn start(plugins: &Plugins, strategy: &str, config: &str, connect: &str) -> Host {
    let config = format!(
        "[topologies.t]\nstrategy = \"{strategy}\"\nconnect = {connect}\nopts = {{ retry = {{ first = \"100ms\", cap = \"1s\" }} }}\n\
         [topologies.t.config]\n{config}\n"
    );
    Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() })
}

/// Puts a file in place as one should.
fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[track_caller]
fn wait_degraded(host: &Host, part: &str) {
    host.settle("a degraded topology", || {
        let topology = host.topology("t");
        let reason = topology["reason"].as_str().unwrap_or_default();
        (topology["health"] == "degraded" && reason.contains(part)).then_some(())
    });
}

#[track_caller]
fn wait_healthy(host: &Host) {
    host.settle("a healthy topology", || (host.topology("t")["health"] == "running").then_some(()));
}

/// Nobody has gone down or left.
#[track_caller]
fn check_kept(host: &Host) {
    for node in [A, B] {
        for event in ["node_down", "node_left"] {
            assert_eq!(host.view().events_of(event, node).count(), 0, "{event} {node}");
        }
    }
    host.check_fold();
}

/// A command says who is there, and another makes the links: the strategy `exec` and the connector `exec` are two things.
/// While the command fails its last list stands.
#[test]
fn exec() {
    let (plugins, directory) = (Plugins::with(&[BASIC]), private_directory());
    let (list, flag) = (directory.path().join("list"), directory.path().join("fail"));
    put(&list, "10.0.0.1\n10.0.0.2\n");
    let script = format!(
        "! test -e {} || {{ echo no such cloud >&2; exit 1; }}; cat {}",
        flag.display(),
        list.display()
    );
    let config = format!(
        "command = [\"sh\", \"-c\", \"{script}\"]\ninterval = \"100ms\"\nname_template = \"app@{{value}}\""
    );
    let host =
        start(&plugins, "exec", &config, r#"{ exec = { connect = ["true"], disconnect = ["true"] } }"#);
    host.wait_up(&[A, B]);
    assert_eq!(host.view().members[A]["topologies"][0]["link"], "up");
    wait_healthy(&host);
    fs::write(&flag, "").unwrap();
    wait_degraded(&host, "\"sh\": no such cloud (exit code 1)");
    // Long enough that a list with nobody in it would have counted twice.
    let failed = host.counter("t", "failed_rounds");
    host.settle("more failures", || (host.counter("t", "failed_rounds") >= failed + 3).then_some(()));
    host.wait_up(&[A, B]);
    check_kept(&host);
    put(&list, "10.0.0.1\n");
    fs::remove_file(&flag).unwrap();
    host.wait("b gone", |view| view.events_of("node_left", B).count() == 1);
    host.wait_up(&[A]);
    wait_healthy(&host);
}

/// A file that is replaced counts at once; one that is gone or broken takes nobody away, and an empty one is held.
#[test]
fn file() {
    let (plugins, directory) = (Plugins::with(&[BASIC]), private_directory());
    let path = directory.path().join("nodes");
    let config = format!("path = {:?}\ninterval = \"1h\"", path.display().to_string());
    let host = start(&plugins, "file", &config, "\"none\"");
    wait_degraded(&host, "nodes: it does not exist");
    put(&path, &format!("# by Ansible\n{A}\n{B}\n"));
    host.wait_up(&[A, B]);
    wait_healthy(&host);
    fs::remove_file(&path).unwrap();
    wait_degraded(&host, "nodes: it does not exist");
    put(&path, &format!("{A}\nhalf of a li\n"));
    wait_degraded(&host, "nodes: line 2: node name");
    put(&path, "");
    host.settle("what is held back", || {
        let topology = host.topology("t");
        (topology["held"].as_array().is_some_and(|held| held.len() == 2)).then_some(())
    });
    check_kept(&host);
    put(&path, &json!([{ "name": A, "attributes": { "zone": "z" } }, B]).to_string());
    host.wait("an attribute", |view| view.members[A]["attributes"]["zone"] == "z");
    host.wait_up(&[A, B]);
    check_kept(&host);
}

/// A server is asked for pages; while a page fails, or all of it, nobody is gone.
#[test]
fn http() {
    let plugins = Plugins::with(&[BASIC]);
    let failing = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&failing);
    let server = Server::http(move |asked| {
        let page = if asked.line.contains("page=2") { 2 } else { 1 };
        let failing = current.load(Ordering::Relaxed);
        if failing == page || failing == 3 {
            return Reply::new(503, "no leader");
        }
        let next = if page == 1 { "/v1/nodes?page=2" } else { "" };
        Reply::ok(json!({ "items": [{ "Addr": format!("10.0.0.{page}") }], "next": next }).to_string())
    });
    let config = format!(
        "url = \"{}\"\ninterval = \"100ms\"\nretries = 0\nnext = \"/next\"\npointer = \"/items\"\n\
         name_template = \"app@{{Addr}}\"\naddresses = [\"Addr\"]\nport = 9000",
        server.url("/v1/nodes")
    );
    let host = start(&plugins, "http", &config, "\"none\"");
    host.wait_up(&[A, B]);
    assert_eq!(host.view().members[A]["addresses"], json!(["10.0.0.1:9000"]));
    for page in [2, 3] {
        failing.store(page, Ordering::Relaxed);
        wait_degraded(&host, "503 Service Unavailable, it says \"no leader\"");
        let failed = host.counter("t", "failed_rounds");
        host.settle("more failures", || (host.counter("t", "failed_rounds") >= failed + 3).then_some(()));
        host.wait_up(&[A, B]);
        check_kept(&host);
    }
    failing.store(0, Ordering::Relaxed);
    wait_healthy(&host);
}

/// All three are offered by the file, and their options are told with what they mean; mistakes in them are told before
/// the start.
#[test]
fn described() {
    let plugins = Plugins::with(&[BASIC]);
    let directory = plugins.path().display().to_string();
    for (strategy, parts) in [
        ("exec", ["command", "env", "output_bytes_max", "name_template"]),
        ("file", ["path", "Links are followed", "interval", "pointer"]),
        ("http", ["url", "X-Nomad-NextToken", "client_cert", "attributes"]),
    ] {
        let (code, text, errors) =
            outcome(&cluster_host(&["strategies", "--plugins", &directory, "describe", strategy]));
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    let scratch = private_directory();
    let file = scratch.path().join("host.toml");
    fs::write(
        &file,
        "[topologies.t]\nstrategy = \"http\"\nconnect = \"none\"\nconfig = { url = \"http://me:hunter2@api/\", next = \"n\" }\n",
    )
    .unwrap();
    let checked = cluster_host(&["check", "--plugins", &directory, "--config", &file.display().to_string()]);
    let (code, text, errors) = outcome(&checked);
    let all = format!("{text}{errors}");
    assert_eq!(code, Some(1), "{all}");
    assert!(
        all.contains("has a user or a password") && all.contains("write \"link\", a JSON pointer"),
        "{all}"
    );
    assert!(!all.contains("hunter2"), "{all}");
}

/// Every configuration in the documentation is one.
#[test]
fn documented() {
    let plugins = Plugins::with(&[BASIC]);
    let directory = plugins.path().display().to_string();
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/basic.md")).unwrap();
    let blocks: Vec<_> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let scratch = private_directory();
    for block in blocks {
        let file = scratch.path().join("host.toml");
        fs::write(&file, block).unwrap();
        let checked =
            cluster_host(&["check", "--plugins", &directory, "--config", &file.display().to_string()]);
        let (code, text, errors) = outcome(&checked);
        assert_eq!(code, Some(0), "{text}{errors}\n{block}");
    }
}
