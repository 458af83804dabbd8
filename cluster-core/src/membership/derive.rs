//! What is shown follows from vouches and links, and events follow from what is shown.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{
    Membership,
    explain::{Explanation, LinkExplained, VouchExplained},
    link::Phase,
    topology::{Hold, Topology, Vouch},
};
use crate::{
    event::{Event, EventKind},
    member::{Health, LinkState, Member, MemberState, NAMES_SHOWN_MAX, TopologyStatus, Vouched},
    name::{NodeName, TopologyName},
    node::Node,
    time::Now,
};

/// Why a member is looked at anew: told in the events that come of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Cause {
    topology: Option<TopologyName>,
    reason: Option<Arc<str>>,
    connect_failed: bool,
}

/// What an event tells beside what happened.
#[derive(Debug, Clone, Copy)]
struct Told<'a> {
    node: &'a NodeName,
    cause: &'a Cause,
    now: Now,
}

// === impl Cause ===

impl Cause {
    pub(super) fn of(topology: &TopologyName) -> Self {
        Self { topology: Some(topology.clone()), ..Self::default() }
    }

    pub(super) fn topology(topology: &TopologyName, reason: &str) -> Self {
        Self { topology: Some(topology.clone()), reason: Some(reason.into()), connect_failed: false }
    }

    pub(super) fn link(topology: Option<TopologyName>, reason: &Arc<str>) -> Self {
        Self { topology, reason: Some(Arc::clone(reason)), connect_failed: false }
    }

    pub(super) fn connect_failed(self) -> Self {
        Self { connect_failed: true, ..self }
    }
}

// === impl Membership: members ===

impl Membership {
    /// After any change about a node: its links are wanted or not, and it is shown as it is now.
    pub(super) fn settle(&mut self, node: &NodeName, cause: &Cause, now: Now) {
        let connectors: Vec<_> = self.connectors.keys().copied().collect();
        for connector in connectors {
            self.reconcile(connector, node, now);
        }
        self.publish_member(node, cause, now);
    }

