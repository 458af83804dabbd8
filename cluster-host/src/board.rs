//! What is known beside the membership: who works for each topology and what they count, and what the local node is
//! called. Written by whoever knows, read by the API.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use cluster_core::{Health, NodeName, TopologyName};

use crate::{api::DiscoveryErrors, clock, hooks::Ledger};

/// Counters that one topology may show at most.
const COUNTERS_MAX: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Board {
    topologies: Mutex<BTreeMap<TopologyName, Entry>>,
    /// The name of the local node, as far as it is known.
    node: Mutex<Option<NodeName>>,
    /// How the hooks do.
    pub(crate) hooks: Ledger,
}

/// One topology.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) strategy: String,
    pub(crate) plugin: Option<String>,
    pub(crate) connector: String,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) restarts: u32,
    pub(crate) last_report: Option<SystemTime>,
    /// When the membership last took a report.
    pub(crate) last_view: Option<SystemTime>,
    pub(crate) errors: DiscoveryErrors,
    /// What its strategy last said of its health.
    pub(crate) said: Option<(Health, Option<String>)>,
}

// === impl Board ===

impl Board {
    /// Adds a topology.
    pub(crate) fn add(&self, topology: TopologyName, entry: Entry) {
        self.lock().insert(topology, entry);
    }

    /// A topology is gone.
    pub(crate) fn remove(&self, topology: &TopologyName) {
        self.lock().remove(topology);
    }

    /// Its links are made by this connector.
    pub(crate) fn set_connector(&self, topology: &TopologyName, connector: &str) {
        self.with(topology, |entry| connector.clone_into(&mut entry.connector));
    }

    /// The local node has this name.
    pub(crate) fn set_node(&self, name: Option<NodeName>) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// The name of the local node, as far as it is known.
    pub(crate) fn node(&self) -> Option<NodeName> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its strategy has reported.
    pub(crate) fn reported(&self, topology: &TopologyName) {
        self.with(topology, |entry| entry.last_report = Some(clock::now().wall));
    }

    /// The membership has taken a report of its strategy, or has refused it.
    pub(crate) fn viewed(&self, topology: &TopologyName, taken: bool) {
        self.with(topology, |entry| {
            if taken {
                entry.last_view = Some(clock::now().wall);
            } else {
                entry.errors.refused = entry.errors.refused.saturating_add(1);
            }
        });
    }

    /// Its strategy says how it does. The same once more is no other error: it may come with each count.
    pub(crate) fn said(&self, topology: &TopologyName, health: Health, reason: Option<&str>) {
        self.with(topology, |entry| {
            let is_same =
                |(said, why): &(Health, Option<String>)| *said == health && why.as_deref() == reason;
            if entry.said.as_ref().is_some_and(is_same) {
                return;
            }
            entry.said = Some((health, reason.map(str::to_owned)));
            let errors = match health {
                Health::Degraded => &mut entry.errors.degraded,
                Health::Denied => &mut entry.errors.denied,
                Health::Starting | Health::Running | Health::Stopped => return,
            };
            *errors = errors.saturating_add(1);
        });
    }

    /// Its strategy has failed as a whole.
    pub(crate) fn failed(&self, topology: &TopologyName) {
        self.with(topology, |entry| entry.errors.ended = entry.errors.ended.saturating_add(1));
    }

    /// Its strategy or connector has counted.
    pub(crate) fn count(&self, topology: &TopologyName, counters: &BTreeMap<String, u64>) {
        self.with(topology, |entry| {
            for (name, count) in counters {
                if let Some(known) = entry.counters.get_mut(name) {
                    *known = *count;
                } else if entry.counters.len() < COUNTERS_MAX {
                    entry.counters.insert(name.clone(), *count);
                }
            }
        });
    }

    /// Its strategy was started again.
    pub(crate) fn restarted(&self, topology: &TopologyName, restarts: u32) {
        self.with(topology, |entry| entry.restarts = restarts);
    }

    /// All topologies as they are now.
    pub(crate) fn entries(&self) -> BTreeMap<TopologyName, Entry> {
        self.lock().clone()
    }

    fn with(&self, topology: &TopologyName, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.lock().get_mut(topology) {
            change(entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopologyName, Entry>> {
        self.topologies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
