use cluster_sdk::config::parse;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

/// Everything wrong with a config, in the words that its author sees.
#[track_caller]
fn check(config: Value, expected: &Expect) {
    let errors = match parse::<Config>(config) {
        Ok(config) => config.errors(&LocalNode::default()),
        Err(errors) => errors,
    };
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    expected.assert_eq(&lines.join("\n"));
}

/// The defaults are the documented ones, and a libcluster config carries over.
#[test]
fn defaults_and_libcluster_options() {
    let config = parse::<Config>(json!({})).unwrap();
    assert_eq!((config.port.get(), config.multicast_ttl, config.broadcast_only), (45_892, 1, false));
    assert_eq!(config.multicast_addr, Ipv4Addr::new(230, 1, 1, 251));
    assert_eq!(config.heartbeat_timeout.get(), Duration::from_secs(30));
    assert!(config.errors(&LocalNode::default()).is_empty());
    let config = parse::<Config>(json!({
        "port": 45892, "if_addr": "0.0.0.0", "multicast_if": "192.168.1.1", "multicast_addr": "233.252.1.32",
        "multicast_ttl": 1, "broadcast_only": false, "secret": "somepassword",
    }))
    .unwrap();
    assert!(config.errors(&LocalNode::default()).is_empty());
    assert!(!format!("{config:?}").contains("somepassword"));
}

/// `strategies describe` shows each option with its meaning and its default.
#[test]
fn options_are_described() {
    let schema = cluster_sdk::schemars::schema_for!(Config);
    let options = schema.get("properties").and_then(Value::as_object).unwrap();
    assert_eq!(options.len(), 11);
    for (name, option) in options {
        let description = option.get("description").and_then(Value::as_str).unwrap_or_default();
        assert!(description.contains("Default"), "{name}: {description:?}");
    }
}

/// Each wrong value is named with what would be right.
#[test]
fn wrong_values() {
    check(
        json!({ "multicast_addr": "10.0.0.255", "heartbeat_interval": "20s", "heartbeat_timeout": 30000 }),
        &expect![[r#"
            multicast_addr: 10.0.0.255 is no multicast group (224.0.0.0 to 239.255.255.255): for a broadcast address set broadcast_only = true, single addresses go into unicast
            heartbeat_timeout: 30s is less than twice the heartbeat_interval of 20s: one lost heartbeat would end a node"#]],
    );
    check(
        json!({ "broadcast_only": true, "heartbeat_interval": 5, "unicast": vec!["10.0.0.5"; 65] }),
        &expect![[r#"
            multicast_addr: 230.1.1.251 is a multicast group: with broadcast_only set the broadcast address, such as 255.255.255.255
            unicast: 65 entries: at most 64, one name may resolve to many addresses
            heartbeat_interval: 5ms is too short: at least 10ms"#]],
    );
    check(
        json!({ "port": 0, "multicast_adr": "230.1.1.251", "allow": ["10.0.0.0/40"], "unicast": ["::1", "a:b", "a b"] }),
        &expect![[r#"
            allow[0]: "10.0.0.0/40" is not a network: write 10.0.0.0/8, fd00::/8 or a single address
            multicast_adr: unknown key; did you mean `multicast_addr`? possible: `allow`, `broadcast_only`, `heartbeat_interval`, `heartbeat_timeout`, `if_addr`, `multicast_addr`, `multicast_if`, `multicast_ttl`, `port`, `secret`, `unicast`
            port: expected a whole number from 1 to 65535, found 0
            unicast[0]: "::1" is an IPv6 address, and heartbeats go over IPv4: write 10.0.0.5, 10.0.0.5:45892, seed.example or seed.example:45892
            unicast[1]: "a:b" has no valid port: write 10.0.0.5, 10.0.0.5:45892, seed.example or seed.example:45892
            unicast[2]: "a b" is no address and no DNS name: write 10.0.0.5, 10.0.0.5:45892, seed.example or seed.example:45892"#]],
    );
}

/// What does not fit in a datagram is told before anything is started.
#[test]
fn too_many_attributes() {
    let config = Config::default();
    let local = LocalNode {
        name: Some("a@b".parse().unwrap()),
        attributes: [("notes".to_owned(), "x".repeat(2_000))].into(),
        ..LocalNode::default()
    };
    let errors = config.errors(&local);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].message.contains("`notes` alone 2005"), "{errors:?}");
}

/// Targets with and without a port; what is no target.
#[test]
fn targets() {
    let target =
        |text: &str| text.parse::<Target>().map(|target| (target.host, target.port.map(NonZeroU16::get)));
    assert_eq!(target("10.0.0.5"), Ok(("10.0.0.5".to_owned(), None)));
    assert_eq!(target("seed.example:4711"), Ok(("seed.example".to_owned(), Some(4_711))));
    for bad in ["", ":1", "a:0", "a:65536", "a:b:1", "fd00::1", "[fd00::1]:1", "a/b", "http://a"] {
        assert!(target(bad).is_err(), "{bad}");
    }
}
