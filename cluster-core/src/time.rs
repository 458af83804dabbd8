//! Time as it is passed in: this crate reads no clock.

use std::time::{Duration, Instant, SystemTime};

/// One reading of both clocks: deadlines are measured by the first, people are shown the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never goes back.
    pub instant: Instant,
    /// The wall clock, which may jump.
    pub wall: SystemTime,
}

/// What counts as for ever where a wait is longer than a clock can tell.
const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// The moment so much later. Waits come from configuration and from plugins: no length of them is a panic.
pub(crate) fn later(instant: Instant, wait: Duration) -> Instant {
    instant + wait.min(LONGEST_WAIT)
}
