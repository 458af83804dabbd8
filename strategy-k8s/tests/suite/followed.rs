//! The strategy in a test host, and what its reports come to.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use cluster_core::Health;
use cluster_sdk::{Completeness, Node, NodeList, Report, testing::TestHost};
use serde_json::{Value, json};
use strategy_k8s::Kubernetes;
use test_apiserver::ServiceAccount;

use crate::cluster::{Cluster, NAMESPACE, TOKEN};

/// A topology.
pub(crate) struct Followed {
    host: TestHost,
    account: ServiceAccount,
    nodes: RefCell<BTreeMap<String, Node>>,
    /// Nodes that a report took away, each time.
    taken: RefCell<Vec<String>>,
    resets: Cell<usize>,
    changes: Cell<usize>,
}

impl Followed {
    /// Follows a cluster with these options besides those that all scenarios have.
    pub(crate) fn start(cluster: &Cluster, options: Value) -> Self {
        Self::start_with_token(cluster, options, TOKEN)
    }

    pub(crate) fn start_with_token(cluster: &Cluster, options: Value, token: &str) -> Self {
        let account = cluster.account(token);
        let mut config = json!({
            "kubernetes_node_basename": "myapp",
            "kubernetes_selector": "app=myapp",
            "kubernetes_namespace": NAMESPACE,
            "kubernetes_master": cluster.server().url(),
            "kubernetes_service_account_path": account.path(),
            // Of the machine that the test runs on nothing is to count.
            "pod_name": "none",
        });
        let Value::Object(options) = options else { panic!("a table is wanted") };
        config.as_object_mut().unwrap().extend(options);
        let host = TestHost::strategy::<Kubernetes>(config).unwrap();
        Self {
            host,
            account,
            nodes: RefCell::default(),
            taken: RefCell::default(),
            resets: Cell::default(),
            changes: Cell::default(),
        }
    }

    pub(crate) fn account(&self) -> &ServiceAccount {
        &self.account
    }

    /// Waits until the nodes are those with these host parts.
    #[track_caller]
    pub(crate) fn wait_for(&self, hosts: &[&str]) {
        let wanted: BTreeSet<String> = hosts.iter().map(|host| format!("myapp@{host}")).collect();
        self.wait_until(&format!("{wanted:?}"), |nodes| nodes.keys().eq(&wanted));
    }

    /// Waits until the nodes are as wanted.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&BTreeMap<String, Node>) -> bool) {
        while !is_so(&self.nodes.borrow()) {
            let report = self.host.next_report();
            let report = report.unwrap_or_else(|err| {
                panic!("{what} did not come, but {:?}: {err}", self.nodes.borrow().keys())
            });
            self.take(report);
        }
    }

    /// Waits until it is well, with a note that has all these words, or without one where there are none.
    #[track_caller]
    pub(crate) fn wait_until_well(&self, words: &[&str]) {
        self.wait_for_health(Health::Running, words);
    }

    /// Waits for a health, and gives its reason, which has all these words.
    #[track_caller]
    pub(crate) fn wait_for_health(&self, health: Health, words: &[&str]) -> String {
        let status = self.host.wait_for_status(|status| {
            let reason = status.reason.as_deref().unwrap_or_default();
            status.health == health
                && words.iter().all(|word| reason.contains(word))
                && (health != Health::Running || words.is_empty() == reason.is_empty())
        });
        status.unwrap_or_else(|err| panic!("not {health:?} with {words:?}: {err}")).reason.unwrap_or_default()
    }

    pub(crate) fn node(&self, host: &str) -> Node {
        self.nodes.borrow()[&format!("myapp@{host}")].clone()
    }

    /// Nodes that any report took away.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.borrow().clone()
    }

    /// How many whole lists and how many changes were reported.
    pub(crate) fn reports(&self) -> (usize, usize) {
        (self.resets.get(), self.changes.get())
    }

    fn take(&self, report: Report) {
        let nodes = &mut *self.nodes.borrow_mut();
        match report {
            Report::Reset(view) => {
                self.resets.update(|count| count + 1);
                let new = read(&view.nodes);
                if view.completeness == Completeness::Complete {
                    let gone = nodes.keys().filter(|name| !new.contains_key(*name)).cloned();
                    self.taken.borrow_mut().extend(gone);
                    nodes.clear();
                }
                nodes.extend(new);
            }
            Report::Apply(changes) => {
                self.changes.update(|count| count + 1);
                nodes.extend(read(&changes.upserts));
                for name in read(&changes.removals).into_keys() {
                    assert!(nodes.remove(&name).is_some(), "{name} is taken away and was not there");
                    self.taken.borrow_mut().push(name);
                }
            }
        }
    }
}

fn read(nodes: &NodeList) -> BTreeMap<String, Node> {
    nodes.iter().map(|node| node.to_node().unwrap()).map(|node| (node.name().to_string(), node)).collect()
}
