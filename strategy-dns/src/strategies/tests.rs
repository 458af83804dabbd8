use cluster_sdk::{
    ConfigDuration, LocalNode, Strategy, config,
    serde_json::{Value, json},
};

use super::*;
use crate::Family;

/// All that is wrong with a config.
fn errors<S: Strategy>(config: Value) -> Vec<String> {
    let found = match config::parse::<S::Config>(config) {
        Ok(config) => S::validate(&config, &LocalNode::default()),
        Err(errors) => errors,
    };
    found.iter().map(ToString::to_string).collect()
}

fn dns(options: &Value) -> Value {
    let mut config = json!({ "query": "app.example", "node_basename": "app" });
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    config
}

/// The texts that begin like these are all that is told.
#[track_caller]
fn check(options: &Value, expected: &[&str]) {
    let found = errors::<Dns>(dns(options));
    let is_alike = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    assert!(is_alike, "{found:#?}");
}

/// What libcluster has is taken as it is there, with its defaults.
#[test]
fn as_in_libcluster() {
    let config: DnsConfig = config::parse(dns(&json!({ "polling_interval": 3000 }))).unwrap();
    assert_eq!(config.polling_interval, ConfigDuration::from_secs(3));
    let config: DnsConfig = config::parse(dns(&json!({}))).unwrap();
    assert_eq!((config.polling_interval, config.family), (ConfigDuration::from_secs(5), Family::Both));
    let pods = json!({ "service": "app-headless", "application_name": "app", "polling_interval": 10_000 });
    let config: KubernetesDnsConfig = config::parse(pods.clone()).unwrap();
    assert_eq!(config.family, Family::Ipv4);
    assert_eq!(errors::<KubernetesDns>(pods), [""; 0]);
    let set = json!({ "service": "app-headless", "namespace": "prod", "application_name": "app" });
    assert_eq!(errors::<KubernetesDnsSrv>(set), [""; 0]);
}

/// What is missing or misspelt is told, all at once.
#[test]
fn keys() {
    let found = errors::<Dns>(json!({ "quary": "app", "poll_interval": 5000 }));
    assert!(found.iter().any(|error| error.contains("did you mean `query`")), "{found:#?}");
    assert!(found.iter().any(|error| error.contains("did you mean `polling_interval`")), "{found:#?}");
    assert!(found.iter().any(|error| error.contains("node_basename")), "{found:#?}");
    let found = errors::<KubernetesDnsSrv>(json!({ "service": "app" }));
    for key in ["namespace", "application_name"] {
        assert!(found.iter().any(|error| error.contains(key)), "{found:#?}");
    }
}

/// libcluster's function is refused with what to write in its place, whatever it was translated to.
#[test]
fn resolver() {
    for resolver in
        [json!("&:inet_res.lookup(&1, :in, :a)"), json!(["Mod", "fun"]), json!({ "a": 1 }), json!(5)]
    {
        check(
            &json!({ "resolver": resolver }),
            &["resolver: is a function in libcluster, and a config has none: leave it out"],
        );
    }
}

/// Values that make no sense are told with their place and what to write.
#[test]
fn values() {
    check(&json!({}), &[]);
    check(
        &json!({ "nameservers": ["10.0.0.10", "[::1]:5353"], "timeout": "1s", "attempts": 2, "max_ttl": 0 }),
        &[],
    );
    check(&json!({ "query": [] }), &["query: names nothing to look up"]);
    check(&json!({ "query": ["a", "10.0.0.5"] }), &["query[1]: \"10.0.0.5\" is an address"]);
    check(
        &json!({ "node_basename": "app@" }),
        &["node_basename: \"app@\" is not what a node's name can begin with"],
    );
    check(&json!({ "node_basename": "" }), &["node_basename: \"\" is not what a node's name can begin with"]);
    check(&json!({ "family": "inet" }), &["family: "]);
    check(&json!({ "polling_interval": 5 }), &["polling_interval: 5ms is too short: at least 100ms"]);
    check(&json!({ "nameservers": [] }), &["nameservers: names no server"]);
    check(
        &json!({ "nameservers": ["dns.example"] }),
        &["nameservers[0]: \"dns.example\" is no address of a name server"],
    );
    check(
        &json!({ "nameservers": ["10.0.0.10"], "resolv_conf": "/etc/other" }),
        &["resolv_conf: has no effect beside nameservers"],
    );
    check(&json!({ "timeout": 0 }), &["timeout: 0s is not between 10ms and 60s"]);
    check(&json!({ "attempts": 11 }), &["attempts: 11 are too many: at most 10"]);
    check(&json!({ "attempts": 0 }), &["attempts: "]);
}
