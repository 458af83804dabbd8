//! The membership: who should be in the cluster by whose word, and who is linked.
//!
//! ```text
//!  commands   add_topology  add_connector  strategy_started  set_health  forget …   ┐
//!  inputs     handle_report   handle_link   handle_timeout                          ├─ all with `now`
//!  outputs    take_effects (what connectors shall do)   take_events (what happened) ┘
//!  time       poll_timeout: when to call handle_timeout next
//!  getters    snapshot (cheap, never changes)   explain
//! ```
//!
//! After every command and input the owner takes effects and events, publishes the events together with
//! [`Membership::snapshot`], and hands the effects to the connectors. There is one owner and one direction: a
//! strategy's word becomes vouches, vouches become wanted links and members, and links decide which members
//! are up. Everything shown is derived from vouches and links, so nothing can disagree with them.

mod connector;
mod derive;
mod dialling;
mod diff;
pub mod explain;
mod link;
mod linking;
mod prune;
mod recall;
mod reporting;
mod status;
mod timer;
mod tombstones;
mod topology;
mod vouch;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use imbl::OrdMap;

use self::{connector::Connector, derive::Cause, topology::Topology};
pub use self::{
    diff::ReportRefused,
    link::{
        ConnectorId, ConnectorSpec, Dials, Effect, LINKS_MAX, LinkInput, OUTCOME_GRACE, OperationId, Outcome,
        UNKNOWN_MAX,
    },
    prune::{PRUNE_HELD_MIN, PRUNE_WINDOW, PrunePolicy},
    recall::REMEMBERED_MAX,
    tombstones::TOMBSTONES_MAX,
    topology::TopologySpec,
    vouch::SUPERSEDED_MAX,
};
use crate::{
    event::Event,
    member::{Health, Member, Snapshot, TopologyStatus},
    name::{NodeName, TopologyName},
    node::Node,
    time::Now,
};

/// What a membership begins with.
#[derive(Debug, Clone, Default)]
pub struct MembershipOptions {
    /// The node that the host runs beside, where there is one.
    pub local: Option<Node>,
    /// The revision of the last event before this membership's first.
    pub revision: u64,
    /// The members as they were at that revision, where they are remembered: see [`Membership::recall`].
    pub members: OrdMap<NodeName, Arc<Member>>,
    /// Seed of the jitter of retries.
    pub seed: u64,
}

/// The membership. See the module documentation for how it is driven.
///
/// ```
/// use std::time::{Instant, SystemTime};
///
/// use cluster_core::{
///     Membership, Node, Now, Report, TopologyName, View,
///     membership::{MembershipOptions, PrunePolicy, TopologySpec},
/// };
///
/// let now = Now { instant: Instant::now(), wall: SystemTime::now() };
/// let mut membership = Membership::new(MembershipOptions::default(), now);
/// let shop = TopologyName::try_new("shop")?;
/// let prune = PrunePolicy::default();
/// membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 100 }, now);
/// membership.strategy_started(&shop, now);
/// membership.handle_report(&shop, Report::Reset(View::complete([Node::try_new("a@h")?])), now)?;
///
/// assert!(membership.take_effects().is_empty(), "without a connector there is nothing to be linked");
/// let last = membership.take_events().pop().ok_or("an event")?;
/// assert_eq!(last.revision, membership.snapshot().revision);
/// assert_eq!(membership.snapshot().up().count(), 1);
/// let node = Node::try_new("a@h")?.name().clone();
/// assert_eq!(membership.explain(&node, now).ok_or("it is known")?.vouches.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// `examples/membership.rs` has it with links, retries and time.
#[derive(Debug)]
pub struct Membership {
    local: Option<Node>,
    /// Why the local node does not take part now.
    absence: Option<Arc<str>>,
    revision: u64,
    random: fastrand::Rng,
    members: OrdMap<NodeName, Arc<Member>>,
    statuses: OrdMap<TopologyName, Arc<TopologyStatus>>,
    topologies: BTreeMap<TopologyName, Topology>,
    connectors: BTreeMap<ConnectorId, Connector>,
    operations: u64,
    dials: Dials,
    effects: Vec<Effect>,
    events: Vec<Event>,
}

// === impl Membership ===

impl Membership {
    /// A membership of the local node alone.
    #[must_use]
    pub fn new(options: MembershipOptions, now: Now) -> Self {
        let MembershipOptions { local, revision, members, seed } = options;
        let mut membership = Self {
            local: None,
            absence: None,
            revision,
            random: fastrand::Rng::with_seed(seed),
            members,
            statuses: OrdMap::new(),
            topologies: BTreeMap::new(),
            connectors: BTreeMap::new(),
            operations: 0,
            dials: Dials::default(),
            effects: Vec::new(),
            events: Vec::new(),
        };
        if let Some(node) = local {
            membership.set_local(node, now);
        }
        membership
    }

