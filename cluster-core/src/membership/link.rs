//! Links: one per member and connector instance, and what is under way to make or break them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::explain::{ATTEMPTS_KEPT_MAX, Attempt};
use crate::{backoff::Backoff, member::LinkState, name::NodeName, node::Node, time::Now};

/// Links (of members and unclaimed ones) that one connector may have at most; more are not noted.
pub const LINKS_MAX: usize = 200_000;
/// How long links are held for unknown after their connector restarted, before they count as lost.
pub const UNKNOWN_MAX: Duration = Duration::from_secs(30);
/// How much longer than its deadline the membership waits for the outcome of an operation.
pub const OUTCOME_GRACE: Duration = Duration::from_secs(1);

/// A connector instance. Topologies with an equal `connect` share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectorId(pub u32);

/// An operation that was handed to a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

/// A connector as the membership needs to know it.
#[derive(Debug, Clone)]
pub struct ConnectorSpec {
    /// Its identity.
    pub id: ConnectorId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// Links go by address: a member whose addresses change is dialled anew.
    pub by_address: bool,
    /// Links outlive the connector: its end makes them unknown, not down.
    pub outlives: bool,
    /// Operations under way at once, at most.
    pub dials_max: usize,
    /// How long one operation may take.
    pub deadline: Duration,
    /// How long to wait between tries.
    pub retry: Backoff,
    /// How often the connector is asked for the list of its links; never where absent.
    pub list_interval: Option<Duration>,
}

/// What a connector tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkInput {
    /// A new instance runs: it knows of no operation.
    Started,
    /// The instance has ended.
    Stopped {
        /// Why.
        reason: Arc<str>,
    },
    /// An operation has ended. Late, unknown and doubled ones are dropped.
    Completed {
        /// Which.
        operation: OperationId,
        /// How: the reason of a failure.
        outcome: Result<(), Arc<str>>,
    },
    /// A link came up or went down by itself.
    Changed {
        /// Grows when the connector starts anew; what an older one says is dropped.
        generation: u64,
        /// The member.
        node: NodeName,
        /// The reason of a loss.
        state: Result<(), Arc<str>>,
    },
    /// All links that there are.
    Listed {
        /// As in `Changed`.
        generation: u64,
        /// The operation that asked, if one did: what came up since then is not missing from its answer.
        operation: Option<OperationId>,
        /// The names.
        nodes: BTreeSet<NodeName>,
    },
    /// The connector as a whole can (not) work now.
    Availability(Result<(), Arc<str>>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make a link.
    Connect {
        /// By which connector.
        connector: ConnectorId,
        /// To be named in the outcome.
        operation: OperationId,
        /// To whom, with its addresses.
        node: Node,
        /// How long it may take.
        deadline: Duration,
    },
    /// Break a link.
    Disconnect {
        /// By which connector.
        connector: ConnectorId,
        /// To be named in the outcome.
        operation: OperationId,
        /// From whom.
        node: NodeName,
        /// How long it may take.
        deadline: Duration,
    },
    /// Tell all links there are.
    List {
        /// Which connector.
        connector: ConnectorId,
        /// To be named in the answer.
        operation: OperationId,
        /// How long it may take.
        deadline: Duration,
    },
    /// Give up an operation; its outcome is of no interest any more.
    Cancel {
        /// Which connector.
        connector: ConnectorId,
        /// Which operation.
        operation: OperationId,
    },
}

/// How far a link is. Each variant says how it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for its turn to be dialled, from `due` on; until then, or for ever where nobody wants it dialled.
    Waiting { due: Option<Instant> },
    /// Being made; left by the outcome, by the connector's word, or by the deadline.
    Connecting { operation: OperationId },
    /// There; left by the connector's word or by being cut.
    Up,
    /// To be broken, and being broken once it has an operation; left by the outcome or by the deadline.
    Cutting { operation: Option<OperationId> },
    /// Was there when its connector ended; left by the next complete list or after [`UNKNOWN_MAX`].
    Unknown { until: Instant },
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// Some topology vouched for the node when this was last looked at. A link that loses this is cut; one that
    /// never had it is unclaimed and left alone.
    pub(super) claimed: bool,
    pub(super) since: SystemTime,
    pub(super) up_at: Option<Instant>,
    pub(super) failures: u32,
    pub(super) reason: Option<Arc<str>>,
    pub(super) attempts: VecDeque<Attempt>,
    /// Where it was dialled; absent for a link that was not made by us.
    pub(super) dialled: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationKind {
    Connect,
    Disconnect,
    List,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) kind: OperationKind,
    pub(super) node: Option<NodeName>,
    pub(super) submitted: Instant,
}

