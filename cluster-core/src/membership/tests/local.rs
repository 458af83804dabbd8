//! The local node is a member, and nobody's business.

use expect_test::expect;

use super::{
    check,
    script::{Op, TCP, apply, complete, links, obliging, topology, up, wait},
};

/// A view that names the local node is filtered: it is never dialled, pruned or cut.
#[test]
fn never_dialled_pruned_or_cut() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            complete("t", "a me"),
            apply("t", "+me~eu"),
            up(TCP, "me"),
            links(TCP, "a me"),
            Op::Unclaimed("t"),
            complete("t", "a"),
            complete("t", "a"),
            apply("t", "-me"),
            wait(60),
            Op::Forget("me"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            tcp will answer ok
            t is [a me]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a up t=up
            t +[me~eu] -[]
            tcp up me
            tcp links [a me]
            unclaimed of t
                []
            t is [a]
            t is [a]
            t +[] -[me]
            wait 60 s
            forget me
        "#]],
    );
}

/// A change of what is told of it is `node_updated`.
#[test]
fn it_changes() {
    check(
        [Op::Local("me/2:1.1~eu".into()), Op::Local("me/2:1.1~eu".into())],
        expect![[r#"
        local me/2:1.1~eu
            0.0 node_updated me/2:1.1~eu up
        local me/2:1.1~eu
    "#]],
    );
}

/// When a node turns out to be the local one, what was said of it does not count any more, and its link is left
/// alone; the one before is gone.
#[test]
fn it_becomes_known_late() {
    check(
        [
            topology("t", TCP),
            complete("t", "a b c"),
            super::script::ok(TCP, "a"),
            Op::Local("a".into()),
            Op::Local("b".into()),
            complete("t", "a b c"),
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
            local a
                0.0 node_down me down
                0.0 node_left me
                0.0 node_updated a up
            local b
                0.0 node_down a down
                0.0 node_left a
                0.0 node_up b up
                0.0 -> tcp cancel b
            t is [a b c]
                0.0 node_discovered a discovered t=connecting
                0.0 -> tcp connect a
        "#]],
    );
}

/// While it does not take part it is not up, with the reason; members and links are not concerned.
#[test]
fn absence() {
    check(
        [
            topology("t", TCP),
            obliging(TCP),
            complete("t", "a"),
            Op::Presence(Ok(())),
            Op::Presence(Err("connection closed")),
            Op::Presence(Err("no such node")),
            Op::Local("me/2".into()),
            Op::Presence(Ok(())),
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
            present
            absent: connection closed
                0.0 node_down me down: connection closed
            absent: no such node
                0.0 node_updated me down: no such node
            local me/2
                0.0 node_updated me/2 down: no such node
            present
                0.0 node_up me/2 up
        "#]],
    );
}

/// One that was never there is only discovered, also where its name becomes known while it is not there.
#[test]
fn never_present() {
    check(
        [
            Op::Presence(Err("not attached yet")),
            Op::Local("a".into()),
            Op::Local("a/2".into()),
            Op::Presence(Ok(())),
        ],
        expect![[r#"
            absent: not attached yet
                0.0 node_down me down: not attached yet
            local a
                0.0 node_left me
                0.0 node_discovered a discovered
                0.0 node_updated a discovered: not attached yet
            local a/2
                0.0 node_updated a/2 discovered: not attached yet
            present
                0.0 node_up a/2 up
        "#]],
    );
}
