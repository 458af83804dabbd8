//! Where events are stored: in segments, each a plain vector that is only appended to while no reader holds it.
//!
//! A reader takes a reference to a whole segment and reads it without a lock. When the publisher comes meanwhile, it
//! starts a new segment, to which it appends what follows until a reader takes that one. So nobody waits, slots
//! need no state of their own, and what readers are late for arrives in one piece. Measured beside slots that are
//! written once (`OnceLock`), a delivery costs less than half.

use std::{collections::VecDeque, fmt, sync::Arc};

/// Events of one segment at most: so many that a burst seldom spans two, so few that a batch in the hand pins little.
const SEGMENT_EVENTS_MAX: usize = 256;

/// Segments that a full retention consists of at least, so that forgetting one leaves most of it.
const SEGMENTS_MIN: usize = 8;

/// The retained events, oldest first.
pub(super) struct Segments<E> {
    segments: VecDeque<Arc<Segment<E>>>,
    /// Of the last event.
    revision: u64,
    segment_events_max: usize,
    events_max: usize,
}

/// Events that follow each other; never empty in [`Segments`].
struct Segment<E> {
    /// The revision before the first of them.
    after: u64,
    events: Vec<E>,
}

/// Events that follow each other, at least one. It keeps the part of the log that they are in alive: read it and
/// let it go.
///
/// # Examples
///
/// ```
/// use cluster_core::{Delivery, Epoch, Log, LogOptions, Start};
///
/// let log = Log::new(LogOptions { epoch: Epoch(1), revision: 40, retention_events_max: 64 }, ());
/// let mut subscription = log.subscribe(Start::Now);
/// log.publish(["a is up", "b is up"], ());
/// let Some(Delivery::Events(batch)) = subscription.try_next() else { panic!("events") };
/// assert_eq!(batch.events(), ["a is up", "b is up"]);
/// assert_eq!(batch.iter().next(), Some((41, &"a is up")));
/// assert_eq!((batch.last(), batch.len()), (42, 2));
/// ```
pub struct Batch<E> {
    segment: Arc<Segment<E>>,
    /// Events at the start of the segment that the reader has had before.
    skipped: usize,
}

/// Segments to be dropped where it holds nobody up.
pub(super) struct Expired<E>(#[expect(dead_code, reason = "held to be dropped")] Vec<Arc<Segment<E>>>);

fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}

// === impl Segments ===

impl<E> Segments<E> {
    pub(super) fn new(revision: u64, events_max: usize) -> Self {
        let segment_events_max = (events_max / SEGMENTS_MIN).clamp(1, SEGMENT_EVENTS_MAX);
        Self { segments: VecDeque::new(), revision, segment_events_max, events_max }
    }

    /// The revision of the last event.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The smallest revision that a cursor can have and miss nothing.
    pub(super) fn oldest(&self) -> u64 {
        self.segments.front().map_or(self.revision, |segment| segment.after)
    }

    /// Appends, and takes out what is over the retention then.
    pub(super) fn append(&mut self, events: Vec<E>) -> Expired<E> {
        let mut events = events.into_iter();
        while events.len() > 0 {
            let mut last = self.segments.pop_back();
            let free = last.as_mut().and_then(Arc::get_mut);
            let taken = match free.filter(|segment| segment.events.len() < self.segment_events_max) {
                Some(segment) => segment.fill(&mut events, self.segment_events_max),
                None => {
                    self.segments.extend(last.take());
                    let mut segment = Segment { after: self.revision, events: Vec::new() };
                    let taken = segment.fill(&mut events, self.segment_events_max);
                    last = Some(Arc::new(segment));
                    taken
                }
            };
            self.segments.extend(last);
            self.revision = self.revision.saturating_add(taken);
        }
        let mut expired = Vec::new();
        while distance(self.oldest(), self.revision) > self.events_max {
            expired.extend(self.segments.pop_front());
        }
        Expired(expired)
    }

    /// The events after `revision`, as many as are in one segment; `None` if there are none, or not any more.
    pub(super) fn after(&self, revision: u64) -> Option<Batch<E>> {
        // Nearly everyone reads at the end.
        let last = self.segments.back().filter(|segment| segment.after <= revision);
        let segment = last.or_else(|| {
            let next = self.segments.partition_point(|segment| segment.after <= revision);
            self.segments.get(next.checked_sub(1)?)
        })?;
        let skipped = distance(segment.after, revision);
        (skipped < segment.events.len()).then(|| Batch { segment: Arc::clone(segment), skipped })
    }
}

// === impl Segment ===

impl<E> Segment<E> {
    /// Takes as many events as there is room for, and says how many that were.
    fn fill(&mut self, events: &mut impl ExactSizeIterator<Item = E>, events_max: usize) -> u64 {
        let stored = self.events.len();
        let wanted = stored.saturating_add(events.len()).min(events_max);
        if wanted > self.events.capacity() {
            // Doubles like any vector, but not beyond what a segment can hold.
            let room = wanted.max(stored.saturating_mul(2).min(events_max));
            self.events.reserve_exact(room.saturating_sub(stored));
        }
        self.events.extend(events.take(wanted.saturating_sub(stored)));
        u64::try_from(self.events.len().saturating_sub(stored)).unwrap_or(u64::MAX)
    }
}

// === impl Batch ===

impl<E> Batch<E> {
    /// The events in order, each with its revision.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &E)> {
        let mut revision = self.after();
        self.events().iter().map(move |event| {
            revision = revision.wrapping_add(1);
            (revision, event)
        })
    }

    /// The events in order, without their revisions.
    #[must_use]
    pub fn events(&self) -> &[E] {
        self.segment.events.get(self.skipped..).unwrap_or_default()
    }

    /// The revision of the last event.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.segment.after.saturating_add(u64::try_from(self.segment.events.len()).unwrap_or(u64::MAX))
    }

    /// How many events: at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events().len()
    }

    /// Never: a batch has at least one event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events().is_empty()
    }

    /// The revision before the first event.
    fn after(&self) -> u64 {
        self.segment.after.saturating_add(u64::try_from(self.skipped).unwrap_or(u64::MAX))
    }
}

impl<E: fmt::Debug> fmt::Debug for Batch<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
