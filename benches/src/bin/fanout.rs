//! Event fan-out: the event log beside `tokio::sync::broadcast`, one publisher, many subscriber tasks on one
//! current-thread runtime. Each burst is read by all before the next one begins, so neither side loses an event.
//! The loops are what users of each write; every event's 64 bytes are read, publishing is part of the figure.
//!
//! Then a subscriber that sleeps through a million events: what it is handed when it wakes, and whether publishing
//! took longer for it.

use std::{
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use benches::{Table, ns_each, percentile, rounds, thread_cpu, wall};
use cluster_core::{Delivery, Epoch, Log, LogOptions, Start, Subscription};
use tokio::sync::{Notify, broadcast};

/// 64 bytes.
type Payload = [u64; 8];

/// Deliveries that one figure is taken from.
const DELIVERIES: usize = 20_000_000;

/// Events that the sleeper sleeps through.
const SLEPT: u64 = 1_000_000;

/// What a publish takes is measured in steps of the clock, of which it has a dozen: closer two figures cannot be told.
const CLOCK_GRAIN: f64 = 1.1;

fn main() -> ExitCode {
    let mut table = Table::new("fanout");
    for (subscribers, burst, goal) in [
        (1_000, 256, Some(0.1)),
        (10_000, 256, Some(0.1)),
        (1_000, 16, None),
        (10_000, 16, None),
        (1_000, 1, None),
        (10_000, 1, None),
    ] {
        let case = Case { subscribers, burst };
        let [ours, theirs] = rounds(|| [case.log(), case.broadcast()]);
        table.ratio(&format!("{subscribers} subscribers, burst {burst}"), ours, ("broadcast", theirs), goal);
    }
    sleeper_wakes(&mut table);
    let [with, without] = rounds(publish_p99);
    table.ratio("publish p99 beside a sleeper", with, ("without one", without), Some(CLOCK_GRAIN));
    table.exit()
}

#[derive(Clone, Copy)]
struct Case {
    subscribers: usize,
    burst: usize,
}

/// Counts the subscribers that have read the burst and tells the publisher when all have.
#[derive(Default)]
struct Finish {
    finished: AtomicUsize,
    all: Notify,
}

fn payload(number: u64) -> Payload {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|word| number.wrapping_mul(word))
}

/// Reads every byte, word by word into sums of their own: what it costs should be the delivery and not this.
fn touch(sums: &mut Payload, payload: &Payload) {
    for (sum, word) in sums.iter_mut().zip(payload) {
        *sum ^= word;
    }
}

impl Case {
    fn log(self) -> f64 {
        let options = LogOptions { epoch: Epoch(1), revision: 0, retention_events_max: 4_096 };
        let log = Log::new(options, ());
        // Off the boundaries of segments, where bursts happen to be in real life.
        log.publish((0..100).map(payload), ());
        let subscribe = |finish: Arc<Finish>| {
            let mut subscription = log.subscribe(Start::Now);
            async move {
                let (mut sums, mut count, mut goal) = (Payload::default(), 0, self.burst);
                while let Some(delivery) = subscription.next().await {
                    let Delivery::Events(batch) = delivery else {
                        continue;
                    };
                    for (_revision, payload) in batch.iter() {
                        touch(&mut sums, payload);
                        count += 1;
                    }
                    if count == goal {
                        goal += self.burst;
                        finish.one(self.subscribers);
                    }
                }
                black_box(sums);
            }
        };
        self.run(subscribe, |number| log.publish([payload(number)], ()))
    }

    fn broadcast(self) -> f64 {
        let (sender, _receiver) = broadcast::channel::<Payload>(1_024);
        let subscribe = |finish: Arc<Finish>| {
            let mut receiver = sender.subscribe();
            async move {
                let (mut sums, mut count, mut goal) = (Payload::default(), 0, self.burst);
                while let Ok(payload) = receiver.recv().await {
                    touch(&mut sums, &payload);
                    count += 1;
                    if count == goal {
                        goal += self.burst;
                        finish.one(self.subscribers);
                    }
                }
                black_box(sums);
            }
        };
        self.run(subscribe, |number| {
            let _receivers = sender.send(payload(number));
        })
    }

