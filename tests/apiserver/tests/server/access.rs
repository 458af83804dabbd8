//! Who may do what.

use http::Request;
use http_body_util::Empty;
use test_apiserver::{ApiServer, Kind, Verb};

use crate::client::{PODS, SLICES, Watch, ask, get};

/// Only what was denied is denied, until it is allowed again; an open watch goes on.
#[tokio::test(start_paused = true)]
async fn denials_come_and_go() {
    let server = ApiServer::new();
    let mut watch = Watch::open(&server, &format!("{PODS}?")).await;
    server.deny(Kind::Pod, Verb::Watch);
    let refusal = get(&server, &format!("{PODS}?watch=true")).await;
    assert_eq!(refusal.status, 403);
    assert_eq!(get(&server, PODS).await.status, 200);
    server.apply(test_apiserver::objects::pod("demo", "a"));
    assert_eq!(watch.event().await, "ADDED a");
    server.allow(Kind::Pod, Verb::Watch);
    assert_eq!(Watch::open(&server, &format!("{PODS}?")).await.event().await, "ADDED a");
}

/// A namespace that is denied is denied to all verbs, and no other is.
#[tokio::test]
async fn a_namespace_is_denied() {
    let server = ApiServer::new();
    server.deny_namespace("demo");
    assert_eq!(get(&server, PODS).await.status, 403);
    assert_eq!(get(&server, &format!("{SLICES}?watch=true")).await.status, 403);
    assert_eq!(get(&server, "/api/v1/namespaces/other/pods").await.status, 200);
}

/// A server without slices does not know their paths, and has the rest.
#[tokio::test]
async fn a_server_may_have_no_slices() {
    let server = ApiServer::new();
    server.without_slices();
    assert_eq!(get(&server, SLICES).await.status, 404);
    assert_eq!(get(&server, PODS).await.status, 200);
    assert_eq!(get(&server, "/version").await.status, 200);
}

/// Tokens are accepted until others are, and it is seen who carried which.
#[tokio::test]
async fn tokens_are_rotated() {
    let server = ApiServer::new();
    server.accept_tokens(&["old", "new"]);
    let with = |token: &str| {
        let request = Request::get(PODS).header("Authorization", format!("Bearer {token}"));
        request.header("User-Agent", "test").body(Empty::new()).unwrap()
    };
    assert_eq!(ask(&server, with("old")).await.status, 200);
    server.accept_tokens(&["new"]);
    assert_eq!(ask(&server, with("old")).await.status, 401);
    assert_eq!(ask(&server, with("new")).await.status, 200);
    assert_eq!(get(&server, PODS).await.status, 403);
    assert_eq!(get(&server, "/version").await.status, 200);
    let requests = server.requests();
    assert!(requests[1].has_token("old") && !requests[1].has_token("new"));
    assert!(requests[2].has_token("new") && requests[2].has_authorization());
    assert!(!requests[3].has_authorization());
    assert_eq!(requests[2].user_agent(), Some("test"));
    assert_eq!(requests[2].namespace(), Some("demo"));
}
