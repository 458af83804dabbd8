//! Sources against an API server in memory, in virtual time.

use std::time::Duration;

use cluster_sdk::Refused;
use serde_json::json;
use test_apiserver::{
    ApiServer, Fault, Kind as Of, Replay, Verb,
    objects::{Endpoint, Slice, slice},
    recordings::Recordings,
};
use tokio::time::sleep;

use super::*;
use crate::testing::{Seen, config, follow, simulate};

const SLICE: &str = "myapp-abc";

/// A slice of the Service `myapp` in the namespace `demo`, with ready pods at these addresses.
fn pods(addresses: &[&str]) -> Slice {
    let pod = |address: &&str| Endpoint::ready(address).pod(&format!("pod-{address}"));
    slice("demo", SLICE).service("myapp").label("app", "myapp").endpoints(addresses.iter().map(pod))
}

fn server(addresses: &[&str]) -> ApiServer {
    let server = ApiServer::new();
    server.apply(pods(addresses));
    server
}

/// Has a server change behind the back of all watches, so that they have to list anew.
fn change_unseen(server: &ApiServer, pods: Slice) {
    server.end_watches();
    server.apply(pods);
    server.compact();
}

async fn begin(server: &ApiServer) -> Seen {
    let seen = follow(&server.service(), &config(json!({})), None);
    seen.until("the watch", |seen| seen.is_well() && server.watches() == 1).await;
    seen
}

const A: &str = "myapp@10.0.0.1";
const B: &str = "myapp@10.0.0.2";
const C: &str = "myapp@10.0.0.3";

