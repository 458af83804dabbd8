//! What is read of the recordings of a real API server.

use std::fmt::Write as _;

use serde_json::Value;

use super::*;
use crate::endpoint::Condition;

/// The items of a recorded list.
fn items<O: Object>(file: &str) -> Vec<O> {
    let path = format!("{}/../tests/fixtures/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let list: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(list["items"].clone()).unwrap()
}

fn table<O: Object>(objects: &[O], prefer: Family) -> String {
    let mut lines = String::new();
    for object in objects {
        writeln!(lines, "{} {:?}", object.key().name, object.service()).unwrap();
        for Endpoint { address, condition, hostname, pod, zone, .. } in object.clone().into_endpoints(prefer)
        {
            let Condition { ready, serving, terminating } = condition;
            let flags: String = [(ready, 'r'), (serving, 's'), (terminating, 't')]
                .map(|(is, flag)| if is { flag } else { '-' })
                .iter()
                .collect();
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let pod = or_none(pod.map(|pod| pod.name));
            let (host, zone) = (or_none(hostname), or_none(zone));
            writeln!(lines, "  {flags} {address} pod={pod} host={host} zone={zone}").unwrap();
        }
    }
    lines
}

/// The slices of a Service, of a headless one in two families that publishes all, and of one without pods.
#[test]
fn slices() {
    expect_test::expect![[r#"
        myapp-8trfj Some(("myapp", Ipv4))
          rs- 10.244.1.10 pod=myapp-0 host=- zone=zone-1
          --t 10.244.2.14 pod=myapp-4 host=- zone=zone-2
          --- 10.244.1.12 pod=myapp-2 host=- zone=zone-1
          -st 10.244.1.13 pod=myapp-3 host=- zone=zone-1
          --- 10.244.2.19 pod=myapp-9 host=- zone=zone-2
          rs- 192.0.2.11 pod=myapp-8 host=- zone=zone-2
          rs- 10.244.2.11 pod=myapp-1 host=- zone=zone-2
        myapp-external-8t6df Some(("myapp-external", Ipv4))
          rs- 198.51.100.7 pod=- host=- zone=-
          rs- 198.51.100.8 pod=- host=ext-8 zone=-
          --- 198.51.100.9 pod=- host=- zone=-
        myapp-headless-788cz Some(("myapp-headless", Ipv6))
          rs- fd00:10:244:1::a pod=myapp-0 host=myapp-0 zone=zone-1
          r-- fd00:10:244:1::c pod=myapp-2 host=myapp-2 zone=zone-1
          rst fd00:10:244:1::d pod=myapp-3 host=myapp-3 zone=zone-1
          r-t fd00:10:244:2::e pod=myapp-4 host=- zone=zone-2
          r-- fd00:10:244:2::13 pod=myapp-9 host=- zone=zone-2
          rs- fd00:10:244:2::b pod=myapp-1 host=myapp-1 zone=zone-2
        myapp-headless-mlqgg Some(("myapp-headless", Ipv4))
          rs- 10.244.1.10 pod=myapp-0 host=myapp-0 zone=zone-1
          r-- 10.244.2.19 pod=myapp-9 host=- zone=zone-2
          rst 10.244.1.13 pod=myapp-3 host=myapp-3 zone=zone-1
          rs- 192.0.2.11 pod=myapp-8 host=- zone=zone-2
          r-t 10.244.2.14 pod=myapp-4 host=- zone=zone-2
          r-- 10.244.1.12 pod=myapp-2 host=myapp-2 zone=zone-1
          rs- 10.244.2.11 pod=myapp-1 host=myapp-1 zone=zone-2
    "#]]
    .assert_eq(&table(&items::<EndpointSlice>("endpointslices-list.json"), Family::Ipv4));
}

/// Endpoints do not tell of pods that terminate, but where the Service publishes all.
#[test]
fn endpoints() {
    expect_test::expect![[r#"
        myapp None
          rs- 10.244.1.10 pod=myapp-0 host=- zone=-
          --- 10.244.1.12 pod=myapp-2 host=- zone=-
          rs- 10.244.2.11 pod=myapp-1 host=- zone=-
          --- 10.244.2.19 pod=myapp-9 host=- zone=-
          rs- 192.0.2.11 pod=myapp-8 host=- zone=-
        myapp-external None
          rs- 198.51.100.7 pod=- host=- zone=-
          rs- 198.51.100.8 pod=- host=ext-8 zone=-
          --- 198.51.100.9 pod=- host=- zone=-
        myapp-headless None
          rs- 10.244.1.10 pod=myapp-0 host=myapp-0 zone=-
          rs- 10.244.1.12 pod=myapp-2 host=myapp-2 zone=-
          rs- 10.244.1.13 pod=myapp-3 host=myapp-3 zone=-
          rs- 10.244.2.11 pod=myapp-1 host=myapp-1 zone=-
          rs- 10.244.2.14 pod=myapp-4 host=- zone=-
          rs- 10.244.2.19 pod=myapp-9 host=- zone=-
          rs- 192.0.2.11 pod=myapp-8 host=- zone=-
    "#]]
    .assert_eq(&table(&items::<Endpoints>("endpoints-list.json"), Family::Ipv4));
}

/// Pods that have ended, or have no address yet, name nobody; of two families one address is taken.
#[test]
fn pods() {
    expect_test::expect![[r#"
        myapp-0 None
          rs- 10.244.1.10 pod=myapp-0 host=myapp-0 zone=zone-1
        myapp-1 None
          rs- 10.244.2.11 pod=myapp-1 host=myapp-1 zone=zone-2
        myapp-2 None
          --- 10.244.1.12 pod=myapp-2 host=myapp-2 zone=zone-1
        myapp-3 None
          rst 10.244.1.13 pod=myapp-3 host=myapp-3 zone=zone-1
        myapp-4 None
          --t 10.244.2.14 pod=myapp-4 host=- zone=zone-2
        myapp-5 None
        myapp-6 None
        myapp-7 None
        myapp-8 None
          rs- 192.0.2.11 pod=myapp-8 host=- zone=zone-2
        myapp-9 None
          --- 10.244.2.19 pod=myapp-9 host=- zone=zone-2
    "#]]
    .assert_eq(&table(&items::<Pod>("pods-list.json"), Family::Ipv4));
    expect_test::expect![[r#"
        myapp-0 None
          rs- fd00:10:244:1::a pod=myapp-0 host=myapp-0 zone=zone-1
        myapp-1 None
          rs- fd00:10:244:2::b pod=myapp-1 host=myapp-1 zone=zone-2
        myapp-2 None
          --- fd00:10:244:1::c pod=myapp-2 host=myapp-2 zone=zone-1
        myapp-3 None
          rst fd00:10:244:1::d pod=myapp-3 host=myapp-3 zone=zone-1
        myapp-4 None
          --t fd00:10:244:2::e pod=myapp-4 host=- zone=zone-2
        myapp-5 None
        myapp-6 None
        myapp-7 None
        myapp-8 None
          rs- 192.0.2.11 pod=myapp-8 host=- zone=zone-2
        myapp-9 None
          --- fd00:10:244:2::13 pod=myapp-9 host=- zone=zone-2
    "#]]
    .assert_eq(&table(&items::<Pod>("pods-list.json"), Family::Ipv6));
}

/// An address that is in several subsets is one, and ready where any says so.
#[test]
fn subsets() {
    let object: Endpoints = serde_json::from_str(
        r#"{"metadata":{"name":"a","namespace":"n","annotations":{"endpoints.kubernetes.io/over-capacity":"truncated","x":"y"}},
            "subsets":[{"notReadyAddresses":[{"ip":"10.0.0.1"}]},{"addresses":[{"ip":"10.0.0.1","hostname":""}]},{}]}"#,
    )
    .unwrap();
    expect_test::expect![[r#"
        a None
          rs- 10.0.0.1 pod=- host=- zone=-
    "#]]
    .assert_eq(&table(std::slice::from_ref(&object), Family::Ipv4));
    assert!(object.is_truncated());
    assert_eq!(object.metadata.object.annotations.unwrap().len(), 1, "the rest is not kept");
}

/// The stubs that bookmarks carry, and objects with nothing in them, are read and name nobody.
#[test]
fn stubs() {
    for text in ["{}", r#"{"metadata":{},"endpoints":null,"addressType":"","ports":null}"#] {
        let object: EndpointSlice = serde_json::from_str(text).unwrap();
        assert!(object.clone().into_endpoints(Family::Ipv4).is_empty() && object.service().is_none());
    }
    let pod: Pod = serde_json::from_str(r#"{"metadata":{},"spec":{"containers":null},"status":{}}"#).unwrap();
    assert!(pod.into_endpoints(Family::Ipv4).is_empty());
    let named: Endpoints = serde_json::from_str(r#"{"metadata":{"name":"nosub"},"subsets":null}"#).unwrap();
    assert!(named.into_endpoints(Family::Ipv4).is_empty());
}
