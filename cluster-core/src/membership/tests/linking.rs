//! Links: wanted, made, lost, unclaimed, and what becomes of them when their connector restarts.

use expect_test::expect;

use super::{
    check,
    script::{
        ERL, Op, TCP, apply, complete, down, fail, links, list, obliging, ok, started, stopped, topology, up,
        wait,
    },
};

/// A vouched node is dialled once, and up when that succeeds; it goes down with its link and is dialled again.
#[test]
fn a_link_comes_and_goes() {
    check(
        [topology("t", TCP), complete("t", "a:1.1"), ok(TCP, "a"), down(TCP, "a"), wait(1), ok(TCP, "a")],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a:1.1]
                0.0 node_discovered a:1.1 discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a:1.1
            tcp answers a ok
                0.0 node_up a:1.1 up t=up
            tcp down a
                0.0 node_down a:1.1 down t=down: it broke
            wait 1 s
                0.9 -> tcp connect a:1.1
            tcp answers a ok
                1.0 node_up a:1.1 up t=up
        "#]],
    );
}

/// A link that is there before anybody vouches is no member, no event, never cut and listed with the topology;
/// a later vouch adopts it without dialling.
#[test]
fn unclaimed_links() {
    check(
        [
            topology("t", TCP),
            up(TCP, "a b"),
            Op::Unclaimed("t"),
            wait(1_000),
            complete("t", "a"),
            Op::Unclaimed("t"),
            down(TCP, "b"),
            Op::Unclaimed("t"),
            topology("u", TCP),
            up(TCP, "c"),
            Op::Unclaimed("u"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp up a b
            unclaimed of t
                ["a", "b"]
            wait 1000 s
            t is [a]
                1000.0 node_discovered a discovered t=up
                1000.0 node_up a up t=up
                1000.0 topology_changed t
            unclaimed of t
                ["b"]
            tcp down b
            unclaimed of t
                []
            topology u by tcp
                1000.0 topology_changed u
            tcp up c
            unclaimed of u
                ["c"]
        "#]],
    );
}

/// A node that comes by itself while it is dialled is up; the outcome of the dial is no news.
#[test]
fn up_while_dialled() {
    check(
        [topology("t", TCP), complete("t", "a"), up(TCP, "a"), fail(TCP, "a", "exists"), wait(60)],
        expect![[r#"
        topology t by tcp
            0.0 topology_changed t
        t is [a]
            0.0 node_discovered a discovered t=connecting
            0.0 topology_changed t
            0.0 -> tcp connect a
        tcp up a
            0.0 node_up a up t=up
        tcp answers a failed: exists
        wait 60 s
    "#]],
    );
}

/// A link that came and went while its dial is under way is dialled again, but not before that dial has ended.
#[test]
fn one_operation_at_a_time() {
    check(
        [
            topology("t", TCP),
            complete("t", "a"),
            up(TCP, "a"),
            down(TCP, "a"),
            wait(3),
            ok(TCP, "a"),
            ok(TCP, "a"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            tcp up a
                0.0 node_up a up t=up
            tcp down a
                0.0 node_down a down t=down: it broke
            wait 3 s
            tcp answers a ok
                3.0 -> tcp connect a
            tcp answers a ok
                3.0 node_up a up t=up
        "#]],
    );
}

/// A vouch that ends while its node is dialled cancels that; what the connector says of it afterwards is dropped.
#[test]
fn withdrawn_while_dialled() {
    check(
        [topology("t", TCP), complete("t", "a"), apply("t", "-a"), ok(TCP, "a"), wait(60)],
        expect![[r#"
        topology t by tcp
            0.0 topology_changed t
        t is [a]
            0.0 node_discovered a discovered t=connecting
            0.0 topology_changed t
            0.0 -> tcp connect a
        t +[] -[a]
            0.0 node_left a: its source says that it is gone
            0.0 -> tcp cancel a
        tcp answers a ok
        wait 60 s
    "#]],
    );
}

/// A vouch that comes back while the link is cut finds it gone and dials; one that comes before keeps the link.
#[test]
fn vouched_for_while_cut() {
    check(
        [
            topology("t", ERL),
            complete("t", "a b c d e f"),
            links(ERL, "a b c d e f"),
            ok(ERL, "a"),
            ok(ERL, "b"),
            apply("t", "-a -b -c"),
            apply("t", "+a +c"),
            ok(ERL, "a"),
            wait(2),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a b c d e f]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 node_discovered c discovered t=connecting
                0.0 node_discovered d discovered t=connecting
                0.0 node_discovered e discovered t=connecting
                0.0 node_discovered f discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
                0.0 -> erl connect b
            erl links [a b c d e f]
                0.0 node_up a up t=up
                0.0 node_up b up t=up
                0.0 node_up c up t=up
                0.0 node_up d up t=up
                0.0 node_up e up t=up
                0.0 node_up f up t=up
            erl answers a ok
            erl answers b ok
            t +[] -[a b c]
                0.0 node_down a down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 node_down b down t=down: its source says that it is gone
                0.0 node_left b: its source says that it is gone
                0.0 node_down c down t=down: its source says that it is gone
                0.0 node_left c: its source says that it is gone
                0.0 -> erl disconnect a
                0.0 -> erl disconnect b
            t +[a c] -[]
                0.0 node_discovered a discovered t=up
                0.0 node_up a up t=up
                0.0 node_discovered c discovered t=up
                0.0 node_up c up t=up
            erl answers a ok
                0.0 node_down a down t=down: it was disconnected
            wait 2 s
                0.9 -> erl connect a
        "#]],
    );
}

/// A cut that fails is tried again for as long as nobody vouches.
#[test]
fn a_cut_that_fails_is_tried_again() {
    check(
        [
            topology("t", TCP),
            complete("t", "a"),
            ok(TCP, "a"),
            apply("t", "-a"),
            fail(TCP, "a", "busy"),
            wait(1),
            fail(TCP, "a", "busy"),
            Op::Unclaimed("t"),
            apply("t", "+a"),
            wait(60),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            tcp answers a ok
                0.0 node_up a up t=up
            t +[] -[a]
                0.0 node_down a down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
            tcp answers a failed: busy
            wait 1 s
                0.9 -> tcp disconnect a
            tcp answers a failed: busy
            unclaimed of t
                []
            t +[a] -[]
                1.0 node_discovered a discovered t=up
                1.0 node_up a up t=up
            wait 60 s
        "#]],
    );
}

/// Late, unknown and doubled outcomes are dropped, and so is what an older generation says.
#[test]
fn stale_words_are_dropped() {
    check(
        [
            topology("t", TCP),
            complete("t", "a"),
            fail(TCP, "a", "refused"),
            ok(TCP, "a"),
            up(TCP, "a").with(3),
            down(TCP, "a").with(2),
            links(TCP, "").with(2),
            ok(TCP, "a"),
            down(TCP, "a").with(3),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            tcp answers a failed: refused
                0.0 connect_failed a discovered t=down: refused
            tcp answers a ok
            tcp up a (generation 3)
                0.0 node_up a up t=up
            tcp down a (generation 2)
            tcp links [] (generation 2)
            tcp answers a ok
            tcp down a (generation 3)
                0.0 node_down a down t=down: it broke
        "#]],
    );
}

/// A new generation ends the links that do not outlive their connector, and makes the others doubtful.
#[test]
fn a_new_generation() {
    check(
        [
            topology("t", TCP),
            topology("u", ERL),
            complete("t", "a"),
            complete("u", "b c"),
            up(TCP, "a").with(1),
            up(ERL, "b c").with(1),
            up(TCP, "x").with(2),
            links(ERL, "b").with(2),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            topology u by erl
                0.0 topology_changed u
                0.0 -> erl list
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            u is [b c]
                0.0 node_discovered b discovered u=connecting
                0.0 node_discovered c discovered u=connecting
                0.0 topology_changed u
                0.0 -> erl connect b
                0.0 -> erl connect c
            tcp up a
                0.0 node_up a up t=up
            erl up b c
                0.0 node_up b up u=up
                0.0 node_up c up u=up
            tcp up x (generation 2)
                0.0 node_down a down t=down: its connector began a new generation of links
            erl links [b] (generation 2)
                0.0 node_updated b up u=unknown: its connector began a new generation of links
                0.0 node_updated c up u=unknown: its connector began a new generation of links
                0.0 node_updated b up u=up
                0.0 node_down c down u=down: the connector does not list it any more
        "#]],
    );
}

/// Links that are a connector's own go down with it, and are dialled when it runs again.
#[test]
fn own_links_go_down_with_their_connector() {
    check(
        [
            topology("t", TCP),
            complete("t", "a b c"),
            ok(TCP, "a"),
            up(TCP, "x"),
            stopped(TCP),
            wait(5),
            up(TCP, "b"),
            started(TCP),
            wait(1),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a b c]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 node_discovered c discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 -> tcp connect b
            tcp answers a ok
                0.0 node_up a up t=up
                0.0 -> tcp connect c
            tcp up x
            tcp stops
                0.0 node_down a down t=down: it crashed
                0.0 topology_changed t: connector tcp: it crashed; nothing is dialled until it is available
            wait 5 s
            tcp up b
            tcp starts
                5.0 topology_changed t
                5.0 -> tcp connect b
                5.0 -> tcp connect c
            wait 1 s
        "#]],
    );
}

/// Links that outlive it are unknown, which counts as up, until its next complete list.
#[test]
fn outliving_links_are_unknown_until_listed() {
    check(
        [
            topology("t", ERL),
            complete("t", "a b"),
            up(ERL, "a b"),
            stopped(ERL),
            wait(20),
            started(ERL),
            list(ERL, "a"),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a b]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
                0.0 -> erl connect b
            erl up a b
                0.0 node_up a up t=up
                0.0 node_up b up t=up
            erl stops
                0.0 node_updated a up t=unknown: it crashed
                0.0 node_updated b up t=unknown: it crashed
                0.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            wait 20 s
            erl starts
                20.0 topology_changed t
                20.0 -> erl list
            erl lists [a]
                20.0 node_updated a up t=up
                20.0 node_down b down t=down: the connector does not list it any more
        "#]],
    );
}

/// Or for thirty seconds, also where the connector restarts again and again.
#[test]
fn unknown_for_thirty_seconds_at_most() {
    check(
        [
            topology("t", ERL),
            complete("t", "a"),
            up(ERL, "a"),
            stopped(ERL),
            wait(15),
            started(ERL),
            stopped(ERL),
            wait(14),
            wait(2),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
            erl up a
                0.0 node_up a up t=up
            erl stops
                0.0 node_updated a up t=unknown: it crashed
                0.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            wait 15 s
            erl starts
                15.0 topology_changed t
                15.0 -> erl list
            erl stops
                15.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            wait 14 s
            wait 2 s
                30.0 node_down a down t=down: its connector restarted and does not list it
        "#]],
    );
}

/// A link that nobody vouches for any more when its connector comes back is cut then.
#[test]
fn withdrawn_while_unknown() {
    check(
        [
            topology("t", ERL),
            complete("t", "a b c"),
            up(ERL, "a b"),
            apply("t", "-b"),
            stopped(ERL),
            apply("t", "-a"),
            started(ERL),
            list(ERL, "a b"),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a b c]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 node_discovered c discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
                0.0 -> erl connect b
            erl up a b
                0.0 node_up a up t=up
                0.0 node_up b up t=up
            t +[] -[b]
                0.0 node_down b down t=down: its source says that it is gone
                0.0 node_left b: its source says that it is gone
            erl stops
                0.0 node_updated a up t=unknown: it crashed
                0.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            t +[] -[a]
                0.0 node_down a down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
            erl starts
                0.0 topology_changed t
                0.0 -> erl list
                0.0 -> erl connect c
            erl lists [a b]
                0.0 -> erl disconnect a
        "#]],
    );
}

/// A list does not know who came up after it was asked for, nor who went down.
#[test]
fn a_list_that_was_overtaken() {
    check(
        [
            topology("t", ERL),
            complete("t", "a b c"),
            up(ERL, "a b"),
            list(ERL, "a b"),
            wait(30),
            up(ERL, "c"),
            down(ERL, "a"),
            list(ERL, "a b"),
            wait(30),
            list(ERL, "c"),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a b c]
                0.0 node_discovered a discovered t=connecting
                0.0 node_discovered b discovered t=connecting
                0.0 node_discovered c discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
                0.0 -> erl connect b
            erl up a b
                0.0 node_up a up t=up
                0.0 node_up b up t=up
            erl lists [a b]
            wait 30 s
                6.0 -> erl cancel a
                6.0 -> erl cancel b
                6.0 -> erl connect c
                12.0 connect_failed c discovered t=down: the connector gave no answer within 5s
                12.0 -> erl cancel c
                12.9 -> erl connect c
                18.9 -> erl cancel c
                20.1 -> erl connect c
                26.1 -> erl cancel c
                29.5 -> erl connect c
                30.0 -> erl list
            erl up c
                30.0 node_up c up t=up
            erl down a
                30.0 node_down a down t=down: it broke
            erl lists [a b]
            wait 30 s
                30.7 -> erl connect a
                35.5 -> erl cancel c
                36.7 connect_failed a down t=down: the connector gave no answer within 5s
                36.7 -> erl cancel a
                37.3 -> erl connect a
                43.3 -> erl cancel a
                44.5 -> erl connect a
                50.5 -> erl cancel a
                54.0 -> erl connect a
                60.0 -> erl list
            erl lists [c]
                60.0 node_down b down t=down: the connector does not list it any more
        "#]],
    );
}

/// The connector is asked for its links at its start and then at its interval, once, however often it restarted;
/// a late answer is dropped, and a failed question is soon asked again.
#[test]
fn lists_are_asked_for() {
    check(
        [
            topology("t", ERL),
            complete("t", "a"),
            list(ERL, ""),
            up(ERL, "a"),
            stopped(ERL),
            started(ERL),
            stopped(ERL),
            started(ERL),
            Op::NoList(ERL.unwrap(), Err("timeout")),
            wait(1),
            list(ERL, "a"),
            wait(29),
            wait(31),
            list(ERL, ""),
            list(ERL, ""),
            wait(29),
        ],
        expect![[r#"
            topology t by erl
                0.0 topology_changed t
                0.0 -> erl list
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> erl connect a
            erl lists []
            erl up a
                0.0 node_up a up t=up
            erl stops
                0.0 node_updated a up t=unknown: it crashed
                0.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            erl starts
                0.0 topology_changed t
                0.0 -> erl list
            erl stops
                0.0 topology_changed t: connector erl: it crashed; nothing is dialled until it is available
            erl starts
                0.0 topology_changed t
                0.0 -> erl list
            erl gives no list, failed: timeout
            wait 1 s
                0.9 -> erl list
            erl lists [a]
                1.0 node_updated a up t=up
            wait 29 s
            wait 31 s
                30.9 -> erl list
                36.9 -> erl cancel list
                37.5 -> erl list
                43.5 -> erl cancel list
                45.2 -> erl list
                51.2 -> erl cancel list
                54.2 -> erl list
                60.2 -> erl cancel list
            erl lists []
            erl lists []
            wait 29 s
                64.6 -> erl list
                70.6 -> erl cancel list
                75.3 -> erl list
                81.3 -> erl cancel list
                88.5 -> erl list
        "#]],
    );
}

/// A connector that cannot tell its links is not asked again.
#[test]
fn lists_that_are_not_to_be_had() {
    check(
        [topology("t", ERL), Op::NoList(ERL.unwrap(), Ok(())), wait(3_600)],
        expect![[r#"
        topology t by erl
            0.0 topology_changed t
            0.0 -> erl list
        erl gives no list, ok
        wait 3600 s
    "#]],
    );
}

/// Who moves is updated, and dialled anew where links go by address; another address beside the one that was
/// dialled, or another order, is no move.
#[test]
fn a_new_address_redials() {
    check(
        [
            topology("t", TCP),
            topology("u", ERL),
            obliging(TCP),
            obliging(ERL),
            complete("t", "a:1.1"),
            complete("u", "a:1.1"),
            apply("t", "+a:1.2:1.1"),
            apply("t", "+a:1.2"),
            wait(1),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            topology u by erl
                0.0 topology_changed u
                0.0 -> erl list
            tcp will answer ok
            erl will answer ok
            t is [a:1.1]
                0.0 node_discovered a:1.1 discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a:1.1
                0.0 node_up a:1.1 up t=up
            u is [a:1.1]
                0.0 node_updated a:1.1 up t=up u=connecting
                0.0 topology_changed u
                0.0 -> erl connect a:1.1
                0.0 node_updated a:1.1 up t=up u=up
            t +[a:1.2:1.1] -[]
                0.0 node_updated a:1.2:1.1 up t=up u=up
            t +[a:1.2] -[]
                0.0 -> tcp disconnect a
                0.0 node_updated a:1.2:1.1 up t=down u=up: it was disconnected
            wait 1 s
                0.9 -> tcp connect a:1.2
                0.9 node_updated a:1.2:1.1 up t=up u=up
        "#]],
    );
}

/// A removed connector leaves its links alone.
#[test]
fn a_connector_is_removed() {
    check(
        [topology("t", TCP), complete("t", "a"), ok(TCP, "a"), Op::RemoveConnector(TCP.unwrap()), wait(60)],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            tcp answers a ok
                0.0 node_up a up t=up
            remove tcp
                0.0 node_down a down t=down: its connector was removed
            wait 60 s
        "#]],
    );
}

/// A link that its connector lost while it cut it, and then stopped, leaves nothing behind.
#[test]
fn lost_while_cut_while_stopped() {
    check(
        [
            topology("t", TCP),
            complete("t", "a"),
            ok(TCP, "a"),
            apply("t", "-a"),
            down(TCP, "a"),
            Op::Explain("a"),
            stopped(TCP),
            Op::Explain("a"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            tcp answers a ok
                0.0 node_up a up t=up
            t +[] -[a]
                0.0 node_down a down t=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
            tcp down a
            explain a
                tcp down, 0 failures, next None
                    0.0 None
            tcp stops
                0.0 topology_changed t: connector tcp: it crashed; nothing is dialled until it is available
            explain a
                nothing
        "#]],
    );
}
