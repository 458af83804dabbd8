//! What Prometheus is told: the membership, the topologies and the host in numbers.
//!
//! Nothing is kept for it but a few counters ([`Meters`]): a scrape reads what is there, so a host that nobody scrapes does
//! nothing. No sample names a node or an address. The names and their help are in `docs/monitoring.md`, and held by a test;
//! alert rules and a dashboard are in `contrib`.
//!
//! **Invariant:** all labels are bounded: words of this program, names of the configuration ([`TOPOLOGIES_MAX`]), and the names
//! of counters of plugins, of which only those count that look like names ([`COUNTER_NAME_BYTES_MAX`]).

mod meters;
mod page;
mod view;

use std::{collections::BTreeMap, fs, sync::atomic::Ordering::Relaxed, time::SystemTime};

use cluster_core::{Health, MemberState, Snapshot};

pub use self::meters::Meters;
use self::{
    page::{Page, float},
    view::{Tally, View},
};
use crate::{
    api::{Source, TopologyInfo, is_ready},
    hooks::HookInfo,
    state::StateHealth,
};

/// The format of [`exposition`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Topologies that have samples of their own; those beyond, by name, have none.
pub const TOPOLOGIES_MAX: usize = 256;
/// Bytes of a plugin's counter's name; it has lower-case letters, digits and `_`. Others are left out.
pub const COUNTER_NAME_BYTES_MAX: usize = 64;

/// How the counters of the strategy `gossip` begin that tell what became of datagrams.
const DATAGRAMS: &str = "datagrams_";
const HEALTHS: [Health; 5] =
    [Health::Starting, Health::Running, Health::Degraded, Health::Denied, Health::Stopped];

/// All samples, as text.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, Host, Registry, metrics};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_json(json!({ "cluster": "shop", "node": { "name": "app@127.0.0.1" } }))?;
/// let host = Host::builder(config, Registry::new()).start()?;
/// host.wait_up(1).await.ok_or("it has ended")?;
/// let page = metrics::exposition(host.handle())?;
/// assert!(page.lines().any(|line| line == "cluster_ready 1"));
/// assert!(page.contains(r#"cluster="shop""#));
/// assert!(!page.contains("127.0.0.1"), "no node and no address is named");
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Never, unless a name here is not what Prometheus allows: a mistake of this program.
pub fn exposition(source: &dyn Source) -> Result<String, prometheus::Error> {
    let (_, snapshot) = source.log().snapshot();
    let mut topologies = source.topologies();
    topologies.truncate(TOPOLOGIES_MAX);
    let mut page = Page::default();
    add_host(&mut page, source);
    add_members(&mut page, source, &snapshot);
    add_topologies(&mut page, source, &snapshot, &topologies);
    add_discovery(&mut page, &topologies);
    add_counters(&mut page, &topologies);
    add_events(&mut page, source);
    add_plugins(&mut page, source, &topologies);
    add_hooks(&mut page, &source.hooks());
    add_state(&mut page, &source.state());
    page.into_text()
}

fn add_host(page: &mut Page, source: &dyn Source) {
    let meters = source.meters();
    let build = [("version", env!("CARGO_PKG_VERSION")), ("cluster", meters.cluster.as_str())];
    page.gauge(
        "cluster_build_info",
        "The version of cluster-host, and the cluster that it is configured for.",
        [(build, 1.0)],
    );
    page.gauge(
        "process_start_time_seconds",
        "When the host started, in seconds since 1970.",
        [([], seconds(meters.started))],
    );
    let resident = resident_bytes().map(|bytes| ([], float(bytes)));
    page.gauge("process_resident_memory_bytes", "Memory of the host that is resident.", resident);
    let is_ready = is_ready(source).is_ok();
    page.gauge("cluster_ready", "1 while the host is ready, as /ready tells.", [([], flag(is_ready))]);
    let reloads = meters.reloads().map(|(result, count)| ([("result", result)], count));
    page.counter(
        "cluster_reloads_total",
        "Reloads of the configuration and the plugins, by result.",
        reloads,
    );
    let refused = meters.is_refused.load(Relaxed);
    page.gauge(
        "cluster_reload_refused",
        "1 while what is in the files is refused and the host runs on with what was there before.",
        [([], flag(refused))],
    );
}

