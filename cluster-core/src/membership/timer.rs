//! One deadline for the whole membership. It is looked up where it lies, in the topologies and connectors, so
//! that no timer can be forgotten, doubled or left behind.

use std::time::Instant;

use super::{Membership, connector::Connector, topology::Topology};
use crate::time::Now;

impl Membership {
    /// When [`Membership::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let topologies = self.topologies.values().filter_map(Topology::next_due);
        let connectors = self.connectors.values().filter_map(Connector::next_due);
        topologies.chain(connectors).min()
    }

    /// Does what is due.
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
    /// let view = View::complete([node("a@h")?]).with_ttl(Duration::from_secs(60));
    /// membership.handle_report(&shop, Report::Reset(view), now)?;
    /// assert_eq!(membership.poll_timeout(), Some(later(60).instant));
    /// membership.handle_timeout(later(59));
    /// assert_eq!(membership.snapshot().members.len(), 1);
    /// membership.handle_timeout(later(60));
    /// assert!(membership.snapshot().members.is_empty(), "nobody has renewed the word for it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_timeout(&mut self, now: Now) {
        let topologies = self.topologies.iter().filter(|(_, topology)| is_due(topology.next_due(), now));
        let topologies: Vec<_> = topologies.map(|(name, _)| name.clone()).collect();
        for name in topologies {
            // What is done may make something else due at once: a hold of no length, say.
            while self.topologies.get(&name).is_some_and(|topology| is_due(topology.next_due(), now)) {
                self.handle_topology_due(&name, now);
            }
        }
        let connectors = self.connectors.iter().filter(|(_, connector)| is_due(connector.next_due(), now));
        let connectors: Vec<_> = connectors.map(|(id, _)| *id).collect();
        for id in connectors {
            self.handle_connector_due(id, now);
        }
        self.pump(now);
    }
}

fn is_due(at: Option<Instant>, now: Now) -> bool {
    at.is_some_and(|at| at <= now.instant)
}
