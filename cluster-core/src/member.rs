//! Members as they are shown, and the snapshot of all of them.

use std::{fmt, sync::Arc, time::SystemTime};

use imbl::OrdMap;

use crate::{
    attributes::Attributes,
    event::Event,
    name::{NodeName, TopologyName},
};

/// A node as our view knows it. Immutable: a change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its identity.
    pub name: NodeName,
    /// Whether this is the node that the host runs beside.
    pub is_self: bool,
    /// How far it is.
    pub state: MemberState,
    /// Grows with each restart of the node, where a source knows it.
    pub incarnation: Option<u64>,
    /// Where it can be reached, by its sources' preference.
    pub addresses: Arc<[String]>,
    /// What its sources say of it, merged in the order of topology names.
    pub attributes: Attributes,
    /// Who vouches for it.
    pub topologies: Arc<[Vouched]>,
    /// Since when it is in this state.
    pub since: SystemTime,
    /// Why it is in this state, where there is a reason to give.
    pub reason: Option<Arc<str>>,
}

/// One topology that vouches for a member, and the member's link there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The topology.
    pub name: TopologyName,
    /// The link by the topology's connector.
    pub link: LinkState,
    /// Since when the link is in this state; without a connector, since when the topology vouches.
    pub since: SystemTime,
    /// Why the link is not up, or why the topology's word is doubtful.
    pub reason: Option<Arc<str>>,
}

/// How far a member is.
///
/// # Examples
///
/// ```
/// use cluster_core::MemberState;
///
/// assert_eq!(MemberState::Up.to_string(), "up");
/// assert_eq!(MemberState::of_word("leaving"), Some(MemberState::Leaving));
/// assert_eq!(MemberState::of_word("gone"), None, "who is gone is no member");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemberState {
    /// Vouched for, never yet linked.
    Discovered,
    /// Linked, or vouched for where links do not count.
    Up,
    /// Was up; the link is lost and is being made again.
    Down,
    /// About to go, by its own word or its source's: not connected anew.
    Leaving,
}

/// How far the link to a member is.
///
/// # Examples
///
/// ```
/// use cluster_core::LinkState;
///
/// assert_eq!(LinkState::Connecting.as_str(), "connecting");
/// assert_eq!(LinkState::of_word("none"), Some(LinkState::None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkState {
    /// The topology has no connector: being vouched for is all.
    None,
    /// Not there; a try is due.
    Down,
    /// A try is under way.
    Connecting,
    /// There.
    Up,
    /// Was there; the connector restarted and has not said yet whether it still is.
    Unknown,
}

/// How a topology does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyStatus {
    /// Its health.
    pub health: Health,
    /// Why, where it is not [`Health::Running`].
    pub reason: Option<Arc<str>>,
    /// Since when.
    pub since: SystemTime,
    /// Members whose withdrawal is held back by the prune policy, at most [`NAMES_SHOWN_MAX`] of them.
    pub held: Vec<NodeName>,
    /// Members that are remembered from before the restart of the host, and that the source has not named since, at most
    /// [`NAMES_SHOWN_MAX`] of them. Not told by events.
    pub remembered: Vec<NodeName>,
    /// Links of its connector that nobody vouches for, at most [`NAMES_SHOWN_MAX`] of them.
    pub unclaimed: Vec<NodeName>,
}

/// Names that a [`TopologyStatus`] lists at most.
pub const NAMES_SHOWN_MAX: usize = 100;

/// The health of a topology.
///
/// # Examples
///
/// ```
/// use cluster_core::Health;
///
/// assert_eq!(Health::Denied.as_str(), "denied");
/// assert_eq!(Health::of_word("running"), Some(Health::Running));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Health {
    /// The strategy has not reported yet.
    Starting,
    /// All is well.
    Running,
    /// Something is wrong; the last good view stands.
    Degraded,
    /// The source refuses us (credentials, rights); the last good view stands.
    Denied,
    /// The strategy has ended and is not started again.
    Stopped,
}

/// The membership at one revision: cheap to clone, never changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The revision of the last event that it includes.
    pub revision: u64,
    /// The members by name.
    pub members: OrdMap<NodeName, Arc<Member>>,
    /// The topologies by name.
    pub topologies: OrdMap<TopologyName, Arc<TopologyStatus>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// The members that are up, the local node among them, in the order of their names.
    ///
    /// ```
    /// use std::{sync::Arc, time::SystemTime};
    ///
    /// use cluster_core::{Attributes, Member, MemberState, NodeName, Snapshot};
    ///
    /// let member = |name: &str, state| {
    ///     let name = NodeName::try_new(name).unwrap();
    ///     let (addresses, topologies) = (Arc::default(), Arc::default());
    ///     let (attributes, since) = (Attributes::default(), SystemTime::UNIX_EPOCH);
    ///     Member { name, is_self: false, state, incarnation: None, addresses, attributes, topologies, since, reason: None }
    /// };
    /// let mut snapshot = Snapshot::default();
    /// for member in [member("b@h", MemberState::Up), member("a@h", MemberState::Down)] {
    ///     snapshot.members.insert(member.name.clone(), Arc::new(member));
    /// }
    /// assert_eq!(snapshot.up().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["b@h"]);
    /// ```
    pub fn up(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values().filter(|member| member.state == MemberState::Up)
    }
}

macro_rules! word {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word for it in JSON, logs and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// What a word stands for.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use word;

// === impl Snapshot ===

impl Snapshot {
    /// What there is after one more event. Whoever folds the events after any revision into the snapshot of that revision
    /// has the snapshot at the end, but for [`TopologyStatus::unclaimed`] and [`TopologyStatus::remembered`], of which no event tells.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Duration, Instant, SystemTime};
    /// # use cluster_core::{Membership, Node, Now, Report, TopologyName, View};
    /// # use cluster_core::membership::{MembershipOptions, PrunePolicy, TopologySpec};
    /// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    /// # let later = |seconds| Now { instant: now.instant + Duration::from_secs(seconds), ..now };
    /// # let mut membership = Membership::new(MembershipOptions::default(), now);
    /// # let shop = TopologyName::try_new("shop")?;
    /// # let prune = PrunePolicy::default();
    /// # membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
    /// # membership.strategy_started(&shop, now);
    /// # let node = |name| Node::try_new(name);
    /// // Who has a snapshot keeps up with the events alone.
    /// let mut known = membership.snapshot();
    /// membership.take_events();
    /// membership.handle_report(&shop, Report::Reset(View::complete([node("a@h")?, node("b@h")?])), now)?;
    /// for event in membership.take_events() {
    ///     known.fold(&event);
    /// }
    /// assert_eq!(known, membership.snapshot());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fold(&mut self, event: &Event) {
        match (&event.node, &event.member) {
            (Some(node), Some(member)) => drop(self.members.insert(node.clone(), Arc::clone(member))),
            (Some(node), None) => drop(self.members.remove(node)),
            (None, _) => match (&event.topology, &event.status) {
                (Some(topology), Some(status)) => {
                    drop(self.topologies.insert(topology.clone(), Arc::clone(status)));
                }
                (Some(topology), None) => drop(self.topologies.remove(topology)),
                (None, _) => {}
            },
        }
        self.revision = event.revision;
    }
}

word!(MemberState { Discovered => "discovered", Up => "up", Down => "down", Leaving => "leaving" });
word!(LinkState {
    None => "none", Down => "down", Connecting => "connecting", Up => "up", Unknown => "unknown",
});
word!(Health {
    Starting => "starting", Running => "running", Degraded => "degraded", Denied => "denied", Stopped => "stopped",
});
