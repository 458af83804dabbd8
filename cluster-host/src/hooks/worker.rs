//! One hook: takes the next event, does what is to be done until it is done, and goes on.

use std::{path::Path, sync::Arc, time::Instant};

use cluster_core::{Cursor, Delivery, Epoch, Event, Snapshot, Start, Subscription};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};
use tracing::{error, info, warn};

use super::{
    Around, Orders, Plan, Stop,
    action::Failure,
    document::{Document, Source},
    ledger::HookInfo,
    place::{Found, Place},
};
use crate::{api::json::Time, clock};

pub(super) struct Worker {
    name: String,
    around: Around,
    orders: watch::Receiver<Orders>,
    plan: Arc<Plan>,
    subscription: Subscription<Event, Snapshot>,
    /// All up to it is done.
    position: Cursor,
    place: Place,
    /// Why there is a resync, where that is known beforehand.
    lost: Option<String>,
}

/// What became of a document.
#[derive(Debug, PartialEq, Eq)]
enum Settled {
    /// It is delivered, or given up.
    Done,
    /// The orders have changed before it was.
    Interrupted,
}

// === impl Worker ===

impl Worker {
    /// A hook that goes on where it was, or begins now.
    pub(super) fn begin(
        name: &str,
        state: Option<&Path>,
        around: Around,
        orders: watch::Receiver<Orders>,
    ) -> Self {
        let mut place = Place::new(state, name);
        let plan = Arc::clone(&orders.borrow().plan);
        let mut lost = None;
        let mut saving = Ok(());
        let subscription = match place.find() {
            Found::At(cursor) => around.log.subscribe(Start::After(cursor)),
            Found::Nothing => {
                let now = around.log.subscribe(Start::Now);
                saving = place.begin(now.cursor());
                now
            }
            Found::Unreadable(reason) => {
                warn!(hook = name, err = reason, "it is not known how far it was: it is told of all members");
                lost = Some(reason);
                // A place that is in no log.
                around.log.subscribe(Start::After(Cursor { epoch: Epoch(0), revision: 0 }))
            }
        };
        let position = subscription.cursor();
        around.board.hooks.add(name, plan.action.to_string(), position);
        let worker =
            Self { name: name.to_owned(), around, orders, plan, subscription, position, place, lost };
        worker.note_saved(saving);
        worker
    }

    /// Works until it is told to end, or the log ends.
    pub(super) async fn run(mut self) {
        while let Some(document) = self.next_document().await {
            match self.deliver(&document).await {
                Settled::Done => {
                    self.place.delivered();
                    self.lost = None;
                    self.pass(document.cursor);
                }
                Settled::Interrupted if self.stop().is_some() => break,
                // It may be none of the hook's any more.
                Settled::Interrupted => self.adopt(),
            }
        }
        self.save().await;
    }

    /// The next document; none when there is no more to be done.
    async fn next_document(&mut self) -> Option<Document> {
        loop {
            if matches!(self.stop(), Some(Stop::End(_))) {
                return None;
            }
            let save_due = self.place.due(self.position);
            if save_due.is_some_and(|due| due <= clock::now().instant) {
                self.save().await;
                continue;
            }
            tokio::select! {
                biased;
                () = stopped(&self.orders) => return None,
                () = changed(&self.orders, &self.plan, Stop::is_end) => self.adopt(),
                delivery = self.subscription.next() => {
                    if let Some(document) = self.take(delivery?) {
                        return Some(document);
                    }
                }
                () = until(save_due) => {}
            }
        }
    }

    /// The first document that follows from a delivery. What is behind it is taken from the log again: a part of that
    /// which is held would not be forgotten.
    fn take(&mut self, delivery: Delivery<Event, Snapshot>) -> Option<Document> {
        let end = self.subscription.cursor();
        let node = self.around.board.node();
        let source = Source { cluster: &self.around.cluster, node: node.as_ref() };
        let (cursor, document) = match delivery {
            Delivery::Events(batch) => {
                let Some((revision, event)) =
                    batch.iter().find(|(_, event)| self.plan.filter.lets_through(event))
                else {
                    self.pass(end);
                    return None;
                };
                let cursor = Cursor { epoch: end.epoch, revision };
                (cursor, Document::of_event(cursor, event, source))
            }
            Delivery::Resync { snapshot, .. } => {
                let reason = self.lost.clone().unwrap_or_else(|| unknown(self.position, end));
                (end, Document::of_snapshot(end, (&snapshot, &reason), source, Time(clock::now().wall)))
            }
        };
        if cursor != end {
            self.subscription = self.around.log.subscribe(Start::After(cursor));
        }
        document
            .inspect_err(|error| {
                error!(hook = self.name, id = %cursor, err = %error, "bug: an event cannot be written as JSON");
                self.pass(cursor);
            })
            .ok()
    }

