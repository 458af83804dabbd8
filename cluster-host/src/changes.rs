//! What a configuration changes in a host, and doing it. A host that starts is one to which everything is new.
//!
//! ```text
//! Assembly ──► connectors: kept, changed in place, new ──► topologies added, changed ──► topologies that are gone
//!                                                                                   └──► connectors that nobody uses
//! ```
//!
//! Additions come before removals: the members of a topology that is gone stay until each new topology has named its
//! own, [`SUPERSEDED_MAX`] at most. What a topology is asked by is its *source*: another strategy or another config is
//! another source, whose first whole view takes the place of what was vouched for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use cluster_core::{
    Health, NodeName, Now, TopologyName,
    membership::{ConnectorId, LinkInput, SUPERSEDED_MAX},
};
use cluster_sdk::abi::host::StopReason;

use crate::{
    assembly::{Assembly, ConnectorPart, TopologyPart},
    clock,
    config::{Config, TopologyConfig},
    hooks::HookChanges,
    inbox::UnitId,
    owner::{Fixed, Owner},
    plugin::Origin,
    supervision::Supervision,
    unit::Unit,
};

/// What a new configuration changes, or would change; topologies by name.
///
/// # Examples
///
/// ```
/// use cluster_host::Changes;
///
/// let mut changes = Changes::default();
/// changes.unchanged.push("office".parse()?);
/// assert!(changes.is_empty(), "what is as it was is no change");
/// changes.hooks.added.push("pager".to_owned());
/// assert!(!changes.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// New ones.
    pub added: Vec<TopologyName>,
    /// Those with another strategy or another config: another source of nodes.
    pub changed: Vec<TopologyName>,
    /// Those whose strategy is started anew with the same config: by another file of the plugin, or elsewhere.
    pub restarted: Vec<TopologyName>,
    /// Those that are run, linked or held in another way, with the strategy that runs.
    pub adjusted: Vec<TopologyName>,
    /// Those that are gone.
    pub removed: Vec<TopologyName>,
    /// Those that are as they were.
    pub unchanged: Vec<TopologyName>,
    /// What becomes of the hooks.
    pub hooks: HookChanges,
}

/// The word for topologies that run on.
pub(crate) const UNCHANGED: &str = "unchanged";

/// The keys that only a new start of the host can change, and whether two configurations differ there.
pub(crate) const FIXED: &[(&str, Differs)] = &[
    ("cluster", |one, other| one.cluster != other.cluster),
    ("node.name", |one, other| node_name(one) != node_name(other)),
    ("api", |one, other| one.api != other.api),
    ("reload", |one, other| one.reload != other.reload),
    ("state", |one, other| one.state != other.state),
];

type Differs = fn(&Config, &Config) -> bool;

fn node_name(config: &Config) -> Option<&NodeName> {
    config.node.as_ref().map(|node| &node.name)
}

/// What runs.
#[derive(Debug, Default)]
pub(crate) struct Current {
    config: Config,
    /// The origin of each topology's plugin.
    origins: BTreeMap<TopologyName, Origin>,
    connectors: BTreeMap<ConnectorId, InUse>,
    connectors_count: u32,
    /// The connectors that the configuration asks for; others go with the last topology that is about to go.
    wanted: BTreeSet<ConnectorId>,
    removals: BTreeMap<TopologyName, Removal>,
}

/// A connector that runs.
#[derive(Debug)]
struct InUse {
    name: String,
    config: TopologyConfig,
    topologies: Vec<TopologyName>,
    origin: Origin,
}

/// A topology that is gone, and whose members stay for now.
#[derive(Debug)]
struct Removal {
    /// New topologies that have not given a view yet.
    awaited: BTreeSet<TopologyName>,
    deadline: Instant,
}

/// What becomes of one topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Source,
    Restarted,
    Adjusted,
    None,
}

// === impl Changes ===

impl Changes {
    /// Whether nothing is changed at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(word, names)| *word == UNCHANGED || names.is_empty())
            && self.hooks.is_empty()
    }

    /// All topologies, by the word for what becomes of them.
    pub(crate) fn lists(&self) -> [(&'static str, &[TopologyName]); 6] {
        let Self { added, changed, restarted, adjusted, removed, unchanged, hooks: _ } = self;
        [
            ("added", added),
            ("changed", changed),
            ("restarted", restarted),
            ("adjusted", adjusted),
            ("removed", removed),
            (UNCHANGED, unchanged),
        ]
    }

    fn add(&mut self, change: Change, name: &TopologyName) {
        let names = match change {
            Change::Added => &mut self.added,
            Change::Source => &mut self.changed,
            Change::Restarted => &mut self.restarted,
            Change::Adjusted => &mut self.adjusted,
            Change::None => &mut self.unchanged,
        };
        names.push(name.clone());
    }
}

