//! The loop of all three strategies: look up, report, wait.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use cluster_sdk::{Completeness, Context, Result};
use hickory_resolver::proto::rr::Name;
use tokio::{task::JoinSet, time::sleep};
use tracing::info;

use crate::{
    naming::Naming,
    resolver::{Lookup, Resolver},
    round::{Outcome, Round},
    schedule::Schedule,
    system::System,
};

/// Names that are looked up at a time.
const NAMES_AT_ONCE_MAX: usize = 8;

/// What a topology looks up, and how.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) names: Vec<Name>,
    pub(crate) naming: Naming,
    pub(crate) system: System,
    pub(crate) schedule: Schedule,
}

// === impl Poll ===

impl Poll {
    /// Runs until the topology stops.
    pub(crate) async fn run(mut self, ctx: &Context) -> Result<()> {
        let mut is_empty = false;
        loop {
            let outcome = self.round().await?;
            ctx.count("rounds", 1);
            ctx.count("failed_rounds", u64::from(outcome.ttl.is_none()));
            let is_now_empty = outcome
                .view
                .as_ref()
                .map(|view| view.completeness == Completeness::Complete && view.nodes.is_empty());
            if let Some(now) = is_now_empty
                && std::mem::replace(&mut is_empty, now) != now
            {
                self.tell_change(now);
            }
            let wait = self.wait(&outcome, fastrand::f64());
            tell(ctx, outcome);
            sleep(wait).await;
        }
    }

    async fn round(&self) -> Result<Outcome> {
        let resolver = match self.system.resolver().await? {
            Ok(resolver) => Arc::new(resolver),
            Err(err) => return Ok(Outcome { view: None, trouble: Some(err.to_string()), ttl: None }),
        };
        let mut round = Round::default();
        for names in self.names.chunks(NAMES_AT_ONCE_MAX) {
            for lookup in look_up(&resolver, names, &self.naming).await {
                round.handle_lookup(&lookup, &self.naming);
            }
        }
        Ok(round.finish())
    }

    fn wait(&mut self, outcome: &Outcome, random: f64) -> Duration {
        match outcome.ttl {
            Some(ttl) => self.schedule.handle_answers(ttl, random),
            None => self.schedule.handle_failure(random),
        }
    }

    fn tell_change(&self, is_empty: bool) {
        let names: Vec<_> = self.names.iter().map(Name::to_ascii).collect();
        let names = names.join(", ");
        if is_empty {
            info!(names, "the DNS has no records: nobody is there");
        } else {
            info!(names, "the DNS has records again");
        }
    }
}

/// Hands over what a round gave.
fn tell(ctx: &Context, outcome: Outcome) {
    let refused = outcome.view.and_then(|view| ctx.report(view).err());
    match refused.map(|refused| refused.to_string()).or(outcome.trouble) {
        Some(reason) => ctx.degraded(&reason),
        None => ctx.healthy(),
    }
}

/// Looks names up beside each other; what they have comes in their order.
async fn look_up(resolver: &Arc<Resolver>, names: &[Name], naming: &Naming) -> Vec<Lookup> {
    let (first, second) = naming.types();
    let mut running = JoinSet::new();
    for (place, name) in names.iter().cloned().enumerate() {
        let resolver = Arc::clone(resolver);
        running.spawn(async move { (place, resolver.lookup(&name, first, second).await) });
    }
    let mut lookups = Vec::new();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(lookup) => lookups.push(lookup),
            // Nothing here is cancelled, so it is a panic, and one of the strategy.
            Err(err) => {
                if let Ok(panic) = err.try_into_panic() {
                    resume_unwind(panic);
                }
            }
        }
    }
    lookups.sort_by_key(|(place, _)| *place);
    lookups.into_iter().map(|(_, lookup)| lookup).collect()
}
