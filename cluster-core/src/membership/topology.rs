//! One topology: what its source vouches for, which of it counts, and for how long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    ConnectorId,
    prune::{Guard, PrunePolicy},
    tombstones::Tombstones,
    vouch::{Absence, Hold, Lapse, Vouch, Vouches},
};
use crate::{
    member::Health,
    name::{NodeName, TopologyName},
    time::{Now, later},
    view::NodeList,
};

/// A topology as the membership needs to know it.
#[derive(Debug, Clone)]
pub struct TopologySpec {
    /// Its name.
    pub name: TopologyName,
    /// What makes its links; without one being vouched for is all.
    pub connector: Option<ConnectorId>,
    /// How members may leave.
    pub prune: PrunePolicy,
    /// A report that would make more members is refused whole. As many again may be kept that the source let
    /// go and that the prune policy does not let go yet.
    pub members_max: usize,
}

#[derive(Debug)]
pub(super) struct Topology {
    pub(super) spec: TopologySpec,
    pub(super) vouches: Vouches,
    pub(super) tombstones: Tombstones,
    pub(super) reset: Option<LastReset>,
    /// A strategy instance begins with a `Reset`; this one has not yet.
    pub(super) awaits_reset: bool,
    /// Health by the word of the strategy and its supervisor.
    pub(super) health: (Health, Option<Arc<str>>),
    /// Why the last report was refused.
    pub(super) refusal: Option<Arc<str>>,
    guard: Guard,
    /// Since when its strategy does not run, and its clocks stand still.
    stopped_at: Option<Instant>,
}

/// The last Reset: what all the vouches that it named have in common.
#[derive(Debug)]
pub(super) struct LastReset {
    /// The list itself, as long as each node that it names is vouched for just so, or not at all: against it the
    /// next list is compared at little cost.
    pub(super) list: Option<NodeList>,
    /// The list was complete: whoever it does not name is absent already.
    pub(super) complete: bool,
    pub(super) renewed: Now,
    pub(super) expires: Option<Instant>,
    /// The expiry has been seen to.
    pub(super) expired: bool,
    /// It named nobody, and said that this is all.
    pub(super) emptied: bool,
}

/// How a source lets a node go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// It said so, when it had so many members.
    Named { of: usize },
    /// It did not name the node in its complete views.
    Absent,
}

/// What the clocks of a topology have brought about.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Vouches that ran out. They are gone, or stale because their link is up.
    pub(super) expired: Vec<NodeName>,
    /// Vouches whose hold is over. They are gone.
    pub(super) released: Vec<NodeName>,
    /// Vouches whose absence counts now, if the prune policy allows.
    pub(super) ripe: Vec<NodeName>,
}

// === impl Topology ===

impl Topology {
    pub(super) fn new(spec: TopologySpec) -> Self {
        let vouches = Vouches::new(spec.prune.after);
        Self {
            spec,
            vouches,
            tombstones: Tombstones::default(),
            reset: None,
            awaits_reset: true,
            health: (Health::Starting, None),
            refusal: None,
            guard: Guard::default(),
            stopped_at: None,
        }
    }

    /// Withdraws what the source does not vouch for any more, or holds it back.
    pub(super) fn withdraw_or_hold(&mut self, names: &[NodeName], by: Withdrawal, now: Instant) {
        let emptied = by == Withdrawal::Absent && self.reset.as_ref().is_some_and(|reset| reset.emptied);
        let policy = self.spec.prune;
        let of = match by {
            Withdrawal::Named { of } => of,
            Withdrawal::Absent => {
                let absences = names.iter().filter_map(|name| self.vouches.get(name)?.absence());
                absences.map(|absence| absence.of).max().unwrap_or_default()
            }
        };
        let present = of.min(self.vouches.len());
        if !emptied && self.guard.admits(&policy, names.len(), present, now) {
            self.guard.record(names.len(), now);
            names.iter().for_each(|name| self.drop_vouch(name));
            return;
        }
        let hold = Hold { until: (!policy.never).then(|| later(now, policy.hold)) };
        for name in names {
            self.vouches.change(name, |vouch| {
                let first = Absence { since: now, rounds: 0, of, hold: None, lapse: Lapse::Unnamed };
                vouch.absent.get_or_insert_with(|| Box::new(first)).hold.get_or_insert(hold);
            });
        }
    }

