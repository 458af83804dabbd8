//! The clock of an instance: that of the system, or one that a test turns. The only place of the crate that reads one.

#[cfg(feature = "fake-clock")]
mod fake;

use std::{future::Future, io, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
    time::Instant,
};

#[cfg(feature = "fake-clock")]
pub(crate) use self::fake::{FakeClock, Hand, Turned};

/// Stands for "never" where a deadline is too far away to be calculated.
const FAR: Duration = Duration::from_secs(86_400 * 365);

/// The clock of an instance, as those see it who speak to it from outside.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    System,
    #[cfg(feature = "fake-clock")]
    Fake(std::sync::Arc<FakeClock>),
}

// === impl Clock ===

impl Clock {
    /// The clock for an instance that this thread starts.
    pub(crate) fn of_this_start() -> Self {
        #[cfg(feature = "fake-clock")]
        if let Some(clock) = FakeClock::of_this_start() {
            return Self::Fake(clock);
        }
        Self::System
    }

    /// A moment so far from now.
    pub(crate) fn deadline(&self, within: Duration) -> Instant {
        let now = match self {
            Self::System => Instant::now(),
            #[cfg(feature = "fake-clock")]
            Self::Fake(clock) => clock.now(),
        };
        now.checked_add(within).unwrap_or_else(|| now.checked_add(FAR).unwrap_or(now))
    }

    /// A runtime that goes by it.
    pub(crate) fn runtime(&self) -> io::Result<Runtime> {
        match self {
            Self::System => Builder::new_current_thread().enable_all().build(),
            #[cfg(feature = "fake-clock")]
            Self::Fake(clock) => {
                let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
                let entered = runtime.as_ref().map(Runtime::enter);
                clock.begin();
                drop(entered);
                runtime
            }
        }
    }

    /// Runs the work of an instance to its end; none, where a test does not want to know it any more.
    pub(crate) fn run<T>(
        &self,
        runtime: &Runtime,
        tasks: &LocalSet,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        match self {
            Self::System => Some(runtime.block_on(tasks.run_until(work))),
            #[cfg(feature = "fake-clock")]
            Self::Fake(clock) => clock.run(runtime, tasks, work),
        }
    }
}
