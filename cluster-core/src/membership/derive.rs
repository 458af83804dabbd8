//! What is shown of members follows from vouches and links, and events follow from what is shown.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use super::{
    Membership,
    connector::Link,
    topology::Topology,
    vouch::{Lapse, Vouch},
};
use crate::{
    attributes::Attributes,
    event::{Event, EventKind},
    member::{LinkState, Member, MemberState, Vouched},
    name::{NodeName, TopologyName},
    node::Node,
    time::Now,
};

/// Why the word of a topology is doubtful.
const STALE: &str = "its topology has not heard of it for its time to live; it stays while its link is up";
const HELD: &str = "its source let it go; the prune policy holds it back";
const UNNAMED: &str = "its source does not name it; that does not count yet";

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

// === impl Membership ===

impl Membership {
    /// After any change about a node: its links are wanted or not, and it is shown as it is now.
    pub(super) fn settle(&mut self, node: &NodeName, cause: &Cause, now: Now) {
        self.reconcile(node, now);
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
                let discovered = Member { state: MemberState::Discovered, reason: None, ..new.clone() };
                self.emit(EventKind::NodeDiscovered, Some(discovered), told);
                if new.is_linked() {
                    self.emit(EventKind::NodeUp, Some(new), told);
                } else if new.state != MemberState::Discovered || new.reason.is_some() {
                    self.emit(EventKind::NodeUpdated, Some(new), told);
                }
            }
            (Some(old), None) => {
                if was_up {
                    let down = old.ended(cause.reason.clone(), now.wall);
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
            status: None,
            reason: cause.reason.clone().or_else(own_reason),
            member,
            at: now.wall,
        });
    }

    fn derive(&self, name: &NodeName, old: Option<&Member>, wall: SystemTime) -> Option<Member> {
        if let Some(local) = self.local.as_ref().filter(|local| local.name() == name) {
            return Some(self.derive_local(local, old, wall));
        }
        let mut member = Member {
            name: name.clone(),
            is_self: false,
            state: MemberState::Discovered,
            incarnation: None,
            addresses: Arc::default(),
            attributes: Attributes::default(),
            topologies: Arc::default(),
            since: wall,
            reason: None,
        };
        let (mut addresses, mut attributes) = (Vec::new(), BTreeMap::new());
        let mut topologies = Vec::new();
        let mut leaving = false;
        let mut was_up = old.is_some_and(|old| old.is_linked() || old.state == MemberState::Down);
        for (topology_name, topology) in &self.topologies {
            let Some(vouch) = topology.vouches.get(name) else {
                continue;
            };
            // Incarnations of different sources do not compare: as with attributes, the first that tells counts.
            member.incarnation = member.incarnation.or_else(|| vouch.node.incarnation());
            for address in vouch.node.addresses() {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            // Of one source the last word about a key counts, of several sources the first one's.
            let own: BTreeMap<_, _> = vouch.node.attributes().collect();
            for (key, value) in own {
                attributes.entry(key).or_insert(value);
            }
            leaving |= vouch.node.is_leaving();
            let link = self.link(topology, name);
            was_up |= link.is_some_and(|link| link.turned_at.is_some());
            topologies.push(vouched(topology_name, topology, vouch, link));
        }
        if topologies.is_empty() {
            return None;
        }
        member.topologies = topologies.into();
        member.addresses = addresses.into_iter().map(str::to_owned).collect();
        member.attributes = attributes.into();
        member.share(old);
        let link_reason = || member.topologies.iter().find_map(|vouched| vouched.reason.clone());
        (member.state, member.reason) = if leaving {
            (MemberState::Leaving, Some("its source says that it is leaving".into()))
        } else if member.is_linked() {
            (MemberState::Up, None)
        } else if was_up {
            (MemberState::Down, link_reason())
        } else {
            (MemberState::Discovered, link_reason())
        };
        member.since = old.filter(|old| old.state == member.state).map_or(wall, |old| old.since);
        Some(member)
    }

    fn derive_local(&self, local: &Node, old: Option<&Member>, wall: SystemTime) -> Member {
        let state = match &self.absence {
            None => MemberState::Up,
            Some(_) if old.is_some_and(|old| old.is_linked() || old.state == MemberState::Down) => {
                MemberState::Down
            }
            Some(_) => MemberState::Discovered,
        };
        Member {
            name: local.name().clone(),
            is_self: true,
            state,
            incarnation: local.incarnation(),
            addresses: local.addresses().map(str::to_owned).collect(),
            attributes: local.attributes().collect(),
            topologies: Arc::default(),
            since: old.filter(|old| old.state == state).map_or(wall, |old| old.since),
            reason: self.absence.clone(),
        }
    }

    /// The link to a node by the connector of a topology.
    pub(super) fn link(&self, topology: &Topology, node: &NodeName) -> Option<&Link> {
        self.connectors.get(&topology.spec.connector?)?.links().get(node)
    }
}

