//! A subscriber's side of the log: a cursor, and a waker while it waits.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{Shared, Start, State, segment::Batch, sleepers::Place};
use crate::event::{Cursor, Epoch};

/// One subscriber's place in a log. It holds a number and no event, so it may sleep as long as it likes: what it
/// misses beyond the retention is replaced by one [`Delivery::Resync`].
///
/// ```
/// use cluster_core::{Delivery, Epoch, Log, LogOptions, Start};
///
/// let log = Log::new(LogOptions { epoch: Epoch(1), revision: 0, retention_events_max: 64 }, "nobody");
/// let mut subscription = log.subscribe(Start::Now);
/// log.publish(["a is up", "b is up"], "a and b");
/// let Some(Delivery::Events(batch)) = subscription.try_next() else { panic!("events") };
/// assert_eq!(batch.iter().collect::<Vec<_>>(), [(1, &"a is up"), (2, &"b is up")]);
///
/// // Who comes back with the cursor goes on there.
/// let cursor = subscription.cursor();
/// drop(subscription);
/// log.publish(["a is down"], "b");
/// let Some(Delivery::Events(batch)) = log.subscribe(Start::After(cursor)).try_next() else { panic!("events") };
/// assert_eq!(batch.last(), 3);
/// ```
pub struct Subscription<E, S> {
    shared: Arc<Shared<E, S>>,
    position: Position,
    /// Where the waker was parked last.
    place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Position {
    /// All up to it was handed out, of this epoch.
    epoch: Epoch,
    revision: u64,
    /// The cursor to show while the next delivery is a resync that was due from the start.
    lost: Option<Cursor>,
}

/// What a subscription hands out.
pub enum Delivery<E, S> {
    /// The next events.
    Events(Batch<E>),
    /// All that was known is to be replaced by this; the events after `revision` follow. It may be of another epoch than
    /// what was before: see [`Subscription::cursor`].
    Resync {
        /// The revision that the snapshot belongs to.
        revision: u64,
        /// The snapshot.
        snapshot: S,
    },
}

// === impl Subscription ===

impl<E, S> Subscription<E, S> {
    pub(super) fn new(shared: Arc<Shared<E, S>>, start: Start) -> Self {
        let mut state = shared.lock();
        state.subscribers = state.subscribers.saturating_add(1);
        let (epoch, revision) = (state.epoch, state.segments.revision());
        let known = state.segments.oldest()..=revision;
        drop(state);
        let (revision, lost) = match start {
            Start::Now => (revision, None),
            Start::After(cursor) if cursor.epoch == epoch && known.contains(&cursor.revision) => {
                (cursor.revision, None)
            }
            Start::After(cursor) => (revision, Some(cursor)),
            // No log gets that far, so whoever resumes with it is given a snapshot.
            Start::Snapshot => (revision, Some(Cursor { epoch, revision: u64::MAX })),
        };
        Self { shared, position: Position { epoch, revision, lost }, place: None }
    }

    /// The cursor after what was handed out: who resumes with it misses nothing. While nothing was handed out
    /// it is one that starts in the same way as this subscription did.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let Position { epoch, revision, lost } = self.position;
        lost.unwrap_or(Cursor { epoch, revision })
    }

    /// Whether the log says, without its lock, that there is nothing new. New events may arrive meanwhile.
    fn is_current(&self) -> bool {
        let Position { epoch, revision, lost } = self.position;
        lost.is_none()
            && epoch == self.shared.epoch()
            && revision == self.shared.revision.load(Ordering::Acquire)
    }
}

impl<E, S: Clone> Subscription<E, S> {
    /// Waits for the next delivery; `None` when the log is closed and all was handed out. Dropping the future loses
    /// nothing.
    ///
    /// ```
    /// # use cluster_core::{Delivery, Epoch, Log, LogOptions, Start};
    /// # async fn follow(log: Log<u8, u64>) {
    /// let mut subscription = log.subscribe(Start::Snapshot);
    /// while let Some(delivery) = subscription.next().await {
    ///     match delivery {
    ///         Delivery::Resync { revision, snapshot } => println!("{revision}: all is {snapshot}"),
    ///         Delivery::Events(batch) => {
    ///             for (revision, event) in batch.iter() {
    ///                 println!("{revision}: {event}");
    ///             }
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Delivery<E, S>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next delivery if there is one; `None` also when the log is closed.
    pub fn try_next(&mut self) -> Option<Delivery<E, S>> {
        if self.is_current() {
            return None;
        }
        let state = self.shared.lock();
        self.position.advance(&state)
    }

    /// Like [`Subscription::next`], for futures written by hand: `Ready(None)` when the log is closed and all was
    /// handed out; where it is `Pending`, the next event wakes the waker of the last call.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery<E, S>>> {
        // Cloned before the lock is taken, as a waker is foreign code, and only where it seems to be needed.
        let waker = self.is_current().then(|| cx.waker().clone());
        let mut state = self.shared.lock();
        if let Some(delivery) = self.position.advance(&state) {
            return Poll::Ready(Some(delivery));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        let waker = waker.unwrap_or_else(|| cx.waker().clone());
        let replaced = state.sleepers.park(&mut self.place, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl<E, S> Drop for Subscription<E, S> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.subscribers = state.subscribers.saturating_sub(1);
        let waker = self.place.and_then(|place| state.sleepers.remove(place));
        drop(state);
        drop(waker);
    }
}

impl<E, S> fmt::Debug for Subscription<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}

// === impl Position ===

impl Position {
    /// Takes what comes next, if there is something.
    fn advance<E, S: Clone>(&mut self, state: &State<E, S>) -> Option<Delivery<E, S>> {
        if self.lost.is_some() || self.epoch != state.epoch || self.revision < state.segments.oldest() {
            let revision = state.segments.revision();
            *self = Self { epoch: state.epoch, revision, lost: None };
            return Some(Delivery::Resync { revision, snapshot: state.snapshot.clone() });
        }
        let batch = state.segments.after(self.revision)?;
        self.revision = batch.last();
        Some(Delivery::Events(batch))
    }
}

// === impl Delivery ===

impl<E: fmt::Debug, S> fmt::Debug for Delivery<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(batch) => f.debug_tuple("Events").field(batch).finish(),
            Self::Resync { revision, .. } => {
                f.debug_struct("Resync").field("revision", revision).finish_non_exhaustive()
            }
        }
    }
}
