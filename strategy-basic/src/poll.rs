//! The loop of the strategies that ask again and again.

use std::{future::Future, time::Duration};

use cluster_sdk::{Backoff, Context, Result};
use tokio::time::sleep;

use crate::reading::Found;

/// What is asked.
pub(crate) trait Source {
    /// Asks once.
    fn look(&mut self, ctx: &Context) -> impl Future<Output = Look>;
}

/// What asking once has given.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What was found; nothing where nothing is known.
    pub(crate) found: Option<Found>,
    /// What went wrong.
    pub(crate) trouble: Option<Trouble>,
}

/// Why not all is known.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    /// The source refuses us.
    pub(crate) is_denied: bool,
    /// The source is not to be asked sooner.
    pub(crate) retry_after: Option<Duration>,
}

// === impl Look ===

impl Look {
    /// Nothing is known.
    pub(crate) fn failed(reason: String) -> Self {
        let trouble = Trouble { reason, is_denied: false, retry_after: None };
        Self { found: None, trouble: Some(trouble) }
    }
}

/// Asks for ever, `interval` apart, give or take a tenth, and with growing waits while it fails.
pub(crate) async fn poll(mut source: impl Source, interval: Duration, ctx: &Context) -> Result<()> {
    let default = Backoff::default();
    let backoff = Backoff { first: default.first.min(interval), cap: default.cap.max(interval) };
    let mut failures: u32 = 0;
    loop {
        let Look { found, trouble } = source.look(ctx).await;
        failures = if trouble.is_some() { failures.saturating_add(1) } else { 0 };
        ctx.count("rounds", 1);
        ctx.count("failed_rounds", u64::from(trouble.is_some()));
        let wait = match &trouble {
            None => interval.mul_f64(0.9 + 0.2 * fastrand::f64()),
            Some(trouble) => {
                backoff.wait(failures, fastrand::f64()).max(trouble.retry_after.unwrap_or_default())
            }
        };
        tell(ctx, found, trouble);
        sleep(wait).await;
    }
}

/// Hands over what was found, and says how all is.
pub(crate) fn tell(ctx: &Context, found: Option<Found>, trouble: Option<Trouble>) {
    let unread = found.as_ref().and_then(Found::trouble);
    let is_partial = found.as_ref().is_some_and(|found| found.is_partial);
    // A part with nobody in it says nothing.
    let found = found.filter(|found| found.is_whole() || !found.nodes.is_empty());
    let refused = found.and_then(|found| ctx.report(found.view()).err()).map(|refused| refused.to_string());
    let is_denied = trouble.as_ref().is_some_and(|trouble| trouble.is_denied);
    let reasons = [refused, trouble.map(|trouble| trouble.reason), unread];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    match reasons.join("; ").as_str() {
        "" if is_partial => ctx.healthy_but("the list says that it is partial: nobody goes by it"),
        "" => ctx.healthy(),
        reasons if is_denied => ctx.denied(reasons),
        reasons => ctx.degraded(reasons),
    }
}