fn add_members(page: &mut Page, source: &dyn Source, snapshot: &Snapshot) {
    let tally = Tally::of(snapshot);
    let samples = tally.iter().map(|(state, count)| ([("state", state.as_str())], float(count)));
    page.gauge("cluster_members", "Members by state, the local node among them.", samples);
    let node = source.node().and_then(|name| snapshot.members.get(&name).cloned());
    let is_up = node.map(|node| ([], flag(node.state == MemberState::Up)));
    page.gauge(
        "cluster_local_node_up",
        "1 while the node that the host runs beside is up; absent where its name is not known.",
        is_up,
    );
    let revision = float(source.log().revision());
    page.gauge(
        "cluster_revision",
        "The revision of the membership: it grows with each event.",
        [([], revision)],
    );
}

fn add_topologies(page: &mut Page, source: &dyn Source, snapshot: &Snapshot, topologies: &[TopologyInfo]) {
    let cluster = source.meters().cluster.as_str();
    let mut members = Vec::new();
    let mut hashes = Vec::new();
    for (name, view) in View::all(snapshot, topologies) {
        let name = name.as_str();
        let states = view.tally.iter();
        members.extend(
            states.map(|(state, count)| ([("topology", name), ("state", state.as_str())], float(count))),
        );
        hashes.push(([("cluster", cluster), ("topology", name)], float(view.hash())));
    }
    page.gauge(
        "cluster_topology_members",
        "Members that a topology vouches for, by state; the local node is not among them.",
        members,
    );
    page.gauge(
        "cluster_view_hash",
        "A number that is equal on nodes that see the same members up in a topology.",
        hashes,
    );
    let health = topologies.iter().flat_map(|topology| {
        let of = |health: Health| {
            (
                [("topology", topology.name.as_str()), ("health", health.as_str())],
                flag(topology.status.health == health),
            )
        };
        HEALTHS.map(of)
    });
    page.gauge("cluster_topology_health", "1 for the health that a topology has, 0 for the others.", health);
    let held = topologies
        .iter()
        .map(|topology| (topology_label(topology), float(topology.status.held.len() as u64)));
    page.gauge(
        "cluster_topology_members_held",
        "Members that the prune policy holds back, 100 of each topology at most.",
        held,
    );
}

fn add_discovery(page: &mut Page, topologies: &[TopologyInfo]) {
    let views = topologies
        .iter()
        .filter_map(|topology| Some((topology_label(topology), seconds(topology.last_view?))));
    page.gauge("cluster_discovery_last_view_timestamp_seconds", "When a topology's strategy last gave a view that was taken, in seconds since 1970. A watch gives none while nothing changes.", views);
    let errors = topologies.iter().flat_map(|topology| {
        let errors = topology.errors;
        let kinds = [
            ("degraded", errors.degraded),
            ("denied", errors.denied),
            ("refused", errors.refused),
            ("ended", errors.ended),
        ];
        kinds.map(|(kind, count)| ([("topology", topology.name.as_str()), ("kind", kind)], count))
    });
    page.counter("cluster_discovery_errors_total", "Failures to find nodes, by kind: degraded or denied by the strategy's word, a report refused, the strategy ended. One that goes on is one.", errors);
}

fn add_counters(page: &mut Page, topologies: &[TopologyInfo]) {
    let mut datagrams = Vec::new();
    let mut others = Vec::new();
    for topology in topologies {
        let named = topology.counters.iter().filter(|(name, _)| is_name(name));
        for (name, count) in named {
            let verdict = name.strip_prefix(DATAGRAMS).filter(|_| topology.strategy == "gossip");
            let (list, label) = match verdict {
                Some(verdict) => (&mut datagrams, ("verdict", verdict)),
                None => (&mut others, ("counter", name.as_str())),
            };
            list.push(([("topology", topology.name.as_str()), label], *count));
        }
    }
    page.counter(
        "cluster_gossip_datagrams_total",
        "Datagrams that the strategy gossip received, by what became of them.",
        datagrams,
    );
    page.counter("cluster_plugin_counts_total", "What plugins count, by their own names for it.", others);
}

