use std::{
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use proptest::prelude::*;

use super::*;

/// Longer than any of this takes on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(60);

const EPOCH: Epoch = Epoch(7);

fn empty<E, S>(revision: u64, retention_events_max: usize, snapshot: S) -> Log<E, S> {
    Log::new(LogOptions { epoch: EPOCH, revision, retention_events_max }, snapshot)
}

fn at(revision: u64) -> Cursor {
    Cursor { epoch: EPOCH, revision }
}

/// All that there is to read, in words.
fn drain(subscription: &mut Subscription<u64, u64>) -> String {
    let deliveries = std::iter::from_fn(|| subscription.try_next());
    let words: Vec<String> = deliveries
        .flat_map(|delivery| match delivery {
            Delivery::Resync { revision, snapshot } => vec![format!("resync@{revision}={snapshot}")],
            Delivery::Events(batch) => {
                batch.iter().map(|(revision, event)| format!("{revision}:{event}")).collect()
            }
        })
        .collect();
    words.join(" ")
}

/// A known cursor is continued; one that is foreign, ahead or too old gets one resync; then all get what comes.
#[test]
fn starts() {
    let elsewhere = |revision| Start::After(Cursor { epoch: Epoch(8), revision });
    let starts = [
        (Start::Snapshot, "resync@105=1005 | 106:6"),
        (Start::Now, " | 106:6"),
        (Start::After(at(105)), " | 106:6"),
        (Start::After(at(103)), "104:4 105:5 | 106:6"),
        (Start::After(at(101)), "102:2 103:3 104:4 105:5 | 106:6"),
        (Start::After(at(100)), "resync@105=1005 | 106:6"),
        (Start::After(at(0)), "resync@105=1005 | 106:6"),
        (Start::After(at(106)), "resync@105=1005 | 106:6"),
        (Start::After(at(u64::MAX)), "resync@105=1005 | 106:6"),
        (elsewhere(103), "resync@105=1005 | 106:6"),
    ];
    for (start, expected) in starts {
        let log = empty(100, 4, 1_000);
        log.publish([1, 2, 3, 4, 5], 1_005);
        let mut subscription = log.subscribe(start);
        let first = drain(&mut subscription);
        log.publish([6], 1_006);
        assert_eq!(format!("{first} | {}", drain(&mut subscription)), expected, "{start:?}");
        assert_eq!(subscription.cursor(), at(106), "{start:?}");
    }
}

/// The need for a resync is settled when the subscription starts: a cursor from the future is not believed when the
/// log has got there; a subscription that was handed nothing has a cursor that starts in the same way again.
#[test]
fn lost_from_the_start() {
    let unknown = [at(3), at(u64::MAX), Cursor { epoch: Epoch(8), revision: 0 }];
    for start in unknown.map(Start::After).into_iter().chain([Start::Snapshot]) {
        let log = empty(0, 100, 0);
        let mut first = log.subscribe(start);
        let mut second = log.subscribe(Start::After(first.cursor()));
        log.publish([1, 2, 3, 4, 5], 15);
        assert_eq!(drain(&mut first), "resync@5=15", "{start:?}");
        assert_eq!(drain(&mut second), "resync@5=15", "{start:?}");
    }
}

/// Who was overrun gets one resync in place of what it missed, with the snapshot of that moment.
#[test]
fn overrun() {
    let log = empty(0, 10, 0);
    let mut subscription = log.subscribe(Start::Now);
    log.publish(1..=10, 10);
    assert_eq!(subscription.cursor(), at(0));
    log.publish([11], 11);
    assert_eq!(drain(&mut subscription), "resync@11=11");
    log.publish([12, 13], 13);
    assert_eq!(drain(&mut subscription), "12:12 13:13");
    log.publish(14..=100, 100);
    assert_eq!(drain(&mut subscription), "resync@100=100");
    assert_eq!((log.revision(), log.snapshot(), drain(&mut subscription)), (100, (100, 100), String::new()));
}

/// A log that retains nothing is one of resyncs.
#[test]
fn nothing_retained() {
    let log = empty(0, 0, 0);
    let mut subscription = log.subscribe(Start::Now);
    log.publish([1], 1);
    assert_eq!(drain(&mut subscription), "resync@1=1");
    log.publish([2, 3], 3);
    assert_eq!(drain(&mut subscription), "resync@3=3");
    assert_eq!(drain(&mut log.subscribe(Start::After(at(3)))), "");
}

/// Without events only the snapshot is replaced: the revision stays and nobody is woken.
#[test]
fn no_events() {
    let log = empty::<u64, _>(5, 10, 50);
    let (woken, waker) = counting_waker();
    let mut subscription = log.subscribe(Start::Now);
    assert!(poll(&mut subscription, &waker).is_pending());
    log.publish([], 99);
    assert_eq!((log.snapshot(), woken.count()), ((5, 99), 0));
}

/// After the end subscriptions hand out what there is, and no more can be published.
#[test]
fn close() {
    let log = empty(0, 100, 0);
    let mut reader = log.subscribe(Start::Now);
    log.publish([1, 2], 3);
    log.close();
    log.publish([3], 6);
    let waker = Waker::noop();
    assert!(
        matches!(poll(&mut reader, waker), Poll::Ready(Some(Delivery::Events(batch))) if batch.len() == 2)
    );
    assert!(matches!(poll(&mut reader, waker), Poll::Ready(None)));
    assert!(matches!(poll(&mut reader, waker), Poll::Ready(None)));
    assert_eq!(drain(&mut log.subscribe(Start::Snapshot)), "resync@2=3");
}

/// When the last handle is gone nobody waits for it.
#[test]
fn the_last_handle_closes() {
    let log = empty::<u64, u64>(0, 10, 0);
    let (woken, waker) = counting_waker();
    let mut subscription = log.subscribe(Start::Now);
    assert!(poll(&mut subscription, &waker).is_pending());
    let clone = log.clone();
    drop(log);
    assert_eq!(woken.count(), 0);
    drop(clone);
    assert_eq!(woken.count(), 1);
    assert!(matches!(poll(&mut subscription, &waker), Poll::Ready(None)));
}

// ------------------------------------------------------------------------------------------------------- wakers

#[derive(Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting_waker() -> (Arc<Counting>, Waker) {
    let counting = Arc::new(Counting::default());
    (Arc::clone(&counting), counting.into())
}

