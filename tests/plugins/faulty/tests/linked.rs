//! The misbehaving strategies do what they are documented to do, linked statically beside another plugin.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test"
)]

use cluster_sdk::{
    Context, OfferKind, Report, Result, StopReason, Strategy,
    abi::host::{LoadedPlugin, PluginError},
    testing::{Setting, TestHost},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// A plugin of the program itself.
struct Builtin;

#[derive(Deserialize, JsonSchema)]
struct Config {}

impl Strategy for Builtin {
    const NAME: &'static str = "fixed";
    type Config = Config;

    async fn run(_: Config, _: Context) -> Result<()> {
        Ok(())
    }
}

cluster_sdk::plugin!(strategies: [Builtin]);

fn start(name: &str, config: Value) -> TestHost {
    Setting::default().offer(plugin_faulty::plugin(), OfferKind::Strategy, name, config).unwrap()
}

/// The number of nodes of the next report, which must be a list.
fn nodes(host: &TestHost) -> usize {
    match host.next_report().unwrap() {
        Report::Reset(view) => view.nodes.len(),
        Report::Apply(_) => panic!("not a list"),
    }
}

/// Two plugins in one program, with a strategy of the same name, do not get in each other's way.
#[test]
fn two_plugins() {
    let [ours, theirs] =
        [plugin(), plugin_faulty::plugin()].map(|entry| LoadedPlugin::from_entry(entry).unwrap());
    assert_eq!(ours.describe().unwrap().len(), 1);
    let offers = theirs.describe().unwrap();
    let described: Vec<_> = offers.iter().map(|offer| (offer.kind, offer.name.as_str())).collect();
    assert_eq!(described, plugin_faulty::plugin().handshake().offers().collect::<Vec<_>>());
    let host = Setting::default().offer(plugin(), OfferKind::Strategy, "fixed", json!({})).unwrap();
    assert_eq!(host.exit().unwrap().to_string(), "finished");
}

/// Each strategy reports and ends as documented.
#[test]
fn behaviours() {
    let fuse = json!({ "nodes": ["a@h", "b@h"], "after_ms": 1 });
    for (name, reports, exit) in [
        ("panics", vec![2], "panicked: boom after 1 ms, at tests/plugins/faulty/src/failing.rs:"),
        ("fails", vec![2], "failed: the source is gone"),
        ("lies_empty", vec![2, 0], "stopped"),
    ] {
        let host = start(name, fuse.clone());
        for expected in reports {
            assert_eq!(nodes(&host), expected, "{name}");
        }
        if exit == "stopped" {
            host.stop().unwrap();
        }
        let ended = host.exit().unwrap().to_string();
        assert!(ended.starts_with(exit), "{name} {ended}");
    }
    let list = json!({ "nodes": ["a@h"], "ttl": 1_000, "partial": true });
    for (name, exit) in [("fixed", "stopped"), ("static_list", "stopped"), ("finishes", "finished")] {
        let host = start(name, list.clone());
        assert_eq!(nodes(&host), 1);
        if exit == "stopped" {
            host.stop().unwrap();
        }
        assert_eq!(host.exit().unwrap().to_string(), exit, "{name}");
    }
    let host = start("noisy", json!({ "times": 3 }));
    let status = host.wait_for_status(|status| status.reason.is_some()).unwrap();
    assert_eq!((status.counters["noises"], host.logs().len()), (15, 15));
    assert_eq!(start("slow", json!({})).stop().unwrap().to_string(), "stopped");
    let host = start("too_many", json!({ "count": 1_000 }));
    assert_eq!([nodes(&host), nodes(&host)], [1, 1_000]);
}

/// A configuration that is wrong is told with its place.
#[test]
fn validated() {
    let config = json!({ "nodes": ["a@h", "b"], "ttl": 1 });
    let error =
        Setting::default().offer(plugin_faulty::plugin(), OfferKind::Strategy, "fixed", config).unwrap_err();
    let PluginError::Config(errors) = error else { panic!("{error}") };
    assert_eq!(errors[0].to_string(), r#"nodes[1]: node name "b" is not of the form name@host"#);
}

/// A thread that is stuck cannot be stopped, but whoever waits for it is not held up for ever.
#[test]
fn stuck() {
    let host = start("stuck", json!({}));
    host.wait_for_log("stuck from now on").unwrap();
    host.request_stop(StopReason::Leave, std::time::Duration::ZERO);
    assert_eq!(host.has_exited(), None);
}
