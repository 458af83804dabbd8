//! One topology: its strategy alone, and the links to whom it names.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use cluster_core::{Completeness, Health, Node, NodeName, TopologyName};
use cluster_sdk::{OfferKind, Rung, Verdict};
use futures_util::future::{join, join_all};

use super::{
    Examination, ask,
    daemon::Daemon,
    ladder::{Ladder, Place, Stage, cause_and_fix},
    member,
};
use crate::{
    clock,
    config::{ConnectorConfig, IsolationConfig, Loaded, PluginConfig},
    placement::Plugin,
    plugin::Registry,
    trial::{self, Findings, Found, Trial},
};

/// Nodes of a topology that are asked about, those that are not up first; `--node` chooses one.
const NODES_MAX: usize = 8;
/// Names that a line shows.
const NAMES_SHOWN_MAX: usize = 8;
/// Hosts that are looked up.
const HOSTS_MAX: usize = 64;

/// All that a topology is looked at with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patient<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) registry: &'a Registry,
    pub(super) daemon: &'a Daemon,
    pub(super) asked: &'a Examination,
}

/// What a topology came to.
#[derive(Debug, Default)]
pub(super) struct Examined {
    pub(super) ladder: Ladder,
    /// Whom it names.
    pub(super) nodes: Vec<NodeName>,
}

/// A strategy or a connector, ready to be asked.
struct Part<'a> {
    kind: OfferKind,
    name: &'a str,
    config: &'a PluginConfig,
    plugin: Plugin,
    source: String,
}

// === impl Patient ===

