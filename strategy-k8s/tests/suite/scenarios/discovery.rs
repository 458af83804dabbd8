//! What is there is found, and what changes is told.

use cluster_core::Health;
use serde_json::json;
use test_apiserver::objects::{Endpoint, pod, slice};

use super::{named, pod as endpoint, ready};
use crate::{
    cluster::{Cluster, NAMESPACE, PODS, SLICES},
    followed::Followed,
};

/// What is there is one whole view, with what is known of each pod.
pub(super) fn list_and_view(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(named("myapp-abc").endpoint(endpoint("10.0.0.1").zone("zone-a")));
    cluster
        .apply(named("myapp-def").endpoint(endpoint("10.0.0.2")).endpoint(Endpoint::not_ready("10.0.0.3")));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    followed.wait_until_well(&[]);
    assert_eq!(followed.reports(), (1, 0));
    let attributes = followed.node("10.0.0.1").attribute_map();
    for (key, value) in [("namespace", "demo"), ("pod", "pod-10-0-0-1"), ("zone", "zone-a")] {
        assert_eq!(attributes.get(key).map(String::as_str), Some(value), "{key} of {attributes:?}");
    }
}

/// What changes is told as the change that it is, and so is what goes.
pub(super) fn change_and_removal(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1"]));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1"]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    cluster.apply(ready(&["10.0.0.2"]));
    followed.wait_for(&["10.0.0.2"]);
    cluster.delete_slice("myapp-abc");
    followed.wait_for(&[]);
    cluster.apply(ready(&["10.0.0.3"]));
    followed.wait_for(&["10.0.0.3"]);
    assert_eq!(followed.reports(), (1, 4));
    assert_eq!(followed.taken(), ["myapp@10.0.0.1", "myapp@10.0.0.2"]);
}

/// A pod that terminates is leaving as long as it serves.
pub(super) fn terminating(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    let leaving = Endpoint::terminating("10.0.0.2").pod("pod-10-0-0-2");
    cluster.apply(named("myapp-abc").endpoint(endpoint("10.0.0.1")).endpoint(leaving));
    followed.wait_until("the second to leave", |nodes| nodes["myapp@10.0.0.2"].is_leaving());
    assert!(!followed.node("10.0.0.1").is_leaving());
    let ending = Endpoint::ending("10.0.0.2").pod("pod-10-0-0-2");
    cluster.apply(named("myapp-abc").endpoint(endpoint("10.0.0.1")).endpoint(ending));
    followed.wait_for(&["10.0.0.1"]);
}

/// Pods themselves: from when they have an address, ready or not, until they have ended.
pub(super) fn pods(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[PODS]);
    let running = |name: &str, ip: &str| pod(NAMESPACE, name).label("app", "myapp").node("node-a").ip(ip);
    cluster.create_pod(running("a", "10.0.0.1"));
    cluster.create_pod(running("b", "10.0.0.2").not_ready());
    cluster.create_pod(running("c", "10.0.0.3").phase("Succeeded"));
    cluster.create_pod(running("d", "10.0.0.4").phase("Failed"));
    cluster.create_pod(pod(NAMESPACE, "e").label("app", "myapp").node("node-a").phase("Pending"));
    let followed = Followed::start(cluster, json!({ "kubernetes_ip_lookup_mode": "pods" }));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    cluster.patch_pod_status(
        "e",
        &json!({"podIP": "10.0.0.5", "podIPs": [{"ip": "10.0.0.5"}], "phase": "Running"}),
    );
    followed.wait_for(&["10.0.0.1", "10.0.0.2", "10.0.0.5"]);
    cluster.patch_pod_status("e", &json!({ "phase": "Failed" }));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    cluster.terminate_pod("a");
    followed.wait_until("the first to leave", |nodes| nodes["myapp@10.0.0.1"].is_leaving());
    cluster.remove_pod("a");
    followed.wait_for(&["10.0.0.2"]);
}

/// An object that the selector does not pick any more is gone, though it is there.
pub(super) fn label_change(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1"]));
    let moved = |app: &str| {
        slice(NAMESPACE, "myapp-def").service("myapp").label("app", app).endpoint(endpoint("10.0.0.2"))
    };
    cluster.apply(moved("myapp"));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    cluster.apply(moved("another"));
    followed.wait_for(&["10.0.0.1"]);
    cluster.apply(moved("myapp"));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
}