fn poll<E, S: Clone>(subscription: &mut Subscription<E, S>, waker: &Waker) -> Poll<Option<Delivery<E, S>>> {
    subscription.poll_next(&mut Context::from_waker(waker))
}

fn parked<E, S>(log: &Log<E, S>) -> usize {
    log.shared().lock().sleepers.places()
}

/// A burst wakes a sleeper once, and who is awake not at all.
#[test]
fn a_burst_wakes_once() {
    let log = empty(0, 1_000, 0);
    let (woken, waker) = counting_waker();
    let mut subscription = log.subscribe(Start::Now);
    for round in 1..=3 {
        assert!(poll(&mut subscription, &waker).is_pending());
        for number in 0..100 {
            log.publish([number], number);
        }
        assert_eq!(woken.count(), round);
        assert!(poll(&mut subscription, &waker).is_ready());
        log.publish([0], 0);
        assert_eq!(woken.count(), round);
        while subscription.try_next().is_some() {}
    }
}

/// Of several polls the last one's waker counts, and it is the only one that is kept.
#[test]
fn a_waker_is_replaced() {
    let log = empty(0, 10, 0);
    let mut subscription = log.subscribe(Start::Now);
    let (first, first_waker) = counting_waker();
    let (second, second_waker) = counting_waker();
    for waker in [&first_waker, &second_waker, &first_waker, &second_waker] {
        assert!(poll(&mut subscription, waker).is_pending());
    }
    assert_eq!((parked(&log), Arc::strong_count(&first)), (1, 2));
    log.publish([1], 1);
    assert_eq!((first.count(), second.count()), (0, 1));
}

/// Who goes while asleep leaves nothing behind and is not woken; its place is used again. A place of a former
/// round is not taken for one of this round.
#[test]
fn a_sleeper_goes() {
    let log = empty(0, 10, 0);
    let (stayed, stayed_waker) = counting_waker();
    let (gone, gone_waker) = counting_waker();
    let mut stays = log.subscribe(Start::Now);
    assert!(poll(&mut stays, &stayed_waker).is_pending());
    for _visitor in 0..1_000 {
        let mut visitor = log.subscribe(Start::Now);
        assert!(poll(&mut visitor, &gone_waker).is_pending());
        assert_eq!(log.subscribers(), 2);
    }
    assert_eq!((log.subscribers(), parked(&log), Arc::strong_count(&gone)), (1, 2, 2));

    let mut late = log.subscribe(Start::Now);
    assert!(poll(&mut late, &gone_waker).is_pending());
    log.publish([1], 1);
    assert!(poll(&mut stays, &stayed_waker).is_ready());
    assert!(poll(&mut stays, &stayed_waker).is_pending());
    drop(late);
    log.publish([2], 2);
    assert_eq!((stayed.count(), gone.count()), (2, 1));
}

