//! What a host does to its node's links when it goes itself, and when a member is not named any more.

use std::fs;

use super::{A, ALL, B, Beam, C, LENIENT, Pair, Site, by_epmd, check_no_nodedown, reasons, wait_formed};
use crate::host::outcome;

/// The host has ended and its node knows.
#[track_caller]
fn wait_without_host(pair: &Pair) {
    pair.beam.settle("the host's link to end", || pair.beam.hidden().is_empty());
}

/// A host that is stopped, killed or started again costs no link: the nodes notice nothing.
#[test]
fn stop_keeps_the_links() {
    let site = Site::new();
    let [a, b, mut c] = site.trio(&[], &by_epmd(&ALL), "");
    for gently in [true, false] {
        if gently {
            assert!(c.host.terminate().success(), "{}", c.host.log());
        } else {
            c.host.kill();
        }
        wait_without_host(&c);
        a.beam.wait_nodes([B, C]);
        c.beam.wait_nodes([A, B]);
        assert_eq!(a.host.view().count("node_down"), 0, "{}", a.host.view());
        c.host.restart();
        wait_formed([&a, &b, &c]);
        check_no_nodedown([&a.beam, &b.beam, &c.beam]);
    }
}

/// With `on_stop = "leave"` the host takes its node out of the cluster; those who stay keep each other.
#[test]
fn stop_leaves() {
    let site = Site::new();
    let [a, b, c] = site.trio(&[], &by_epmd(&ALL), "on_stop = \"leave\"");
    assert!(c.host.terminate().success(), "{}", c.host.log());
    // The hosts of the others link it again as long as they are told of it, so what was seen counts.
    c.beam.settle("both to be gone", || c.beam.nodedowns().len() >= 2);
    for (pair, other) in [(&a, B), (&b, A)] {
        pair.host.wait("c down", |view| view.events_of("node_down", C).count() >= 1);
        assert_eq!(pair.host.view().events_of("node_down", other).count(), 0, "{}", pair.host.view());
        let downs = pair.beam.nodedowns();
        assert!(downs.iter().all(|down| down.starts_with(C)), "{downs:?}");
    }
}

/// A killed host cannot leave, whatever it was told.
#[test]
fn killed_host_does_not_leave() {
    let site = Site::new();
    let [a, b, c] = site.trio(&[], &by_epmd(&ALL), "on_stop = \"leave\"");
    c.host.kill();
    wait_without_host(&c);
    c.beam.wait_nodes([A, B]);
    check_no_nodedown([&a.beam, &b.beam, &c.beam]);
}

/// A host whose connector is started anew with other options keeps its node up and all links, even where the node is to
/// leave when the host is stopped: another instance follows.
#[test]
fn reload_keeps_the_links() {
    let site = Site::new();
    let trio = site.trio(&[], &by_epmd(&ALL), "on_stop = \"leave\"");
    for option in ["disconnect_live = \"never\"", "disconnect_live = \"auto\"", "disconnect_live = \"never\""]
    {
        for pair in &trio {
            let text = fs::read_to_string(pair.host.config_file()).unwrap();
            let (before, after) = text.split_once("on_stop = \"leave\"").unwrap();
            let (_, after) = after.split_once(" }").unwrap();
            let text = format!("{before}on_stop = \"leave\", {option} }}{after}");
            fs::write(pair.host.config_file(), text).unwrap();
            let (code, text, errors) = outcome(&pair.host.ask("reload"));
            assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
        }
        wait_formed(&trio);
        for pair in &trio {
            pair.host.settle("all links by the new instance", || {
                let view = pair.host.view();
                let links =
                    ALL.iter().filter_map(|node| view.members.get(*node)?["topologies"][0]["link"].as_str());
                (links.filter(|link| *link == "up").count() == 2).then_some(())
            });
            assert_eq!(pair.host.view().count("node_down"), 0, "{}", pair.host.view());
        }
    }
    check_no_nodedown(trio.iter().map(|pair| &pair.beam));
}

const BY_LOCAL_EPMD: &str = "strategy = \"local_epmd\"\nprune = { after = \"1s\" }";

/// Ends a node's registration at epmd behind its back, so that a strategy that asks there does not find it any more.
#[track_caller]
fn unregister(site: &Site, beam: &Beam) {
    let closed = beam.eval(&format!(
        "[port_close(P) || P <- erlang:ports(), {{ok, {{_, {}}}}} <- [inet:peername(P)]].",
        site.epmd.port()
    ));
    assert_eq!(closed, "[true]");
    let name = beam.node().split_once('@').unwrap().0;
    site.epmd.wait_names("it to be gone", |names| !names.contains(name));
}

/// A node that the source does not name any more leaves; with OTP's defaults its link stays, since to cut it would
/// dissolve the cluster, and it is listed as unclaimed.
#[test]
fn live_node_is_not_disconnected() {
    for (arguments, option) in
        [(&[][..], ""), (&["-kernel", "connect_all", "true"], ""), (LENIENT, "disconnect_live = \"never\"")]
    {
        let site = Site::new();
        let mut trio = site.trio(arguments, BY_LOCAL_EPMD, option);
        unregister(&site, &trio[2].beam);
        for pair in &trio[..2] {
            pair.host.wait("c gone", |view| view.events_of("node_left", C).count() == 1);
            pair.host.settle("its link to be listed", || {
                let unclaimed = pair.host.topology("t")["unclaimed"].clone();
                (unclaimed.as_array()?.iter().any(|node| node == C)).then_some(())
            });
            let told = reasons(&pair.host, "node_left", C);
            assert!(!told[0].is_empty(), "why is told");
        }
        // A host that starts anew finds the link and leaves it, too; by then nobody has lost anybody.
        trio[0].host.kill();
        trio[0].host.restart();
        trio[0].host.wait_up(&[A, B]);
        trio[0].beam.wait_nodes([B, C]);
        check_no_nodedown(trio.iter().map(|pair| &pair.beam));
    }
}

/// A node that the source does not name any more is disconnected where OTP lets the others alone, and where the operator
/// says so.
#[test]
fn live_node_is_disconnected() {
    for (arguments, option) in
        [(LENIENT, ""), (&["-kernel", "connect_all", "false"], ""), (LENIENT, "disconnect_live = \"always\"")]
    {
        let site = Site::new();
        let trio = site.trio(arguments, BY_LOCAL_EPMD, option);
        // Its own host would link it again.
        trio[2].host.kill();
        unregister(&site, &trio[2].beam);
        for (pair, other) in [(&trio[0], B), (&trio[1], A)] {
            pair.host.wait("c gone", |view| view.events_of("node_left", C).count() == 1);
            pair.beam.wait_nodes([other]);
            let downs = pair.beam.nodedowns();
            assert!(downs.iter().all(|down| down.starts_with(C)), "{downs:?}");
        }
        trio[2].beam.wait_nodes::<&str>([]);
    }
}

/// A node that ended and is not named any more leaves, and there is nothing to disconnect.
#[test]
fn ended_node_leaves() {
    let site = Site::new();
    let [a, b, c] = site.trio(&[], BY_LOCAL_EPMD, "");
    c.host.terminate();
    c.beam.terminate();
    for (pair, other) in [(&a, B), (&b, A)] {
        pair.host.wait_up(&[A, B]);
        pair.beam.wait_nodes([other]);
        pair.host.check_fold();
    }
}