/// Two Services that name the same pod are no two nodes, and it goes with the last of them.
pub(super) fn two_services(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    let headless = |addresses: &[&str]| {
        let slice = slice(NAMESPACE, "headless-abc").service("headless").label("app", "myapp");
        slice.endpoints(addresses.iter().map(|address| endpoint(address)))
    };
    cluster.apply(headless(&["10.0.0.1", "10.0.0.2"]));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    cluster.apply(ready(&["10.0.0.1"]));
    cluster.apply(headless(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(followed.taken(), [""; 0]);
    cluster.apply(headless(&["10.0.0.1", "10.0.0.3"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.3"]);
}

/// Of pods with both families one address counts; pods with IPv6 alone are taken with it.
pub(super) fn ipv6(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    let six =
        |name: &str, address: &str, pod: &str| named(name).ipv6().endpoint(Endpoint::ready(address).pod(pod));
    cluster.apply(six("myapp-six", "fd00:10:244::1", "pod-10-0-0-1"));
    let followed = Followed::start(cluster, json!({ "prefer": "ipv6" }));
    followed.wait_for(&["fd00:10:244::1"]);
    cluster.apply(ready(&["10.0.0.1"]));
    cluster.apply(
        slice(NAMESPACE, "other-six")
            .service("six")
            .label("app", "myapp")
            .ipv6()
            .endpoint(Endpoint::ready("fd00:10:244::2").pod("pod-six")),
    );
    followed.wait_for(&["fd00:10:244::1", "fd00:10:244::2"]);
    assert_eq!(followed.taken(), [""; 0]);
    let four = Followed::start(cluster, json!({}));
    four.wait_for(&["10.0.0.1", "fd00:10:244::2"]);
}

/// More objects than one answer has are one view all the same.
pub(super) fn pagination(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    for index in 0..501 {
        let address = format!("10.1.{}.{}", index / 250, index % 250 + 1);
        cluster.apply(named(&format!("myapp-{index:03}")).endpoint(endpoint(&address)));
    }
    let followed = Followed::start(cluster, json!({}));
    followed.wait_until("501 nodes", |nodes| nodes.len() == 501);
    assert_eq!(followed.reports(), (1, 0));
}

/// Several namespaces are one topology.
pub(super) fn several_namespaces(cluster: &Cluster) {
    cluster.create_namespace("other");
    let elsewhere = |address: &str| {
        slice("other", "x").service("myapp").label("app", "myapp").endpoint(endpoint(address))
    };
    cluster.apply(ready(&["10.0.0.1"]));
    cluster.apply(elsewhere("10.0.0.2"));
    cluster.grant(NAMESPACE, &[SLICES]);
    let followed = Followed::start(cluster, json!({ "kubernetes_namespace": ["demo", "other"] }));
    followed.wait_for_health(Health::Denied, &["in namespace other"]);
    followed.wait_for(&["10.0.0.1"]);
    cluster.grant("other", &[SLICES]);
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    followed.wait_until_well(&[]);
    assert_eq!(followed.node("10.0.0.2").attribute_map()["namespace"], "other");
    cluster.apply(elsewhere("10.0.0.3"));
    followed.wait_for(&["10.0.0.1", "10.0.0.3"]);

    cluster.grant_everywhere(&[SLICES]);
    let all = Followed::start(cluster, json!({ "kubernetes_namespace": "*" }));
    all.wait_for(&["10.0.0.1", "10.0.0.3"]);
}

/// A namespace that is not there is an empty one to the server; it is said that nothing matches.
pub(super) fn unknown_namespace(cluster: &Cluster) {
    cluster.grant_everywhere(&[SLICES]);
    let followed = Followed::start(cluster, json!({ "kubernetes_namespace": "nowhere" }));
    followed.wait_until_well(&["nothing matches the selector"]);
    followed.wait_for(&[]);
}

/// What the server says to a selector that is none is passed on.
pub(super) fn bad_selector(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    let followed = Followed::start(cluster, json!({ "kubernetes_selector": "app===x!" }));
    let words = ["cannot list endpointslices in namespace demo", "unable to parse requirement", "(400)"];
    followed.wait_for_health(Health::Degraded, &words);
}
