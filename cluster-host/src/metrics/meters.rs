//! What is counted as it happens: all that cannot be read from the membership when it is asked for.

use std::{
    array,
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use cluster_core::{Event, EventKind, membership::Dials};

use crate::plugin::Registry;

/// Connectors that are counted apart; reloads may bring others under new names.
const CONNECTORS_MAX: usize = 64;

/// Every kind of event, in the order in which they are counted.
pub(super) const EVENT_KINDS: [EventKind; 7] = [
    EventKind::NodeDiscovered,
    EventKind::NodeUp,
    EventKind::NodeDown,
    EventKind::NodeLeft,
    EventKind::NodeUpdated,
    EventKind::ConnectFailed,
    EventKind::TopologyChanged,
];

/// The counters of one host.
#[derive(Debug)]
pub struct Meters {
    pub(super) started: SystemTime,
    pub(super) cluster: String,
    events: [AtomicU64; EVENT_KINDS.len()],
    connected: AtomicU64,
    connect_failed: AtomicU64,
    reloads_applied: AtomicU64,
    reloads_refused: AtomicU64,
    /// Whether the last reload was refused.
    pub(super) is_refused: AtomicBool,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    connector_restarts: BTreeMap<String, u64>,
    plugins: Plugins,
}

/// The plugin files of the last look at them.
#[derive(Debug, Clone, Default)]
pub(super) struct Plugins {
    pub(super) usable: u64,
    pub(super) pending: u64,
    /// By the word for the reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

// === impl Meters ===

impl Meters {
    /// Those of a host of this cluster that starts now.
    #[must_use]
    pub fn new(started: SystemTime, cluster: &str) -> Self {
        Self {
            started,
            cluster: cluster.to_owned(),
            events: array::from_fn(|_| AtomicU64::new(0)),
            connected: AtomicU64::new(0),
            connect_failed: AtomicU64::new(0),
            reloads_applied: AtomicU64::new(0),
            reloads_refused: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
            lists: Mutex::default(),
        }
    }

    /// Events were published.
    pub(crate) fn published(&self, events: &[Event]) {
        for event in events {
            let kinds = EVENT_KINDS.iter().zip(&self.events);
            for (_, count) in kinds.filter(|(kind, _)| **kind == event.kind) {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// So many tries to make a link have ended by now.
    pub(crate) fn dialled(&self, dials: Dials) {
        self.connected.store(dials.connected, Relaxed);
        self.connect_failed.store(dials.failed, Relaxed);
    }

    /// A connector has ended, and is started again.
    pub(crate) fn connector_restarted(&self, name: &str) {
        let restarts = &mut self.lists().connector_restarts;
        if let Some(count) = restarts.get_mut(name) {
            *count = count.saturating_add(1);
        } else if restarts.len() < CONNECTORS_MAX {
            restarts.insert(name.to_owned(), 1);
        }
    }

    /// A reload was done or refused.
    pub(crate) fn reloaded(&self, applied: bool) {
        let count = if applied { &self.reloads_applied } else { &self.reloads_refused };
        count.fetch_add(1, Relaxed);
        self.is_refused.store(!applied, Relaxed);
    }

    /// The plugin files were looked at.
    pub(crate) fn plugins(&self, registry: &Registry) {
        let mut plugins = Plugins::default();
        for file in registry.files() {
            match &file.result {
                Ok(_) if file.pending.is_some() => plugins.pending += 1,
                Ok(_) => plugins.usable += 1,
                Err(refusal) => *plugins.refused.entry(refusal.reason.word()).or_default() += 1,
            }
        }
        self.lists().plugins = plugins;
    }

    pub(super) fn events(&self) -> impl Iterator<Item = (EventKind, u64)> {
        EVENT_KINDS.into_iter().zip(self.events.iter().map(|count| count.load(Relaxed)))
    }

    pub(super) fn dials(&self) -> [(&'static str, u64); 2] {
        [("connected", self.connected.load(Relaxed)), ("failed", self.connect_failed.load(Relaxed))]
    }

    pub(super) fn reloads(&self) -> [(&'static str, u64); 2] {
        [("applied", self.reloads_applied.load(Relaxed)), ("refused", self.reloads_refused.load(Relaxed))]
    }

    pub(super) fn connector_restarts(&self) -> BTreeMap<String, u64> {
        self.lists().connector_restarts.clone()
    }

    pub(super) fn plugin_files(&self) -> Plugins {
        self.lists().plugins.clone()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
