//! Time to live, and what stops its clocks.

use std::time::Duration;

use expect_test::expect;

use super::{
    super::PrunePolicy,
    check,
    script::{Op, TCP, apply, complete, down, obliging, partial, topology, up, wait},
};

/// Without a connector a vouch that runs out is withdrawn; who is heard again in time stays.
#[test]
fn without_a_connector_it_ends() {
    check(
        [
            topology("t", None),
            partial("t", ""),
            apply("t", "+a +b +c").with(10),
            wait(6),
            apply("t", "+a").with(10),
            apply("t", "+c"),
            wait(6),
            wait(6),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t has []
                0.0 topology_changed t
            t +[a b c] -[] for 10 s
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
            wait 6 s
            t +[a] -[] for 10 s
            t +[c] -[]
            wait 6 s
                10.0 node_down b down t=none: its topology has not heard of it for its time to live
                10.0 node_left b: its topology has not heard of it for its time to live
            wait 6 s
                16.0 node_down a down t=none: its topology has not heard of it for its time to live
                16.0 node_left a: its topology has not heard of it for its time to live
        "#]],
    );
}

/// A vouch that had no end, or a later one, gets the earlier end that the last word gives it.
#[test]
fn the_last_word_sets_the_end() {
    check(
        [
            topology("t", None),
            complete("t", "a b c"),
            apply("t", "+a").with(5),
            apply("t", "+b").with(50),
            apply("t", "+b").with(5),
            wait(6),
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
            t +[a] -[] for 5 s
            t +[b] -[] for 50 s
            t +[b] -[] for 5 s
            wait 6 s
                5.0 node_down a down t=none: its topology has not heard of it for its time to live
                5.0 node_left a: its topology has not heard of it for its time to live
                5.0 node_down b down t=none: its topology has not heard of it for its time to live
                5.0 node_left b: its topology has not heard of it for its time to live
        "#]],
    );
}

/// The same view again renews all that it names, and with it the end.
#[test]
fn the_same_view_renews() {
    check(
        [
            topology("t", None),
            complete("t", "a b").with(10),
            wait(8),
            complete("t", "a b").with(10),
            wait(8),
            partial("t", "a").with(10),
            wait(1),
            wait(2),
            wait(10),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b] for 10 s
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 topology_changed t
            wait 8 s
            t is [a b] for 10 s
            wait 8 s
            t has [a] for 10 s
            wait 1 s
            wait 2 s
                18.0 node_down b down t=none: its topology has not heard of it for its time to live
                18.0 node_left b: its topology has not heard of it for its time to live
            wait 10 s
                26.0 node_down a down t=none: its topology has not heard of it for its time to live
                26.0 node_left a: its topology has not heard of it for its time to live
        "#]],
    );
}

/// A time to live, or a policy, longer than any clock is no panic.
#[test]
fn for_ever_and_a_day() {
    let patient = PrunePolicy { after: Duration::MAX, hold: Duration::MAX, ..PrunePolicy::default() };
    check(
        [
            Op::Topology("t", None, patient),
            complete("t", "a b").with(u64::MAX),
            apply("t", "+c").with(u64::MAX),
            complete("t", "").with(u64::MAX),
            wait(100_000),
            complete("t", ""),
            Op::Stop("t"),
            wait(100_000),
            Op::Start("t"),
        ],
        expect![[r#"
            topology t by none, PrunePolicy { never: false, rounds: 2, after: 18446744073709551615.999999999s, max_fraction: 0.5, hold: 18446744073709551615.999999999s }
                0.0 topology_changed t
            t is [a b] for 18446744073709551615 s
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 topology_changed t
            t +[c] -[] for 18446744073709551615 s
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
            t is [] for 18446744073709551615 s
                0.0 node_updated a up t=none
                0.0 node_updated b up t=none
                0.0 node_updated c up t=none
            wait 100000 s
            t is []
                100000.0 node_updated a up t=none: its source does not name it any more
                100000.0 node_updated b up t=none: its source does not name it any more
                100000.0 node_updated c up t=none: its source does not name it any more
                100000.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            strategy of t stops
            wait 100000 s
            strategy of t starts
        "#]],
    );
}

/// A hundred views do not mean a hundred timers.
#[test]
fn one_timer_is_enough() {
    let mut world = super::world::World::new();
    world.run(&topology("t", None));
    for _ in 0..100 {
        world.run(&complete("t", "a b").with(100));
        world.run(&apply("t", "+c").with(50));
        world.run(&wait(1));
    }
    world.run(&wait(1_000));
    assert!(world.timeouts < 20, "{} timeouts", world.timeouts);
}

/// With a real connector a vouch that runs out is stale while the link is up, and withdrawn once it is down.
#[test]
fn with_a_connector_it_is_stale_first() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            complete("t", "a b").with(10),
            wait(60),
            down(TCP, "a"),
            wait(60),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            t is [a b] for 10 s
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 -> tcp connect b
                0.0 node_up a up t=up
                0.0 node_up b up t=up
            wait 60 s
                10.0 node_updated a up t=up: its topology has not heard of it for its time to live
                10.0 node_updated b up t=up: its topology has not heard of it for its time to live
            tcp down a
                60.0 node_down a down t=down: it broke
                60.0 node_left a: it broke
            wait 60 s
        "#]],
    );
}

/// Who is named again is not stale any more, also by the very same view.
#[test]
fn stale_ends_with_being_named() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            complete("t", "a b").with(10),
            wait(11),
            complete("t", "a b").with(10),
            down(TCP, "a"),
            wait(2),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            t is [a b] for 10 s
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 -> tcp connect b
                0.0 node_up a up t=up
                0.0 node_up b up t=up
            wait 11 s
                10.0 node_updated a up t=up: its topology has not heard of it for its time to live
                10.0 node_updated b up t=up: its topology has not heard of it for its time to live
            t is [a b] for 10 s
                11.0 node_updated a up t=up
                11.0 node_updated b up t=up
            tcp down a
                11.0 node_down a down t=down: it broke
            wait 2 s
                11.9 -> tcp connect a
                11.9 node_up a up t=up
        "#]],
    );
}

