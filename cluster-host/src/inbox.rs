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
use cluster_sdk::abi::host::LocalReport;
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
    /// Of the local node.
    Local(LocalReport),
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
    /// A report that is refused for its size waits among them: one is enough.
    too_many: bool,
}

/// Too much waits already.
#[derive(Debug)]
pub(crate) struct Full;

// === impl Inbox ===

impl Inbox {
    /// Puts down a report.
    pub(crate) fn report(
        &self,
        topology: &TopologyName,
        start: u64,
        report: Report,
        members_max: usize,
    ) -> Result<(), Full> {
        let mut waiting = self.lock();
        let fresh = || Pending { start, reports: Vec::new(), nodes: 0, too_many: false };
        let pending = waiting.reports.entry(topology.clone()).or_insert_with(fresh);
        // What an earlier start of the strategy left is worth taking only if the later one says nothing new.
        if pending.start > start {
            return Ok(());
        }
        if pending.start < start {
            *pending = fresh();
        }
        match &report {
            // The owner refuses it, and what it would have replaced still counts.
            Report::Reset(view) if view.nodes.len() > members_max => {
                if !std::mem::replace(&mut pending.too_many, true) {
                    pending.reports.push(report);
                    self.arrived.notify_one();
                }
                return Err(Full);
            }
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

#[cfg(test)]
mod tests {
    use cluster_core::{Changes, Node, View};

    use super::*;

    fn view(names: &[&str]) -> Report {
        Report::Reset(View::complete(names.iter().map(|name| Node::try_new(name).unwrap())))
    }

    fn taken(inbox: &Inbox) -> Vec<Report> {
        inbox.take().reports.into_values().flat_map(|pending| pending.reports).collect()
    }

    /// A whole view replaces what waits, changes queue up behind it, and a later start replaces an earlier one.
    #[test]
    fn one_pending_state() {
        let (inbox, topology) = (Inbox::default(), TopologyName::try_new("t").unwrap());
        let changes = Report::Apply(Changes::default());
        for (start, report) in [
            (1, view(&["a@h"])),
            (1, changes.clone()),
            (1, view(&["b@h"])),
            (1, changes.clone()),
            (0, changes.clone()),
        ] {
            inbox.report(&topology, start, report, 10).unwrap();
        }
        assert_eq!(taken(&inbox), [view(&["b@h"]), changes]);
        inbox.report(&topology, 1, view(&["a@h"]), 10).unwrap();
        inbox.report(&topology, 2, view(&["c@h"]), 10).unwrap();
        assert_eq!(taken(&inbox), [view(&["c@h"])]);
    }

    /// A view of too many nodes replaces nothing: it waits behind, once, for the owner to refuse it.
    #[test]
    fn too_many_replace_nothing() {
        let (inbox, topology) = (Inbox::default(), TopologyName::try_new("t").unwrap());
        inbox.report(&topology, 1, view(&["a@h"]), 1).unwrap();
        for _ in 0..3 {
            inbox.report(&topology, 1, view(&["a@h", "b@h"]), 1).unwrap_err();
        }
        assert_eq!(taken(&inbox), [view(&["a@h"]), view(&["a@h", "b@h"])]);
    }
}
