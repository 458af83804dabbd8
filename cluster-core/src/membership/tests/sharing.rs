//! Several topologies that name one node.

use expect_test::expect;

use super::{
    check,
    script::{ERL, TCP, apply, complete, down, obliging, topology, wait},
};

/// With a shared connector there is one link, cut only when neither vouches.
#[test]
fn one_connector_one_link() {
    check(
        [
            topology("t", TCP),
            topology("u", TCP),
            obliging(TCP),
            complete("t", "a~eu"),
            complete("u", "a~us"),
            apply("t", "-a"),
            apply("u", "-a"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            topology u by tcp
                0.0 topology_changed u
            tcp will answer ok
            t is [a~eu]
                0.0 node_discovered a~eu discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a~eu up t=up
            u is [a~us]
                0.0 node_updated a~eu up t=up u=up
                0.0 topology_changed u
            t +[] -[a]
                0.0 node_updated a~us up u=up: its source says that it is gone
            u +[] -[a]
                0.0 node_down a~us down u=down: its source says that it is gone
                0.0 node_left a: its source says that it is gone
                0.0 -> tcp disconnect a
        "#]],
    );
}

/// What a second topology knows of addresses does not cost the link that the first one's made.
#[test]
fn more_addresses_are_no_move() {
    check(
        [
            topology("t", TCP),
            topology("u", TCP),
            obliging(TCP),
            complete("u", "a:1.1"),
            complete("t", "a:2.2"),
            wait(5),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            topology u by tcp
                0.0 topology_changed u
            tcp will answer ok
            u is [a:1.1]
                0.0 node_discovered a:1.1 discovered u=connecting
                0.0 topology_changed u
                0.0 -> tcp connect a:1.1
                0.0 node_up a:1.1 up u=up
            t is [a:2.2]
                0.0 node_updated a:2.2:1.1 up t=up u=up
                0.0 topology_changed t
            wait 5 s
        "#]],
    );
}

/// With two connectors there are two links; the member is up while any is.
#[test]
fn two_connectors_two_links() {
    check(
        [
            topology("t", TCP),
            topology("u", ERL),
            obliging(TCP),
            complete("t", "a"),
            complete("u", "a"),
            obliging(ERL),
            super::script::silent(TCP),
            down(TCP, "a"),
            apply("u", "-a"),
        ],
        expect![[r#"
            topology t by tcp
                0.0 topology_changed t
            topology u by erl
                0.0 topology_changed u
                0.0 -> erl list
            tcp will answer ok
            t is [a]
                0.0 node_discovered a discovered t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
                0.0 node_up a up t=up
            u is [a]
                0.0 node_updated a up t=up u=connecting
                0.0 topology_changed u
                0.0 -> erl connect a
            erl will answer ok
                0.0 node_updated a up t=up u=up
            tcp will be silent
            tcp down a
                0.0 node_updated a up t=down u=up: it broke
            u +[] -[a]
                0.0 node_down a down t=down: its source says that it is gone
                0.0 -> erl disconnect a
        "#]],
    );
}

/// Being vouched for without a connector does not count where another topology has a real one.
#[test]
fn none_does_not_count_beside_a_real_one() {
    check(
        [
            topology("n", None),
            topology("t", TCP),
            complete("n", "a"),
            complete("t", "a"),
            obliging(TCP),
            super::script::silent(TCP),
            down(TCP, "a"),
            apply("t", "-a"),
        ],
        expect![[r#"
            topology n by none
                0.0 topology_changed n
            topology t by tcp
                0.0 topology_changed t
            n is [a]
                0.0 node_discovered a discovered n=none
                0.0 node_up a up n=none
                0.0 topology_changed n
            t is [a]
                0.0 node_down a down n=none t=connecting
                0.0 topology_changed t
                0.0 -> tcp connect a
            tcp will answer ok
                0.0 node_up a up n=none t=up
            tcp will be silent
            tcp down a
                0.0 node_down a down n=none t=down: it broke
            t +[] -[a]
                0.0 node_up a up n=none: its source says that it is gone
        "#]],
    );
}
