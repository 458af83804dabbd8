//! The examples of the libraries run, and print what a reader expects.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use expect_test::{Expect, expect};

use super::repository;
use crate::host::outcome;

/// Runs an example, which is built if it is not yet.
#[track_caller]
fn check(package: &str, example: &str, expected: &Expect) {
    let target = Path::new(env!("CARGO_BIN_EXE_cluster-host")).ancestors().nth(2).unwrap();
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--offline", "--package", package, "--example", example, "--target-dir"])
        .arg(target)
        .current_dir(repository())
        .output()
        .unwrap();
    let (code, out, errors) = outcome(&output);
    assert_eq!(code, Some(0), "{example}: {errors}");
    expected.assert_eq(&out);
}

/// Each example of both crates has a test here.
#[test]
fn all_have_a_test() {
    let source = fs::read_to_string(repository().join("tests/guide/examples.rs")).unwrap();
    for package in ["cluster-core", "cluster-host"] {
        let examples = fs::read_dir(repository().join(package).join("examples")).unwrap();
        let examples: BTreeSet<_> =
            examples.map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned()).collect();
        for example in examples {
            let call = format!("check(\"{package}\", \"{}\"", example.display());
            // On one line, or as rustfmt breaks it.
            let words: String = source.split_whitespace().collect();
            let call: String = call.split_whitespace().collect();
            assert!(words.contains(&call), "nobody runs {package}/examples/{}", example.display());
        }
    }
}

/// A host in a service: started, followed, changed, stopped.
#[test]
fn embed() {
    check(
        "cluster-host",
        "embed",
        &expect![[r#"
        3 are up
        there: a@10.0.0.2
        there: b@10.0.0.3
        there: service@10.0.0.1
        all is known
        another source: shop
        up: c@10.0.0.4
        down: b@10.0.0.3
        left: b@10.0.0.3
        stopped
    "#]],
    );
}

/// A strategy that is linked in.
#[test]
fn static_plugin() {
    check(
        "cluster-host",
        "static_plugin",
        &expect![[r#"
        db@10.0.0.8 at 10.0.0.8 of Some("machines")
        web@10.0.0.7 at 10.0.0.7 of Some("machines")
    "#]],
    );
}

/// What a host knows of its members, and of one that is not there.
#[test]
fn members() {
    check(
        "cluster-host",
        "members",
        &expect![[r#"
        gone@127.0.0.2 is discovered: down by shop
        there@127.0.0.1 is up: up by shop
        shop is running
        gone: connection refused
    "#]],
    );
}

/// A connector that is linked in, and refuses one.
#[test]
fn connector() {
    check(
        "cluster-host",
        "connector",
        &expect![[r#"
        a@one.eu: up 
        b@two.eu: up 
        c@one.us: discovered c@one.us is not in eu
    "#]],
    );
}

/// The membership without a host.
#[test]
fn membership() {
    check(
        "cluster-core",
        "membership",
        &expect![[r#"
        dial a@10.0.0.2
        dial b@10.0.0.3
         1 node_discovered me@10.0.0.1
         2 node_up me@10.0.0.1
         3 topology_changed 
         4 node_discovered a@10.0.0.2
         5 node_discovered b@10.0.0.3
         6 topology_changed 
         7 node_up a@10.0.0.2
         8 connect_failed b@10.0.0.3: connection refused
        again: 1
         9 node_down a@10.0.0.2: connection reset
    "#]],
    );
}

/// The log without a membership.
#[test]
fn event_log() {
    check(
        "cluster-core",
        "event_log",
        &expect![[r#"
        first: the sum is 0 at 0
        first: 1: 5, 2: -2, 3: 4
        first: nothing new
        resumed: 4: 1
        late: the sum is 199 at 195
        late: 196: 1
        late: nothing new
    "#]],
    );
}

/// An hour of a cluster.
#[test]
fn simulation() {
    check(
        "cluster-core",
        "simulation",
        &expect![[r#"
           1 s, at n1@10.0.0.1: node_up n1@10.0.0.1
           1 s, at n2@10.0.0.2: node_up n2@10.0.0.2
           1 s, at n3@10.0.0.3: node_up n3@10.0.0.3
           5 s, at n1@10.0.0.1: node_up n2@10.0.0.2
           5 s, at n1@10.0.0.1: node_up n3@10.0.0.3
           5 s, at n2@10.0.0.2: node_up n1@10.0.0.1
           5 s, at n2@10.0.0.2: node_up n3@10.0.0.3
           5 s, at n3@10.0.0.3: node_up n1@10.0.0.1
           5 s, at n3@10.0.0.3: node_up n2@10.0.0.2
         625 s, at n1@10.0.0.1: node_down n3@10.0.0.3
         625 s, at n2@10.0.0.2: node_down n3@10.0.0.3
        n1@10.0.0.1 sees 2
        n2@10.0.0.2 sees 2
        n3@10.0.0.3 sees 3
    "#]],
    );
}
