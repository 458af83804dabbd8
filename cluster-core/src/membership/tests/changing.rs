//! What a new configuration does to a topology that is there.

use expect_test::expect;

use super::{
    super::PrunePolicy,
    check,
    script::{ERL, Op, TCP, complete, obliging, partial, topology, wait},
};

fn change(name: &'static str, connector: Option<super::super::ConnectorId>) -> Op {
    Op::Change(name, connector, PrunePolicy::default())
}

/// Another source: until it has spoken nothing is to be seen; then whom it does not name is gone at once, be it all.
#[test]
fn another_source() {
    check(
        [
            topology("t", None),
            complete("t", "a b c d"),
            Op::Supersede("t"),
            wait(20),
            complete("t", "d e"),
            wait(400),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 topology_changed t
            t has another source
            wait 20 s
            t is [d e]
                20.0 node_discovered e discovered t=none
                20.0 node_up e up t=none
                20.0 node_down a down t=none: its topology has another source now, which does not name it
                20.0 node_left a: its topology has another source now, which does not name it
                20.0 node_down b down t=none: its topology has another source now, which does not name it
                20.0 node_left b: its topology has another source now, which does not name it
                20.0 node_down c down t=none: its topology has another source now, which does not name it
                20.0 node_left c: its topology has another source now, which does not name it
            wait 400 s
        "#]],
    );
}

/// What it names in parts is its own from then on; the rest stays for a minute, and then the prune policy decides: most
/// of a topology is held.
#[test]
fn another_source_in_parts() {
    check(
        [
            topology("t", None),
            complete("t", "a b c d"),
            Op::Supersede("t"),
            partial("t", "a"),
            wait(59),
            Op::Explain("b"),
            wait(2),
            complete("t", "a"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 topology_changed t
            t has another source
            t has [a]
            wait 59 s
            explain b
                by t: b@h{} since 0.0 renewed 0.0
                    expires None stale false absent 0 held None
            wait 2 s
                60.0 node_updated b up t=none: its source does not name it any more
                60.0 node_updated c up t=none: its source does not name it any more
                60.0 node_updated d up t=none: its source does not name it any more
                60.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            t is [a]
                61.0 node_down b down t=none: its topology has another source now, which does not name it
                61.0 node_left b: its topology has another source now, which does not name it
                61.0 node_down c down t=none: its topology has another source now, which does not name it
                61.0 node_left c: its topology has another source now, which does not name it
                61.0 node_down d down t=none: its topology has another source now, which does not name it
                61.0 node_left d: its topology has another source now, which does not name it
                61.0 topology_changed t
        "#]],
    );
}

/// One that names nobody, or that says nothing, may err: the policy holds.
#[test]
fn another_source_of_nobody() {
    check(
        [
            topology("t", None),
            complete("t", "a"),
            Op::Supersede("t"),
            complete("t", ""),
            wait(299),
            complete("t", "b"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 topology_changed t
            t has another source
            t is []
                0.0 node_updated a up t=none: its source does not name it any more
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 299 s
            t is [b]
                299.0 node_discovered b discovered t=none
                299.0 node_up b up t=none
                299.0 node_down a down t=none: its topology has another source now, which does not name it
                299.0 node_left a: its topology has another source now, which does not name it
                299.0 topology_changed t
        "#]],
    );
}

/// While the strategy does not run its clocks stand still, those of the source before too.
#[test]
fn another_source_that_fails() {
    check(
        [
            topology("t", None),
            complete("t", "a b"),
            Op::Supersede("t"),
            Op::Stop("t"),
            wait(600),
            Op::Start("t"),
            wait(59),
            wait(2),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 topology_changed t
            t has another source
            strategy of t stops
            wait 600 s
            strategy of t starts
            wait 59 s
            wait 2 s
                660.0 node_down a down t=none: its source does not name it any more
                660.0 node_left a: its source does not name it any more
                660.0 node_down b down t=none: its source does not name it any more
                660.0 node_left b: its source does not name it any more
        "#]],
    );
}

/// Which incarnations are dead is one source's word; the next one may know better.
#[test]
fn the_dead_are_one_sources() {
    check(
        [
            topology("t", None),
            complete("t", "a/2"),
            Op::Apply("t", String::new(), "a/2".to_owned(), None),
            complete("t", "a/2"),
            Op::Supersede("t"),
            complete("t", "a/2"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a/2]
                0.0 node_discovered a/2 discovered t=none
                0.0 node_up a/2 up t=none
                0.0 topology_changed t
            t +[] -[a/2]
                0.0 node_down a/2 down t=none: its source says that it is gone
                0.0 node_left a: its source says that it is gone
            t is [a/2]
            t has another source
            t is [a/2]
                0.0 node_discovered a/2 discovered t=none
                0.0 node_up a/2 up t=none
        "#]],
    );
}

/// Another policy counts for what is under way too.
#[test]
fn another_policy() {
    let prune = PrunePolicy { after: std::time::Duration::from_secs(100), ..PrunePolicy::default() };
    check(
        [
            topology("t", None),
            complete("t", "a b c d"),
            complete("t", "a b c"),
            Op::Change("t", None, prune),
            wait(99),
            wait(2),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_updated d up t=none
            changed topology t by none, PrunePolicy { never: false, rounds: 2, after: 100s, max_fraction: 0.5, hold: 300s }
            wait 99 s
            wait 2 s
                100.0 node_down d down t=none: its source does not name it any more
                100.0 node_left d: its source does not name it any more
        "#]],
    );
}

/// Another connector: its links count from now on, and those of the other are not wanted any more.
#[test]
fn another_connector() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            obliging(ERL),
            complete("t", "a"),
            change("t", ERL),
            change("t", None),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            erl will answer ok
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a up t=up
            changed topology t by erl
                0.0 node_down a down t=connecting: its topology has another connector
                0.0 -> erl list
                0.0 -> tcp disconnect a
                0.0 -> erl connect a
                0.0 node_up a up t=up
            changed topology t by none
                0.0 node_updated a up t=none: its topology has another connector
                0.0 -> erl disconnect a
        "#]],
    );
}
