//! A host attached to the node beside it tells that node whom to link, and learns from it whom it has lost.

use std::fs;

use test_ports::lasting_port;

use super::{
    A, ALL, B, Beam, C, COOKIE, LENIENT, Pair, Site, by_epmd, check_no_nodedown, reasons, wait_formed,
    wait_refused,
};
use crate::host::private_directory;

/// Three nodes that are listed form a cluster, each through its own host; what the hosts tell of it holds together.
#[test]
fn three_form_by_a_list() {
    let site = Site::new();
    let trio = site.trio(&[], &by_epmd(&ALL), "");
    for pair in &trio {
        pair.host.check_fold();
        let view = pair.host.view();
        for node in ALL.iter().filter(|node| **node != pair.beam.node()) {
            assert_eq!(view.members[*node]["topologies"][0]["link"], "up", "{view}");
        }
        assert_eq!(pair.host.topology("t")["connector"], "erlang");
        assert_eq!(pair.beam.hidden().len(), 1, "its own host");
    }
    check_no_nodedown(trio.iter().map(|pair| &pair.beam));
}

/// Three nodes whose hosts hear each other form a cluster; nobody has listed anybody.
#[test]
fn three_form_by_gossip() {
    let site = Site::new();
    let trio = site.trio(&[], &site.by_gossip(), "");
    for pair in &trio {
        pair.host.check_fold();
    }
    check_no_nodedown(trio.iter().map(|pair| &pair.beam));
}

/// Three nodes that are registered at one epmd form a cluster.
#[test]
fn three_form_by_the_local_epmd() {
    let site = Site::new();
    site.trio(&[], "strategy = \"local_epmd\"", "");
}

/// The epmds of the hosts in `.hosts.erlang` are asked for nodes; the file is read again when it changes.
#[test]
fn two_form_by_a_hosts_file() {
    let site = Site::new();
    let home = private_directory();
    let file = home.path().join(".hosts.erlang");
    fs::write(&file, "'127.0.0.9'.\n").unwrap();
    let beams = [A, B].map(|node| site.beam(node, &[]));
    let config = format!(
        "[node]\nname = \"{A}\"\n[topologies.t]\nstrategy = \"erlang_hosts\"\nconnect = {{ erlang = {{ {} }} }}\n",
        site.cookie_option()
    );
    let host = site.launch_with(config, &[("HOME", home.path().to_str().unwrap())]);
    host.wait("itself up", |view| view.state(A) == Some("up"));
    fs::write(&file, "'127.0.0.9'.\n'127.0.0.1'.\n").unwrap();
    host.wait_up(&[A, B]);
    super::wait_linked(&beams);
}

/// Nodes with hosts and nodes with libcluster, which know nothing of each other but heartbeats, form one cluster.
#[test]
fn mixed_with_libcluster() {
    let site = Site::new();
    let old = [C, "d@127.0.0.1"].map(|node| {
        let beam = site.beam(node, &[]);
        for does in ["gossip", "beat"] {
            let call = format!("steered:{does}({}, {{230,1,1,251}}).", site.gossip_port);
            assert_eq!(beam.eval(&call), "ok");
        }
        beam
    });
    let pairs = [A, B].map(|node| site.pair(node, &[], &site.by_gossip(), ""));
    for pair in &pairs {
        pair.host.wait_up(&[A, B, C, "d@127.0.0.1"]);
    }
    super::wait_linked(pairs.iter().map(|pair| &pair.beam).chain(&old));
}

/// A topology that does not say how it connects is linked by its node, with the cookie of the home directory.
#[test]
fn what_a_topology_gets_that_says_nothing() {
    let site = Site::new();
    let beams = [A, B].map(|node| site.beam(node, &[]));
    let home = private_directory();
    fs::rename(site.write_cookie("other", COOKIE), home.path().join(".erlang.cookie")).unwrap();
    let config = format!("[node]\nname = \"{A}\"\n[topologies.t]\n{}\n", by_epmd(&[A, B]));
    let host = site.launch_with(config, &[("HOME", home.path().to_str().unwrap())]);
    host.wait_up(&[A, B]);
    super::wait_linked(&beams);
}

