//! Watches beyond what was recorded.

use std::time::Duration;

use serde_json::json;
use test_apiserver::objects::pod;
use test_apiserver::{ApiServer, Kind};
use tokio::time::Instant;

use crate::client::{PODS, Watch, get};

/// A watch begins where it was told to: with all objects, after a version, or now.
#[tokio::test(start_paused = true)]
async fn a_watch_begins_where_it_is_told_to() {
    let server = ApiServer::new();
    server.apply(pod("demo", "a"));
    server.apply(pod("demo", "b"));
    let mut all = Watch::open(&server, &format!("{PODS}?resourceVersion=0")).await;
    let mut later = Watch::open(&server, &format!("{PODS}?resourceVersion=1")).await;
    let mut now = Watch::open(&server, &format!("{PODS}?resourceVersion=2")).await;
    server.delete(Kind::Pod, "demo", "a");
    assert_eq!(all.event().await, "ADDED a");
    for watch in [&mut all, &mut later] {
        assert_eq!(watch.event().await, "ADDED b");
    }
    for watch in [&mut all, &mut later, &mut now] {
        assert_eq!(watch.event().await, "DELETED a");
    }
    assert_eq!(server.watches(), 3);
    drop(all);
    assert_eq!(server.watches(), 2);
}

/// Only what is selected is told: what enters is added, what leaves is deleted, the rest is nothing.
#[tokio::test(start_paused = true)]
async fn selectors_hold_for_watches() {
    let server = ApiServer::new();
    let uri = format!("{PODS}?labelSelector=app%3Dmyapp&fieldSelector=status.phase%3DRunning");
    let mut watch = Watch::open(&server, &uri).await;
    server.apply(pod("other", "a").label("app", "myapp"));
    server.apply(pod("demo", "a").label("app", "other"));
    server.apply(pod("demo", "a").label("app", "myapp"));
    server.apply(pod("demo", "a").label("app", "myapp").ip("10.0.0.1"));
    server.apply(pod("demo", "a").label("app", "myapp").phase("Failed"));
    server.delete(Kind::Pod, "demo", "a");
    server.send_raw(r#"{"type":"ERROR","object":{"message":"raw"}}"#);
    for event in ["ADDED a", "MODIFIED a", "DELETED a", "ERROR raw"] {
        assert_eq!(watch.event().await, event);
    }
}

/// A watch ends when its time is over, with a bookmark if it takes any and has not had the same.
#[tokio::test(start_paused = true)]
async fn a_watch_ends_in_time() {
    let server = ApiServer::new();
    server.apply(pod("demo", "a"));
    let begun = Instant::now();
    let uri = format!("{PODS}?resourceVersion=1&timeoutSeconds=30");
    let mut plain = Watch::open(&server, &uri).await;
    let mut marked = Watch::open(&server, &format!("{uri}&allowWatchBookmarks=true")).await;
    assert_eq!(plain.event().await, "end");
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(marked.event().await, "BOOKMARK 1");
    assert_eq!(marked.event().await, "end");

    let mut marked = Watch::open(&server, &format!("{uri}&allowWatchBookmarks=true")).await;
    server.bookmark();
    assert_eq!(marked.event().await, "BOOKMARK 1");
    assert_eq!(marked.event().await, "end");
}

/// A bookmark says the version of the server, also where the last change was of another kind.
#[tokio::test(start_paused = true)]
async fn a_bookmark_says_the_version_of_the_server() {
    let server = ApiServer::new();
    let mut watch = Watch::open(&server, &format!("{PODS}?allowWatchBookmarks=true")).await;
    server.apply(test_apiserver::objects::slice("demo", "s"));
    server.bookmark();
    assert_eq!(watch.event().await, "BOOKMARK 1");
}

/// A watch from before what is known gets one event, and a list after it begins anew.
#[tokio::test(start_paused = true)]
async fn a_compacted_version_is_gone() {
    let server = ApiServer::new();
    server.apply(pod("demo", "a"));
    server.apply(pod("demo", "a"));
    server.compact();
    let mut old = Watch::open(&server, &format!("{PODS}?resourceVersion=1")).await;
    assert_eq!(old.event().await, "ERROR too old resource version: 1 (2)");
    assert_eq!(old.event().await, "end");
    let version = get(&server, PODS).await.json()["metadata"]["resourceVersion"].clone();
    assert_eq!(version, json!("2"));
    let mut new = Watch::open(&server, &format!("{PODS}?resourceVersion=2")).await;
    server.apply(pod("demo", "b"));
    assert_eq!(new.event().await, "ADDED b");
}

/// Who waits for something is woken by what makes it true.
#[tokio::test(start_paused = true)]
async fn who_waits_is_woken() {
    let server = ApiServer::new();
    let opened = async {
        let watch = Watch::open(&server, &format!("{PODS}?")).await;
        server.until(|server| server.version() == 1).await;
        drop(watch);
    };
    let seen = async {
        server.until(|server| server.watches() == 1).await;
        server.apply(pod("demo", "a"));
        server.until(|server| server.watches() == 0).await;
    };
    tokio::join!(opened, seen);
    server.wait_for("a watch", Duration::from_secs(10), |server| server.count(|seen| seen.is_watch()) == 1);
}
