//! What the membership and the connectors have to say to each other.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{backoff::Backoff, member::Health, name::NodeName, node::Node};

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
    /// Links outlive the connector: its end, or a new generation of it, makes them unknown, not down.
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
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant, SystemTime};
/// # use cluster_core::{Backoff, Membership, Node, Now, Report, TopologyName, View};
/// # use cluster_core::membership::{ConnectorId, ConnectorSpec, LinkInput, MembershipOptions, PrunePolicy, TopologySpec};
/// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
/// # let mut membership = Membership::new(MembershipOptions::default(), now);
/// # let tcp = ConnectorId(1);
/// # let (retry, deadline) = (Backoff::default(), Duration::from_secs(5));
/// # membership.add_connector(ConnectorSpec {
/// #     id: tcp, name: "tcp".into(), by_address: true, outlives: false, dials_max: 16, deadline, retry, list_interval: None,
/// # });
/// # membership.handle_link(tcp, LinkInput::Started, now);
/// # let shop = TopologyName::try_new("shop")?;
/// # let (connector, prune) = (Some(tcp), PrunePolicy::default());
/// # membership.add_topology(TopologySpec { name: shop.clone(), connector, prune, members_max: 100 }, now);
/// # membership.strategy_started(&shop, now);
/// # membership.handle_report(&shop, Report::Reset(View::complete([Node::try_new("a@h")?])), now)?;
/// use cluster_core::MemberState;
///
/// let node = Node::try_new("a@h")?.name().clone();
/// // A link comes up by itself, as where the other side dials, and goes down again.
/// let changed = |state| LinkInput::Changed { generation: 0, node: node.clone(), state };
/// membership.handle_link(tcp, changed(Ok(())), now);
/// assert_eq!(membership.snapshot().members["a@h"].state, MemberState::Up);
/// membership.handle_link(tcp, changed(Err("connection reset".into())), now);
/// assert_eq!(membership.snapshot().members["a@h"].state, MemberState::Down);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        /// How.
        outcome: Outcome,
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
    /// It works, but not all is well with it: how bad, and why. Nothing where it is.
    Health(Option<(Health, Arc<str>)>),
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as was wanted.
    Done,
    /// It was tried in vain, for this reason.
    Failed(Arc<str>),
    /// Of a cut: the link is left as it is, for this reason. It is unclaimed from then on.
    Kept(Arc<str>),
}

/// How many tries to make a link have ended, and how: those of all connectors, since the membership began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dials {
    /// With a link.
    pub connected: u64,
    /// In vain, or not within the connector's deadline.
    pub failed: u64,
}

// === impl Dials ===

impl Dials {
    pub(super) fn count(&mut self, outcome: &Outcome) {
        let count = if *outcome == Outcome::Done { &mut self.connected } else { &mut self.failed };
        *count = count.saturating_add(1);
    }
}

/// What is to be done.
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant, SystemTime};
/// # use cluster_core::{Backoff, Membership, Node, Now, Report, TopologyName, View};
/// # use cluster_core::membership::{ConnectorId, ConnectorSpec, Effect, LinkInput, MembershipOptions, Outcome, PrunePolicy, TopologySpec};
/// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
/// # let mut membership = Membership::new(MembershipOptions::default(), now);
/// # let tcp = ConnectorId(1);
/// # let (retry, deadline) = (Backoff::default(), Duration::from_secs(5));
/// # membership.add_connector(ConnectorSpec {
/// #     id: tcp, name: "tcp".into(), by_address: true, outlives: false, dials_max: 16, deadline, retry, list_interval: None,
/// # });
/// # membership.handle_link(tcp, LinkInput::Started, now);
/// # let shop = TopologyName::try_new("shop")?;
/// # let (connector, prune) = (Some(tcp), PrunePolicy::default());
/// # membership.add_topology(TopologySpec { name: shop.clone(), connector, prune, members_max: 100 }, now);
/// # membership.strategy_started(&shop, now);
/// # membership.handle_report(&shop, Report::Reset(View::complete([Node::try_new("a@h")?])), now)?;
/// // A source has named `a@h`: the connector is to dial it.
/// let Some(Effect::Connect { connector, operation, node, .. }) = membership.take_effects().pop() else { panic!("a dial") };
/// assert_eq!((connector, node.name().as_str()), (tcp, "a@h"));
/// membership.handle_link(tcp, LinkInput::Completed { operation, outcome: Outcome::Done }, now);
/// assert_eq!(membership.snapshot().up().count(), 1);
/// assert_eq!(membership.dials().connected, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
