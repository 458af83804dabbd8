use cluster_sdk::{
    Completeness, Report, config,
    serde_json::{Value, json},
    testing::{Setting, TestHost},
    tokio::runtime::Runtime,
};

use super::*;
use crate::epmd::{
    NodeKind,
    testing::{RealEpmd, free_port},
};

/// The names of a list.
#[track_caller]
fn names(report: &Report) -> Vec<String> {
    let Report::Reset(view) = report else { panic!("no list: {report:?}") };
    assert_eq!(view.completeness, Completeness::Complete);
    view.nodes.iter().map(|node| node.to_name().unwrap().to_string()).collect()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Nodes that come and go are seen, hidden ones and shells are not; while epmd is down nothing is reported and the
/// reason names it; after its restart all goes on.
#[test]
fn follows_epmd() {
    let runtime = runtime();
    let mut epmd = runtime.block_on(RealEpmd::start());
    let a = runtime.block_on(epmd.register("a", NodeKind::Visible)).unwrap();
    let _hidden = runtime.block_on(epmd.register("host", NodeKind::Hidden)).unwrap();
    let _shell = runtime.block_on(epmd.register("rem-1a2b-a", NodeKind::Visible)).unwrap();
    let config = json!({ "polling_interval": 100, "epmd_port": epmd.port });
    let host = TestHost::discover::<LocalEpmd>(config).unwrap();
    assert_eq!(names(&host.next_report().unwrap()), ["a@127.0.0.1"]);

    let _b = runtime.block_on(epmd.register("b", NodeKind::Visible)).unwrap();
    host.wait_for_report(|report| names(report) == ["a@127.0.0.1", "b@127.0.0.1"]).unwrap();
    drop(a);
    host.wait_for_report(|report| names(report) == ["b@127.0.0.1"]).unwrap();

    epmd.kill();
    let reason = format!("no epmd answers on 127.0.0.1:{} (connection refused)", epmd.port);
    host.wait_for_status(|status| status.reason.as_deref() == Some(&*reason)).unwrap();
    assert!(host.reports().iter().all(|report| names(report) == ["b@127.0.0.1"]));
    let epmd = runtime.block_on(RealEpmd::start_at(epmd.port));
    let _b = runtime.block_on(epmd.register("b", NodeKind::Visible)).unwrap();
    host.wait_for_status(|status| status.reason.is_none()).unwrap();
    host.wait_for_report(|report| names(report) == ["b@127.0.0.1"]).unwrap();
}

/// The host of the names is the config's where it says one.
#[test]
fn host_of_the_config() {
    let runtime = runtime();
    let epmd = runtime.block_on(RealEpmd::start());
    let _a = runtime.block_on(epmd.register("a", NodeKind::Visible)).unwrap();
    let setting = Setting { local: LocalNode::default(), ..Setting::default() };
    let host = setting.discover::<LocalEpmd>(json!({ "epmd_port": epmd.port, "host": "db1" })).unwrap();
    assert_eq!(names(&host.next_report().unwrap()), ["a@db1"]);
}

/// Without an epmd there is a reason and no list.
#[test]
fn no_epmd() {
    let host = TestHost::discover::<LocalEpmd>(json!({ "epmd_port": free_port() })).unwrap();
    host.wait_for_status(|status| {
        status.reason.as_ref().is_some_and(|reason| reason.starts_with("no epmd answers on 127.0.0.1:"))
    })
    .unwrap();
    assert!(host.reports().is_empty());
}

/// What is wrong with a config, and where.
#[test]
fn errors() {
    let check = |local: &str, config: Value, errors: &[&str]| {
        let local = LocalNode { name: local.parse().ok(), ..LocalNode::default() };
        let config = config::parse::<LocalEpmdConfig>(config).unwrap();
        let found = LocalEpmd::validate(&config, &local);
        assert_eq!(found.len(), errors.len(), "{found:?}");
        for (found, begin) in found.iter().zip(errors) {
            assert!(found.to_string().starts_with(begin), "{found}");
        }
    };
    check("a@db1", json!({}), &[]);
    check("", json!({ "host": "db1" }), &[]);
    check("", json!({}), &["host: missing, and the local node has no name to take it from: set one"]);
    check(
        "a@db1",
        json!({ "host": "db1.example", "polling_interval": "10ms" }),
        &[
            "polling_interval: 10ms is too short: at least 100ms",
            "host: the local node a@db1 has a short name and host db1.example makes",
        ],
    );
    check(
        "a@db1",
        json!({ "host": "b@db1" }),
        &["host: \"b@db1\" is no host: write what nodes have behind the @ of their"],
    );
}
