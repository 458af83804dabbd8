use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cluster_core::Health;
use cluster_sdk::{
    Completeness, Report,
    serde_json::{Value, json},
    testing::TestHost,
};
use test_httpserver::{Authority, Reply, Server};

use super::*;
use crate::testing::{check_config, check_failure, names, view, wait_healthy, wait_names, wait_reason, with};

fn ask(server: &Server, options: Value) -> TestHost {
    let config = json!({ "url": server.url("/v1/nodes?dc=a"), "interval": "100ms", "retries": 0 });
    TestHost::strategy::<Http>(with(config, options)).unwrap()
}

/// A server whose answers the test chooses: how often it was told to change counts.
fn changing(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Server, Arc<AtomicUsize>) {
    let state = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&state);
    (Server::http(move |_| reply(current.load(Ordering::Relaxed))), state)
}

/// Consul's catalog: names, addresses and attributes by the fields of an item, and a token from a file.
#[test]
fn catalog() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "hunter2\n").unwrap();
    let authority = Authority::generate();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let client = authority.client();
    let [cert, key] = [("cert.pem", client.certificate), ("key.pem", client.key)].map(|(name, text)| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    });
    let server = Server::https(authority.server_for_clients("127.0.0.1"), |asked| {
        if asked.headers.get("x-consul-token").is_none_or(|token| token != "hunter2") {
            return Reply::new(403, "Permission denied");
        }
        let item = |place: usize| json!({ "Address": format!("10.0.0.{place}"), "ServicePort": 4000, "ServiceMeta": { "zone": "z" } });
        Reply::ok(json!([item(7), item(8)]).to_string())
    });
    let host = ask(
        &server,
        json!({
            "headers": { "X-Consul-Token": { "file": token } },
            "ca_file": ca, "client_cert": cert, "client_key": key,
            "name_template": "app@{Address}",
            "addresses": ["Address"],
            "port": "ServicePort",
            "attributes": { "zone": "ServiceMeta.zone" },
        }),
    );
    let found = view(&host);
    assert_eq!(
        (names(&found), found.completeness),
        (vec!["app@10.0.0.7".into(), "app@10.0.0.8".into()], Completeness::Complete)
    );
    let node = found.nodes.iter().next().unwrap().to_node().unwrap();
    assert_eq!(node.addresses().collect::<Vec<_>>(), ["10.0.0.7:4000"]);
    assert_eq!(node.attributes().collect::<Vec<_>>(), [("zone", "z")]);
    fs::write(&token, "hunter3\n").unwrap();
    let status = host.wait_for_status(|status| status.health == Health::Denied).unwrap();
    let reason = status.reason.unwrap();
    let begin = format!("GET {}: 403 Forbidden, it says \"Permission denied\"", server.url("/v1/nodes?…"));
    assert!(reason.starts_with(&begin) && !reason.contains("hunter"), "{reason}");
    fs::write(&token, "hunter2\n").unwrap();
    wait_healthy(&host);
}

/// A list that has not changed is not sent again, and stands.
#[test]
fn unchanged() {
    let list = |state| if state == 0 { "[\"a@h\"]" } else { "[\"b@h\"]" };
    let state = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&state);
    let server = Server::http(move |asked| {
        let state = current.load(Ordering::Relaxed);
        let tag = format!("\"{state}\"");
        if asked.headers.get("if-none-match") == Some(&tag) {
            return Reply::new(304, "");
        }
        Reply::ok(list(state)).header("etag", &tag)
    });
    let host = ask(&server, json!({}));
    host.wait_for_status(|status| status.counters.get("unchanged_pages").is_some_and(|count| *count > 1))
        .unwrap();
    for report in host.reports() {
        let Report::Reset(view) = report else { panic!("a list") };
        assert_eq!((names(&view), view.completeness), (vec!["a@h".to_owned()], Completeness::Complete));
    }
    state.store(1, Ordering::Relaxed);
    wait_names(&host, &["b@h"]);
}

