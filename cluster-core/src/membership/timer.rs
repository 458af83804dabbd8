//! One deadline for the whole membership. Timers are never cancelled: one that fires too early finds nothing due.

use std::time::Instant;

use super::{
    Membership,
    derive::Cause,
    link::{ConnectorId, OperationId, Phase},
    topology::Withdrawal,
};
use crate::{
    name::{NodeName, TopologyName},
    time::Now,
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A vouch expires, its absence becomes ripe, or its hold ends.
    Vouch(TopologyName, NodeName),
    /// All vouches of a topology's last Reset expire.
    Reset(TopologyName),
    /// A link is due to be dialled.
    Link(ConnectorId, NodeName),
    /// An outcome is overdue.
    Operation(ConnectorId, OperationId),
    /// The connector is to be asked for its links.
    List(ConnectorId),
    /// Links of unknown state count as lost.
    Unknown(ConnectorId),
}

impl Membership {
    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        let mut due = self.timers.split_off(&(now.instant, Timer::Unknown(ConnectorId(u32::MAX))));
        std::mem::swap(&mut due, &mut self.timers);
        let mut ripe: Vec<(TopologyName, Vec<NodeName>)> = Vec::new();
        for (_, timer) in due {
            match timer {
                Timer::Vouch(topology, node) => {
                    match (self.vouch_fired(&topology, &node, now), ripe.last_mut()) {
                        (true, Some((last, nodes))) if *last == topology => nodes.push(node),
                        (true, _) => ripe.push((topology, vec![node])),
                        (false, _) => {}
                    }
                }
                Timer::Reset(topology) => self.reset_expired(&topology, now),
                Timer::Link(connector, node) => {
                    if let Some(connector) = self.connectors.get_mut(&connector) {
                        connector.queue.push_back(node);
                    }
                }
                Timer::Operation(connector, operation) => self.operation_overdue(connector, operation, now),
                Timer::List(connector) => self.ask_for_list(connector, now),
                Timer::Unknown(connector) => self.unknown_expired(connector, now),
            }
        }
        for (topology, nodes) in ripe {
            self.withdraw(&topology, nodes, Withdrawal::Absent, now);
        }
        self.pump(now);
    }

    pub(super) fn arm(&mut self, at: Instant, timer: Timer) {
        self.timers.insert((at, timer));
    }

    /// Sees to it that a vouch's next deadline is not missed.
    pub(super) fn arm_vouch(&mut self, topology: &TopologyName, node: &NodeName) {
        let Some(found) = self.topologies.get_mut(topology) else {
            return;
        };
        let Some(due) = found.vouches.get(node).and_then(|vouch| found.vouch_due(vouch)) else {
            return;
        };
        let Some(vouch) = found.vouches.get_mut(node) else {
            return;
        };
        if vouch.armed.is_none_or(|armed| due < armed) {
            vouch.armed = Some(due);
            self.arm(due, Timer::Vouch(topology.clone(), node.clone()));
        }
    }

    pub(super) fn arm_reset(&mut self, topology: &TopologyName) {
        if let Some(at) = self.topologies.get(topology).and_then(|topology| topology.reset_expiry()) {
            self.arm(at, Timer::Reset(topology.clone()));
        }
    }

    /// Looks what is due for a vouch. True where its absence has become ripe.
    fn vouch_fired(&mut self, topology: &TopologyName, node: &NodeName, now: Now) -> bool {
        let Some(found) = self.topologies.get_mut(topology) else {
            return false;
        };
        if let Some(vouch) = found.vouches.get_mut(node) {
            vouch.armed = None;
        }
        // While the strategy does not run nothing is due; its next start arms everything again.
        let Some(vouch) = found.vouches.get(node).filter(|_| found.stopped_at.is_none()) else {
            return false;
        };
        if !vouch.stale && found.expiry(vouch).is_some_and(|at| at <= now.instant) {
            self.expire(topology, node, now);
        } else if let Some(absence) = &vouch.absent {
            match absence.hold {
                Some(hold) if hold.until.is_some_and(|until| until <= now.instant) => {
                    found.withdraw(vec![node.clone()], now);
                    let cause =
                        Cause::topology(topology, "its source let it go, and the hold on that is over");
                    self.settle(node, &cause, now);
                    self.publish_status(topology, now);
                    return false;
                }
                None if absence.since + found.spec.prune.after <= now.instant => return true,
                _ => {}
            }
        }
        self.arm_vouch(topology, node);
        false
    }

    fn reset_expired(&mut self, topology: &TopologyName, now: Now) {
        let Some(found) = self.topologies.get(topology) else {
            return;
        };
        if found.stopped_at.is_some() || found.reset_expiry().is_none_or(|at| at > now.instant) {
            return;
        }
        let overdue = |name: &&NodeName| {
            found
                .vouches
                .get(*name)
                .is_some_and(|vouch| !vouch.stale && found.expiry(vouch).is_some_and(|at| at <= now.instant))
        };
        let expired: Vec<_> = found.vouches.keys().filter(overdue).cloned().collect();
        for node in expired {
            self.expire(topology, &node, now);
        }
    }

    /// A vouch has run out: it ends, or waits as stale for its link to go down.
    fn expire(&mut self, topology: &TopologyName, node: &NodeName, now: Now) {
        let Some(found) = self.topologies.get_mut(topology) else {
            return;
        };
        let link =
            found.spec.connector.and_then(|id| self.connectors.get(&id)).and_then(|c| c.links.get(node));
        if link.is_some_and(super::link::Link::is_up) {
            if let Some(vouch) = found.vouches.get_mut(node) {
                vouch.stale = true;
            }
        } else {
            found.drop_vouches(std::slice::from_ref(node));
        }
        self.settle(
            node,
            &Cause::topology(topology, "its topology has not heard of it for its time to live"),
            now,
        );
        self.publish_status(topology, now);
    }

    fn unknown_expired(&mut self, id: ConnectorId, now: Now) {
        let Some(connector) = self.connectors.get(&id) else {
            return;
        };
        let overdue = |phase: &Phase| matches!(phase, Phase::Unknown { until } if *until <= now.instant);
        let lost: Vec<_> = connector
            .links
            .iter()
            .filter(|(_, link)| overdue(&link.phase))
            .map(|(name, _)| name.clone())
            .collect();
        for node in lost {
            self.link_lost(id, &node, &"its connector restarted and does not list it".into(), now);
        }
    }
}
