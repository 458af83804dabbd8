//! Lists beyond what was recorded.

use serde_json::json;
use test_apiserver::objects::{Endpoint, endpoints, pod, slices_of};
use test_apiserver::{ApiServer, Kind};

use crate::client::{PODS, SLICES, get};

/// All namespaces are listed at once where the path names none, in the order of the real server.
#[tokio::test]
async fn all_namespaces_are_listed() {
    let server = ApiServer::new();
    for (namespace, name) in [("demo", "b"), ("other", "a"), ("demo", "a")] {
        server.apply(pod(namespace, name));
    }
    assert_eq!(get(&server, "/api/v1/pods").await.names(), ["a", "b", "a"]);
    let page = get(&server, "/api/v1/pods?limit=2").await.json();
    assert_eq!(page["metadata"]["remainingItemCount"], json!(1));
    let token = page["metadata"]["continue"].as_str().unwrap();
    let rest = get(&server, &format!("/api/v1/pods?limit=2&continue={token}")).await.json();
    assert_eq!(rest["items"][0]["metadata"]["namespace"], json!("other"));
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
}

/// A list of any version comes whole, whatever the limit: from a cache there are no pages.
#[tokio::test]
async fn a_list_of_any_version_has_no_pages() {
    let server = ApiServer::new();
    slices_of("demo", "myapp", 500).into_iter().for_each(|slice| _ = server.apply(slice));
    assert_eq!(get(&server, &format!("{SLICES}?limit=2")).await.names().len(), 2);
    let whole = get(&server, &format!("{SLICES}?limit=2&resourceVersion=0")).await.json();
    assert_eq!(whole["items"].as_array().map(Vec::len), Some(5));
    assert!(whole["metadata"]["continue"].is_null());
}

/// A list of an exact version is as it was then: what came later is not in it, what went later is.
#[tokio::test]
async fn a_past_version_is_listed_as_it_was() {
    let server = ApiServer::new();
    server.apply(pod("demo", "a").phase("Pending"));
    let then = server.apply(pod("demo", "b"));
    server.apply(pod("demo", "a"));
    server.apply(pod("demo", "c"));
    server.delete(Kind::Pod, "demo", "b");
    let uri = format!("{PODS}?resourceVersion={then}&resourceVersionMatch=Exact");
    let list = get(&server, &uri).await;
    assert_eq!(list.names(), ["a", "b"]);
    assert_eq!(list.json()["items"][0]["status"]["phase"], json!("Pending"));
    assert_eq!(list.json()["metadata"]["resourceVersion"], json!("2"));
    assert_eq!(get(&server, PODS).await.names(), ["a", "c"]);
    server.compact();
    assert_eq!(get(&server, &uri).await.status, 410);
}

/// An expired token is refused with one that goes on where it left off, in what is there now.
#[tokio::test]
async fn a_fresh_token_goes_on() {
    let server = ApiServer::new();
    for name in ["a", "b", "c"] {
        server.apply(pod("demo", name));
    }
    let page = get(&server, &format!("{PODS}?limit=1")).await.json();
    let token = page["metadata"]["continue"].as_str().unwrap();
    server.delete(Kind::Pod, "demo", "b");
    server.compact();
    let refusal = get(&server, &format!("{PODS}?continue={token}")).await;
    assert_eq!(refusal.status, 410);
    let fresh = refusal.json()["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(get(&server, &format!("{PODS}?continue={fresh}")).await.names(), ["c"]);
}

/// What is no selector, token, version, method or path is refused.
#[tokio::test]
async fn nonsense_is_refused() {
    let server = ApiServer::new();
    for (uri, status) in [
        (format!("{PODS}?labelSelector=%3D"), 400),
        (format!("{PODS}?fieldSelector=status.reason%3Dx"), 400),
        (format!("{PODS}?continue=x"), 400),
        (format!("{PODS}?resourceVersion=x"), 500),
        ("/api/v1/namespaces/demo/services".to_owned(), 404),
        (format!("{PODS}/none"), 404),
        ("/healthz".to_owned(), 404),
    ] {
        assert_eq!(get(&server, &uri).await.status, status, "{uri}");
    }
}

/// What the builders make is what the real controllers make, as far as it goes.
#[tokio::test]
async fn builders_make_what_is_asked_for() {
    let server = ApiServer::new();
    let all = slices_of("demo", "myapp", 250);
    assert_eq!(all.len(), 3);
    all.into_iter().for_each(|slice| _ = server.apply(slice));
    let list =
        get(&server, &format!("{SLICES}?labelSelector=kubernetes.io/service-name%3Dmyapp")).await.json();
    let last = &list["items"][2]["endpoints"];
    assert_eq!(last.as_array().map(Vec::len), Some(50));
    assert_eq!(
        last[49],
        json!({
            "addresses": ["10.0.0.250"],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": "myapp-249", "namespace": "demo"},
            "nodeName": "node-49", "zone": "zone-0",
        })
    );
    server.apply(endpoints("demo", "myapp").subset([Endpoint::ready("10.0.0.1").pod("a").zone("z")], []));
    assert_eq!(
        server.object(Kind::Endpoints, "demo", "myapp").unwrap()["subsets"][0]["addresses"],
        json!([{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": "a", "namespace": "demo"}}])
    );
}

/// An object of a kind that the server does not have is a mistake of the test.
#[test]
#[should_panic(expected = "the server has no kind \"Service\" of apiVersion \"v1\"")]
fn an_unknown_kind_is_a_mistake() {
    ApiServer::new().apply(json!({"kind": "Service", "apiVersion": "v1"}));
}
