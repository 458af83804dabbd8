//! The words of one source for its nodes, and their clocks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime},
};

use super::recall::REMEMBERED_MAX;
use crate::{
    name::NodeName,
    node::Node,
    time::{Now, later},
};

/// The word of a source for one node.
#[derive(Debug)]
pub(super) struct Vouch {
    pub(super) node: Node,
    pub(super) since: SystemTime,
    pub(super) renewed: Now,
    pub(super) expires: Option<Instant>,
    /// Last renewed by the last Reset, whose clock holds for it instead of its own.
    pub(super) by_reset: bool,
    /// Expired, and kept only because the link is up.
    pub(super) stale: bool,
    /// Rare, and larger than the rest of what a vouch has of its own.
    pub(super) absent: Option<Box<Absence>>,
    /// Where it stands in [`Vouches::deadlines`]: never too late, but maybe too early.
    armed: Option<Instant>,
}

/// A node that its source let go, and whose vouch is kept for now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    pub(super) since: Instant,
    /// Complete views in a row that did not name it.
    pub(super) rounds: u32,
    /// Members that the topology had when the source let it go: whom it names instead does not dilute the loss.
    pub(super) of: usize,
    pub(super) hold: Option<Hold>,
    pub(super) lapse: Lapse,
}

/// Why the word of a source for a node is not its own any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lapse {
    /// It does not name the node.
    Unnamed,
    /// Another source has taken the place of the one that named the node, and has not spoken yet.
    Superseded,
    /// It named the node before the host was restarted, and has not spoken yet.
    Remembered,
}

/// How long the word of a source that was superseded counts, if the one after it says nothing.
pub const SUPERSEDED_MAX: Duration = Duration::from_secs(60);

/// A withdrawal held back by the prune policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    /// For ever where absent.
    pub(super) until: Option<Instant>,
}

/// When and for how long a vouch is renewed, and by what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewal {
    pub(super) now: Now,
    pub(super) ttl: Option<Duration>,
    pub(super) by_reset: bool,
}

/// All vouches of a topology. What is absent, held or has a clock of its own is also found without looking at
/// the others; so every change of a vouch goes through [`Vouches::change`].
#[derive(Debug, Default)]
pub(super) struct Vouches {
    by_name: BTreeMap<NodeName, Vouch>,
    absent: BTreeSet<NodeName>,
    held: BTreeSet<NodeName>,
    remembered: BTreeSet<NodeName>,
    deadlines: BTreeSet<(Instant, NodeName)>,
    /// Absence counts after so long.
    after: Duration,
}

// === impl Vouch ===

impl Vouch {
    fn new(node: Node, renewal: Renewal) -> Self {
        Self {
            node,
            since: renewal.now.wall,
            renewed: renewal.now,
            expires: renewal.expires(),
            by_reset: renewal.by_reset,
            stale: false,
            absent: None,
            armed: None,
        }
    }

    /// Whether its source does not stand by it any more.
    pub(super) fn is_doubtful(&self) -> bool {
        self.stale || self.absent.is_some()
    }

    /// Since when and how the source does not name the node any more.
    pub(super) fn absence(&self) -> Option<Absence> {
        self.absent.as_deref().copied()
    }

    /// Whether it is of before the restart of the host, and was not renewed since. Then its incarnation may be another
    /// source's word.
    pub(super) fn is_remembered(&self) -> bool {
        self.absence().is_some_and(|absence| absence.lapse == Lapse::Remembered)
    }

    pub(super) fn is_held(&self) -> bool {
        self.absence().is_some_and(|absence| absence.hold.is_some())
    }

    /// Renews the word; true if that ends a doubt.
    pub(super) fn renew(&mut self, renewal: Renewal) -> bool {
        self.renewed = renewal.now;
        self.expires = renewal.expires();
        self.by_reset = renewal.by_reset;
        let was_doubtful = self.is_doubtful();
        self.stale = false;
        self.absent = None;
        was_doubtful
    }

    /// When something is next due by its own clocks: its expiry, the ripeness of its absence, the end of its hold.
    fn due(&self, after: Duration) -> Option<Instant> {
        let absence = self.absence().and_then(|absence| match absence.hold {
            Some(hold) => hold.until,
            None => Some(absence.ripe_at(after)),
        });
        let expiry = self.expires.filter(|_| !self.stale && !self.by_reset);
        absence.into_iter().chain(expiry).min()
    }
}

// === impl Absence ===

impl Absence {
    /// When it counts without another view.
    pub(super) fn ripe_at(self, after: Duration) -> Instant {
        let wait = match self.lapse {
            Lapse::Unnamed => after,
            Lapse::Superseded => SUPERSEDED_MAX,
            Lapse::Remembered => REMEMBERED_MAX,
        };
        later(self.since, wait)
    }
}

// === impl Renewal ===

