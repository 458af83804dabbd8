//! How wanted links become dials and cuts, and how the connectors' words change the links.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Membership,
    derive::Cause,
    link::{
        ConnectorId, Effect, LINKS_MAX, Link, LinkInput, OUTCOME_GRACE, Operation, OperationId,
        OperationKind, Phase, UNKNOWN_MAX,
    },
    timer::Timer,
};
use crate::{
    name::{NodeName, TopologyName},
    node::Node,
    time::Now,
};

/// What the topologies of one connector want of the link to a node.
struct Claim {
    node: Node,
    leaving: bool,
}

impl Membership {
    /// Takes what a connector says. What it says of operations, generations or connectors that are over is dropped.
    pub fn handle_link(&mut self, id: ConnectorId, input: LinkInput, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        match input {
            LinkInput::Started => {
                connector.running = true;
                connector.generation = 0;
                self.availability(id, None, now);
                self.ask_for_list(id, now);
            }
            LinkInput::Stopped { reason } => self.connector_stopped(id, &reason, now),
            LinkInput::Completed { operation, outcome } => self.completed(id, operation, outcome, now),
            LinkInput::Changed { generation, node, state } => {
                if self.generation_is_current(id, generation, now) {
                    match state {
                        Ok(()) => self.link_made(id, &node, now),
                        Err(reason) => self.link_lost(id, &node, &reason, now),
                    }
                }
            }
            LinkInput::Listed { generation, operation, nodes } => {
                if self.generation_is_current(id, generation, now) {
                    self.listed(id, operation, &nodes, now);
                }
            }
            LinkInput::Availability(state) => self.availability(id, state.err(), now),
        }
        if self.connectors.get(&id).is_some_and(|connector| connector.unclaimed_changed) {
            self.publish_unclaimed(id);
        }
        self.pump(now);
    }

    /// Brings the link of a node in line with who vouches for it.
    pub(super) fn reconcile(&mut self, id: ConnectorId, name: &NodeName, now: Now) {
        let claim = self.claim(id, name);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(link) = connector.links.get_mut(name) else {
            if claim.is_some_and(|claim| !claim.leaving) {
                let link = Link::new(Phase::Waiting { due: Some(now.instant) }, true, now);
                connector.links.insert(name.clone(), link);
                connector.queue.push_back(name.clone());
            }
            return;
        };
        let was_claimed = std::mem::replace(&mut link.claimed, claim.is_some());
        connector.unclaimed_changed |= was_claimed != link.claimed && link.is_up();
        match (claim, &link.phase) {
            (Some(claim), Phase::Waiting { due }) if due.is_some() == claim.leaving => {
                link.wait((!claim.leaving).then_some(now.instant));
                connector.queue.push_back(name.clone());
            }
            (Some(claim), Phase::Up) if connector.spec.by_address && link.moved(&claim.node) => {
                link.phase = Phase::Cutting { operation: None };
                connector.queue.push_back(name.clone());
            }
            (Some(claim), Phase::Cutting { operation: None }) if !link.moved(&claim.node) => {
                link.phase = Phase::Up;
            }
            (None, Phase::Up | Phase::Unknown { .. }) if was_claimed => {
                link.phase = Phase::Cutting { operation: None };
                connector.queue.push_back(name.clone());
            }
            (None, Phase::Waiting { .. }) => drop(connector.links.remove(name)),
            (None, Phase::Connecting { operation }) => {
                let operation = *operation;
                connector.operations.remove(&operation);
                connector.links.remove(name);
                self.effects.push(Effect::Cancel { connector: id, operation });
            }
            _ => {}
        }
    }

