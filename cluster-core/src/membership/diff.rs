//! What a report changes in the vouches of its topology. All of it is worked out before anything is changed, so
//! that a report is taken whole or not at all.

use super::{
    topology::{LastReset, Topology, Withdrawal},
    vouch::{Absence, Lapse, Renewal, Vouch},
};
use crate::{
    name::{NodeName, TopologyName},
    node::{Node, NodeError, NodeRef},
    time::Now,
    view::{Changes, Completeness, NodeList, View},
};

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
    /// The source names ever new nodes faster than the prune policy lets the old ones go. (operator: mend the
    /// source, or forget nodes)
    #[error(
        "report would make {kept} nodes that are kept though the source let them go: at most members_max, {max}"
    )]
    TooManyKept {
        /// Nodes that would be kept.
        kept: usize,
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

/// What became of a report that was taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// Nodes whose vouches changed in a way that can be seen.
    pub(super) touched: Vec<NodeName>,
    /// Nodes that only the source before this one vouched for. They are gone.
    pub(super) replaced: Vec<NodeName>,
    /// Nodes to be let go, if the prune policy allows.
    pub(super) gone: Vec<NodeName>,
    pub(super) by: Withdrawal,
}

/// A report against the vouches.
#[derive(Debug, Default)]
struct Diff {
    /// Nodes that are new or told of differently.
    upserts: Vec<Node>,
    /// Nodes that are as they were, but whose vouches were in doubt or had clocks of their own.
    renewed: Vec<NodeName>,
    /// Nodes that the source vouched for and does not name now.
    unnamed: Vec<NodeName>,
    /// Of the upserts, those that nobody vouched for.
    fresh: usize,
    /// Of the upserts and the renewed, those that were absent.
    revived: usize,
    /// Of the unnamed, those that were not yet absent and will be.
    lost: usize,
}

impl Topology {
    /// Takes a whole view.
    pub(super) fn reset(
        &mut self,
        view: View,
        local: Option<&NodeName>,
        now: Now,
    ) -> Result<Taken, ReportRefused> {
        let View { completeness, ttl, nodes } = view;
        let complete = completeness == Completeness::Complete;
        let diff = self.diff(&nodes, complete, local)?;
        self.check_limit(&diff)?;
        let renewal = Renewal { now, ttl, by_reset: true };
        let mut touched = Vec::new();
        let absence = Absence {
            since: now.instant,
            rounds: 0,
            of: self.vouches.len(),
            hold: None,
            lapse: Lapse::Unnamed,
        };
        for name in diff.unnamed {
            self.own_clock(&name);
            if complete
                && self
                    .vouches
                    .get(&name)
                    .is_some_and(|vouch| vouch.absent.is_none() || vouch.is_remembered())
            {
                self.vouches.change(&name, |vouch| {
                    // What is remembered may be held already, and stays so: it may have been said to be gone.
                    let hold = vouch.absence().and_then(|absence| absence.hold);
                    vouch.absent = Some(Box::new(Absence { hold, ..absence }));
                });
                touched.push(name);
            }
        }
        touched.extend(self.renew(diff.renewed, diff.upserts, renewal));
        // A new source that names nobody may err like any other.
        let has_spoken = complete && !nodes.is_empty() && !self.spec.prune.never;
        let replaced = if has_spoken { self.end_superseded() } else { Vec::new() };
        self.awaits_reset = false;
        self.reset = Some(LastReset {
            complete,
            renewed: now,
            expires: renewal.expires(),
            expired: false,
            emptied: complete && nodes.is_empty(),
            list: Some(nodes),
        });
        let gone = if complete { self.count_round() } else { Vec::new() };
        let by = Withdrawal::Absent;
        Ok(Taken { touched, replaced, gone, by })
    }

