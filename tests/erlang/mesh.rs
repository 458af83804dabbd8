//! A host that is itself a node of the distribution.

use test_ports::lasting_port;

use super::{A, B, Beam, Site, by_epmd, check_no_nodedown, set};
use crate::host::Host;

const M: &str = "m@127.0.0.1";
const N: &str = "n@127.0.0.1";
const MESH: &str = "mode = \"mesh\"";

/// Waits until a node has exactly these hidden links.
#[track_caller]
fn wait_hidden(beam: &Beam, nodes: &[&str]) {
    let nodes = set(nodes.iter().copied());
    beam.settle(&format!("hidden links to {nodes:?}"), || beam.hidden() == nodes);
}

/// The host links the nodes that are listed, as a hidden node that answers a ping, and is registered at epmd. The nodes
/// are not linked to each other by that.
#[test]
fn links_nodes() {
    let site = Site::new();
    let beams = [A, B].map(|node| site.beam(node, &[]));
    let host = site.host(M, &by_epmd(&[A, B]), MESH);
    host.wait_up(&[A, B, M]);
    host.check_fold();
    for beam in &beams {
        wait_hidden(beam, &[M]);
        assert_eq!(beam.eval(&format!("net_adm:ping('{M}').")), "pong");
        assert_eq!(beam.eval("nodes()."), "[]");
    }
    assert_eq!(site.epmd.names(), set(["a", "b", "m"]));
}

/// A node of libcluster that hears our heartbeat dials us, and logs that it is connected.
#[test]
fn is_dialled_by_who_hears_it() {
    let site = Site::new();
    let beam = site.beam(A, &[]);
    assert_eq!(beam.eval(&format!("steered:gossip({}, {{230,1,1,251}}).", site.gossip_port)), "ok");
    let host = site.host(M, &site.by_gossip(), MESH);
    beam.wait_line(&format!("connected to {M}"));
    wait_hidden(&beam, &[M]);
    assert_eq!(beam.eval(&format!("net_adm:ping('{M}').")), "pong");
    host.wait("itself up", |view| view.state(M) == Some("up"));
}

/// A killed node is down at once and linked again when it is back; a cut link is made again.
#[test]
fn heals() {
    let site = Site::new();
    let mut a = site.beam(A, &[]);
    let host = site.host(M, &by_epmd(&[A]), MESH);
    host.wait_up(&[A, M]);
    a.kill();
    host.wait("a down", |view| view.state(A) == Some("down"));
    a.restart();
    host.wait_up(&[A, M]);
    assert_eq!(a.eval(&format!("erlang:disconnect_node('{M}').")), "true");
    host.wait("a up again", |view| view.events_of("node_up", A).count() == 3 && view.state(A) == Some("up"));
    wait_hidden(&a, &[M]);
}

/// epmd restarts: no link minds, and the host registers again, so that a node that knows only its name reaches it.
#[test]
fn epmd_restarts() {
    let mut site = Site::new();
    let a = site.beam(A, &[]);
    let host = site.host(M, &by_epmd(&[A]), MESH);
    host.wait_up(&[A, M]);
    site.epmd.kill();
    site.epmd.restart();
    site.epmd.wait_names("the host", |names| names.contains("m"));
    let b = site.beam(B, &[]);
    assert_eq!(b.eval(&format!("net_adm:ping('{M}').")), "pong");
    wait_hidden(&a, &[M]);
    assert_eq!(host.view().count("node_down"), 0, "{}", host.view());
}

/// Nodes find the host in a registry of ports only as long as it runs, and their links to each other do not depend on it.
#[test]
fn stop_unregisters() {
    let site = Site::new();
    let beams = [A, B].map(|node| site.beam(node, &[]));
    beams[1].await_ready();
    assert_eq!(beams[0].eval(&format!("net_kernel:connect_node('{B}').")), "true");
    let host = site.host(M, &by_epmd(&[A, B]), MESH);
    host.wait_up(&[A, B, M]);
    assert!(host.terminate().success(), "{}", host.log());
    site.epmd.wait_names("the host to be gone", |names| !names.contains("m"));
    for beam in &beams {
        wait_hidden(beam, &[]);
    }
    check_no_nodedown(&beams);
}

