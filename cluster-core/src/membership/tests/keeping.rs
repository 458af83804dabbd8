//! Links that their connector would not cut, and connectors that say what is not well with them.

use expect_test::expect;

use super::{
    check,
    script::{ERL, Op, TCP, apply, complete, down, keeps, ok, started, stopped, topology, wait},
};

/// A link that its connector would not cut is unclaimed: its node is no member, it is not to be cut again, and the
/// reason is told. It goes by itself, or is vouched for and let go anew.
#[test]
fn kept() {
    check(
        [
            topology("t", TCP),
            complete("t", "a:1.1"),
            ok(TCP, "a"),
            apply("t", "-a"),
            keeps(TCP, "a"),
            Op::Explain("a"),
            Op::Unclaimed("t"),
            wait(1_000),
            apply("t", "+a:1.2"),
            Op::Explain("a"),
            apply("t", "-a"),
            keeps(TCP, "a"),
            down(TCP, "a"),
            Op::Explain("a"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a:1.1]
                0.0 node_discovered a:1.1 discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a:1.1
            tcp answers a ok
                0.0 node_up a:1.1 up t=up
            t +[] -[a]
                0.0 node_down a:1.1 down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
            tcp answers a kept
            explain a
                tcp up, 0 failures, next None
                    kept: it would cost others
                    0.0 None
            unclaimed of t
                ["a"]
            wait 1000 s
            t +[a:1.2] -[]
                1000.0 node_discovered a:1.2 discovered t=up
                1000.0 node_up a:1.2 up t=up
            explain a
                by t: a@h{".address": "1.2"} since 1000.0 renewed 1000.0
                    expires None stale false absent 0 held None
                tcp up, 0 failures, next None
                    0.0 None
            t +[] -[a]
                1000.0 node_down a:1.2 down t=down: its source says that it is gone
                1000.0 node_left a: its source says that it is gone
                1000.0 -> tcp disconnect a
            tcp answers a kept
            tcp down a
            explain a
                nothing
        "#]],
    );
}

/// Who is vouched for again while its link is being cut has it still when the connector keeps it, and a link that was
/// to be made anew at another address stays where it is.
#[test]
fn kept_and_wanted() {
    check(
        [
            topology("t", TCP),
            complete("t", "a:1.1"),
            ok(TCP, "a"),
            apply("t", "-a"),
            apply("t", "+a:1.1"),
            keeps(TCP, "a"),
            apply("t", "+a:1.2"),
            Op::Unclaimed("t"),
            Op::Explain("a"),
            wait(100),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a:1.1]
                0.0 node_discovered a:1.1 discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a:1.1
            tcp answers a ok
                0.0 node_up a:1.1 up t=up
            t +[] -[a]
                0.0 node_down a:1.1 down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
            t +[a:1.1] -[]
                0.0 node_discovered a:1.1 discovered t=up
                0.0 node_up a:1.1 up t=up
            tcp answers a kept
            t +[a:1.2] -[]
                0.0 node_updated a:1.2 up t=up
            unclaimed of t
                []
            explain a
                by t: a@h{".address": "1.2"} since 0.0 renewed 0.0
                    expires None stale false absent 0 held None
                tcp up, 0 failures, next None
                    0.0 None
            wait 100 s
        "#]],
    );
}

/// There is nothing to keep where a link was to be made.
#[test]
fn a_dial_keeps_nothing() {
    check(
        [topology("t", TCP), complete("t", "a"), keeps(TCP, "a")],
        expect![[r#"
        topology t by tcp
            0.0 topology_changed t
        t is [a]
            0.0 node_discovered a discovered t=connecting
            0.0 topology_changed t
            0.0 -> tcp connect a
        tcp answers a kept
            0.0 connect_failed a discovered t=down: it would cost others
    "#]],
    );
}

/// What is not well with a connector shows with its topologies, and hinders no dial; its end is worse news.
#[test]
fn troubled() {
    check(
        [
            topology("t", ERL),
            complete("t", "a"),
            Op::Troubled(ERL.unwrap(), Some("cookie is readable by others")),
            Op::Troubled(ERL.unwrap(), Some("cookie is readable by others")),
            complete("t", "a b"),
            Op::Unavailable(ERL.unwrap(), "no BEAM node yet"),
            Op::Available(ERL.unwrap()),
            Op::Troubled(ERL.unwrap(), None),
            Op::Troubled(ERL.unwrap(), Some("cookie is readable by others")),
            stopped(ERL),
            started(ERL),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
            erl troubled: Some("cookie is readable by others")
                0.0 topology_changed t: connector erl: cookie is readable by others
            erl troubled: Some("cookie is readable by others")
            t is [a b]
                0.0 node_discovered b discovered t=connecting
                0.0 -> erl connect b
            erl unavailable: no BEAM node yet
                0.0 topology_changed t: connector erl: no BEAM node yet; nothing is dialled until it is available
                0.0 -> erl cancel a
                0.0 -> erl cancel b
            erl available
                0.0 topology_changed t: connector erl: cookie is readable by others
                0.0 -> erl connect a
                0.0 -> erl connect b
            erl troubled: None
                0.0 topology_changed t
            erl troubled: Some("cookie is readable by others")
                0.0 topology_changed t: connector erl: cookie is readable by others
            erl stops
                0.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            erl starts
                0.0 topology_changed t
                0.0 -> erl list
                0.0 -> erl connect a
                0.0 -> erl connect b
        "#]],
    );
}
