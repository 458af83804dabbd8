//! One topology: what its source vouches for, and which of it counts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    ConnectorId,
    prune::{Guard, PrunePolicy},
};
use crate::{
    member::Health,
    name::{NodeName, TopologyName},
    node::{Node, NodeError},
    time::Now,
    view::{Changes, Completeness, NodeList, View},
};

/// Dead incarnations that a topology remembers at most; the oldest is forgotten first.
pub const TOMBSTONES_MAX: usize = 10_000;

/// A topology as the membership needs to know it.
#[derive(Debug, Clone)]
pub struct TopologySpec {
    /// Its name.
    pub name: TopologyName,
    /// What makes its links; without one being vouched for is all.
    pub connector: Option<ConnectorId>,
    /// How members may leave.
    pub prune: PrunePolicy,
    /// A report that would make more members is refused whole.
    pub members_max: usize,
}

/// Why a report was not taken. The membership is unchanged and the topology is degraded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportRefused {
    /// No topology of this name. (programmer)
    #[error("bug: no topology {0}")]
    UnknownTopology(TopologyName),
    /// More nodes than the topology may have. (operator: raise `members_max`, or mend the source)
    #[error("report of {named} nodes: the topology's members_max is {max}")]
    TooMany {
        /// Nodes there would be.
        named: usize,
        /// The limit.
        max: usize,
    },
    /// A record is not valid. (the strategy's author)
    #[error("report refused: {0}")]
    Invalid(#[from] NodeError),
    /// A new strategy instance must begin with a `Reset`. (the strategy's author)
    #[error("report refused: changes came before the first whole view of this strategy instance")]
    ApplyBeforeReset,
}

/// The word of a source for one node.
#[derive(Debug)]
pub(super) struct Vouch {
    pub(super) node: Node,
    pub(super) since: SystemTime,
    pub(super) renewed: Now,
    pub(super) expires: Option<Instant>,
    /// Named by the last Reset, so that the Reset's expiry holds for it too.
    pub(super) in_reset: bool,
    /// Expired, and kept only because the link is up.
    pub(super) stale: bool,
    pub(super) absent: Option<Absence>,
    /// When its timer fires; it may fire too early, never too late.
    pub(super) armed: Option<Instant>,
}

/// A vouch whose node its source does not name any more.
#[derive(Debug)]
pub(super) struct Absence {
    pub(super) since: Instant,
    pub(super) rounds: u32,
    pub(super) hold: Option<Hold>,
}

/// How a source lets a node go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// It said so.
    Named,
    /// It did not name the node in its complete views.
    Absent,
}

/// A withdrawal held back by the prune policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) until: Option<Instant>,
}

/// The last Reset: what all the vouches that it named have in common.
#[derive(Debug)]
struct LastReset {
    /// The list itself, while nothing else changed the vouches, to recognise the same list at once.
    list: Option<NodeList>,
    renewed: Now,
    expires: Option<Instant>,
    emptied: bool,
}

#[derive(Debug)]
pub(super) struct Topology {
    pub(super) spec: TopologySpec,
    pub(super) vouches: BTreeMap<NodeName, Vouch>,
    pub(super) absent: BTreeSet<NodeName>,
    pub(super) guard: Guard,
    /// Its strategy runs, and so do its clocks.
    pub(super) stopped_at: Option<Instant>,
    pub(super) awaits_reset: bool,
    /// Health by the word of the strategy and its supervisor.
    pub(super) health: (Health, Option<Arc<str>>),
    /// Why the last report was refused.
    pub(super) refusal: Option<Arc<str>>,
    reset: Option<LastReset>,
    dead: BTreeMap<NodeName, u64>,
    dead_order: VecDeque<NodeName>,
}

/// What a report does, worked out before anything is changed.
#[derive(Debug, Default)]
struct Diff {
    added: Vec<Node>,
    renewed: Vec<NodeName>,
    absent: Vec<NodeName>,
}

// === impl Topology ===

impl Topology {
    pub(super) fn new(spec: TopologySpec) -> Self {
        Self {
            spec,
            vouches: BTreeMap::new(),
            absent: BTreeSet::new(),
            guard: Guard::default(),
            stopped_at: None,
            awaits_reset: true,
            health: (Health::Starting, None),
            refusal: None,
            reset: None,
            dead: BTreeMap::new(),
            dead_order: VecDeque::new(),
        }
    }

