//! The strategy for libcluster that is in `examples/elixir-strategy`: Elixir nodes that take the members from a host which
//! links nobody itself.

use std::path::{Path, PathBuf};

use super::{A, B, Beam, C, COOKIE, Site, check_no_nodedown, need, set, wait_linked};
use crate::host::Host;

/// A path in the repository.
fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// An Elixir node with the strategy, which has nothing of ours but this one file.
fn elixir(site: &Site, node: &str, host: &Host) -> Beam {
    need("elixir", "elixir");
    let start = format!(
        "state = %Cluster.Strategy.State{{topology: :office, config: [socket: {:?}, polling_interval: 500, disconnect_after: 2_000]}}
         {{:ok, supervisor}} = Supervisor.start_link([{{ClusterHost.Strategy, [state]}}], strategy: :one_for_one)
         Process.unlink(supervisor)
         :steered.start()",
        host.socket()
    );
    let (shim, strategy) = (
        source("tests/erlang/libcluster_shim.ex"),
        source("examples/elixir-strategy/cluster_host_strategy.ex"),
    );
    let files = ["-r", shim.to_str().unwrap(), "-r", strategy.to_str().unwrap()];
    let named = ["--name", node, "--cookie", COOKIE];
    Beam::elixir(&[&named[..], &files, &["-e", &start]].concat(), site.epmd.port())
}

fn watcher(site: &Site, node: &str) -> Host {
    let gossip = site.by_gossip().replace(" }", ", heartbeat_timeout = \"5s\" }");
    site.launch(format!("[node]\nname = \"{node}\"\n[topologies.t]\n{gossip}\nconnect = \"none\"\n"))
}

/// Nodes are linked as their hosts find each other, and cut when a member is gone for good; a host that is stopped or
/// starts anew costs no link.
#[test]
fn elixir_strategy() {
    let site = Site::new();
    let nodes = [A, B, C];
    let mut hosts = nodes.map(|node| watcher(&site, node));
    let beams = [elixir(&site, A, &hosts[0]), elixir(&site, B, &hosts[1]), elixir(&site, C, &hosts[2])];
    wait_linked(&beams);
    let told = |beam: &Beam| beam.log().contains("[libcluster:office] connected");
    beams[0].settle("one of them to tell of it", || beams.iter().any(told));

    // A failed read is no empty list.
    hosts[0].kill();
    beams[0].settle("the failure to be logged", || beams[0].log().contains("no members from cluster-host"));
    hosts[0].restart();
    hosts[0].wait_up(&nodes);
    check_no_nodedown(&beams);

    // The host says that its node leaves, and the node is still there: the others cut it, and it the others.
    let gone = &hosts[2];
    assert!(gone.terminate().success());
    hosts[0].wait_up(&[A, B]);
    beams[0].settle("c to be cut", || !beams[0].nodes().contains(C));
    hosts[2].restart();
    wait_linked(&beams);
    assert_eq!(beams[2].nodes(), set([A, B]));
}
