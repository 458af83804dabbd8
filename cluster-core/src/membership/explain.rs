//! Why a node is (not) in the cluster: everything that is known of one name.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Membership, connector::Phase, topology::Topology, vouch::Vouch};
use crate::{
    member::{LinkState, Member},
    name::{NodeName, TopologyName},
    node::Node,
    time::Now,
};

/// All that the membership knows of one node name.
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
/// let Some(Effect::Connect { operation, node, .. }) = membership.take_effects().pop() else { panic!("a dial") };
/// let outcome = Outcome::Failed("connection refused".into());
/// membership.handle_link(tcp, LinkInput::Completed { operation, outcome }, now);
///
/// let known = membership.explain(node.name(), now).ok_or("nothing is known of it")?;
/// assert_eq!(known.vouches[0].topology, shop);
/// let link = &known.links[0];
/// assert_eq!(link.attempts[0].failure.as_deref(), Some("connection refused"));
/// assert!(link.next_attempt.is_some(), "it is tried again");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The name that was asked about.
    pub name: NodeName,
    /// The member, if it is one.
    pub member: Option<Arc<Member>>,
    /// Who vouches for it.
    pub vouches: Vec<VouchExplained>,
    /// Its links, one per connector.
    pub links: Vec<LinkExplained>,
    /// Incarnations that are known to be dead: (topology, incarnation).
    pub dead: Vec<(TopologyName, u64)>,
}

/// One topology's word for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VouchExplained {
    /// The topology.
    pub topology: TopologyName,
    /// What its source says.
    pub node: Node,
    /// Since when it vouches without a break.
    pub since: SystemTime,
    /// When the word was last renewed.
    pub renewed: SystemTime,
    /// When it ends unless renewed.
    pub expires: Option<SystemTime>,
    /// Expired, kept only because the link is up.
    pub stale: bool,
    /// Complete views in a row that did not name the node.
    pub absent_rounds: u32,
    /// The prune policy holds back its withdrawal until then.
    pub held_until: Option<SystemTime>,
    /// It is of before the restart of the host: its source has not named the node since.
    pub remembered: bool,
}

/// The link of a node by one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkExplained {
    /// The connector's name.
    pub connector: Arc<str>,
    /// How far it is.
    pub state: LinkState,
    /// Since when.
    pub since: SystemTime,
    /// Failed tries since it was last up.
    pub failures: u32,
    /// The last tries, oldest first, at most [`ATTEMPTS_KEPT_MAX`].
    pub attempts: Vec<Attempt>,
    /// When the next try is due.
    pub next_attempt: Option<SystemTime>,
    /// Why the connector did not cut it when nobody vouched for its node any more.
    pub kept: Option<Arc<str>>,
}

/// One try to make a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended.
    pub at: SystemTime,
    /// `None` where it succeeded.
    pub failure: Option<Arc<str>>,
}

/// Tries per link that are kept for [`Explanation`].
pub const ATTEMPTS_KEPT_MAX: usize = 8;

// === impl Membership ===

impl Membership {
    /// Everything that is known of a name. `None` where that is nothing.
    #[must_use]
    pub fn explain(&self, name: &NodeName, now: Now) -> Option<Explanation> {
        let vouches = self.topologies.iter().filter_map(|(topology_name, topology)| {
            let vouch = topology.vouches.get(name)?;
            Some(VouchExplained::new(topology_name, topology, vouch, now))
        });
        let links = self.connectors.values().filter_map(|connector| {
            let link = connector.links().get(name)?;
            Some(LinkExplained {
                connector: Arc::clone(&connector.spec.name),
                state: match link.phase {
                    Phase::Unknown { .. } => LinkState::Unknown,
                    _ => link.shown(),
                },
                since: link.since,
                failures: link.failures,
                attempts: link.attempts.iter().cloned().collect(),
                next_attempt: match link.phase {
                    Phase::Waiting { due: Some(due) } => Some(wall(due, now)),
                    _ => None,
                },
                kept: link.kept.clone(),
            })
        });
        let dead = self.topologies.iter().filter_map(|(topology_name, topology)| {
            Some((topology_name.clone(), topology.tombstones.incarnation(name)?))
        });
        let explanation = Explanation {
            name: name.clone(),
            member: self.members.get(name).cloned(),
            vouches: vouches.collect(),
            links: links.collect(),
            dead: dead.collect(),
        };
        let Explanation { member, vouches, links, dead, .. } = &explanation;
        let is_known = member.is_some() || !(vouches.is_empty() && links.is_empty() && dead.is_empty());
        is_known.then_some(explanation)
    }
}

// === impl VouchExplained ===

impl VouchExplained {
    fn new(name: &TopologyName, topology: &Topology, vouch: &Vouch, now: Now) -> Self {
        let hold = vouch.absence().and_then(|absence| absence.hold);
        Self {
            topology: name.clone(),
            node: vouch.node.clone(),
            since: vouch.since,
            renewed: topology.renewed(vouch).wall,
            expires: topology.expiry(vouch).map(|at| wall(at, now)),
            stale: vouch.stale,
            absent_rounds: vouch.absence().map_or(0, |absence| absence.rounds),
            held_until: hold.and_then(|hold| hold.until).map(|at| wall(at, now)),
            remembered: vouch.is_remembered(),
        }
    }
}

/// What the wall clock will show, or showed, as far as we can tell now.
fn wall(at: Instant, now: Now) -> SystemTime {
    match at.checked_duration_since(now.instant) {
        Some(ahead) => now.wall + ahead,
        None => now.wall.checked_sub(now.instant.saturating_duration_since(at)).unwrap_or(now.wall),
    }
}