    /// Sets or changes what is told of the local node. What topologies said of its name before does not count any
    /// more; a link to it is left alone.
    pub fn set_local(&mut self, node: Node, now: Now) {
        let name = node.name().clone();
        let previous = self.local.replace(node);
        for topology in self.topologies.values_mut() {
            topology.drop_vouch(&name);
        }
        for (id, connector) in &mut self.connectors {
            if let Some(operation) = connector.remove(&name) {
                let connector = *id;
                self.effects.push(Effect::Cancel { connector, operation });
            }
        }
        if let Some(previous) = previous.filter(|previous| *previous.name() != name) {
            for topology in self.topologies.values_mut() {
                topology.forget_list();
            }
            self.settle(previous.name(), &Cause::default(), now);
        }
        self.publish_member(&name, &Cause::default(), now);
        self.pump(now);
    }

    /// Sets whether the local node takes part, or why it does not. It does until something else is said; while it does
    /// not it is a member that is not up. Its links are their connectors' business.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Instant, SystemTime};
    /// # use cluster_core::{Membership, Node, Now, membership::MembershipOptions};
    /// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    /// let options = MembershipOptions { local: Some(Node::try_new("me@h")?), ..MembershipOptions::default() };
    /// let mut membership = Membership::new(options, now);
    /// assert_eq!(membership.snapshot().up().count(), 1);
    /// membership.set_presence(Err("it restarts".into()), now);
    /// let snapshot = membership.snapshot();
    /// assert_eq!((snapshot.members.len(), snapshot.up().count()), (1, 0), "it is a member all the same");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_presence(&mut self, presence: Result<(), Arc<str>>, now: Now) {
        self.absence = presence.err();
        if let Some(name) = self.local_name().cloned() {
            self.publish_member(&name, &Cause::default(), now);
        }
    }

    /// Adds a connector, not yet running: say so by [`LinkInput::Started`]. Its identity must be a new one,
    /// and topologies that use it come after it.
    pub fn add_connector(&mut self, spec: ConnectorSpec) {
        self.connectors.insert(spec.id, Connector::new(spec));
    }

    /// Changes how a connector is used: its limits, and what is known of its links. What it does is its own business.
    pub fn change_connector(&mut self, spec: ConnectorSpec) {
        if let Some(connector) = self.connectors.get_mut(&spec.id) {
            connector.spec = spec;
        }
    }

    /// Removes a connector and forgets its links, without cutting any.
    pub fn remove_connector(&mut self, id: ConnectorId, now: Now) {
        let Some(connector) = self.connectors.remove(&id) else {
            return;
        };
        let cause = Cause::link(None, &"its connector was removed".into());
        for node in connector.links().keys() {
            self.settle(node, &cause, now);
        }
        self.publish_statuses(id, now);
        self.publish_unclaimed(id);
    }

    /// Adds a topology, whose strategy is not yet running. Of two with one name the later counts.
    pub fn add_topology(&mut self, spec: TopologySpec, now: Now) {
        let name = spec.name.clone();
        self.remove_topology(&name, now);
        if let Some(connector) = spec.connector.and_then(|id| self.connectors.get_mut(&id)) {
            connector.unclaimed_changed = true;
        }
        self.topologies.insert(name.clone(), Topology::new(spec));
        self.publish_status(&name, now);
        self.pump(now);
    }

    /// Changes how a topology is held and linked; what it vouches for stays. One that is not there is added.
    pub fn change_topology(&mut self, spec: TopologySpec, now: Now) {
        let name = spec.name.clone();
        let Some(topology) = self.topologies.get_mut(&name) else {
            return self.add_topology(spec, now);
        };
        let connectors = [topology.spec.connector, spec.connector];
        topology.change(spec);
        if let [before, after] = connectors
            && before != after
        {
            for id in connectors.into_iter().flatten() {
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.unclaimed_changed = true;
                }
            }
            let names: Vec<_> = topology.vouches.names().cloned().collect();
            let cause = Cause::topology(&name, "its topology has another connector");
            for node in &names {
                self.settle(node, &cause, now);
            }
        }
        self.publish_status(&name, now);
        // By another policy something may have been due for some time.
        self.handle_timeout(now);
    }

    /// The next instance of a topology's strategy asks another source. What was vouched for stays until that has given a
    /// whole view, in which the prune policy does not hold back whom it leaves out unless it names nobody; without one,
    /// for [`SUPERSEDED_MAX`], after which the policy decides.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Instant, SystemTime};
    /// # use cluster_core::{Membership, Node, Now, Report, TopologyName, View};
    /// # use cluster_core::membership::{MembershipOptions, PrunePolicy, TopologySpec};
    /// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    /// # let mut membership = Membership::new(MembershipOptions::default(), now);
    /// # let shop = TopologyName::try_new("shop")?;
    /// # let prune = PrunePolicy::default();
    /// # membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
    /// # membership.strategy_started(&shop, now);
    /// # let node = |name| Node::try_new(name);
    /// membership.handle_report(&shop, Report::Reset(View::complete([node("a@h")?])), now)?;
    /// membership.supersede(&shop, now);
    /// membership.strategy_started(&shop, now);
    /// assert!(membership.snapshot().members.contains_key("a@h"), "the new source has said nothing yet");
    /// membership.handle_report(&shop, Report::Reset(View::complete([node("b@h")?])), now)?;
    /// assert_eq!(membership.snapshot().members.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["b@h"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn supersede(&mut self, name: &TopologyName, now: Now) {
        if let Some(topology) = self.topologies.get_mut(name) {
            topology.supersede(now.instant);
            self.publish_status(name, now);
        }
    }

    /// Removes a topology and all that it vouched for.
    pub fn remove_topology(&mut self, name: &TopologyName, now: Now) {
        let Some(topology) = self.topologies.remove(name) else {
            return;
        };
        let cause = Cause::topology(name, "the topology was removed");
        for node in topology.vouches.names() {
            self.settle(node, &cause, now);
        }
        self.publish_status(name, now);
        self.pump(now);
    }

    /// A new instance of the topology's strategy runs. It begins with a whole view.
    pub fn strategy_started(&mut self, name: &TopologyName, now: Now) {
        if let Some(topology) = self.topologies.get_mut(name) {
            topology.resume(now);
        }
    }

    /// The topology's strategy does not run: its last word stands and its clocks stop.
    pub fn strategy_stopped(&mut self, name: &TopologyName, now: Now) {
        if let Some(topology) = self.topologies.get_mut(name) {
            topology.pause(now.instant);
        }
    }

    /// Sets the health of a topology by the word of its strategy or its supervisor.
    pub fn set_health(&mut self, name: &TopologyName, health: Health, reason: Option<&str>, now: Now) {
        let Some(topology) = self.topologies.get_mut(name) else {
            return;
        };
        topology.health = (health, reason.map(Into::into));
        self.publish_status(name, now);
    }

    /// Lets a node go that its sources do not name any more, whatever the prune policy says, and forgets which of
    /// its incarnations are dead. Gives the topologies that let it go; one whose source still names the node does
    /// not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Instant, SystemTime};
    /// # use cluster_core::{Membership, Node, Now, Report, TopologyName, View};
    /// # use cluster_core::membership::{MembershipOptions, PrunePolicy, TopologySpec};
    /// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    /// # let mut membership = Membership::new(MembershipOptions::default(), now);
    /// # let shop = TopologyName::try_new("shop")?;
    /// # let prune = PrunePolicy::default();
    /// # membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
    /// # membership.strategy_started(&shop, now);
    /// # let node = |name| Node::try_new(name);
    /// let (a, b) = (node("a@h")?, node("b@h")?);
    /// membership.handle_report(&shop, Report::Reset(View::complete([a.clone(), b.clone()])), now)?;
    /// membership.handle_report(&shop, Report::Reset(View::complete([a.clone()])), now)?;
    /// assert!(membership.forget(a.name(), now).is_empty(), "its source names it");
    /// assert_eq!(membership.forget(b.name(), now), [shop]);
    /// assert_eq!(membership.snapshot().members.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget(&mut self, node: &NodeName, now: Now) -> Vec<TopologyName> {
        let mut names = Vec::new();
        for (name, topology) in &mut self.topologies {
            if topology.forget(node) {
                names.push(name.clone());
            }
        }
        for name in &names {
            self.settle(node, &Cause::topology(name, "it was forgotten by request"), now);
            self.publish_status(name, now);
        }
        self.pump(now);
        names
    }

    /// What connectors shall do, in this order.
    #[must_use]
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What happened, in this order, with consecutive revisions.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The members and the topologies as they are now; it costs the same for any number of them.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { revision: self.revision, members: self.members.clone(), topologies: self.statuses.clone() }
    }

    /// How the tries to make a link have ended so far.
    #[must_use]
    pub fn dials(&self) -> Dials {
        self.dials
    }

    /// The name of the local node.
    #[must_use]
    pub fn local_name(&self) -> Option<&NodeName> {
        self.local.as_ref().map(Node::name)
    }
}
