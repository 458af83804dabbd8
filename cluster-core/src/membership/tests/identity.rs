//! Names, incarnations and who is dead.

use expect_test::expect;

use super::{
    super::TOMBSTONES_MAX,
    check,
    script::{Op, TCP, apply, complete, obliging, partial, topology, wait},
    world::World,
};

/// An incarnation that its source buried does not return, nor an older one; a later one does.
#[test]
fn the_dead_stay_dead() {
    check(
        [
            topology("t", None),
            partial("t", ""),
            apply("t", "+a/5"),
            apply("t", "-a/5"),
            apply("t", "+a/5"),
            complete("t", "a/4"),
            apply("t", "+a/6"),
            apply("t", "-a/5"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t has []
                0.0 topology_changed t
            t +[a/5] -[]
                0.0 node_discovered a/5 discovered t=none
                0.0 node_up a/5 up t=none
            t +[] -[a/5]
                0.0 node_down a/5 down t=none: its source says that it is gone
                0.0 node_left a: its source says that it is gone
            t +[a/5] -[]
            t is [a/4]
            t +[a/6] -[]
                0.0 node_discovered a/6 discovered t=none
                0.0 node_up a/6 up t=none
            t +[] -[a/5]
        "#]],
    );
}

/// What is older than what the source already said is dropped, also after the later one is gone.
#[test]
fn older_incarnations_are_dropped() {
    check(
        [
            topology("t", None),
            partial("t", ""),
            apply("t", "+a/5~eu"),
            apply("t", "+a/7~us"),
            apply("t", "+a/5~eu"),
            partial("t", "a/5~eu"),
            apply("t", "-a"),
            apply("t", "+a/5"),
            apply("t", "+a/7"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t has []
                0.0 topology_changed t
            t +[a/5~eu] -[]
                0.0 node_discovered a/5~eu discovered t=none
                0.0 node_up a/5~eu up t=none
            t +[a/7~us] -[]
                0.0 node_updated a/7~us up t=none
            t +[a/5~eu] -[]
            t has [a/5~eu]
            t +[] -[a]
                0.0 node_down a/7~us down t=none: its source says that it is gone
                0.0 node_left a: its source says that it is gone
            t +[a/5] -[]
            t +[a/7] -[]
                0.0 node_discovered a/7 discovered t=none
                0.0 node_up a/7 up t=none
        "#]],
    );
}

/// A restart told in one report: the old incarnation is removed, the new one is there, and no moment is without.
#[test]
fn a_restart_in_one_report() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            partial("t", "a/1"),
            apply("t", "+a/2 -a/1"),
            apply("t", "+a/2 -a/2"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            t has [a/1]
                0.0 node_discovered a/1 discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a/1 up t=up
            t +[a/2] -[a/1]
                0.0 node_updated a/2 up t=up
            t +[a/2] -[a/2]
                0.0 node_down a/2 down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
        "#]],
    );
}

/// Incarnations of different sources do not compare: each buries its own.
#[test]
fn tombstones_are_per_source() {
    check(
        [
            topology("t", None),
            topology("u", None),
            partial("t", "a/900"),
            partial("u", "a/2"),
            apply("t", "-a/900"),
            apply("u", "+a/3"),
            apply("t", "+a/900"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            topology u by none
                0.0 topology_changed u
            t has [a/900]
                0.0 node_discovered a/900 discovered t=none
                0.0 node_up a/900 up t=none
                0.0 topology_changed t
            u has [a/2]
                0.0 node_updated a/900 up t=none u=none
                0.0 topology_changed u
            t +[] -[a/900]
                0.0 node_updated a/2 up u=none: its source says that it is gone
            u +[a/3] -[]
                0.0 node_updated a/3 up u=none
            t +[a/900] -[]
        "#]],
    );
}

/// Who is held though dead is not brought back by a list that still names the dead incarnation.
#[test]
fn held_and_dead() {
    check(
        [
            topology("t", None),
            complete("t", "a/1 b/1 c/1"),
            apply("t", "-a/1 -b/1 -c/1"),
            complete("t", "a/1 b/1 c/2"),
            complete("t", "a/1 b/1 c/2"),
            wait(301),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a/1 b/1 c/1]
                0.0 node_discovered a/1 discovered t=none
                0.0 node_up a/1 up t=none
                0.0 node_discovered b/1 discovered t=none
                0.0 node_up b/1 up t=none
                0.0 node_discovered c/1 discovered t=none
                0.0 node_up c/1 up t=none
                0.0 topology_changed t
            t +[] -[a/1 b/1 c/1]
                0.0 node_updated a/1 up t=none: its source says that it is gone
                0.0 node_updated b/1 up t=none: its source says that it is gone
                0.0 node_updated c/1 up t=none: its source says that it is gone
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            t is [a/1 b/1 c/2]
                0.0 node_updated c/2 up t=none
                0.0 topology_changed t: members that its source let go are held back by the prune policy: too many at once
            t is [a/1 b/1 c/2]
            wait 301 s
                300.0 node_down a/1 down t=none: its source let it go, and the hold on that is over
                300.0 node_left a: its source let it go, and the hold on that is over
                300.0 node_down b/1 down t=none: its source let it go, and the hold on that is over
                300.0 node_left b: its source let it go, and the hold on that is over
                300.0 topology_changed t
        "#]],
    );
}

/// `forget` lets a name begin anew, whatever its incarnation: clocks go back sometimes.
#[test]
fn forget_frees_the_name() {
    check(
        [
            topology("t", None),
            complete("t", "a/9 b"),
            apply("t", "-a/9"),
            complete("t", "a/1 b"),
            Op::Forget("a"),
            complete("t", "a/1 b"),
        ],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t is [a/9 b]
                0.0 node_discovered a/9 discovered t=none
                0.0 node_up a/9 up t=none
                0.0 node_discovered b discovered t=none
                0.0 node_up b up t=none
                0.0 topology_changed t
            t +[] -[a/9]
                0.0 node_down a/9 down t=none: its source says that it is gone
                0.0 node_left a: its source says that it is gone
            t is [a/1 b]
            forget a
            t is [a/1 b]
                0.0 node_discovered a/1 discovered t=none
                0.0 node_up a/1 up t=none
        "#]],
    );
}

/// The memory of the dead is bounded: whoever was buried longest ago is forgotten first.
#[test]
fn tombstones_are_bounded() {
    let mut world = World::new();
    world.run(&topology("t", None));
    world.run(&partial("t", ""));
    let name = |number: usize| format!("n{number}");
    world.run(&apply("t", &format!("-{}/1", name(0))));
    world.run(&apply("t", &format!("-{}/1", name(1))));
    world.run(&apply("t", &format!("-{}/1", name(0))));
    let crowd: Vec<_> = (2..=TOMBSTONES_MAX).map(|number| format!("-{}/1", name(number))).collect();
    world.run(&apply("t", &crowd.join(" ")));
    world.told.clear();
    world.unbury();
    world.run(&apply("t", "+n0/1 +n1/1 +n2/1"));
    expect![[r#"
        t +[n0/1 n1/1 n2/1] -[]
            0.0 node_discovered n1/1 discovered t=none
            0.0 node_up n1/1 up t=none
    "#]]
    .assert_eq(&world.told);
}

/// A restart shows as a new incarnation, and a new address as an update of the same member.
#[test]
fn the_name_is_the_identity() {
    check(
        [topology("t", None), partial("t", "a/1:1.1"), apply("t", "+a/1:1.2"), apply("t", "+a/2:1.2")],
        expect![[r#"
            topology t by none
                0.0 topology_changed t
            t has [a/1:1.1]
                0.0 node_discovered a/1:1.1 discovered t=none
                0.0 node_up a/1:1.1 up t=none
                0.0 topology_changed t
            t +[a/1:1.2] -[]
                0.0 node_updated a/1:1.2 up t=none
            t +[a/2:1.2] -[]
                0.0 node_updated a/2:1.2 up t=none
        "#]],
    );
}