    /// Ends a vouch, whatever the policy says.
    pub(super) fn drop_vouch(&mut self, name: &NodeName) {
        let was_named = |vouch: Vouch| vouch.absent.is_none();
        if self.vouches.remove(name).is_some_and(was_named) {
            self.forget_list();
        }
    }

    /// Ends a vouch that the source does not stand by any more, and lets the name begin anew whatever its
    /// incarnation. True if there was such a vouch.
    pub(super) fn forget(&mut self, name: &NodeName) -> bool {
        if self.tombstones.forget(name) {
            self.forget_list();
        }
        let doubtful = self.vouches.get(name).is_some_and(Vouch::is_doubtful);
        if doubtful {
            self.drop_vouch(name);
        }
        doubtful
    }

    /// The next list cannot be compared with the last one: something else changed what is vouched for.
    pub(super) fn forget_list(&mut self) {
        if let Some(reset) = &mut self.reset {
            reset.list = None;
        }
    }

    /// When a vouch ends unless it is renewed.
    pub(super) fn expiry(&self, vouch: &Vouch) -> Option<Instant> {
        self.reset_of(vouch).map_or(vouch.expires, |reset| reset.expires)
    }

    /// When a vouch was last renewed.
    pub(super) fn renewed(&self, vouch: &Vouch) -> Now {
        self.reset_of(vouch).map_or(vouch.renewed, |reset| reset.renewed)
    }

    fn reset_of(&self, vouch: &Vouch) -> Option<&LastReset> {
        self.reset.as_ref().filter(|_| vouch.by_reset)
    }

    /// The last Reset's clock does not hold for a vouch any more: it gets one of its own that shows the same.
    pub(super) fn own_clock(&mut self, name: &NodeName) {
        if let Some(reset) = &self.reset {
            let (renewed, expires) = (reset.renewed, reset.expires);
            self.vouches.change(name, |vouch| {
                if std::mem::take(&mut vouch.by_reset) {
                    (vouch.renewed, vouch.expires) = (renewed, expires);
                }
            });
        }
    }