/// Who was never linked ends with the vouch, even where a connector tries.
#[test]
fn never_linked_ends() {
    check(
        [topology("t", TCP), complete("t", "a").with(3), wait(4)],
        expect![[r#"
        topology t by tcp
            0.0 topology_changed t
        t is [a] for 3 s
            0.0 node_discovered a discovered t=connecting
            0.0 topology_changed t
            0.0 -> tcp connect a
        wait 4 s
            3.0 node_left a: its topology has not heard of it for its time to live
            3.0 -> tcp cancel a
    "#]],
    );
}

/// While the strategy does not run nothing runs out and no absence ripens; after its restart each vouch has one
/// full time to live, and other clocks go on.
#[test]
fn clocks_stop_with_the_strategy() {
    check(
        [
            topology("t", None),
            complete("t", "a b c d").with(10),
            complete("t", "a b c").with(10),
            wait(4),
            Op::Stop("t"),
            wait(1_000),
            Op::Start("t"),
            wait(5),
            wait(4),
            wait(2),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a b c d] for 10 s
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 node_discovered c discovered t=none
                0.0 node_up c up t=none
                0.0 node_discovered d discovered t=none
                0.0 node_up d up t=none
                0.0 topology_changed t
            t is [a b c] for 10 s
                0.0 node_updated d up t=none
            wait 4 s
            strategy of t stops
            wait 1000 s
            strategy of t starts
            wait 5 s
            wait 4 s
                1010.0 node_down d down t=none: its source does not name it any more
                1010.0 node_left d: its source does not name it any more
            wait 2 s
                1014.0 node_down a down t=none: its topology has not heard of it for its time to live
                1014.0 node_left a: its topology has not heard of it for its time to live
                1014.0 node_down b down t=none: its topology has not heard of it for its time to live
                1014.0 node_left b: its topology has not heard of it for its time to live
                1014.0 node_down c down t=none: its topology has not heard of it for its time to live
                1014.0 node_left c: its topology has not heard of it for its time to live
        "#]],
    );
}

/// A hold stands still, too.
#[test]
fn holds_stop_with_the_strategy() {
    check(
        [
            topology("t", None),
            complete("t", "a"),
            complete("t", ""),
            wait(20),
            Op::Stop("t"),
            wait(1_000),
            Op::Start("t"),
            wait(289),
            wait(2),
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
            wait 20 s
                10.0 node_updated a up t=none: its source does not name it any more
                10.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            strategy of t stops
            wait 1000 s
            strategy of t starts
            wait 289 s
            wait 2 s
                1310.0 node_down a down t=none: its source let it go, and the hold on that is over
                1310.0 node_left a: its source let it go, and the hold on that is over
                1310.0 topology_changed t
        "#]],
    );
}

/// The clocks of one topology run on when the strategy of another stops.
#[test]
fn clocks_stop_for_one_topology_only() {
    check(
        [
            topology("t", None),
            topology("u", None),
            complete("t", "a").with(10),
            complete("u", "a b").with(10),
            Op::Stop("t"),
            wait(11),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            topology u by none
                0.0 topology_changed u
            t is [a] for 10 s
                0.0 node_discovered a discovered t=none
                0.0 node_up a up t=none
                0.0 topology_changed t
            u is [a b] for 10 s
                0.0 node_updated a up t=none u=none
                0.0 node_discovered b discovered u=none
                0.0 node_up b up u=none
                0.0 topology_changed u
            strategy of t stops
            wait 11 s
                10.0 node_updated a up t=none: its topology has not heard of it for its time to live
                10.0 node_down b down u=none: its topology has not heard of it for its time to live
                10.0 node_left b: its topology has not heard of it for its time to live
        "#]],
    );
}

/// A node that one topology has not heard of stays by the word of the other.
#[test]
fn another_topology_vouches_on() {
    check(
        [
            topology("t", TCP),
            topology("u", TCP),
            up(TCP, "a"),
            complete("t", "a").with(10),
            complete("u", "a"),
            wait(11),
            down(TCP, "a"),
            wait(2),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            topology u by tcp
                0.0 topology_changed u
            tcp up a
            t is [a] for 10 s
                0.0 node_discovered a discovered t=up
                0.0 node_up a up t=up
                0.0 topology_changed t
            u is [a]
                0.0 node_updated a up t=up u=up
                0.0 topology_changed u
            wait 11 s
                10.0 node_updated a up t=up u=up: its topology has not heard of it for its time to live
            tcp down a
                11.0 node_down a down u=down: it broke
            wait 2 s
                11.9 -> tcp connect a
        "#]],
    );
}