// === impl Current ===

impl Current {
    /// What a configuration would change.
    pub(crate) fn compare(&self, assembly: &Assembly) -> Changes {
        let mut changes = Changes::default();
        for (name, part) in &assembly.topologies {
            changes.add(self.change(name, part), name);
        }
        let is_gone = |name: &&TopologyName| !assembly.topologies.contains_key(*name);
        changes.removed = self.config.topologies.keys().filter(is_gone).cloned().collect();
        changes.hooks = HookChanges::between(&self.config.on_event, &assembly.config.on_event);
        changes
    }

    /// Whether a host can be changed to a configuration; else the keys that only a new start of it can change.
    pub(crate) fn can_become(&self, config: &Config) -> Result<(), Fixed> {
        let differs = FIXED.iter().filter(|(_, differs)| differs(&self.config, config));
        let fixed: Fixed = differs.map(|(key, _)| *key).collect();
        if fixed.is_empty() { Ok(()) } else { Err(fixed) }
    }

    fn change(&self, name: &TopologyName, part: &TopologyPart) -> Change {
        let Some(old) = self.config.topologies.get(name) else {
            return Change::Added;
        };
        let new = &part.config;
        let same_plugin = self.origins.get(name) == Some(&part.plugin.origin);
        if old.strategy != new.strategy || old.config != new.config {
            Change::Source
        } else if !same_plugin
            || old.opts.isolation != new.opts.isolation
            || old.members_max != new.members_max
        {
            Change::Restarted
        } else if old != new {
            Change::Adjusted
        } else {
            Change::None
        }
    }

    /// Which connector each of the new ones is: one that runs with the same config; one of the same name for one of the
    /// same topologies, changed in place; or a new one.
    fn identify(&mut self, parts: &[ConnectorPart]) -> Vec<ConnectorId> {
        let mut ids: Vec<Option<ConnectorId>> = vec![None; parts.len()];
        let same = |part: &ConnectorPart, old: &InUse| old.config.shares_connector(&part.config);
        let alike = |part: &ConnectorPart, old: &InUse| {
            old.name == part.name && old.topologies.iter().any(|name| part.topologies.contains(name))
        };
        for is_it in [&same as &dyn Fn(&ConnectorPart, &InUse) -> bool, &alike] {
            for (index, part) in parts.iter().enumerate() {
                let taken = |id: &ConnectorId| ids.contains(&Some(*id));
                let found = self.connectors.iter().find(|(id, old)| !taken(id) && is_it(part, old));
                let found = found.map(|(id, _)| *id);
                if let Some(id) = ids.get_mut(index) {
                    *id = id.or(found);
                }
            }
        }
        let mut fresh = || {
            let id = ConnectorId(self.connectors_count);
            self.connectors_count = self.connectors_count.saturating_add(1);
            id
        };
        ids.into_iter().map(|id| id.unwrap_or_else(&mut fresh)).collect()
    }

    /// The connectors that nobody uses any more.
    fn unused(&self) -> Vec<ConnectorId> {
        let is_used = |id: &ConnectorId, connector: &InUse| {
            self.wanted.contains(id)
                || connector.topologies.iter().any(|name| self.removals.contains_key(name))
        };
        let unused = self.connectors.iter().filter(|(id, connector)| !is_used(id, connector));
        unused.map(|(id, _)| *id).collect()
    }

    /// When the members of the next topology that is gone go, whatever else happens.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.removals.values().map(|removal| removal.deadline).min()
    }

    /// A topology has given a view.
    pub(crate) fn reported(&mut self, name: &TopologyName) {
        for removal in self.removals.values_mut() {
            removal.awaited.remove(name);
        }
    }

    /// The topologies whose members go now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<TopologyName> {
        let is_due = |removal: &Removal| removal.awaited.is_empty() || removal.deadline <= now;
        let due = self.removals.extract_if(.., |_, removal| is_due(removal));
        due.map(|(name, _)| name).collect()
    }
}

impl Owner {
    /// Makes the host what a configuration asks for.
    pub(crate) fn apply(&mut self, assembly: &Assembly) -> Changes {
        let now = clock::now();
        let changes = self.current.compare(assembly);
        if let Some(node) = &assembly.config.node {
            self.around.presence.describe(&node.addresses, &node.attributes);
        }
        let ids = self.current.identify(&assembly.connectors);
        for (id, part) in ids.iter().zip(&assembly.connectors) {
            self.apply_connector(*id, part, now);
        }
        for (name, part) in &assembly.topologies {
            let connector = part.connector.and_then(|index| ids.get(index).copied());
            let change = self.current.change(name, part);
            self.apply_topology(name, part, (change, connector), now);
        }
        let awaited: BTreeSet<_> = changes.added.iter().cloned().collect();
        for name in &changes.removed {
            self.retire_topology(name, awaited.clone(), now);
        }
        let origin = |(name, part): (&TopologyName, &TopologyPart)| (name.clone(), part.plugin.origin);
        self.hooks.apply(&assembly.config, self.publisher.log(), &self.around.board);
        self.current.origins = assembly.topologies.iter().map(origin).collect();
        self.current.config = assembly.config.clone();
        self.around.readiness.configure(&assembly.config, self.around.presence.is_expected());
        self.current.wanted = ids.into_iter().collect();
        self.remove_due();
        self.local_changed(now);
        changes
    }