/// The cookie may come from the environment, as a release has it, and the port of epmd from the configuration.
#[test]
fn cookie_from_the_environment() {
    let site = Site::new();
    let beams = [A, B].map(|node| site.beam(node, &[]));
    let config = format!(
        "[node]\nname = \"{A}\"\n[topologies.t]\n{}\n\
         connect = {{ erlang = {{ cookie_env = \"RELEASE_COOKIE\", epmd_port = {} }} }}\n",
        by_epmd(&[A, B]),
        site.epmd.port()
    );
    // That port of the environment has no epmd.
    let nowhere = lasting_port().to_string();
    let host = site.launch_with(config, &[("RELEASE_COOKIE", COOKIE), ("ERL_EPMD_PORT", &nowhere)]);
    host.wait_up(&[A, B]);
    super::wait_linked(&beams);
    assert!(!host.log().contains(COOKIE), "a cookie is never logged");
}

/// A node that is killed together with its host is down for the others, and comes back.
#[test]
fn killed_and_restarted() {
    let site = Site::new();
    let [a, b, mut c] = site.trio(&[], &by_epmd(&ALL), "");
    c.host.kill();
    c.beam.kill();
    for pair in [&a, &b] {
        pair.host.wait("c down", |view| view.state(C) == Some("down"));
    }
    a.beam.wait_nodes([B]);
    b.beam.wait_nodes([A]);
    c.beam.restart();
    c.host.restart();
    wait_formed([&a, &b, &c]);
    for pair in [&a, &b] {
        let downs = pair.beam.nodedowns();
        assert!(downs.iter().all(|down| down.starts_with(C)), "{downs:?}");
        pair.host.check_fold();
    }
}

/// A host whose own node ends and returns attaches to it again, and the links come back; nobody tells it to.
#[test]
fn own_node_restarts() {
    for by_list in [true, false] {
        let site = Site::new();
        let strategy = if by_list { by_epmd(&ALL) } else { site.by_gossip() };
        let [a, b, mut c] = site.trio(&[], &strategy, "");
        c.beam.kill();
        c.host.wait("its own node down", |view| view.state(C).is_some_and(|state| state != "up"));
        for pair in [&a, &b] {
            pair.host.wait("c down", |view| view.state(C) != Some("up"));
        }
        c.beam.restart();
        wait_formed([&a, &b, &c]);
        assert_eq!(c.host.view().events_of("node_up", C).count(), 2);
    }
}

/// A link that was cut is made again by the host, from whichever side it was cut.
#[test]
fn cut_link_heals() {
    let site = Site::new();
    let trio = site.trio(LENIENT, &by_epmd(&ALL), "");
    let [a, b, c] = &trio;
    assert_eq!(a.beam.eval(&format!("erlang:disconnect_node('{B}').")), "true");
    a.host.wait("the cut", |view| view.events_of("node_down", B).count() == 1);
    b.host.wait("the cut", |view| view.events_of("node_down", A).count() == 1);
    wait_formed(&trio);
    assert_eq!(a.host.view().events_of("node_up", B).count(), 2);
    assert_eq!(c.host.view().count("node_down"), 0, "the third one is not touched");
    check_no_nodedown([&c.beam]);
}

/// With the default settings of OTP one cut link dissolves a cluster of three; the hosts put it together again.
#[test]
fn dissolved_cluster_heals() {
    let site = Site::new();
    let trio = site.trio(&[], &by_epmd(&ALL), "");
    assert_eq!(trio[0].beam.eval(&format!("erlang:disconnect_node('{B}').")), "true");
    trio[0].host.wait("the cut", |view| view.events_of("node_down", B).count() >= 1);
    wait_formed(&trio);
}

/// Hidden links that the nodes have beside are no members: other hosts, and tools of operators.
#[test]
fn hidden_nodes_are_no_members() {
    let site = Site::new();
    let strategy = by_epmd(&[A, B]);
    let a = site.pair(A, &[], &strategy, "");
    a.beam.await_ready();
    let tool = site.beam("tool@127.0.0.1", &["-hidden"]);
    assert_eq!(tool.eval(&format!("net_kernel:connect_node('{A}').")), "true");
    // A second host at the same node, as during an upgrade.
    let second = site.host(A, &strategy, "");
    a.beam.settle("its three hidden links", || a.beam.hidden().len() == 3);
    let b = site.pair(B, &[], &strategy, "");
    for host in [&a.host, &second, &b.host] {
        host.wait_up(&[A, B]);
        assert_eq!(host.view().count("node_discovered"), 2, "{}", host.view());
    }
    assert!(a.beam.hidden().contains(tool.node()));
}