/// Whether a reason that is shown with a topology is not the link's.
pub(super) fn is_doubt(reason: &str) -> bool {
    [STALE, HELD, UNNAMED].contains(&reason)
}

fn vouched(name: &TopologyName, topology: &Topology, vouch: &Vouch, link: Option<&Link>) -> Vouched {
    let (state, since, reason) = match link {
        Some(link) => (link.shown(), link.since, link.reason.clone()),
        None if topology.spec.connector.is_some() => (LinkState::Down, vouch.since, None),
        None => (LinkState::None, vouch.since, None),
    };
    let doubt = if vouch.stale {
        Some(STALE)
    } else if vouch.is_held() {
        Some(HELD)
    } else if vouch.absence().is_some_and(|absence| absence.lapse == Lapse::Unnamed) {
        Some(UNNAMED)
    } else {
        None
    };
    Vouched { name: name.clone(), link: state, since, reason: reason.or_else(|| doubt.map(Into::into)) }
}

// === impl Member ===

impl Member {
    /// Has what is the same as before in common with before.
    fn share(&mut self, old: Option<&Self>) {
        let Some(old) = old else {
            return;
        };
        if self.addresses == old.addresses {
            self.addresses = Arc::clone(&old.addresses);
        }
        if self.attributes == old.attributes {
            self.attributes = old.attributes.clone();
        }
        if self.topologies == old.topologies {
            self.topologies = Arc::clone(&old.topologies);
        }
    }

    /// As it is shown in the moment in which it goes.
    fn ended(&self, reason: Option<Arc<str>>, wall: SystemTime) -> Self {
        let is_leaving = self.state == MemberState::Leaving;
        Self {
            state: if is_leaving { self.state } else { MemberState::Down },
            since: if is_leaving { self.since } else { wall },
            reason,
            topologies: self.topologies.iter().map(|vouched| vouched.ended(wall)).collect(),
            ..self.clone()
        }
    }

    /// Whether the member can be reached: a real link is up, or no topology that vouches for it has real links; of
    /// the local node, whether it takes part.
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
    /// // No topology that vouches for it has a connector.
    /// assert!(membership.snapshot().members["a@h"].is_linked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_linked(&self) -> bool {
        let counts = |vouched: &Vouched| matches!(vouched.link, LinkState::Up | LinkState::Unknown);
        if self.is_self {
            return self.state == MemberState::Up;
        }
        self.topologies.iter().any(counts)
            || self.topologies.iter().all(|vouched| vouched.link == LinkState::None)
    }
}

// === impl Vouched ===

impl Vouched {
    /// As it is shown in the moment in which the member goes.
    fn ended(&self, wall: SystemTime) -> Self {
        match self.link {
            LinkState::None | LinkState::Down => self.clone(),
            LinkState::Connecting | LinkState::Up | LinkState::Unknown => {
                Self { link: LinkState::Down, since: wall, ..self.clone() }
            }
        }
    }
}
