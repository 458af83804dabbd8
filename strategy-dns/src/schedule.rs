//! When the names are looked up again.

use std::time::Duration;

use cluster_sdk::Backoff;

/// The wait after the first failure, where the polling interval is not shorter.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// Says how long to wait. Randomness is passed in, between 0 and 1.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    ttl_max: Duration,
    backoff: Backoff,
    failures: u32,
}

// === impl Schedule ===

impl Schedule {
    pub(crate) fn new(interval: Duration, ttl_max: Duration) -> Self {
        let backoff = Backoff { first: RETRY_FIRST.min(interval), cap: interval };
        Self { interval, ttl_max, backoff, failures: 0 }
    }

    /// The wait after answers of which the first runs out after `ttl`: give or take a tenth of the interval, but never
    /// before the answers run out, as a cache on the way would only repeat them.
    pub(crate) fn handle_answers(&mut self, ttl: Duration, random: f64) -> Duration {
        self.failures = 0;
        let ttl = ttl.min(self.ttl_max);
        self.interval.mul_f64(0.9 + 0.2 * random).max(ttl.mul_f64(1.0 + 0.1 * random))
    }

    /// The wait after a failure.
    pub(crate) fn handle_failure(&mut self, random: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.backoff.wait(self.failures, random)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The interval, or the TTL where that is longer, up to its limit.
    #[test]
    fn waits() {
        let mut schedule = Schedule::new(5 * SECOND, 30 * SECOND);
        for (ttl, shortest, longest) in
            [(0, 4_500, 5_500), (5, 5_000, 5_500), (20, 20_000, 22_000), (300, 30_000, 33_000)]
        {
            let ttl = ttl * SECOND;
            assert_eq!(schedule.handle_answers(ttl, 0.0).as_millis(), shortest);
            assert_eq!(schedule.handle_answers(ttl, 1.0).as_millis(), longest);
        }
    }

    /// After failures the waits grow up to the interval, and begin anew after an answer.
    #[test]
    fn backs_off() {
        let mut schedule = Schedule::new(5 * SECOND, 30 * SECOND);
        let mut failures = || [(); 6].map(|()| schedule.handle_failure(1.0).as_millis());
        assert_eq!(failures(), [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        schedule.handle_answers(SECOND, 0.5);
        assert_eq!(schedule.handle_failure(0.0).as_millis(), 250);
        assert_eq!(Schedule::new(SECOND / 10, SECOND).handle_failure(1.0), SECOND / 10);
    }

    proptest! {
        /// No wait is shorter than nine tenths of the interval, or longer than a tenth more than what counts.
        #[test]
        fn bounded(interval_ms in 100_u64..100_000, ttl_max in 0_u64..1_000, ttl: u32, random in 0.0..1.0) {
            let interval = Duration::from_millis(interval_ms);
            let (ttl_max, ttl) = (Duration::from_secs(ttl_max), Duration::from_secs(ttl.into()));
            let wait = Schedule::new(interval, ttl_max).handle_answers(ttl, random);
            prop_assert!(wait >= interval.mul_f64(0.89) && wait >= ttl.min(ttl_max));
            prop_assert!(wait <= interval.max(ttl_max).mul_f64(1.11));
        }
    }
}