    /// Takes single changes. Removals come first: who is named in both is there.
    pub(super) fn apply(
        &mut self,
        changes: &Changes,
        local: Option<&NodeName>,
        now: Now,
    ) -> Result<Taken, ReportRefused> {
        if self.awaits_reset {
            return Err(ReportRefused::ApplyBeforeReset);
        }
        let nodes =
            |list: &NodeList| list.iter().map(|record| record.to_node()).collect::<Result<Vec<_>, _>>();
        let (mut upserts, removals) = (nodes(&changes.upserts)?, nodes(&changes.removals)?);
        upserts.retain(|node| Some(node.name()) != local && !self.is_over(node) && !buries(&removals, node));
        let mut gone: Vec<_> = removals.iter().filter(|node| self.ends(node)).map(Node::name).collect();
        gone.retain(|name| upserts.binary_search_by(|node| node.name().cmp(name)).is_err());
        let absent = |name: &NodeName| self.vouches.get(name).is_some_and(|vouch| vouch.absent.is_some());
        let gone: Vec<_> = gone.into_iter().cloned().collect();
        self.check_limit(&Diff {
            fresh: upserts.iter().filter(|node| !self.vouches.contains(node.name())).count(),
            revived: upserts.iter().filter(|node| absent(node.name())).count(),
            lost: gone.iter().filter(|name| !absent(name)).count(),
            ..Diff::default()
        })?;
        if !(upserts.is_empty() && removals.is_empty()) {
            self.forget_list();
        }
        for node in &removals {
            if let Some(incarnation) = node.incarnation() {
                self.tombstones.bury(node.name(), incarnation);
            }
        }
        let by = Withdrawal::Named { of: self.vouches.len() };
        let renewal = Renewal { now, ttl: changes.ttl, by_reset: false };
        let touched = self.renew(Vec::new(), upserts, renewal);
        Ok(Taken { touched, replaced: Vec::new(), gone, by })
    }

    /// Compares a list with the last one, or where that is not to be had, with the vouches.
    fn diff(&self, nodes: &NodeList, complete: bool, local: Option<&NodeName>) -> Result<Diff, NodeError> {
        let mut diff = Diff::default();
        let comparable = |reset: &&LastReset| reset.complete || !complete;
        let last = self.reset.as_ref().filter(comparable).and_then(|reset| reset.list.as_ref());
        if let Some(last) = last {
            let changes = nodes.changes_since(last);
            for record in changes.named {
                self.compare(record, self.vouches.find(record.name), local, &mut diff)?;
            }
            let unnamed = changes.unnamed.into_iter().filter_map(|record| self.vouches.find(record.name));
            diff.unnamed.extend(unnamed.map(|vouch| vouch.node.name().clone()));
        } else {
            // Both are in the order of names.
            let mut known = self.vouches.iter().peekable();
            for record in nodes.iter() {
                while let Some((name, _)) = known.next_if(|(name, _)| name.as_str().as_bytes() < record.name)
                {
                    diff.unnamed.push(name.clone());
                }
                let same = known.next_if(|(name, _)| name.as_str().as_bytes() == record.name);
                self.compare(record, same.map(|(_, vouch)| vouch), local, &mut diff)?;
            }
            diff.unnamed.extend(known.map(|(name, _)| name.clone()));
        }
        let present = |name: &&NodeName| self.vouches.get(name).is_some_and(|vouch| vouch.absent.is_none());
        if complete {
            diff.lost = diff.unnamed.iter().filter(present).count();
        }
        Ok(diff)
    }

    /// Compares one record of a list with the vouch for its node.
    fn compare(
        &self,
        record: NodeRef<'_>,
        vouch: Option<&Vouch>,
        local: Option<&NodeName>,
        diff: &mut Diff,
    ) -> Result<(), NodeError> {
        let same = vouch.is_some_and(|vouch| record.is(&vouch.node));
        if same && vouch.is_some_and(|vouch| vouch.by_reset && !vouch.is_doubtful()) {
            return Ok(());
        }
        let node = match vouch {
            Some(vouch) if same => vouch.node.clone(),
            _ => record.to_node()?,
        };
        if Some(node.name()) == local {
            return Ok(());
        }
        // A list that names an incarnation before the known one is behind: the known one is there, unless it is dead.
        let behind = vouch.is_some_and(|vouch| is_behind(&node, vouch) && !self.tombstones.has(&vouch.node));
        if !behind && self.tombstones.has(&node) {
            diff.unnamed.extend(vouch.map(|vouch| vouch.node.name().clone()));
            return Ok(());
        }
        diff.fresh = diff.fresh.saturating_add(usize::from(vouch.is_none()));
        let was_absent = vouch.is_some_and(|vouch| vouch.absent.is_some());
        diff.revived = diff.revived.saturating_add(usize::from(was_absent));
        match vouch {
            Some(vouch) if same || behind => diff.renewed.push(vouch.node.name().clone()),
            _ => diff.upserts.push(node),
        }
        Ok(())
    }