impl Patient<'_> {
    pub(super) async fn examine(&self, name: &TopologyName) -> Examined {
        let mut examined = Examined::default();
        let place = Place::topology(name.as_str());
        let Some(topology) = self.loaded.config.topologies.get(name) else { return examined };
        let ladder = &mut examined.ladder;
        let strategy =
            self.part(OfferKind::Strategy, &topology.strategy, &topology.config, &topology.opts.isolation);
        let connector = topology.connect.connector().map(|connector| {
            let ConnectorConfig { name, config, isolation, .. } = connector;
            self.part(OfferKind::Connector, name, config, isolation)
        });
        let strategy = ready(strategy, &place, ladder);
        let connector = connector.and_then(|connector| ready(connector, &place, ladder));
        let Some(strategy) = strategy else { return examined };
        let mut nodes = self.discovery(name, &strategy, &place, ladder).await;
        for member in self.daemon.members_of(name.as_str()) {
            if let Ok(node) = Node::try_new(&member.name) {
                let node = member.addresses.iter().fold(node, |node, address| node.address(address));
                nodes.entry(node.name().clone()).or_insert(node);
            }
        }
        if let Some(own) = &self.loaded.config.node {
            nodes.remove(&own.name);
        }
        examined.nodes = nodes.keys().cloned().collect();
        let Some(connector) = connector else {
            if topology.connect.connector().is_none() {
                let why = "connect = \"none\": being named is all there is";
                ladder.add(Stage::Link, &place, Rung::skipped("link", why));
            }
            return examined;
        };
        resolution(&nodes, &place, ladder).await;
        self.links(&connector, &nodes, &place, ladder).await;
        examined
    }

    fn part<'a>(
        &self,
        kind: OfferKind,
        name: &'a str,
        config: &'a PluginConfig,
        isolation: &IsolationConfig,
    ) -> Result<Part<'a>, String> {
        let source = self.registry.find(kind, name).map_err(|error| error.to_string())?;
        let plugin = Plugin::place(self.registry, source, isolation, &config.to_value());
        let plugin = plugin.map_err(|error| error.to_string())?;
        let identity = source.identity();
        let from = format!("{kind} {name} of {} {}", identity.plugin, identity.version);
        Ok(Part { kind, name, config, plugin, source: from })
    }

    fn trial(&self, part: &Part<'_>, place: &Place) -> Trial {
        let local = self.loaded.config.local_node(self.daemon.incarnation().unwrap_or_default());
        let label = place.topology.clone().unwrap_or_default();
        Trial { strategy: part.name.to_owned(), config: part.config.to_value(), label, local }
    }

    async fn diagnose(&self, part: &Part<'_>, place: &Place, node: Option<&Node>) -> Option<Vec<Rung>> {
        let trial = self.trial(part, place);
        match trial::diagnose(&part.plugin, (part.kind, trial), node, self.asked.within).await {
            Ok(rungs) => rungs,
            Err(reason) => {
                let evidence = format!("{} gave no diagnosis: {reason}", part.source);
                let fix = "look at its log with --log-level debug; --timeout gives it longer";
                Some(vec![Rung::warn(part.name, evidence, fix)])
            }
        }
    }

    /// What the strategy finds when it runs alone, and what it tells of its protocol.
    async fn discovery(
        &self,
        name: &TopologyName,
        part: &Part<'_>,
        place: &Place,
        ladder: &mut Ladder,
    ) -> BTreeMap<NodeName, Node> {
        let began = clock::now().instant;
        let trial = async {
            let findings = trial::run(&part.plugin, self.trial(part, place), self.asked.within).await;
            (findings, clock::now().instant.saturating_duration_since(began))
        };
        let (rungs, (findings, took)) = join(self.diagnose(part, place, None), trial).await;
        let rungs = rungs.unwrap_or_default();
        let says_why = rungs.iter().any(|rung| matches!(rung.verdict, Verdict::Fail | Verdict::Warn));
        for rung in rungs {
            ladder.add(Stage::Discovery, place, rung);
        }
        let findings = match findings {
            Ok(findings) => findings,
            Err(error) => {
                let fix = format!("see its options: cluster-host strategies describe {}", part.name);
                ladder.add(Stage::Discovery, place, Rung::fail("discovery", error.to_string(), fix));
                return BTreeMap::new();
            }
        };
        let own = self.loaded.config.node.as_ref().map(|node| &node.name);
        let rung = self.found(part, &findings, (took, says_why), own);
        ladder.add(Stage::Discovery, place, rung);
        let nodes = findings.view.map(|view| view.nodes).unwrap_or_default();
        if let Some(node) = &self.asked.node {
            let knows = self.daemon.members_of(name.as_str()).any(|member| member.name == node.as_str());
            if nodes.contains_key(node) {
                let evidence = format!("{} names it", part.name);
                ladder.add(Stage::Discovery, &place.node(node.as_str()), Rung::pass("discovery", evidence));
            } else if !knows && own != Some(node) {
                ladder.add(
                    Stage::Discovery,
                    &place.node(node.as_str()),
                    member::unnamed(part.name, node, &nodes),
                );
            }
        }
        nodes
    }

    fn found(
        &self,
        part: &Part<'_>,
        findings: &Findings,
        (took, says_why): (Duration, bool),
        own: Option<&NodeName>,
    ) -> Rung {
        let describe = || format!("see its options: cluster-host strategies describe {}", part.name);
        let note = findings.status.as_ref().and_then(|status| status.reason.as_deref());
        let is_troubled = |health| matches!(health, Health::Degraded | Health::Denied);
        let trouble =
            note.filter(|_| findings.status.as_ref().is_some_and(|status| is_troubled(status.health)));
        let Some(view) = &findings.view else {
            let late = || format!("{} gave no view within {} s", part.name, self.asked.within.as_secs());
            let reason = trouble.map(str::to_owned).or_else(|| findings.reason());
            let (evidence, fix) = cause_and_fix(&reason.unwrap_or_else(late));
            return Rung::fail("discovery", evidence, fix.unwrap_or_else(describe));
        };
        let others: Vec<&NodeName> = view.nodes.keys().filter(|name| Some(*name) != own).collect();
        let names = names(view, own);
        if others.is_empty() && says_why {
            return Rung::skipped(
                "discovery",
                "it finds nobody but this node; what is wrong above comes first",
            );
        }
        if let Some(trouble) = trouble {
            let (cause, fix) = cause_and_fix(trouble);
            return Rung::fail("discovery", format!("{names}, but {cause}"), fix.unwrap_or_else(describe));
        }
        if view.nodes.is_empty() && view.completeness == Completeness::Complete {
            let (cause, fix) = note.map(cause_and_fix).unwrap_or_default();
            let why = if cause.is_empty() { String::new() } else { format!(": {cause}") };
            let evidence = format!("{} answers, and names nobody{why}", part.name);
            let fix = fix.unwrap_or_else(|| {
                format!("make its config select your nodes; cluster-host strategies describe {}", part.name)
            });
            return Rung::fail("discovery", evidence, fix);
        }
        let evidence = format!("{names}, in {} ms", took.as_millis());
        if let Some(note) = note {
            let (cause, fix) = cause_and_fix(note);
            return Rung::warn("discovery", format!("{evidence}; {cause}"), fix.unwrap_or_else(describe));
        }
        if others.is_empty() {
            let fix = "start another node, with the same options of this topology";
            return Rung::warn("discovery", format!("{} finds nobody but this node", part.name), fix);
        }
        if let Some(own) = own
            && view.completeness == Completeness::Complete
            && let Some(alias) = others.iter().find(|other| other.host() == own.host())
            && !view.nodes.contains_key(own)
            && !is_loopback(own.host())
        {
            let evidence = format!("{evidence}; it has {alias} at this node's host, and not {own}");
            let fix = format!("name this node {alias} in [node], or have the strategy name it {own}");
            return Rung::warn("discovery", evidence, fix);
        }
        Rung::pass("discovery", evidence)
    }

    /// What the connector tells of itself, and of each node that is not linked.
    async fn links(
        &self,
        part: &Part<'_>,
        nodes: &BTreeMap<NodeName, Node>,
        place: &Place,
        ladder: &mut Ladder,
    ) {
        let Some(rungs) = self.diagnose(part, place, None).await else {
            let why =
                format!("{} was built before it could tell; the daemon's word is what there is", part.source);
            ladder.add(Stage::Links, place, Rung::skipped(part.name, why));
            self.told(nodes, place, ladder);
            return;
        };
        for rung in rungs {
            ladder.add(Stage::Links, place, rung);
        }
        let topology = place.topology.as_deref().unwrap_or_default();
        let is_up = |name: &NodeName| {
            self.daemon
                .members_of(topology)
                .any(|member| member.name == name.as_str() && member.state == "up")
        };
        let (up, mut rest): (Vec<_>, Vec<_>) = nodes.iter().partition(|(name, _)| is_up(name));
        if !up.is_empty() {
            let names: Vec<&str> = up.iter().map(|(name, _)| name.as_str()).take(NAMES_SHOWN_MAX).collect();
            let evidence = format!("{} are up, says the daemon: {}", up.len(), names.join(", "));
            ladder.add(Stage::Link, place, Rung::pass("link", evidence));
        }
        if let Some(node) = &self.asked.node {
            rest.retain(|(name, _)| *name == node);
        }
        let left_out = rest.len().saturating_sub(NODES_MAX);
        rest.truncate(NODES_MAX);
        let asked = rest.iter().map(|(_, node)| self.diagnose(part, place, Some(node)));
        for ((name, _), rungs) in rest.iter().zip(join_all(asked).await) {
            for rung in rungs.unwrap_or_default() {
                ladder.add(Stage::Link, &place.node(name.as_str()), rung);
            }
        }
        self.told(nodes, place, ladder);
        if left_out > 0 {
            let why = format!("{left_out} more nodes were not asked about: choose with --node");
            ladder.add(Stage::Link, place, Rung::skipped("link", why));
        }
    }

    /// What the daemon has seen of links that are not up, where nothing better is known.
    fn told(&self, nodes: &BTreeMap<NodeName, Node>, place: &Place, ladder: &mut Ladder) {
        for name in nodes.keys() {
            let place = place.node(name.as_str());
            let is_asked = self.asked.node.as_ref().is_none_or(|node| node == name);
            let told =
                self.daemon.explanation(name.as_str()).filter(|_| is_asked && !ladder.is_broken(&place));
            if let Some(rung) = told.and_then(|told| super::daemon::of_links(&told.links)) {
                ladder.add(Stage::Link, &place, rung);
            }
        }
    }
}

