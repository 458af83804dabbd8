//! A clock for tests: time passes only in the turns that the test gives, and then at once, to the next timer.
//!
//! The instance has its own thread as always, and a runtime with a paused clock. Between two turns the thread waits for
//! the next one, so nothing happens and the clock stands.

use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    sync::Notify,
    task::LocalSet,
    time::{Instant, sleep_until},
};

thread_local! {
    /// Given by a test to the next instance that its thread starts: so the clock takes no part in the ABI.
    static NEXT: RefCell<Option<Arc<FakeClock>>> = const { RefCell::new(None) };
}

/// A clock that a test turns, as the instance and its surroundings see it.
#[derive(Debug)]
pub(crate) struct FakeClock {
    /// Known once the runtime is there.
    begin: OnceLock<Instant>,
    elapsed: Mutex<Duration>,
    /// Taken by the thread of the instance.
    turns: Mutex<Option<Receiver<Turn>>>,
    /// Something was seen that the test may wait for: the turn ends.
    seen: Notify,
}

/// The hand that turns a clock. Without it the instance ends.
#[derive(Debug)]
pub(crate) struct Hand {
    clock: Arc<FakeClock>,
    turns: Sender<Turn>,
}

/// Leave to go on until something is seen, or until then.
#[derive(Debug)]
struct Turn {
    until: Instant,
    over: Sender<()>,
}

/// How a turn came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Something was seen, or the time is over.
    Passed,
    /// The instance has come to its end, of which it tells next.
    Ended,
    /// Its thread did not come back: something in it blocks.
    Stuck,
}

// === impl Hand ===

impl Hand {
    pub(crate) fn new() -> Self {
        let (turns, received) = channel();
        let received = Mutex::new(Some(received));
        let (begin, elapsed, seen) = (OnceLock::new(), Mutex::default(), Notify::new());
        Self { clock: Arc::new(FakeClock { begin, elapsed, turns: received, seen }), turns }
    }

    pub(crate) fn clock(&self) -> Arc<FakeClock> {
        Arc::clone(&self.clock)
    }

    /// Runs `start` so that the instance that it starts goes by this clock, and says whether one took it.
    pub(crate) fn given<T>(&self, start: impl FnOnce() -> T) -> (T, bool) {
        NEXT.set(Some(self.clock()));
        let started = start();
        (started, NEXT.take().is_none())
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// How much time has passed by this clock.
    pub(crate) fn elapsed(&self) -> Duration {
        *lock(&self.clock.elapsed)
    }

    /// Lets the instance go on until something is seen, or until then; it must come back within `patience`, by the clock
    /// of the system.
    pub(crate) fn turn(&self, until: Instant, patience: Duration) -> Turned {
        let (over, is_over) = channel();
        if self.turns.send(Turn { until, over }).is_err() {
            return Turned::Ended;
        }
        match is_over.recv_timeout(patience) {
            Ok(()) => Turned::Passed,
            Err(RecvTimeoutError::Disconnected) => Turned::Ended,
            Err(RecvTimeoutError::Timeout) => Turned::Stuck,
        }
    }
}

// === impl FakeClock ===

impl FakeClock {
    pub(super) fn of_this_start() -> Option<Arc<Self>> {
        NEXT.take()
    }

    /// Waits for the begin, which the thread of the instance makes before all else.
    pub(super) fn now(&self) -> Instant {
        *self.begin.wait() + *lock(&self.elapsed)
    }

    /// Time begins, as the runtime has it from now on.
    pub(super) fn begin(&self) {
        self.begin.get_or_init(Instant::now);
    }

    /// The turn ends, so that the test can look.
    pub(crate) fn something_was_seen(&self) {
        self.seen.notify_one();
    }

    /// The thread of the instance: from turn to turn.
    pub(super) fn run<T>(
        &self,
        runtime: &Runtime,
        tasks: &LocalSet,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let turns = lock(&self.turns).take()?;
        let mut work = pin!(work);
        for turn in turns {
            let ended = runtime.block_on(tasks.run_until(async {
                let _read_at_the_end = Reading(self);
                tokio::select! {
                    biased;
                    ended = &mut work => Some(ended),
                    () = self.seen.notified() => None,
                    () = sleep_until(turn.until) => None,
                }
            }));
            if ended.is_some() {
                return ended;
            }
            turn.over.send(()).unwrap_or_default();
        }
        None
    }
}

/// Reads the clock when a turn ends, by a panic too.
struct Reading<'a>(&'a FakeClock);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        *lock(&self.0.elapsed) = self.0.begin.get().map(Instant::elapsed).unwrap_or_default();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