    /// The word of all topologies of a connector for a node, with the addresses of all of them.
    fn claim(&self, id: ConnectorId, name: &NodeName) -> Option<Claim> {
        if self.local_name() == Some(name) {
            return None;
        }
        let mut claim: Option<Claim> = None;
        for topology in self.topologies.values().filter(|topology| topology.spec.connector == Some(id)) {
            let Some(vouch) = topology.vouches.get(name) else {
                continue;
            };
            let claim = claim.get_or_insert_with(|| Claim { node: Node::new(name.clone()), leaving: false });
            for address in vouch.node.addresses() {
                claim.node = claim.node.clone().address(address);
            }
        }
        // Whoever says that the node is leaving, it is not to be dialled.
        let leaving =
            |topology: &super::Topology| topology.vouches.get(name).is_some_and(|v| v.node.is_leaving());
        claim.map(|claim| Claim { leaving: self.topologies.values().any(leaving), ..claim })
    }

    /// Starts what is due, as far as the cap on operations allows.
    pub(super) fn pump(&mut self, now: Now) {
        let ids: Vec<_> = self.connectors.keys().copied().collect();
        for id in ids {
            while let Some(connector) = self.connectors.get_mut(&id)
                && connector.can_dial()
                && connector.under_way() < connector.spec.dials_max
                && let Some(name) = connector.queue.pop_front()
            {
                self.start(id, &name, now);
            }
        }
    }

    fn start(&mut self, id: ConnectorId, name: &NodeName, now: Now) {
        let claim = self.claim(id, name);
        let operation = OperationId(self.operations.saturating_add(1));
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let deadline = connector.spec.deadline;
        let Some(link) = connector.links.get_mut(name) else {
            return;
        };
        let (kind, effect) = match link.phase {
            Phase::Waiting { due: Some(due) } if due <= now.instant => {
                let Some(Claim { node, .. }) = claim else { return };
                link.dialled = Some(node.addresses().map(str::to_owned).collect());
                link.phase = Phase::Connecting { operation };
                (OperationKind::Connect, Effect::Connect { connector: id, operation, node, deadline })
            }
            Phase::Cutting { operation: None } => {
                link.phase = Phase::Cutting { operation: Some(operation) };
                let node = name.clone();
                (OperationKind::Disconnect, Effect::Disconnect { connector: id, operation, node, deadline })
            }
            _ => return,
        };
        let node = Some(name.clone());
        self.submit(id, operation, Operation { kind, node, submitted: now.instant }, effect);
    }

    pub(super) fn ask_for_list(&mut self, id: ConnectorId, now: Now) {
        let operation = OperationId(self.operations.saturating_add(1));
        let Some(connector) = self.connectors.get(&id) else {
            return;
        };
        let Some(interval) = connector.spec.list_interval.filter(|_| connector.running) else {
            return;
        };
        let deadline = connector.spec.deadline;
        if !connector.operations.values().any(|operation| operation.kind == OperationKind::List) {
            let effect = Effect::List { connector: id, operation, deadline };
            let asked = Operation { kind: OperationKind::List, node: None, submitted: now.instant };
            self.submit(id, operation, asked, effect);
        }
        self.arm(now.instant + interval, Timer::List(id));
    }

