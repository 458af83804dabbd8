use cluster_core::MemberState;
use expect_test::expect;

use super::*;
use crate::api::testing::{at, bare_member, member, topology};

/// A minute after the samples' first moment.
fn now() -> SystemTime {
    at(60_000)
}

fn member_json(member: &cluster_core::Member) -> Member<'static> {
    let text = serde_json::to_string(&Member::from(member)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn watch(count: usize) -> Watch {
    let mut members = vec![member("n1@10.0.0.7")];
    members.extend((2..=count).map(|number| bare_member(&format!("n{number}@h"), MemberState::Up)));
    let members = members.iter().map(|member| (member.name.to_string(), member_json(member)));
    Watch { members: members.collect(), ..Watch::default() }
}

fn shown(watch: &Watch, rows: u16, columns: u16) -> String {
    let lines = watch.lines(now(), Size { rows, columns }, Colour::Never);
    assert!(lines.len() <= usize::from(rows));
    lines.join("\n") + "\n"
}

/// Those that are not up come first; what does not fit is cut, and how many more there are is told.
#[test]
fn fits_the_terminal() {
    let mut watch = watch(3);
    expect![[r#"
        3 members: 2 up, 1 down

        NAME         STATE  SINCE  TOPOLOGIES        INCARNATION  ADDRESSES                     REASON
        n1@10.0.0.7  down   58s    gossip mesh=down  17           10.0.0.7:9000 [fd00::7]:9000  link lost: "peer" reset
        n2@h         up     60s    -                 -            -                             -
        n3@h         up     60s    -                 -            -                             -
    "#]].assert_eq(&shown(&watch, 6, 200));
    expect![[r#"
        3 members: 2 up, 1 down

        NAME         STATE  SINCE  TOPOLOGIES
        n1@10.0.0.7  down   58s    gossip me…
        … and 2 more
    "#]]
    .assert_eq(&shown(&watch, 5, 37));
    watch.lost = Some(("the daemon stopped".to_owned(), at(57_000)));
    expect![[r#"
        3 members: 2 up, 1 down
        the daemon stopped; this is as of 3s ago, it is tried again

        NAME         STATE  SINCE  TOPOLOGIES        INCARNATION  AD…
        n1@10.0.0.7  down   58s    gossip mesh=down  17           10…
        … and 2 more
    "#]]
    .assert_eq(&shown(&watch, 6, 61));
    for rows in 0..10 {
        for columns in [0, 1, 2, 13, 20] {
            shown(&watch, rows, columns);
        }
    }
    assert_eq!(shown(&self::watch(5_000), 50, 80).lines().last(), Some("… and 4954 more"));
}

/// The top line has the topologies, those that are not well first, with the reason of each.
#[test]
fn glance() {
    let mut watch = watch(1);
    let topologies = [topology()];
    let text = serde_json::to_string(&Topologies::new(
        crate::api::testing::cursor(7),
        &topologies,
        &cluster_core::Snapshot::default(),
    ))
    .unwrap();
    let answer: Topologies<'static> = serde_json::from_str(&text).unwrap();
    let mut running = answer.topologies[0].clone();
    running.name = "alright".into();
    running.health = "running".into();
    watch.topologies = vec![running];
    watch.topologies.extend(answer.topologies);
    expect!["1 member: 1 down   gossip degraded: no route to host · alright running"]
        .assert_eq(&watch.glance(Colour::Never));
}

/// Events are folded into the members; one that is of a topology has the topologies asked for.
#[test]
fn fold() {
    let mut watch = watch(3);
    let event = |text: &str| {
        let head = r#"{"epoch":"1","revision":9,"cursor":"1:9","topology":null,"reason":null,"at":"2026-01-01T00:00:00Z","#;
        serde_json::from_str::<Event<'static>>(&format!("{head}{text}}}")).unwrap()
    };
    assert!(!watch.apply(event(r#""type":"node_left","node":"n2@h","member":null"#)));
    assert!(watch.members.keys().eq(["n1@10.0.0.7", "n3@h"]));
    assert!(watch.apply(event(r#""type":"topology_changed","node":null,"member":null"#)));
    assert!(watch.apply(event(r#""type":"resync","node":null,"members":[],"member":null"#)));
    assert!(watch.members.is_empty());
}