/// A place that became free before a burst is not handed out after it, when another sleeps there.
#[test]
fn free_places_end_with_their_round() {
    let log = empty(0, 10, 0);
    let sleeper = |waker: &Waker| {
        let mut subscription = log.subscribe(Start::Now);
        assert!(poll(&mut subscription, waker).is_pending());
        subscription
    };
    let _first = sleeper(Waker::noop());
    drop(sleeper(Waker::noop()));
    log.publish([1], 1);
    let (gone, gone_waker) = counting_waker();
    let (stayed, stayed_waker) = counting_waker();
    let goes = sleeper(&gone_waker);
    let _stays = sleeper(&stayed_waker);
    drop(goes);
    log.publish([2], 2);
    assert_eq!((gone.count(), stayed.count()), (0, 1));
}

/// Wakers run without the lock: they may use the log, and even publish.
#[test]
fn wakers_may_use_the_log() {
    struct Nosy(Log<u64, u64>);
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            let (revision, snapshot) = self.0.snapshot();
            self.0.publish([self.0.subscribers() as u64], snapshot + revision);
        }
    }
    let log = empty(0, 10, 0);
    let mut subscription = log.subscribe(Start::Now);
    let waker = Arc::new(Nosy(log.clone())).into();
    assert!(poll(&mut subscription, &waker).is_pending());
    log.publish([10], 10);
    assert_eq!(drain(&mut subscription), "1:10 2:1");
    assert_eq!(log.snapshot(), (2, 11));
}

/// Tasks of one thread: every one of them is woken by every burst, and a `next` that is given up loses nothing.
#[tokio::test]
async fn tasks() {
    let log = empty(0, 1_000, 0);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut subscription = log.subscribe(Start::Now);
        tasks.spawn(async move {
            let mut seen = Vec::<u64>::new();
            loop {
                let delivery = if number % 2 == 0 {
                    subscription.next().await
                } else {
                    tokio::select! {
                        biased;
                        delivery = subscription.next() => delivery,
                        () = tokio::task::yield_now() => continue,
                    }
                };
                match delivery {
                    Some(Delivery::Events(batch)) => {
                        seen.extend(batch.events());
                    }
                    Some(Delivery::Resync { .. }) => panic!("nobody was overrun"),
                    None => return seen,
                }
            }
        });
    }
    for burst in 0_u64..50 {
        log.publish(burst * 10..burst * 10 + 5, 0);
        log.publish(burst * 10 + 5..burst * 10 + 10, 0);
        tokio::task::yield_now().await;
    }
    log.close();
    let seen = tokio::time::timeout(DEADLINE, tasks.join_all()).await.unwrap();
    assert_eq!(seen, vec![(0..500).collect::<Vec<u64>>(); 100]);
}

// ------------------------------------------------------------------------------------------------------ threads

