use cluster_sdk::{Completeness, serde_json::json};
use proptest::prelude::*;

use super::*;
use crate::testing::with;

fn mapping(options: Value) -> Mapping {
    let config = with(json!({ "path": "/nodes" }), options);
    cluster_sdk::config::parse::<crate::FileConfig>(config).unwrap().mapping()
}

/// Each node as `name address… key=value…`, and what could not be read.
fn shown(text: &str, options: Value) -> Result<(Vec<String>, Option<String>), String> {
    let found = read(text.as_bytes(), &mapping(options)).map_err(|err| err.to_string())?;
    let node = |node: &Node| {
        let mut words = vec![node.name().to_string()];
        words.extend(node.addresses().map(str::to_owned));
        words.extend(node.attributes().map(|(key, value)| format!("{key}={value}")));
        words.join(" ")
    };
    Ok((found.nodes.iter().map(node).collect(), found.trouble()))
}

#[track_caller]
fn check(text: &str, options: Value, nodes: &[&str]) {
    assert_eq!(shown(text, options), Ok((nodes.iter().map(ToString::to_string).collect(), None)));
}

#[track_caller]
fn check_error(text: &str, options: Value, begin: &str) {
    let err = shown(text, options).unwrap_err();
    assert!(err.starts_with(begin), "{err}");
}

/// A name a line, with comments, in the forms that editors leave behind.
#[test]
fn lines() {
    check("a@h\nb@h\n", json!({}), &["a@h", "b@h"]);
    check(
        "\u{feff}# rack 1\r\n\r\n  a@h  # first\r\nb#1@h\r\n\t# rack 2\r\nc@h",
        json!({}),
        &["a@h", "b#1@h", "c@h"],
    );
    check(
        "10.0.0.7\n10.0.0.8 # two\n",
        json!({ "name_template": "app@{value}" }),
        &["app@10.0.0.7", "app@10.0.0.8"],
    );
    check("", json!({}), &[]);
    check("# nobody\n", json!({}), &[]);
}

/// A line that is no name is told by its number, and nothing else is read.
#[test]
fn wrong_lines() {
    check_error("a@h\n\nb h\nc", json!({}), "line 3: node name \"b h\" has white space");
    check_error("a@h\nconnection refused", json!({}), "line 2: ");
    check_error("a", json!({}), "line 1: node name \"a\" is not of the form name@host");
    check_error(
        "a@h",
        json!({ "name_template": "app@{ip}" }),
        "line 1: it has no `ip`, which its name \"app@{ip}\" needs",
    );
    check_error("a@h\n<html>", json!({}), "line 2: node name \"<html>\" is not");
    let err = read(b"a@h\nb\xff@h", &Mapping::default()).unwrap_err();
    assert_eq!(err.to_string(), "line 2 is not UTF-8: is it a binary file?");
}