    /// Refuses what would make too many. What makes none is never refused.
    fn check_limit(&self, diff: &Diff) -> Result<(), ReportRefused> {
        let max = self.spec.members_max;
        let absent = self.vouches.absent().len().saturating_add(diff.lost).saturating_sub(diff.revived);
        let named = self.vouches.len().saturating_add(diff.fresh).saturating_sub(absent);
        if diff.fresh == 0 && diff.revived == 0 {
            Ok(())
        } else if named > max {
            Err(ReportRefused::TooMany { named, max })
        } else if absent > max {
            Err(ReportRefused::TooManyKept { kept: absent, max })
        } else {
            Ok(())
        }
    }

    /// Vouches for nodes. Gives those for which that can be seen.
    fn renew(&mut self, renewed: Vec<NodeName>, upserts: Vec<Node>, renewal: Renewal) -> Vec<NodeName> {
        let mut touched = renewed;
        touched.retain(|name| self.vouches.change(name, |vouch| vouch.renew(renewal)) == Some(true));
        let is_known = |node: &Node| self.vouches.contains(node.name());
        let (known, fresh): (Vec<_>, Vec<_>) = upserts.into_iter().partition(is_known);
        touched.extend(fresh.iter().map(|node| node.name().clone()));
        self.vouches.extend(fresh, renewal);
        for node in known {
            let name = node.name().clone();
            let Some(vouch) = self.vouches.get(&name) else { continue };
            let old = &vouch.node;
            let changed = *old != node;
            // The source itself says that a later incarnation has taken over.
            if changed
                && !vouch.is_remembered()
                && is_older(old, &node)
                && let Some(over) = old.incarnation()
            {
                self.tombstones.bury(&name, over);
            }
            let was_doubtful = self.vouches.change(&name, |vouch| {
                vouch.node = node;
                vouch.renew(renewal)
            });
            if changed || was_doubtful == Some(true) {
                touched.push(name);
            }
        }
        touched
    }

    /// One more complete view without the absent ones. Gives those whose time has come.
    fn count_round(&mut self) -> Vec<NodeName> {
        let policy = self.spec.prune;
        let mut ripe: Vec<_> = self.vouches.absent().iter().cloned().collect();
        ripe.retain(|name| {
            let is_ripe = self.vouches.change(name, |vouch| {
                let Some(absence) = &mut vouch.absent else { return false };
                absence.rounds = absence.rounds.saturating_add(1);
                let counts = absence.lapse == Lapse::Superseded || absence.rounds >= policy.rounds;
                absence.hold.is_none() && counts
            });
            is_ripe == Some(true)
        });
        ripe
    }

    /// Whether the source has buried this incarnation, or already speaks of a later one.
    fn is_over(&self, node: &Node) -> bool {
        let known = self.vouches.get(node.name());
        self.tombstones.has(node) || known.is_some_and(|vouch| is_behind(node, vouch))
    }

    /// Whether a removal ends a vouch. With an incarnation it ends that one and older ones.
    fn ends(&self, removal: &Node) -> bool {
        self.vouches.get(removal.name()).is_some_and(|vouch| !is_behind(removal, vouch))
    }
}

/// Whether both tell their incarnations and the first is the older one.
fn is_older(node: &Node, than: &Node) -> bool {
    node.incarnation().is_some_and(|old| than.incarnation().is_some_and(|new| old < new))
}

/// Whether a node as its source describes it is of an older incarnation than the one that the source vouches for.
fn is_behind(node: &Node, vouch: &Vouch) -> bool {
    !vouch.is_remembered() && is_older(node, &vouch.node)
}

/// Whether one of the removals, in the order of names, buries a node as it is described.
fn buries(removals: &[Node], node: &Node) -> bool {
    let found = removals.binary_search_by(|removal| removal.name().cmp(node.name()));
    let removal = found.ok().and_then(|place| removals.get(place)).and_then(Node::incarnation);
    removal.is_some_and(|dead| node.incarnation().is_some_and(|incarnation| incarnation <= dead))
}
