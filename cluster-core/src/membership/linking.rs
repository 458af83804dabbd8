//! How the connectors' words change the links.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Membership, Topology,
    connector::{Link, Phase},
    derive::Cause,
    link::{ConnectorId, Effect, LINKS_MAX, LinkInput, OperationId, Outcome, UNKNOWN_MAX},
    vouch::Vouch,
};
use crate::{
    name::{NodeName, TopologyName},
    time::Now,
};

impl Membership {
    /// Takes what a connector says. What it says of operations, generations or connectors that are over, or
    /// while it does not run, is dropped.
    pub fn handle_link(&mut self, id: ConnectorId, input: LinkInput, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let is_running = connector.running;
        match input {
            LinkInput::Started => self.connector_started(id, now),
            LinkInput::Stopped { reason } => {
                self.connector_ended(id, &reason, now);
                self.availability(id, Some(reason), now);
            }
            _ if !is_running => {}
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
                } else if let Some(operation) = operation {
                    let reason = "the answer is of an older generation of links".into();
                    self.completed(id, operation, Outcome::Failed(reason), now);
                }
            }
            LinkInput::Availability(state) => self.availability(id, state.err(), now),
            LinkInput::Health(trouble) => {
                connector.trouble = trouble;
                self.publish_statuses(id, now);
            }
        }
        self.pump(now);
    }

    /// The link to a node is there.
    pub(super) fn link_made(&mut self, id: ConnectorId, name: &NodeName, now: Now) {
        if self.local_name() == Some(name) {
            return;
        }
        let topology = self.topology_of(id, name);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        match connector.links().get(name).map(|link| link.phase) {
            None if connector.links().len() >= LINKS_MAX => return,
            // Whether it is ours is seen when it is settled.
            None => connector.insert(name, Link::new(Phase::Up, false, now)),
            // It is being cut: that it was there is no news.
            Some(Phase::Cutting { .. }) => return,
            Some(phase) => {
                connector.change(name, |link| {
                    if phase == Phase::Connecting {
                        link.note(None, now);
                    }
                    link.rise(now);
                });
            }
        }
        let cause = topology.as_ref().map_or_else(Cause::default, Cause::of);
        self.settle(name, &cause, now);
    }

    /// A link is not there any more. Whoever still vouches for the node wants it back.
    pub(super) fn link_lost(&mut self, id: ConnectorId, name: &NodeName, reason: &Arc<str>, now: Now) {
        let random = self.random.f64();
        let topology = self.topology_of(id, name);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        // What is not up cannot be lost: a dial that is under way has its own end.
        let Some(link) = connector.links().get(name).filter(|link| link.is_up()) else {
            return;
        };
        // That one of before the restart is gone says nothing against dialling it now.
        let wait = if link.is_remembered { Duration::ZERO } else { connector.spec.retry.wait(1, random) };
        connector.change(name, |link| link.fall(Arc::clone(reason), wait, now));
        // A vouch that ran out was kept for the sake of the link.
        let is_stale = |topology: &&mut Topology| {
            topology.spec.connector == Some(id)
                && topology.vouches.get(name).is_some_and(|vouch: &Vouch| vouch.stale)
        };
        for topology in self.topologies.values_mut().filter(is_stale) {
            topology.drop_vouch(name);
        }
        self.settle(name, &Cause::link(topology, reason), now);
    }

    fn listed(&mut self, id: ConnectorId, asked: Option<OperationId>, nodes: &BTreeSet<NodeName>, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let asked_at = match (asked, connector.list) {
            (None, _) => None,
            (Some(asked), Some((operation, at))) if asked == operation => {
                connector.list = None;
                connector.list_failures = 0;
                Some(at)
            }
            // Late, unknown or doubled: what it says may be long over.
            (Some(_), _) => return,
        };
        // Of a link that came up or went down after the question, the answer may not know yet.
        let is_newer = |link: &Link| {
            let is_known = !matches!(link.phase, Phase::Unknown { .. });
            is_known && asked_at.is_some_and(|asked| link.turned_at.is_some_and(|at| at >= asked))
        };
        let is_known = |name: &&NodeName| {
            let link = connector.links().get(*name);
            link.is_some_and(|link| link.phase == Phase::Up || is_newer(link))
        };
        let found: Vec<_> = nodes.iter().filter(|name| !is_known(name)).cloned().collect();
        let links = connector.links().iter();
        let lost = links.filter(|(name, link)| link.is_up() && !is_newer(link) && !nodes.contains(*name));
        let lost: Vec<_> = lost.map(|(name, _)| name.clone()).collect();
        for name in found {
            self.link_made(id, &name, now);
        }
        for name in lost {
            self.link_lost(id, &name, &"the connector does not list it any more".into(), now);
        }
    }

    fn connector_started(&mut self, id: ConnectorId, now: Now) {
        if self.connectors.get(&id).is_some_and(|connector| connector.running) {
            self.connector_ended(id, &"the connector was started anew".into(), now);
        }
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.running = true;
            connector.generation = 0;
            connector.list_failures = 0;
            self.availability(id, None, now);
            self.ask_for_list(id, now);
        }
    }

    fn connector_ended(&mut self, id: ConnectorId, reason: &Arc<str>, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.running = false;
        connector.trouble = None;
        connector.list_due = None;
        let nodes = connector.finish_all();
        let due = Some(now.instant);
        for node in &nodes {
            connector.change(node, |link| {
                if link.phase == Phase::Connecting {
                    link.phase = Phase::Waiting { due };
                }
            });
        }
        self.links_doubted(id, reason, now);
        for node in &nodes {
            self.settle(node, &Cause::default(), now);
        }
    }

    /// What a connector said of its links does not hold any more.
    fn links_doubted(&mut self, id: ConnectorId, reason: &Arc<str>, now: Now) {
        let Some(connector) = self.connectors.get(&id) else {
            return;
        };
        let outlives = connector.spec.outlives;
        let until = now.instant + UNKNOWN_MAX;
        let up = connector.links().iter().filter(|(_, link)| link.is_up());
        let up: Vec<_> = up.map(|(name, link)| (name.clone(), link.phase)).collect();
        for (name, phase) in up {
            if !outlives {
                self.link_lost(id, &name, reason, now);
            } else if !matches!(phase, Phase::Unknown { .. }) {
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.change(&name, |link| link.phase = Phase::Unknown { until });
                }
                self.settle(&name, &Cause::link(None, reason), now);
            }
        }
    }

    /// Whether what a generation of a connector says still counts. A new one makes all doubtful that the old one
    /// said.
    fn generation_is_current(&mut self, id: ConnectorId, generation: u64, now: Now) -> bool {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return false;
        };
        if generation > connector.generation {
            let is_first = connector.generation == 0;
            connector.generation = generation;
            if !is_first {
                self.links_doubted(id, &"its connector began a new generation of links".into(), now);
            }
            return true;
        }
        connector.generation == generation
    }

    fn availability(&mut self, id: ConnectorId, unavailable: Option<Arc<str>>, now: Now) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.unavailable = unavailable;
        if connector.unavailable.is_some() {
            // What was being tried has not failed: it is due as soon as anything can be tried.
            let dials = connector.give_up_dials(now.instant);
            self.effects
                .extend(dials.into_iter().map(|operation| Effect::Cancel { connector: id, operation }));
        }
        self.publish_statuses(id, now);
    }

    pub(super) fn topologies_of(&self, id: ConnectorId) -> impl Iterator<Item = (&TopologyName, &Topology)> {
        self.topologies.iter().filter(move |(_, topology)| topology.spec.connector == Some(id))
    }

    /// The first topology of a connector that vouches for a node: the one that events of its link name.
    pub(super) fn topology_of(&self, id: ConnectorId, node: &NodeName) -> Option<TopologyName> {
        let mut topologies = self.topologies_of(id);
        let found = topologies.find(|(_, topology)| topology.vouches.contains(node));
        found.map(|(name, _)| name.clone())
    }
}