struct Unparks(thread::Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs on a thread of its own until the end of the log, and says every revision it has reached.
fn follow(mut subscription: Subscription<u64, u64>, reached: &mpsc::Sender<u64>) -> u64 {
    let waker = Arc::new(Unparks(thread::current())).into();
    let (mut sum, mut known) = (0, subscription.cursor().revision);
    loop {
        let next = pin!(subscription.next()).poll(&mut Context::from_waker(&waker));
        match next {
            Poll::Pending => thread::park(),
            Poll::Ready(None) => return sum,
            Poll::Ready(Some(Delivery::Resync { revision, snapshot })) => {
                assert!(revision > known, "a resync goes forward");
                (sum, known) = (snapshot, revision);
                reached.send(known).unwrap();
            }
            Poll::Ready(Some(Delivery::Events(batch))) => {
                for (revision, event) in batch.iter() {
                    assert_eq!(revision, known + 1, "lost, doubled or out of order");
                    (sum, known) = (sum + event, revision);
                }
                reached.send(known).unwrap();
            }
        }
    }
}

/// Readers on threads of their own: at each step each is woken (one step waits for the one before, so that they
/// sleep in between), and in a storm the sums are right, with and without being overrun.
#[test]
fn threads() {
    const READERS: usize = 4;
    for retention_events_max in [20, 1 << 20] {
        let log = empty(0, retention_events_max, 0);
        let mut sum = 0;
        let mut publish = |count: u64| {
            let events: Vec<u64> = (0..count).map(|number| log.revision() * 31 + number).collect();
            sum += events.iter().sum::<u64>();
            log.publish(events, sum);
            sum
        };
        thread::scope(|scope| {
            let (readers, progress): (Vec<_>, Vec<_>) = (0..READERS)
                .map(|_reader| {
                    let (reached, progress) = mpsc::channel();
                    let subscription = log.subscribe(Start::Now);
                    (scope.spawn(move || follow(subscription, &reached)), progress)
                })
                .unzip();
            for step in 0..2_000 {
                publish(1 + step % 3);
                for progress in &progress {
                    while progress.recv_timeout(DEADLINE).unwrap() != log.revision() {}
                }
            }
            for step in 0..20_000 {
                publish(1 + step % 5);
            }
            let sum = publish(1);
            log.close();
            for (reader, progress) in readers.into_iter().zip(progress) {
                while progress.recv_timeout(DEADLINE).unwrap() != log.revision() {}
                assert_eq!(reader.join().unwrap(), sum);
            }
        });
        assert_eq!((log.subscribers(), log.snapshot()), (0, (log.revision(), sum)));
    }
}

/// Several publishers at once: each event has a revision of its own, and all readers see the same order.
#[test]
fn publishers() {
    let log = empty(0, 1 << 20, ());
    let mut readers = [log.subscribe(Start::Now), log.subscribe(Start::Now)];
    thread::scope(|scope| {
        for publisher in 0..3 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..1_000 {
                    log.publish([(publisher, number), (publisher, number)], ());
                }
            });
        }
    });
    let [one, other] = readers.each_mut().map(|reader| {
        let mut events = Vec::new();
        while let Some(Delivery::Events(batch)) = reader.try_next() {
            events.extend(batch.iter().map(|(revision, event)| (revision, *event)));
        }
        events
    });
    assert_eq!(one, other);
    assert!(one.iter().map(|(revision, _event)| *revision).eq(1..=6_000));
    for publisher in 0..3 {
        let own = one.iter().filter(|(_, event)| event.0 == publisher).map(|(_, event)| event.1);
        assert!(own.eq((0..1_000).flat_map(|number| [number, number])), "a publisher's order is kept");
    }
}

// ------------------------------------------------------------------------------------------------------- memory

/// What is beyond the retention is freed, however long somebody sleeps; a batch in the hand keeps its own segment
/// and no more.
#[test]
fn memory() {
    for retention_events_max in [0, 1, 7, 100, 5_000] {
        let alive = Arc::new(());
        let log = empty::<Arc<()>, ()>(0, retention_events_max, ());
        let _sleeper = log.subscribe(Start::Now);
        let mut reader = log.subscribe(Start::Now);
        let mut held = None;
        for number in 0..20_000 {
            log.publish(vec![Arc::clone(&alive); 1 + number % 3], ());
            let delivery = reader.try_next();
            if number == 10_000 {
                held = delivery;
            }
            let pinned = match &held {
                Some(Delivery::Events(_)) => 256,
                _ => 0,
            };
            assert!(Arc::strong_count(&alive) - 1 <= retention_events_max + pinned, "{retention_events_max}");
        }
        drop(held);
        assert!(Arc::strong_count(&alive) - 1 <= retention_events_max);
        drop((log, reader));
        let whole = Arc::strong_count(&alive) - 1;
        assert!(whole <= retention_events_max, "subscriptions keep the log as it was at the end");
    }
}

/// Events and snapshots are dropped outside the lock: their destructors may use the log.
#[test]
fn destructors_may_use_the_log() {
    struct Nosy(Weak<Log<Self, Arc<Self>>>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _subscribers = self.0.upgrade().map(|log| log.subscribers());
        }
    }
    let log = Arc::new_cyclic(|log| empty(0, 2, Arc::new(Nosy(Weak::clone(log)))));
    let nosy = || Nosy(Arc::downgrade(&log));
    for _event in 0..10 {
        log.publish([nosy(), nosy(), nosy()], Arc::new(nosy()));
    }
    log.close();
    log.publish([nosy()], Arc::new(nosy()));
    assert_eq!(log.revision(), 30);
}

