use std::fs;

use cluster_sdk::{Completeness, Report, config, serde_json::json, testing::TestHost};
use tempfile::TempDir;

use super::*;
use crate::epmd::{NodeKind, testing::RealEpmd};

fn names(view: &View) -> Vec<String> {
    view.nodes.iter().map(|node| node.to_name().unwrap().to_string()).collect()
}

fn is_complete(report: &Report, wanted: &[&str]) -> bool {
    let Report::Reset(view) = report else { panic!("no list: {report:?}") };
    view.completeness == Completeness::Complete && names(view) == wanted
}

/// A round in which each host has these nodes, or does not answer.
fn round(hosts: &[(&str, Option<&[&str]>)]) -> Answers {
    let answer = |host: &str, nodes: &Option<&[&str]>| match nodes {
        Some(nodes) => {
            Ok(nodes.iter().map(|node| Node::try_new(&format!("{node}@{host}")).unwrap()).collect())
        }
        None => Err(EpmdError::NoAnswer { at: host.to_owned() }),
    };
    hosts.iter().map(|(host, nodes)| ((*host).to_owned(), answer(host, nodes))).collect()
}

#[track_caller]
fn check(roster: &mut Roster, answers: Answers, expected: &str) {
    let (view, trouble) = roster.handle_answers(answers);
    let view = view.map_or_else(
        || "nothing".to_owned(),
        |view| format!("{:?} {}", view.completeness, names(&view).join(" ")),
    );
    let trouble = trouble.map_or_else(String::new, |trouble| format!(" ({trouble})"));
    assert_eq!(format!("{view}{trouble}"), expected);
}

/// A host that fails keeps its nodes, one that leaves the file loses them, and one that was never reached makes the
/// view a partial one; where nobody was reached there is none.
#[test]
fn hosts_come_and_go() {
    let silent = |hosts: &[&str]| {
        hosts
            .iter()
            .map(|host| format!("no epmd answers on {host} (deadline passed)"))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let mut roster = Roster::default();
    check(&mut roster, round(&[("h1", None), ("h2", None)]), &format!("nothing ({})", silent(&["h1", "h2"])));
    let first = [("h1", Some(&["a", "b"][..])), ("h2", None)];
    check(&mut roster, round(&first), &format!("Partial a@h1 b@h1 ({})", silent(&["h2"])));
    check(&mut roster, round(&[("h1", Some(&["a"])), ("h2", Some(&["c"]))]), "Complete a@h1 c@h2");
    let second = [("h1", None), ("h2", Some(&["c", "d"][..]))];
    check(&mut roster, round(&second), &format!("Complete a@h1 c@h2 d@h2 ({})", silent(&["h1"])));
    check(&mut roster, round(&[("h2", Some(&[]))]), "Complete ");
    check(&mut roster, round(&[("h1", None), ("h2", Some(&[]))]), &format!("Partial  ({})", silent(&["h1"])));
}

/// A host that is never reached does not keep the view from being complete for ever.
#[test]
fn partial_for_some_rounds() {
    let mut roster = Roster::default();
    let answers = || round(&[("h1", Some(&["a"])), ("h2", None)]);
    let mut completeness = || roster.handle_answers(answers()).0.unwrap().completeness;
    for _ in 0..PARTIAL_ROUNDS_MAX {
        assert_eq!(completeness(), Completeness::Partial);
    }
    assert_eq!(completeness(), Completeness::Complete);
    check(&mut roster, round(&[("h1", Some(&["a"])), ("h2", Some(&["b"]))]), "Complete a@h1 b@h2");
}

/// Of many reasons some are told.
#[test]
fn many_reasons() {
    let reasons = |count: usize| together((0..count).map(|number| number.to_string()).collect());
    assert_eq!(reasons(0), None);
    assert_eq!(reasons(4).unwrap(), "0; 1; 2; 3");
    assert_eq!(reasons(6).unwrap(), "0; 1; 2; 3; and 2 more");
}

/// Over a real epmd: the file may come later, change, become wrong and right again; each time the reason names it,
/// and what was known stands.
#[test]
fn follows_the_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut epmd = runtime.block_on(RealEpmd::start());
    let mut registered = Vec::new();
    for (alive, kind) in [("a", NodeKind::Visible), ("unseen", NodeKind::Hidden)] {
        registered.push(runtime.block_on(epmd.register(alive, kind)).unwrap());
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(".hosts.erlang");
    let shown = file.display();
    let config =
        json!({ "file": file, "polling_interval": 100, "epmd_port": epmd.port, "timeout": "infinity" });
    let host = TestHost::strategy::<ErlangHosts>(config).unwrap();
    let degraded = |wanted: &str| {
        host.wait_for_status(|status| status.reason.as_deref() == Some(wanted)).unwrap();
    };
    degraded(&format!("no .hosts.erlang: tried {shown}; write one, with a line 'host.name'. for each host"));
    assert!(host.reports().is_empty());

    fs::write(&file, "'127.0.0.1'.\n").unwrap();
    host.wait_for_report(|report| is_complete(report, &["a@127.0.0.1"])).unwrap();
    host.wait_for_status(|status| status.reason.is_none()).unwrap();
    fs::write(&file, "'127.0.0.1'.\nlocalhost.\n").unwrap();
    host.wait_for_report(|report| is_complete(report, &["a@127.0.0.1", "a@localhost"])).unwrap();
    fs::write(&file, "'127.0.0.1'.\nlocalhost\n").unwrap();
    degraded(&format!("{shown}:3: a full stop is missing behind localhost"));
    drop(host.reports());
    fs::write(&file, "'127.0.0.1'.\n").unwrap();
    host.wait_for_report(|report| is_complete(report, &["a@127.0.0.1"])).unwrap();

    epmd.kill();
    degraded(&format!("no epmd answers on 127.0.0.1:{} (connection refused)", epmd.port));
    drop(host.reports());
    host.wait_for_report(|report| is_complete(report, &["a@127.0.0.1"])).unwrap();
}

/// What is wrong with a config.
#[test]
fn errors() {
    let config = json!({ "file": "/f", "otp_root": "/r", "polling_interval": 1 });
    let config = config::parse::<ErlangHostsConfig>(config).unwrap();
    let errors = ErlangHosts::validate(&config, &LocalNode::default());
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "polling_interval: 1ms is too short: at least 100ms",
            "otp_root: has no effect beside file: leave one of them out",
        ]
    );
}
