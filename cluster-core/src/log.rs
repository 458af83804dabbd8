//! The event log: one shared, segmented log, and a cursor per subscriber.
//!
//! ```text
//! publish ──> [ segment ][ segment ][ segment ····]   + the snapshot after the last event
//!                 ^             ^          ^
//!               cursor        cursor     cursor        (one number per subscriber)
//! ```
//!
//! An event is stored once, whoever listens; a subscriber is a number, so publishing costs the same for one or ten
//! thousand of them, apart from waking those who sleep. The publisher waits for nobody: no lock is held while a
//! subscriber reads or while wakers run.
//!
//! **Invariant (fold):** a subscriber that starts from the snapshot of any cursor and folds in the events after it has
//! the snapshot at the end, because each snapshot is stored together with the events that lead to it. So within the
//! retention nothing is lost, doubled or reordered. Who falls behind the retention (or comes with a cursor that
//! this log does not know) is handed exactly one [`Delivery::Resync`] in place of the missed events, and goes on. So is
//! everyone when [`Log::begin_epoch`] is called.
//!
//! **Invariant (memory):** the log never holds more than [`LogOptions::retention_events_max`] events, in whole
//! segments. A [`Batch`] keeps its own segment alive while it is held; a [`Subscription`] keeps none.
//!
//! ```
//! use cluster_core::{Cursor, Delivery, Epoch, Log, LogOptions, Start};
//!
//! let options = LogOptions { epoch: Epoch(7), revision: 0, retention_events_max: 1_000 };
//! let log = Log::new(options, 0); // the snapshot is the sum of all events
//! log.publish([1, 2], 3);
//! log.publish([4], 7);
//!
//! let mut subscription = log.subscribe(Start::After(Cursor { epoch: Epoch(7), revision: 1 }));
//! let Some(Delivery::Events(batch)) = subscription.try_next() else { panic!("these events are retained") };
//! assert_eq!(batch.iter().collect::<Vec<_>>(), [(2, &2), (3, &4)]);
//! assert!(subscription.try_next().is_none());
//!
//! let mut newcomer = log.subscribe(Start::Snapshot);
//! let first = newcomer.try_next();
//! assert!(matches!(first, Some(Delivery::Resync { revision: 3, snapshot: 7 })));
//! ```

mod segment;
mod sleepers;
mod subscription;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::{
    segment::Batch,
    subscription::{Delivery, Subscription},
};
use self::{segment::Segments, sleepers::Sleepers};
use crate::{
    event::{Cursor, Epoch, Event},
    member::Snapshot,
};

/// The log of the membership's events.
pub type EventLog = Log<Event, Snapshot>;

/// Where a log begins and how much of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// The epoch that its revisions belong to.
    pub epoch: Epoch,
    /// The revision before the first event that will be published: that of the first snapshot.
    pub revision: u64,
    /// Events that are kept at most. At least seven eighths of them are always there for a subscriber that is
    /// late, because the log forgets whole segments. With 0 whoever misses an event gets a resync.
    pub retention_events_max: usize,
}

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With a resync, then what comes after it.
    Snapshot,
    /// With the events after this cursor; with a resync if it is of another epoch, ahead of the log, or beyond
    /// the retention.
    After(Cursor),
    /// With the next event that is published.
    Now,
}

/// A handle to a log of events `E` and the snapshots `S` that they lead to. Clones share the log; it is closed
/// when the last of them is dropped.
pub struct Log<E, S> {
    owner: Arc<Owner<E, S>>,
}

/// Shared by the handles and not by the subscriptions, so that its drop is the end of publishing.
struct Owner<E, S>(Arc<Shared<E, S>>);

/// What handles and subscriptions share.
struct Shared<E, S> {
    /// The epoch and the revision of the last event: copies of those in `state`, to see without a lock that nothing is new.
    epoch: AtomicU64,
    revision: AtomicU64,
    state: Mutex<State<E, S>>,
}

struct State<E, S> {
    epoch: Epoch,
    segments: Segments<E>,
    retention_events_max: usize,
    snapshot: S,
    sleepers: Sleepers,
    subscribers: usize,
    closed: bool,
}

// === impl Log ===

impl<E, S> Log<E, S> {
    /// An empty log; `snapshot` is that of [`LogOptions::revision`].
    #[must_use]
    pub fn new(options: LogOptions, snapshot: S) -> Self {
        let LogOptions { epoch, revision, retention_events_max } = options;
        let segments = Segments::new(revision, retention_events_max);
        let state = State {
            epoch,
            segments,
            retention_events_max,
            snapshot,
            sleepers: Sleepers::default(),
            subscribers: 0,
            closed: false,
        };
        let shared = Shared {
            epoch: AtomicU64::new(epoch.0),
            revision: AtomicU64::new(revision),
            state: Mutex::new(state),
        };
        Self { owner: Arc::new(Owner(Arc::new(shared))) }
    }

