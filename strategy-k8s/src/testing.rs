//! A topology under test: the real sources, desk and gate, an API server in memory, and the clock of the test.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    rc::Rc,
    time::Duration,
};

use cluster_sdk::{Changes, Completeness, Node, Refused, View, config};
use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::{
    runtime::Builder,
    sync::mpsc,
    task::{LocalSet, spawn_local},
    time::{Instant, sleep},
};
use tower::Service;

use crate::{
    access::{Gate, TokenFile},
    config::{KubernetesConfig, Namespaces},
    desk::{Desk, Health, Host},
    plan::Plan,
    policy::{Own, Policy},
    roster::Roster,
    source::{Line, Source},
    surroundings::Surroundings,
};

/// How long anything may take, by the test's clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// A host that keeps what it is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Rc<RefCell<Log>>);

#[derive(Debug, Default)]
struct Log {
    begin: Option<Instant>,
    /// What all reports come to.
    nodes: BTreeMap<String, Node>,
    health: Health,
    history: String,
    reports: usize,
    /// Nodes that a report took away, each time.
    taken: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
    /// How often each node was named, in any way.
    named: BTreeMap<String, usize>,
    refuse: Option<Refused>,
}

/// Runs a test in virtual time: waits of hours take no time, and their lengths are exact.
pub(crate) fn simulate(test: impl AsyncFnOnce()) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test());
}

/// A config in libcluster's terms, for a namespace "demo".
pub(crate) fn config(extra: Value) -> KubernetesConfig {
    let mut all = serde_json::json!({
        "kubernetes_node_basename": "myapp",
        "kubernetes_selector": "app=myapp",
        "kubernetes_namespace": "demo",
    });
    let Value::Object(extra) = extra else { panic!("a table is wanted") };
    all.as_object_mut().unwrap().extend(extra);
    config::parse(all).unwrap()
}

/// Follows an API server.
pub(crate) fn follow<S, B>(service: &S, config: &KubernetesConfig, token: Option<&std::path::Path>) -> Seen
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    let seen = Seen::default();
    seen.0.borrow_mut().begin = Some(Instant::now());
    let namespaces = match &config.kubernetes_namespace {
        Some(Namespaces::These(names)) => names.iter().cloned().map(Some).collect(),
        Some(Namespaces::All) => vec![None],
        None => panic!("a namespace is wanted"),
    };
    let roster = Roster::new(Policy::new(config, &Surroundings::default(), Own::default()));
    let desk = Rc::new(Desk::new(seen.clone(), roster, namespaces.len()));
    let plan = Rc::new(Plan::new(config, "https://api.test".to_owned()));
    for (id, namespace) in namespaces.into_iter().enumerate() {
        let (journal, answers) = mpsc::unbounded_channel();
        let token = token.map(|path| TokenFile::new(path.to_owned()));
        let client = Client::new(Gate::new(service.clone(), token, journal), "demo");
        let line = Line { client, answers };
        spawn_local(Source::new(id, namespace, line, Rc::clone(&desk), Rc::clone(&plan)).run());
    }
    seen
}

// === impl Seen ===

impl Seen {
    /// Waits for a condition, and says how long that took.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> impl Future<Output = Duration> {
        let place = std::panic::Location::caller();
        async move {
            let begin = Instant::now();
            while !is_so(self) {
                assert!(begin.elapsed() < PATIENCE, "{place}: {what} did not happen:\n{}", self.history());
                // Exact where that is asked for, and not a million looks where it takes minutes.
                sleep((begin.elapsed() / 50).max(Duration::from_millis(5))).await;
            }
            begin.elapsed()
        }
    }

    pub(crate) async fn until_nodes(&self, names: &[&str]) -> Duration {
        let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.until(&format!("{names:?}"), |seen| seen.names() == names).await
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.0.borrow().nodes.keys().cloned().collect()
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        self.0.borrow().nodes[name].clone()
    }

    pub(crate) fn health(&self) -> Health {
        self.0.borrow().health.clone()
    }

    pub(crate) fn is_well(&self) -> bool {
        matches!(self.health(), Health::Well(_))
    }

    /// The reason or note of the health.
    pub(crate) fn reason(&self) -> String {
        match self.health() {
            Health::Starting | Health::Well(None) => String::new(),
            Health::Well(Some(text)) | Health::Degraded(text) | Health::Denied(text) => text,
        }
    }

    pub(crate) fn history(&self) -> String {
        self.0.borrow().history.clone()
    }

    pub(crate) fn reports(&self) -> usize {
        self.0.borrow().reports
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.0.borrow().taken.clone()
    }

    pub(crate) fn counted(&self, counter: &str) -> usize {
        self.0.borrow().counts.get(counter).copied().unwrap_or_default()
    }

    pub(crate) fn named(&self, name: &str) -> usize {
        self.0.borrow().named.get(name).copied().unwrap_or_default()
    }

    /// Takes no reports any more, for this reason.
    pub(crate) fn refuse(&self, refuse: Option<Refused>) {
        self.0.borrow_mut().refuse = refuse;
    }
}

impl Host for Seen {
    fn report(&self, view: View) -> Result<(), Refused> {
        let log = &mut *self.0.borrow_mut();
        log.reports += 1;
        let new: BTreeMap<_, _> = view
            .nodes
            .iter()
            .map(|node| node.to_node().unwrap())
            .map(|node| (node.name().to_string(), node))
            .collect();
        log.write(&format!("{:?} {:?}", view.completeness, new.keys()));
        log.name(new.keys());
        log.refuse.map_or(Ok(()), Err)?;
        if view.completeness == Completeness::Complete {
            log.taken.extend(log.nodes.keys().filter(|name| !new.contains_key(*name)).cloned());
            log.nodes = new;
        } else {
            log.nodes.extend(new);
        }
        Ok(())
    }

    fn apply(&self, changes: Changes) -> Result<(), Refused> {
        let log = &mut *self.0.borrow_mut();
        log.reports += 1;
        let read = |nodes: &cluster_sdk::NodeList| -> Vec<Node> {
            nodes.iter().map(|node| node.to_node().unwrap()).collect()
        };
        let (upserts, removals) = (read(&changes.upserts), read(&changes.removals));
        let names = |nodes: &[Node]| nodes.iter().map(|node| node.name().to_string()).collect::<Vec<_>>();
        log.write(&format!("+{:?} -{:?}", names(&upserts), names(&removals)));
        log.name(names(&upserts).iter().chain(&names(&removals)));
        log.refuse.map_or(Ok(()), Err)?;
        for node in upserts {
            log.nodes.insert(node.name().to_string(), node);
        }
        for name in names(&removals) {
            assert!(log.nodes.remove(&name).is_some(), "{name} is taken away and was not there");
            log.taken.push(name);
        }
        Ok(())
    }

    fn health(&self, health: &Health) {
        let log = &mut *self.0.borrow_mut();
        log.write(&format!("{health:?}"));
        log.health = health.clone();
    }

    fn count(&self, counter: &'static str) {
        *self.0.borrow_mut().counts.entry(counter).or_default() += 1;
    }
}

impl Log {
    fn name<'a>(&mut self, names: impl Iterator<Item = &'a String>) {
        for name in names {
            *self.named.entry(name.clone()).or_default() += 1;
        }
    }

    fn write(&mut self, line: &str) {
        let at = self.begin.map(|begin| begin.elapsed()).unwrap_or_default();
        writeln!(self.history, "{:.3} {line}", at.as_secs_f64()).unwrap();
    }
}
