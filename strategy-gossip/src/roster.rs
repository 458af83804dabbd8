//! Who has been heard, of which incarnation, and what of it is still to be reported.
//!
//! A heartbeat that says nothing new only prolongs the vouch for its node. Such refreshes are collected and
//! reported together; what is new is reported at once.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use cluster_sdk::{Changes, Node, NodeError, NodeName};

use crate::allow::Allow;

/// Names that are known at once. One more is refused until one of them has been silent for `heartbeat_timeout`:
/// strangers who make names up displace nobody who is there.
pub(crate) const MEMBERS_MAX: usize = 10_000;
/// Refreshes are reported at most this often, and eight times within `heartbeat_timeout` at least.
const REFRESH_INTERVAL_MAX: Duration = Duration::from_millis(250);
/// News is reported at once, but within this time only once: a burst of newcomers is one report.
const NEWS_INTERVAL: Duration = Duration::from_millis(5);
/// A silent name is forgotten after this time and after four times `heartbeat_timeout`. From then on a lower
/// incarnation counts again: a node whose clock was set back is not locked out for ever.
const FORGET_AFTER_MIN: Duration = Duration::from_secs(600);
/// How often at most the roster is searched for silent names to make room.
const EVICT_INTERVAL: Duration = Duration::from_secs(1);

/// What a heartbeat told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A node that was not there: it has not heard us either.
    Newcomer,
    /// Something else of a node changed.
    Change,
    /// Nothing new.
    Refresh,
    /// The incarnation is over.
    Stale,
    /// There is no room for one name more.
    Refused,
}

/// A heartbeat or goodbye of our cluster, of a name that is not ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// Who it speaks of; checked where [`Roster::knows`] does not know it.
    pub(crate) name: &'a str,
    /// The incarnation; real libcluster tells none.
    pub(crate) incarnation: Option<u64>,
    /// Flat entries.
    pub(crate) record: &'a [u8],
}

/// The names that have been heard.
#[derive(Debug)]
pub(crate) struct Roster {
    heartbeat_timeout: Duration,
    refresh_interval: Duration,
    known: HashMap<NodeName, Known>,
    /// Names that are to be reported, each once.
    pending: Vec<NodeName>,
    /// Whether one of them is news.
    is_news: bool,
    reported_at: Option<Instant>,
    evicted_at: Option<Instant>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Known {
    /// As it is reported.
    node: Node,
    /// The highest incarnation ever heard of it.
    incarnation: Option<u64>,
    /// Tells a changed record, without keeping the old one as it came.
    record_hash: u64,
    heard_at: Instant,
    /// Whether the last word was a goodbye.
    has_left: bool,
    is_pending: bool,
}

// === impl Roster ===

impl Roster {
    /// Nobody is known.
    pub(crate) fn new(heartbeat_timeout: Duration) -> Self {
        Self {
            heartbeat_timeout,
            refresh_interval: REFRESH_INTERVAL_MAX.min(heartbeat_timeout / 8),
            known: HashMap::new(),
            pending: Vec::new(),
            is_news: false,
            reported_at: None,
            evicted_at: None,
            hasher: RandomState::new(),
        }
    }

    /// Whether the name is known, and so was checked before.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// A node is alive.
    ///
    /// # Errors
    /// [`NodeError`] when the record or the name is not valid; then nothing changed.
    pub(crate) fn handle_alive(
        &mut self,
        now: Instant,
        message: Message<'_>,
        allow: &Allow,
    ) -> Result<Heard, NodeError> {
        let record_hash = self.hasher.hash_one(message.record);
        let mut incarnation = message.incarnation;
        let mut heard = Heard::Newcomer;
        if let Some(known) = self.known.get_mut(message.name) {
            let is_here =
                !known.has_left && now.saturating_duration_since(known.heard_at) <= self.heartbeat_timeout;
            match (message.incarnation, known.incarnation) {
                (Some(new), Some(old)) if new < old || (new == old && known.has_left) => {
                    return Ok(Heard::Stale);
                }
                (Some(new), old) if Some(new) != old => {}
                // A BEAM node beside a host speaks under the same name: its bare heartbeat takes nothing back.
                (None, Some(_)) if is_here => heard = Heard::Refresh,
                _ if is_here && known.record_hash == record_hash => heard = Heard::Refresh,
                _ if is_here => heard = Heard::Change,
                _ => {}
            }
            if heard == Heard::Refresh {
                known.heard_at = now;
                if !known.is_pending {
                    known.is_pending = true;
                    self.pending.push(known.node.name().clone());
                }
                return Ok(heard);
            }
            incarnation = message.incarnation.max(known.incarnation);
        } else if !self.has_room(now) {
            return Ok(Heard::Refused);
        }
        let node = to_node(message, allow)?;
        let known =
            Known { node, incarnation, record_hash, heard_at: now, has_left: false, is_pending: false };
        self.put(known);
        Ok(heard)
    }

