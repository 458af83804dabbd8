use std::{collections::BTreeMap, net::Ipv4Addr, num::NonZeroU32};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{ConfigDuration, Secret};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed")]
struct Config {
    /// UDP port to listen at
    ///
    /// With more to be read.
    port: u16,
    #[serde(default)]
    hosts: Vec<String>,
    tls: Option<Tls>,
    #[serde(default)]
    calls: Vec<Call>,
    source: Option<Source>,
    address: Option<Ipv4Addr>,
    interval: Option<ConfigDuration>,
    secret: Option<Secret>,
    #[serde(default)]
    verbose: bool,
    most: Option<NonZeroU32>,
    #[serde(default)]
    #[serde(alias = "weight")]
    weights: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only parsed")]
struct Tls {
    /// file with the authority
    ca: String,
    cert: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only parsed")]
enum Call {
    Ping,
    Exec { command: Vec<String> },
    Http(Http),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only parsed")]
struct Http {
    url: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only parsed")]
enum Source {
    Name(String),
    File { file: String },
}

/// Each must be the name of a node, which the schema does not tell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
struct Strict;

impl TryFrom<String> for Strict {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.len() == 17 { Ok(Self) } else { Err(format!("{text:?} is not of 17 bytes")) }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed")]
struct Opaque {
    id: Strict,
    count: u8,
    inner: Inner,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed")]
struct Inner {
    id: Strict,
    pair: [u8; 2],
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only parsed")]
struct Rest {
    seven: u8,
}

#[track_caller]
fn check<T: DeserializeOwned + JsonSchema>(value: Value, expected: &Expect) {
    let lines = match parse::<T>(value) {
        Ok(_) => "ok\n".to_owned(),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    };
    expected.assert_eq(&lines);
}

/// A config in order is no error, aliases and absent options included.
#[test]
fn good() {
    let value = json!({
        "port": 1, "calls": ["ping", { "exec": { "command": [] } }, { "http": { "url": "u" } }], "interval": "5s",
        "source": { "file": "x" }, "secret": { "env": "X" }, "weight": { "a": 1 }, "tls": null,
    });
    check::<Config>(
        value,
        &expect![[r#"
        ok
    "#]],
    );
    check::<Config>(
        json!({ "port": 1 }),
        &expect![[r#"
        ok
    "#]],
    );
}

/// Everything wrong is told at once, with the nearest key, the possible ones and what a missing one is for.
#[test]
fn all_at_once() {
    let value = json!({
        "prot": 45892, "hosts": ["a", 5, true, "b", ["c"]], "tls": { "sa": "x", "cert": 1 },
        "calls": ["pong", { "exec": {} }, "ping", { "http": { "url": 1, "uri": "x" } }, { "exec": { "comand": [] } }],
        "source": 5, "address": "10.0.0.300", "interval": "soon", "secret": 4711, "verbose": "true", "most": 0,
        "weights": { "a": "1.5", "b c": "x" },
    });
    check::<Config>(
        value,
        &expect![[r#"
            address: invalid IPv4 address syntax
            calls[0]: `pong` is not possible here; did you mean `ping`? possible: `ping`, `exec`, `http`
            calls[1].exec.command: missing: this key is required
            calls[3].http.uri: unknown key; did you mean `url`? possible: `url`
            calls[3].http.url: expected a string, found 1
            calls[4].exec.comand: unknown key; did you mean `command`? possible: `command`
            hosts[1]: expected a string, found 5
            hosts[2]: expected a string, found true
            hosts[4]: expected a string, found a list
            interval: "soon" is not a duration: write "500ms", "30s", "5m", "1h" or a number of milliseconds
            most: expected a whole number from 1 to 4294967295, found 0
            prot: unknown key; did you mean `port`? possible: `address`, `calls`, `hosts`, `interval`, `most`, `port`, `secret`, `source`, `tls`, `verbose`, `weights`
            secret: expected a secret: a text in quotes, { file = "PATH" } or { env = "NAME" }
            source: expected a string or a table with `file`
            tls.cert: expected a string, found 1
            tls.sa: unknown key; possible: `ca`, `cert`
            tls.ca: missing: this key is required (file with the authority)
            verbose: expected true or false, found string "true": write it without quotes
            weights.a: expected a number, found string "1.5": write it without quotes
            weights."b c": expected a number, found string "x"
        "#]],
    );
}

/// Kinds of wrong values, in words.
#[test]
fn wrong_values() {
    let wrong = [
        json!({ "port": -1 }),
        json!({ "port": "45892" }),
        json!({ "port": 70_000 }),
        json!({ "port": 1.5 }),
        json!({ "port": [] }),
        json!({ "port": {} }),
        json!({ "port": null }),
        json!({ "port": "x".repeat(200) }),
        json!({ "port": 1, "tls": "x" }),
        json!({ "port": 1, "calls": [5] }),
        json!({ "port": 1, "calls": { "exec": 1 } }),
        json!({ "port": 1, "source": { "fiel": "x" } }),
        json!([]),
        json!("text"),
    ];
    let lines = |value| {
        parse::<Config>(value).unwrap_err().iter().map(|error| format!("{error}\n")).collect::<String>()
    };
    expect![[r#"
        port: expected a whole number from 0 to 65535, found -1
        port: expected a whole number from 0 to 65535, found string "45892": write it without quotes
        port: expected a whole number from 0 to 65535, found 70000
        port: expected a whole number from 0 to 65535, found 1.5
        port: expected a whole number from 0 to 65535, found a list
        port: expected a whole number from 0 to 65535, found a table
        port: expected a whole number from 0 to 65535, found nothing
        port: expected a whole number from 0 to 65535, found string "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        tls: expected a table, found string "x"
        calls[0]: expected a string or a table, found 5
        calls: expected a list, found a table
        source: expected a string or a table with `file`
        expected a table, found a list
        expected a table, found string "text"
    "#]].assert_eq(&wrong.map(lines).concat());
}

/// Where no stand-in is found for what was wrong, what has been found so far is told, and nothing made up.
#[test]
fn opaque_types() {
    for (value, expected) in [
        (
            json!({}),
            expect![[r#"
            id: missing: this key is required
        "#]],
        ),
        (
            json!({ "id": "short", "count": "x", "inner": {} }),
            expect![[r#"
            count: expected a whole number from 0 to 255, found string "x"
            id: "short" is not of 17 bytes
            inner.id: missing: this key is required
        "#]],
        ),
        (
            json!({ "id": "12345678901234567", "count": 1, "inner": { "id": "12345678901234567", "pair": [1, 300], "sevn": 7 } }),
            expect![[r#"
                inner.pair[1]: expected a whole number from 0 to 255, found 300
                inner.sevn: unknown key; did you mean `seven`? possible: `id`, `pair`, `seven`
            "#]],
        ),
        (
            json!({ "id": "12345678901234567", "count": 1, "inner": { "id": "12345678901234567", "pair": [1], "seven": 7, "eight": 8 } }),
            expect![[r#"
                inner.pair: invalid length 1, expected an array of length 2
            "#]],
        ),
    ] {
        check::<Opaque>(value, &expected);
    }
}

/// However much is wrong, the list ends.
#[test]
fn bounded() {
    let hosts: Vec<Value> = (0..1_000).map(Value::from).collect();
    let errors = parse::<Config>(json!({ "hosts": hosts })).unwrap_err();
    assert_eq!(errors.len(), ERRORS_MAX);
    assert_eq!(errors.last().map(|error| error.path.as_str()), Some("hosts[31]"));
}

/// Paths are as TOML would write them, and can be put under another.
#[test]
fn paths() {
    assert_eq!(key_path("", "a-b"), "a-b");
    assert_eq!(key_path("a", "b.c"), "a.\"b.c\"");
    let within = |path| ConfigError::new(path, "wrong").within("topologies.x").path;
    assert_eq!(["", "[1]", "hosts"].map(within), ["topologies.x", "topologies.x[1]", "topologies.x.hosts"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z` \"é,]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "[a-z`.é]{0,4}",
        "(port|prot|hosts|tls|ca|calls|exec|command|http|source|file|id|count|inner|pair)"
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No config makes it panic, and a refused one always has a reason.
    #[test]
    fn junk(value in any_json()) {
        if let Err(errors) = parse::<Config>(value.clone()) {
            prop_assert!(!errors.is_empty() && errors.len() <= ERRORS_MAX);
        }
        if let Err(errors) = parse::<Opaque>(value) {
            prop_assert!(!errors.is_empty() && errors.len() <= ERRORS_MAX);
        }
    }
}