/// What is there is reported whole, what changes as the change that it is; then nobody asks for anything but the renewal
/// of the watch, once a minute.
#[test]
fn list_and_watch() {
    simulate(async || {
        let server = server(&["10.0.0.1", "10.0.0.2"]);
        let seen = begin(&server).await;
        seen.until_nodes(&[A, B]).await;
        server.apply(pods(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        assert!(seen.until_nodes(&[A, B, C]).await < Duration::from_millis(50));
        server.apply(pods(&["10.0.0.2", "10.0.0.3"]));
        assert!(seen.until_nodes(&[B, C]).await < Duration::from_millis(50));
        server.delete(Of::EndpointSlice, "demo", SLICE);
        seen.until_nodes(&[]).await;
        server.apply(pods(&["10.0.0.1"]));
        seen.until_nodes(&[A]).await;
        assert_eq!((seen.reports(), seen.taken().len()), (5, 3), "{}", seen.history());

        server.forget_requests();
        sleep(Duration::from_secs(3_600)).await;
        let (lists, watches) = (server.count(|seen| seen.is_list()), server.count(|seen| seen.is_watch()));
        assert_eq!((lists, watches), (0, 60), "{:?}", server.requests());
        assert_eq!(seen.reports(), 5, "{}", seen.history());
        assert_eq!(seen.counted("requests"), 2 + 60);
    });
}

/// The recorded words of a real server: a list, a minute of watching, 410, and a list again.
#[test]
fn recorded() {
    simulate(async || {
        let recordings = Recordings::bundled();
        let files = [
            "endpointslices-list.json",
            "watch-endpointslices.jsonl",
            "watch-endpointslices-410.jsonl",
            "endpointslices-list.json",
        ];
        let replay = Replay::new(&recordings, &files);
        let seen = follow(&replay, &config(json!({})), None);
        seen.until("the second list", |_| {
            replay.requests().iter().filter(|request| request.is_list()).count() == 2
        })
        .await;
        sleep(Duration::from_secs(1)).await;
        expect_test::expect![[r#"
                0.000 Complete ["myapp@10.244.1.10", "myapp@10.244.1.12", "myapp@10.244.1.13", "myapp@10.244.2.11", "myapp@10.244.2.19", "myapp@192.0.2.11", "myapp@198.51.100.7", "myapp@198.51.100.8"]
                0.000 Well(None)
                0.000 +["myapp@10.244.1.20"] -[]
                0.000 +["myapp@10.244.1.20"] -[]
                0.000 +[] -["myapp@10.244.1.20"]
                0.000 +[] -["myapp@10.244.2.11"]
                0.000 +["myapp@10.244.2.11"] -[]
                0.500 Complete ["myapp@10.244.1.10", "myapp@10.244.1.12", "myapp@10.244.1.13", "myapp@10.244.2.11", "myapp@10.244.2.19", "myapp@192.0.2.11", "myapp@198.51.100.7", "myapp@198.51.100.8"]
        "#]].assert_eq(&seen.history());
    });
}

/// A server that is gone for ten minutes costs nobody anything; it is told within a second, and so is its return within two.
#[test]
fn gone_for_minutes() {
    simulate(async || {
        let server = server(&["10.0.0.1", "10.0.0.2"]);
        let seen = begin(&server).await;
        for fault in [Fault::Reset, Fault::UNAVAILABLE, Fault::INTERNAL, Fault::TIMEOUT, Fault::Garbage] {
            server.forget_requests();
            server.fail(fault);
            server.tear_watches();
            let told = seen.until("the trouble", |seen| matches!(seen.health(), Health::Degraded(_))).await;
            assert!(told <= Duration::from_secs(1), "{fault:?}: {told:?}");
            sleep(Duration::from_secs(600)).await;
            assert!(matches!(seen.health(), Health::Degraded(_)), "{fault:?}: {}", seen.history());
            let asked = server.requests().len();
            assert!((300..900).contains(&asked), "{fault:?}: {asked} requests in ten minutes");
            server.heal();
            let healed = seen.until("the return", Seen::is_well).await;
            assert!(healed <= Duration::from_secs(2), "{fault:?}: {healed:?}\n{}", seen.history());
            assert_eq!(seen.taken(), [""; 0], "{fault:?}: {}", seen.history());
        }
        server.apply(pods(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        seen.until_nodes(&[A, B, C]).await;
    });
}

/// What happened while the server was away is known when it is back: by the watch where it can go on, by a new list at
/// once where that is refused.
#[test]
fn goes_on_where_it_was() {
    simulate(async || {
        let server = server(&["10.0.0.1", "10.0.0.2"]);
        let seen = begin(&server).await;
        for is_compacted in [false, true] {
            server.fail(Fault::Reset);
            server.tear_watches();
            seen.until("the trouble", |seen| !seen.is_well()).await;
            server.apply(pods(&["10.0.0.2", "10.0.0.3"]));
            if is_compacted {
                server.compact();
            }
            server.heal();
            server.forget_requests();
            let known = seen.until_nodes(&[B, C]).await;
            assert!(known <= Duration::from_secs(2), "{known:?}");
            assert_eq!(server.count(|seen| seen.is_list()), usize::from(is_compacted));
            server.apply(pods(&["10.0.0.1", "10.0.0.2"]));
            seen.until_nodes(&[A, B]).await;
        }
    });
}

/// Whoever may not list any more keeps what is known, for an hour; the state says which Role is missing.
#[test]
fn forbidden_for_an_hour() {
    simulate(async || {
        let server = server(&["10.0.0.1", "10.0.0.2"]);
        let seen = begin(&server).await;
        for kind in [Of::EndpointSlice, Of::Endpoints] {
            server.deny(kind, Verb::List);
            server.deny(kind, Verb::Watch);
        }
        server.end_watches();
        let told = seen.until("the denial", |seen| matches!(seen.health(), Health::Denied(_))).await;
        assert!(told <= Duration::from_secs(1), "{told:?}");
        for part in [
            "may not list endpointslices in namespace demo",
            "kind: RoleBinding",
            "resources: [\"endpointslices\"]",
        ] {
            assert!(seen.reason().contains(part), "{part} in {}", seen.reason());
        }
        server.forget_requests();
        sleep(Duration::from_secs(3_600)).await;
        assert!(matches!(seen.health(), Health::Denied(_)), "{}", seen.history());
        let asked = server.requests().len();
        assert!(asked < 3_600 * 3, "{asked} requests in an hour");
        for kind in [Of::EndpointSlice, Of::Endpoints] {
            server.allow(kind, Verb::List);
            server.allow(kind, Verb::Watch);
        }
        let healed = seen.until("the return", Seen::is_well).await;
        assert!(healed <= Duration::from_secs(2), "{healed:?}");
        assert_eq!((seen.taken(), seen.reason()), (Vec::new(), String::new()), "{}", seen.history());
    });
}

/// The Role that users of libcluster have goes on to do: the Endpoints are followed, with a note. Slices are taken as
/// soon as they may be.
#[test]
fn endpoints_alone() {
    simulate(async || {
        let server = server(&["10.0.0.9"]);
        server.apply(
            test_apiserver::objects::endpoints("demo", "myapp").label("app", "myapp").subset(
                [Endpoint::ready("10.0.0.1").pod("p-1")],
                [Endpoint::not_ready("10.0.0.2").pod("p-2")],
            ),
        );
        server.deny(Of::EndpointSlice, Verb::List);
        let seen = begin(&server).await;
        seen.until_nodes(&[A]).await;
        for part in ["may not list endpointslices", "Endpoints are used", "kind: Role\n"] {
            assert!(seen.reason().contains(part), "{part} in {}", seen.reason());
        }
        server.forget_requests();
        sleep(Duration::from_secs(610)).await;
        assert_eq!(
            server.count(|seen| seen.is_list()),
            4,
            "a look at slices, and the list, each five minutes"
        );
        assert_eq!(seen.taken(), [""; 0]);

        server.allow(Of::EndpointSlice, Verb::List);
        change_unseen(&server, pods(&["10.0.0.1", "10.0.0.2"]));
        seen.until_nodes(&[A, B]).await;
        seen.until("the note to go", |seen| seen.health() == Health::Well(None)).await;
    });
}

/// A server without EndpointSlices.
#[test]
fn without_slices() {
    simulate(async || {
        let server = ApiServer::new();
        server.without_slices();
        server.apply(
            test_apiserver::objects::endpoints("demo", "myapp")
                .label("app", "myapp")
                .subset([Endpoint::ready("10.0.0.1").pod("p-1")], []),
        );
        let seen = begin(&server).await;
        seen.until_nodes(&[A]).await;
        assert!(seen.reason().contains("has no endpointslices"), "{}", seen.reason());
    });
}

/// Who may list but not watch polls, with a note, and looks every five minutes whether it may watch by now.
#[test]
fn polls_where_it_may_not_watch() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        server.deny(Of::EndpointSlice, Verb::Watch);
        let seen = follow(&server.service(), &config(json!({ "polling_interval": 5_000 })), None);
        seen.until_nodes(&[A]).await;
        seen.until("the note", |seen| seen.reason().contains("may list endpointslices but not watch")).await;
        server.apply(pods(&["10.0.0.2"]));
        let known = seen.until_nodes(&[B]).await;
        assert!(known <= Duration::from_secs(6), "{known:?}");
        server.forget_requests();
        sleep(Duration::from_secs(60)).await;
        let asked = server.requests().len();
        assert!((10..=14).contains(&asked), "{asked} requests in a minute");
        server.allow(Of::EndpointSlice, Verb::Watch);
        let watched = seen.until("the watch", |_| server.watches() == 1).await;
        assert!(watched <= Duration::from_secs(310), "{watched:?}");
        seen.until("the note to go", |seen| seen.health() == Health::Well(None)).await;
    });
}

/// Polling by wish: no watch, and failures are no empty lists there either.
#[test]
fn polls_by_wish() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        let config = config(
            json!({ "poll": true, "polling_interval": "2s", "kubernetes_use_cached_resources": true }),
        );
        let seen = follow(&server.service(), &config, None);
        seen.until_nodes(&[A]).await;
        assert_eq!(server.requests()[0].query_value("resourceVersion"), "0");
        server.apply(pods(&["10.0.0.2"]));
        seen.until_nodes(&[B]).await;
        server.fail(Fault::UNAVAILABLE);
        seen.until("the trouble", |seen| matches!(seen.health(), Health::Degraded(_))).await;
        sleep(Duration::from_secs(600)).await;
        server.heal();
        let healed = seen.until("the return", Seen::is_well).await;
        assert!(healed <= Duration::from_secs(2), "{healed:?}");
        assert_eq!(seen.taken(), [A]);
        assert_eq!(server.count(|seen| seen.is_watch()), 0);
    });
}