    /// Takes a whole view. Gives the names whose vouches changed, and those whose absence has become ripe.
    pub(super) fn reset(
        &mut self,
        view: View,
        local: Option<&NodeName>,
        now: Now,
    ) -> Result<(Vec<NodeName>, Vec<NodeName>), ReportRefused> {
        let View { completeness, ttl, nodes } = view;
        let complete = completeness == Completeness::Complete;
        let same = self.reset.as_ref().is_some_and(|reset| reset.list.as_ref() == Some(&nodes));
        let diff = if same { Diff::default() } else { self.diff(&nodes, local)? };
        let total = self.vouches.len().saturating_add(diff.added.len());
        if total.saturating_sub(diff.absent.len()) > self.spec.members_max
            || nodes.len() > self.spec.members_max
        {
            return Err(ReportRefused::TooMany {
                named: nodes.len().max(total.saturating_sub(diff.absent.len())),
                max: self.spec.members_max,
            });
        }
        self.awaits_reset = false;
        let mut touched = Vec::new();
        let renewal = Renewal { now, ttl, in_reset: true };
        for name in &diff.renewed {
            touched.extend(self.renew(name, renewal));
        }
        for node in diff.added {
            touched.extend(self.upsert(node, renewal));
        }
        for name in diff.absent {
            if let Some(vouch) = self.vouches.get_mut(&name) {
                vouch.in_reset = false;
                if complete && vouch.absent.is_none() {
                    vouch.absent = Some(Absence { since: now.instant, rounds: 0, hold: None });
                    self.absent.insert(name.clone());
                    touched.push(name);
                }
            }
        }
        let emptied = complete && nodes.is_empty();
        let expires = ttl.map(|ttl| now.instant + ttl);
        self.reset = Some(LastReset { list: Some(nodes), renewed: now, expires, emptied });
        let ripe = if complete { self.count_round() } else { Vec::new() };
        Ok((touched, ripe))
    }

    /// Takes single changes. Gives the names whose vouches changed, and those that the source named as gone.
    pub(super) fn apply(
        &mut self,
        changes: &Changes,
        local: Option<&NodeName>,
        now: Now,
    ) -> Result<(Vec<NodeName>, Vec<NodeName>), ReportRefused> {
        if self.awaits_reset {
            return Err(ReportRefused::ApplyBeforeReset);
        }
        let upserts = changes.upserts.iter().map(|record| record.to_node()).collect::<Result<Vec<_>, _>>()?;
        let removals =
            changes.removals.iter().map(|record| record.to_node()).collect::<Result<Vec<_>, _>>()?;
        let added = upserts.iter().filter(|node| !self.vouches.contains_key(node.name())).count();
        let total = self.vouches.len().saturating_add(added);
        if added > 0 && total > self.spec.members_max {
            return Err(ReportRefused::TooMany { named: total, max: self.spec.members_max });
        }
        self.forget_list();
        let mut gone = Vec::new();
        for node in removals {
            gone.extend(self.bury(&node));
        }
        let renewal = Renewal { now, ttl: changes.ttl, in_reset: false };
        let upserts = upserts.into_iter().filter(|node| Some(node.name()) != local && !self.is_dead(node));
        let upserts = upserts.collect::<Vec<_>>();
        let touched = upserts.into_iter().filter_map(|node| self.upsert(node, renewal)).collect();
        Ok((touched, gone))
    }

    /// Compares a list with the vouches, both in the order of names.
    fn diff(&self, nodes: &NodeList, local: Option<&NodeName>) -> Result<Diff, NodeError> {
        let mut diff = Diff::default();
        let mut known = self.vouches.iter().peekable();
        for record in nodes.iter() {
            while let Some((name, _)) = known.next_if(|(name, _)| name.as_str().as_bytes() < record.name) {
                diff.absent.push(name.clone());
            }
            let same = known.next_if(|(name, _)| name.as_str().as_bytes() == record.name);
            match same {
                Some((_, vouch)) if record.is(&vouch.node) => {
                    if !vouch.in_reset || vouch.absent.is_some() || vouch.stale {
                        diff.renewed.push(vouch.node.name().clone());
                    }
                }
                _ => {
                    let node = record.to_node()?;
                    if Some(node.name()) == local {
                        continue;
                    }
                    match same {
                        _ if !self.is_dead(&node) => diff.added.push(node),
                        // The list is behind: the node is there, but as an incarnation known to be over.
                        Some((name, vouch)) if vouch.node.incarnation() > node.incarnation() => {
                            diff.renewed.push(name.clone());
                        }
                        Some((name, _)) => diff.absent.push(name.clone()),
                        None => {}
                    }
                }
            }
        }
        diff.absent.extend(known.map(|(name, _)| name.clone()));
        Ok(diff)
    }