    /// A node says that it is about to go. Reported even of a name that was never heard: what is known from
    /// before a restart of the strategy is gone too.
    ///
    /// # Errors
    /// [`NodeError`] when the name is not valid; then nothing changed.
    pub(crate) fn handle_leaving(
        &mut self,
        now: Instant,
        name: &str,
        incarnation: u64,
    ) -> Result<Heard, NodeError> {
        if let Some(known) = self.known.get(name) {
            if known.incarnation.is_some_and(|old| incarnation < old) {
                return Ok(Heard::Stale);
            }
            if known.has_left && known.incarnation == Some(incarnation) {
                // Said several times, because datagrams get lost.
                return Ok(Heard::Refresh);
            }
        } else if !self.has_room(now) {
            return Ok(Heard::Refused);
        }
        let node = Node::try_new(name)?.with_incarnation(incarnation);
        self.put(Known {
            node,
            incarnation: Some(incarnation),
            record_hash: 0,
            heard_at: now,
            has_left: true,
            is_pending: false,
        });
        Ok(Heard::Change)
    }

    /// What is to be reported now.
    pub(crate) fn poll_changes(&mut self, now: Instant) -> Option<Changes> {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        let (mut upserts, mut removals) = (Vec::new(), Vec::new());
        for name in std::mem::take(&mut self.pending) {
            let Some(known) = self.known.get_mut(&name) else {
                continue;
            };
            known.is_pending = false;
            let list = if known.has_left { &mut removals } else { &mut upserts };
            list.push(known.node.clone());
        }
        self.is_news = false;
        self.reported_at = Some(now);
        self.forget(now);
        Some(Changes {
            ttl: Some(self.heartbeat_timeout),
            upserts: upserts.into_iter().collect(),
            removals: removals.into_iter().collect(),
        })
    }

    /// When [`Roster::poll_changes`] has something.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let newest = self.pending.last()?;
        let wait = if self.is_news { NEWS_INTERVAL } else { self.refresh_interval };
        // Never reported before: due since it was heard.
        let heard_at = || self.known.get(newest).map(|known| known.heard_at);
        self.reported_at.map(|at| at + wait).or_else(heard_at)
    }

    fn put(&mut self, mut known: Known) {
        let name = known.node.name().clone();
        if self.known.get(&name).is_none_or(|before| !before.is_pending) {
            self.pending.push(name.clone());
        }
        known.is_pending = true;
        self.is_news = true;
        self.known.insert(name, known);
    }

    /// Whether one name more fits; makes room where names are silent, which is a search and so not for every
    /// datagram.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.known.len() < MEMBERS_MAX {
            return true;
        }
        if self.evicted_at.is_none_or(|at| now.saturating_duration_since(at) >= EVICT_INTERVAL) {
            self.evicted_at = Some(now);
            self.drop_silent(now, self.heartbeat_timeout);
        }
        self.known.len() < MEMBERS_MAX
    }

    fn forget(&mut self, now: Instant) {
        let age = FORGET_AFTER_MIN.max(self.heartbeat_timeout.saturating_mul(4));
        if self.evicted_at.is_none_or(|at| now.saturating_duration_since(at) >= age / 8) {
            self.evicted_at = Some(now);
            self.drop_silent(now, age);
        }
    }

    fn drop_silent(&mut self, now: Instant, age: Duration) {
        self.known.retain(|_, known| now.saturating_duration_since(known.heard_at) <= age);
    }
}

/// The node as it is reported: what the record says, within `allow`, and of the incarnation the heartbeat says.
fn to_node(message: Message<'_>, allow: &Allow) -> Result<Node, NodeError> {
    let name = NodeName::try_new(message.name)?;
    let mut node = Node::from_entry_bytes(name.clone(), message.record)?;
    let is_clean = !node.is_leaving()
        && node.incarnation().is_none()
        && (allow.is_everything() || node.addresses().all(|address| allow.address(address)));
    if !is_clean {
        let mut clean = Node::new(name);
        for address in node.addresses().filter(|address| allow.address(address)) {
            clean = clean.address(address);
        }
        for (key, value) in node.attributes() {
            clean = clean.attribute(key, value);
        }
        node = clean;
    }
    Ok(match message.incarnation {
        Some(incarnation) => node.with_incarnation(incarnation),
        None => node,
    })
}

#[cfg(test)]
mod tests;
