use cluster_sdk::{
    Completeness, Report, config,
    serde_json::{Value, json},
    testing::TestHost,
};

use super::*;

#[track_caller]
fn check(local: &str, config: Value, errors: &[&str]) {
    let local = LocalNode { name: local.parse().ok(), ..LocalNode::default() };
    let found = match config::parse::<EpmdConfig>(config) {
        Ok(config) => Epmd::validate(&config, &local),
        Err(errors) => errors,
    };
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), errors);
}

/// All that is wrong with a list is told at once, with its place; what libcluster takes besides is taken.
#[test]
fn errors() {
    let a = "a@10.0.0.5";
    check(a, json!({ "hosts": [a, "b@10.0.0.6", a] }), &[]);
    check("", json!({ "hosts": ["a@db1", "b@db1.example"], "timeout": "infinity" }), &[]);
    check(
        a,
        json!({ "hosts": [], "timeout": 5000 }),
        &[r#"hosts: names no node, so nothing would ever be connected: list them, as ["a@10.0.0.5"]"#],
    );
    check(
        a,
        json!({ "hosts": ["b@10.0.0.6", "b", ":\"b@10.0.0.6\"", "b@db1"] }),
        &[
            r#"hosts[1]: node name "b" is not of the form name@host"#,
            r#"hosts[2]: node name ":\"b@10.0.0.6\"" is written as an atom: write "b@10.0.0.6""#,
            "hosts[3]: the local node a@10.0.0.5 has a long name and host db1 makes a short one: Erlang never connects \
         the two; start all nodes with -name and a host with a dot, or all with -sname",
        ],
    );
}

/// The list is required, and an option that does not exist is told.
#[test]
fn keys() {
    let errors = config::parse::<EpmdConfig>(json!({ "host": ["a@b"] })).unwrap_err();
    assert!(errors[0].to_string().contains("did you mean `hosts`"), "{errors:?}");
}

/// The list is reported once, whole, each node once; then the strategy stays until it is stopped.
#[test]
fn reports_the_list() {
    let host = TestHost::strategy::<Epmd>(json!({ "hosts": ["b@127.0.0.1", "a@127.0.0.1", "b@127.0.0.1"] }))
        .unwrap();
    let Report::Reset(view) = host.next_report().unwrap() else { panic!("no list") };
    assert_eq!((view.completeness, view.nodes.len()), (Completeness::Complete, 2));
    host.stop().unwrap();
    assert!(host.reports().is_empty());
}
