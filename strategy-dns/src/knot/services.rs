//! Nodes by SRV record.

use cluster_sdk::serde_json::json;

use super::{Topology, server::Knot};
use crate::KubernetesDnsSrv;

const ZONE: &str = "cluster.local.";

/// Targets appear, change and go, each once for several ports, with libcluster's names and the addresses that came along.
#[test]
fn come_and_go() {
    let records = "app.prod.svc 60 SRV 0 50 4369 app-0.app.prod.svc\napp.prod.svc 60 SRV 0 50 9100 app-0.app.prod.svc\n\
                   app-0.app.prod.svc 60 A 10.0.0.7";
    let knot = Knot::start(&[(ZONE, records)]);
    let options = json!({ "service": "app", "namespace": "prod", "application_name": "shop" });
    let topology = Topology::start::<KubernetesDnsSrv>(&knot.address(), options);
    let first = "shop@app-0.app.prod.svc.cluster.local";
    let second = "shop@app-1.app.prod.svc.cluster.local";
    let view = topology.wait_whole(&[first]);
    let node = view.nodes.iter().next().unwrap().to_node().unwrap();
    assert_eq!(node.addresses().collect::<Vec<_>>(), ["10.0.0.7"]);
    knot.change(ZONE, &[], &["app.prod.svc 60 SRV 0 50 4369 app-1.app.prod.svc.cluster.local."]);
    topology.wait_whole(&[first, second]);
    let gone =
        [4369, 9100].map(|port| format!("app.prod.svc 60 SRV 0 50 {port} app-0.app.prod.svc.cluster.local."));
    knot.change(ZONE, &gone.each_ref().map(String::as_str), &[]);
    topology.wait_whole(&[second]);
    topology.wait_healthy();
    // The last pod is gone, and with it the name.
    knot.change(ZONE, &["app.prod.svc 60 SRV", "app-0.app.prod.svc 60 A"], &[]);
    topology.wait_degraded(&[second], &["app.prod.svc.cluster.local. at 127.0.0.1:", "NXDOMAIN"]);
}

/// Another domain of the cluster.
#[test]
fn cluster_domain() {
    let knot = Knot::start(&[("k8s.example.", "app.prod.svc 60 SRV 0 50 4369 app-0.app.prod.svc")]);
    let options = json!({ "service": "app", "namespace": "prod", "application_name": "shop", "cluster_domain": "k8s.example" });
    let topology = Topology::start::<KubernetesDnsSrv>(&knot.address(), options);
    topology.wait_whole(&["shop@app-0.app.prod.svc.k8s.example"]);
}
