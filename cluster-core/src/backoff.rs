//! Waiting longer after each failure: exponential, capped, jittered.

use std::time::Duration;

/// How long to wait between tries. The wait doubles with each failure from `first` up to `cap`; half of it is
/// random, so that many who failed together do not come back together.
///
/// ```
/// use std::time::Duration;
///
/// use cluster_core::Backoff;
///
/// let backoff = Backoff::default();
/// assert_eq!(backoff.wait(1, 1.0), Duration::from_millis(500));
/// assert_eq!(backoff.wait(3, 0.0), Duration::from_secs(1));
/// assert_eq!(backoff.wait(1_000, 1.0), Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 for the first), with `random` between 0 and 1.
    #[must_use]
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(32);
        let whole = self.first.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.cap);
        let half = whole / 2;
        half + half.mul_f64(random.clamp(0.0, 1.0))
    }
}

impl Default for Backoff {
    /// From half a second to half a minute.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), cap: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits grow, stay within half and whole, and end at the cap.
    #[test]
    fn grows_to_the_cap() {
        let backoff = Backoff::default();
        let waits = |random| [1, 2, 3, 7, 1_000].map(|failures| backoff.wait(failures, random).as_millis());
        assert_eq!(waits(0.0), [250, 500, 1_000, 15_000, 15_000]);
        assert_eq!(waits(1.0), [500, 1_000, 2_000, 30_000, 30_000]);
    }
}
