//! One connector instance: its links, which of them are due, and what is under way to make or break them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    explain::{ATTEMPTS_KEPT_MAX, Attempt},
    link::{ConnectorSpec, OUTCOME_GRACE, OperationId},
};
use crate::{
    member::{Health, LinkState},
    name::NodeName,
    time::{Now, later},
};

/// How far a link is. Each variant says how it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for its turn to be dialled, from `due` on; until then, or for ever where nobody wants it dialled.
    Waiting { due: Option<Instant> },
    /// Being made; left by the outcome, by the connector's word, or by the deadline.
    Connecting,
    /// There; left by the connector's word or by being cut.
    Up,
    /// To be broken from `due` on, or being broken; left by the outcome, or by being vouched for in time.
    Cutting { due: Instant },
    /// Was there when its connector ended; left by the connector's word or after [`super::UNKNOWN_MAX`].
    Unknown { until: Instant },
}

/// The link to one node.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// Some topology vouches for the node, or did since the link is there. Such a link is cut when nobody does
    /// any more; another one is unclaimed and left alone.
    pub(super) ours: bool,
    /// Why the connector would not cut it, the last time that it was to.
    pub(super) kept: Option<Arc<str>>,
    /// It was up before the restart of the host, and nobody has said yet that it is not.
    pub(super) is_remembered: bool,
    pub(super) since: SystemTime,
    /// When it last came up or went down.
    pub(super) turned_at: Option<Instant>,
    /// Failed tries, of dialling or of cutting, since it was last up.
    pub(super) failures: u32,
    pub(super) reason: Option<Arc<str>>,
    pub(super) attempts: VecDeque<Attempt>,
    /// Where it was dialled; absent for a link that was not made by us.
    pub(super) dialled: Option<Vec<String>>,
    /// What the connector has not answered yet. Until it has, nothing else is asked of it for this node.
    pub(super) operation: Option<(OperationId, OperationKind)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationKind {
    Connect,
    Disconnect,
}

/// A dial or a cut that is under way.
#[derive(Debug)]
struct Operation {
    node: NodeName,
    submitted: Instant,
}

/// Where a link is to be found, beside under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    due: Option<Instant>,
    doubt: Option<Instant>,
    unclaimed: bool,
}

#[derive(Debug)]
pub(super) struct Connector {
    pub(super) spec: ConnectorSpec,
    pub(super) running: bool,
    pub(super) unavailable: Option<Arc<str>>,
    /// What is not well with it, though it works.
    pub(super) trouble: Option<(Health, Arc<str>)>,
    pub(super) generation: u64,
    /// The question for all links that is under way, and when it was asked.
    pub(super) list: Option<(OperationId, Instant)>,
    pub(super) list_due: Option<Instant>,
    pub(super) list_failures: u32,
    /// The unclaimed links are not those any more that were last published.
    pub(super) unclaimed_changed: bool,
    links: BTreeMap<NodeName, Link>,
    operations: BTreeMap<OperationId, Operation>,
    /// Links to be dialled or cut.
    queue: BTreeSet<(Instant, NodeName)>,
    /// Links of unknown state, by when they count as lost.
    doubts: BTreeSet<(Instant, NodeName)>,
    unclaimed: BTreeSet<NodeName>,
}

// === impl Link ===

impl Link {
    pub(super) fn new(phase: Phase, ours: bool, now: Now) -> Self {
        Self {
            phase,
            ours,
            kept: None,
            is_remembered: false,
            since: now.wall,
            turned_at: (phase == Phase::Up).then_some(now.instant),
            failures: 0,
            reason: None,
            attempts: VecDeque::new(),
            dialled: None,
            operation: None,
        }
    }