    fn apply_connector(&mut self, id: ConnectorId, part: &ConnectorPart, now: Now) {
        let in_use = InUse {
            name: part.name.clone(),
            config: part.config.clone(),
            topologies: part.topologies.clone(),
            origin: part.plugin.origin,
        };
        let unit_id = UnitId::Connector(id);
        let (unit, before) = (self.units.get_mut(&unit_id), self.current.connectors.insert(id, in_use));
        let (Some(unit), Some(before)) = (unit, before) else {
            if part.attaches() {
                self.around.presence.expect(id, &part.name);
            }
            self.membership.add_connector(part.spec(id));
            let supervision = Supervision::new(ConnectorPart::policy(), now.instant);
            self.units.insert(unit_id, Unit::new(part.unit(id), supervision, now.instant));
            return;
        };
        self.membership.change_connector(part.spec(id));
        if before.config.connect == part.config.connect && before.origin == part.plugin.origin {
            unit.serve(&part.topologies);
        } else {
            unit.replace(part.unit(id), ConnectorPart::policy(), now.instant);
            let reason = "it is started anew with another configuration".into();
            self.membership.handle_link(id, LinkInput::Stopped { reason }, now);
        }
    }

    fn apply_topology(
        &mut self,
        name: &TopologyName,
        part: &TopologyPart,
        (change, connector): (Change, Option<ConnectorId>),
        now: Now,
    ) {
        let is_back = self.current.removals.remove(name).is_some();
        self.membership.change_topology(part.spec(name, connector), now);
        if change == Change::Source || is_back {
            self.membership.supersede(name, now);
        }
        let id = UnitId::Strategy(name.clone());
        let Some(unit) = self.units.get_mut(&id) else {
            self.around.board.add(name.clone(), part.entry());
            let unit = Unit::new(part.unit(name), Supervision::new(part.policy(), now.instant), now.instant);
            self.units.insert(id, unit);
            return;
        };
        match change {
            Change::Added | Change::Source | Change::Restarted => {}
            // What was given up is tried again: whoever reloads has mended it.
            Change::Adjusted | Change::None if unit.has_given_up() => {}
            Change::Adjusted | Change::None => {
                unit.set_policy(part.policy());
                self.around.board.set_connector(name, part.config.connect.name());
                return;
            }
        }
        self.around.board.add(name.clone(), part.entry());
        unit.replace(part.unit(name), part.policy(), now.instant);
        self.membership.strategy_stopped(name, now);
    }

    /// Lets a topology's strategy end. Its members stay until others are known to stay with the cluster.
    fn retire_topology(&mut self, name: &TopologyName, awaited: BTreeSet<TopologyName>, now: Now) {
        self.membership.strategy_stopped(name, now);
        if !awaited.is_empty() {
            let names: Vec<_> = awaited.iter().map(TopologyName::as_str).collect();
            let reason =
                format!("it was removed; its members stay until {} has named its own", names.join(", "));
            self.membership.set_health(name, Health::Stopped, Some(&reason), now);
        }
        self.current
            .removals
            .insert(name.clone(), Removal { awaited, deadline: now.instant + SUPERSEDED_MAX });
        let reason = self.around.presence.stop_reason();
        self.retire_unit(&UnitId::Strategy(name.clone()), reason, now);
    }

    /// Lets a connector end. Its links are left as they are: its own end with it, those that outlive it stay.
    fn retire_connector(&mut self, id: ConnectorId, now: Now) {
        self.current.connectors.remove(&id);
        self.around.presence.forget(id);
        self.membership.remove_connector(id, now);
        self.retire_unit(&UnitId::Connector(id), StopReason::Restart, now);
    }

    /// Removes topologies whose time has come, and the connectors that were theirs alone.
    pub(crate) fn remove_due(&mut self) {
        let now = clock::now();
        for name in self.current.take_due(now.instant) {
            self.around.board.remove(&name);
            self.membership.remove_topology(&name, now);
        }
        for id in self.current.unused() {
            self.retire_connector(id, now);
        }
    }
}
