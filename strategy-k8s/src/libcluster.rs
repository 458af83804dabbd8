//! libcluster's options, one after the other: what is asked of the API server, and the names that come of the answer.
//!
//! The expected names of `tests/fixtures/libcluster/kubernetes` are those that libcluster 3.5.0 made of these answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_apiserver::{
    ApiServer,
    objects::{Endpoint, endpoints, pod, slice},
};

use crate::{
    config::{KubernetesConfig, Mode},
    object::{Endpoints, Object, Pod},
    policy::{Own, Policy},
    roster::{Roster, Scope},
    surroundings::Surroundings,
    testing::{config, follow, simulate},
};

/// Names that a config gives to the items of a list.
fn names<O: Object>(config: &KubernetesConfig, around: &Surroundings, items: Value) -> Vec<String> {
    let objects: Vec<O> = serde_json::from_value(items).unwrap();
    let mut roster = Roster::new(Policy::new(config, around, Own::default()));
    roster.handle_list(&Scope::All, objects);
    roster.view(true).nodes.iter().map(|node| node.to_node().unwrap().name().to_string()).collect()
}

/// The items of an answer that was served to libcluster. Some have no name, which a real server always gives.
fn served(file: &str) -> Value {
    let path = format!("{}/../tests/fixtures/libcluster/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut list: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (index, item) in list["items"].as_array_mut().unwrap().iter_mut().enumerate() {
        let item = item.as_object_mut().unwrap();
        let metadata = item.entry("metadata").or_insert(json!({}));
        metadata.as_object_mut().unwrap().entry("name").or_insert(json!(format!("item-{index}")));
    }
    list["items"].clone()
}

/// `mode: :ip`, Endpoints: ready addresses alone, and Services without any.
#[test]
fn ip_of_endpoints() {
    let items = served("endpoints-two-addresses.resp.json");
    let found = names::<Endpoints>(&config(json!({})), &Surroundings::default(), items);
    assert_eq!(found, ["myapp@10.0.0.1", "myapp@10.0.0.2"]);
}

/// `mode: :hostname`, pods: where libcluster makes `myapp@.svc.prod-ns…` of a pod without host name, there is none here;
/// nor of one that has failed.
#[test]
fn hostnames_of_pods() {
    let config = config(json!({
        "mode": "hostname", "kubernetes_service_name": "svc", "kubernetes_ip_lookup_mode": "pods",
    }));
    let found = names::<Pod>(&config, &Surroundings::default(), served("pods-mixed-phase.resp.json"));
    assert_eq!(found, ["myapp@p-0.svc.prod-ns.svc.cluster.local"]);
}

/// An address without `targetRef` ends libcluster's strategy; here it is a node in the namespace of its object.
#[test]
fn addresses_without_a_pod() {
    let items = served("crash-endpoints-without-targetref.resp.json");
    assert_eq!(names::<Endpoints>(&config(json!({})), &Surroundings::default(), items), ["myapp@10.0.0.7"]);
}

/// `mode`, `kubernetes_cluster_name`, `kubernetes_service_name`, `CLUSTER_DOMAIN`: each way of writing a name. libcluster
/// leaves `CLUSTER_DOMAIN` out of names, and makes of an IPv6 address in mode `:dns` what is no DNS name.
#[test]
fn name_forms() {
    let item = |address: &str| {
        json!([{ "metadata": { "name": "svc", "namespace": "ns" }, "subsets": [{ "addresses": [{
            "ip": address, "hostname": "db-0", "targetRef": { "kind": "Pod", "name": "db-0", "namespace": "ns" },
        }] }] }])
    };
    let rows = [
        (Mode::Ip, "10.1.2.3", json!({}), None, "app@10.1.2.3"),
        (Mode::Ip, "fd00::1", json!({}), None, "app@fd00::1"),
        (Mode::Dns, "10.1.2.3", json!({}), None, "app@10-1-2-3.ns.pod.cluster.local"),
        (Mode::Dns, "fd00::1", json!({}), None, "app@fd00--1.ns.pod.cluster.local"),
        (
            Mode::Dns,
            "10.1.2.3",
            json!({ "kubernetes_cluster_name": "k8s" }),
            None,
            "app@10-1-2-3.ns.pod.k8s.local",
        ),
        (Mode::Dns, "10.1.2.3", json!({}), Some("corp.example."), "app@10-1-2-3.ns.pod.corp.example"),
        (Mode::Hostname, "10.1.2.3", json!({}), None, "app@db-0.db.ns.svc.cluster.local"),
        (
            Mode::Hostname,
            "10.1.2.3",
            json!({ "kubernetes_cluster_name": "k8s" }),
            None,
            "app@db-0.db.ns.svc.k8s.local",
        ),
        (
            Mode::Hostname,
            "10.1.2.3",
            json!({ "cluster_domain": "here.example" }),
            Some("not.here"),
            "app@db-0.db.ns.svc.here.example",
        ),
    ];
    for (mode, address, options, domain, expected) in rows {
        let mode = format!("{mode:?}").to_lowercase();
        let mut all =
            json!({ "kubernetes_node_basename": "app", "mode": mode, "kubernetes_service_name": "db" });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let around = Surroundings { cluster_domain: domain.map(str::to_owned), ..Surroundings::default() };
        assert_eq!(names::<Endpoints>(&config(all), &around, item(address)), [expected]);
    }
}