// ---------------------------------------------------------------------------------------------------- any script

#[derive(Debug, Clone)]
enum Op {
    Publish(Vec<u64>),
    /// From the snapshot, from the end, or so far from the end (ahead if negative).
    Snapshot,
    Now,
    Behind(i64),
    /// One delivery to the subscriber of that number, held or let go.
    Read(usize, bool),
    /// Lets go of what a subscriber holds.
    Release(usize),
    Unsubscribe(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => prop::collection::vec(0..1_000_u64, 0..6).prop_map(Op::Publish),
        1 => prop::collection::vec(0..1_000_u64, 0..60).prop_map(Op::Publish),
        1 => Just(Op::Snapshot),
        1 => Just(Op::Now),
        2 => (-3..60_i64).prop_map(Op::Behind),
        8 => (0..8_usize, any::<bool>()).prop_map(|(subscriber, hold)| Op::Read(subscriber, hold)),
        1 => (0..8_usize).prop_map(Op::Release),
        1 => (0..8_usize).prop_map(Op::Unsubscribe),
    ]
}

/// A fold in which order, loss and doubling show.
fn fold(snapshot: u64, event: u64) -> u64 {
    snapshot.wrapping_mul(1_000_003).wrapping_add(event + 1)
}

/// The snapshot at every revision since the first.
struct History {
    first: u64,
    snapshots: Vec<u64>,
    retention_events_max: usize,
}

struct Follower {
    subscription: Subscription<u64, u64>,
    /// Revision and snapshot; `None` if it was lost from the start and has had no resync yet.
    known: Option<(u64, u64)>,
    held: Vec<Delivery<u64, u64>>,
}

impl History {
    fn last(&self) -> u64 {
        self.first + self.snapshots.len() as u64 - 1
    }

    fn at(&self, revision: u64) -> u64 {
        self.snapshots[usize::try_from(revision - self.first).unwrap()]
    }

    fn missed(&self, revision: u64) -> usize {
        usize::try_from(self.last() - revision).unwrap()
    }

    /// Whether so old a cursor must be known.
    fn certain(&self, revision: u64) -> bool {
        let certain = (self.retention_events_max * 7).div_ceil(8);
        revision >= self.first && revision <= self.last() && self.missed(revision) <= certain
    }

    /// Whether so old a cursor may be known.
    fn possible(&self, revision: u64) -> bool {
        revision >= self.first
            && revision <= self.last()
            && self.missed(revision) <= self.retention_events_max
    }
}

impl Follower {
    /// Reads one delivery and checks it against the history; says whether there was one.
    fn read(&mut self, history: &History, hold: bool) -> bool {
        let Some(delivery) = self.subscription.try_next() else {
            let end = (history.last(), history.at(history.last()));
            assert_eq!(self.known, Some(end), "there was something to read");
            return false;
        };
        match &delivery {
            Delivery::Resync { revision, snapshot } => {
                assert!(self.known.is_none_or(|(known, _)| !history.certain(known)), "a resync without need");
                assert_eq!((*revision, *snapshot), (history.last(), history.at(history.last())));
                self.known = Some((*revision, *snapshot));
            }
            Delivery::Events(batch) => {
                let (mut revision, mut snapshot) = self.known.expect("a resync comes first");
                assert!(history.possible(revision), "beyond the retention");
                assert!(!batch.is_empty() && batch.iter().len() == batch.len());
                for (next, event) in batch.iter() {
                    assert_eq!(next, revision + 1);
                    (revision, snapshot) = (next, fold(snapshot, *event));
                }
                assert_eq!((revision, snapshot), (batch.last(), history.at(revision)));
                self.known = Some((revision, snapshot));
            }
        }
        assert_eq!(Some(self.subscription.cursor().revision), self.known.map(|(revision, _)| revision));
        if hold {
            self.held.push(delivery);
        }
        true
    }
}