    /// Shows a member as it is now, with the events of what changed.
    pub(super) fn publish_member(&mut self, node: &NodeName, cause: &Cause, now: Now) {
        let told = Told { node, cause, now };
        let old = self.members.get(node).cloned();
        let new = self.derive(node, old.as_deref(), now.wall);
        let was_up = old.as_deref().is_some_and(Member::is_linked);
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => {
                let (state, up) = (new.state, new.is_linked());
                let discovered = Member { state: MemberState::Discovered, reason: None, ..new.clone() };
                self.emit(EventKind::NodeDiscovered, Some(discovered), told);
                if up {
                    self.emit(EventKind::NodeUp, Some(new), told);
                } else if state != MemberState::Discovered {
                    self.emit(EventKind::NodeUpdated, Some(new), told);
                }
            }
            (Some(old), None) => {
                if was_up {
                    let state = if old.state == MemberState::Leaving { old.state } else { MemberState::Down };
                    let down =
                        Member { state, since: now.wall, reason: cause.reason.clone(), ..(*old).clone() };
                    let down =
                        Member { topologies: down.topologies.iter().map(Vouched::ended).collect(), ..down };
                    self.emit(EventKind::NodeDown, Some(down), told);
                }
                self.emit(EventKind::NodeLeft, None, told);
            }
            (Some(old), Some(new)) => {
                let kind = match (was_up, new.is_linked()) {
                    (false, true) => EventKind::NodeUp,
                    (true, false) => EventKind::NodeDown,
                    _ if cause.connect_failed => EventKind::ConnectFailed,
                    _ if *old != new => EventKind::NodeUpdated,
                    _ => return,
                };
                self.emit(kind, Some(new), told);
            }
        }
    }

    fn emit(&mut self, kind: EventKind, member: Option<Member>, told: Told<'_>) {
        let Told { node, cause, now } = told;
        self.revision = self.revision.saturating_add(1);
        let member = member.map(Arc::new);
        match &member {
            Some(member) => self.members.insert(node.clone(), Arc::clone(member)),
            None => self.members.remove(node),
        };
        let own_reason = || member.as_ref().and_then(|member| member.reason.clone());
        self.events.push(Event {
            revision: self.revision,
            kind,
            node: Some(node.clone()),
            topology: cause.topology.clone(),
            reason: cause.reason.clone().or_else(own_reason),
            member,
            at: now.wall,
        });
    }

    fn derive(&self, name: &NodeName, old: Option<&Member>, wall: SystemTime) -> Option<Member> {
        if let Some(local) = self.local.as_ref().filter(|local| local.name() == name) {
            return Some(derive_local(local, old, wall));
        }
        let mut member = Member {
            name: name.clone(),
            is_self: false,
            state: MemberState::Discovered,
            incarnation: None,
            addresses: Vec::new(),
            attributes: BTreeMap::new(),
            topologies: Vec::new(),
            since: wall,
            reason: None,
        };
        let mut leaving = false;
        for (topology_name, topology) in &self.topologies {
            let Some(vouch) = topology.vouches.get(name) else {
                continue;
            };
            member.incarnation = member.incarnation.max(vouch.node.incarnation());
            for address in vouch.node.addresses() {
                if !member.addresses.iter().any(|known| known == address) {
                    member.addresses.push(address.to_owned());
                }
            }
            for (key, value) in vouch.node.attribute_map() {
                member.attributes.entry(key).or_insert(value);
            }
            leaving |= vouch.node.is_leaving();
            member.topologies.push(self.vouched(topology_name, topology, vouch));
        }
        if member.topologies.is_empty() {
            return None;
        }
        let was_ever_up = old.is_some_and(|old| old.is_linked() || old.state == MemberState::Down);
        (member.state, member.reason) = if leaving {
            (MemberState::Leaving, Some("its source says that it is leaving".into()))
        } else if member.is_linked() {
            (MemberState::Up, None)
        } else {
            let reason = member.topologies.iter().find_map(|vouched| vouched.reason.clone());
            (if was_ever_up { MemberState::Down } else { MemberState::Discovered }, reason)
        };
        member.since = old.filter(|old| old.state == member.state).map_or(wall, |old| old.since);
        Some(member)
    }

    fn vouched(&self, name: &TopologyName, topology: &Topology, vouch: &Vouch) -> Vouched {
        let link = topology
            .spec
            .connector
            .map(|id| self.connectors.get(&id).and_then(|connector| connector.links.get(vouch.node.name())));
        let (state, since, link_reason) = match link {
            None => (LinkState::None, vouch.since, None),
            Some(None) => (LinkState::Down, vouch.since, None),
            Some(Some(link)) => (link.shown(), link.since, link.reason.clone()),
        };
        let doubt = if vouch.stale {
            Some("its topology has not heard of it for its time to live; it stays while its link is up")
        } else {
            match vouch.absent.as_ref().map(|absence| absence.hold) {
                None => None,
                Some(None) => Some("its source does not name it; that does not count yet"),
                Some(Some(_)) => Some("its source let it go; the prune policy holds it back"),
            }
        };
        Vouched {
            name: name.clone(),
            link: state,
            since,
            reason: link_reason.or_else(|| doubt.map(Into::into)),
        }
    }

    // === topologies ===

    /// Shows a topology as it is now, with an event if its health changed.
    pub(super) fn publish_status(&mut self, name: &TopologyName, now: Now) {
        let Some(topology) = self.topologies.get(name) else {
            self.statuses.remove(name);
            return;
        };
        let held = |name: &&NodeName| {
            topology
                .vouches
                .get(*name)
                .and_then(|vouch| vouch.absent.as_ref())
                .is_some_and(|a| a.hold.is_some())
        };
        let held: Vec<_> = topology.absent.iter().filter(held).take(NAMES_SHOWN_MAX).cloned().collect();
        let (health, reason) = self.health(topology, &held);
        let old = self.statuses.get(name);
        let same_health = old.filter(|old| old.health == health);
        let since = same_health.map_or(now.wall, |old| old.since);
        let changed = same_health.is_none_or(|old| old.reason != reason || old.held != held);
        if changed {
            let unclaimed = old.map(|old| old.unclaimed.clone()).unwrap_or_default();
            let status = TopologyStatus { health, reason: reason.clone(), since, held, unclaimed };
            self.statuses.insert(name.clone(), Arc::new(status));
            self.revision = self.revision.saturating_add(1);
            self.events.push(Event {
                revision: self.revision,
                kind: EventKind::TopologyChanged,
                node: None,
                member: None,
                topology: Some(name.clone()),
                reason,
                at: now.wall,
            });
        }
    }

    fn health(&self, topology: &Topology, held: &[NodeName]) -> (Health, Option<Arc<str>>) {
        let (health, reason) = topology.health.clone();
        if !matches!(health, Health::Starting | Health::Running) {
            return (health, reason);
        }
        let connector = topology.spec.connector.and_then(|id| self.connectors.get(&id));
        let unavailable = connector.and_then(|c| {
            let reason = c.unavailable.as_ref()?;
            Some(format!("connector {}: {reason}; nothing is dialled until it is available", c.spec.name))
        });
        if let Some(refusal) = &topology.refusal {
            (Health::Degraded, Some(Arc::clone(refusal)))
        } else if let Some(unavailable) = unavailable {
            (Health::Degraded, Some(unavailable.into()))
        } else if held.is_empty() {
            (health, reason)
        } else {
            let reason = "members that its source let go are held back by the prune policy: too many at once";
            (Health::Degraded, Some(reason.into()))
        }
    }

    /// Lists the links of a connector that nobody vouches for with its topologies. No event: they are no members.
    pub(super) fn publish_unclaimed(&mut self, id: super::ConnectorId) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.unclaimed_changed = false;
        let unclaimed: Vec<_> = connector.unclaimed().take(NAMES_SHOWN_MAX).cloned().collect();
        for (name, topology) in &self.topologies {
            if topology.spec.connector == Some(id)
                && let Some(status) = self.statuses.get_mut(name)
            {
                Arc::make_mut(status).unclaimed.clone_from(&unclaimed);
            }
        }
    }

    // === explanations ===

    /// Everything that is known of a name. `None` where that is nothing.
    #[must_use]
    pub fn explain(&self, name: &NodeName, now: Now) -> Option<Explanation> {
        let wall = |instant: Instant| now.wall + instant.saturating_duration_since(now.instant);
        let vouches = self.topologies.iter().filter_map(|(topology_name, topology)| {
            let vouch = topology.vouches.get(name)?;
            let absence = vouch.absent.as_ref();
            Some(VouchExplained {
                topology: topology_name.clone(),
                node: vouch.node.clone(),
                since: vouch.since,
                renewed: topology.renewed(vouch).wall,
                expires: topology.expiry(vouch).map(wall),
                stale: vouch.stale,
                absent_rounds: absence.map_or(0, |absence| absence.rounds),
                held_until: match absence.and_then(|absence| absence.hold) {
                    Some(Hold { until: Some(until) }) => Some(wall(until)),
                    _ => None,
                },
            })
        });
        let links = self.connectors.values().filter_map(|connector| {
            let link = connector.links.get(name)?;
            Some(LinkExplained {
                connector: Arc::clone(&connector.spec.name),
                state: link.shown(),
                since: link.since,
                failures: link.failures,
                attempts: link.attempts.iter().cloned().collect(),
                next_attempt: match link.phase {
                    Phase::Waiting { due: Some(due) } => Some(wall(due)),
                    _ => None,
                },
            })
        });
        let dead = self.topologies.iter().filter_map(|(topology_name, topology)| {
            Some((topology_name.clone(), topology.dead(name.as_str())?))
        });
        let explanation = Explanation {
            name: name.clone(),
            member: self.members.get(name).cloned(),
            vouches: vouches.collect(),
            links: links.collect(),
            dead: dead.collect(),
        };
        let known = explanation.member.is_some()
            || !(explanation.vouches.is_empty()
                && explanation.links.is_empty()
                && explanation.dead.is_empty());
        known.then_some(explanation)
    }
}

fn derive_local(local: &Node, old: Option<&Member>, wall: SystemTime) -> Member {
    Member {
        name: local.name().clone(),
        is_self: true,
        state: MemberState::Up,
        incarnation: local.incarnation(),
        addresses: local.addresses().map(str::to_owned).collect(),
        attributes: local.attribute_map(),
        topologies: Vec::new(),
        since: old.map_or(wall, |old| old.since),
        reason: None,
    }
}

// === impl Member ===

impl Member {
    /// Whether the member can be reached: it is ourselves, or a real link is up, or no topology that vouches for
    /// it has real links.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        let counts = |vouched: &Vouched| matches!(vouched.link, LinkState::Up | LinkState::Unknown);
        self.is_self
            || self.topologies.iter().any(counts)
            || self.topologies.iter().all(|vouched| vouched.link == LinkState::None)
    }
}

// === impl Vouched ===

impl Vouched {
    /// As it is shown in the moment in which the member goes.
    fn ended(&self) -> Self {
        let link = if self.link == LinkState::None { LinkState::None } else { LinkState::Down };
        Self { link, ..self.clone() }
    }
}