/// An empty list where there were objects is not believed at once, and believed when it stays.
#[test]
fn empty_lists() {
    simulate(async || {
        let server = server(&["10.0.0.1", "10.0.0.2"]);
        let seen = begin(&server).await;
        server.fail_times(1, Fault::EmptyList);
        change_unseen(&server, pods(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        let known = seen.until_nodes(&[A, B, C]).await;
        assert!(known <= Duration::from_secs(2), "{known:?}");
        assert!(seen.history().contains("empty all at once"), "{}", seen.history());
        assert_eq!(seen.taken(), [""; 0]);

        server.fail_only(Verb::List, Fault::EmptyList);
        change_unseen(&server, pods(&["10.0.0.1"]));
        seen.until_nodes(&[]).await;
        assert!(
            seen.is_well() && seen.reason().contains("nothing matches the selector"),
            "{}",
            seen.reason()
        );
    });
}

/// Nonsense in a watch, a line that is cut, an object of another Service, an error in the stream: nobody goes.
#[test]
fn nonsense_in_a_watch() {
    simulate(async || {
        let server = server(&["10.0.0.1", "10.0.0.2"]);
        let seen = begin(&server).await;
        let status = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"oh dear","code":500}}"#;
        let deleted = r#"{"type":"DELETED","object":{"metadata":{"name":"another","namespace":"demo","resourceVersion":"9"},"endpoints":[{"addresses":["10.0.0.1"]}]}}"#;
        for line in ["<html>", "{\"type\":\"ADDED\"", status, deleted, "{}", "[1,2]", "\"\""] {
            server.send_raw(line);
            sleep(Duration::from_secs(5)).await;
            server.apply(pods(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
            seen.until_nodes(&[A, B, C]).await;
            server.apply(pods(&["10.0.0.1", "10.0.0.2"]));
            seen.until_nodes(&[A, B]).await;
            seen.until("it to be well", Seen::is_well).await;
        }
        server.fail_times(3, Fault::TruncatedLine);
        server.end_watches();
        sleep(Duration::from_secs(10)).await;
        server.apply(pods(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        seen.until_nodes(&[A, B, C]).await;
        assert!(seen.taken().iter().all(|name| name == C), "{}", seen.history());
    });
}

/// A server that takes requests and does not answer, or answers in drops, is noticed; so is a watch that went dumb.
#[test]
fn hung() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        let seen = begin(&server).await;
        server.mute_watches();
        server.fail(Fault::Hang);
        let told = seen.until("the trouble", |seen| matches!(seen.health(), Health::Degraded(_))).await;
        assert!(told <= Duration::from_secs(76), "{told:?}");
        assert!(seen.reason().contains("no answer within 10s"), "{}", seen.reason());
        server.heal();
        let healed = seen.until("the return", Seen::is_well).await;
        assert!(healed <= Duration::from_secs(12), "{healed:?}");

        server.mute_watches();
        server.apply(pods(&["10.0.0.1", "10.0.0.2"]));
        let known = seen.until_nodes(&[A, B]).await;
        assert!(known <= Duration::from_secs(66), "{known:?}");

        server.fail_only(Verb::List, Fault::SlowBytes { bytes: 1, every: Duration::from_secs(1) });
        change_unseen(&server, pods(&["10.0.0.2"]));
        seen.until("the trouble", |seen| seen.reason().contains("not whole within 30s")).await;
        server.heal();
        seen.until_nodes(&[B]).await;
    });
}

/// Watches that are not let stand: after a few, a second apart, it polls, and looks again after minutes.
#[test]
fn watches_that_end_at_once() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        server.fail(Fault::CloseWatches);
        let seen = follow(&server.service(), &config(json!({})), None);
        seen.until("the note", |seen| seen.reason().contains("listed but not watched")).await;
        let asked = server.requests().len();
        assert!(asked <= 8, "{asked} requests");
        server.apply(pods(&["10.0.0.2"]));
        let known = seen.until_nodes(&[B]).await;
        assert!(known <= Duration::from_secs(6), "{known:?}");
        server.heal();
        seen.until("the watch", |_| server.watches() == 1).await;
        seen.until("the note to go", |seen| seen.health() == Health::Well(None)).await;
    });
}