    /// Whether the link counts as there.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up | Phase::Unknown { .. } | Phase::Cutting { .. })
    }

    /// The state that is shown. The first try is `connecting` from the moment it is wanted; later ones leave the
    /// link `down`, so that trying for ever is not a change for ever.
    pub(super) fn shown(&self) -> LinkState {
        match self.phase {
            Phase::Up | Phase::Cutting { .. } => LinkState::Up,
            Phase::Unknown { .. } if self.is_remembered => LinkState::Up,
            Phase::Unknown { .. } => LinkState::Unknown,
            Phase::Waiting { .. } | Phase::Connecting if self.reason.is_some() => LinkState::Down,
            Phase::Connecting | Phase::Waiting { due: Some(_) } => LinkState::Connecting,
            Phase::Waiting { due: None } => LinkState::Down,
        }
    }

    /// The link is there.
    pub(super) fn rise(&mut self, now: Now) {
        if !self.is_up() {
            self.since = now.wall;
            self.turned_at = Some(now.instant);
        }
        self.phase = Phase::Up;
        self.is_remembered = false;
        self.failures = 0;
        self.reason = None;
    }

    /// The link is not there; the next try is due `wait` from now.
    pub(super) fn fall(&mut self, reason: Arc<str>, wait: Duration, now: Now) {
        if self.is_up() {
            self.turned_at = Some(now.instant);
        }
        if self.is_up() || self.reason.is_none() {
            self.since = now.wall;
        }
        self.reason = Some(reason);
        self.is_remembered = false;
        self.phase = Phase::Waiting { due: Some(later(now.instant, wait)) };
    }

    /// The connector will not cut the link. It is not ours any more, so it is not asked to again; nor is what is told
    /// of its node's addresses a reason to make it anew.
    pub(super) fn keep(&mut self, reason: Arc<str>) {
        self.phase = Phase::Up;
        self.ours = false;
        self.kept = Some(reason);
        self.failures = 0;
        self.dialled = None;
    }

    /// Notes the end of a try.
    pub(super) fn note(&mut self, failure: Option<Arc<str>>, now: Now) {
        if self.attempts.len() >= ATTEMPTS_KEPT_MAX {
            self.attempts.pop_front();
        }
        self.attempts.push_back(Attempt { at: now.wall, failure });
    }

    fn places(&self) -> Places {
        let (due, doubt) = match self.phase {
            Phase::Waiting { due } => (due, None),
            Phase::Cutting { due } => (Some(due), None),
            Phase::Unknown { until } => (None, Some(until)),
            Phase::Connecting | Phase::Up => (None, None),
        };
        Places { due: due.filter(|_| self.operation.is_none()), doubt, unclaimed: self.is_up() && !self.ours }
    }
}

// === impl Places ===

impl Places {
    const NOWHERE: Self = Self { due: None, doubt: None, unclaimed: false };
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(spec: ConnectorSpec) -> Self {
        Self {
            spec,
            running: false,
            unavailable: None,
            trouble: None,
            generation: 0,
            list: None,
            list_due: None,
            list_failures: 0,
            unclaimed_changed: false,
            links: BTreeMap::new(),
            operations: BTreeMap::new(),
            queue: BTreeSet::new(),
            doubts: BTreeSet::new(),
            unclaimed: BTreeSet::new(),
        }
    }

    pub(super) fn links(&self) -> &BTreeMap<NodeName, Link> {
        &self.links
    }

    /// The links that are up and that nobody vouches for.
    pub(super) fn unclaimed(&self) -> &BTreeSet<NodeName> {
        &self.unclaimed
    }

    pub(super) fn insert(&mut self, name: &NodeName, link: Link) {
        let places = link.places();
        self.links.insert(name.clone(), link);
        self.place(name, Places::NOWHERE, places);
    }

    /// Changes a link and sees to it that it is found where it belongs afterwards.
    pub(super) fn change<R>(&mut self, name: &NodeName, change: impl FnOnce(&mut Link) -> R) -> Option<R> {
        let link = self.links.get_mut(name)?;
        let old = link.places();
        let result = change(link);
        let new = link.places();
        self.place(name, old, new);
        Some(result)
    }

    /// Forgets a link. Gives the operation that was under way for it, to be cancelled.
    pub(super) fn remove(&mut self, name: &NodeName) -> Option<OperationId> {
        let link = self.links.remove(name)?;
        self.place(name, link.places(), Places::NOWHERE);
        let (operation, _) = link.operation?;
        self.operations.remove(&operation);
        Some(operation)
    }

    fn place(&mut self, name: &NodeName, old: Places, new: Places) {
        move_in(&mut self.queue, name, old.due, new.due);
        move_in(&mut self.doubts, name, old.doubt, new.doubt);
        if old.unclaimed != new.unclaimed {
            self.unclaimed_changed = true;
            if new.unclaimed {
                self.unclaimed.insert(name.clone());
            } else {
                self.unclaimed.remove(name);
            }
        }
    }

