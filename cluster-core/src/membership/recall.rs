//! What is remembered from before a restart of the host: vouches until their sources have spoken, links until their
//! connectors have, and what was shown until something is known to differ.
//!
//! A remembered member is shown just as it was, so a restart in which nothing changed is no event, however large the
//! cluster. Who it is that is only remembered is told by [`TopologyStatus::remembered`](crate::TopologyStatus) and by
//! [`explain`](super::explain).

use std::{sync::Arc, time::Duration};

use super::{
    Membership,
    connector::{Connector, Link, Phase},
    derive::{self, Cause},
    link::UNKNOWN_MAX,
    topology::Topology,
    vouch::{Absence, Lapse},
};
use crate::{
    member::{LinkState, Member, MemberState, Vouched},
    name::TopologyName,
    node::Node,
    time::Now,
};

/// How long a remembered vouch counts, if its source does not say anything of the node after the restart. Then it ends
/// unless its link is up: that is evidence enough to keep it until the link goes.
pub const REMEMBERED_MAX: Duration = Duration::from_secs(60);

impl Membership {
    /// Takes up the members that the membership began with, once the connectors, the topologies and the local node, as far
    /// as it is known, are there, and before any of them runs. Whom only topologies vouched for that are not there any more goes; links that ended with the host
    /// are down, and dialled as soon as their connectors run. Of `topologies` was told before the restart. A local node that was remembered stays if
    /// `awaits_local`: somebody will tell who it is.
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
    /// membership.handle_report(&shop, Report::Reset(View::complete([node("a@h")?])), now)?;
    /// let before = membership.snapshot();
    ///
    /// // After a restart it is as if nothing had happened, until the sources have spoken.
    /// let (revision, members) = (before.revision, before.members.clone());
    /// let mut again = Membership::new(MembershipOptions { revision, members, ..MembershipOptions::default() }, now);
    /// again.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
    /// again.recall([&shop], false, now);
    /// let snapshot = again.snapshot();
    /// assert_eq!(snapshot.members, before.members);
    /// assert_eq!(snapshot.topologies["shop"].remembered, ["a@h".parse()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recall<'a>(
        &mut self,
        topologies: impl IntoIterator<Item = &'a TopologyName>,
        awaits_local: bool,
        now: Now,
    ) {
        let members: Vec<Arc<Member>> = self.members.values().cloned().collect();
        for member in &members {
            if member.is_self && awaits_local && self.local.is_none() {
                self.local = Some(node(member));
            }
            if member.is_self || self.local_name() == Some(&member.name) {
                continue;
            }
            let node = node(member);
            for vouched in member.topologies.iter() {
                let Some(topology) = self.topologies.get_mut(&vouched.name) else {
                    continue;
                };
                topology.remember(node.clone(), vouched, now);
                let connector = topology.spec.connector.and_then(|id| self.connectors.get_mut(&id));
                if let Some(connector) = connector {
                    connector.remember(member, vouched, now);
                }
            }
        }
        for member in &members {
            let cause = self.cause(member);
            self.settle(&member.name, &cause, now);
        }
        for name in topologies {
            if !self.topologies.contains_key(name) {
                self.publish_missing(name, now);
            }
        }
        let names: Vec<TopologyName> = self.topologies.keys().cloned().collect();
        for name in names {
            self.publish_status(&name, now);
        }
        self.pump(now);
    }

    /// Why a member goes with the restart, if it does.
    fn cause(&self, member: &Member) -> Cause {
        let is_there = |vouched: &Vouched| self.topologies.contains_key(&vouched.name);
        match member.topologies.first() {
            Some(first) if !member.topologies.iter().any(is_there) => {
                Cause::topology(&first.name, "its topology is not configured any more")
            }
            _ => Cause::default(),
        }
    }
}

/// A node of which each source said all that is known of it: what was merged cannot be told apart.
fn node(member: &Member) -> Node {
    let node = member.addresses.iter().fold(Node::new(member.name.clone()), |node, at| node.address(at));
    let node = member.attributes.iter().fold(node, |node, (key, value)| node.attribute(key, value));
    let node = match member.incarnation {
        Some(incarnation) => node.with_incarnation(incarnation),
        None => node,
    };
    if member.state == MemberState::Leaving { node.with_leaving() } else { node }
}

// === impl Topology ===

impl Topology {
    fn remember(&mut self, node: Node, vouched: &Vouched, now: Now) {
        let absence = Absence { since: now.instant, rounds: 0, of: 0, hold: None, lapse: Lapse::Remembered };
        self.vouches.remember(node, vouched.since, absence, now);
    }
}

// === impl Connector ===

impl Connector {
    /// A link of before the restart. Topologies that share the connector say the same of it.
    fn remember(&mut self, member: &Member, vouched: &Vouched, now: Now) {
        if self.links().contains_key(&member.name) {
            return;
        }
        let due = Phase::Waiting { due: Some(now.instant) };
        let reason = vouched.reason.clone().filter(|reason| !derive::is_doubt(reason));
        let (phase, since, reason) = match (vouched.link, reason) {
            (LinkState::Up | LinkState::Unknown, _) if self.spec.outlives => {
                (Phase::Unknown { until: now.instant + UNKNOWN_MAX }, vouched.since, None)
            }
            (LinkState::Up | LinkState::Unknown, _) => {
                (due, now.wall, Some("the link ended with the host, which was restarted".into()))
            }
            (LinkState::Down | LinkState::Connecting, Some(reason)) => (due, vouched.since, Some(reason)),
            // As any link that is not there yet: wanted or not.
            _ => return,
        };
        let mut link = Link::new(phase, true, now);
        link.since = since;
        link.reason = reason;
        link.is_remembered = vouched.link == LinkState::Up && self.spec.outlives;
        self.insert(&member.name, link);
    }
}