    /// When something is next due. Nothing is while the strategy does not run.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.stopped_at.is_some() {
            return None;
        }
        let reset = self.reset.as_ref().filter(|reset| !reset.expired);
        let reset = reset.and_then(|reset| reset.expires);
        self.vouches.next_deadline().into_iter().chain(reset).min()
    }

    /// Does what is due. A vouch that has run out stays as stale while its link is up.
    pub(super) fn handle_due(&mut self, now: Instant, is_linked: impl Fn(&NodeName) -> bool) -> Due {
        let mut due = Due::default();
        if self.stopped_at.is_some() {
            return due;
        }
        self.handle_reset_due(now);
        while let Some(name) = self.vouches.pop_deadline(now) {
            let Some(vouch) = self.vouches.get(&name) else {
                continue;
            };
            let expires = vouch.expires.filter(|_| !vouch.stale && !vouch.by_reset);
            if expires.is_some_and(|at| at <= now) {
                if is_linked(&name) {
                    self.vouches.change(&name, |vouch| vouch.stale = true);
                } else {
                    self.drop_vouch(&name);
                }
                due.expired.push(name);
                continue;
            }
            match vouch.absence() {
                Some(Absence { hold: Some(hold), .. }) if hold.until.is_some_and(|until| until <= now) => {
                    self.drop_vouch(&name);
                    due.released.push(name);
                }
                // The source is silent since the restart; what it named before is there.
                Some(absence)
                    if absence.lapse == Lapse::Remembered
                        && absence.hold.is_none()
                        && absence.ripe_at(self.spec.prune.after) <= now
                        && is_linked(&name) =>
                {
                    self.vouches.change(&name, |vouch| {
                        vouch.stale = true;
                        vouch.absent = None;
                    });
                    due.expired.push(name);
                }
                // Whoever withdraws or holds it arms it again.
                Some(absence) if absence.hold.is_none() && absence.ripe_at(self.spec.prune.after) <= now => {
                    due.ripe.push(name);
                }
                _ => drop(self.vouches.change(&name, |_| ())),
            }
        }
        due
    }

    /// When the last Reset has run out, each vouch that it named is due by a clock of its own.
    fn handle_reset_due(&mut self, now: Instant) {
        let overdue = |reset: &&mut LastReset| !reset.expired && reset.expires.is_some_and(|at| at <= now);
        let Some(reset) = self.reset.as_mut().filter(overdue) else {
            return;
        };
        reset.expired = true;
        reset.list = None;
        let named = self.vouches.iter().filter(|(_, vouch)| vouch.by_reset);
        let named: Vec<_> = named.map(|(name, _)| name.clone()).collect();
        for name in &named {
            self.own_clock(name);
        }
    }

    /// Is held by another policy, or linked by another connector, from now on.
    pub(super) fn change(&mut self, spec: TopologySpec) {
        self.vouches.set_after(spec.prune.after);
        self.spec = spec;
    }

    /// Another source takes the place of this one: what was vouched for stays until that has spoken. Which
    /// incarnations are dead is one source's word alone.
    pub(super) fn supersede(&mut self, now: Instant) {
        let of = self.vouches.len();
        let absence = Absence { since: now, rounds: 0, of, hold: None, lapse: Lapse::Superseded };
        self.vouches.change_all(|vouch| {
            vouch.absent.get_or_insert_with(|| Box::new(absence)).lapse = Lapse::Superseded;
        });
        self.tombstones = Tombstones::default();
        self.forget_list();
        self.awaits_reset = true;
    }

    /// Ends what only the source before this one vouched for, now that this one has named whom it knows.
    pub(super) fn end_superseded(&mut self) -> Vec<NodeName> {
        let is_superseded = |name: &&NodeName| {
            let absence = self.vouches.get(name).and_then(Vouch::absence);
            absence.is_some_and(|absence| absence.lapse == Lapse::Superseded)
        };
        let names: Vec<_> = self.vouches.absent().iter().filter(is_superseded).cloned().collect();
        names.iter().for_each(|name| self.drop_vouch(name));
        names
    }

    /// The strategy does not run any more.
    pub(super) fn pause(&mut self, now: Instant) {
        self.stopped_at.get_or_insert(now);
    }

    /// The strategy runs (again): each vouch has its full time to live once more, other clocks go on where they
    /// stood.
    pub(super) fn resume(&mut self, now: Now) {
        self.awaits_reset = true;
        let Some(stopped_at) = self.stopped_at.take() else {
            return;
        };
        let pause = now.instant.saturating_duration_since(stopped_at);
        let again = |renewed: Now, expires: Instant| now.instant + ttl(renewed, expires);
        if let Some(reset) = &mut self.reset {
            reset.list = None;
            reset.expires = reset.expires.map(|expires| again(reset.renewed, expires));
            reset.expired = false;
            reset.renewed = now;
        }
        self.vouches.change_all(|vouch| {
            vouch.expires = vouch.expires.map(|expires| again(vouch.renewed, expires));
            vouch.renewed = now;
            if let Some(absence) = &mut vouch.absent {
                absence.since += pause;
                if let Some(Hold { until: Some(until) }) = &mut absence.hold {
                    *until += pause;
                }
            }
        });
    }
}

fn ttl(renewed: Now, expires: Instant) -> Duration {
    expires.saturating_duration_since(renewed.instant)
}
