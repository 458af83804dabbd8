//! What the strategy kubernetes costs, beside kube's own watch and list of the same server in the same run. `make bench`
//! builds the host and the plugin in release first.
//!
//! ```text
//!                         ┌── TLS ──► cluster-host ──── SSE ────► here
//! a change ──► ApiServer ─┤
//!                         └── TLS ──► kube's watcher, a thread ─► here
//! ```
//!
//! The server is the one that the tests have, on a thread of this process: it takes its time from both alike.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use benches::{
    Lines, Memory, PATIENCE, Process, ROUNDS, Table, median, ns_each, pause, percentile, plugin,
    rollout::{NAMESPACE, Rollout, SERVICE},
    wall,
};
use cluster_host::{Config, Host, Registry};
use cluster_sdk::{Report, testing::Setting, tracing::level_filters::LevelFilter};
use futures_util::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};
use test_apiserver::{
    ApiServer, SeenRequest, Served, ServiceAccount,
    objects::{SLICE_ENDPOINTS_MAX, nth_address, nth_endpoint, slice, slices_of},
};

/// Pods of a small and of a large Service.
const FEW: usize = 10;
const MANY: usize = 5_000;
/// Changes of which the time to the event is taken.
const CHANGES: usize = 200;
/// How long requests are watched: with one renewal of the watch,
const WATCH: Duration = Duration::from_secs(65);
/// which takes place so long after the one before.
const RENEWAL: Duration = Duration::from_secs(60);
/// Pods that are replaced, and how many at a time.
const ROLLED: usize = 500;
const AT_A_TIME: usize = 3;
/// Between two polls of libcluster.
const POLLING_INTERVAL: Duration = Duration::from_secs(5);
/// How often is looked for what nobody tells.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What is allowed.
const BEHIND_WATCH_NS_MAX: f64 = 2e6;
const LIST_NS_MAX: f64 = 60e6;
const MEMORY_KIB_MAX: u64 = 15 * 1_024;
const PLUGIN_BYTES_MAX: u64 = 8_500_000;

const PLUGIN: &str = "libstrategy_k8s.so";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut table = Table::new("kubernetes");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<()> {
    size(table)?;
    for pods in [FEW, MANY] {
        changes(table, pods)?;
    }
    let mean = POLLING_INTERVAL / 2;
    table.note(&format!(
        "a change to the event with libcluster, which asks every {POLLING_INTERVAL:?}: {mean:?} in the mean (by arithmetic)"
    ));
    first_list(table)?;
    rolling_update(table)?;
    at_rest(table)
}

// === what is measured ===

fn size(table: &mut Table) -> Result<()> {
    let bytes = fs::metadata(plugin(PLUGIN)).map_err(|error| no_plugin(&error))?.len();
    table
        .check(&format!("{PLUGIN} has {bytes} bytes (goal ≤ {PLUGIN_BYTES_MAX})"), bytes <= PLUGIN_BYTES_MAX);
    Ok(())
}

/// From just before a change at the server to the event at a subscriber of the host, beside the moment at which a bare
/// watch has the object that was changed.
fn changes(table: &mut Table, pods: usize) -> Result<()> {
    let lab = Lab::new(pods)?;
    let _host = lab.host(Topology::Kubernetes)?;
    let events = lab.events()?;
    events.wait("all pods are up", count_down(pods, is_event("node_up")))?;
    let watch = lab.bare_watch()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let zone = format!("zone-of-change-{change}");
        let first = nth_endpoint(SERVICE, 0).zone(&zone);
        let rest = (1..pods.min(SLICE_ENDPOINTS_MAX)).map(|index| nth_endpoint(SERVICE, index));
        let changed = slice(NAMESPACE, &format!("{SERVICE}-00000")).service(SERVICE);
        let changed = Value::from(changed.endpoints(std::iter::once(first).chain(rest)));
        let begin = wall();
        let version = lab.server.apply(changed).to_string();
        let updated = is_event("node_updated");
        let shown =
            events.wait("the change is shown", |line| line.contains(&zone) && updated(line).is_some())?;
        let watched = watch.wait("the bare watch tells of it", |line| line == version)?;
        ours.push(nanoseconds_between(begin, shown));
        theirs.push(nanoseconds_between(begin, watched));
    }
    let case = format!("a change among {pods} pods to the event");
    for (who, figures) in [("ours", &ours), ("a bare watch", &theirs)] {
        let spread = [50, 90, 100].map(|percent| percentile(figures.clone(), percent) / 1e6);
        table.note(&format!("{case}, {who}, median, p90 and maximum of {CHANGES}, ms: {spread:.2?}"));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    table.ratio(&case, ours, ("a bare watch", theirs), None);
    let behind = (ours - theirs) / 1e6;
    table.check(
        &format!(
            "{case} comes {behind:.2} ms after the bare watch's (goal ≤ {} ms)",
            BEHIND_WATCH_NS_MAX / 1e6
        ),
        ours <= theirs + BEHIND_WATCH_NS_MAX,
    );
    Ok(())
}

