//! When to try again, and what to believe: remembered between tries.

use std::time::Duration;

use cluster_sdk::Backoff;
use http::StatusCode;
use tokio::time::Instant;

use crate::access::Answer;

/// Waits between tries. The longest is short, as whoever mends something looks whether it helps.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), cap: Duration::from_millis(1_500) };
/// The API server may ask for a longer wait, up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// A watch that was so long without an error is well.
const SETTLED_AFTER: Duration = Duration::from_millis(200);
/// A watch that ends sooner, and has told nothing, was not let stand.
const SHORT_WATCH_MAX: Duration = Duration::from_secs(5);
/// So many of these in a row are no accident.
const SHORT_WATCHES_MAX: u32 = 5;
/// An older list than this is listed anew at once where a watch cannot go on from it.
const RELIST_INTERVAL_MIN: Duration = Duration::from_millis(500);
/// A list without objects, where there were some, is believed when it came so many times in a row.
const EMPTY_LISTS_MAX: u32 = 5;

/// What is remembered between tries.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
    /// What the API server asked for.
    retry_after: Option<Duration>,
    /// Lists without objects, in a row.
    empty_lists: u32,
    last_list: Option<Instant>,
    /// When a watch began last, and how many in a row were short and told nothing.
    last_watch: Option<Instant>,
    short_watches: u32,
    settled_at: Option<Instant>,
}

impl Retry {
    /// Whether something has failed since the last success.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// When the watch that runs is taken to be well, where that is to be told.
    pub(crate) fn settled_at(&self) -> Option<Instant> {
        self.settled_at
    }

    /// Whether watches are not let stand: then one has to do without.
    pub(crate) fn are_watches_cut(&self) -> bool {
        self.short_watches >= SHORT_WATCHES_MAX
    }

    /// Whether the last list is old enough that a new one at once is no flood.
    pub(crate) fn may_relist(&self, now: Instant) -> bool {
        self.last_list.is_none_or(|at| now.saturating_duration_since(at) >= RELIST_INTERVAL_MIN)
    }

    /// Whether a list is better not believed yet: an API server that has just started, or a mistake of minutes, would cost
    /// the whole cluster. Counts what was doubted.
    pub(crate) fn doubts_empty_list(&mut self) -> bool {
        let doubts = self.empty_lists < EMPTY_LISTS_MAX;
        self.empty_lists += u32::from(doubts);
        doubts
    }

    /// The API server has answered a request, or has not.
    pub(crate) fn handle_answer(&mut self, answer: Answer, now: Instant) {
        self.retry_after = answer.retry_after;
        if answer.is_watch && answer.status == Some(StatusCode::OK) {
            let is_short =
                self.last_watch.is_some_and(|last| now.saturating_duration_since(last) < SHORT_WATCH_MAX);
            self.short_watches = if is_short { self.short_watches.saturating_add(1) } else { 0 };
            self.last_watch = Some(now);
            if self.is_failing() {
                self.settled_at = Some(now + SETTLED_AFTER);
            }
        }
    }

    /// A watch has told something.
    pub(crate) fn handle_event(&mut self) {
        self.short_watches = 0;
    }

    /// A list has come to its end, and is believed.
    pub(crate) fn handle_list(&mut self, now: Instant) {
        self.last_list = Some(now);
        self.empty_lists = 0;
    }

    /// Watches are done without for now.
    pub(crate) fn give_up_watching(&mut self) {
        self.short_watches = 0;
        self.settled_at = None;
    }

    /// What runs has failed.
    pub(crate) fn unsettle(&mut self) {
        self.settled_at = None;
    }

    /// It works.
    pub(crate) fn recover(&mut self) {
        self.failures = 0;
        self.settled_at = None;
    }

    /// It has failed: how long to wait before the next try, with `random` between 0 and 1.
    pub(crate) fn wait(&mut self, random: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let asked = self.retry_after.take().unwrap_or_default().min(RETRY_AFTER_MAX);
        BACKOFF.wait(self.failures, random).max(asked)
    }
}
