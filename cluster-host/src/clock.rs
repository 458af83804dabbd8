//! The one place where the host reads the clocks.

use std::time::{Instant, SystemTime};

use cluster_core::Now;

/// The time, by both clocks.
#[expect(clippy::disallowed_methods, reason = "everything else is given the time")]
#[must_use]
pub(crate) fn now() -> Now {
    Now { instant: Instant::now(), wall: SystemTime::now() }
}
