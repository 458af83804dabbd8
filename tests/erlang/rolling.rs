//! Replacing and upgrading, one by one, with OTP's default settings: those who stay do not lose each other.

use std::collections::BTreeSet;

use super::{ALL, Beam, Pair, Site, by_epmd, check_no_nodedown, wait_formed};

const NODES: usize = 12;

/// Twelve nodes, each with its host, are replaced one by one by nodes with other names. No node ever sees one go that was
/// not stopped.
#[test]
fn twelve_are_replaced() {
    let site = Site::new();
    let node = |generation: &str, number: usize| format!("{generation}{number}@127.0.0.1");
    let strategy = site.by_gossip();
    let mut pairs: Vec<Pair> =
        (0..NODES).map(|number| site.pair(&node("old", number), &[], &strategy, "")).collect();
    wait_all(&pairs);
    let mut stopped = BTreeSet::new();
    for number in 0..NODES {
        // The host first, as an orchestrator stops a sidecar, or the node first: it must not matter.
        let gone = &pairs[number];
        if number % 2 == 0 {
            assert!(gone.host.terminate().success(), "{}", gone.host.log());
            gone.beam.terminate();
        } else {
            gone.beam.terminate();
            assert!(gone.host.terminate().success(), "{}", gone.host.log());
        }
        stopped.insert(gone.beam.node().to_owned());
        pairs[number] = site.pair(&node("new", number), &[], &strategy, "");
        wait_all(&pairs);
        for pair in &pairs {
            check_lost_only(&pair.beam, &stopped);
        }
    }
    for pair in &pairs {
        pair.host.check_fold();
    }
}

/// Waits until every node is linked to all others, and every host says that these are up, whoever else it remembers.
#[track_caller]
fn wait_all(pairs: &[Pair]) {
    let nodes: BTreeSet<&str> = pairs.iter().map(|pair| pair.beam.node()).collect();
    for pair in pairs {
        pair.host.wait("all of them", |view| view.up() == nodes);
    }
    super::wait_linked(pairs.iter().map(|pair| &pair.beam));
}

#[track_caller]
fn check_lost_only(beam: &Beam, stopped: &BTreeSet<String>) {
    for down in beam.nodedowns() {
        let node = down.split(' ').next().unwrap_or_default();
        assert!(
            stopped.contains(node),
            "{} saw {down} go, which was not stopped\n{}",
            beam.node(),
            beam.log()
        );
    }
}

/// Hosts are stopped and started again one by one while their nodes send messages to each other: no node sees another
/// one go, and no message is missing.
#[test]
fn hosts_are_upgraded_under_traffic() {
    for by_list in [true, false] {
        let site = Site::new();
        let strategy = if by_list { by_epmd(&ALL) } else { site.by_gossip() };
        let mut trio = site.trio(&[], &strategy, "");
        for pair in &trio {
            assert_eq!(pair.beam.eval("steered:traffic()."), "ok");
        }
        for index in 0..trio.len() {
            wait_traffic(&trio);
            assert!(trio[index].host.terminate().success(), "{}", trio[index].host.log());
            wait_traffic(&trio);
            trio[index].host.restart();
            wait_formed(&trio);
        }
        wait_traffic(&trio);
        check_no_nodedown(trio.iter().map(|pair| &pair.beam));
    }
}

/// Waits until each node has heard more of each other one, and nothing was missing.
#[track_caller]
fn wait_traffic(trio: &[Pair; 3]) {
    for pair in trio {
        assert_eq!(pair.beam.eval("steered:hear(20)."), "{2,0}", "linked nodes and missing messages");
    }
}