/// From the moment at which the server is asked for the list to that at which a subscriber has seen all pods come up, in
/// this process, beside the time in which kube connects and has the same list.
fn first_list(table: &mut Table) -> Result<()> {
    let lab = Lab::new(MANY)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut ups, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _round in 0..ROUNDS {
        ups.push(runtime.block_on(lab.first_up())?);
        ours.push(lab.first_view()?);
        theirs.push(runtime.block_on(lab.first_list())?);
    }
    let milliseconds = |figures: &[f64]| figures.iter().map(|figure| figure / 1e6).collect::<Vec<_>>();
    table.note(&format!(
        "start of a host to {MANY} pods up at a subscriber, plugin, TLS and {} events included, ms: {:.1?}",
        2 * MANY,
        milliseconds(&ups)
    ));
    let case = format!("request for the list of {MANY} pods to the view");
    table.note(&format!("{case}, ms: {:.1?}", milliseconds(&ours)));
    let (ours, theirs) = (median(ours), median(theirs));
    table.ratio(&case, ours, ("kube's own list, from the connect", theirs), None);
    table
        .check(&format!("{case} {:.1} ms (goal < {} ms)", ours / 1e6, LIST_NS_MAX / 1e6), ours < LIST_NS_MAX);
    Ok(())
}

/// What becomes of each pod in a rolling update. With the prune policy as it is by default: the new pods count in the
/// topology, so at no time has more than half of it gone within a minute.
fn rolling_update(table: &mut Table) -> Result<()> {
    let lab = Lab::new(ROLLED)?;
    let _host = lab.host(Topology::Kubernetes)?;
    let events = lab.events()?;
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut held = 0;
    let mut note = |line: &str| {
        let Some((kind, node)) = event(line) else { return };
        held += usize::from(line.contains("held back"));
        if let Some(node) = node {
            seen.entry(node).or_default().push(kind);
        }
    };
    let mut all_up = count_down(ROLLED, is_event("node_up"));
    events.wait("the old pods are up", |line| {
        note(line);
        all_up(line)
    })?;
    Rollout::new(ROLLED).run(AT_A_TIME, &lab.server);
    // What comes last: all before it has been told.
    let last = nth_endpoint(SERVICE, 2 * ROLLED);
    lab.server.apply(slice(NAMESPACE, "app-last").service(SERVICE).endpoint(last));
    let last = node_name(2 * ROLLED);
    events.wait("the update has come to its end", |line| {
        note(line);
        event(line).is_some_and(|(kind, node)| kind == "node_up" && node.as_ref() == Some(&last))
    })?;
    let life = |index: usize| seen.get(&node_name(index)).map(|kinds| kinds.join(" ")).unwrap_or_default();
    for (which, indices, expected) in [
        ("old", 0..ROLLED, "node_discovered node_up node_updated node_down node_left"),
        ("new", ROLLED..2 * ROLLED, "node_discovered node_up"),
    ] {
        let mut lives: BTreeMap<String, usize> = BTreeMap::new();
        indices.for_each(|index| *lives.entry(life(index)).or_default() += 1);
        table.note(&format!(
            "rolling update, {AT_A_TIME} at a time: what is told of the {which} pods: {lives:?}"
        ));
        let holds = lives.len() == 1 && lives.contains_key(expected);
        table.check(&format!("each {which} pod of {ROLLED}: {expected}"), holds);
    }
    table.check(&format!("{held} of them were held back"), held == 0);
    Ok(())
}