/// A server that asks for patience gets it, up to five seconds.
#[test]
fn retry_after() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        server.fail(Fault::too_many_requests(3));
        let seen = follow(&server.service(), &config(json!({})), None);
        seen.until("the trouble", |seen| seen.reason().contains("429")).await;
        server.forget_requests();
        sleep(Duration::from_secs(60)).await;
        let asked = server.requests().len();
        assert!((18..=21).contains(&asked), "{asked} requests in a minute");
        server.heal();
        seen.until_nodes(&[A]).await;
    });
}

/// A list in parts; what comes in between is not lost, and a part that is too old to go on from begins the list anew.
#[test]
fn pages() {
    simulate(async || {
        let server = ApiServer::new();
        let name = |index: usize| format!("myapp-{index:04}");
        for index in 0..50 {
            let address = format!("10.1.0.{index}");
            let endpoint = Endpoint::ready(&address).pod(&format!("p-{index}"));
            server
                .apply(slice("demo", &name(index)).service("myapp").label("app", "myapp").endpoint(endpoint));
        }
        let seen = begin(&server).await;
        assert_eq!((seen.names().len(), server.count(|seen| seen.is_list())), (50, 3));
        assert_eq!(seen.reports(), 1, "one view: {}", seen.history().len());
    });
}

/// Several namespaces are one topology: not complete before each was listed, and one that fails takes nothing from the
/// others.
#[test]
fn namespaces() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        let elsewhere = |address: &str| {
            slice("other", "x")
                .service("myapp")
                .label("app", "myapp")
                .endpoint(Endpoint::ready(address).pod("x-0"))
        };
        server.apply(elsewhere("10.0.0.2"));
        server.deny_namespace("other");
        let seen =
            follow(&server.service(), &config(json!({ "kubernetes_namespace": ["demo", "other"] })), None);
        seen.until("the denial", |seen| matches!(seen.health(), Health::Denied(_))).await;
        seen.until_nodes(&[A]).await;
        assert!(!seen.history().contains("Complete"), "{}", seen.history());
        server.apply(pods(&["10.0.0.1", "10.0.0.3"]));
        seen.until_nodes(&[A, C]).await;
        server.allow_namespace("other");
        seen.until_nodes(&[A, B, C]).await;
        seen.until("it to be well", Seen::is_well).await;
        assert_eq!(seen.node(B).attribute_map()["namespace"], "other");

        let all = follow(&server.service(), &config(json!({ "kubernetes_namespace": "*" })), None);
        all.until_nodes(&[A, B, C]).await;
    });
}