fn ready<'a>(part: Result<Part<'a>, String>, place: &Place, ladder: &mut Ladder) -> Option<Part<'a>> {
    match part {
        Ok(part) => {
            ladder.add(Stage::Plugin, place, Rung::pass("plugin", part.source.clone()));
            Some(part)
        }
        Err(reason) => {
            let (evidence, fix) = cause_and_fix(&reason);
            let fix = fix.unwrap_or_else(|| "see what there is: cluster-host plugins".to_owned());
            ladder.add(Stage::Plugin, place, Rung::fail("plugin", evidence, fix));
            None
        }
    }
}

/// Whether the hosts of the names have addresses.
async fn resolution(nodes: &BTreeMap<NodeName, Node>, place: &Place, ladder: &mut Ladder) {
    let is_name = |host: &&str| host.parse::<IpAddr>().is_err();
    let mut hosts: Vec<&str> = nodes.keys().map(NodeName::host).filter(is_name).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.truncate(HOSTS_MAX);
    let answers = join_all(hosts.iter().map(|host| ask::resolve(host))).await;
    let mut resolved = 0;
    for (host, answer) in hosts.iter().zip(answers) {
        match answer {
            Ok(_addresses) => resolved += 1,
            Err(error) => {
                let evidence = format!("{host} has no address here: {error}");
                let fix =
                    format!("add {host} to DNS or to /etc/hosts, or have the nodes named by their addresses");
                ladder.add(Stage::Resolution, place, Rung::fail("resolution", evidence, fix));
            }
        }
    }
    if hosts.is_empty() {
        let why = "the hosts in the names are addresses";
        ladder.add(Stage::Resolution, place, Rung::skipped("resolution", why));
    } else if resolved == hosts.len() {
        let evidence = format!("{resolved} of {resolved} hosts have addresses");
        ladder.add(Stage::Resolution, place, Rung::pass("resolution", evidence));
    }
}

/// `3 nodes: a@h, b@h, c@h; this node is one of them`
fn names(view: &Found, own: Option<&NodeName>) -> String {
    let count = view.nodes.len();
    let noun = if count == 1 { "node" } else { "nodes" };
    let shown: Vec<&str> = view.nodes.keys().map(NodeName::as_str).take(NAMES_SHOWN_MAX).collect();
    let more = if count > shown.len() { ", …" } else { "" };
    let colon = if count == 0 { "" } else { ": " };
    let own = match own {
        Some(own) if view.nodes.contains_key(own) => "; this node is one of them",
        _ => "",
    };
    format!("{count} {noun}{colon}{}{more}{own}", shown.join(", "))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
