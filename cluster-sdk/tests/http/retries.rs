//! What is tried again, and what is not.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use cluster_sdk::serde_json::json;
use test_httpserver::{Reply, Server};
use tokio::time::{Instant, sleep};

use super::{check, client};

/// A server that says `status` so many times before all is well.
fn failing(times: usize, status: u16) -> Server {
    let count = AtomicUsize::new(0);
    Server::http(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) < times { Reply::new(status, "") } else { Reply::ok("{}") }
    })
}

/// A server in trouble is asked again, as often as is wanted.
#[tokio::test(start_paused = true)]
async fn troubles() {
    for status in [429, 500, 502, 503, 504] {
        let server = failing(2, status);
        client(json!({})).get(server.url("/")).send().await.unwrap();
        assert_eq!(server.asked().len(), 3);
    }
    let server = failing(9, 502);
    let err = client(json!({ "retries": 1 })).get(server.url("/")).send().await.unwrap_err();
    check(&err, &format!("GET {}: 502 Bad Gateway; the server is in trouble", server.url("/")), "(2 tries)");
    assert!(err.is_temporary());
}

/// What would be answered the same way, or might be done twice, is not asked again.
#[tokio::test]
async fn not_again() {
    for status in [400, 401, 404, 501] {
        let server = failing(9, status);
        let err = client(json!({})).get(server.url("/")).send().await.unwrap_err();
        assert_eq!((err.status().unwrap().as_u16(), server.asked().len()), (status, 1));
    }
    let server = failing(1, 503);
    let http = client(json!({}));
    http.post(server.url("/")).send().await.unwrap_err();
    assert_eq!(server.asked().len(), 1);
    let server = failing(1, 503);
    http.post(server.url("/")).repeatable().send().await.unwrap();
    assert_eq!(server.asked().len(), 2);
}

/// A server that wants to be left alone is: for a while by waiting, for longer by not asking, until that time is over.
#[tokio::test]
async fn left_alone() {
    let server = Server::http(|asked| match asked.line.as_str() {
        "GET /long" => Reply::new(429, "slow down").header("retry-after", "120"),
        _ => Reply::ok("{}"),
    });
    let http = client(json!({ "retries": 1 }));
    let err = http.get(server.url("/long")).send().await.unwrap_err();
    assert_eq!(err.retry_after().unwrap().as_secs(), 120);
    check(
        &err,
        &format!("GET {}: 429 Too Many Requests, it says \"slow down\"", server.url("/long")),
        "interval",
    );
    let err = http.get(server.url("/other")).send().await.unwrap_err();
    check(
        &err,
        &format!("GET {}: the server has asked to be left alone for ", server.url("/other")),
        "(retry-after)",
    );
    assert!(err.is_temporary() && err.retry_after().unwrap().as_secs() > 60);
    assert_eq!(server.asked().len(), 1);
    // Another client knows nothing of it, and another server was not meant.
    client(json!({})).get(server.url("/other")).send().await.unwrap();
    http.get(Server::http(|_| Reply::ok("{}")).url("/")).send().await.unwrap();
}

/// By a paused clock waits take no time, and the server has all the time that it needs.
#[tokio::test(start_paused = true)]
async fn paused_clock() {
    let server = Server::http(|asked| match asked.line.as_str() {
        "GET /quiet" => Reply::new(503, "").header("retry-after", "3600"),
        "GET /busy" => Reply::new(503, "").header("retry-after", "4"),
        _ => Reply::ok("{}"),
    });
    let begin = Instant::now();
    let http = client(json!({ "retries": 4 }));
    http.get(server.url("/busy")).send().await.unwrap_err();
    assert_eq!(server.asked().len(), 5);
    assert_eq!(begin.elapsed().as_secs(), 4 * 4);
    let err = client(json!({})).get(server.url("/quiet")).send().await.unwrap_err();
    assert_eq!(err.retry_after(), Some(Duration::from_secs(3600)));
    let mut refused = 0;
    while let Err(err) = http.get(server.url("/")).send().await {
        refused += 1;
        sleep(err.retry_after().unwrap()).await;
    }
    assert_eq!((refused, server.asked().len()), (1, 7));
}
