//! What is shown of topologies.

use std::sync::Arc;

use super::{Membership, link::ConnectorId, topology::Topology};
use crate::{
    event::{Event, EventKind},
    member::{Health, NAMES_SHOWN_MAX, TopologyStatus},
    name::{NodeName, TopologyName},
    time::Now,
};

impl Membership {
    /// Shows a topology as it is now, with an event if its health, its reason or the members held back changed.
    pub(super) fn publish_status(&mut self, name: &TopologyName, now: Now) {
        let old = self.statuses.get(name);
        let reason = if let Some(topology) = self.topologies.get(name) {
            let held: Vec<NodeName> = topology.vouches.held().iter().take(NAMES_SHOWN_MAX).cloned().collect();
            let remembered: Vec<NodeName> =
                topology.vouches.remembered().iter().take(NAMES_SHOWN_MAX).cloned().collect();
            let (health, reason) = self.health(topology);
            let same_health = old.filter(|old| old.health == health);
            if same_health.is_some_and(|old| old.reason == reason && old.held == held) {
                if let Some(status) = self.statuses.get_mut(name).filter(|old| old.remembered != remembered) {
                    Arc::make_mut(status).remembered = remembered;
                }
                return;
            }
            let status = TopologyStatus {
                health,
                reason: reason.clone(),
                since: same_health.map_or(now.wall, |old| old.since),
                held,
                remembered,
                unclaimed: old.map(|old| old.unclaimed.clone()).unwrap_or_default(),
            };
            self.statuses.insert(name.clone(), Arc::new(status));
            reason
        } else {
            if self.statuses.remove(name).is_none() {
                return;
            }
            Some("the topology was removed".into())
        };
        self.publish_topology(name, reason, now);
    }

    /// Tells that a topology is not there, of which was told before a restart.
    pub(super) fn publish_missing(&mut self, name: &TopologyName, now: Now) {
        self.publish_topology(name, Some("the topology is not configured any more".into()), now);
    }

    /// Tells how a topology is now.
    fn publish_topology(&mut self, name: &TopologyName, reason: Option<Arc<str>>, now: Now) {
        self.revision = self.revision.saturating_add(1);
        self.events.push(Event {
            revision: self.revision,
            kind: EventKind::TopologyChanged,
            node: None,
            member: None,
            topology: Some(name.clone()),
            status: self.statuses.get(name).cloned(),
            reason,
            at: now.wall,
        });
    }

    fn health(&self, topology: &Topology) -> (Health, Option<Arc<str>>) {
        let (health, reason) = topology.health.clone();
        if let Some(refusal) = &topology.refusal
            && !matches!(health, Health::Denied | Health::Stopped)
        {
            // What the strategy or its supervisor says of the same trouble knows less of it.
            return (Health::Degraded, Some(Arc::clone(refusal)));
        }
        if !matches!(health, Health::Starting | Health::Running) {
            return (health, reason);
        }
        let connector = topology.spec.connector.and_then(|id| self.connectors.get(&id));
        let unavailable = connector.and_then(|connector| Some((connector, connector.unavailable.as_ref()?)));
        if let Some((connector, reason)) = unavailable {
            let name = &connector.spec.name;
            let reason = format!("connector {name}: {reason}; nothing is dialled until it is available");
            (Health::Degraded, Some(reason.into()))
        } else if !topology.vouches.held().is_empty() && !topology.spec.prune.never {
            let reason = "members that its source let go are held back by the prune policy: too many at once";
            (Health::Degraded, Some(reason.into()))
        } else if let Some((connector, (health, reason))) =
            connector.and_then(|connector| Some((connector, connector.trouble.as_ref()?)))
        {
            (*health, Some(format!("connector {}: {reason}", connector.spec.name).into()))
        } else {
            (health, reason)
        }
    }

    /// Shows the topologies of a connector as they are now.
    pub(super) fn publish_statuses(&mut self, id: ConnectorId, now: Now) {
        let names: Vec<_> = self.topologies_of(id).map(|(name, _)| name.clone()).collect();
        for name in names {
            self.publish_status(&name, now);
        }
    }

    /// Lists the links of a connector that nobody vouches for with its topologies. No event: they are no members.
    pub(super) fn publish_unclaimed(&mut self, id: ConnectorId) {
        let mut unclaimed = Vec::new();
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.unclaimed_changed = false;
            unclaimed.extend(connector.unclaimed().iter().take(NAMES_SHOWN_MAX).cloned());
        }
        for (name, topology) in &self.topologies {
            if topology.spec.connector == Some(id)
                && let Some(status) = self.statuses.get_mut(name)
                && status.unclaimed != unclaimed
            {
                Arc::make_mut(status).unclaimed.clone_from(&unclaimed);
            }
        }
    }
}
