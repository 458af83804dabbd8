//! Recordings are answered byte for byte.

use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use test_apiserver::Replay;
use test_apiserver::recordings::Recordings;
use tower::Service as _;

/// Each recording is the answer once, in order; then lists repeat and watches are silent.
#[tokio::test(start_paused = true)]
async fn recordings_are_answered_in_order() {
    let recordings = Recordings::bundled();
    let files = ["status-403-pods.json", "pods-list.json", "watch-pods-410.jsonl", "watch-pods.jsonl"];
    let mut replay = Replay::new(&recordings, &files);
    let (list, watch) = (recordings.file("pods-list-running.json"), recordings.file("watch-pods.jsonl"));
    for (asked, answer) in [
        (list, "status-403-pods.json"),
        (watch, "watch-pods-410.jsonl"),
        (list, "pods-list.json"),
        (watch, "watch-pods.jsonl"),
        (list, "pods-list.json"),
    ] {
        let response = replay.call(asked.request()).await.unwrap();
        assert_eq!(response.status(), recordings.file(answer).status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, recordings.file(answer).body, "{answer}");
    }
    let silent = replay.call(watch.request()).await.unwrap().into_body();
    assert!(!silent.is_end_stream());
    let day = std::time::Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, silent.collect()).await.is_err());
    let other = replay.call(recordings.file("endpoints-list.json").request()).await.unwrap();
    assert_eq!(other.status(), 404);
    assert_eq!(replay.requests().len(), 7);
}
