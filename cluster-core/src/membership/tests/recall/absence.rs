//! Whom a source does not name after a restart of the host, or says to be gone.

use expect_test::expect;

use super::{
    super::{
        check,
        script::{ERL, Op, apply, complete, list, ok, partial, topology, wait},
    },
    RESTART,
};

/// Whom the source does not name any more goes as ever: after two views.
#[test]
fn not_named_any_more() {
    check(
        [
            topology("n", None),
            complete("n", "a b c d"),
            RESTART,
            complete("n", "a b c"),
            Op::Explain("d"),
            complete("n", "a b c"),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            n is [a b c d]
                0.0 node_discovered a discovered n=none
                0.0 node_up a up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 node_discovered c discovered n=none
                0.0 node_up c up n=none
                0.0 node_discovered d discovered n=none
                0.0 node_up d up n=none
                0.0 topology_changed n
            the host is restarted
                0.0 topology_changed n
            n is [a b c]
                0.0 node_updated d up n=none
                0.0 topology_changed n
            explain d
                by n: d@h{} since 0.0 renewed 0.0
                    expires None stale false absent 1 held None
            n is [a b c]
                0.0 node_down d down n=none: its source does not name it any more
                0.0 node_left d: its source does not name it any more
        "#]],
    );
}

/// A source that names nobody after the restart takes nobody down.
#[test]
fn empty_view() {
    check(
        [topology("n", None), complete("n", "a b"), RESTART, complete("n", ""), complete("n", ""), wait(11)],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            n is [a b]
                0.0 node_discovered a discovered n=none
                0.0 node_up a up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 topology_changed n
            the host is restarted
                0.0 topology_changed n
            n is []
                0.0 node_updated a up n=none
                0.0 node_updated b up n=none
                0.0 topology_changed n
            n is []
                0.0 node_updated a up n=none: its source does not name it any more
                0.0 node_updated b up n=none: its source does not name it any more
                0.0 topology_changed n: members that its source let go are held back by the prune policy: too many at once
            wait 11 s
        "#]],
    );
}

/// Whom the source says to be gone before its first whole view is held like any other: that view, without them, does not
/// begin the hold anew.
#[test]
fn held_before_the_first_whole_view() {
    check(
        [
            topology("n", None),
            complete("n", "a/1 b c"),
            RESTART,
            partial("n", ""),
            apply("n", "-a/1 -b -c"),
            wait(200),
            complete("n", ""),
            Op::Explain("a"),
            wait(101),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            n is [a/1 b c]
                0.0 node_discovered a/1 discovered n=none
                0.0 node_up a/1 up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 node_discovered c discovered n=none
                0.0 node_up c up n=none
                0.0 topology_changed n
            the host is restarted
                0.0 topology_changed n
            n has []
                0.0 topology_changed n
            n +[] -[a/1 b c]
                0.0 node_updated a/1 up n=none: its source says that it is gone
                0.0 node_updated b up n=none: its source says that it is gone
                0.0 node_updated c up n=none: its source says that it is gone
                0.0 topology_changed n: members that its source let go are held back by the prune policy: too many at once
            wait 200 s
            n is []
            explain a
                by n: a@h{".incarnation": "1"} since 0.0 renewed 0.0
                    expires None stale false absent 1 held Some(300.0)
                dead to n: 1
            wait 101 s
                300.0 node_down a/1 down n=none: its source let it go, and the hold on that is over
                300.0 node_left a: its source let it go, and the hold on that is over
                300.0 node_down b down n=none: its source let it go, and the hold on that is over
                300.0 node_left b: its source let it go, and the hold on that is over
                300.0 node_down c down n=none: its source let it go, and the hold on that is over
                300.0 node_left c: its source let it go, and the hold on that is over
                300.0 topology_changed n
        "#]],
    );
}

/// A source that says nothing of a node for a minute has it no longer, but for one whose link is up: that goes with the
/// link. More than half of a topology is held.
#[test]
#[expect(clippy::too_many_lines, reason = "what is expected is long")]
fn silent_source() {
    check(
        [
            topology("n", None),
            topology("v", ERL),
            complete("n", "a b c d e"),
            complete("v", "f g"),
            ok(ERL, "f"),
            list(ERL, "f"),
            RESTART,
            list(ERL, "f"),
            partial("n", "a b"),
            apply("n", "+c"),
            wait(59),
            wait(2),
            Op::Explain("f"),
            Op::Down(ERL.unwrap(), 1, "f".to_owned()),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            topology v by erl
                0.0 topology_changed v
                0.0 -> erl list
            n is [a b c d e]
                0.0 node_discovered a discovered n=none
                0.0 node_up a up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 node_discovered c discovered n=none
                0.0 node_up c up n=none
                0.0 node_discovered d discovered n=none
                0.0 node_up d up n=none
                0.0 node_discovered e discovered n=none
                0.0 node_up e up n=none
                0.0 topology_changed n
            v is [f g]
                0.0 node_discovered f discovered v=connecting
                0.0 node_discovered g discovered v=connecting
                0.0 topology_changed v
                0.0 -> erl connect f
                0.0 -> erl connect g
            erl answers f ok
                0.0 node_up f up v=up
            erl lists [f]
            the host is restarted
                0.0 topology_changed n
                0.0 topology_changed v
                0.0 -> erl list
                0.0 -> erl connect g
            erl lists [f]
            n has [a b]
                0.0 topology_changed n
            n +[c] -[]
            wait 59 s
                6.0 connect_failed g discovered v=down: the connector gave no answer within 5s
                6.0 -> erl cancel g
                6.6 -> erl connect g
                12.6 -> erl cancel g
                13.8 -> erl connect g
                19.8 -> erl cancel g
                22.1 -> erl connect g
                28.1 -> erl cancel g
                30.0 -> erl list
                34.5 -> erl connect g
                36.0 -> erl cancel list
                36.8 -> erl list
                40.5 -> erl cancel g
                42.8 -> erl cancel list
                44.3 -> erl list
                48.1 -> erl connect g
                50.3 -> erl cancel list
                53.0 -> erl list
                54.1 -> erl cancel g
                59.0 -> erl cancel list
            wait 2 s
                60.0 node_down d down n=none: its source does not name it any more
                60.0 node_left d: its source does not name it any more
                60.0 node_down e down n=none: its source does not name it any more
                60.0 node_left e: its source does not name it any more
                60.0 node_updated f up v=up: its topology has not heard of it for its time to live
                60.0 node_left g: its source does not name it any more
            explain f
                by v: f@h{} since 0.0 renewed 0.0
                    expires None stale true absent 0 held None
                erl up, 0 failures, next None
            erl down f
                61.0 node_down f down v=down: it broke
                61.0 node_left f: it broke
        "#]],
    );
    check(
        [topology("n", None), complete("n", "a b c d"), RESTART, wait(61), wait(300)],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            n is [a b c d]
                0.0 node_discovered a discovered n=none
                0.0 node_up a up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 node_discovered c discovered n=none
                0.0 node_up c up n=none
                0.0 node_discovered d discovered n=none
                0.0 node_up d up n=none
                0.0 topology_changed n
            the host is restarted
                0.0 topology_changed n
            wait 61 s
                60.0 node_updated a up n=none: its source does not name it any more
                60.0 node_updated b up n=none: its source does not name it any more
                60.0 node_updated c up n=none: its source does not name it any more
                60.0 node_updated d up n=none: its source does not name it any more
                60.0 topology_changed n: members that its source let go are held back by the prune policy: too many at once
            wait 300 s
                360.0 node_down a down n=none: its source let it go, and the hold on that is over
                360.0 node_left a: its source let it go, and the hold on that is over
                360.0 node_down b down n=none: its source let it go, and the hold on that is over
                360.0 node_left b: its source let it go, and the hold on that is over
                360.0 node_down c down n=none: its source let it go, and the hold on that is over
                360.0 node_left c: its source let it go, and the hold on that is over
                360.0 node_down d down n=none: its source let it go, and the hold on that is over
                360.0 node_left d: its source let it go, and the hold on that is over
                360.0 topology_changed n
        "#]],
    );
}
