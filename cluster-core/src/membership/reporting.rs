//! How reports of strategies change the vouches.

use super::{
    Membership,
    derive::Cause,
    topology::{ReportRefused, Withdrawal},
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
        let (taken, by) = match report {
            Report::Reset(view) => (topology.reset(view, local.as_ref(), now), Withdrawal::Absent),
            Report::Apply(changes) => (topology.apply(&changes, local.as_ref(), now), Withdrawal::Named),
        };
        match taken {
            Ok((touched, gone)) => {
                topology.refusal = None;
                if topology.health.0 == Health::Starting {
                    topology.health = (Health::Running, None);
                }
                for node in &touched {
                    self.arm_vouch(name, node);
                    self.settle(node, &Cause::of(name), now);
                }
                if by == Withdrawal::Absent {
                    self.arm_reset(name);
                }
                self.withdraw(name, gone, by, now);
                self.publish_status(name, now);
                self.pump(now);
                Ok(())
            }
            Err(refused) => {
                topology.refusal = Some(refused.to_string().into());
                self.publish_status(name, now);
                Err(refused)
            }
        }
    }

    /// Lets nodes go that a source let go, as far as the prune policy allows.
    pub(super) fn withdraw(&mut self, name: &TopologyName, nodes: Vec<NodeName>, by: Withdrawal, now: Now) {
        if nodes.is_empty() {
            return;
        }
        let Some(topology) = self.topologies.get_mut(name) else {
            return;
        };
        let nodes = topology.withdraw_or_hold(nodes, by, now);
        let cause = match by {
            Withdrawal::Named => Cause::topology(name, "its source says that it is gone"),
            Withdrawal::Absent => Cause::topology(name, "its source does not name it any more"),
        };
        for node in &nodes {
            self.arm_vouch(name, node);
            self.settle(node, &cause, now);
        }
        self.publish_status(name, now);
    }
}
