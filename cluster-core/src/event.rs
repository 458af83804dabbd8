//! Events: one per change of the membership, each with the revision it made.

use std::{fmt, str::FromStr, sync::Arc, time::SystemTime};

use crate::{
    member::{Member, TopologyStatus, word},
    name::{NodeName, TopologyName},
};

/// A change of the membership. Whoever folds the events after any cursor into the snapshot of that cursor gets
/// the snapshot at the end: see [`Event::node`] and [`Event::member`], [`Event::topology`] and [`Event::status`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Grows by one with each event.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// The member it happened to; absent for [`EventKind::TopologyChanged`].
    pub node: Option<NodeName>,
    /// The member as it is afterwards; absent where it is gone.
    pub member: Option<Arc<Member>>,
    /// The topology it happened in, where it was one.
    pub topology: Option<TopologyName>,
    /// Of [`EventKind::TopologyChanged`]: how the topology does afterwards; absent where it is gone. What is unclaimed
    /// and who is remembered changes without an event.
    pub status: Option<Arc<TopologyStatus>>,
    /// Why, where there is a reason to give.
    pub reason: Option<Arc<str>>,
    /// When.
    pub at: SystemTime,
}

/// What happened.
///
/// # Examples
///
/// ```
/// use cluster_core::EventKind;
///
/// assert_eq!(EventKind::NodeUp.as_str(), "node_up");
/// assert_eq!(EventKind::of_word("connect_failed"), Some(EventKind::ConnectFailed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A source names a node that nobody named before.
    NodeDiscovered,
    /// A member is up (libcluster's `nodeup`).
    NodeUp,
    /// A member is not up any more (libcluster's `nodedown`).
    NodeDown,
    /// Nobody vouches for the node any more: it is no member now.
    NodeLeft,
    /// Something else about a member changed.
    NodeUpdated,
    /// A link could not be made: the first failure, or a new reason.
    ConnectFailed,
    /// A topology's status changed.
    TopologyChanged,
}

word!(EventKind {
    NodeDiscovered => "node_discovered", NodeUp => "node_up", NodeDown => "node_down", NodeLeft => "node_left",
    NodeUpdated => "node_updated", ConnectFailed => "connect_failed", TopologyChanged => "topology_changed",
});

/// Tells one life of a log from the next: revisions of different epochs do not compare.
///
/// # Examples
///
/// ```
/// use cluster_core::Epoch;
///
/// assert_eq!(Epoch(11).to_string(), "000000000000000b");
/// assert_eq!("000000000000000b".parse(), Ok(Epoch(11)));
/// assert!("b".parse::<Epoch>().is_err(), "all sixteen digits");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// A place in the log: everything up to `revision` is known. Written `EPOCH:REVISION`.
///
/// ```
/// use cluster_core::{Cursor, Epoch};
///
/// let cursor = Cursor::parse("0192a5c7d1e8f402:17", Epoch(1))?;
/// assert_eq!((cursor.revision, cursor.to_string().as_str()), (17, "0192a5c7d1e8f402:17"));
/// // A bare revision is one of the current epoch.
/// assert_eq!(Cursor::parse("17", Epoch(1))?.epoch, Epoch(1));
/// assert!(Cursor::parse("yesterday", Epoch(1)).is_err());
/// # Ok::<(), cluster_core::CursorError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The revision of the last event that was seen.
    pub revision: u64,
}

/// The text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cursor: write EPOCH:REVISION as an event shows it, or a bare revision")]
pub struct CursorError(pub String);

// === impl Epoch ===

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Epoch {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        match u64::from_str_radix(text, 16) {
            Ok(epoch) if text.len() == 16 => Ok(Self(epoch)),
            _ => Err(CursorError(text.to_owned())),
        }
    }
}

// === impl Cursor ===

impl Cursor {
    /// Parses `EPOCH:REVISION`; a bare number means the `current` epoch.
    ///
    /// # Errors
    /// [`CursorError`] when the text is neither.
    pub fn parse(text: &str, current: Epoch) -> Result<Self, CursorError> {
        let bad = || CursorError(text.to_owned());
        let (epoch, revision) = match text.split_once(':') {
            Some((epoch, revision)) => (epoch.parse().map_err(|_error| bad())?, revision),
            None => (current, text),
        };
        Ok(Self { epoch, revision: revision.parse().map_err(|_error| bad())? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.revision)
    }
}
