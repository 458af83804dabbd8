//! Dials that fail, and connectors that cannot dial.

use expect_test::expect;

use super::{
    super::{Dials, PrunePolicy},
    check,
    script::{
        ERL, Op, TCP, apply, complete, fail, obliging, ok, refusing, silent, started, stopped, topology, wait,
    },
    world::World,
};
use crate::event::EventKind;

/// Tries go on for ever with longer waits up to the cap; `connect_failed` is told at first and with each new reason.
#[test]
fn tries_go_on() {
    check(
        [
            topology("t", TCP),
            refusing(TCP, "refused"),
            complete("t", "a"),
            wait(60),
            refusing(TCP, "no route"),
            wait(10),
            obliging(TCP),
            wait(10),
            refusing(TCP, "no route"),
            super::script::down(TCP, "a"),
            wait(2),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer failed: refused
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 connect_failed a discovered t=down: refused
            wait 60 s
                0.9 -> tcp connect a
                2.1 -> tcp connect a
                5.5 -> tcp connect a
                11.5 -> tcp connect a
                15.9 -> tcp connect a
                20.6 -> tcp connect a
                27.8 -> tcp connect a
                32.1 -> tcp connect a
                36.7 -> tcp connect a
                42.5 -> tcp connect a
                48.9 -> tcp connect a
                53.1 -> tcp connect a
            tcp will answer failed: no route
            wait 10 s
                61.0 -> tcp connect a
                61.0 connect_failed a discovered t=down: no route
                68.4 -> tcp connect a
            tcp will answer ok
            wait 10 s
                74.4 -> tcp connect a
                74.4 node_up a up t=up
            tcp will answer failed: no route
            tcp down a
                80.0 node_down a down t=down: it broke
            wait 2 s
                80.7 -> tcp connect a
                80.7 connect_failed a down t=down: no route
                81.6 -> tcp connect a
        "#]],
    );
}

/// All tries of a day are within the cap, and only the first is told.
#[test]
fn tries_are_capped() {
    let mut world = World::new();
    for op in [topology("t", TCP), refusing(TCP, "refused"), complete("t", "a b c"), wait(86_400)] {
        world.run(&op);
    }
    let tries = world.told.matches("-> tcp connect").count();
    // Half of a wait is random: with a cap of 8 s it is 4 to 8 s.
    assert!((3 * 10_800..=3 * 21_600).contains(&tries), "{tries} tries");
    let told = world.events.iter().filter(|event| event.kind == EventKind::ConnectFailed).count();
    assert_eq!(told, 3);
    let failed = u64::try_from(tries).unwrap();
    assert_eq!(world.membership.dials(), Dials { connected: 0, failed });
    world.run(&obliging(TCP));
    world.run(&wait(10));
    assert_eq!(world.membership.dials(), Dials { connected: 3, failed });
}

/// A dial that is under way when its connector turns unavailable did not fail: nothing is told, and it is made anew as
/// soon as it can be.
#[test]
fn unavailable_while_dialling() {
    check(
        [
            topology("t", ERL),
            silent(ERL),
            complete("t", "a"),
            Op::Unavailable(ERL.unwrap(), "no BEAM node yet"),
            wait(60),
            obliging(ERL),
            Op::Available(ERL.unwrap()),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            erl will be silent
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
            erl unavailable: no BEAM node yet
                0.0 topology_changed t: connector erl: no BEAM node yet; nothing is dialled until it is available
                0.0 -> erl cancel a
            wait 60 s
                6.0 -> erl cancel list
                6.9 -> erl list
                12.9 -> erl cancel list
                14.1 -> erl list
                20.1 -> erl cancel list
                23.5 -> erl list
                29.5 -> erl cancel list
                35.5 -> erl list
                41.5 -> erl cancel list
                45.9 -> erl list
                51.9 -> erl cancel list
                56.6 -> erl list
            erl will answer ok
            erl available
                60.0 topology_changed t
                60.0 -> erl connect a
                60.0 node_up a up t=up
        "#]],
    );
}

/// A connector that is unavailable suspends dialling with one `topology_changed`, and all is dialled when it is
/// available again.
#[test]
fn unavailable_suspends() {
    check(
        [
            topology("t", ERL),
            Op::Unavailable(ERL.unwrap(), "no BEAM node yet"),
            Op::Unavailable(ERL.unwrap(), "no BEAM node yet"),
            complete("t", "a b"),
            wait(3),
            apply("t", "-a +c"),
            wait(3),
            Op::Available(ERL.unwrap()),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            erl unavailable: no BEAM node yet
                0.0 topology_changed t: connector erl: no BEAM node yet; nothing is dialled until it is available
            erl unavailable: no BEAM node yet
            t is [a b]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
            wait 3 s
            t +[c] -[a]
                3.0 node_discovered c discovered t=connecting
                3.0 node_left a: its source says that it is gone
            wait 3 s
                6.0 -> erl cancel list
            erl available
                6.0 topology_changed t
                6.0 -> erl connect b
                6.0 -> erl connect c
        "#]],
    );
}

/// No more than `dials_max` are under way; the others follow in the order in which they became due.
#[test]
fn dials_are_capped() {
    check(
        [
            topology("t", TCP),
            complete("t", "c d"),
            wait(1),
            apply("t", "+a +b"),
            ok(TCP, "d"),
            fail(TCP, "c", "refused"),
            ok(TCP, "a"),
            wait(1),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [c d]
                0.0 node_discovered c discovered t=connecting
                0.0 node_discovered d discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect c
                0.0 -> tcp connect d
            wait 1 s
            t +[a b] -[]
                1.0 node_discovered a discovered t=connecting
                1.0 node_discovered b discovered t=connecting
            tcp answers d ok
                1.0 node_up d up t=up
                1.0 -> tcp connect a
            tcp answers c failed: refused
                1.0 connect_failed c discovered t=down: refused
                1.0 -> tcp connect b
            tcp answers a ok
                1.0 node_up a up t=up
            wait 1 s
                1.9 -> tcp connect c
        "#]],
    );
}

/// An operation without an outcome is cancelled a second after its deadline, counts as failed and is tried again;
/// its late outcome is dropped.
#[test]
fn overdue_is_cancelled() {
    check(
        [topology("t", TCP), complete("t", "a"), wait(6), ok(TCP, "a"), wait(1), ok(TCP, "a")],
        expect![[r#"
        topology t by tcp
            0.0 topology_changed t
        t is [a]
            0.0 node_discovered a discovered t=connecting
            0.0 topology_changed t
            0.0 -> tcp connect a
        wait 6 s
            6.0 connect_failed a discovered t=down: the connector gave no answer within 5s
            6.0 -> tcp cancel a
        tcp answers a ok
        wait 1 s
            6.9 -> tcp connect a
        tcp answers a ok
            7.0 node_up a up t=up
    "#]],
    );
}

/// A cut without an outcome is tried again, too.
#[test]
fn an_overdue_cut() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            complete("t", "a"),
            silent(TCP),
            apply("t", "-a"),
            wait(6),
            wait(1),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a up t=up
            tcp will be silent
            t +[] -[a]
                0.0 node_down a down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
            wait 6 s
                6.0 -> tcp cancel a
            wait 1 s
                6.9 -> tcp disconnect a
        "#]],
    );
}

/// Members that come and go while nothing can be dialled leave nothing behind.
#[test]
fn churn_while_suspended_leaves_nothing() {
    let mut world = World::new();
    let any = PrunePolicy { max_fraction: 1.0, ..PrunePolicy::default() };
    world.run(&Op::Topology("t", TCP, any));
    world.run(&Op::Unavailable(TCP.unwrap(), "no BEAM node yet"));
    world.run(&complete("t", "x"));
    for _ in 0..50 {
        world.run(&apply("t", "+a +b").with(5));
        world.run(&apply("t", "-a +b!"));
        world.run(&apply("t", "+b"));
        world.run(&apply("t", "-b"));
    }
    world.run(&stopped(TCP));
    world.run(&started(TCP));
    let dials = world.told.lines().filter(|line| line.contains("-> tcp connect")).count();
    assert_eq!(dials, 1, "only x is left to be dialled");
}

/// `explain` has the last tries with their reasons, the next one, and who vouches until when.
#[test]
fn explained() {
    check(
        [
            topology("t", TCP),
            partial_with_ttl(),
            apply("t", "-a/3"),
            apply("t", "+a/4").with(60),
            fail(TCP, "a", "refused"),
            wait(1),
            fail(TCP, "a", "no route"),
            Op::Explain("a"),
            Op::Explain("b"),
            complete("t", ""),
            complete("t", ""),
            Op::Explain("a"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t has [] for 30 s
                0.0 topology_changed t
            t +[] -[a/3]
            t +[a/4] -[] for 60 s
                0.0 node_discovered a/4 discovered t=connecting
                0.0 -> tcp connect a
            tcp answers a failed: refused
                0.0 connect_failed a/4 discovered t=down: refused
            wait 1 s
                0.9 -> tcp connect a
            tcp answers a failed: no route
                1.0 connect_failed a/4 discovered t=down: no route
            explain a
                by t: a@h{".incarnation": "4"} since 0.0 renewed 0.0
                    expires Some(60.0) stale false absent 0 held None
                tcp down, 2 failures, next Some(2.2)
                    0.0 Some("refused")
                    1.0 Some("no route")
                dead to t: 3
            explain b
                nothing
            t is []
            t is []
                1.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            explain a
                by t: a@h{".incarnation": "4"} since 0.0 renewed 0.0
                    expires Some(60.0) stale false absent 2 held Some(301.0)
                tcp down, 2 failures, next Some(2.2)
                    0.0 Some("refused")
                    1.0 Some("no route")
                dead to t: 3
        "#]],
    );
}

fn partial_with_ttl() -> Op {
    super::script::partial("t", "").with(30)
}