/// The token is read anew for each request; one that is refused is tried with what the file has by then.
#[test]
fn tokens() {
    simulate(async || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "t-1\n").unwrap();
        let server = server(&["10.0.0.1"]);
        server.accept_tokens(&["t-1"]);
        let seen = follow(&server.service(), &config(json!({})), Some(&path));
        seen.until_nodes(&[A]).await;
        server.accept_tokens(&["t-2"]);
        server.end_watches();
        seen.until("the denial", |seen| matches!(seen.health(), Health::Denied(_))).await;
        assert!(seen.reason().contains("does not take our token"), "{}", seen.reason());
        sleep(Duration::from_secs(600)).await;
        std::fs::write(&path, "t-2").unwrap();
        let healed = seen.until("the return", Seen::is_well).await;
        assert!(healed <= Duration::from_secs(2), "{healed:?}");
        assert!(!seen.history().contains("t-1") && !seen.history().contains("t-2"), "{}", seen.history());
        assert_eq!(seen.taken(), [""; 0]);

        // Rotated while the watch is open: the next request has the new one, and nothing is told.
        let history = seen.history();
        std::fs::write(&path, "t-3").unwrap();
        server.accept_tokens(&["t-3"]);
        server.end_watches();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(seen.history(), history);
    });
}

/// No token is another thing than no rights.
#[test]
fn anonymous() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        server.accept_tokens(&["t-1"]);
        let seen = follow(&server.service(), &config(json!({})), None);
        seen.until("the denial", |seen| matches!(seen.health(), Health::Denied(_))).await;
        assert!(seen.reason().contains("No token was sent that counts"), "{}", seen.reason());
        assert!(!seen.reason().contains("kind: Role"), "{}", seen.reason());
    });
}