/// Memory, and what is asked of the server, while nothing happens.
fn at_rest(table: &mut Table) -> Result<()> {
    let (few, many) = (Lab::new(FEW)?, Lab::new(MANY)?);
    let bare = few.host_at("bare", Topology::None)?;
    let hosts = [(&few, few.host(Topology::Kubernetes)?), (&many, many.host(Topology::Kubernetes)?)];
    for (lab, _host) in &hosts {
        lab.server.wait_for("the watch", PATIENCE, |server| server.watches() == 1);
        lab.server.forget_requests();
    }
    pause(WATCH);
    for (lab, host) in &hosts {
        let pods = lab.pods;
        let requests = lab.server.requests();
        let renewals = requests.iter().filter(|request| request.is_watch()).count();
        let others = requests.len() - renewals;
        table.check(
            &format!(
                "{renewals} renewals of the watch and {others} other requests in {WATCH:?} with {pods} pods (goal \
                 1 each {RENEWAL:?}, and 0)"
            ),
            (renewals, others) == (1, 0),
        );
        let (with, without) = (host.memory()?, bare.memory()?);
        table.note(&format!("memory with {pods} pods, KiB: {with:?}, without a topology {without:?}"));
        let added = |of: fn(&Memory) -> u64| of(&with).saturating_sub(of(&without));
        let (rss, private) = (added(|memory| memory.rss), added(|memory| memory.private));
        let line = format!("{pods} pods and the strategy add {rss} KiB RSS, {private} KiB private");
        if pods == MANY {
            table.check(&format!("{line} (goal ≤ {MEMORY_KIB_MAX} KiB RSS)"), rss <= MEMORY_KIB_MAX);
        } else {
            table.note(&line);
        }
        lab.events()?.wait("all pods were there", count_down(pods, is_event("node_up")))?;
    }
    Ok(())
}

fn nanoseconds_between(begin: Duration, end: Duration) -> f64 {
    ns_each(end.saturating_sub(begin), 1)
}

// === where it is measured ===

/// An API server with a Service, and what a host needs.
struct Lab {
    pods: usize,
    server: ApiServer,
    served: Served,
    account: ServiceAccount,
    scratch: tempfile::TempDir,
    program: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Kubernetes,
    None,
}

// === impl Lab ===

impl Lab {
    fn new(pods: usize) -> Result<Self> {
        let server = ApiServer::new();
        for slice in slices_of(NAMESPACE, SERVICE, pods) {
            server.apply(slice);
        }
        let served = server.serve_tls();
        let account = ServiceAccount::new(&served, NAMESPACE, "benchmark");
        let scratch = tempfile::tempdir()?;
        let plugins = scratch.path().join("plugins");
        fs::create_dir(&plugins)?;
        fs::copy(plugin(PLUGIN), plugins.join(PLUGIN)).map_err(|error| no_plugin(&error))?;
        for path in [&plugins, &plugins.join(PLUGIN)] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        let program = std::env::current_exe()?.with_file_name("cluster-host");
        Ok(Self { pods, server, served, account, scratch, program })
    }

    /// Writes what a host is to do.
    fn config(&self, topology: Topology) -> Result<PathBuf> {
        let path = self.scratch.path().join("host.toml");
        let node = "[node]\nname = \"app@127.0.0.1\"\n";
        let text = match topology {
            Topology::None => node.to_owned(),
            Topology::Kubernetes => format!(
                "{node}[topologies.bench]\nstrategy = \"kubernetes\"\nconnect = \"none\"\nconfig = {{ \
                 kubernetes_node_basename = {SERVICE:?}, kubernetes_service_name = {SERVICE:?}, kubernetes_master = \
                 {:?}, kubernetes_service_account_path = {:?} }}\n",
                self.served.url(),
                self.account.path()
            ),
        };
        fs::write(&path, text)?;
        Ok(path)
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.sock"))
    }

    fn host(&self, topology: Topology) -> Result<Process> {
        self.host_at("api", topology)
    }

    /// Starts the host. Its API answers.
    fn host_at(&self, name: &str, topology: Topology) -> Result<Process> {
        let socket = self.socket(name);
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(self.config(topology)?)
            .arg("--plugins")
            .arg(self.scratch.path().join("plugins"))
            .args(["--listen", &format!("unix:{}", socket.display()), "--log-level", "error"])
            .stdin(Stdio::null())
            .spawn()?;
        let mut host = Process(child);
        let deadline = wall() + PATIENCE;
        while UnixStream::connect(&socket).is_err() {
            if let Some(status) = host.0.try_wait()? {
                return Err(format!("the host ended: {status}").into());
            }
            if wall() > deadline {
                return Err("the host does not answer".into());
            }
            pause(LOOK_INTERVAL);
        }
        Ok(host)
    }

    /// The host's events, from its start on.
    fn events(&self) -> Result<Lines> {
        Lines::events(&self.socket("api"))
    }

