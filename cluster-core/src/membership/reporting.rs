//! How the words of strategies, and their running out, change who is a member.

use super::{
    Membership,
    connector::Link,
    derive::Cause,
    diff::ReportRefused,
    topology::{Due, Withdrawal},
};
use crate::{
    member::Health,
    name::{NodeName, TopologyName},
    time::Now,
    view::Report,
};

impl Membership {
    /// Takes what a topology's strategy says.
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
    /// use cluster_core::{Health, membership::ReportRefused};
    ///
    /// // The topology may have three members.
    /// let many = ["a@h", "b@h", "c@h", "d@h"].into_iter().map(node).collect::<Result<Vec<_>, _>>()?;
    /// let refused = membership.handle_report(&shop, Report::Reset(View::complete(many)), now);
    /// assert_eq!(refused, Err(ReportRefused::TooMany { named: 4, max: 3 }));
    /// let snapshot = membership.snapshot();
    /// assert!(snapshot.members.is_empty(), "a report is taken whole or not at all");
    /// assert_eq!(snapshot.topologies["shop"].health, Health::Degraded);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReportRefused`]: the report was refused whole, the vouches are as before and the topology is degraded
    /// until the next good report.
    pub fn handle_report(
        &mut self,
        name: &TopologyName,
        report: Report,
        now: Now,
    ) -> Result<(), ReportRefused> {
        let local = self.local.as_ref().map(|node| node.name().clone());
        let Some(topology) = self.topologies.get_mut(name) else {
            return Err(ReportRefused::UnknownTopology(name.clone()));
        };
        let taken = match report {
            Report::Reset(view) => topology.reset(view, local.as_ref(), now),
            Report::Apply(changes) => topology.apply(&changes, local.as_ref(), now),
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(refused) => {
                topology.refusal = Some(refused.to_string().into());
                self.publish_status(name, now);
                return Err(refused);
            }
        };
        topology.refusal = None;
        if topology.health.0 == Health::Starting {
            topology.health = (Health::Running, None);
        }
        let cause = Cause::of(name);
        for node in &taken.touched {
            self.settle(node, &cause, now);
        }
        let cause = Cause::topology(name, "its topology has another source now, which does not name it");
        for node in &taken.replaced {
            self.settle(node, &cause, now);
        }
        self.withdraw(name, &taken.gone, taken.by, now);
        self.publish_status(name, now);
        self.pump(now);
        Ok(())
    }

    /// Does what the clocks of a topology have made due.
    pub(super) fn handle_topology_due(&mut self, name: &TopologyName, now: Now) {
        let Some(topology) = self.topologies.get_mut(name) else {
            return;
        };
        let connector = topology.spec.connector.and_then(|id| self.connectors.get(&id));
        let link = |node: &NodeName| connector.and_then(|connector| connector.links().get(node));
        let Due { expired, released, ripe } =
            topology.handle_due(now.instant, |node| link(node).is_some_and(Link::is_up));
        for (nodes, reason) in [
            (expired, "its topology has not heard of it for its time to live"),
            (released, "its source let it go, and the hold on that is over"),
        ] {
            let cause = Cause::topology(name, reason);
            for node in &nodes {
                self.settle(node, &cause, now);
            }
        }
        self.withdraw(name, &ripe, Withdrawal::Absent, now);
        self.publish_status(name, now);
    }

    /// Lets nodes go that a source let go, as far as the prune policy allows.
    fn withdraw(&mut self, name: &TopologyName, nodes: &[NodeName], by: Withdrawal, now: Now) {
        let Some(topology) = self.topologies.get_mut(name).filter(|_| !nodes.is_empty()) else {
            return;
        };
        topology.withdraw_or_hold(nodes, by, now.instant);
        let cause = match by {
            Withdrawal::Named { .. } => Cause::topology(name, "its source says that it is gone"),
            Withdrawal::Absent => Cause::topology(name, "its source does not name it any more"),
        };
        for node in nodes {
            self.settle(node, &cause, now);
        }
    }
}
