//! Between the owner and the log: events that wait for the disk, and the thread that writes them.
//!
//! ```text
//!             hand on                     written                    a write fails, or takes too long
//!  written ───────────► queue ► thread ──────────► log     ────────────────────────────────────────────► failing
//!  failing ─────────────────────────────────────► log      ◄──────────────────────────────────────────── written
//!             (and queue, while the thread writes a            all that was handed on is on disk again
//!              whole snapshot and what comes meanwhile)
//! ```

use std::{
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use cluster_core::{Epoch, Event, EventLog, LogOptions, Snapshot};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{
    RETRY_INTERVAL, Sources, StateError, StateHealth, WAITING_EVENTS_MAX, WRITE_MAX,
    store::{Opened, Store},
};
use crate::{clock, unit::STOP_MAX};

/// Stack of the thread that writes.
const STACK_BYTES: usize = 256 << 10;

/// The owner's end: events go in here and come out of the log.
#[derive(Debug)]
pub(crate) struct Publisher {
    log: EventLog,
    /// The last snapshot that was handed on.
    shown: Snapshot,
    desk: Option<Arc<Desk>>,
    /// The thread has ended.
    end: Option<oneshot::Receiver<()>>,
}

/// Tells how the writing goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Option<Arc<Desk>>);

/// What the owner and the thread share.
#[derive(Debug)]
struct Desk {
    log: EventLog,
    inner: Mutex<Inner>,
    arrived: Condvar,
    timing: Timing,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) write_max: Duration,
    pub(super) retry_interval: Duration,
}

#[derive(Debug)]
struct Inner {
    mode: Mode,
    health: StateHealth,
    /// Grows when the queue is given up: what was taken from it before is not to be published.
    round: u64,
    queue: Vec<Batch>,
    queued_events: usize,
    /// Since when the oldest batch waits that is not written, or being written.
    waiting_since: Option<Instant>,
    /// The last snapshot that was handed on.
    latest: Snapshot,
    sources: Sources,
    sources_changed: bool,
    /// When the disk is tried again.
    retry_at: Instant,
    /// No more is handed on.
    closing: bool,
    random: fastrand::Rng,
}

/// Who publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The thread, when it has written.
    Written,
    /// The owner, at once. Left when the thread has written all of it.
    Failing {
        /// The thread takes what is handed on, too.
        is_catching_up: bool,
    },
}

#[derive(Debug)]
struct Batch {
    events: Vec<Event>,
    snapshot: Snapshot,
    at: Instant,
}

/// What the thread does next.
enum Turn {
    Append { round: u64, batches: Vec<Batch> },
    Begin { round: u64, epoch: Epoch, snapshot: Snapshot, sources: Sources },
    End,
}

// === impl Publisher ===

impl Publisher {
    /// One that publishes at once.
    pub(crate) fn direct(log: EventLog) -> Self {
        let (_, shown) = log.snapshot();
        Self { log, shown, desk: None, end: None }
    }

    /// One that writes first, to a log that has what was remembered.
    pub(crate) fn written(opened: Opened, random: fastrand::Rng) -> Result<Self, StateError> {
        let timing = Timing { write_max: WRITE_MAX, retry_interval: RETRY_INTERVAL };
        Self::timed(opened, random, timing)
    }

    pub(super) fn timed(opened: Opened, random: fastrand::Rng, timing: Timing) -> Result<Self, StateError> {
        let Opened { epoch, snapshot, events, sources, store, failure } = opened;
        let revision = snapshot.revision.saturating_sub(events.len() as u64);
        let retention_events_max = store.limits().retention_events_max;
        let log = EventLog::new(LogOptions { epoch, revision, retention_events_max }, Snapshot::default());
        log.publish(events, snapshot.clone());
        let inner = Inner {
            mode: Mode::Written,
            health: StateHealth::Written,
            round: 0,
            queue: Vec::new(),
            queued_events: 0,
            waiting_since: None,
            latest: snapshot.clone(),
            sources,
            sources_changed: false,
            retry_at: clock::now().instant,
            closing: false,
            random,
        };
        let desk = Desk { log: log.clone(), inner: Mutex::new(inner), arrived: Condvar::new(), timing };
        if let Some(reason) = failure {
            desk.fail(&mut desk.lock(), &reason);
        }
        let desk = Arc::new(desk);
        let (ended, end) = oneshot::channel();
        let thread = Arc::clone(&desk);
        let builder = thread::Builder::new().name("state".to_owned()).stack_size(STACK_BYTES);
        builder.spawn(move || thread.run(store, ended)).map_err(StateError::Thread)?;
        Ok(Self { log, shown: snapshot, desk: Some(desk), end: Some(end) })
    }

