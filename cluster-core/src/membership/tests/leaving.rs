//! When a withdrawal counts.

use std::time::Duration;

use expect_test::expect;

use super::{
    super::PrunePolicy,
    check,
    script::{Op, TCP, apply, complete, obliging, partial, topology, wait},
};

/// Whom its source names as gone is gone at once.
#[test]
fn a_named_removal_counts_at_once() {
    check(
        [topology("t", None), complete("t", "a b c"), apply("t", "-a")],
        expect![[r#"
        topology t by none
            0.0 topology_changed t
        t is [a b c]
            0.0 node_discovered a discovered t=none
            0.0 node_up a up t=none
            0.0 node_discovered b discovered t=none
            0.0 node_up b up t=none
            0.0 node_discovered c discovered t=none
            0.0 node_up c up t=none
            0.0 topology_changed t
        t +[] -[a]
            0.0 node_down a down t=none: its source says that it is gone
            0.0 node_left a: its source says that it is gone
    "#]],
    );
}

/// Whom a complete view does not name is gone with the second such view.
#[test]
fn absence_counts_after_two_rounds() {
    check(
        [topology("t", None), complete("t", "a b c"), complete("t", "a b"), wait(3), complete("t", "a b")],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            t is [a b]
                0.0 node_updated c up t=none
            wait 3 s
            t is [a b]
                3.0 node_down c down t=none: its source does not name it any more
                3.0 node_left c: its source does not name it any more
        "#]],
    );
}

/// Or after ten seconds without a second view.
#[test]
fn absence_counts_after_ten_seconds() {
    check(
        [topology("t", None), complete("t", "a b c"), complete("t", "a b"), wait(9), wait(2)],
        expect![[r#"
        topology t by none
            0.0 topology_changed t
        t is [a b c]
            0.0 node_discovered a discovered t=none
            0.0 node_up a up t=none
            0.0 node_discovered b discovered t=none
            0.0 node_up b up t=none
            0.0 node_discovered c discovered t=none
            0.0 node_up c up t=none
            0.0 topology_changed t
        t is [a b]
            0.0 node_updated c up t=none
        wait 9 s
        wait 2 s
            10.0 node_down c down t=none: its source does not name it any more
            10.0 node_left c: its source does not name it any more
    "#]],
    );
}

/// Who is named again in time was never gone, and begins anew.
#[test]
fn absence_ends_with_being_named() {
    check(
        [
            topology("t", None),
            complete("t", "a b c"),
            complete("t", "a b"),
            wait(9),
            apply("t", "+c"),
            complete("t", "a b"),
            partial("t", "c"),
            wait(9),
            complete("t", "a b"),
            wait(9),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            t is [a b]
                0.0 node_updated c up t=none
            wait 9 s
            t +[c] -[]
                9.0 node_updated c up t=none
            t is [a b]
                9.0 node_updated c up t=none
            t has [c]
                9.0 node_updated c up t=none
            wait 9 s
            t is [a b]
                18.0 node_updated c up t=none
            wait 9 s
        "#]],
    );
}

/// More than half of a topology, and at least three, let go by name at once are held for five minutes.
#[test]
fn most_by_name_are_held() {
    check(
        [topology("t", None), complete("t", "a b c d e"), apply("t", "-a -b -c"), wait(299), wait(2)],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d e]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_discovered e discovered t=none
                0.0 node_up e up t=none
                0.0 topology_changed t
            t +[] -[a b c]
                0.0 node_updated a up t=none: its source says that it is gone
                0.0 node_updated b up t=none: its source says that it is gone
                0.0 node_updated c up t=none: its source says that it is gone
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 299 s
            wait 2 s
                300.0 node_down a down t=none: its source let it go, and the hold on that is over
                300.0 node_left a: its source let it go, and the hold on that is over
                300.0 node_down b down t=none: its source let it go, and the hold on that is over
                300.0 node_left b: its source let it go, and the hold on that is over
                300.0 node_down c down t=none: its source let it go, and the hold on that is over
                300.0 node_left c: its source let it go, and the hold on that is over
                300.0 topology_changed t
        "#]],
    );
}

/// So are they when a complete view does not name them.
#[test]
fn most_by_absence_are_held() {
    check(
        [
            topology("t", None),
            complete("t", "a b c d e"),
            complete("t", "d e"),
            complete("t", "d e"),
            wait(299),
            complete("t", "d e"),
            wait(2),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d e]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_discovered e discovered t=none
                0.0 node_up e up t=none
                0.0 topology_changed t
            t is [d e]
                0.0 node_updated a up t=none
                0.0 node_updated b up t=none
                0.0 node_updated c up t=none
            t is [d e]
                0.0 node_updated a up t=none: its source does not name it any more
                0.0 node_updated b up t=none: its source does not name it any more
                0.0 node_updated c up t=none: its source does not name it any more
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 299 s
            t is [d e]
            wait 2 s
                300.0 node_down a down t=none: its source let it go, and the hold on that is over
                300.0 node_left a: its source let it go, and the hold on that is over
                300.0 node_down b down t=none: its source let it go, and the hold on that is over
                300.0 node_left b: its source let it go, and the hold on that is over
                300.0 node_down c down t=none: its source let it go, and the hold on that is over
                300.0 node_left c: its source let it go, and the hold on that is over
                300.0 topology_changed t
        "#]],
    );
}

/// What adds up to more than half within a minute is held from there on; what went earlier does not count.
#[test]
fn withdrawals_add_up_for_a_minute() {
    check(
        [
            topology("t", None),
            complete("t", "a b c d e f"),
            apply("t", "-a -b"),
            wait(30),
            complete("t", "d e f"),
            wait(10),
            apply("t", "-d"),
            wait(21),
            apply("t", "-e"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d e f]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_discovered e discovered t=none
                0.0 node_up e up t=none
                0.0 node_discovered f discovered t=none
                0.0 node_up f up t=none
                0.0 topology_changed t
            t +[] -[a b]
                0.0 node_down a down t=none: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 node_down b down t=none: its source says that it is gone
                0.0 node_left b: its source says that it is gone
            wait 30 s
            t is [d e f]
                30.0 node_updated c up t=none
            wait 10 s
                40.0 node_down c down t=none: its source does not name it any more
                40.0 node_left c: its source does not name it any more
            t +[] -[d]
                40.0 node_updated d up t=none: its source says that it is gone
                40.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 21 s
            t +[] -[e]
                61.0 node_down e down t=none: its source says that it is gone
                61.0 node_left e: its source says that it is gone
        "#]],
    );
}

/// Two of two are fewer than three: small topologies shrink freely.
#[test]
fn fewer_than_three_are_not_held() {
    check(
        [topology("t", None), complete("t", "a b"), apply("t", "-a -b")],
        expect![[r#"
        topology t by none
            0.0 topology_changed t
        t is [a b]
            0.0 node_discovered a discovered t=none
            0.0 node_up a up t=none
            0.0 node_discovered b discovered t=none
            0.0 node_up b up t=none
            0.0 topology_changed t
        t +[] -[a b]
            0.0 node_down a down t=none: its source says that it is gone
            0.0 node_left a: its source says that it is gone
            0.0 node_down b down t=none: its source says that it is gone
            0.0 node_left b: its source says that it is gone
    "#]],
    );
}

/// An empty complete view is held even for a single member; naming it again releases it.
#[test]
fn empty_is_always_held() {
    check(
        [
            topology("t", None),
            complete("t", "a"),
            complete("t", ""),
            complete("t", ""),
            wait(200),
            complete("t", "a"),
            wait(200),
            complete("t", ""),
            wait(400),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 topology_changed t
            t is []
                0.0 node_updated a up t=none
            t is []
                0.0 node_updated a up t=none: its source does not name it any more
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 200 s
            t is [a]
                200.0 node_updated a up t=none
                200.0 topology_changed t
            wait 200 s
            t is []
                400.0 node_updated a up t=none
            wait 400 s
                410.0 node_updated a up t=none: its source does not name it any more
                410.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
                710.0 node_down a down t=none: its source let it go, and the hold on that is over
                710.0 node_left a: its source let it go, and the hold on that is over
                710.0 topology_changed t
        "#]],
    );
}

/// `forget` lets go what is held or absent, and nobody whom a source still names.
#[test]
fn forget_releases() {
    check(
        [
            topology("t", None),
            topology("u", None),
            complete("t", "a b c"),
            complete("u", "b"),
            apply("t", "-a -b -c"),
            Op::Forget("a"),
            Op::Forget("b"),
            Op::Forget("b"),
            Op::Forget("x"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            topology u by none
                0.0 topology_changed u
            t is [a b c]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 topology_changed t
            u is [b]
                0.0 node_updated b up t=none u=none
                0.0 topology_changed u
            t +[] -[a b c]
                0.0 node_updated a up t=none: its source says that it is gone
                0.0 node_updated b up t=none u=none: its source says that it is gone
                0.0 node_updated c up t=none: its source says that it is gone
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            forget a
                t let it go
                0.0 node_down a down t=none: it was forgotten by request
                0.0 node_left a: it was forgotten by request
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            forget b
                t let it go
                0.0 node_updated b up u=none: it was forgotten by request
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            forget b
            forget x
        "#]],
    );
}

/// What an operator forgot or a hold has let go does not count against those who leave afterwards.
#[test]
fn what_was_held_does_not_count_twice() {
    check(
        [
            topology("t", None),
            complete("t", "a b c d e"),
            apply("t", "-a -b -c"),
            Op::Forget("a"),
            Op::Forget("b"),
            wait(300),
            apply("t", "-d"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d e]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 node_discovered e discovered t=none
                0.0 node_up e up t=none
                0.0 topology_changed t
            t +[] -[a b c]
                0.0 node_updated a up t=none: its source says that it is gone
                0.0 node_updated b up t=none: its source says that it is gone
                0.0 node_updated c up t=none: its source says that it is gone
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            forget a
                t let it go
                0.0 node_down a down t=none: it was forgotten by request
                0.0 node_left a: it was forgotten by request
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            forget b
                t let it go
                0.0 node_down b down t=none: it was forgotten by request
                0.0 node_left b: it was forgotten by request
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            wait 300 s
                300.0 node_down c down t=none: its source let it go, and the hold on that is over
                300.0 node_left c: its source let it go, and the hold on that is over
                300.0 topology_changed t
            t +[] -[d]
                300.0 node_down d down t=none: its source says that it is gone
                300.0 node_left d: its source says that it is gone
        "#]],
    );
}

/// With `prune = "never"` nobody goes by a source's word, and that is no ill health.
#[test]
fn prune_never() {
    let never = PrunePolicy { never: true, ..PrunePolicy::default() };
    check(
        [
            Op::Topology("t", None, never),
            complete("t", "a b"),
            apply("t", "-a"),
            complete("t", "a"),
            complete("t", "a"),
            wait(100_000),
            Op::Forget("b"),
        ],
        expect![[r#"
            topology t by none, prune never
                0.0 topology_changed t
            t is [a b]
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 topology_changed t
            t +[] -[a]
                0.0 node_updated a up t=none: its source says that it is gone
                0.0 topology_changed t
            t is [a]
                0.0 node_updated b up t=none
                0.0 node_updated a up t=none
                0.0 topology_changed t
            t is [a]
                0.0 node_updated b up t=none: its source does not name it any more
                0.0 topology_changed t
            wait 100000 s
            forget b
                t let it go
                100000.0 node_down b down t=none: it was forgotten by request
                100000.0 node_left b: it was forgotten by request
                100000.0 topology_changed t
        "#]],
    );
}

/// Everything that is held goes in one sweep when the hold is over, with one word of its topology, even where the
/// policy gives it no time at all.
#[test]
fn a_hold_ends_for_all_at_once() {
    let none = PrunePolicy { after: Duration::ZERO, hold: Duration::ZERO, ..PrunePolicy::default() };
    check(
        [Op::Topology("t", None, none), complete("t", "a b c d"), complete("t", "a"), wait(0)],
        expect![[r#"
            topology t by none, PrunePolicy { never: false, rounds: 2, after: 0ns, max_fraction: 0.5, hold: 0ns }
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
            t is [a]
                0.0 node_updated b up t=none
                0.0 node_updated c up t=none
                0.0 node_updated d up t=none
            wait 0 s
                0.0 node_updated b up t=none: its source does not name it any more
                0.0 node_updated c up t=none: its source does not name it any more
                0.0 node_updated d up t=none: its source does not name it any more
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
                0.0 node_down b down t=none: its source let it go, and the hold on that is over
                0.0 node_left b: its source let it go, and the hold on that is over
                0.0 node_down c down t=none: its source let it go, and the hold on that is over
                0.0 node_left c: its source let it go, and the hold on that is over
                0.0 node_down d down t=none: its source let it go, and the hold on that is over
                0.0 node_left d: its source let it go, and the hold on that is over
                0.0 topology_changed t
        "#]],
    );
}

/// A node that is leaving by its source's word is shown so, keeps its link and is not dialled anew; when its up
/// link goes there is `node_down`, then `node_left`.
#[test]
fn leaving_is_not_dialled() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            complete("t", "a b!"),
            apply("t", "+a!"),
            super::script::down(TCP, "a"),
            wait(60),
            apply("t", "+a"),
            apply("t", "+a!"),
            apply("t", "-a -b"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            t is [a b!]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=down
                0.0 node_updated b leaving t=down: its source says that it is leaving
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a up t=up
            t +[a!] -[]
                0.0 node_updated a leaving t=up: its source says that it is leaving
            tcp down a
                0.0 node_down a leaving t=down: it broke
            wait 60 s
            t +[a] -[]
                60.0 node_updated a down t=down: it broke
                60.0 -> tcp connect a
                60.0 node_up a up t=up
            t +[a!] -[]
                60.0 node_updated a leaving t=up: its source says that it is leaving
            t +[] -[a b]
                60.0 node_down a leaving t=down: its source says that it is gone
                60.0 node_left a: its source says that it is gone
                60.0 node_left b: its source says that it is gone
                60.0 -> tcp disconnect a
        "#]],
    );
}

/// Whoever says that a node is leaving, no topology dials it.
#[test]
fn leaving_counts_for_all_topologies() {
    check(
        [
            topology("t", None),
            topology("u", TCP),
            complete("t", "a!"),
            complete("u", "a"),
            complete("t", "a"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            topology u by tcp
                0.0 topology_changed u
            t is [a!]
                0.0 node_discovered a discovered t=none
                0.0 node_up a leaving t=none: its source says that it is leaving
                0.0 topology_changed t
            u is [a]
                0.0 node_down a leaving t=none u=down: its source says that it is leaving
                0.0 topology_changed u
            t is [a]
                0.0 node_updated a discovered t=none u=connecting
                0.0 -> tcp connect a
        "#]],
    );
}

/// A member whose source let it go while its link is up goes down first.
#[test]
fn up_goes_down_before_it_is_gone() {
    check(
        [topology("t", TCP), obliging(TCP), complete("t", "a"), apply("t", "-a")],
        expect![[r#"
        topology t by tcp
            0.0 topology_changed t
        tcp will answer ok
        t is [a]
            0.0 node_discovered a discovered t=connecting
            0.0 topology_changed t
            0.0 -> tcp connect a
            0.0 node_up a up t=up
        t +[] -[a]
            0.0 node_down a down t=down: its source says that it is gone
            0.0 node_left a: its source says that it is gone
            0.0 -> tcp disconnect a
    "#]],
    );
}