/// Who is neither listed nor heard of may link us, and is no member.
#[test]
fn unclaimed_links() {
    let site = Site::new();
    let beams = [A, B].map(|node| site.beam(node, &[]));
    let host = site.host(M, &by_epmd(&[A]), MESH);
    host.wait_up(&[A, M]);
    assert_eq!(beams[1].eval(&format!("net_adm:ping('{M}').")), "pong");
    host.settle("the link to be listed", || {
        let unclaimed = host.topology("t")["unclaimed"].clone();
        (unclaimed.as_array()?.iter().any(|node| node == B)).then_some(())
    });
    host.wait_up(&[A, M]);
    wait_hidden(&beams[1], &[M]);
}

/// The host and a node dial each other at the same moment, again and again: each time there is one link.
#[test]
fn simultaneous_with_a_node() {
    for node in [A, "z@127.0.0.1"] {
        // The greater name wins, so each side does once.
        let site = Site::new();
        let beam = site.beam(node, &[]);
        let host = site.host(M, &by_epmd(&[node]), MESH);
        host.wait_up(&[node, M]);
        for round in 1..=20 {
            let again = beam.eval(&format!("erlang:disconnect_node('{M}'), net_kernel:connect_node('{M}')."));
            assert!(["true", "false"].contains(&again.as_str()), "{again}");
            host.wait(&format!("the link of round {round}"), |view| {
                view.events_of("node_up", node).count() > round && view.state(node) == Some("up")
            });
            wait_hidden(&beam, &[M]);
        }
        assert_eq!(beam.eval(&format!("net_adm:ping('{M}').")), "pong");
    }
}

/// Two hosts that are nodes link each other, however often they begin at the same moment.
#[test]
fn simultaneous_hosts() {
    let site = Site::new();
    let nodes = [M, N];
    let mut hosts = nodes.map(|node| site.host(node, &by_epmd(&nodes), MESH));
    for round in 0..10 {
        for host in &hosts {
            host.wait_up(&nodes);
        }
        for host in &hosts {
            if round % 2 == 0 {
                host.kill();
            } else {
                assert!(host.terminate().success(), "{}", host.log());
            }
        }
        // A name is free when epmd has noticed.
        site.epmd.wait_names("both names to be free", |names| names.is_empty());
        hosts.iter_mut().for_each(Host::restart);
    }
    for host in &hosts {
        host.wait_up(&nodes);
    }
}

/// Both modes side by side: the nodes link each other by their hosts, and a host that watches is linked by each.
#[test]
fn beside_sidecars() {
    let site = Site::new();
    let pairs = [A, B].map(|node| site.pair(node, &[], &by_epmd(&[A, B]), ""));
    let watcher = site.host(M, &by_epmd(&[A, B]), MESH);
    watcher.wait_up(&[A, B, M]);
    super::wait_formed(&pairs);
    check_no_nodedown(pairs.iter().map(|pair| &pair.beam));
}

/// A node that does nothing any more is down when it was silent for as long as the host was told, and is linked again
/// when it goes on.
#[test]
fn frozen_node() {
    let site = Site::new();
    let a = site.beam(A, &["-kernel", "net_ticktime", "8"]);
    let host = site.host(M, &by_epmd(&[A]), "mode = \"mesh\", net_ticktime = \"8s\"");
    host.wait_up(&[A, M]);
    a.freeze();
    host.wait("a down", |view| view.events_of("node_down", A).count() == 1);
    a.thaw();
    host.wait_up(&[A, M]);
    wait_hidden(&a, &[M]);
}

/// On a port that was agreed on, without epmd.
#[test]
fn fixed_port_without_epmd() {
    let mut site = Site::new();
    site.epmd.kill();
    let port = lasting_port().to_string();
    let far = "a@127.0.0.2";
    let arguments = ["-erl_epmd_port", &port, "-kernel", "inet_dist_use_interface", "{127,0,0,2}"];
    let beam = site.beam(far, &arguments);
    let options = format!("mode = \"mesh\", port = {port}, listen = \"127.0.0.1\"");
    let host = site.host(M, &by_epmd(&[far]), &options);
    host.wait_up(&[far, M]);
    assert_eq!(beam.eval(&format!("erlang:disconnect_node('{M}'), net_adm:ping('{M}').")), "pong");
}