    /// The log.
    pub(crate) fn log(&self) -> &EventLog {
        &self.log
    }

    /// Tells how the writing goes, for as long as it is wanted.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.desk.clone())
    }

    /// Hands on events and the snapshot that they lead to; without events, what it shows beside them.
    pub(crate) fn publish(&mut self, events: Vec<Event>, snapshot: Snapshot) {
        if events.is_empty() && self.shown.topologies == snapshot.topologies {
            return;
        }
        self.shown = snapshot.clone();
        match &self.desk {
            None => self.log.publish(events, snapshot),
            Some(desk) => desk.hand_on(events, snapshot),
        }
    }

    /// Shows the topologies as they are, beside what is remembered: nothing of them is in the events.
    pub(crate) fn show_topologies(&mut self, now: Snapshot) {
        self.publish(Vec::new(), Snapshot { topologies: now.topologies, ..self.shown.clone() });
    }

    /// What topologies ask is another from now on.
    pub(crate) fn set_sources(&self, sources: &Sources) {
        if let Some(desk) = &self.desk {
            let mut inner = desk.lock();
            if inner.sources != *sources {
                inner.sources.clone_from(sources);
                inner.sources_changed = true;
            }
        }
    }

    /// When the disk has taken too long.
    pub(crate) fn due(&self) -> Option<Instant> {
        let desk = self.desk.as_ref()?;
        let inner = desk.lock();
        let since = inner.waiting_since.filter(|_| inner.mode == Mode::Written)?;
        Some(since + desk.timing.write_max)
    }

    /// Goes on without the disk if that has taken too long.
    pub(crate) fn handle_timeout(&self, now: Instant) {
        if let Some(desk) = &self.desk {
            desk.handle_timeout(now);
        }
    }

    /// Ends the log when all that was handed on is in it. A disk that hangs is not waited for.
    pub(crate) async fn close(mut self) {
        if let (Some(desk), Some(end)) = (&self.desk, self.end.take()) {
            desk.close();
            if tokio::time::timeout(STOP_MAX, end).await.is_err() {
                desk.fail(&mut desk.lock(), "the disk has not written what there was at the stop");
            }
        }
        self.log.close();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(desk) = &self.desk {
            desk.close();
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Whether what happens is remembered.
    pub(crate) fn health(&self) -> StateHealth {
        self.0.as_ref().map(|desk| desk.lock().health.clone()).unwrap_or_default()
    }
}

// === impl Desk ===

impl Desk {
    /// No code of others runs under this lock but the wakers of the log, which do not come back here.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_on(&self, events: Vec<Event>, snapshot: Snapshot) {
        let mut inner = self.lock();
        inner.latest = snapshot.clone();
        match inner.mode {
            // What is shown beside the events need not be written.
            Mode::Written if events.is_empty() && inner.waiting_since.is_none() => {
                self.log.publish(events, snapshot);
            }
            Mode::Written => {
                inner.push(events, snapshot);
                if inner.queued_events > WAITING_EVENTS_MAX {
                    let reason = format!("more than {WAITING_EVENTS_MAX} events wait for the disk");
                    self.fail(&mut inner, &reason);
                }
                self.arrived.notify_one();
            }
            Mode::Failing { is_catching_up: false } => self.log.publish(events, snapshot),
            Mode::Failing { is_catching_up: true } => {
                self.log.publish(events.clone(), snapshot.clone());
                inner.push(events, snapshot);
                if inner.queued_events > WAITING_EVENTS_MAX {
                    inner.give_up();
                }
                self.arrived.notify_one();
            }
        }
    }

    fn handle_timeout(&self, now: Instant) {
        let mut inner = self.lock();
        let is_over = |since: Instant| since + self.timing.write_max <= now;
        if inner.mode == Mode::Written && inner.waiting_since.is_some_and(is_over) {
            let reason = format!("the disk has not written within {:?}", self.timing.write_max);
            self.fail(&mut inner, &reason);
        }
    }

    /// Goes on without the disk.
    fn fail(&self, inner: &mut Inner, reason: &str) {
        inner.give_up();
        inner.health = StateHealth::Failing(reason.into());
        inner.retry_at = clock::now().instant + self.timing.retry_interval;
        let epoch = Epoch(inner.random.u64(..));
        warn!(err = reason, %epoch, "the state directory cannot be written: the host goes on without it, in a new epoch");
        self.log.begin_epoch(epoch, inner.latest.revision, inner.latest.clone());
        self.arrived.notify_one();
    }

    fn close(&self) {
        self.lock().closing = true;
        self.arrived.notify_one();
    }

    /// The thread.
    fn run(&self, mut store: Store, ended: oneshot::Sender<()>) {
        loop {
            match self.next_turn() {
                Turn::Append { round, batches } => self.append(&mut store, round, batches),
                Turn::Begin { round, epoch, snapshot, sources } => {
                    let begun = store.begin(epoch, &snapshot, &sources);
                    self.written(round, begun, || ());
                }
                Turn::End => break,
            }
        }
        // Whoever waits may take the directory.
        drop(store);
        let _nobody_waits = ended.send(());
    }

    fn next_turn(&self) -> Turn {
        let mut inner = self.lock();
        loop {
            let is_trying = inner.mode != Mode::Failing { is_catching_up: false };
            if is_trying && !inner.queue.is_empty() {
                inner.queued_events = 0;
                return Turn::Append { round: inner.round, batches: mem::take(&mut inner.queue) };
            } else if inner.closing {
                return Turn::End;
            } else if is_trying {
                inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let wait = inner.retry_at.saturating_duration_since(clock::now().instant);
            if wait.is_zero() {
                inner.mode = Mode::Failing { is_catching_up: true };
                inner.sources_changed = false;
                let (snapshot, sources) = (inner.latest.clone(), inner.sources.clone());
                return Turn::Begin { round: inner.round, epoch: self.log.epoch(), snapshot, sources };
            }
            inner = self.arrived.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn append(&self, store: &mut Store, round: u64, batches: Vec<Batch>) {
        let written = store.append(batches.iter().flat_map(|batch| &batch.events));
        let Some(last) = batches.last().map(|batch| batch.snapshot.clone()) else {
            return;
        };
        let snapshot = last.clone();
        self.written(round, written, || {
            let events: Vec<Event> = batches.into_iter().flat_map(|batch| batch.events).collect();
            self.log.publish(events, last);
        });
        let mut inner = self.lock();
        if inner.round == round && (store.is_full() || inner.sources_changed) {
            inner.sources_changed = false;
            let sources = inner.sources.clone();
            drop(inner);
            let begun = store.begin(store.epoch(), &snapshot, &sources);
            self.written(round, begun, || ());
        }
    }

    /// Something is on disk, or is not. `publish` is for what nobody has published yet.
    fn written(&self, round: u64, written: io::Result<()>, publish: impl FnOnce()) {
        let mut inner = self.lock();
        if inner.round != round {
            // It was given up meanwhile. A disk that has come back is tried at once.
            if written.is_ok() {
                inner.retry_at = clock::now().instant;
            }
            return;
        }
        inner.waiting_since = inner.queue.first().map(|batch| batch.at);
        match (written, inner.mode) {
            (Ok(()), Mode::Written) => publish(),
            (Err(error), Mode::Written) => self.fail(&mut inner, &error.to_string()),
            (Ok(()), Mode::Failing { .. }) if inner.queue.is_empty() => {
                inner.mode = Mode::Written;
                inner.health = StateHealth::Written;
                let revision = inner.latest.revision;
                info!(
                    revision,
                    "the state directory can be written again: it has the members, and what happens from here on"
                );
            }
            (Ok(()), Mode::Failing { .. }) => {}
            (Err(error), Mode::Failing { .. }) => {
                inner.give_up();
                inner.health = StateHealth::Failing(error.to_string().into());
                inner.retry_at = clock::now().instant + self.timing.retry_interval;
            }
        }
    }
}

// === impl Inner ===

impl Inner {
    fn push(&mut self, events: Vec<Event>, snapshot: Snapshot) {
        let at = clock::now().instant;
        self.waiting_since.get_or_insert(at);
        self.queued_events = self.queued_events.saturating_add(events.len());
        self.queue.push(Batch { events, snapshot, at });
    }

    /// What waits will not be written: a snapshot will have it.
    fn give_up(&mut self) {
        self.mode = Mode::Failing { is_catching_up: false };
        self.round = self.round.saturating_add(1);
        self.queue.clear();
        self.queued_events = 0;
        self.waiting_since = None;
    }
}