    /// Appends events, each with the next revision, and stores the snapshot that the last of them leads to. Readers
    /// see all of that or nothing. Without events only the snapshot is replaced: with what it shows beside the events
    /// (counts, say). On a closed log nothing changes.
    pub fn publish(&self, events: impl IntoIterator<Item = E>, snapshot: S) {
        // The caller's iterator runs before the lock is taken, destructors and wakers after it is released: none of
        // them can hold up a reader or meet the lock again. (A `Vec` is not copied by this.)
        let events: Vec<E> = events.into_iter().collect();
        let shared = self.shared();
        let mut state = shared.lock();
        if state.closed {
            drop(state);
            return;
        }
        if events.is_empty() {
            let previous = std::mem::replace(&mut state.snapshot, snapshot);
            drop(state);
            drop(previous);
            return;
        }
        let expired = state.segments.append(events);
        let previous = std::mem::replace(&mut state.snapshot, snapshot);
        let sleepers = state.sleepers.take();
        shared.revision.store(state.segments.revision(), Ordering::Release);
        drop(state);
        sleepers::wake(sleepers);
        drop((expired, previous));
    }

    /// Begins another epoch with a snapshot that no events lead to: where what was published cannot be continued. Every
    /// subscriber gets one resync in place of what it had not read, and no cursor of before is known any more. The
    /// `revision` is that of the snapshot. On a closed log nothing changes.
    ///
    /// ```
    /// use cluster_core::{Cursor, Delivery, Epoch, Log, LogOptions, Start};
    ///
    /// let log = Log::new(LogOptions { epoch: Epoch(7), revision: 0, retention_events_max: 1_000 }, 0);
    /// let mut subscription = log.subscribe(Start::Now);
    /// log.publish([1, 2], 3);
    /// log.begin_epoch(Epoch(8), 5, 40);
    /// let next = subscription.try_next();
    /// assert!(matches!(next, Some(Delivery::Resync { revision: 5, snapshot: 40 })));
    /// assert_eq!(subscription.cursor(), Cursor { epoch: Epoch(8), revision: 5 });
    /// assert!(subscription.try_next().is_none());
    /// ```
    pub fn begin_epoch(&self, epoch: Epoch, revision: u64, snapshot: S) {
        let shared = self.shared();
        let mut state = shared.lock();
        if state.closed {
            drop(state);
            return;
        }
        let segments = Segments::new(revision, state.retention_events_max);
        let expired = std::mem::replace(&mut state.segments, segments);
        let previous = std::mem::replace(&mut state.snapshot, snapshot);
        state.epoch = epoch;
        let sleepers = state.sleepers.take();
        shared.epoch.store(epoch.0, Ordering::Release);
        shared.revision.store(revision, Ordering::Release);
        drop(state);
        sleepers::wake(sleepers);
        drop((expired, previous));
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shared().epoch()
    }

    /// The cursor after the last event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.shared().lock().cursor()
    }

    /// The revision of the last event.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared().revision.load(Ordering::Acquire)
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared().lock().subscribers
    }

    /// Ends the log: nothing more can be published, and a subscription ends when it has handed out what there is.
    pub fn close(&self) {
        self.shared().close();
    }

    /// A new subscription. One that starts with [`Start::Now`] sees every event published after this call.
    #[must_use]
    pub fn subscribe(&self, start: Start) -> Subscription<E, S> {
        Subscription::new(Arc::clone(self.shared()), start)
    }

    fn shared(&self) -> &Arc<Shared<E, S>> {
        &self.owner.0
    }
}

impl<E, S: Clone> Log<E, S> {
    /// The last snapshot and the revision it belongs to. It is cloned under the log's lock, so cloning must be cheap.
    #[must_use]
    pub fn snapshot(&self) -> (u64, S) {
        let state = self.shared().lock();
        (state.segments.revision(), state.snapshot.clone())
    }

    /// The last snapshot and the cursor that it belongs to: as [`Log::snapshot`], with the epoch.
    #[must_use]
    pub fn latest(&self) -> (Cursor, S) {
        let state = self.shared().lock();
        (state.cursor(), state.snapshot.clone())
    }
}

impl<E, S> Clone for Log<E, S> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<E, S> fmt::Debug for Log<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("epoch", &self.epoch())
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

// === impl Owner ===

impl<E, S> Drop for Owner<E, S> {
    fn drop(&mut self) {
        self.0.close();
    }
}

// === impl State ===

impl<E, S> State<E, S> {
    fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, revision: self.segments.revision() }
    }
}

// === impl Shared ===

impl<E, S> Shared<E, S> {
    fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// No code of a caller runs under this lock but `S::clone`, so a poisoned state is whole.
    fn lock(&self) -> MutexGuard<'_, State<E, S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let sleepers = state.sleepers.take();
        drop(state);
        sleepers::wake(sleepers);
    }
}

#[cfg(test)]
mod tests;
