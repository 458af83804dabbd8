//! Every recorded request gets the recorded answer.

use http::HeaderMap;
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WARNING,
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes};
use serde_json::{Value, json};
use test_apiserver::recordings::{Recording, Recordings};
use test_apiserver::{ApiServer, Kind, Verb};
use tower::Service as _;

/// The version that the real server had compacted to when the watches from version 2 were recorded.
const COMPACTED: u64 = 12_565;
/// The version of the real server when the version from the future was asked for.
const LATEST: u64 = 12_695;

/// The server has the recorded objects, is asked what the real one was asked, while the same happens to the objects,
/// and says the same: status, headers, length, body. What a recording needs beyond that is in [`arrange`].
#[tokio::test(start_paused = true)]
async fn answers_are_as_recorded() {
    let recordings = Recordings::bundled();
    assert!(recordings.iter().count() >= 30);
    for recording in recordings.iter() {
        let server = arrange(&recordings, recording);
        let mut request = recording.request();
        if recording.file == "status-401-bad-token.json" {
            request.headers_mut().insert(AUTHORIZATION, "Bearer not-a-token".parse().unwrap());
        }
        if recording.file == "pods-list-partialmetadata.json" {
            let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
            request.headers_mut().insert(ACCEPT, accept.parse().unwrap());
        }
        let response = server.service().call(request).await.unwrap();
        assert_eq!(response.status(), recording.status, "{}", recording.file);
        check_headers(recording, response.headers(), response.body().size_hint().exact());
        if is_of_changes(&recording.file) {
            happen(&server, recording);
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        check_body(recording, &body);
    }
}

/// The server as the real one was when this was recorded.
fn arrange(recordings: &Recordings, recording: &Recording) -> ApiServer {
    let server = ApiServer::new();
    for list in ["endpoints-list.json", "endpointslices-list.json", "pods-list.json"] {
        server.load(&recordings.file(list).json());
    }
    match recording.file.as_str() {
        "status-403-other-namespace.json" | "status-403-cluster-scope.json" => {
            server.allow_only_namespace("demo");
        }
        "status-403-anonymous.json" | "status-401-bad-token.json" => server.accept_tokens(&["good"]),
        file if file.starts_with("status-403-") => {
            server.set_user("system:serviceaccount:demo:nobody");
            for kind in Kind::ALL {
                server.deny(kind, Verb::List);
                server.deny(kind, Verb::Watch);
            }
        }
        "status-410-expired-continue.json" => server.compact_to(12_637),
        "watch-endpointslices-410.jsonl"
        | "watch-pods-410.jsonl"
        | "status-410-exact-resourceVersion.json" => {
            server.compact_to(COMPACTED);
        }
        "status-504-future-resourceVersion.json" => server.set_version(LATEST),
        // Some objects had changed since the lists were recorded.
        file if file.ends_with("-streaming-list.jsonl") => {
            let mut events = recording.events();
            let end = events.pop().unwrap();
            for event in events {
                happen_once(&server, recording.kind().unwrap(), &event);
            }
            server.set_version(version(&end["object"]));
        }
        _ => {}
    }
    server
}

fn is_of_changes(file: &str) -> bool {
    matches!(file, "watch-pods.jsonl" | "watch-endpoints.jsonl" | "watch-endpointslices.jsonl")
}

/// Makes the changes that the events tell of.
fn happen(server: &ApiServer, recording: &Recording) {
    for event in recording.events() {
        happen_once(server, recording.kind().unwrap(), &event);
    }
}

fn happen_once(server: &ApiServer, kind: Kind, event: &Value) {
    let object = &event["object"];
    server.set_version(version(object) - 1);
    match (event["type"].as_str().unwrap(), &object["metadata"]["name"]) {
        ("BOOKMARK", _) => server.set_version(version(object)),
        // This pod got another label; the event tells it as it was before.
        ("DELETED", name) if name == "myapp-1" => {
            let mut changed = object.clone();
            changed["metadata"]["labels"]["app"] = "other".into();
            server.apply(changed);
        }
        ("DELETED", name) => _ = server.delete(kind, "demo", name.as_str().unwrap()).unwrap(),
        ("ADDED" | "MODIFIED", _) => _ = server.apply(object.clone()),
        (other, _) => panic!("{other} is not told of a change"),
    }
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn check_headers(recording: &Recording, headers: &HeaderMap, length: Option<u64>) {
    for name in [CACHE_CONTROL, CONTENT_TYPE, WARNING, RETRY_AFTER] {
        assert_eq!(headers.get(&name), recording.headers.get(&name), "{name} of {}", recording.file);
    }
    let recorded =
        recording.headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap().parse().unwrap());
    assert_eq!(length, recorded, "length of {}", recording.file);
}

fn check_body(recording: &Recording, body: &Bytes) {
    let file = &recording.file;
    if recording.is_watch() && recording.status == 200 {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let mut recorded = recording.events();
        // The real server said some bookmarks twice.
        recorded.dedup();
        assert_eq!(events.len(), recorded.len(), "events of {file}");
        for (index, (event, recorded)) in events.iter().zip(&recorded).enumerate() {
            assert_eq!(event, recorded, "event {index} of {file}");
        }
    } else if recording.headers.contains_key(CONTENT_LENGTH) {
        assert_eq!(text(body), text(&recording.body), "{file}");
    } else {
        let list: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(list, recording.json(), "{file}");
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A token leads to the next page and the page's token to the last one, each with the version of the first.
#[tokio::test(start_paused = true)]
async fn pages_lead_to_the_end() {
    let recordings = Recordings::bundled();
    let server = arrange(&recordings, recordings.file("pods-list.json"));
    let uri = "/api/v1/namespaces/demo/pods?labelSelector=app%3Dmyapp&limit=4";
    let (mut names, mut token) = (Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let page = crate::client::get(&server, &format!("{uri}&continue={token}")).await;
        names.extend(page.names());
        pages += 1;
        // What changes between two pages is not in them.
        server.delete(Kind::Pod, "demo", "myapp-9");
        let list = page.json();
        assert_eq!(list["metadata"]["resourceVersion"], json!("12636"));
        match list["metadata"]["continue"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    let expected: Vec<String> = (0..10).map(|number| format!("myapp-{number}")).collect();
    assert_eq!((pages, names), (3, expected));
}