    /// Whether the source has buried this incarnation, or already speaks of a later one.
    fn is_dead(&self, node: &Node) -> bool {
        let Some(incarnation) = node.incarnation() else {
            return false;
        };
        self.dead.get(node.name()).is_some_and(|dead| incarnation <= *dead)
            || self
                .vouches
                .get(node.name())
                .and_then(|vouch| vouch.node.incarnation())
                .is_some_and(|now| incarnation < now)
    }

    /// Notes what the source named as gone. Gives the name if that ends a vouch.
    fn bury(&mut self, node: &Node) -> Option<NodeName> {
        let current = self.vouches.get(node.name()).map(|vouch| vouch.node.incarnation());
        if let Some(incarnation) = node.incarnation() {
            let dead = self.dead.entry(node.name().clone()).or_insert_with(|| {
                self.dead_order.push_back(node.name().clone());
                0
            });
            *dead = incarnation.max(*dead);
            if self.dead.len() > TOMBSTONES_MAX
                && let Some(oldest) = self.dead_order.pop_front()
            {
                self.dead.remove(&oldest);
            }
            if current?.is_some_and(|current| current > incarnation) {
                return None;
            }
        }
        current.map(|_| node.name().clone())
    }

    /// Vouches for a node. Gives its name if anything that can be seen changed.
    fn upsert(&mut self, node: Node, renewal: Renewal) -> Option<NodeName> {
        let Renewal { now, ttl, in_reset } = renewal;
        let expires = ttl.map(|ttl| now.instant + ttl);
        let name = node.name().clone();
        let Some(vouch) = self.vouches.get_mut(&name) else {
            let (since, renewed) = (now.wall, now);
            let vouch =
                Vouch { node, since, renewed, expires, in_reset, stale: false, absent: None, armed: None };
            self.vouches.insert(name.clone(), vouch);
            return Some(name);
        };
        let changed = vouch.node != node;
        if changed {
            vouch.node = node;
        }
        let renewed = self.renew(&name, renewal);
        renewed.or_else(|| changed.then_some(name))
    }

    /// Renews a vouch as it is. Gives its name if anything that can be seen changed.
    fn renew(&mut self, name: &NodeName, renewal: Renewal) -> Option<NodeName> {
        let vouch = self.vouches.get_mut(name)?;
        vouch.renewed = renewal.now;
        vouch.expires = renewal.ttl.map(|ttl| renewal.now.instant + ttl);
        vouch.in_reset |= renewal.in_reset;
        let was_doubtful = vouch.stale || vouch.absent.is_some();
        vouch.stale = false;
        if vouch.absent.take().is_some() {
            self.absent.remove(name);
        }
        was_doubtful.then(|| name.clone())
    }

    /// One more complete view without the absent ones. Gives those whose time has come.
    fn count_round(&mut self) -> Vec<NodeName> {
        let mut ripe = Vec::new();
        for name in &self.absent {
            if let Some(absence) = self.vouches.get_mut(name).and_then(|vouch| vouch.absent.as_mut()) {
                absence.rounds = absence.rounds.saturating_add(1);
                if absence.hold.is_none() && absence.rounds >= self.spec.prune.rounds {
                    ripe.push(name.clone());
                }
            }
        }
        ripe
    }