fn add_events(page: &mut Page, source: &dyn Source) {
    let meters = source.meters();
    let events: Vec<_> = meters.events().collect();
    let events = events.iter().map(|(kind, count)| ([("type", kind.as_str())], *count));
    page.counter("cluster_events_total", "Events published, by type.", events);
    let dials = meters.dials().map(|(result, count)| ([("result", result)], count));
    page.counter("cluster_connect_attempts_total", "Tries to make a link that have ended, by result.", dials);
    page.gauge(
        "cluster_subscribers",
        "Subscribers of the events.",
        [([], float(source.log().subscribers() as u64))],
    );
    let activity = source.activity();
    page.gauge(
        "cluster_subscriber_lag_events",
        "Events that the slowest subscriber of the API has not been sent yet.",
        [([], float(activity.lag_max(source.log().revision())))],
    );
    let requests = activity.requests();
    page.counter(
        "cluster_api_requests_total",
        "Requests to the API, by outcome.",
        requests.map(|(outcome, count)| ([("outcome", outcome.as_str())], count)),
    );
}

fn add_plugins(page: &mut Page, source: &dyn Source, topologies: &[TopologyInfo]) {
    let meters = source.meters();
    let connectors: BTreeMap<String, u64> = meters.connector_restarts();
    let strategies = topologies.iter().map(|topology| {
        ([("unit", "strategy"), ("name", topology.name.as_str())], u64::from(topology.restarts))
    });
    let connectors =
        connectors.iter().map(|(name, count)| ([("unit", "connector"), ("name", name.as_str())], *count));
    page.counter(
        "cluster_restarts_total",
        "How often strategies, by topology, and connectors ended and were started again.",
        strategies.chain(connectors),
    );
    let files = meters.plugin_files();
    let refused = files.refused.values().sum();
    let states = [("usable", files.usable), ("pending", files.pending), ("refused", refused)];
    page.gauge(
        "cluster_plugin_files",
        "Files in the plugin directory: usable, pending (an earlier content is used) or refused.",
        states.map(|(state, count)| ([("state", state)], float(count))),
    );
    page.gauge(
        "cluster_plugin_refusals",
        "Files in the plugin directory that are refused, by reason.",
        files.refused.iter().map(|(reason, count)| ([("reason", *reason)], float(*count))),
    );
}

fn add_hooks(page: &mut Page, hooks: &[HookInfo]) {
    let named = || hooks.iter().map(|hook| (hook.name.as_str(), hook));
    let tries = named().flat_map(|(name, hook)| {
        let results = [("delivered", hook.delivered), ("failed", hook.failed)];
        results.map(|(result, count)| ([("hook", name), ("result", result)], count))
    });
    page.counter("cluster_hook_tries_total", "Tries to deliver a document of a hook, by result.", tries);
    let given_up = named().map(|(name, hook)| ([("hook", name)], hook.given_up));
    page.counter("cluster_hook_given_up_total", "Documents of a hook that were given up.", given_up);
    let lag = named().filter_map(|(name, hook)| Some(([("hook", name)], float(hook.lag?))));
    page.gauge(
        "cluster_hook_lag_events",
        "Events that a hook is not done with yet; absent where a resync takes their place.",
        lag,
    );
    let unsaved = named().map(|(name, hook)| ([("hook", name)], flag(hook.save_failure.is_some())));
    page.gauge("cluster_hook_unsaved", "1 while the place of a hook in the log cannot be written.", unsaved);
}

fn add_state(page: &mut Page, state: &StateHealth) {
    let health = ["off", "written", "failing"].map(|word| ([("health", word)], flag(state.as_str() == word)));
    page.gauge(
        "cluster_state_health",
        "1 for how it is with what is remembered across restarts: off, written or failing.",
        health,
    );
}

fn topology_label(topology: &TopologyInfo) -> [(&'static str, &str); 1] {
    [("topology", topology.name.as_str())]
}

fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= COUNTER_NAME_BYTES_MAX && name.bytes().all(is_fit)
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// As the system counts it; nothing where it does not say.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests;
