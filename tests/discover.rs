//! `cluster-host discover`: one strategy alone, from its file.

use serde_json::{Value, json};

use crate::{
    host::{FAULTY, GOSSIP, Plugins, cluster_host, outcome},
    lan::Lan,
};

/// Exit code, standard output and standard error of `discover`.
fn discover(strategy: &str, config: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let plugins = Plugins::with(&[FAULTY, GOSSIP]);
    let directory = plugins.path().to_str().unwrap();
    let words = ["discover", strategy, "--plugins", directory, "--config", config];
    let (code, out, errors) = outcome(&cluster_host(&[&words, more].concat()));
    (code, out, errors.replace(directory, "DIR"))
}

/// The first view, for people and as JSON, whether it is complete or not; the strategy may go on or be done.
#[test]
fn views() {
    let (code, out, errors) = discover("fixed", "{ nodes = ['b@h', 'a@h'], ttl = 90000 }", &[]);
    let table = "complete view: 2 nodes, for 90s\n\
                 NAME  ADDRESSES  INCARNATION  ATTRIBUTES\n\
                 a@h   -          -            -\n\
                 b@h   -          -            -\n";
    assert_eq!((code, out.as_str(), errors.as_str()), (Some(0), table, ""));
    let (code, out, _) = discover("static_list", r#"{"nodes": ["a@h"], "partial": true}"#, &["--json"]);
    let node =
        json!({ "name": "a@h", "addresses": [], "attributes": {}, "incarnation": null, "leaving": false });
    let view = json!({
        "strategy": "static_list", "completeness": "partial", "ttl_ms": null, "health": "running", "reason": null,
        "nodes": [node],
    });
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (Some(0), view));
    let (code, out, _) = discover("fixed", "{ nodes = [] }", &[]);
    assert_eq!((code, out.as_str()), (Some(0), "complete view: 0 nodes\n"));
    let (code, out, _) = discover("finishes", "{ nodes = ['a@h'] }", &[]);
    assert_eq!((code, out.lines().next()), (Some(0), Some("complete view: 1 node")));
}

/// Without a view there is a reason, and the exit code says so; a strategy that blocks holds up nobody.
#[test]
fn reasons() {
    for (strategy, config, reason) in [
        ("static_list", "{ nodes = [], error = 'no answer' }", "degraded: no answer"),
        ("fails", "{}", "the strategy failed: "),
        ("panics", "{}", "the strategy panicked: "),
        ("slow", "{}", "slow: no view within 300ms"),
        ("stuck", "{}", "stuck: no view within 300ms"),
        ("fixt", "{}", "no plugin offers a strategy \"fixt\"; did you mean \"fixed\"?"),
    ] {
        let (code, out, errors) = discover(strategy, config, &["--timeout", "300ms", "--log-level", "off"]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{strategy}: {errors}");
        assert!(errors.starts_with(&format!("cluster-host: {reason}")), "{strategy}: {errors}");
    }
}

/// A config that is wrong is usage, all mistakes at once, and nothing runs.
#[test]
fn wrong_configs() {
    let (code, out, errors) = discover("fixed", "{ node = ['a@h'], ttl = 'x' }", &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{errors}");
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.contains("cluster-host: config: node: unknown key; did you mean `nodes`?"), "{errors}");
    for (config, reason) in [
        ("{ nodes = ", "cluster-host: --config: line 1: not TOML: "),
        ("@/nowhere", "cluster-host: /nowhere: cannot be opened: "),
    ] {
        let (code, _, errors) = discover("fixed", config, &[]);
        assert!(code == Some(2) && errors.starts_with(reason), "{errors}");
    }
}

/// A strategy that hears of others begins with nobody: it is listened to for as long as was said, and what it heard is
/// shown. It announces nothing: there is no node.
#[test]
fn hearing() {
    let port = crate::host::free_udp_port();
    let config = format!("{{ port = {port}, multicast_if = \"127.0.0.1\" }}");
    let (code, out, errors) = discover("gossip", &config, &["--timeout", "300ms"]);
    assert_eq!((code, out.as_str(), errors.as_str()), (Some(0), "partial view: 0 nodes\n", ""));
}

/// A strategy that hears others hears those of the cluster that is named.
#[test]
fn one_cluster() {
    let lan = Lan::new();
    let host = lan.start("b@127.0.0.1", "heartbeat_interval = \"100ms\"");
    host.wait_up(&["b@127.0.0.1"]);
    let config = format!("{{ port = {}, multicast_if = '127.0.0.1' }}", lan.port);
    let (code, out, errors) = discover("gossip", &config, &["--cluster", "test"]);
    assert!(code == Some(0) && out.contains("b@127.0.0.1"), "{out}{errors}");
    let (code, out, errors) = discover("gossip", &config, &["--timeout", "1s"]);
    assert!(code == Some(0) && out.contains("0 nodes"), "{out}{errors}");
}
