//! When a heartbeat is sent.
//!
//! As in libcluster the first goes out at once and each next one after 1 ms to `interval`, drawn anew each time.
//! On top of that a heartbeat is *asked for* when a node is heard for the first time, or when something of the
//! own node changed: so that the newcomer, who missed the earlier ones, need not wait. Whatever is asked for, at
//! most one unscheduled heartbeat goes out per [`UNSCHEDULED_INTERVAL`], so nobody is made an amplifier.

use std::time::{Duration, Instant};

/// At most one unscheduled heartbeat in this time.
pub(crate) const UNSCHEDULED_INTERVAL: Duration = Duration::from_millis(100);

/// Says when to send. Time is passed in.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    /// When the next scheduled heartbeat is due.
    scheduled: Instant,
    /// Whether one was asked for since the last one was sent.
    is_asked: bool,
    /// Before this no unscheduled heartbeat is sent.
    unscheduled_from: Instant,
}

// === impl Schedule ===

impl Schedule {
    /// The first heartbeat is due now.
    pub(crate) fn new(now: Instant, interval: Duration) -> Self {
        Self { interval, scheduled: now, is_asked: false, unscheduled_from: now }
    }

    /// Asks for a heartbeat as soon as one may be sent.
    pub(crate) fn ask(&mut self) {
        self.is_asked = true;
    }

    /// When [`Schedule::handle_timeout`] has something to say.
    pub(crate) fn poll_timeout(&self) -> Instant {
        if self.is_asked { self.scheduled.min(self.unscheduled_from) } else { self.scheduled }
    }

    /// Whether a heartbeat is to be sent now. Who asked before is content with a scheduled one too.
    pub(crate) fn handle_timeout(&mut self, now: Instant, random: &mut fastrand::Rng) -> bool {
        let is_scheduled = now >= self.scheduled;
        let is_unscheduled = self.is_asked && now >= self.unscheduled_from;
        if is_scheduled {
            let interval_ms = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX).max(1);
            self.scheduled = now + Duration::from_millis(random.u64(1..=interval_ms));
        } else if is_unscheduled {
            self.unscheduled_from = now + UNSCHEDULED_INTERVAL;
        } else {
            return false;
        }
        self.is_asked = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    /// Runs a schedule in virtual time for as long as `total`, with one ask at each of `asks`; returns when it sent.
    fn run(total: Duration, asks: &[Duration], seed: u64) -> Vec<Duration> {
        let start = crate::runtime::now();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut schedule = Schedule::new(start, INTERVAL);
        let mut asks = asks.iter().copied().peekable();
        let mut sent = Vec::new();
        loop {
            let due = schedule.poll_timeout().max(start + sent.last().copied().unwrap_or_default());
            let now = match asks.peek() {
                Some(&ask) if start + ask <= due => {
                    asks.next();
                    schedule.ask();
                    start + ask
                }
                _ => due,
            };
            if now - start > total {
                return sent;
            }
            if schedule.handle_timeout(now, &mut random) {
                sent.push(now - start);
            }
        }
    }

    /// Unasked, the first goes out at once and the gaps are those of libcluster: 1 ms to the interval, half of it
    /// on average.
    #[test]
    fn gaps_are_uniform() {
        let sent = run(Duration::from_secs(25_000), &[], 7);
        assert_eq!(sent[0], Duration::ZERO);
        let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        assert!(gaps.iter().all(|gap| (Duration::from_millis(1)..=INTERVAL).contains(gap)));
        let mean = gaps.iter().sum::<Duration>() / u32::try_from(gaps.len()).unwrap();
        assert!((2_400..2_600).contains(&mean.as_millis()), "{mean:?}");
    }

    /// A newcomer is answered at once; a second one within 100 ms waits for the rest of them.
    #[test]
    fn answers_at_once_then_coalesced() {
        let ms = Duration::from_millis;
        let seed = (0..).find(|seed| run(ms(600), &[], *seed).len() == 1).unwrap();
        let sent = run(ms(600), &[ms(10), ms(11), ms(12), ms(300)], seed);
        assert_eq!(sent, [ms(0), ms(10), ms(110), ms(300)]);
    }

    proptest! {
        /// However much is heard, what is sent is bounded: one unscheduled heartbeat per 100 ms and the scheduled
        /// ones.
        #[test]
        fn no_amplification(mut asks in prop::collection::vec(0_u64..10_000_000, 0..5_000), seed: u64) {
            asks.sort_unstable();
            let asks: Vec<_> = asks.into_iter().map(Duration::from_micros).collect();
            let total = Duration::from_secs(10);
            let scheduled = run(total, &[], seed).len();
            let sent = run(total, &asks, seed);
            prop_assert!(sent.len() <= scheduled + 101, "{} sent, {scheduled} scheduled", sent.len());
        }
    }
}
