//! What is known beside the membership: who works for each topology and what they count, and what the local node is
//! called. Written by whoever knows, read by the API.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use cluster_core::{NodeName, TopologyName};

use crate::{clock, hooks::Ledger};

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
