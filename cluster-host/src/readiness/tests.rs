use cluster_core::{Health, Vouched};

use super::*;
use crate::api::testing::{at, bare_member, snapshot, topology};

fn config(ready: ReadyConfig) -> Config {
    Config { ready, ..Config::default() }
}

fn ready(min_members: u32, once: bool) -> ReadyConfig {
    ReadyConfig { min_members, once, ..ReadyConfig::default() }
}

/// One that has given no view yet.
fn silent(name: &str) -> TopologyInfo {
    let mut info = TopologyInfo { name: name.parse().unwrap(), last_view: None, ..topology() };
    info.status.health = Health::Denied;
    info
}

/// Judges by members that are up (`a`), up by a link that is doubtful (`a?`), or down (`a-`); the local node is `a@h`.
fn judge(readiness: &Readiness, members: &str, topologies: &[TopologyInfo]) -> Result<String, String> {
    let members = members.split_whitespace().map(|member| {
        let (state, link) = match member.chars().last() {
            Some('-') => (MemberState::Down, LinkState::Down),
            Some('?') => (MemberState::Up, LinkState::Unknown),
            _ => (MemberState::Up, LinkState::Up),
        };
        let vouched = Vouched { name: "mesh".parse().unwrap(), link, since: at(0), reason: None };
        let name = format!("{}@h", member.trim_end_matches(['-', '?']));
        Member { topologies: [vouched].into(), ..bare_member(&name, state) }
    });
    let (snapshot, node) = (snapshot(1, members), "a@h".parse().unwrap());
    readiness.judge(Seen { snapshot: &snapshot, node: Some(&node), topologies })
}

fn refused(reason: &str) -> Result<String, String> {
    Err(format!("not ready: {reason}"))
}

/// Without a word in the configuration, each topology has to have given a view, and once is enough.
#[test]
fn first_views() {
    let readiness = Readiness::default();
    let waits = refused("topology office has given no view yet (denied)");
    assert_eq!(judge(&readiness, "a", &[topology(), silent("office")]), waits);
    assert_eq!(judge(&readiness, "", &[topology()]), Ok("ready: 0 members are up".to_owned()));
    assert_eq!(judge(&readiness, "a-", &[silent("office")]), Ok("ready: 0 members are up".to_owned()));
    let many: Vec<_> = (0..NAMED_MAX + 2).map(|number| silent(&format!("t{number}"))).collect();
    let told = judge(&Readiness::default(), "a", &many).unwrap_err();
    assert!(told.ends_with("topology t4 has given no view yet (denied); 2 more topologies"), "{told}");
}

/// It is waited for the topologies that are named, for all, or for none.
#[test]
fn named_topologies() {
    let readiness = Readiness::default();
    let named = |names: &[&str]| {
        let topologies = names.iter().map(|name| name.parse().unwrap()).collect();
        config(ReadyConfig { topologies: Some(topologies), ..ReadyConfig::default() })
    };
    let topologies = [silent("office"), silent("home")];
    readiness.configure(&named(&["home"]), false);
    assert_eq!(judge(&readiness, "a", &topologies), refused("topology home has given no view yet (denied)"));
    readiness.configure(&named(&[]), false);
    assert_eq!(judge(&readiness, "a", &topologies), Ok("ready: 1 member is up".to_owned()));
}

/// The local node has to be up, at any time: without it there is nobody to send requests to.
#[test]
fn local_node() {
    let readiness = Readiness::default();
    readiness.configure(&Config::default(), true);
    let waits = refused("the local node is not up yet");
    assert_eq!(judge(&readiness, "", &[]), waits);
    assert_eq!(judge(&readiness, "a- b", &[]), waits);
    assert_eq!(judge(&readiness, "a b", &[]), Ok("ready: 2 members are up".to_owned()));
    assert_eq!(judge(&readiness, "a- b", &[]), waits);
}

/// The loss of others does not take this one out of use, unless that was asked for; other words begin anew.
#[test]
fn members_once_or_always() {
    let readiness = Readiness::default();
    let waits = refused("1 of at least 2 members are up");
    readiness.configure(&config(ready(2, true)), false);
    assert_eq!(judge(&readiness, "a b-", &[]), waits);
    assert!(judge(&readiness, "a b", &[]).is_ok());
    assert!(judge(&readiness, "a b-", &[]).is_ok());
    readiness.configure(&config(ready(2, true)), false);
    assert!(judge(&readiness, "a b-", &[]).is_ok(), "the same words");
    readiness.configure(&config(ready(2, false)), false);
    assert_eq!(judge(&readiness, "a b-", &[]), waits);
    assert!(judge(&readiness, "a b", &[]).is_ok());
    assert_eq!(judge(&readiness, "a b-", &[]), waits);
}

/// A link that its connector has not confirmed since its restart makes nobody ready, and keeps those who are.
#[test]
fn doubtful_links() {
    let readiness = Readiness::default();
    readiness.configure(&config(ready(2, false)), false);
    assert_eq!(judge(&readiness, "a b?", &[]), refused("1 of at least 2 members are up"));
    assert!(judge(&readiness, "a b", &[]).is_ok());
    assert!(judge(&readiness, "a b?", &[]).is_ok());
}
