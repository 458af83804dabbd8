//! Each fault does what it says, and ends.

use std::time::Duration;

use http::Request;
use http::header::RETRY_AFTER;
use http_body_util::Empty;
use hyper::body::Bytes;
use test_apiserver::objects::pod;
use test_apiserver::{ApiServer, Fault, Verb};
use tokio::time::{Instant, timeout};
use tower::Service as _;

use crate::client::{PODS, Watch, get};

fn server() -> ApiServer {
    let server = ApiServer::new();
    server.apply(pod("demo", "a"));
    server
}

/// Troubled servers say so until they are healed, or as often as was said.
#[tokio::test(start_paused = true)]
async fn trouble_has_a_status() {
    let server = server();
    for (fault, status) in [(Fault::INTERNAL, 500), (Fault::UNAVAILABLE, 503), (Fault::TIMEOUT, 504)] {
        server.fail(fault);
        let answer = get(&server, PODS).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["code"], status);
    }
    server.heal();
    server.fail_times(1, Fault::too_many_requests(7));
    let answer = get(&server, PODS).await;
    assert_eq!(answer.headers[RETRY_AFTER], "7");
    assert_eq!(get(&server, PODS).await.names(), ["a"]);
    let statuses: Vec<_> = server.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [500, 503, 504, 429, 200].map(Some));
}

/// Lies are told with 200.
#[tokio::test(start_paused = true)]
async fn lies_are_told_with_200() {
    let server = server();
    server.fail(Fault::Garbage);
    let answer = get(&server, PODS).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
    server.heal();
    server.fail(Fault::EmptyList);
    let list = get(&server, PODS).await;
    assert!(list.names().is_empty());
    assert_eq!(list.json()["metadata"]["resourceVersion"], "1");
    // Watches are told the truth.
    assert_eq!(Watch::open(&server, &format!("{PODS}?")).await.event().await, "ADDED a");
}

/// A request that hangs is never answered, not even after the fault; a reset is an error.
#[tokio::test(start_paused = true)]
async fn requests_hang_or_are_reset() {
    let server = server();
    server.fail_times(1, Fault::Hang);
    server.fail_only(Verb::Watch, Fault::Reset);
    let hanging = tokio::spawn({
        let server = server.clone();
        async move { get(&server, PODS).await.status }
    });
    server.until(|server| !server.requests().is_empty()).await;
    server.heal();
    assert_eq!(get(&server, PODS).await.status, 200);
    assert!(timeout(Duration::from_secs(86_400), hanging).await.is_err());

    server.fail_only(Verb::Watch, Fault::Reset);
    let request = Request::get(format!("{PODS}?watch=true")).body(Empty::<Bytes>::new()).unwrap();
    assert!(server.service().call(request).await.is_err());
    assert_eq!(get(&server, PODS).await.status, 200);
}

/// Watches end at once, or in the middle of a line.
#[tokio::test(start_paused = true)]
async fn watches_are_cut() {
    let server = server();
    server.fail_times(1, Fault::CloseWatches);
    let mut watch = Watch::open(&server, &format!("{PODS}?")).await;
    assert_eq!(watch.event().await, "end");
    server.fail_times(2, Fault::TruncatedLine);
    for version in [0, 1] {
        let mut watch = Watch::open(&server, &format!("{PODS}?resourceVersion={version}")).await;
        let line = watch.bytes().await.unwrap().unwrap();
        assert!(line.starts_with(b"{\"type\":") && !line.ends_with(b"\n"));
        assert!(watch.bytes().await.is_none());
    }
}

/// Open watches are ended, torn or mute; new ones work.
#[tokio::test(start_paused = true)]
async fn open_watches_fail() {
    let server = server();
    let uri = format!("{PODS}?resourceVersion=1&timeoutSeconds=60");
    let mut ended = Watch::open(&server, &uri).await;
    server.end_watches();
    assert!(ended.bytes().await.is_none());
    let mut torn = Watch::open(&server, &uri).await;
    server.tear_watches();
    assert!(torn.bytes().await.unwrap().is_err());
    let mut mute = Watch::open(&server, &uri).await;
    server.mute_watches();
    let mut new = Watch::open(&server, &uri).await;
    server.apply(pod("demo", "b"));
    server.end_watches();
    assert_eq!(new.event().await, "ADDED b");
    assert_eq!(new.event().await, "end");
    assert!(mute.is_silent().await);
}

/// Slow answers come whole, in their time.
#[tokio::test(start_paused = true)]
async fn slow_answers_come_whole() {
    let server = server();
    let whole = get(&server, PODS).await.body;
    server.fail(Fault::SlowBytes { bytes: 10, every: Duration::from_secs(1) });
    let begun = Instant::now();
    assert_eq!(get(&server, PODS).await.body, whole);
    assert_eq!(begun.elapsed().as_secs(), u64::try_from(whole.len().div_ceil(10)).unwrap());
}
