//! The API server goes away and comes back: that costs nobody anything, and is told.

use test_apiserver::{Kind, Verb};

use super::{A, B, C, Site, check_nobody_went, pods, reasons, told, wait_health};

/// An API server that is killed and started again: nobody goes down, it is told while it lasts, and what changed meanwhile
/// arrives, whether the watch can go on or all is to be listed anew.
#[test]
fn killed_and_started_again() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "");
    for (nodes, is_compacted) in [([A, B, C].as_slice(), false), (&[A, B], true)] {
        site.await_watch();
        site.served.stop();
        let reason = wait_health(&host, "degraded", &[&site.served.url(), "namespace demo", "onnect"]);
        let table = told(&host, "topologies");
        let row = table.lines().nth(1).unwrap_or_default();
        assert!(row.contains("degraded") && row.contains(&site.served.url()), "{table}\n{reason}");
        check_nobody_went(&host);
        site.publish(nodes.iter().copied());
        if is_compacted {
            site.api.compact();
        }
        site.served.restart();
        wait_health(&host, "running", &[]);
        host.wait_up(nodes);
        let row = told(&host, "topologies").lines().nth(1).unwrap_or_default().to_owned();
        assert!(row.contains("running") && row.ends_with(" -"), "{row}");
    }
    // Of a list it is believed only after a while that somebody is missing.
    let view = host.view();
    let of_c = [view.events_of("node_down", C).count(), view.events_of("node_left", C).count()];
    assert_eq!((of_c, view.count("node_down"), view.count("node_left")), ([1, 1], 1, 1), "{view}");
    host.check_fold();
    assert_eq!(host.counter("t", "lists"), 2, "one at the start, one as the second watch could not go on");
}

/// A host that is started before its API server waits for it.
#[test]
fn started_later() {
    let site = Site::new();
    site.publish([A, B]);
    site.served.stop();
    let host = site.start("");
    wait_health(&host, "degraded", &["cannot list endpointslices", &site.served.url()]);
    site.served.restart();
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
}

/// An API server that does nothing any more, and does not know, is noticed at the next request; its connections are open.
#[test]
fn paused() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "poll = true\npolling_interval = \"500ms\"\n");
    site.served.pause();
    wait_health(&host, "degraded", &["no answer within 10s"]);
    check_nobody_went(&host);
    // One that is started now cannot even shake hands.
    let second = site.start("");
    wait_health(&second, "degraded", &["no answer within 10s"]);
    site.publish([A, B, C]);
    site.served.resume();
    for host in [&host, &second] {
        host.wait_up(&[A, B, C]);
        wait_health(host, "running", &[]);
    }
    check_nobody_went(&host);
}

/// Watches that are torn, end, or break off in the middle of a line are begun anew without a word: nothing is lost, and
/// nothing is told that nobody can do anything about.
#[test]
fn watches_that_end() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "");
    wait_health(&host, "running", &[]);
    site.await_watch();
    site.api.end_watches();
    site.api.apply(pods([A, B, C]));
    host.wait_up(&[A, B, C]);
    site.await_watch();
    site.api.tear_watches();
    site.publish([A, B]);
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
    assert_eq!(site.api.count(|seen| seen.is_list()), 1, "{:?}", site.api.requests());
    host.check_fold();
}

/// What a sick API server answers is told in its own words, and its good ones count again.
#[test]
fn sick() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "poll = true\npolling_interval = \"500ms\"\n");
    for (fault, part) in [
        (test_apiserver::Fault::UNAVAILABLE, "503"),
        (test_apiserver::Fault::Garbage, "not understood"),
        (test_apiserver::Fault::Reset, "cannot list endpointslices"),
    ] {
        site.api.fail(fault);
        let reason = wait_health(&host, "degraded", &[part]);
        assert!(!reason.contains('\n'), "{reason}");
        site.api.heal();
        wait_health(&host, "running", &[]);
    }
    check_nobody_went(&host);
    assert!(reasons(&host).len() >= 3, "{:?}", reasons(&host));
    assert_eq!(
        site.api.count(|seen| seen.kind != Some(Kind::EndpointSlice) || seen.verb == Some(Verb::Watch)),
        0
    );
}