    fn submit(&mut self, id: ConnectorId, operation: OperationId, what: Operation, effect: Effect) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        self.operations = operation.0;
        let overdue = what.submitted + connector.spec.deadline + OUTCOME_GRACE;
        connector.operations.insert(operation, what);
        self.effects.push(effect);
        self.arm(overdue, Timer::Operation(id, operation));
    }

    pub(super) fn operation_overdue(&mut self, id: ConnectorId, operation: OperationId, now: Now) {
        let Some(connector) = self.connectors.get(&id) else {
            return;
        };
        if connector.operations.contains_key(&operation) {
            let reason = format!("the connector gave no answer within {:?}", connector.spec.deadline);
            self.effects.push(Effect::Cancel { connector: id, operation });
            self.completed(id, operation, Err(reason.into()), now);
        }
    }

    fn completed(
        &mut self,
        id: ConnectorId,
        operation: OperationId,
        outcome: Result<(), Arc<str>>,
        now: Now,
    ) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(Operation { kind, node, .. }) = connector.operations.remove(&operation) else {
            return;
        };
        let Some(name) = node else {
            // Asked for a list and gave none: it has none to give.
            if outcome.is_ok() {
                connector.spec.list_interval = None;
            }
            return;
        };
        match (kind, outcome) {
            (OperationKind::Connect, Ok(())) => self.link_made(id, &name, now),
            (OperationKind::Connect, Err(reason)) => self.dial_failed(id, &name, &reason, now),
            (OperationKind::Disconnect, Ok(())) => {
                self.link_lost(id, &name, &"it was disconnected".into(), now);
            }
            (OperationKind::Disconnect, Err(reason)) => {
                if let Some(link) = connector.links.get_mut(&name) {
                    link.note(Some(reason), now);
                    link.rise(now);
                    // It was dialled where it is: another try to move it would fail the same way.
                    link.dialled = None;
                    connector.unclaimed_changed = true;
                }
                self.settle(&name, &Cause::default(), now);
            }
            (OperationKind::List, _) => {}
        }
    }

    fn dial_failed(&mut self, id: ConnectorId, name: &NodeName, reason: &Arc<str>, now: Now) {
        let random = self.random.f64();
        let topology = self.topology_of(id, name);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(link) = connector.links.get_mut(name) else {
            return;
        };
        if !matches!(link.phase, Phase::Connecting { .. }) {
            return;
        }
        link.note(Some(Arc::clone(reason)), now);
        link.failures = link.failures.saturating_add(1);
        let news = link.failures == 1 || link.reason.as_ref() != Some(reason);
        let wait = connector.spec.retry.wait(link.failures, random);
        link.fall(Arc::clone(reason), wait, now);
        self.arm(now.instant + wait, Timer::Link(id, name.clone()));
        let cause = Cause::link(topology, reason);
        self.settle(name, &if news { cause.connect_failed() } else { cause }, now);
    }

    fn link_made(&mut self, id: ConnectorId, name: &NodeName, now: Now) {
        let topology = self.topology_of(id, name);
        let claimed = self.claim(id, name).is_some();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        if self.local.as_ref().is_some_and(|local| local.name() == name) {
            return;
        }
        if !connector.links.contains_key(name) && connector.links.len() >= LINKS_MAX {
            return;
        }
        let link = connector.links.entry(name.clone()).or_insert_with(|| Link::new(Phase::Up, claimed, now));
        match link.phase {
            // It is being cut: that it was there is no news.
            Phase::Cutting { .. } => return,
            // The outcome of the dial that is under way is of no interest any more.
            Phase::Connecting { operation } => {
                connector.operations.remove(&operation);
                link.note(None, now);
            }
            _ => {}
        }
        link.rise(now);
        connector.unclaimed_changed |= !link.claimed;
        self.settle(name, &topology.as_ref().map_or_else(Cause::default, Cause::of), now);
    }

    /// A link is not there any more. Whoever still vouches for the node wants it back.
    pub(super) fn link_lost(&mut self, id: ConnectorId, name: &NodeName, reason: &Arc<str>, now: Now) {
        let random = self.random.f64();
        let topology = self.topology_of(id, name);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(link) = connector.links.get_mut(name) else {
            return;
        };
        // What is not up cannot be lost: a dial that is under way has its own end.
        if !link.is_up() {
            return;
        }
        if let Phase::Cutting { operation: Some(operation) } = link.phase {
            connector.operations.remove(&operation);
        }
        if link.claimed {
            let wait = connector.spec.retry.wait(1, random);
            link.fall(Arc::clone(reason), wait, now);
            self.arm(now.instant + wait, Timer::Link(id, name.clone()));
        } else {
            connector.links.remove(name);
            connector.unclaimed_changed = true;
        }
        // A vouch that ran out was kept for the sake of the link.
        for topology in self.topologies.values_mut().filter(|topology| topology.spec.connector == Some(id)) {
            if topology.vouches.get(name).is_some_and(|vouch| vouch.stale) {
                topology.drop_vouches(std::slice::from_ref(name));
            }
        }
        self.settle(name, &Cause::link(topology, reason), now);
    }

    fn listed(&mut self, id: ConnectorId, asked: Option<OperationId>, nodes: &BTreeSet<NodeName>, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let asked_at =
            asked.and_then(|asked| connector.finish(asked, OperationKind::List)).map(|asked| asked.submitted);
        // Who came up after the question is not missing from the answer.
        let older =
            |link: &Link| asked_at.is_none_or(|asked_at| link.up_at.is_some_and(|up_at| up_at < asked_at));
        let missing =
            |(name, link): &(&NodeName, &Link)| link.is_up() && older(link) && !nodes.contains(*name);
        let lost: Vec<_> = connector.links.iter().filter(missing).map(|(name, _)| name.clone()).collect();
        let is_new = |name: &&NodeName| connector.links.get(*name).is_none_or(|link| link.phase != Phase::Up);
        let found: Vec<_> = nodes.iter().filter(is_new).cloned().collect();
        for name in found {
            self.link_made(id, &name, now);
        }
        for name in lost {
            self.link_lost(id, &name, &"the connector does not list it any more".into(), now);
        }
    }

    fn connector_stopped(&mut self, id: ConnectorId, reason: &Arc<str>, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.running = false;
        connector.operations.clear();
        let outlives = connector.spec.outlives;
        let names: Vec<_> = connector.links.keys().cloned().collect();
        for name in names {
            let Some(link) = self.connectors.get_mut(&id).and_then(|c| c.links.get_mut(&name)) else {
                continue;
            };
            if matches!(link.phase, Phase::Connecting { .. }) {
                link.wait(Some(now.instant));
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.queue.push_back(name);
                }
            } else if link.is_up() && outlives {
                link.phase = Phase::Unknown { until: now.instant + UNKNOWN_MAX };
                self.settle(&name, &Cause::link(None, reason), now);
            } else {
                self.link_lost(id, &name, reason, now);
            }
        }
        if outlives {
            self.arm(now.instant + UNKNOWN_MAX, Timer::Unknown(id));
        }
        self.availability(id, Some(Arc::clone(reason)), now);
    }

    /// Whether what a generation of a connector says still counts. A new one makes all that the old one said doubtful.
    fn generation_is_current(&mut self, id: ConnectorId, generation: u64, now: Now) -> bool {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return false;
        };
        if generation > connector.generation {
            let is_first = connector.generation == 0;
            connector.generation = generation;
            let until = now.instant + UNKNOWN_MAX;
            let mut doubtful = Vec::new();
            for (name, link) in
                connector.links.iter_mut().filter(|(_, link)| link.phase == Phase::Up && !is_first)
            {
                link.phase = Phase::Unknown { until };
                doubtful.push(name.clone());
            }
            for name in doubtful {
                self.settle(&name, &Cause::default(), now);
            }
            self.arm(until, Timer::Unknown(id));
        }
        self.connectors.get(&id).is_some_and(|connector| connector.generation == generation)
    }

    fn availability(&mut self, id: ConnectorId, unavailable: Option<Arc<str>>, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.unavailable = unavailable;
        let names: Vec<TopologyName> = self.topologies_of(id).cloned().collect();
        for name in names {
            self.publish_status(&name, now);
        }
    }

    fn topologies_of(&self, id: ConnectorId) -> impl Iterator<Item = &TopologyName> {
        let uses = move |topology: &super::Topology| topology.spec.connector == Some(id);
        self.topologies.iter().filter(move |(_, topology)| uses(topology)).map(|(name, _)| name)
    }

    /// The first topology of a connector that vouches for a node: the one that events of its link name.
    fn topology_of(&self, id: ConnectorId, node: &NodeName) -> Option<TopologyName> {
        let vouches = |name: &&TopologyName| {
            self.topologies.get(*name).is_some_and(|topology| topology.vouches.contains_key(node))
        };
        self.topologies_of(id).find(vouches).cloned()
    }
}

// === impl Link ===

impl Link {
    /// Whether the node's addresses are others than those that were dialled.
    fn moved(&self, node: &Node) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| !node.addresses().eq(dialled.iter().map(String::as_str)))
    }
}
