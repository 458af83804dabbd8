use std::time::Duration;

use cluster_sdk::{
    serde_json::json,
    testing::{Setting, TestHost},
};

use super::*;

/// An address is a node of that name, and the view is complete.
#[test]
fn finds_a_node() {
    let config = json!({ "host": "127.0.0.1" });
    let host = TestHost::discover::<NewcomerStrategy>(config).unwrap();
    let view = host.next_view().unwrap();
    assert_eq!(view.names(), ["app@127.0.0.1"]);
    assert_eq!(
        view,
        View::complete([Node::try_new("app@127.0.0.1").unwrap().address("127.0.0.1")])
    );
}

/// Names are made as the config says.
#[test]
fn names_as_configured() {
    let config = json!({ "host": "127.0.0.1", "name": "web@{ip}.internal" });
    let host = TestHost::discover::<NewcomerStrategy>(config).unwrap();
    assert_eq!(
        host.next_view().unwrap().names(),
        ["web@127.0.0.1.internal"]
    );
}

/// A mistake in the config is told before anything runs, with its key.
#[test]
fn wrong_config() {
    let config = json!({ "hots": "a", "name": "app@{address}" });
    let wrong = TestHost::discover::<NewcomerStrategy>(config).unwrap_err();
    let text = wrong.to_string();
    for part in ["did you mean `host`?", "unknown placeholder `{address}`"] {
        assert!(text.contains(part), "{text}");
    }
}

/// By a clock that the test turns: the look-ups are as far apart as the config says, give or take a tenth.
#[test]
fn interval() {
    let (setting, config) = (
        Setting::with_fake_clock(),
        json!({ "host": "127.0.0.1", "interval": "1h" }),
    );
    let host = setting.discover::<NewcomerStrategy>(config).unwrap();
    host.next_view().unwrap();
    host.run_for(Duration::from_mins(50)).unwrap();
    assert_eq!(host.reports(), []);
    host.run_for(Duration::from_mins(20)).unwrap();
    assert_eq!(host.reports().len(), 1);
}