/// The forms that need no options.
#[test]
fn own_json() {
    check(r#"["a@h", "b@h"]"#, json!({}), &["a@h", "b@h"]);
    check(
        r#" [{ "name": "a@h", "addresses": ["h:1", "h:2"], "attributes": { "zone": "z", "rack": 5, "up": true, "none": null } },
             { "name": "b@h", "address": "h:3" }, "c@h"]"#,
        json!({}),
        &["a@h h:1 h:2 rack=5 up=true zone=z", "b@h h:3", "c@h"],
    );
    check(r#"{ "nodes": ["a@h"] }"#, json!({}), &["a@h"]);
    check(r#"{ "nodes": [] }"#, json!({}), &[]);
    let partial = read(br#"{ "nodes": ["a@h"], "partial": true }"#, &Mapping::default()).unwrap();
    assert_eq!(partial.view().completeness, Completeness::Partial);
    let whole = read(br#"{ "nodes": ["a@h"], "partial": false }"#, &Mapping::default()).unwrap();
    assert_eq!(whole.view().completeness, Completeness::Complete);
}

/// What others print, by options: Consul's catalog.
#[test]
fn others_json() {
    let catalog = r#"[
        { "Node": "n1", "Address": "10.0.0.7", "ServiceAddress": "", "ServicePort": 4369, "ServiceTags": ["a", "b"],
          "ServiceMeta": { "zone": "z1" }, "TaggedAddresses": { "lan": "10.0.0.7" } },
        { "Node": "n2", "Address": "fd00::8", "ServiceAddress": "fd00::9", "ServicePort": 4370, "ServiceTags": [],
          "ServiceMeta": {}, "TaggedAddresses": null }
    ]"#;
    check(
        catalog,
        json!({
            "name_template": "app@{Address}",
            "addresses": ["ServiceAddress", "TaggedAddresses.lan"],
            "port": "ServicePort",
            "attributes": { "zone": "ServiceMeta.zone", "tags": "/ServiceTags", "node": "Node" },
        }),
        &["app@10.0.0.7 10.0.0.7:4369 node=n1 tags=a,b zone=z1", "app@fd00::8 [fd00::9]:4370 node=n2 tags="],
    );
    check(
        r#"{ "a": { "b": [{ "c": { "d": "x@h" } }] } }"#,
        json!({ "pointer": "/a/b", "name_template": "{/c/d}" }),
        &["x@h"],
    );
    check(r#"["10.0.0.7"]"#, json!({ "name_template": "app@{value}", "port": 9000 }), &["app@10.0.0.7"]);
    check(r#"[{ "name": "a@h", "address": "h" }]"#, json!({ "port": 9000 }), &["a@h h:9000"]);
}

/// An item that is no node is told, and the others count; nobody is gone by it.
#[test]
fn wrong_items() {
    for (item, options, reason) in [
        ("5", json!({}), "it is a number: nodes are texts or objects"),
        ("\"b\"", json!({}), "node name \"b\" is not of the form name@host"),
        (
            "{}",
            json!({}),
            "it has no \"name\": say how nodes are named with name_template, as \"app@{address}\"",
        ),
        (
            r#"{ "nmae": "b@h" }"#,
            json!({}),
            "it has \"nmae\", which means nothing: put it into \"attributes\"",
        ),
        (
            r#"{ "name": "b@h", "addresses": [5] }"#,
            json!({}),
            "addresses is a number, but should be an address",
        ),
        (
            r#"{ "name": "b@h", "attributes": [] }"#,
            json!({}),
            "attributes is a list, but should be an object",
        ),
        (
            r#"{ "name": "b@h", "attributes": { "a": {} } }"#,
            json!({}),
            "a is an object, but should be a text",
        ),
        (
            r#"{ "name": "b@h", "port": 70000 }"#,
            json!({ "port": "port" }),
            "port is a number, but should be a port",
        ),
        (r#"{ "ip": "" }"#, json!({ "name_template": "app@{ip}" }), "it has no `ip`"),
    ] {
        let item = format!(r#"[{item}, {{ "name": "a@h", "ip": "h" }}]"#);
        let item =
            if options.get("name_template").is_some() { item } else { item.replace(r#", "ip": "h""#, "") };
        let (nodes, trouble) = shown(&item, options).unwrap();
        let trouble = trouble.unwrap();
        assert!(nodes.len() == 1 && trouble.starts_with(&format!("item 1: {reason}")), "{nodes:?} {trouble}");
        let found = read(br#"["a@h", 5]"#, &Mapping::default()).unwrap();
        assert_eq!(found.view().completeness, Completeness::Partial);
    }
    let (_, trouble) = shown("[1, 2, 3, 4, 5]", json!({})).unwrap();
    assert!(trouble.unwrap().ends_with("; item 3: it is a number: nodes are texts or objects; and 2 more"));
    let large = json!([{ "name": "a@h", "attributes": { "a": "x".repeat(20_000) } }]).to_string();
    let (nodes, trouble) = shown(&large, json!({})).unwrap();
    assert!(nodes.is_empty() && trouble.unwrap().contains("at most 16384"));
}

/// JSON that is broken says where; a list that is elsewhere says what is there.
#[test]
fn wrong_json() {
    check_error("[\n\"a@h\",\n", json!({}), "it is no JSON: EOF while parsing a value at line 3");
    check_error(r#"["a@h"] ["b@h"]"#, json!({}), "it is no JSON: trailing characters at line 1");
    check_error("{}", json!({}), "it has no list at \"/nodes\", but nothing: set pointer");
    check_error(r#"{ "nodes": {} }"#, json!({}), "it has no list at \"/nodes\", but an object: set pointer");
    check_error("[]", json!({ "pointer": "/a" }), "it has no list at \"/a\", but nothing");
    check_error(&"[".repeat(100_000), json!({}), "it is no JSON: recursion limit exceeded");
}

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z@/.~]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let keys = prop_oneof![
            Just("name"),
            Just("address"),
            Just("attributes"),
            Just("nodes"),
            Just("a"),
            Just("/")
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn any_mapping() -> impl Strategy<Value = Mapping> {
    let field = prop_oneof![Just("a"), Just("a.name"), Just("/a/0"), Just("/"), Just("address")];
    let template = prop_oneof![Just("app@{a.name}"), Just("{value}"), Just("{/a/0}")];
    let option = (prop::option::of(template), prop::option::of(field), any::<bool>());
    option.prop_map(|(template, field, is_port)| Mapping {
        name: template.map(|template| template.parse().unwrap()),
        addresses: field.map(|field| vec![field.parse().unwrap()]),
        port: field.filter(|_| is_port).map(|field| Port::Field(field.parse().unwrap())),
        attributes: field.map(|field| [("x".to_owned(), field.parse().unwrap())].into()),
        pointer: None,
    })
}

proptest! {
    /// No bytes make it panic.
    #[test]
    fn any_bytes(bytes: Vec<u8>, mapping in any_mapping()) {
        drop(read(&bytes, &mapping));
    }

    /// Nor does any text, with many beginnings that are right.
    #[test]
    fn any_text(text in r#"[\[\]{}"a@h,: \n#\\e]{0,60}"#, mapping in any_mapping()) {
        drop(read(text.as_bytes(), &mapping));
    }

    /// Of each item there is either a node or a reason, and the view is complete only without reasons.
    #[test]
    fn all_accounted(items in prop::collection::vec(any_json(), 0..8), mapping in any_mapping()) {
        let found = read(Value::from(items.clone()).to_string().as_bytes(), &mapping).unwrap();
        prop_assert_eq!(found.nodes.len() + found.fault_count, items.len());
        prop_assert_eq!(found.trouble().is_some(), found.fault_count > 0);
        let is_whole = found.fault_count == 0;
        prop_assert_eq!(found.view().completeness == Completeness::Complete, is_whole);
    }

    /// Names that are written are read, as lines and as JSON.
    #[test]
    fn round_trip(names in prop::collection::vec("[a-z]{1,8}@[a-z0-9.]{1,12}", 0..20)) {
        for text in [names.join("\n"), Value::from(names.clone()).to_string()] {
            let found = read(text.as_bytes(), &Mapping::default()).unwrap();
            let read: Vec<_> = found.nodes.iter().map(|node| node.name().to_string()).collect();
            prop_assert_eq!(&read, &names);
        }
    }
}
