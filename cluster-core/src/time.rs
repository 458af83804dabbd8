//! Time as it is passed in: this crate reads no clock.

use std::time::{Instant, SystemTime};

/// One reading of both clocks: deadlines are measured by the first, people are shown the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never goes back.
    pub instant: Instant,
    /// The wall clock, which may jump.
    pub wall: SystemTime,
}
