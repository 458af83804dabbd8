//! The strategy `kubernetes` in real hosts, against an API server that speaks TLS on loopback: the way there, what is asked
//! and what becomes of it, and what people are told when it does not work.

mod access;
mod cluster;
#[path = "doctor/kubernetes.rs"]
mod doctor;
mod mistakes;
mod outages;
mod relay;
pub(crate) mod rights;
mod secrets;
mod tls;

use test_apiserver::{
    ApiServer, Served, ServiceAccount,
    objects::{Endpoint, Slice, slice},
};

use crate::host::{DEADLINE, Host, K8S, Launch, Plugins, cluster_host, outcome};

const A: &str = "app@127.0.0.1";
const B: &str = "app@127.0.0.2";
const C: &str = "app@127.0.0.3";
const D: &str = "app@127.0.0.4";
const TOKEN: &str = "t0ken-of-the-service-account";
const NAMESPACE: &str = "demo";
const SLICE: &str = "app-abc";
const YAML_CHECK: &str =
    "import sys, yaml\nfor document in yaml.safe_load_all(sys.stdin): print(document['kind'])";

/// A cluster with a Service, as one of its pods finds it.
struct Site {
    api: ApiServer,
    served: Served,
    account: ServiceAccount,
    plugins: Plugins,
}

// === impl Site ===

impl Site {
    /// Its API server takes no token but [`TOKEN`], over TLS.
    fn new() -> Self {
        let api = ApiServer::new();
        api.accept_tokens(&[TOKEN]);
        let served = api.serve_tls();
        Self::with(api, served)
    }

    fn with(api: ApiServer, served: Served) -> Self {
        let account = ServiceAccount::new(&served, NAMESPACE, TOKEN);
        Self { api, served, account, plugins: Plugins::with(&[K8S]) }
    }

    /// The pods behind the Service are these.
    fn publish<'a>(&self, nodes: impl IntoIterator<Item = &'a str>) {
        self.api.apply(pods(nodes));
    }

    /// What leads to the API server.
    fn way(&self) -> String {
        format!(
            "kubernetes_service_account_path = {:?}\nkubernetes_master = \"{}\"\n",
            self.account.path(),
            self.served.addr()
        )
    }

    /// Starts a host beside `app@127.0.0.1`, with these options more; the word of the strategy is all that its links are.
    fn start(&self, options: &str) -> Host {
        self.start_by(&self.way(), options)
    }

    /// As [`Site::start`], by another way to the API server.
    fn start_by(&self, way: &str, options: &str) -> Host {
        self.launch(config(A, "connect = \"none\"", &format!("{way}{options}")), &[])
    }

    fn launch(&self, config: String, variables: &[(&str, &str)]) -> Host {
        Host::start(Launch {
            config,
            plugins: self.plugins.path().to_owned(),
            env: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Launch::default()
        })
    }

    /// Waits until a watch is open: from then on it is torn, and what changes is told.
    #[track_caller]
    fn await_watch(&self) {
        self.api.wait_for("a watch", DEADLINE, |api| api.watches() == 1);
    }

    /// A host that has found these nodes.
    fn start_with(&self, nodes: &[&str], options: &str) -> Host {
        self.publish(nodes.iter().copied());
        let host = self.start(options);
        host.wait_up(nodes);
        host
    }
}

/// The configuration of a host beside a node, with a topology `t`.
fn config(node: &str, topology: &str, options: &str) -> String {
    format!(
        "[node]\nname = \"{node}\"\n[topologies.t]\nstrategy = \"kubernetes\"\n{topology}\n\
         [topologies.t.config]\nkubernetes_node_basename = \"app\"\nkubernetes_selector = \"app=app\"\n{options}\n"
    )
}

/// The slice of the Service, without pods.
fn service() -> Slice {
    slice(NAMESPACE, SLICE).service("app").label("app", "app")
}

fn pods<'a>(nodes: impl IntoIterator<Item = &'a str>) -> Slice {
    service().endpoints(nodes.into_iter().map(pod))
}

/// A pod that is ready.
fn pod(node: &str) -> Endpoint {
    named(Endpoint::ready(address(node)), node)
}

/// A pod that is about to end.
fn terminating(node: &str) -> Endpoint {
    named(Endpoint::terminating(address(node)), node)
}

fn named(endpoint: Endpoint, node: &str) -> Endpoint {
    endpoint.pod(&format!("app-{}", address(node).replace('.', "-")))
}

fn address(node: &str) -> &str {
    node.split_once('@').unwrap().1
}

/// Waits until the topology is so, for a reason, or with a note, that has all of these in it.
#[track_caller]
fn wait_health(host: &Host, health: &str, parts: &[&str]) -> String {
    let is_so = |reason: &str| {
        if parts.is_empty() { reason.is_empty() } else { parts.iter().all(|part| reason.contains(part)) }
    };
    host.settle(&format!("{health} with {parts:?}, not {}", host.topology("t")), || {
        let topology = host.topology("t");
        let reason = topology["reason"].as_str().unwrap_or_default();
        (topology["health"] == health && is_so(reason)).then(|| reason.to_owned())
    })
}

/// Nobody went down, and nobody left.
#[track_caller]
fn check_nobody_went(host: &Host) {
    let view = host.view();
    assert_eq!((view.count("node_down"), view.count("node_left")), (0, 0), "{view}");
    host.check_fold();
}

/// What a command prints that has to succeed.
#[track_caller]
fn told(host: &Host, command: &str) -> String {
    let (code, out, errors) = outcome(&host.ask(command));
    assert_eq!(code, Some(0), "{command}: {out}{errors}");
    out
}

/// The reasons of the topology's changes so far.
fn reasons(host: &Host) -> Vec<String> {
    let view = host.view();
    let changes = view.events.iter().filter(|event| event["type"] == "topology_changed");
    changes.filter_map(|event| event["reason"].as_str().map(str::to_owned)).collect()
}