    /// Whether dialling makes sense, and whether there is room for another operation.
    fn can_start(&self) -> bool {
        self.running && self.unavailable.is_none() && self.operations.len() < self.spec.dials_max
    }

    /// Takes the next link to be dialled or cut, if one can be now.
    pub(super) fn pop_startable(&mut self, now: Instant) -> Option<NodeName> {
        self.queue.first().filter(|(due, _)| *due <= now && self.can_start())?;
        self.queue.pop_first().map(|(_, name)| name)
    }

    /// Notes an operation that is handed to the connector.
    pub(super) fn begin(
        &mut self,
        operation: OperationId,
        kind: OperationKind,
        node: &NodeName,
        submitted: Instant,
    ) {
        self.change(node, |link| link.operation = Some((operation, kind)));
        let node = node.clone();
        self.operations.insert(operation, Operation { node, submitted });
    }

    /// Forgets the dials under way, whose links wait for their turn again. Gives what is to be cancelled.
    pub(super) fn give_up_dials(&mut self, now: Instant) -> Vec<OperationId> {
        let is_dial = |link: &Link| link.phase == Phase::Connecting;
        let dials = self
            .operations
            .iter()
            .filter(|(_, operation)| self.links.get(&operation.node).is_some_and(is_dial));
        let dials: Vec<_> = dials.map(|(id, operation)| (*id, operation.node.clone())).collect();
        for (id, node) in &dials {
            self.finish(*id);
            self.change(node, |link| link.phase = Phase::Waiting { due: Some(now) });
        }
        dials.into_iter().map(|(id, _)| id).collect()
    }

    /// Notes the end of an operation, if it was under way.
    pub(super) fn finish(&mut self, operation: OperationId) -> Option<(NodeName, OperationKind)> {
        let Operation { node, .. } = self.operations.remove(&operation)?;
        let (_, kind) = self.change(&node, |link| link.operation.take())??;
        Some((node, kind))
    }

    /// Forgets all operations: the instance that was to carry them out is gone. Gives the nodes they were for.
    pub(super) fn finish_all(&mut self) -> Vec<NodeName> {
        self.list = None;
        let mut nodes = Vec::new();
        while let Some((_, operation)) = self.operations.pop_first() {
            self.change(&operation.node, |link| link.operation = None);
            nodes.push(operation.node);
        }
        nodes
    }

    /// An operation whose outcome is overdue.
    pub(super) fn overdue(&self, now: Instant) -> Option<OperationId> {
        let dial = self.operations.first_key_value();
        let dial = dial.map(|(operation, what)| (*operation, what.submitted));
        let is_over = |(_, submitted): &(OperationId, Instant)| later(*submitted, self.patience()) <= now;
        dial.into_iter().chain(self.list).find(is_over).map(|(operation, _)| operation)
    }

    /// A link of unknown state that counts as lost.
    pub(super) fn overdue_doubt(&self, now: Instant) -> Option<NodeName> {
        self.doubts.first().filter(|(until, _)| *until <= now).map(|(_, name)| name.clone())
    }

    fn patience(&self) -> Duration {
        self.spec.deadline.saturating_add(OUTCOME_GRACE)
    }

    /// When something is next due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let start = self.queue.first().filter(|_| self.can_start()).map(|(due, _)| *due);
        // Operations are numbered in the order in which they were submitted.
        let submitted = self.operations.first_key_value().map(|(_, operation)| operation.submitted);
        let asked = self.list.map(|(_, asked)| asked);
        let outcome = submitted.into_iter().chain(asked).min().map(|at| later(at, self.patience()));
        let doubt = self.doubts.first().map(|(until, _)| *until);
        start.into_iter().chain(outcome).chain(doubt).chain(self.list_due).min()
    }
}

fn move_in(
    set: &mut BTreeSet<(Instant, NodeName)>,
    name: &NodeName,
    old: Option<Instant>,
    new: Option<Instant>,
) {
    if old != new {
        if let Some(old) = old {
            set.remove(&(old, name.clone()));
        }
        if let Some(new) = new {
            set.insert((new, name.clone()));
        }
    }
}
