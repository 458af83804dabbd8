//! Where the words of running strategies and connectors wait for the one who owns the membership.
//!
//! Plugins call from their own threads and never wait: a report is put down here, whole, and the owner is woken.
//! A `Reset` replaces what waits of its topology, changes queue up behind it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use cluster_core::{
    Health, Report, TopologyName,
    membership::{ConnectorId, LinkInput},
};
use tokio::sync::Notify;

use crate::supervision::Exit;

/// Nodes in the changes that may wait for one topology; who brings more is told to come again.
pub(crate) const PENDING_NODES_MAX: usize = 200_000;
/// Words (link changes, outcomes, health) that may wait; of more, link changes are dropped.
pub(crate) const PENDING_WORDS_MAX: usize = 200_000;

/// Who speaks: which unit, and which start of it. What an earlier start said late is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) unit: UnitId,
    pub(crate) start: u64,
}

/// A supervised strategy or connector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UnitId {
    Strategy(TopologyName),
    Connector(ConnectorId),
}

/// What is said beside reports.
#[derive(Debug)]
pub(crate) enum Word {
    Health(Health, Option<String>),
    Link(LinkInput),
    Exited(Exit),
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

/// What has arrived, in the order in which it is to be taken: reports, then words.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) reports: BTreeMap<TopologyName, Pending>,
    pub(crate) words: VecDeque<(Speaker, Word)>,
    /// Link changes that were dropped.
    pub(crate) dropped: u64,
}

/// The reports of one start of one strategy.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) start: u64,
    pub(crate) reports: Vec<Report>,
    nodes: usize,
}

/// Too much waits already.
#[derive(Debug)]
pub(crate) struct Full;

// === impl Inbox ===

impl Inbox {
    /// Puts down a report.
    pub(crate) fn report(&self, topology: &TopologyName, start: u64, report: Report) -> Result<(), Full> {
        let mut waiting = self.lock();
        let fresh = || Pending { start, reports: Vec::new(), nodes: 0 };
        let pending = waiting.reports.entry(topology.clone()).or_insert_with(fresh);
        // What an earlier start of the strategy left is worth taking only if the later one says nothing new.
        if pending.start > start {
            return Ok(());
        }
        if pending.start < start {
            *pending = fresh();
        }
        match &report {
            Report::Reset(_) => *pending = fresh(),
            Report::Apply(changes) => {
                let nodes = changes.upserts.len().saturating_add(changes.removals.len());
                if pending.nodes.saturating_add(nodes) > PENDING_NODES_MAX {
                    return Err(Full);
                }
                pending.nodes = pending.nodes.saturating_add(nodes);
            }
        }
        pending.reports.push(report);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts down a word.
    pub(crate) fn say(&self, speaker: Speaker, word: Word) {
        let mut waiting = self.lock();
        let is_spare = matches!(word, Word::Link(LinkInput::Changed { .. } | LinkInput::Listed { .. }));
        if is_spare && waiting.words.len() >= PENDING_WORDS_MAX {
            waiting.dropped = waiting.dropped.saturating_add(1);
        } else {
            waiting.words.push_back((speaker, word));
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Takes all that has arrived.
    pub(crate) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    /// Returns when something has arrived since the last [`Inbox::take`].
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
