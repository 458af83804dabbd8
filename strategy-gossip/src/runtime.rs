//! The run loop: the only place with a clock, sockets and tasks.
//!
//! One task does it all. It never waits for anything but the next event: a socket that cannot be opened is tried again
//! later, names are resolved beside it, and of a flood it takes a batch at a time, looking at the clock and at the
//! stop in between.

pub(crate) mod diagnosis;
mod resolver;
mod session;
mod socket;
mod transport;

use std::{pin::pin, time::Instant};

use cluster_sdk::{Context, Result, StopReason, View};
use tokio::{task::yield_now, time::sleep_until};

use self::{resolver::Resolver, session::Session};
use crate::config::Config;

/// Runs until the topology stops.
pub(crate) async fn run(config: Config, ctx: &Context) -> Result<()> {
    let mut stopping = pin!(ctx.stopping());
    // The list is empty and partial: of who was heard before a restart nothing is known yet.
    ctx.report(View::partial([]))?;
    let mut resolver = Resolver::new(&config.unicast, config.port);
    let mut session = Session::new(config, ctx.clone(), now());
    loop {
        let due = session.handle_timeouts(now());
        tokio::select! {
            biased;
            reason = &mut stopping => {
                if reason == StopReason::Leave {
                    session.say_goodbye().await;
                }
                return Ok(());
            }
            () = ctx.local_changed() => session.handle_local(now()),
            answer = resolver.next() => session.handle_answer(answer),
            () = sleep_until(due.into()) => {}
            readable = session.transport.readable() => match readable {
                Ok(()) => {
                    if session.receive(now()) {
                        // Others on this thread, such as who sends the counters, get their turn.
                        yield_now().await;
                    }
                }
                Err(err) => session.fail(now(), err),
            }
        }
    }
}

/// The clock of the runtime.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
