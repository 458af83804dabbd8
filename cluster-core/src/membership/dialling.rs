//! How wanted links become dials and cuts, and what becomes of those.

use std::{sync::Arc, time::Duration};

use super::{
    Membership,
    connector::{Connector, Link, OperationKind, Phase},
    derive::Cause,
    link::{ConnectorId, Effect, OperationId, Outcome},
    topology::Topology,
};
use crate::{
    name::NodeName,
    node::Node,
    time::{Now, later},
};

/// The shortest time between two questions for all links.
const LIST_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// What the topologies want of the link to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// None vouches for the node.
    No,
    /// One does, but the node is leaving: its link is kept, and not made anew.
    Kept,
    Yes,
}

impl Membership {
    /// Brings the links of a node in line with who vouches for it.
    pub(super) fn reconcile(&mut self, name: &NodeName, now: Now) {
        let mut claimants = Vec::new();
        let mut wanted = Wanted::Yes;
        if self.local_name() != Some(name) {
            for topology in self.topologies.values() {
                let Some(vouch) = topology.vouches.get(name) else {
                    continue;
                };
                claimants.extend(topology.spec.connector);
                // Whoever says that the node is leaving, it is not to be dialled.
                if vouch.node.is_leaving() {
                    wanted = Wanted::Kept;
                }
            }
        }
        for (id, connector) in &mut self.connectors {
            let wanted = if claimants.contains(id) { wanted } else { Wanted::No };
            let topologies = &self.topologies;
            let moved = |link: &Link| {
                let current = addresses(topologies.values(), *id, name);
                link.moved(&current)
            };
            if let Some(operation) = connector.reconcile(name, wanted, moved, now) {
                let connector = *id;
                self.effects.push(Effect::Cancel { connector, operation });
            }
        }
    }

    /// Starts what is due, as far as the cap on operations allows, and shows the unclaimed links as they are now.
    pub(super) fn pump(&mut self, now: Now) {
        let ids: Vec<_> = self.connectors.keys().copied().collect();
        for id in ids {
            while let Some(connector) = self.connectors.get_mut(&id)
                && let Some(name) = connector.pop_startable(now.instant)
            {
                self.start(id, &name, now);
            }
            if self.connectors.get(&id).is_some_and(|connector| connector.unclaimed_changed) {
                self.publish_unclaimed(id);
            }
        }
    }

    fn start(&mut self, id: ConnectorId, name: &NodeName, now: Now) {
        let operation = self.next_operation();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let deadline = connector.spec.deadline;
        match connector.links().get(name).map(|link| link.phase) {
            Some(Phase::Waiting { .. }) => {
                let addresses = addresses(self.topologies.values(), id, name);
                let node =
                    addresses.iter().fold(Node::new(name.clone()), |node, address| node.address(address));
                connector.change(name, |link| {
                    link.phase = Phase::Connecting;
                    link.dialled = Some(addresses);
                });
                connector.begin(operation, OperationKind::Connect, name, now.instant);
                self.effects.push(Effect::Connect { connector: id, operation, node, deadline });
            }
            Some(Phase::Cutting { .. }) => {
                connector.begin(operation, OperationKind::Disconnect, name, now.instant);
                self.effects.push(Effect::Disconnect {
                    connector: id,
                    operation,
                    node: name.clone(),
                    deadline,
                });
            }
            _ => {}
        }
    }

    fn next_operation(&mut self) -> OperationId {
        self.operations = self.operations.saturating_add(1);
        OperationId(self.operations)
    }

    /// Asks a connector for all its links, unless it has not answered the last time.
    pub(super) fn ask_for_list(&mut self, id: ConnectorId, now: Now) {
        let operation = self.next_operation();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let interval = connector.spec.list_interval.filter(|_| connector.running);
        connector.list_due = interval.map(|interval| later(now.instant, interval.max(LIST_INTERVAL_MIN)));
        if interval.is_some() && connector.list.is_none() {
            connector.list = Some((operation, now.instant));
            self.effects.push(Effect::List { connector: id, operation, deadline: connector.spec.deadline });
        }
    }

    /// Does what the clocks of a connector have made due.
    pub(super) fn handle_connector_due(&mut self, id: ConnectorId, now: Now) {
        while let Some(connector) = self.connectors.get(&id)
            && let Some(operation) = connector.overdue(now.instant)
        {
            let reason = format!("the connector gave no answer within {:?}", connector.spec.deadline);
            self.effects.push(Effect::Cancel { connector: id, operation });
            self.completed(id, operation, Outcome::Failed(reason.into()), now);
        }
        while let Some(connector) = self.connectors.get(&id)
            && let Some(node) = connector.overdue_doubt(now.instant)
        {
            self.link_lost(id, &node, &"its connector restarted and does not list it".into(), now);
        }
        let list_due = self.connectors.get(&id).and_then(|connector| connector.list_due);
        if list_due.is_some_and(|due| due <= now.instant) {
            self.ask_for_list(id, now);
        }
    }

