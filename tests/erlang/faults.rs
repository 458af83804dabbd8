//! What breaks beside the nodes, and nodes that break without a word.

use super::{A, ALL, B, C, LENIENT, Site, by_epmd, check_no_nodedown, wait_formed};

/// epmd is killed: no link minds. When it is back the nodes register again, and a new one is linked.
#[test]
fn epmd_restarts() {
    let mut site = Site::new();
    let pairs = [A, B].map(|node| site.pair(node, &[], &by_epmd(&ALL), ""));
    wait_formed_two(&pairs);
    site.epmd.kill();
    for pair in &pairs {
        pair.host.wait("the failure", |view| view.events_of("connect_failed", C).count() >= 1);
    }
    site.epmd.restart();
    // Nodes do so two seconds later. A newcomer before that could not reach one that it hears of from the other, and would
    // take that for a partition (prevent_overlapping_partitions), with a host or without.
    site.epmd.wait_names("both again", |names| ["a", "b"].iter().all(|name| names.contains(*name)));
    let c = site.pair(C, &[], &by_epmd(&ALL), "");
    wait_formed(pairs.iter().chain([&c]));
    check_no_nodedown(pairs.iter().chain([&c]).map(|pair| &pair.beam));
}

fn wait_formed_two(pairs: &[super::Pair; 2]) {
    for (pair, other) in [(&pairs[0], B), (&pairs[1], A)] {
        pair.host.wait(other, |view| view.state(other) == Some("up"));
        pair.beam.wait_nodes([other]);
    }
}

/// Two hosts have their nodes dial each other at the same moment, again and again: each time there is one link.
#[test]
fn simultaneous_dials() {
    let site = Site::new();
    let strategy = by_epmd(&[A, B]);
    let pairs = [A, B].map(|node| site.pair(node, LENIENT, &strategy, ""));
    wait_formed(&pairs);
    for round in 1..=20 {
        let cutter = &pairs[round % 2];
        let other = pairs[(round + 1) % 2].beam.node();
        assert_eq!(cutter.beam.eval(&format!("erlang:disconnect_node('{other}').")), "true", "round {round}");
        for (pair, other) in [(&pairs[0], B), (&pairs[1], A)] {
            pair.host.wait(&format!("the link of round {round}"), |view| {
                view.events_of("node_up", other).count() > round && view.state(other) == Some("up")
            });
        }
        wait_formed(&pairs);
    }
}

/// A node that does nothing any more is down when it was silent for as long as the nodes have agreed on, and is back
/// when it goes on, whether it was another one or the host's own.
#[test]
fn frozen_node() {
    let site = Site::new();
    let trio = site.trio(&["-kernel", "net_ticktime", "8"], &by_epmd(&ALL), "");
    let [a, b, c] = &trio;
    c.beam.freeze();
    for pair in [a, b] {
        pair.host.wait("c down", |view| view.events_of("node_down", C).count() >= 1);
    }
    c.host.wait("its own node down", |view| view.events_of("node_down", C).count() >= 1);
    c.beam.thaw();
    wait_formed(&trio);
}

/// A host that hangs costs its node no more than the host itself.
#[test]
fn frozen_host() {
    use rustix::process::Signal;
    let site = Site::new();
    let trio = site.trio(&["-kernel", "net_ticktime", "8"], &by_epmd(&ALL), "");
    let [a, b, c] = &trio;
    c.host.signal(Signal::STOP);
    c.beam.settle("the host's link to end", || c.beam.hidden().is_empty());
    check_no_nodedown([&a.beam, &b.beam, &c.beam]);
    c.host.signal(Signal::CONT);
    c.beam.settle("the host to attach again", || c.beam.hidden().len() == 1);
    wait_formed(&trio);
    check_no_nodedown([&a.beam, &b.beam, &c.beam]);
}