/// What is asked, and where, for `kubernetes_selector`, `kubernetes_namespace`, `kubernetes_ip_lookup_mode`,
/// `kubernetes_use_cached_resources`, and the field selector.
#[test]
fn requests() {
    let rows = [
        (
            json!({ "kubernetes_selector": "app=myapp,tier in (a,b)" }),
            "endpointslices",
            "app=myapp,tier in (a,b)",
        ),
        (json!({ "kubernetes_namespace": "prod-ns" }), "endpointslices", "app=myapp"),
        (
            json!({ "kubernetes_ip_lookup_mode": "pods", "kubernetes_use_cached_resources": true }),
            "pods",
            "app=myapp",
        ),
        (json!({ "field_selector": "metadata.name=x" }), "endpointslices", "app=myapp"),
        (
            json!({ "kubernetes_selector": null, "kubernetes_service_name": "svc" }),
            "endpointslices",
            "kubernetes.io/service-name=svc",
        ),
    ];
    simulate(async || {
        for (options, plural, selector) in rows {
            let server = ApiServer::new();
            let config = config(options.clone());
            let seen = follow(&server.service(), &config, None);
            seen.until("the watch", |_| server.watches() == 1).await;
            let namespace = options["kubernetes_namespace"].as_str().unwrap_or("demo");
            let version = if config.kubernetes_use_cached_resources { "0" } else { "" };
            for request in server.requests() {
                assert!(
                    request.path.ends_with(&format!("/namespaces/{namespace}/{plural}")),
                    "{}",
                    request.path
                );
                assert_eq!(request.query_value("labelSelector"), selector, "{options}");
                let field = options["field_selector"].as_str().unwrap_or_default();
                assert_eq!(request.query_value("fieldSelector"), field, "{options}");
                if request.is_list() {
                    assert_eq!(request.query_value("resourceVersion"), version, "{options}");
                }
            }
        }
    });
}

/// `kubernetes_ip_lookup_mode`: the same pods by all three ways have the same names. Pods that have ended are in none,
/// where libcluster takes them.
#[test]
fn lookup_modes() {
    simulate(async || {
        let server = ApiServer::new();
        for (index, address) in ["10.0.0.1", "10.0.0.2"].into_iter().enumerate() {
            server.apply(pod("demo", &format!("p-{index}")).label("app", "myapp").ip(address));
        }
        server.apply(pod("demo", "done").label("app", "myapp").ip("10.0.0.8").phase("Succeeded"));
        server.apply(pod("demo", "failed").label("app", "myapp").ip("10.0.0.9").phase("Failed"));
        let ready = || ["10.0.0.1", "10.0.0.2"].iter().enumerate();
        let named = |(index, address): (usize, &&str)| Endpoint::ready(address).pod(&format!("p-{index}"));
        server.apply(endpoints("demo", "myapp").label("app", "myapp").subset(ready().map(named), []));
        server.apply(
            slice("demo", "myapp-1").service("myapp").label("app", "myapp").endpoints(ready().map(named)),
        );
        let expected = ["myapp@10.0.0.1", "myapp@10.0.0.2"];
        let by_slices = follow(&server.service(), &config(json!({})), None);
        by_slices.until_nodes(&expected).await;
        let by_pods =
            follow(&server.service(), &config(json!({ "kubernetes_ip_lookup_mode": "pods" })), None);
        by_pods.until_nodes(&expected).await;
        server.without_slices();
        let by_endpoints = follow(&server.service(), &config(json!({})), None);
        by_endpoints.until_nodes(&expected).await;
        let all: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            [by_slices.names(), by_pods.names(), by_endpoints.names()],
            [all.clone(), all.clone(), all]
        );
    });
}
