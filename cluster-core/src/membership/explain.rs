//! Why a node is (not) in the cluster: everything that is known of one name.

use std::{sync::Arc, time::SystemTime};

use crate::{
    member::{LinkState, Member},
    name::{NodeName, TopologyName},
    node::Node,
};

/// All that the membership knows of one node name.
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
