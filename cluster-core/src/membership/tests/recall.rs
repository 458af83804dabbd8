//! What a restart of the host is to the members that it remembers.

mod absence;

use expect_test::expect;

use super::{
    check,
    script::{ERL, Op, TCP, apply, complete, fail, list, ok, partial, topology, up, wait},
};

const RESTART: Op = Op::Restart(&[]);

/// A restart in which nothing changed is no event of a member: neither when it happens nor when sources and connectors
/// have spoken. Until then it can be asked which members are only remembered.
#[test]
#[expect(clippy::too_many_lines, reason = "what is expected is long")]
fn nothing_changed() {
    check(
        [
            topology("n", None),
            topology("v", ERL),
            complete("n", "a/2:1.1~eu b c!"),
            complete("v", "a/2:1.1~eu d"),
            ok(ERL, "a"),
            ok(ERL, "d"),
            list(ERL, "a d"),
            wait(100),
            RESTART,
            Op::Explain("a"),
            list(ERL, "a d"),
            complete("n", "a/2:1.1~eu b c!"),
            complete("v", "a/2:1.1~eu d"),
            Op::Explain("a"),
            wait(29),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            topology v by erl
                0.0 topology_changed v
                0.0 -> erl list
            n is [a/2:1.1~eu b c!]
                0.0 node_discovered a/2:1.1~eu discovered n=none
                0.0 node_up a/2:1.1~eu up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 node_discovered c discovered n=none
                0.0 node_up c leaving n=none: its source says that it is leaving
                0.0 topology_changed n
            v is [a/2:1.1~eu d]
                0.0 node_down a/2:1.1~eu down n=none v=connecting
                0.0 node_discovered d discovered v=connecting
                0.0 topology_changed v
                0.0 -> erl connect a:1.1
                0.0 -> erl connect d
            erl answers a ok
                0.0 node_up a/2:1.1~eu up n=none v=up
            erl answers d ok
                0.0 node_up d up v=up
            erl lists [a d]
            wait 100 s
                30.0 -> erl list
                36.0 -> erl cancel list
                36.9 -> erl list
                42.9 -> erl cancel list
                44.1 -> erl list
                50.1 -> erl cancel list
                53.5 -> erl list
                59.5 -> erl cancel list
                65.5 -> erl list
                71.5 -> erl cancel list
                75.9 -> erl list
                81.9 -> erl cancel list
                86.6 -> erl list
                92.6 -> erl cancel list
                99.8 -> erl list
            the host is restarted
                100.0 topology_changed n
                100.0 topology_changed v
                100.0 -> erl list
            explain a
                by n: a@h{".address": "1.1", "zone": "eu", ".incarnation": "2"} since 0.0 renewed 100.0
                    expires None stale false absent 0 held None
                    remembered
                by v: a@h{".address": "1.1", "zone": "eu", ".incarnation": "2"} since 0.0 renewed 100.0
                    expires None stale false absent 0 held None
                    remembered
                erl unknown, 0 failures, next None
            erl lists [a d]
            n is [a/2:1.1~eu b c!]
                100.0 topology_changed n
            v is [a/2:1.1~eu d]
                100.0 topology_changed v
            explain a
                by n: a@h{".incarnation": "2", ".address": "1.1", "zone": "eu"} since 0.0 renewed 100.0
                    expires None stale false absent 0 held None
                by v: a@h{".incarnation": "2", ".address": "1.1", "zone": "eu"} since 0.0 renewed 100.0
                    expires None stale false absent 0 held None
                erl up, 0 failures, next None
            wait 29 s
        "#]],
    );
}

/// Links that end with the host are down with its restart, and made again at once: before any source has spoken.
#[test]
fn own_links() {
    check(
        [
            topology("t", TCP),
            complete("t", "a:1.1 b:1.2"),
            ok(TCP, "a"),
            fail(TCP, "b", "refused"),
            RESTART,
            ok(TCP, "a"),
            fail(TCP, "b", "refused"),
            complete("t", "a:1.1 b:1.2"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a:1.1 b:1.2]
                0.0 node_discovered a:1.1 discovered t=connecting
                0.0 node_discovered b:1.2 discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a:1.1
                0.0 -> tcp connect b:1.2
            tcp answers a ok
                0.0 node_up a:1.1 up t=up
            tcp answers b failed: refused
                0.0 connect_failed b:1.2 discovered t=down: refused
            the host is restarted
                0.0 topology_changed t
                0.0 node_down a:1.1 down t=down: the link ended with the host, which was restarted
                0.0 -> tcp connect a:1.1
                0.0 -> tcp connect b:1.2
            tcp answers a ok
                0.0 node_up a:1.1 up t=up
            tcp answers b failed: refused
                0.0 connect_failed b:1.2 discovered t=down: refused
            t is [a:1.1 b:1.2]
                0.0 topology_changed t
        "#]],
    );
}

/// A link that outlives the host is as it was until its connector has told all; one that is not there any more is made
/// again at once.
#[test]
fn link_lost_meanwhile() {
    check(
        [
            topology("v", ERL),
            complete("v", "a b"),
            ok(ERL, "a"),
            ok(ERL, "b"),
            list(ERL, "a b"),
            RESTART,
            wait(1),
            list(ERL, "b"),
            ok(ERL, "a"),
        ],
        expect![[r#"
            topology v by erl
                0.0 topology_changed v
                0.0 -> erl list
            v is [a b]
                0.0 node_discovered a discovered v=connecting
                0.0 node_discovered b discovered v=connecting
                0.0 topology_changed v
                0.0 -> erl connect a
                0.0 -> erl connect b
            erl answers a ok
                0.0 node_up a up v=up
            erl answers b ok
                0.0 node_up b up v=up
            erl lists [a b]
            the host is restarted
                0.0 topology_changed v
                0.0 -> erl list
            wait 1 s
            erl lists [b]
                1.0 node_down a down v=down: the connector does not list it any more
                1.0 -> erl connect a
            erl answers a ok
                1.0 node_up a up v=up
        "#]],
    );
}

/// A connector that cannot tell its links, or tells nothing, is asked to make them.
#[test]
fn links_unknown() {
    let begin = || [topology("v", ERL), complete("v", "a"), ok(ERL, "a"), list(ERL, "a"), RESTART];
    let none_to_give = begin().into_iter().chain([Op::NoList(ERL.unwrap(), Ok(())), ok(ERL, "a")]);
    check(
        none_to_give,
        expect![[r#"
            topology v by erl
                0.0 topology_changed v
                0.0 -> erl list
            v is [a]
                0.0 node_discovered a discovered v=connecting
                0.0 topology_changed v
                0.0 -> erl connect a
            erl answers a ok
                0.0 node_up a up v=up
            erl lists [a]
            the host is restarted
                0.0 topology_changed v
                0.0 -> erl list
            erl gives no list, ok
                0.0 node_down a down v=down: its connector cannot tell whether the link outlived the restart of the host
                0.0 -> erl connect a
            erl answers a ok
                0.0 node_up a up v=up
        "#]],
    );
    check(
        begin().into_iter().chain([wait(29), wait(2)]),
        expect![[r#"
            topology v by erl
                0.0 topology_changed v
                0.0 -> erl list
            v is [a]
                0.0 node_discovered a discovered v=connecting
                0.0 topology_changed v
                0.0 -> erl connect a
            erl answers a ok
                0.0 node_up a up v=up
            erl lists [a]
            the host is restarted
                0.0 topology_changed v
                0.0 -> erl list
            wait 29 s
                6.0 -> erl cancel list
                6.6 -> erl list
                12.6 -> erl cancel list
                13.8 -> erl list
                19.8 -> erl cancel list
                22.1 -> erl list
                28.1 -> erl cancel list
            wait 2 s
                30.0 node_down a down v=down: its connector restarted and does not list it
                30.0 -> erl connect a
        "#]],
    );
}

/// Members of topologies that are not configured any more go with the restart; links of theirs that outlived the host are
/// left alone.
#[test]
fn topology_gone() {
    check(
        [
            topology("n", None),
            topology("v", ERL),
            topology("w", ERL),
            complete("n", "a b"),
            complete("v", "b"),
            ok(ERL, "b"),
            list(ERL, "b"),
            Op::Restart(&["n"]),
            Op::Restart(&["v"]),
            up(ERL, "b"),
            Op::Unclaimed("w"),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            topology v by erl
                0.0 topology_changed v
                0.0 -> erl list
            topology w by erl
                0.0 topology_changed w
            n is [a b]
                0.0 node_discovered a discovered n=none
                0.0 node_up a up n=none
                0.0 node_discovered b discovered n=none
                0.0 node_up b up n=none
                0.0 topology_changed n
            v is [b]
                0.0 node_down b down n=none v=connecting
                0.0 topology_changed v
                0.0 -> erl connect b
            erl answers b ok
                0.0 node_up b up n=none v=up
            erl lists [b]
            the host is restarted without n
                0.0 topology_changed v
                0.0 topology_changed w
                0.0 node_down a down n=none: its topology is not configured any more
                0.0 node_left a: its topology is not configured any more
                0.0 node_updated b up v=up
                0.0 topology_changed n: the topology is not configured any more
                0.0 -> erl list
            the host is restarted without v
                0.0 topology_changed w
                0.0 node_down b down v=down: its topology is not configured any more
                0.0 node_left b: its topology is not configured any more
                0.0 topology_changed v: the topology is not configured any more
                0.0 -> erl list
            erl up b
            unclaimed of w
                ["b"]
        "#]],
    );
}

/// What was remembered of a node's incarnation may be another source's word: it is not compared.
#[test]
fn incarnations() {
    check(
        [
            topology("n", None),
            topology("t", None),
            complete("n", "a/7"),
            complete("t", "a/3"),
            RESTART,
            complete("t", "a/3"),
            apply("n", "-a/6"),
            partial("n", ""),
            apply("n", "-a/6"),
            Op::Explain("a"),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            topology t by none
                0.0 topology_changed t
            n is [a/7]
                0.0 node_discovered a/7 discovered n=none
                0.0 node_up a/7 up n=none
                0.0 topology_changed n
            t is [a/3]
                0.0 node_updated a/7 up n=none t=none
                0.0 topology_changed t
            the host is restarted
                0.0 topology_changed n
                0.0 topology_changed t
            t is [a/3]
                0.0 topology_changed t
            n +[] -[a/6]
                refused: report refused: changes came before the first whole view of this strategy instance
                0.0 topology_changed n: report refused: changes came before the first whole view of this strategy instance
            n has []
                0.0 topology_changed n
            n +[] -[a/6]
                0.0 node_updated a/3 up t=none: its source says that it is gone
            explain a
                by t: a@h{".incarnation": "3"} since 0.0 renewed 0.0
                    expires None stale false absent 0 held None
                dead to n: 6
        "#]],
    );
}

/// Another name of the local node than the one that is remembered is another node.
#[test]
fn another_local_node() {
    check(
        [RESTART, Op::Local("you".to_owned()), RESTART],
        expect![[r#"
            the host is restarted
            local you
                0.0 node_down me down
                0.0 node_left me
                0.0 node_discovered you discovered
                0.0 node_up you up
            the host is restarted
        "#]],
    );
}