    /// Tries until it is done.
    async fn deliver(&self, document: &Document) -> Settled {
        let plan = Arc::clone(&self.plan);
        let mut failures: u32 = 0;
        let mut first_failure = None;
        let mut told = String::new();
        loop {
            let tried = tokio::select! {
                tried = plan.action.deliver(document) => tried,
                () = stopped(&self.orders) => return Settled::Interrupted,
            };
            let now = clock::now();
            let Err(failure) = tried else {
                self.note(|info| {
                    info.delivered = info.delivered.saturating_add(1);
                    info.last_success = Some(now.wall);
                });
                if failures > 0 {
                    info!(hook = self.name, event = document.kind, id = %document.cursor, failures, "delivered at last");
                }
                return Settled::Done;
            };
            failures = failures.saturating_add(1);
            let reason = failure.to_string();
            if reason != told {
                warn!(hook = self.name, event = document.kind, id = %document.cursor, err = reason, "not delivered: it is tried again");
                told.clone_from(&reason);
            }
            let wait = plan.backoff.wait(failures, fastrand::f64()).max(failure.retry_after());
            self.note(|info| {
                info.failed = info.failed.saturating_add(1);
                info.last_failure = Some((now.wall, reason));
                info.next_try = Some(now.wall + wait);
            });
            let since = *first_failure.get_or_insert(now.instant);
            if plan.give_up_after.is_some_and(|after| now.instant.saturating_duration_since(since) >= after) {
                error!(hook = self.name, event = document.kind, id = %document.cursor, failures, "given up: it is not delivered");
                self.note(|info| info.given_up = info.given_up.saturating_add(1));
                return Settled::Done;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = changed(&self.orders, &plan, |_| true) => return Settled::Interrupted,
            }
            self.note(|info| info.next_try = None);
        }
    }

    /// Goes on by the newest orders, from where it is.
    fn adopt(&mut self) {
        let plan = Arc::clone(&self.orders.borrow().plan);
        if !Arc::ptr_eq(&plan, &self.plan) {
            self.around.board.hooks.add(&self.name, plan.action.to_string(), self.position);
            self.plan = plan;
        }
        self.subscription = self.around.log.subscribe(Start::After(self.position));
    }

    /// All up to a cursor is done.
    fn pass(&mut self, cursor: Cursor) {
        self.position = cursor;
        self.note(|info| {
            info.cursor = cursor;
            info.next_try = None;
        });
    }

    async fn save(&mut self) {
        let saved = self.place.save(self.position).await;
        self.note_saved(saved);
    }

    fn note_saved(&self, outcome: Result<(), String>) {
        let saved = self.place.saved();
        self.around.board.hooks.with(&self.name, |info| {
            info.saved = saved;
            let failure = outcome.err();
            if let Some(reason) = failure.as_ref().filter(|_| info.save_failure.is_none()) {
                warn!(
                    hook = info.name,
                    err = reason,
                    "after a crash of the host it would deliver again what it has delivered since"
                );
            }
            info.save_failure = failure;
        });
    }

    fn note(&self, change: impl FnOnce(&mut HookInfo)) {
        self.around.board.hooks.with(&self.name, change);
    }

    fn stop(&self) -> Option<Stop> {
        self.orders.borrow().stop
    }
}

// === impl Failure ===

impl Failure {
    /// How long the other side wants to be left alone.
    fn retry_after(&self) -> std::time::Duration {
        match self {
            Self::Http(error) => error.retry_after().unwrap_or_default(),
            _ => std::time::Duration::ZERO,
        }
    }
}

/// Why the log cannot go on after a cursor.
fn unknown(Cursor { epoch, revision }: Cursor, log: Cursor) -> String {
    if epoch != log.epoch {
        format!("epoch {epoch} is not this log's")
    } else if revision > log.revision {
        format!("revision {revision} is ahead of this log")
    } else {
        format!("what followed revision {revision} is beyond the retention")
    }
}

/// Ready when there is another plan, or such a stop is ordered.
async fn changed(orders: &watch::Receiver<Orders>, plan: &Arc<Plan>, is_meant: impl Fn(Stop) -> bool) {
    let is_new = |orders: &Orders| orders.stop.is_some_and(&is_meant) || !Arc::ptr_eq(&orders.plan, plan);
    let mut orders = orders.clone();
    if orders.wait_for(is_new).await.is_err() {
        // The last order was given.
        std::future::pending::<()>().await;
    }
}

/// Ready when what is under way has to end.
async fn stopped(orders: &watch::Receiver<Orders>) {
    // Who gave the orders is gone, and with them the host.
    let mut orders = orders.clone();
    let Ok(stop) = orders.wait_for(|orders| orders.stop.is_some()).await.map(|orders| orders.stop) else {
        return;
    };
    until(stop.map(Stop::deadline)).await;
}

/// Waits until a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
