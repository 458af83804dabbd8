//! When a withdrawal counts: not at the first absence, and not for most of a topology at once.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How members may leave a topology by its strategy's word. A source that errs (an empty answer, a partial one
/// taken for whole) must not take the cluster apart.
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant, SystemTime};
/// # use cluster_core::{Membership, Node, Now, Report, TopologyName, View};
/// # use cluster_core::membership::{MembershipOptions, PrunePolicy, TopologySpec};
/// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
/// # let later = |seconds| Now { instant: now.instant + Duration::from_secs(seconds), ..now };
/// # let mut membership = Membership::new(MembershipOptions::default(), now);
/// # let shop = TopologyName::try_new("shop")?;
/// # let prune = PrunePolicy::default();
/// # membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
/// # membership.strategy_started(&shop, now);
/// # let node = |name| Node::try_new(name);
/// let mut report = |view| membership.handle_report(&shop, Report::Reset(view), now).map(|()| membership.snapshot().members.len());
/// assert_eq!(report(View::complete([node("a@h")?, node("b@h")?]))?, 2);
/// // One view without `b@h` may be a mistake; by default it takes two in a row.
/// assert_eq!(report(View::complete([node("a@h")?]))?, 2);
/// assert_eq!(report(View::complete([node("a@h")?]))?, 1);
/// // In a partial view absence means nothing, however often.
/// assert_eq!(report(View::partial([]))?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrunePolicy {
    /// Nobody is withdrawn but by expiry or by [`Membership::forget`](super::Membership::forget).
    pub never: bool,
    /// Absence counts after so many complete views in a row.
    pub rounds: u32,
    /// Absence counts after so long, even without a second view.
    pub after: Duration,
    /// More than this fraction of a topology withdrawn within [`PRUNE_WINDOW`] is held back.
    pub max_fraction: f64,
    /// How long what is held back stays.
    pub hold: Duration,
}

/// The time in which withdrawals are added up.
pub const PRUNE_WINDOW: Duration = Duration::from_secs(60);
/// Fewer withdrawals than this within [`PRUNE_WINDOW`] are never held back for their fraction.
pub const PRUNE_HELD_MIN: usize = 3;

impl Default for PrunePolicy {
    fn default() -> Self {
        Self {
            never: false,
            rounds: 2,
            after: Duration::from_secs(10),
            max_fraction: 0.5,
            hold: Duration::from_mins(5),
        }
    }
}

/// Remembers the withdrawals of the last [`PRUNE_WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Guard {
    recent: VecDeque<(Instant, usize)>,
}

impl Guard {
    /// Whether `count` of the `present` members may go at once.
    pub(super) fn admits(
        &mut self,
        policy: &PrunePolicy,
        count: usize,
        present: usize,
        now: Instant,
    ) -> bool {
        self.age(now);
        let gone: usize = self.recent.iter().map(|(_, count)| count).sum();
        let going = gone.saturating_add(count);
        !policy.never
            && (going < PRUNE_HELD_MIN || within(going, present.saturating_add(gone), policy.max_fraction))
    }

    /// Counts withdrawals that were made.
    pub(super) fn record(&mut self, count: usize, now: Instant) {
        self.age(now);
        match self.recent.back_mut() {
            Some((at, sum)) if now.saturating_duration_since(*at) < PRUNE_WINDOW / 60 => {
                *sum = sum.saturating_add(count);
            }
            _ => self.recent.push_back((now, count)),
        }
    }

    fn age(&mut self, now: Instant) {
        let is_over = |(at, _): &(Instant, usize)| now.saturating_duration_since(*at) >= PRUNE_WINDOW;
        while self.recent.front().is_some_and(is_over) {
            self.recent.pop_front();
        }
    }
}

fn within(part: usize, whole: usize, fraction: f64) -> bool {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    exact(part) <= exact(whole) * fraction
}