/// Who works with a node by a remote shell is at epmd as if it was a node; it is not found there.
#[test]
fn remote_shells_are_no_members() {
    let site = Site::new();
    let strategy = "strategy = \"local_epmd\"";
    let a = site.pair(A, &[], strategy, "");
    let shells =
        ["rem-9fa1-a@127.0.0.1", "a_maint_4711@127.0.0.1"].map(|shell| site.beam(shell, &["-hidden"]));
    a.beam.await_ready();
    for shell in &shells {
        assert_eq!(shell.eval(&format!("net_kernel:connect_node('{A}').")), "true");
    }
    let b = site.pair(B, &[], strategy, "");
    // Whoever comes last is a member: then those before were seen, and were none.
    for host in [&a.host, &b.host] {
        host.wait_up(&[A, B]);
        assert_eq!(host.view().count("node_discovered"), 2, "{}", host.view());
    }
    a.beam.settle("its three hidden links", || a.beam.hidden().len() == 3);
}

/// `node = "auto"` takes the one node that is registered at the local epmd; remote shells do not confuse it.
#[test]
fn auto_takes_the_only_node() {
    let site = Site::new();
    let shell = site.beam("rem-9fa1-a@127.0.0.1", &["-hidden"]);
    let a = site.beam(A, &[]);
    shell.await_ready();
    a.await_ready();
    let host = site.host(A, &by_epmd(&[A, B]), "node = \"auto\"");
    host.wait("itself up", |view| view.state(A) == Some("up"));
    let b = site.beam(B, &[]);
    host.wait_up(&[A, B]);
    a.wait_nodes([B]);
    b.wait_nodes([A]);
}

/// Nodes with short names form a cluster as well.
#[test]
fn short_names() {
    let site = Site::new();
    let nodes = ["a@localhost", "b@localhost"];
    let pairs = nodes.map(|node| Pair {
        beam: Beam::start(&["-sname", node, "-setcookie", COOKIE], site.epmd.port()),
        host: site.host(node, &by_epmd(&nodes), ""),
    });
    wait_formed(&pairs);
}

/// Nodes that have agreed on a port need no epmd: that port is dialled at each address, of the local node too.
#[test]
fn fixed_port_without_epmd() {
    let mut site = Site::new();
    site.epmd.kill();
    let port = lasting_port().to_string();
    let nodes = ["a@127.0.0.1", "b@127.0.0.2"];
    let pairs = nodes.map(|node| {
        let interface = format!("{{{}}}", node.split_once('@').unwrap().1.replace('.', ","));
        let arguments = ["-erl_epmd_port", &port, "-kernel", "inet_dist_use_interface", &interface];
        site.pair(node, &arguments, &by_epmd(&nodes), &format!("port = {port}"))
    });
    wait_formed(&pairs);
}

/// Nodes that reach each other by IPv6.
#[test]
fn ipv6() {
    let site = Site::new();
    let nodes = ["a@::1", "b@::1"];
    let pairs = nodes.map(|node| site.pair(node, &["-proto_dist", "inet6_tcp"], &by_epmd(&nodes), ""));
    wait_formed(&pairs);
}

/// A node that hosts of two strategies name is one member, with one link.
#[test]
fn two_topologies_share_the_node() {
    let site = Site::new();
    let b = site.pair(B, &[], &site.by_gossip(), "");
    let connect = format!("connect = {{ erlang = {{ {} }} }}", site.cookie_option());
    let a = Pair {
        beam: site.beam(A, &[]),
        host: site.launch(format!(
            "[node]\nname = \"{A}\"\n[topologies.t]\n{}\n{connect}\n[topologies.u]\n{}\n{connect}\n",
            by_epmd(&[B]),
            site.by_gossip()
        )),
    };
    wait_formed([&a, &b]);
    a.host.wait("both to vouch", |view| {
        view.members[B]["topologies"].as_array().is_some_and(|topologies| topologies.len() == 2)
    });
    assert_eq!(a.beam.hidden().len(), 1, "topologies with equal connectors share one");
}

/// A node that is listed but not there holds up nobody, and is linked when it comes.
#[test]
fn late_node() {
    let site = Site::new();
    let pairs = [A, B].map(|node| site.pair(node, &[], &by_epmd(&ALL), ""));
    for pair in &pairs {
        wait_refused(&pair.host, C, &["not registered at epmd"]);
        pair.beam.wait_nodes([A, B].iter().filter(|node| **node != pair.beam.node()));
    }
    let c = site.pair(C, &[], &by_epmd(&ALL), "");
    wait_formed(pairs.iter().chain([&c]));
    assert_eq!(reasons(&pairs[0].host, "connect_failed", C).len(), 1, "the same reason is told once");
}