/// All pages are one list. Where a later one fails what was found is a part, and where the first one does nothing is
/// known.
#[test]
fn pages() {
    let failing = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&failing);
    let server = Server::http(move |asked| {
        let page = if asked.line.ends_with("page=2") { 2 } else { 1 };
        if current.load(Ordering::Relaxed) == page {
            return Reply::new(500, "");
        }
        let next = if page == 1 { json!(2) } else { Value::Null };
        Reply::ok(json!({ "nodes": [format!("n{page}@h")], "meta": { "next": next } }).to_string())
    });
    let host = ask(&server, json!({ "next": { "pointer": "/meta/next", "query": "page" } }));
    let whole = view(&host);
    assert_eq!(
        (names(&whole), whole.completeness),
        (vec!["n1@h".into(), "n2@h".into()], Completeness::Complete)
    );
    failing.store(2, Ordering::Relaxed);
    assert_eq!(wait_names(&host, &["n1@h"]).completeness, Completeness::Partial);
    let reason = wait_reason(&host);
    assert!(reason.starts_with(&format!("GET {}: 500 Internal", server.url("/v1/nodes?…"))), "{reason}");
    failing.store(1, Ordering::Relaxed);
    let wait_rounds = |count: u64| {
        let before = host.status().unwrap().counters["failed_rounds"];
        host.wait_for_status(|status| status.counters["failed_rounds"] >= before + count).unwrap();
    };
    // The first of these may have begun before.
    wait_rounds(2);
    drop(host.reports());
    wait_rounds(1);
    assert_eq!(host.reports(), []);
    failing.store(0, Ordering::Relaxed);
    wait_names(&host, &["n1@h", "n2@h"]);
    wait_healthy(&host);
}

/// What is no list is an error and no empty list; an empty one says that nobody is there.
#[test]
fn answers() {
    let (server, state) = changing(|state| match state {
        0 => Reply::ok("a@h # by lines\n"),
        1 => Reply::ok("<html>welcome</html>"),
        2 => Reply::ok("{}"),
        3 => Reply::new(502, "<html>"),
        4 => Reply::ok("[]"),
        _ => Reply::ok("[\"a@h\", { \"name\": \"b\" }]"),
    });
    let host = ask(&server, json!({}));
    wait_names(&host, &["a@h"]);
    for (next, part) in [
        (
            1,
            "line 1: node name \"<html>welcome</html>\" is not of the form name@host; is it the right address?",
        ),
        (
            2,
            "it has no list at \"/nodes\", but nothing: set pointer to where the list is; is it the right address?",
        ),
        (3, "502 Bad Gateway; the server is in trouble"),
    ] {
        state.store(next, Ordering::Relaxed);
        let told = |reason: &String| reason.contains(part);
        host.wait_for_status(|status| status.reason.as_ref().is_some_and(told)).unwrap();
    }
    let empty = host
        .reports()
        .into_iter()
        .any(|report| matches!(report, Report::Reset(view) if names(&view) != ["a@h"]));
    assert!(!empty);
    state.store(4, Ordering::Relaxed);
    assert_eq!(wait_names(&host, &[]).completeness, Completeness::Complete);
    wait_healthy(&host);
    state.store(5, Ordering::Relaxed);
    assert_eq!(wait_names(&host, &["a@h"]).completeness, Completeness::Partial);
    assert!(wait_reason(&host).starts_with("item 2: node name \"b\" is not of the form"));
}

/// A server that is overrun is left alone for as long as it wants.
#[test]
fn overrun() {
    let server = Server::http(|_| Reply::new(429, "").header("retry-after", "3600"));
    let host = ask(&server, json!({ "retries": 5 }));
    check_failure(&host, "GET ", "it is asked too often: raise the interval");
    host.stop().unwrap();
    assert_eq!(server.asked().len(), 1);
}

/// What makes no sense is told with its place.
#[test]
fn options() {
    let check = |options: Value, expected: &[&str]| {
        check_config::<Http>(with(json!({ "url": "http://127.0.0.1/" }), options), expected);
    };
    for next in [
        json!("link"),
        json!("/links/next"),
        json!({ "pointer": "/next", "query": "page" }),
        json!({ "header": "X-Next", "query": "page" }),
    ] {
        check(json!({ "next": next, "pointer": "/nodes", "bearer": { "env": "TOKEN" } }), &[]);
    }
    for next in [
        json!("next"),
        json!({ "pointer": "/next" }),
        json!(5),
        json!({ "pointer": "next", "query": "page" }),
    ] {
        check(
            json!({ "next": next }),
            &["next: write \"link\", a JSON pointer to the address as \"/links/next\", {"],
        );
    }
    check(
        json!({ "url": "consul:8500" }),
        &["url: \"consul:8500\" is not an address: write it whole, with http://"],
    );
    check(
        json!({ "url": "http://me:hunter2@consul/" }),
        &["url: \"http://…@consul/\" has a user or a password"],
    );
    check(
        json!({ "interval": 1, "timeout": 0, "headers": { "Host": "a" }, "client_cert": "/c" }),
        &["interval: 1ms is not", "timeout: 0s is not", "headers.Host: says how", "client_key: is missing"],
    );
    check(json!({ "header": {} }), &["header: unknown key; did you mean `headers`?"]);
}
