//! What is known stands, whatever fails, and the reason is told.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    cloud::Cloud,
    look::{KEYS, Look},
    server::{Reply, Request, Server},
};

const THROTTLED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>RequestLimitExceeded</Code>\
                         <Message>Request limit exceeded.</Message></Error></Errors><RequestID>x</RequestID></Response>";
const EXPIRED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>RequestExpired</Code>\
                       <Message>Request has expired.</Message></Error></Errors><RequestID>x</RequestID></Response>";

fn config(region: &str, endpoint: &str) -> Value {
    json!({
        "filters": { "tag:cluster": ["shop"] },
        "name": "{id}@{ip}",
        "regions": [region],
        "endpoint": endpoint,
        "polling_interval": "100ms",
        "page_size": 5,
    })
}

/// A server before moto that answers by itself where `answer` says so.
fn between(answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let cloud = Cloud::shared();
    Server::start(move |request| answer(request).unwrap_or_else(|| request.forward(cloud.port())))
}

/// Every other request is throttled: it is tried again, and nothing is missing.
#[test]
fn throttled() {
    let (cloud, region) = (Cloud::shared(), "eu-west-2");
    for _ in 0..8 {
        cloud.run_tagged(region, 2, &[("cluster", "shop")]);
    }
    let asked = AtomicUsize::new(0);
    let proxy = between(move |_| {
        let is_turned_away = asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        is_turned_away.then(|| Reply::new(503, THROTTLED))
    });
    let look = Look::start(&config(region, &proxy.url()), &KEYS);
    let view = look.view();
    assert_eq!((view.is_complete, view.nodes.len()), (true, 16));
}

/// Always throttled: no view at all, and the reason is EC2's.
#[test]
fn always_throttled() {
    let proxy = between(|_| Some(Reply::new(503, THROTTLED)));
    let look = Look::start(&config("eu-west-2", &proxy.url()), &KEYS);
    let reason = look.health("degraded");
    assert!(reason.starts_with("region eu-west-2: POST http://127.0.0.1:"), "{reason}");
    assert!(reason.contains("RequestLimitExceeded Request limit exceeded."), "{reason}");
}

/// A page that fails makes the view partial, and what the others had is in it; once it comes the view is whole.
#[test]
fn one_page_fails() {
    let (cloud, region) = (Cloud::shared(), "eu-west-3");
    for _ in 0..12 {
        cloud.run_tagged(region, 2, &[("cluster", "shop")]);
    }
    let failing = Arc::new(AtomicUsize::new(1));
    let is_failing = Arc::clone(&failing);
    let proxy = between(move |request| {
        let fails = is_failing.load(Ordering::SeqCst) == 1 && request.value("NextToken").is_some();
        fails.then(|| Reply::new(400, EXPIRED))
    });
    let look = Look::start(&config(region, &proxy.url()), &KEYS);
    let view = look.view();
    assert_eq!((view.is_complete, view.nodes.len()), (false, 10));
    let reason = look.health("degraded");
    assert!(reason.contains("RequestExpired Request has expired."), "{reason}");
    failing.store(0, Ordering::SeqCst);
    let view = look.view_where(|view| view.is_complete);
    assert_eq!(view.nodes.len(), 24);
    assert_eq!(look.health("running"), "");
}

/// A region that fails makes the view partial too.
#[test]
fn one_region_fails() {
    let (cloud, region) = (Cloud::shared(), "ca-central-1");
    cloud.run_tagged(region, 3, &[("cluster", "shop")]);
    let proxy = between(|request| {
        request.headers["authorization"].contains("/sa-east-1/").then(|| Reply::new(401, EXPIRED))
    });
    let mut config = config(region, &proxy.url());
    config["regions"] = json!(["sa-east-1", region]);
    let look = Look::start(&config, &KEYS);
    let view = look.view();
    assert_eq!((view.is_complete, view.nodes.len()), (false, 3));
    assert!(look.health("degraded").starts_with("region sa-east-1: "));
}

/// What is no answer of EC2 is an error, not an empty view.
#[test]
fn nonsense() {
    let proxy = between(|_| Some(Reply::new(200, "{}")));
    let look = Look::start(&config("eu-west-2", &proxy.url()), &KEYS);
    let reason = look.health("degraded");
    assert!(reason.contains("the answer is not as expected"), "{reason}");
}
