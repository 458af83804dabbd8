//! What the tests of the three strategies have in common.

use cluster_sdk::{
    ConfigError, LocalNode, Report, Strategy, View, config,
    serde_json::{Value, json},
    testing::TestHost,
};

/// `options` with others in their place.
pub(crate) fn with(options: Value, others: Value) -> Value {
    let (Value::Object(mut options), Value::Object(others)) = (options, others) else {
        panic!("two objects")
    };
    options.extend(others);
    json!(options)
}

/// The names in a view, which are in order.
pub(crate) fn names(view: &View) -> Vec<String> {
    view.nodes.iter().map(|node| node.to_node().unwrap().name().to_string()).collect()
}

/// The next view.
#[track_caller]
pub(crate) fn view(host: &TestHost) -> View {
    let Report::Reset(view) = host.next_report().unwrap() else { panic!("a list") };
    view
}

/// Waits for a view with these names.
#[track_caller]
pub(crate) fn wait_names(host: &TestHost, expected: &[&str]) -> View {
    let report =
        host.wait_for_report(|report| matches!(report, Report::Reset(view) if names(view) == expected));
    let Report::Reset(view) = report.unwrap() else { panic!("a list") };
    view
}

/// Waits until the instance is not well, and gives the reason.
#[track_caller]
pub(crate) fn wait_reason(host: &TestHost) -> String {
    host.wait_for_status(|status| status.reason.is_some()).unwrap().reason.unwrap()
}

/// Waits until all is well.
#[track_caller]
pub(crate) fn wait_healthy(host: &TestHost) {
    host.wait_for_status(|status| status.reason.is_none()).unwrap();
}

/// The instance is not well for this reason, and has reported nothing.
#[track_caller]
pub(crate) fn check_failure(host: &TestHost, begin: &str, end: &str) {
    let reason = wait_reason(host);
    assert!(reason.starts_with(begin) && reason.ends_with(end), "{reason}");
    assert_eq!(host.reports(), []);
}

/// The texts that begin like these are all that is wrong with a config.
#[track_caller]
pub(crate) fn check_config<S: Strategy>(options: Value, expected: &[&str]) {
    let found: Vec<ConfigError> = match config::parse::<S::Config>(options) {
        Ok(config) => S::validate(&config, &LocalNode::default()),
        Err(errors) => errors,
    };
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let is_alike = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    assert!(is_alike, "{found:#?}");
}