    /// The versions of the objects that a bare watch tells of. It has listed what there is.
    fn bare_watch(&self) -> Result<Lines> {
        let (sender, lines) = mpsc::channel();
        let config = self.kube();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(client) = Client::try_from(config) else { return };
                let api: Api<EndpointSlice> = Api::namespaced(client, NAMESPACE);
                let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
                while let Some(Ok(event)) = events.next().await {
                    let line = match event {
                        Event::InitDone => "listed".to_owned(),
                        Event::Apply(slice) => slice.resource_version().unwrap_or_default(),
                        Event::Init | Event::InitApply(_) | Event::Delete(_) => continue,
                    };
                    if sender.send((wall(), line)).is_err() {
                        return;
                    }
                }
            });
        });
        let lines = Lines::timed(lines);
        lines.wait("the bare watch has listed", |line| line == "listed")?;
        self.server.wait_for("both watch", PATIENCE, |server| server.watches() == 2);
        Ok(lines)
    }

    /// Nanoseconds from the start of a host in this process until all pods are up.
    async fn first_up(&self) -> Result<f64> {
        let registry = Registry::scan(&self.scratch.path().join("plugins"));
        let loaded = Config::load(&self.config(Topology::Kubernetes)?, &|_name| None);
        let config = loaded.map_err(|problems| format!("{problems:?}"))?.config;
        let begin = wall();
        let host = Host::builder(config, registry).start()?;
        let mut changes = host.subscribe();
        // And the node itself.
        while host.members().members.len() <= self.pods {
            let waited = tokio::time::timeout(PATIENCE, changes.next()).await;
            waited?.ok_or("the host has ended")?;
        }
        let end = wall();
        host.stop().await;
        Ok(nanoseconds_between(begin, end))
    }

    /// Nanoseconds from when the request for the list arrives until the strategy's view has crossed the boundary.
    fn first_view(&self) -> Result<f64> {
        let config = json!({
            "kubernetes_node_basename": SERVICE,
            "kubernetes_service_name": SERVICE,
            "kubernetes_master": self.served.url(),
            "kubernetes_service_account_path": self.account.path(),
        });
        self.server.forget_requests();
        let server = self.server.clone();
        let arrival = thread::spawn(move || {
            server.wait_for("the list", PATIENCE, |server| server.count(SeenRequest::is_list) > 0);
            wall()
        });
        let setting = Setting { log_level: LevelFilter::ERROR, ..Setting::default() };
        let host = setting.strategy::<strategy_k8s::Kubernetes>(config)?;
        let Report::Reset(view) = host.next_report()? else { return Err("not a view".into()) };
        let end = wall();
        let arrived = arrival.join().map_err(|_panic| "the server was not asked for a list")?;
        if view.nodes.len() == self.pods {
            Ok(nanoseconds_between(arrived, end))
        } else {
            Err(format!("the view has {} of {} pods", view.nodes.len(), self.pods).into())
        }
    }

    /// Nanoseconds until kube has the list, with a connection of its own.
    async fn first_list(&self) -> Result<f64> {
        let config = self.kube();
        let begin = wall();
        let api: Api<EndpointSlice> = Api::namespaced(Client::try_from(config)?, NAMESPACE);
        let list = api.list(&ListParams::default()).await?;
        let end = wall();
        let endpoints: usize = list.iter().map(|slice| slice.endpoints.len()).sum();
        if endpoints == self.pods {
            Ok(nanoseconds_between(begin, end))
        } else {
            Err(format!("kube lists {endpoints} of {} pods", self.pods).into())
        }
    }

    /// The way to the server for kube.
    fn kube(&self) -> kube::Config {
        let url = self.served.url().parse().unwrap_or_default();
        let mut config = kube::Config::new(url);
        // The verifier of the file takes the place of one for these.
        config.root_cert = Some(Vec::new());
        config.root_cert_file = Some(self.account.path().join("ca.crt"));
        config
    }
}

fn no_plugin(error: &std::io::Error) -> String {
    format!("{PLUGIN}, which `make plugins` builds: {error}")
}

/// The kind of event that a line of the stream is, and its node.
fn event(line: &str) -> Option<(String, Option<String>)> {
    let event: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
    let text = |key: &str| Some(event.get(key)?.as_str()?.to_owned());
    Some((text("type")?, text("node")))
}

/// The node of an event, where a line is one of that kind.
fn is_event(kind: &str) -> impl Fn(&str) -> Option<String> {
    move |line| event(line).filter(|(it, _)| it == kind)?.1
}

/// Whether this is the last of so many lines about members.
fn count_down(mut left: usize, is_it: impl Fn(&str) -> Option<String>) -> impl FnMut(&str) -> bool {
    move |line| {
        // The node itself is up as well.
        left -= usize::from(is_it(line).is_some_and(|node| node != "app@127.0.0.1"));
        left == 0
    }
}

/// The node of the pod number `index`.
fn node_name(index: usize) -> String {
    format!("{SERVICE}@{}", nth_address(index))
}
