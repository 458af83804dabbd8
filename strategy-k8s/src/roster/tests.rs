//! Nodes that come of objects, whatever the order in which these come and go.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    object::{EndpointSlice, Endpoints, Pod},
    policy::Own,
    surroundings::Surroundings,
    testing::config,
};

fn roster(options: Value) -> Roster {
    Roster::new(Policy::new(&config(options), &Surroundings::default(), Own::default()))
}

fn recorded<O: Object>(file: &str) -> Vec<O> {
    let path = format!("{}/../tests/fixtures/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let list: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(list["items"].clone()).unwrap()
}

fn lines(roster: &Roster) -> String {
    let line = |node: Node| {
        let leaving = if node.is_leaving() { " leaving" } else { "" };
        let attributes: Vec<_> =
            node.attribute_map().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "{} {:?}{leaving} {}\n",
            node.name(),
            node.addresses().collect::<Vec<_>>(),
            attributes.join(" ")
        )
    };
    roster.view(true).nodes.iter().map(|node| line(node.to_node().unwrap())).collect()
}

fn names(roster: &Roster) -> Vec<String> {
    roster.view(true).nodes.iter().map(|node| node.to_node().unwrap().name().to_string()).collect()
}

/// Of four slices that name ten pods 23 times each pod is one node; those of a headless Service that publishes what is not
/// ready count as it says, and those that terminate are leaving.
#[test]
fn recorded_slices() {
    let slices: Vec<EndpointSlice> = recorded("endpointslices-list.json");
    for options in [
        json!({}),
        json!({ "include": "serving" }),
        json!({ "include": "all", "prefer": "ipv6" }),
        json!({ "mode": "hostname", "kubernetes_service_name": "myapp-headless", "terminating": "drop" }),
    ] {
        let mut roster = roster(options.clone());
        roster.handle_list(&Scope::All, slices.clone());
        let expected = match options["include"].as_str() {
            None if options["mode"].is_null() => expect_test::expect![[r#"
                myapp@10.244.1.10 ["10.244.1.10"] namespace=demo node=node-a pod=myapp-0 zone=zone-1
                myapp@10.244.1.12 ["10.244.1.12"] namespace=demo node=node-a pod=myapp-2 zone=zone-1
                myapp@10.244.1.13 ["10.244.1.13"] leaving namespace=demo node=node-a pod=myapp-3 zone=zone-1
                myapp@10.244.2.11 ["10.244.2.11"] namespace=demo node=node-b pod=myapp-1 zone=zone-2
                myapp@10.244.2.19 ["10.244.2.19"] namespace=demo node=node-b pod=myapp-9 zone=zone-2
                myapp@192.0.2.11 ["192.0.2.11"] namespace=demo node=node-b pod=myapp-8 zone=zone-2
                myapp@198.51.100.7 ["198.51.100.7"] namespace=demo
                myapp@198.51.100.8 ["198.51.100.8"] namespace=demo
            "#]],
            Some("serving") => expect_test::expect![[r#"
                myapp@10.244.1.10 ["10.244.1.10"] namespace=demo node=node-a pod=myapp-0 zone=zone-1
                myapp@10.244.1.13 ["10.244.1.13"] leaving namespace=demo node=node-a pod=myapp-3 zone=zone-1
                myapp@10.244.2.11 ["10.244.2.11"] namespace=demo node=node-b pod=myapp-1 zone=zone-2
                myapp@192.0.2.11 ["192.0.2.11"] namespace=demo node=node-b pod=myapp-8 zone=zone-2
                myapp@198.51.100.7 ["198.51.100.7"] namespace=demo
                myapp@198.51.100.8 ["198.51.100.8"] namespace=demo
            "#]],
            Some(_) => expect_test::expect![[r#"
                myapp@192.0.2.11 ["192.0.2.11"] namespace=demo node=node-b pod=myapp-8 zone=zone-2
                myapp@198.51.100.7 ["198.51.100.7"] namespace=demo
                myapp@198.51.100.8 ["198.51.100.8"] namespace=demo
                myapp@198.51.100.9 ["198.51.100.9"] namespace=demo
                myapp@fd00:10:244:1::a ["fd00:10:244:1::a"] namespace=demo node=node-a pod=myapp-0 zone=zone-1
                myapp@fd00:10:244:1::c ["fd00:10:244:1::c"] namespace=demo node=node-a pod=myapp-2 zone=zone-1
                myapp@fd00:10:244:1::d ["fd00:10:244:1::d"] leaving namespace=demo node=node-a pod=myapp-3 zone=zone-1
                myapp@fd00:10:244:2::13 ["fd00:10:244:2::13"] namespace=demo node=node-b pod=myapp-9 zone=zone-2
                myapp@fd00:10:244:2::b ["fd00:10:244:2::b"] namespace=demo node=node-b pod=myapp-1 zone=zone-2
                myapp@fd00:10:244:2::e ["fd00:10:244:2::e"] leaving namespace=demo node=node-b pod=myapp-4 zone=zone-2
            "#]],
            None => expect_test::expect![[r#"
                myapp@ext-8.myapp-headless.demo.svc.cluster.local ["198.51.100.8"] namespace=demo
                myapp@myapp-0.myapp-headless.demo.svc.cluster.local ["10.244.1.10"] namespace=demo node=node-a pod=myapp-0 zone=zone-1
                myapp@myapp-1.myapp-headless.demo.svc.cluster.local ["10.244.2.11"] namespace=demo node=node-b pod=myapp-1 zone=zone-2
                myapp@myapp-2.myapp-headless.demo.svc.cluster.local ["10.244.1.12"] namespace=demo node=node-a pod=myapp-2 zone=zone-1
            "#]],
        };
        expected.assert_eq(&lines(&roster));
    }
}

/// Pods by themselves, with their labels.
#[test]
fn recorded_pods() {
    let mut roster = roster(json!({ "kubernetes_ip_lookup_mode": "pods" }));
    roster.handle_list(&Scope::All, recorded::<Pod>("pods-list.json"));
    expect_test::expect![[r#"
        myapp@10.244.1.10 ["10.244.1.10"] label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-1 namespace=demo node=node-a pod=myapp-0 zone=zone-1
        myapp@10.244.1.12 ["10.244.1.12"] label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-1 namespace=demo node=node-a pod=myapp-2 zone=zone-1
        myapp@10.244.1.13 ["10.244.1.13"] leaving label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-1 namespace=demo node=node-a pod=myapp-3 zone=zone-1
        myapp@10.244.2.11 ["10.244.2.11"] label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-2 namespace=demo node=node-b pod=myapp-1 zone=zone-2
        myapp@10.244.2.14 ["10.244.2.14"] leaving label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-2 namespace=demo node=node-b pod=myapp-4 zone=zone-2
        myapp@10.244.2.19 ["10.244.2.19"] label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-2 namespace=demo node=node-b pod=myapp-9 zone=zone-2
        myapp@192.0.2.11 ["192.0.2.11"] label/app=myapp label/tier=backend label/topology.kubernetes.io/zone=zone-2 namespace=demo node=node-b pod=myapp-8 zone=zone-2
    "#]].assert_eq(&lines(&roster));
    assert_eq!(roster.remark(), None);
}

fn slice(name: &str, service: &str, family: &str, endpoints: &Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "demo", "labels": { "kubernetes.io/service-name": service } },
        "addressType": family,
        "endpoints": endpoints,
    }))
    .unwrap()
}

fn endpoint(address: &str, uid: &str, terminating: bool) -> Value {
    json!({
        "addresses": [address],
        "conditions": { "ready": !terminating, "serving": true, "terminating": terminating },
        "targetRef": { "kind": "Pod", "namespace": "demo", "name": format!("pod-{uid}"), "uid": uid },
    })
}

/// What changes by one object: names that appear, change and go, and nothing of what stays.
#[test]
fn changes() {
    let mut roster = roster(json!({}));
    let told = |changes: Changes| {
        let text = |nodes: &cluster_sdk::NodeList| -> Vec<String> {
            nodes
                .iter()
                .map(|node| node.to_node().unwrap())
                .map(|node| format!("{}{}", node.name(), if node.is_leaving() { " leaving" } else { "" }))
                .collect()
        };
        (text(&changes.upserts), text(&changes.removals))
    };
    let one = |endpoints: Value| slice("s-1", "svc", "IPv4", &endpoints);
    let other = |endpoints: Value| slice("o-1", "other", "IPv4", &endpoints);
    let (a, b) = (endpoint("10.0.0.1", "a", false), endpoint("10.0.0.2", "b", false));
    let list = |names: &[&str]| names.iter().map(|name| format!("myapp@{name}")).collect::<Vec<_>>();

    assert_eq!(told(roster.handle_object(one(json!([a, b])))), (list(&["10.0.0.1", "10.0.0.2"]), list(&[])));
    assert_eq!(told(roster.handle_object(one(json!([a, b])))), (list(&[]), list(&[])), "the same again");
    assert_eq!(
        told(roster.handle_object(other(json!([b])))),
        (list(&[]), list(&[])),
        "by another Service too"
    );
    assert_eq!(
        told(roster.handle_object(one(json!([a])))),
        (list(&[]), list(&[])),
        "the other still names it"
    );
    let leaving = endpoint("10.0.0.2", "b", true);
    assert_eq!(told(roster.handle_object(other(json!([leaving])))), (list(&["10.0.0.2 leaving"]), list(&[])));
    // The address goes to a new pod while the old one's is still named.
    let reused = endpoint("10.0.0.2", "c", false);
    assert_eq!(told(roster.handle_object(one(json!([a, reused])))), (list(&["10.0.0.2"]), list(&[])));
    assert_eq!(told(roster.handle_deletion(&other(json!([])).key())), (list(&[]), list(&[])));
    assert_eq!(
        told(roster.handle_deletion(&one(json!([])).key())),
        (list(&[]), list(&["10.0.0.1", "10.0.0.2"]))
    );
    assert_eq!(told(roster.handle_deletion(&one(json!([])).key())), (list(&[]), list(&[])), "unknown");
    assert!(roster.subjects.is_empty() && roster.names.is_empty() && roster.objects.is_empty());
}

/// A Service in both families: a pod has one name whichever slice comes first, and never two.
#[test]
fn dual_stack() {
    let of =
        |family: &str, address: &str| slice(family, "svc", family, &json!([endpoint(address, "a", false)]));
    let empty = |family: &str| slice(family, "svc", family, &json!([]));
    let (four, six) = ("myapp@10.0.0.1", "myapp@fd00::1");
    for (prefer, expected, other) in [("ipv4", four, six), ("ipv6", six, four)] {
        let mut roster = roster(json!({ "prefer": prefer }));
        roster.handle_list(&Scope::All, vec![empty("IPv4"), empty("IPv6")]);
        roster.handle_object(of("IPv6", "fd00::1"));
        roster.handle_object(of("IPv4", "10.0.0.1"));
        assert_eq!(names(&roster), [expected]);
        // The Service has one family only.
        let (preferred, rest) = if prefer == "ipv4" { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        roster.handle_deletion(&empty(preferred).key());
        assert_eq!(names(&roster), [other]);
        roster.handle_deletion(&empty(rest).key());
        assert_eq!(names(&roster), [""; 0]);
    }
}

/// Endpoints that are cut off name some; who is not named may still be there.
#[test]
fn truncated_endpoints() {
    let object = |addresses: &[&str]| -> Endpoints {
        let addresses: Vec<_> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
        let annotations = json!({ "endpoints.kubernetes.io/over-capacity": "truncated" });
        serde_json::from_value(json!({
            "metadata": { "name": "svc", "namespace": "demo", "annotations": annotations },
            "subsets": [{ "addresses": addresses }],
        }))
        .unwrap()
    };
    let mut roster = roster(json!({}));
    roster.handle_list(&Scope::All, vec![object(&["10.0.0.1", "10.0.0.2"])]);
    assert_eq!(roster.view(true).completeness, cluster_sdk::Completeness::Partial);
    let changes = roster.handle_object(object(&["10.0.0.2", "10.0.0.3"]));
    assert_eq!((changes.upserts.len(), changes.removals.len()), (1, 0));
    assert_eq!(names(&roster).len(), 3);
}

/// The pod that this runs in is known by its name or its address. Where its node has the name that it would get, the host
/// knows it; where it has another, it is left out and that is told.
#[test]
fn own_pod() {
    let pods = slice(
        "s",
        "svc",
        "IPv4",
        &json!([endpoint("10.0.0.1", "a", false), endpoint("10.0.0.2", "b", false)]),
    );
    let own = |node: &str, pod: Option<&str>, address: Option<&str>| Own {
        node: Some(node.parse().unwrap()),
        namespace: Some("demo".to_owned()),
        pod: pod.map(str::to_owned),
        address: address.map(|address| address.parse().unwrap()),
    };
    let both = ["myapp@10.0.0.1", "myapp@10.0.0.2"];
    let rows = [
        (own("myapp@10.0.0.1", Some("pod-a"), None), &both[..], false),
        (own("x@elsewhere", Some("pod-a"), None), &both[1..], true),
        (own("x@elsewhere", None, Some("10.0.0.2")), &both[..1], true),
        (own("x@elsewhere", Some("nobody"), Some("10.9.9.9")), &both[..], false),
        (
            Own { namespace: Some("other".to_owned()), ..own("x@elsewhere", Some("pod-a"), None) },
            &both[..],
            false,
        ),
    ];
    for (own, expected, remarked) in rows {
        let mut roster = Roster::new(Policy::new(&config(json!({})), &Surroundings::default(), own.clone()));
        roster.handle_list(&Scope::All, vec![pods.clone()]);
        assert_eq!(names(&roster), expected, "{own:?}");
        assert_eq!(
            roster.remark().is_some_and(|text| text.contains("make [node].name the same")),
            remarked,
            "{own:?}"
        );
    }
    // The host learns its node's name later, from the node itself.
    let own = Own { node: None, ..own("x@y", Some("pod-a"), None) };
    let mut roster = Roster::new(Policy::new(&config(json!({})), &Surroundings::default(), own));
    roster.handle_list(&Scope::All, vec![pods]);
    assert_eq!(names(&roster), both);
    assert!(roster.handle_own_name(Some("x@elsewhere".parse().unwrap())));
    assert_eq!(names(&roster), both[1..]);
    assert!(!roster.handle_own_name(Some("x@elsewhere".parse().unwrap())));
}

/// What is said where nothing comes of what is there.
#[test]
fn remarks() {
    let check = |options: Value, slices: &[EndpointSlice], expected: &str| {
        let mut roster = roster(options);
        roster.handle_list(&Scope::All, slices.to_vec());
        let remark = roster.remark().unwrap_or_default();
        assert!(remark.contains(expected), "{expected} in {remark}");
    };
    check(json!({}), &[], "nothing matches the selector");
    check(json!({}), &[slice("s", "svc", "IPv4", &json!([]))], "none names a pod");
    let not_ready = json!([{ "addresses": ["10.0.0.1"], "conditions": { "ready": false } }]);
    check(json!({}), &[slice("s", "svc", "IPv4", &not_ready)], "none of 1 pods counts yet");
    let hostname = json!({ "mode": "hostname", "kubernetes_service_name": "svc" });
    let nameless = [slice("s", "svc", "IPv4", &json!([endpoint("10.0.0.1", "a", false)]))];
    check(hostname, &nameless, "1 pods are left out, the first as it has no host name");
}

/// Ways in which the objects of a few Services change.
#[derive(Debug, Clone)]
enum Step {
    Object(usize, Vec<(u8, bool)>),
    Deletion(usize),
    List(Vec<(usize, Vec<(u8, bool)>)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pods = || prop::collection::vec((0..6_u8, any::<bool>()), 0..5);
    let step = prop_oneof![
        6 => (0..6_usize, pods()).prop_map(|(object, pods)| Step::Object(object, pods)),
        2 => (0..6_usize).prop_map(Step::Deletion),
        1 => prop::collection::vec((0..6_usize, pods()), 0..4).prop_map(Step::List),
    ];
    prop::collection::vec(step, 1..30)
}

/// Six slices: three Services, in two families.
fn any_slice(number: usize, pods: &[(u8, bool)]) -> EndpointSlice {
    let (service, is_six) = (number / 2, number % 2 == 1);
    let endpoints: Vec<_> = pods
        .iter()
        .map(|(pod, terminating)| {
            // Two pods share an address, as one that is new has that of one that goes.
            let address = if is_six { format!("fd00::{}", pod / 2) } else { format!("10.0.0.{}", pod / 2) };
            endpoint(&address, &format!("u{pod}"), *terminating)
        })
        .collect();
    let family = if is_six { "IPv6" } else { "IPv4" };
    slice(&format!("s{number}"), &format!("svc-{service}"), family, &json!(endpoints))
}

proptest! {
    /// Whatever comes and goes, what was told of the changes comes to what a list of the objects gives: and nothing is
    /// told twice.
    #[test]
    fn changes_come_to_the_view(steps in steps()) {
        let mut roster = roster(json!({}));
        let mut objects: BTreeMap<usize, EndpointSlice> = BTreeMap::new();
        let mut told: BTreeMap<String, Node> = BTreeMap::new();
        for step in steps {
            let changes = match step {
                Step::Object(number, pods) => {
                    let slice = any_slice(number, &pods);
                    objects.insert(number, slice.clone());
                    Some(roster.handle_object(slice))
                }
                Step::Deletion(number) => {
                    objects.remove(&number);
                    Some(roster.handle_deletion(&any_slice(number, &[]).key()))
                }
                Step::List(list) => {
                    objects = list.iter().map(|(number, pods)| (*number, any_slice(*number, pods))).collect();
                    roster.handle_list(&Scope::All, objects.values().cloned().collect::<Vec<_>>());
                    None
                }
            };
            let mut anew = self::roster(json!({}));
            anew.handle_list(&Scope::All, objects.values().cloned().collect::<Vec<_>>());
            let nodes = |view: &View| -> BTreeMap<String, Node> {
                view.nodes.iter().map(|node| node.to_node().unwrap()).map(|node| (node.name().to_string(), node)).collect()
            };
            let expected = nodes(&anew.view(true));
            if let Some(changes) = changes {
                for node in changes.upserts.iter().map(|node| node.to_node().unwrap()) {
                    let before = told.insert(node.name().to_string(), node.clone());
                    prop_assert!(before.as_ref() != Some(&node), "told again: {node:?}");
                }
                for node in changes.removals.iter().map(|node| node.to_node().unwrap()) {
                    prop_assert!(told.remove(node.name().as_str()).is_some(), "{} was not there", node.name());
                }
            } else {
                told = nodes(&roster.view(true));
            }
            prop_assert_eq!(&told, &expected);
            prop_assert_eq!(&nodes(&roster.view(true)), &expected);
        }
    }
}
