//! Rights and tokens.

use cluster_core::Health;
use serde_json::{Value, json};
use test_apiserver::objects::{Endpoint, endpoints};

use super::ready;
use crate::{
    cluster::{Cluster, ENDPOINTS, NAMESPACE, NEXT_TOKEN, Rights, SLICES, TOKEN},
    followed::Followed,
};

/// With the rights that libcluster has, the Endpoints are followed, and it is said what is missing.
pub(super) fn endpoints_where_slices_are_denied(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[ENDPOINTS]);
    cluster.apply(ready(&["10.0.0.9"]));
    let service = |addresses: &[&str]| {
        let ready = addresses.iter().map(|address| super::pod(address)).collect::<Vec<_>>();
        endpoints(NAMESPACE, "myapp").label("app", "myapp").subset(ready, [Endpoint::not_ready("10.0.0.8")])
    };
    cluster.apply(service(&["10.0.0.1"]));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1"]);
    followed.wait_until_well(&["may not list endpointslices", "Endpoints are used", "kind: Role\n"]);
    cluster.apply(service(&["10.0.0.1", "10.0.0.2"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
}

/// Who may list but not watch polls, and says so.
pub(super) fn polls_where_watching_is_denied(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[Rights::new("discovery.k8s.io", "endpointslices", &["list"])]);
    cluster.apply(ready(&["10.0.0.1"]));
    let followed = Followed::start(cluster, json!({ "polling_interval": "500ms" }));
    followed.wait_for(&["10.0.0.1"]);
    followed.wait_until_well(&[
        "it polls every 500ms",
        "may list endpointslices but not watch",
        "kind: Role\n",
    ]);
    cluster.apply(ready(&["10.0.0.2"]));
    followed.wait_for(&["10.0.0.2"]);
}

/// Who may do nothing is told what to apply; applied as it is printed, it helps.
pub(super) fn what_it_proposes_makes_it_well(cluster: &Cluster) {
    cluster.apply(ready(&["10.0.0.1"]));
    let followed = Followed::start(cluster, json!({}));
    let reason = followed
        .wait_for_health(Health::Denied, &["may not list endpointslices in namespace demo", "Apply:\n"]);
    let (_, yaml) = reason.split_once("Apply:\n").unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Role", "RoleBinding"], "{yaml}");
    for object in objects {
        cluster.apply(object);
    }
    followed.wait_for(&["10.0.0.1"]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    // With the right to list alone it would have come with another list, and there would be a note.
    assert_eq!(followed.reports(), (1, 1));
    followed.wait_until_well(&[]);
}

/// A token that the server does not know is told, and the right one is taken as soon as it is in the file.
pub(super) fn wrong_token_then_right(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1"]));
    let followed = Followed::start_with_token(cluster, json!({}), "token-of-nobody");
    let reason = followed.wait_for_health(Health::Denied, &["does not take our token", "(401)"]);
    assert!(!reason.contains("token-of-nobody"), "{reason}");
    followed.account().write_token(TOKEN);
    followed.wait_for(&["10.0.0.1"]);
    followed.wait_until_well(&[]);
}

/// White space around a token is no part of it, and a new one is used from the next request on.
pub(super) fn rotated_token_with_newline(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1"]));
    let followed = Followed::start_with_token(
        cluster,
        json!({ "poll": true, "polling_interval": "500ms" }),
        &format!("{TOKEN}\n"),
    );
    followed.wait_for(&["10.0.0.1"]);
    followed.account().write_token("token-of-nobody\n");
    followed.wait_for_health(Health::Denied, &["does not take our token"]);
    followed.account().write_token(&format!("{NEXT_TOKEN}\n"));
    followed.wait_until_well(&[]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    assert_eq!(followed.taken(), [""; 0]);
}
