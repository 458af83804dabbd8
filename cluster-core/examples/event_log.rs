//! The log alone: any events, any number of subscribers, none of which holds up another or pins memory.
//!
//! ```text
//! cargo run --package cluster-core --example event_log
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]

use cluster_core::{Delivery, Epoch, Log, LogOptions, Start};

/// What the events lead to: here the sum of them.
fn show(name: &str, delivery: Option<Delivery<i64, i64>>) {
    match delivery {
        None => println!("{name}: nothing new"),
        Some(Delivery::Resync { revision, snapshot }) => {
            println!("{name}: the sum is {snapshot} at {revision}");
        }
        Some(Delivery::Events(batch)) => {
            let events: Vec<_> =
                batch.iter().map(|(revision, event)| format!("{revision}: {event}")).collect();
            println!("{name}: {}", events.join(", "));
        }
    }
}

fn main() {
    let log = Log::new(LogOptions { epoch: Epoch(1), revision: 0, retention_events_max: 64 }, 0_i64);
    let mut from_the_start = log.subscribe(Start::Snapshot);
    show("first", from_the_start.try_next());

    // Events and the snapshot that they lead to are published together.
    log.publish([5, -2], 3);
    log.publish([4], 7);
    show("first", from_the_start.try_next());
    show("first", from_the_start.try_next());

    // A cursor is a number: who comes back with it resumes without a gap, also after years of sleep.
    let cursor = from_the_start.cursor();
    drop(from_the_start);
    log.publish([1], 8);
    show("resumed", log.subscribe(Start::After(cursor)).try_next());

    // Beyond the retention there is exactly one resync, and then the events go on.
    for sum in 9..200 {
        log.publish([1], sum);
    }
    let mut late = log.subscribe(Start::After(cursor));
    show("late", late.try_next());
    log.publish([1], 200);
    show("late", late.try_next());

    // The end of the log ends the subscription.
    log.close();
    show("late", late.try_next());
}