/// A report that the host does not take is told, and made up for by a whole one.
#[test]
fn refused_reports() {
    simulate(async || {
        let server = server(&["10.0.0.1"]);
        let seen = begin(&server).await;
        seen.refuse(Some(Refused::TooMany));
        server.apply(pods(&["10.0.0.1", "10.0.0.2"]));
        seen.until("the trouble", |seen| seen.reason().contains("more nodes than")).await;
        seen.refuse(None);
        server.apply(pods(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        seen.until_nodes(&[A, B, C]).await;
        seen.until("it to be well", Seen::is_well).await;
    });
}

/// Five hundred pods are replaced, three at a time: each is named once, said to leave once, and taken away once.
#[test]
fn rolling_update() {
    simulate(async || {
        let server = ApiServer::new();
        let address = |index: usize| format!("10.2.{}.{}", index / 250, index % 250);
        let pod = |index: usize, leaves: bool| {
            let address = address(index);
            let endpoint = if leaves { Endpoint::terminating(&address) } else { Endpoint::ready(&address) };
            endpoint.pod(&format!("p-{index}"))
        };
        // Slices of a hundred, as the controller keeps them; pods keep their slice.
        let publish = |pods: &[(usize, bool)], slices: &std::collections::BTreeSet<usize>| {
            for number in slices {
                let here = pods.iter().filter(|(index, _)| index % 5 == *number);
                let name = format!("myapp-{number}");
                let slice = slice("demo", &name).service("myapp").label("app", "myapp");
                server.apply(slice.endpoints(here.map(|(index, leaves)| pod(*index, *leaves))));
            }
        };
        let mut pods: Vec<(usize, bool)> = (0..500).map(|index| (index, false)).collect();
        let all = (0..5).collect();
        publish(&pods, &all);
        let seen = begin(&server).await;
        assert_eq!(seen.names().len(), 500);
        for batch in (0..500).collect::<Vec<_>>().chunks(3) {
            for index in batch {
                pods.push((index + 500, false));
                pods[*index].1 = true;
            }
            publish(&pods, &batch.iter().map(|index| index % 5).collect());
            sleep(Duration::from_millis(200)).await;
        }
        pods.drain(..500);
        publish(&pods, &all);
        seen.until("the old ones to go", |seen| seen.names().len() == 500).await;
        let taken = seen.taken();
        let once: std::collections::BTreeSet<_> = taken.iter().collect();
        assert_eq!((taken.len(), once.len()), (500, 500));
        for index in 0..1_000 {
            let name = format!("myapp@{}", address(index));
            // Named, and the old ones said to leave and taken away.
            assert_eq!(seen.named(&name), if index < 500 { 3 } else { 1 }, "{name}");
        }
    });
}
