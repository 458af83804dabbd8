//! BEAM nodes that the Kubernetes API makes a cluster of, each with a host beside it, as in a pod.

use test_apiserver::{
    ApiServer, Served, ServiceAccount,
    objects::{Endpoint, slice},
};
use test_ports::lasting_port;

use super::{LENIENT, Pair, Plugins, Site, check_no_nodedown, wait_formed, wait_linked};
use crate::host::{EPMD, K8S};

const A: &str = "app@127.0.0.1";
const B: &str = "app@127.0.0.2";
const C: &str = "app@127.0.0.3";
const TOKEN: &str = "t0ken";

/// What the pods are told by.
struct Cluster {
    api: ApiServer,
    _served: Served,
    _account: ServiceAccount,
    strategy: String,
}

// === impl Cluster ===

impl Cluster {
    fn new() -> Self {
        let api = ApiServer::new();
        api.accept_tokens(&[TOKEN]);
        let served = api.serve_tls();
        let account = ServiceAccount::new(&served, "demo", TOKEN);
        let strategy = format!(
            "strategy = \"kubernetes\"\nconfig = {{ kubernetes_node_basename = \"app\", kubernetes_service_name = \"app\", \
             kubernetes_service_account_path = {:?}, kubernetes_master = \"{}\" }}",
            account.path(),
            served.addr()
        );
        Self { api, _served: served, _account: account, strategy }
    }

    /// The Service has these pods that are ready, and these that terminate.
    fn publish(&self, ready: &[&str], terminating: &[&str]) {
        let address = |node: &&str| node.split_once('@').unwrap().1.to_owned();
        let ready = ready.iter().map(|node| Endpoint::ready(&address(node)).pod(&address(node)));
        let terminating =
            terminating.iter().map(|node| Endpoint::terminating(&address(node)).pod(&address(node)));
        self.api.apply(slice("demo", "app-abc").service("app").endpoints(ready.chain(terminating)));
    }
}

/// Three nodes, each at an address of its own, become a cluster when the Service has their pods. One that terminates keeps
/// its links; one that the Service has no more is not linked any more, while the others stay.
#[test]
fn three_pods() {
    let mut site = Site::new();
    site.plugins = Plugins::with(&[EPMD, K8S]);
    let cluster = Cluster::new();
    // Three nodes of one name, so there cannot be one epmd.
    site.epmd.kill();
    let port = lasting_port().to_string();
    let pairs = [A, B, C].map(|node| {
        let interface = format!("{{{}}}", node.split_once('@').unwrap().1.replace('.', ","));
        let fixed = ["-erl_epmd_port", &port, "-kernel", "inet_dist_use_interface", &interface];
        site.pair(node, &[&fixed, LENIENT].concat(), &cluster.strategy, &format!("port = {port}"))
    });
    for pair in &pairs {
        pair.host.wait("itself up", |view| view.state(pair.beam.node()) == Some("up"));
    }
    cluster.publish(&[A, B, C], &[]);
    wait_formed(&pairs);
    check_no_nodedown(pairs.iter().map(|pair| &pair.beam));
    let [a, b, _] = &pairs;

    cluster.publish(&[A, B], &[C]);
    for Pair { host, .. } in [a, b] {
        host.wait("c leaving", |view| view.state(C) == Some("leaving"));
        assert_eq!(host.view().members[C]["topologies"][0]["link"], "up");
    }
    check_no_nodedown(pairs.iter().map(|pair| &pair.beam));

    cluster.publish(&[A, B], &[]);
    for Pair { host, .. } in [a, b] {
        host.wait("c gone", |view| view.state(C).is_none());
        assert_eq!(host.view().events_of("node_left", C).count(), 1);
        host.check_fold();
    }
    wait_linked([&a.beam, &b.beam]);
    for (pair, other) in [(a, B), (b, A)] {
        assert_eq!(pair.host.view().events_of("node_down", other).count(), 0);
        assert!(pair.beam.nodedowns().iter().all(|down| down.starts_with(C)), "{:?}", pair.beam.nodedowns());
    }

    cluster.publish(&[A, B, C], &[]);
    wait_formed(&pairs);
}