impl Renewal {
    pub(super) fn expires(&self) -> Option<Instant> {
        self.ttl.map(|ttl| later(self.now.instant, ttl))
    }
}

// === impl Vouches ===

impl Vouches {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, ..Self::default() }
    }

    pub(super) fn get(&self, name: &NodeName) -> Option<&Vouch> {
        self.by_name.get(name)
    }

    /// A vouch by the bytes of its node's name.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Vouch> {
        self.by_name.get(str::from_utf8(name).ok()?)
    }

    pub(super) fn contains(&self, name: &NodeName) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// In the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeName, &Vouch)> {
        self.by_name.iter()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.by_name.keys()
    }

    /// Those that the source let go.
    pub(super) fn absent(&self) -> &BTreeSet<NodeName> {
        &self.absent
    }

    /// Those of the absent whose withdrawal the prune policy holds back.
    pub(super) fn held(&self) -> &BTreeSet<NodeName> {
        &self.held
    }

    /// Those of the absent that are of before the restart.
    pub(super) fn remembered(&self) -> &BTreeSet<NodeName> {
        &self.remembered
    }

    /// Takes up a vouch of before the restart.
    pub(super) fn remember(&mut self, node: Node, since: SystemTime, absence: Absence, now: Now) {
        let name = node.name().clone();
        let mut vouch = Vouch::new(node, Renewal { now, ttl: None, by_reset: false });
        vouch.since = since;
        self.by_name.insert(name.clone(), vouch);
        let of = self.by_name.len();
        self.change(&name, |vouch| vouch.absent = Some(Box::new(Absence { of, ..absence })));
    }

    /// Vouches for nodes that have no vouch yet.
    pub(super) fn extend(&mut self, nodes: Vec<Node>, renewal: Renewal) {
        let names: Vec<_> = nodes.iter().map(|node| node.name().clone()).collect();
        let vouches = nodes.into_iter().map(|node| (node.name().clone(), Vouch::new(node, renewal)));
        if names.len() >= self.by_name.len() {
            // A tree that is built at once is half the size of one that grows.
            self.by_name.append(&mut vouches.collect());
        } else {
            self.by_name.extend(vouches);
        }
        for name in &names {
            self.change(name, |_| ());
        }
    }

    pub(super) fn remove(&mut self, name: &NodeName) -> Option<Vouch> {
        let vouch = self.by_name.remove(name)?;
        self.absent.remove(name);
        self.held.remove(name);
        self.remembered.remove(name);
        if let Some(armed) = vouch.armed {
            self.deadlines.remove(&(armed, name.clone()));
        }
        Some(vouch)
    }

    /// Changes a vouch and sees to it that it is found as what it is afterwards.
    pub(super) fn change<R>(&mut self, name: &NodeName, change: impl FnOnce(&mut Vouch) -> R) -> Option<R> {
        let vouch = self.by_name.get_mut(name)?;
        let places = |vouch: &Vouch| (vouch.absent.is_some(), vouch.is_held(), vouch.is_remembered());
        let was = places(vouch);
        let result = change(vouch);
        let is = places(vouch);
        // One that is due later than it is armed for is armed again when that fires: renewing costs nothing.
        if let Some(due) = vouch.due(self.after)
            && vouch.armed.is_none_or(|armed| due < armed)
        {
            if let Some(armed) = vouch.armed.replace(due) {
                self.deadlines.remove(&(armed, name.clone()));
            }
            self.deadlines.insert((due, name.clone()));
        }
        if was != is {
            put(&mut self.absent, name, is.0);
            put(&mut self.held, name, is.1);
            put(&mut self.remembered, name, is.2);
        }
        Some(result)
    }

    /// Absence counts after so long from now on.
    pub(super) fn set_after(&mut self, after: Duration) {
        if self.after != after {
            self.after = after;
            self.change_all(|_| ());
        }
    }

    /// Changes all vouches and arms them anew.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut Vouch)) {
        self.deadlines.clear();
        let names: Vec<_> = self.by_name.keys().cloned().collect();
        for name in &names {
            self.change(name, |vouch| {
                vouch.armed = None;
                change(vouch);
            });
        }
    }

    /// The next deadline; nothing is due before it.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes the next vouch out of the deadlines, if it was armed for now. [`Vouches::change`] puts it back.
    pub(super) fn pop_deadline(&mut self, now: Instant) -> Option<NodeName> {
        self.deadlines.first().filter(|(at, _)| *at <= now)?;
        let (_, name) = self.deadlines.pop_first()?;
        if let Some(vouch) = self.by_name.get_mut(&name) {
            vouch.armed = None;
        }
        Some(name)
    }
}

fn put(set: &mut BTreeSet<NodeName>, name: &NodeName, is_in: bool) {
    if is_in {
        set.insert(name.clone());
    } else {
        set.remove(name);
    }
}