fn subscribe(log: &Log<u64, u64>, history: &History, start: Start) -> Follower {
    let mut subscription = log.subscribe(start);
    let known = match start {
        Start::Snapshot => None,
        Start::Now => Some((history.last(), history.at(history.last()))),
        Start::After(cursor) if history.certain(cursor.revision) => {
            Some((cursor.revision, history.at(cursor.revision)))
        }
        Start::After(cursor) if !history.possible(cursor.revision) => None,
        // In the segment that may be forgotten or not: the log decides, the first delivery tells.
        Start::After(cursor) => {
            let mut probe = log.subscribe(Start::After(cursor));
            match probe.try_next() {
                Some(Delivery::Events(_)) => Some((cursor.revision, history.at(cursor.revision))),
                _ => None,
            }
        }
    };
    if known.is_none() {
        let resync = subscription.try_next();
        assert!(matches!(resync, Some(Delivery::Resync { .. })), "{start:?} needs a resync, not {resync:?}");
        subscription = log.subscribe(start);
    }
    Follower { subscription, known, held: Vec::new() }
}

fn run(first: u64, retention_events_max: usize, script: Vec<Op>) {
    let log = empty(first, retention_events_max, 0);
    let mut history = History { first, snapshots: vec![0], retention_events_max };
    let mut followers: Vec<Follower> = Vec::new();
    for op in script {
        let pick = |number: usize| number % followers.len().max(1);
        match op {
            Op::Publish(events) => {
                let mut snapshot = history.at(history.last());
                for event in &events {
                    snapshot = fold(snapshot, *event);
                    history.snapshots.push(snapshot);
                }
                log.publish(events, snapshot);
            }
            Op::Snapshot => followers.push(subscribe(&log, &history, Start::Snapshot)),
            Op::Now => followers.push(subscribe(&log, &history, Start::Now)),
            Op::Behind(distance) => {
                let cursor = at(history.last().saturating_add_signed(-distance));
                followers.push(subscribe(&log, &history, Start::After(cursor)));
            }
            Op::Read(number, hold) => {
                let number = pick(number);
                followers.get_mut(number).map(|follower| follower.read(&history, hold));
            }
            Op::Release(number) => {
                let number = pick(number);
                if let Some(follower) = followers.get_mut(number) {
                    follower.held.clear();
                }
            }
            Op::Unsubscribe(number) => {
                let number = pick(number);
                if number < followers.len() {
                    drop(followers.swap_remove(number));
                }
            }
        }
        assert_eq!(log.snapshot(), (history.last(), history.at(history.last())));
        assert_eq!(log.subscribers(), followers.len());
    }
    for follower in &mut followers {
        while follower.read(&history, false) {}
    }
}

proptest! {
    /// For any script: what is handed out follows the cursor and folds to the snapshot, whoever holds batches, comes
    /// or goes; a resync comes only to who is behind the retention, and brings it to the end.
    #[test]
    fn any_script(first in 0..5_u64, retention in 0..70_usize, script in prop::collection::vec(op(), 0..200)) {
        run(first, retention, script);
    }
}

/// Another epoch is one resync for everyone, however many epochs were slept through: for who waits, for who is behind,
/// for who was up to date at the same revision; and no cursor of before is known.
#[test]
fn another_epoch() {
    let log = empty(0, 100, 0);
    log.publish([1, 2, 3], 6);
    let [mut current, mut behind, mut waiting] =
        [at(3), at(1), at(3)].map(|cursor| log.subscribe(Start::After(cursor)));
    assert_eq!(drain(&mut current), "");
    let mut next = pin!(waiting.next());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut cx).is_pending());
    log.begin_epoch(Epoch(8), 2, 60);
    log.begin_epoch(Epoch(9), 3, 70);
    assert!(matches!(next.poll(&mut cx), Poll::Ready(Some(Delivery::Resync { revision: 3, snapshot: 70 }))));
    assert_eq!(
        (drain(&mut current), drain(&mut behind)),
        ("resync@3=70".to_owned(), "resync@3=70".to_owned())
    );
    assert_eq!((log.epoch(), log.cursor()), (Epoch(9), Cursor { epoch: Epoch(9), revision: 3 }));
    log.publish([4], 74);
    for subscription in [&mut current, &mut behind] {
        assert_eq!(drain(subscription), "4:4");
        assert_eq!(subscription.cursor(), Cursor { epoch: Epoch(9), revision: 4 });
    }
    for cursor in [at(3), Cursor { epoch: Epoch(8), revision: 2 }, Cursor { epoch: Epoch(9), revision: 2 }] {
        assert_eq!(drain(&mut log.subscribe(Start::After(cursor))), "resync@4=74", "{cursor}");
    }
    log.close();
    log.begin_epoch(Epoch(10), 9, 90);
    assert_eq!(log.epoch(), Epoch(9));
}