    /// CPU nanoseconds per delivery, publishing included.
    fn run<T: Future<Output = ()> + Send + 'static>(
        self,
        mut subscribe: impl FnMut(Arc<Finish>) -> T,
        mut publish: impl FnMut(u64),
    ) -> f64 {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
            return f64::NAN;
        };
        let finish = Arc::new(Finish::default());
        let bursts = DELIVERIES.div_ceil(self.subscribers * self.burst).min(2_000);
        runtime.block_on(async {
            for _subscriber in 0..self.subscribers {
                tokio::spawn(subscribe(Arc::clone(&finish)));
            }
            let mut number = 0;
            let mut one_burst = async || {
                for _event in 0..self.burst {
                    publish(number);
                    number += 1;
                }
                finish.all.notified().await;
            };
            one_burst().await;
            one_burst().await;
            let start = thread_cpu();
            for _burst in 0..bursts {
                one_burst().await;
            }
            ns_each(thread_cpu().saturating_sub(start), bursts * self.burst * self.subscribers)
        })
    }
}

impl Finish {
    fn one(&self, of: usize) {
        if (self.finished.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(of) {
            self.all.notify_one();
        }
    }
}

fn sleeping_log(retention_events_max: usize) -> (Log<Payload, u64>, Subscription<Payload, u64>) {
    let log = Log::new(LogOptions { epoch: Epoch(1), revision: 0, retention_events_max }, 0);
    let mut sleeper = log.subscribe(Start::Now);
    let asleep = sleeper.poll_next(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!(asleep, "there is nothing to read in a new log");
    (log, sleeper)
}

/// Inside the retention the sleeper is handed every event, beyond it one resync and nothing else.
fn sleeper_wakes(table: &mut Table) {
    for (retention_events_max, resyncs_expected) in [(1 << 20, 0), (1 << 16, 1)] {
        let (log, mut sleeper) = sleeping_log(retention_events_max);
        for number in 1..=SLEPT {
            log.publish([payload(number)], number);
        }
        let start = thread_cpu();
        let (mut events, mut resyncs, mut gaps, mut revision) = (0, 0, 0, 0);
        while let Some(delivery) = sleeper.try_next() {
            match delivery {
                Delivery::Events(batch) => {
                    for (next, event) in batch.iter() {
                        gaps += u64::from(next != revision + 1 || *event != payload(next));
                        revision = next;
                        events += 1;
                    }
                }
                Delivery::Resync { revision: at, snapshot } => {
                    gaps += u64::from(snapshot != at);
                    revision = at;
                    resyncs += 1;
                }
            }
        }
        let took = thread_cpu().saturating_sub(start);
        let whole = resyncs == resyncs_expected && (resyncs == 1 || events == SLEPT);
        table.check(
            &format!(
                "slept through {SLEPT} events, retention {retention_events_max}: {events} events, {resyncs} resyncs, \
                 {gaps} gaps in {took:.1?}"
            ),
            gaps == 0 && whole && revision == SLEPT,
        );
    }
}

/// Nanoseconds that the slowest in a hundred publishes takes at least, with and without a sleeper. The two logs take
/// turns event by event, so that whatever else the machine does hits both.
fn publish_p99() -> [f64; 2] {
    let (slept, _sleeper) = sleeping_log(1 << 16);
    let (awake, sleeper) = sleeping_log(1 << 16);
    drop(sleeper);
    let mut rivals = [slept, awake].map(|log| (log.subscribe(Start::Now), log, Vec::new()));
    for number in 1..=SLEPT {
        for (reader, log, took) in &mut rivals {
            let start = wall();
            log.publish([payload(number)], number);
            took.push(ns_each(wall().saturating_sub(start), 1));
            black_box(reader.try_next());
        }
        rivals.reverse();
    }
    // Turned round an even number of times: in the order of old.
    rivals.map(|(_reader, _log, took)| percentile(took, 99))
}