    /// An operation has ended.
    pub(super) fn completed(&mut self, id: ConnectorId, operation: OperationId, outcome: Outcome, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        if connector.list.is_some_and(|(asked, _)| asked == operation) {
            self.list_ended(id, outcome == Outcome::Done, now);
            return;
        }
        let Some((name, kind)) = connector.finish(operation) else {
            return;
        };
        if kind == OperationKind::Connect {
            self.dials.count(&outcome);
        }
        let phase = connector.links().get(&name).map(|link| link.phase);
        match (kind, phase, outcome) {
            (OperationKind::Connect, Some(Phase::Connecting), Outcome::Done) => {
                self.link_made(id, &name, now);
            }
            (
                OperationKind::Connect,
                Some(Phase::Connecting),
                // There is no link that could be kept.
                Outcome::Failed(reason) | Outcome::Kept(reason),
            ) => {
                self.dial_failed(id, &name, &reason, now);
            }
            (OperationKind::Disconnect, Some(Phase::Cutting { .. }), Outcome::Done) => {
                self.link_lost(id, &name, &"it was disconnected".into(), now);
            }
            (OperationKind::Disconnect, Some(Phase::Cutting { .. }), Outcome::Failed(reason)) => {
                self.cut_failed(id, &name, reason, now);
            }
            (OperationKind::Disconnect, Some(Phase::Cutting { .. }), Outcome::Kept(reason)) => {
                connector.change(&name, |link| link.keep(reason));
                self.settle(&name, &Cause::default(), now);
            }
            // What became of the link has been told already; it may have waited for the operation to end.
            _ => self.settle(&name, &Cause::default(), now),
        }
    }

    /// The question for all links ended without an answer.
    fn list_ended(&mut self, id: ConnectorId, is_done: bool, now: Now) {
        let random = self.random.f64();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.list = None;
        if is_done {
            // It has none to give.
            connector.spec.list_interval = None;
            connector.list_due = None;
            let links = connector.links().iter().filter(|(_, link)| link.is_remembered);
            let remembered: Vec<_> = links.map(|(name, _)| name.clone()).collect();
            let reason = "its connector cannot tell whether the link outlived the restart of the host".into();
            for name in &remembered {
                self.link_lost(id, name, &reason, now);
            }
            return;
        }
        connector.list_failures = connector.list_failures.saturating_add(1);
        let again = later(now.instant, connector.spec.retry.wait(connector.list_failures, random));
        connector.list_due = connector.list_due.map(|due| due.min(again));
    }

    fn dial_failed(&mut self, id: ConnectorId, name: &NodeName, reason: &Arc<str>, now: Now) {
        let random = self.random.f64();
        let topology = self.topology_of(id, name);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let retry = connector.spec.retry;
        let is_news = connector.change(name, |link| {
            link.note(Some(Arc::clone(reason)), now);
            link.failures = link.failures.saturating_add(1);
            let is_news = link.failures == 1 || link.reason.as_ref() != Some(reason);
            link.fall(Arc::clone(reason), retry.wait(link.failures, random), now);
            is_news
        });
        let cause = Cause::link(topology, reason);
        let cause = if is_news == Some(true) { cause.connect_failed() } else { cause };
        self.settle(name, &cause, now);
    }

    fn cut_failed(&mut self, id: ConnectorId, name: &NodeName, reason: Arc<str>, now: Now) {
        let random = self.random.f64();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let retry = connector.spec.retry;
        connector.change(name, |link| {
            link.note(Some(reason), now);
            link.failures = link.failures.saturating_add(1);
            let due = later(now.instant, retry.wait(link.failures, random));
            link.phase = Phase::Cutting { due };
        });
        self.settle(name, &Cause::default(), now);
    }
}

/// The addresses that the topologies of a connector know of a node, each once.
fn addresses<'a>(
    topologies: impl Iterator<Item = &'a Topology>,
    id: ConnectorId,
    name: &NodeName,
) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    let vouches = topologies.filter(|topology| topology.spec.connector == Some(id));
    for vouch in vouches.filter_map(|topology| topology.vouches.get(name)) {
        for address in vouch.node.addresses() {
            if !addresses.iter().any(|known| known == address) {
                addresses.push(address.to_owned());
            }
        }
    }
    addresses
}

// === impl Connector ===

impl Connector {
    /// Brings the link of a node in line with what is wanted. Gives an operation that is to be cancelled.
    fn reconcile(
        &mut self,
        name: &NodeName,
        wanted: Wanted,
        moved: impl Fn(&Link) -> bool,
        now: Now,
    ) -> Option<OperationId> {
        let Some(link) = self.links().get(name) else {
            if wanted == Wanted::Yes {
                let due = Some(now.instant);
                self.insert(name, Link::new(Phase::Waiting { due }, true, now));
            }
            return None;
        };
        let by_address = self.spec.by_address;
        let to_be_moved = || by_address && wanted == Wanted::Yes && moved(link);
        let being_cut = link.operation.is_some_and(|(_, kind)| kind == OperationKind::Disconnect);
        let cut = Phase::Cutting { due: now.instant };
        let phase = match (link.phase, wanted) {
            (Phase::Connecting, Wanted::No) => return self.remove(name),
            (Phase::Waiting { .. }, Wanted::No) if link.operation.is_none() => return self.remove(name),
            (Phase::Waiting { .. }, Wanted::No | Wanted::Kept) => Phase::Waiting { due: None },
            (Phase::Waiting { due: None }, Wanted::Yes) => Phase::Waiting { due: Some(now.instant) },
            (Phase::Up, Wanted::No) if link.ours => cut,
            (Phase::Up, Wanted::Yes) if to_be_moved() => cut,
            (Phase::Cutting { .. }, Wanted::Yes | Wanted::Kept) if !being_cut && !to_be_moved() => Phase::Up,
            // Among others: a link of unknown state that nobody wants is cut when it is known to be there.
            (phase, _) => phase,
        };
        let ours = link.ours || wanted != Wanted::No;
        if (phase, ours) != (link.phase, link.ours) {
            self.change(name, |link| {
                if phase == Phase::Up {
                    link.failures = 0;
                }
                if wanted != Wanted::No {
                    link.kept = None;
                }
                (link.phase, link.ours) = (phase, ours);
            });
        }
        None
    }
}

// === impl Link ===

impl Link {
    /// Whether an address at which it was dialled is not the node's any more.
    fn moved(&self, current: &[String]) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| dialled.iter().any(|address| !current.contains(address)))
    }
}
