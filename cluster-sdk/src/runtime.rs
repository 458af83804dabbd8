//! The thread of an instance: its runtime, and its end.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::Context as Waking,
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::{LocalSet, spawn_local},
    time::{sleep, sleep_until},
};

use crate::{
    abi::{
        guard::{Panicked, guarded},
        table::ExitCode,
    },
    context::{Context, Shared, Stop},
    instance::{Command, Settings},
    log,
    offer::OfferDef,
};

/// Counters are sent when they change, but not more often than this.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(1);

/// What the work of an instance came to.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Returned(Result<()>),
    /// By itself, with something to tell: a diagnosis.
    Told(String),
    /// It was asked to; with what went wrong on the way, if anything.
    Stopped(Option<String>),
}

/// The body of an instance's thread. Whatever happens in it, `exited` is told, once and last.
pub(crate) fn run(
    offer: &'static OfferDef,
    config: Value,
    shared: &Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    settings: &Settings,
) {
    let own_thread = shared.link.own_thread();
    let forwarding = log::forward(Arc::clone(shared), &settings.log_level);
    let ended = guarded(|| work(offer, config, shared, commands, settings)).and_then(|ended| ended);
    let (kind, reason) = match ended {
        Ok(Ended::Returned(Ok(()))) => (ExitCode::FINISHED, String::new()),
        Ok(Ended::Told(text)) => (ExitCode::FINISHED, text),
        Ok(Ended::Returned(Err(err))) => (ExitCode::FAILED, format!("{err:#}")),
        Ok(Ended::Stopped(trouble)) => (ExitCode::STOPPED, trouble.unwrap_or_default()),
        Err(Panicked(message)) => (ExitCode::PANICKED, message),
    };
    shared.send_counters();
    shared.link.exited(kind, &reason);
    drop(forwarding);
    // From here on it is a thread like any other.
    drop(own_thread);
    shared.link.close();
}

fn work(
    offer: &'static OfferDef,
    config: Value,
    shared: &Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    settings: &Settings,
) -> Result<Ended, Panicked> {
    let runtime = match settings.clock.runtime() {
        Ok(runtime) => runtime,
        Err(err) => {
            return Ok(Ended::Returned(Err(anyhow::Error::new(err).context("runtime could not be built"))));
        }
    };
    let tasks = LocalSet::new();
    let context = Context::new(Arc::clone(shared));
    if let Some(interval) = settings.heartbeat {
        // The first one before anything of the author's runs: from then on silence means something.
        shared.link.ping(0);
        tasks.spawn_local(beat(Arc::clone(shared), interval));
    }
    let ended = guarded(|| {
        let ended = settings.clock.run(&runtime, &tasks, async {
            spawn_local(send_counters(Arc::clone(shared)));
            match &settings.diagnose {
                Some(question) => (offer.diagnose)(config, context, question.clone()).await,
                None => (offer.run)(config, context, commands).await,
            }
        });
        ended.unwrap_or(Ended::Stopped(None))
    });
    // What an author's destructors do on the way out must not hide how it ended.
    let dropped = guarded(|| drop(tasks));
    // Does not wait for blocking calls such as a look-up of a name: they may hang.
    runtime.shutdown_background();
    ended.and_then(|ended| dropped.map(|()| ended))
}

/// Tells that this thread comes back to its runtime, which one that spins or waits for a lock does not.
async fn beat(shared: Arc<Shared>, interval: Duration) {
    for number in 1.. {
        sleep(interval).await;
        shared.link.ping(number);
    }
}

async fn send_counters(shared: Arc<Shared>) {
    loop {
        shared.counted.notified().await;
        shared.send_counters();
        sleep(COUNTERS_INTERVAL).await;
    }
}

/// Runs until the end or the stop, whichever comes first. Who has asked for the stop is given until its deadline.
pub(crate) async fn until_stopped(shared: &Shared, work: impl Future<Output = Result<()>>) -> Ended {
    let mut work = pin!(work);
    let stopped = |result: Result<()>| Ended::Stopped(result.err().map(|err| format!("{err:#}")));
    let stop = tokio::select! {
        biased;
        result = &mut work => {
            let asked = shared.stop.borrow().is_some();
            return if asked { stopped(result) } else { Ended::Returned(result) };
        }
        stop = stop_asked(shared) => stop,
    };
    if !shared.awaits_stop.load(Ordering::SeqCst) {
        return Ended::Stopped(None);
    }
    tokio::select! {
        biased;
        result = &mut work => stopped(result),
        () = sleep_until(stop.deadline) => Ended::Stopped(Some("not done at the deadline".to_owned())),
    }
}

pub(crate) async fn stop_asked(shared: &Shared) -> Stop {
    let mut stop = shared.stop.subscribe();
    match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
        Ok(Some(stop)) => stop,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Polls a future so that its panic is its result.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|waking: &mut Waking<'_>| {
        let poll = guarded(|| Pin::as_mut(&mut future).poll(waking));
        match poll {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => std::task::Poll::Ready(Err(panicked)),
        }
    })
    .await
}