#[derive(Debug)]
pub(super) struct Connector {
    pub(super) spec: ConnectorSpec,
    pub(super) running: bool,
    pub(super) unavailable: Option<Arc<str>>,
    pub(super) generation: u64,
    pub(super) links: BTreeMap<NodeName, Link>,
    pub(super) operations: BTreeMap<OperationId, Operation>,
    /// Links that are due, in the order in which they became so.
    pub(super) queue: VecDeque<NodeName>,
    /// The set of unclaimed links may have changed.
    pub(super) unclaimed_changed: bool,
}

// === impl Link ===

impl Link {
    pub(super) fn new(phase: Phase, claimed: bool, now: Now) -> Self {
        Self {
            phase,
            claimed,
            since: now.wall,
            up_at: Some(now.instant),
            failures: 0,
            reason: None,
            attempts: VecDeque::new(),
            dialled: None,
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
            Phase::Unknown { .. } => LinkState::Unknown,
            Phase::Waiting { .. } | Phase::Connecting { .. } if self.reason.is_some() => LinkState::Down,
            Phase::Connecting { .. } | Phase::Waiting { due: Some(_) } => LinkState::Connecting,
            Phase::Waiting { due: None } => LinkState::Down,
        }
    }

    /// The link is to be dialled, or not for now.
    pub(super) fn wait(&mut self, due: Option<Instant>) {
        self.phase = Phase::Waiting { due };
    }

    /// The link is there.
    pub(super) fn rise(&mut self, now: Now) {
        if !self.is_up() {
            self.since = now.wall;
            self.up_at = Some(now.instant);
        }
        self.phase = Phase::Up;
        self.failures = 0;
        self.reason = None;
    }

    /// The link is not there; the next try is due `wait` from now.
    pub(super) fn fall(&mut self, reason: Arc<str>, wait: Duration, now: Now) {
        if self.is_up() || self.reason.is_none() {
            self.since = now.wall;
        }
        self.up_at = None;
        self.reason = Some(reason);
        self.phase = Phase::Waiting { due: Some(now.instant + wait) };
    }

    /// Notes the end of a try.
    pub(super) fn note(&mut self, failure: Option<Arc<str>>, now: Now) {
        if self.attempts.len() >= ATTEMPTS_KEPT_MAX {
            self.attempts.pop_front();
        }
        self.attempts.push_back(Attempt { at: now.wall, failure });
    }
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(spec: ConnectorSpec) -> Self {
        Self {
            spec,
            running: false,
            unavailable: None,
            generation: 0,
            links: BTreeMap::new(),
            operations: BTreeMap::new(),
            queue: VecDeque::new(),
            unclaimed_changed: false,
        }
    }

    /// Whether dialling makes sense.
    pub(super) fn can_dial(&self) -> bool {
        self.running && self.unavailable.is_none()
    }

    /// Forgets an operation; gives it if it was under way.
    pub(super) fn finish(&mut self, operation: OperationId, kind: OperationKind) -> Option<Operation> {
        match self.operations.get(&operation) {
            Some(found) if found.kind == kind => self.operations.remove(&operation),
            _ => None,
        }
    }

    /// The links that are up and that nobody vouches for.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = &NodeName> {
        self.links.iter().filter(|(_, link)| link.is_up() && !link.claimed).map(|(name, _)| name)
    }

    /// Dials and cuts under way.
    pub(super) fn under_way(&self) -> usize {
        self.operations.values().filter(|operation| operation.kind != OperationKind::List).count()
    }
}