    /// Withdraws what the source does not vouch for any more, or holds it back. Gives the names either way.
    pub(super) fn withdraw_or_hold(
        &mut self,
        names: Vec<NodeName>,
        by: Withdrawal,
        now: Now,
    ) -> Vec<NodeName> {
        let emptied = by == Withdrawal::Absent && self.reset.as_ref().is_some_and(|reset| reset.emptied);
        let policy = self.spec.prune;
        if !emptied && self.guard.admits(&policy, names.len(), self.vouches.len(), now.instant) {
            return self.withdraw(names, now);
        }
        let hold = Hold { until: (!policy.never).then(|| now.instant + policy.hold) };
        for name in &names {
            if let Some(vouch) = self.vouches.get_mut(name) {
                let absence =
                    vouch.absent.get_or_insert(Absence { since: now.instant, rounds: 0, hold: Some(hold) });
                absence.hold.get_or_insert(hold);
                self.absent.insert(name.clone());
            }
        }
        names
    }

    /// Withdraws vouches, whatever the policy says.
    pub(super) fn withdraw(&mut self, names: Vec<NodeName>, now: Now) -> Vec<NodeName> {
        self.guard.record(names.len(), now.instant);
        self.drop_vouches(&names);
        names
    }

    /// Ends vouches without counting them as withdrawn by the source.
    pub(super) fn drop_vouches(&mut self, names: &[NodeName]) {
        self.forget_list();
        for name in names {
            self.vouches.remove(name);
            self.absent.remove(name);
        }
    }

    /// The same list coming again would now be a change.
    fn forget_list(&mut self) {
        if let Some(reset) = &mut self.reset {
            reset.list = None;
        }
    }

    /// When a vouch ends unless it is renewed.
    pub(super) fn expiry(&self, vouch: &Vouch) -> Option<Instant> {
        self.governing_reset(vouch).map_or(vouch.expires, |reset| reset.expires)
    }

    /// When a vouch was last renewed.
    pub(super) fn renewed(&self, vouch: &Vouch) -> Now {
        self.governing_reset(vouch).map_or(vouch.renewed, |reset| reset.renewed)
    }

    fn governing_reset(&self, vouch: &Vouch) -> Option<&LastReset> {
        self.reset.as_ref().filter(|reset| vouch.in_reset && reset.renewed.instant >= vouch.renewed.instant)
    }

    /// When the vouches of the last Reset end all together.
    pub(super) fn reset_expiry(&self) -> Option<Instant> {
        self.reset.as_ref().and_then(|reset| reset.expires)
    }

    /// When something is next due for a vouch: its expiry, the ripeness of its absence, the end of its hold.
    pub(super) fn vouch_due(&self, vouch: &Vouch) -> Option<Instant> {
        let absence = vouch.absent.as_ref().and_then(|absence| match absence.hold {
            Some(hold) => hold.until,
            None => Some(absence.since + self.spec.prune.after),
        });
        let expiry = if vouch.stale { None } else { self.expiry(vouch) };
        absence.into_iter().chain(expiry).min()
    }

    /// The dead incarnation of a name.
    pub(super) fn dead(&self, name: &str) -> Option<u64> {
        self.dead.get(name).copied()
    }

    /// The strategy runs (again): every clock begins anew or goes on where it stood.
    pub(super) fn resume(&mut self, now: Now) {
        self.awaits_reset = true;
        let Some(stopped_at) = self.stopped_at.take() else {
            return;
        };
        let pause = now.instant.saturating_duration_since(stopped_at);
        let resumed =
            |old: Now, expires: Instant| now.instant + expires.saturating_duration_since(old.instant);
        let reset_renewed = self.reset.as_ref().map(|reset| reset.renewed.instant);
        if let Some(reset) = &mut self.reset {
            reset.list = None;
            reset.expires = reset.expires.map(|expires| resumed(reset.renewed, expires));
            reset.renewed = now;
        }
        for vouch in self.vouches.values_mut() {
            // What was renewed after the Reset keeps its own expiry.
            vouch.in_reset &= reset_renewed.is_some_and(|renewed| renewed >= vouch.renewed.instant);
            vouch.expires = vouch.expires.map(|expires| resumed(vouch.renewed, expires));
            vouch.renewed = now;
            if let Some(absence) = &mut vouch.absent {
                absence.since += pause;
                if let Some(Hold { until: Some(until) }) = &mut absence.hold {
                    *until += pause;
                }
            }
        }
    }
}

/// When and for how long a vouch is renewed, and by what.
#[derive(Debug, Clone, Copy)]
struct Renewal {
    now: Now,
    ttl: Option<Duration>,
    in_reset: bool,
}
