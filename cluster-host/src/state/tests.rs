//! A made-up history, in which each revision has its own event, so that loss, doubling and reordering show.

mod damage;
mod failing;
mod killed;
mod remembering;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cluster_core::{
    Attributes, Delivery, Epoch, Event, EventKind, EventLog, LinkState, Member, MemberState, NodeName,
    Snapshot, Subscription, Vouched,
};

use super::{
    Limits, StateError,
    store::{Identity, Opened},
    writer::{Publisher, Timing},
};

/// The epoch that a directory gets where none goes on.
const FRESH: Epoch = Epoch(0xf);
/// Longer than any of this takes on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(120);
/// So small that new snapshots come often.
const LIMITS: Limits = Limits {
    journal_events_max: 20,
    journal_bytes_max: 1 << 20,
    retention_events_max: 100,
    generations_max: 12,
};
/// The disk has time.
const PATIENT: Timing = Timing { write_max: DEADLINE, retry_interval: DEADLINE };

fn identity() -> Identity {
    Identity { cluster: "shop".to_owned(), node: Some(name("me@h")) }
}

fn name(name: &str) -> NodeName {
    NodeName::try_new(name).unwrap()
}

fn at(revision: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_000 * revision + revision % 1_000)
}

/// The event that made a revision: seven nodes come, change and go.
fn event(revision: u64) -> Event {
    let node = name(&format!("n{}@h", revision % 7));
    let pick = |count: u64| usize::try_from(revision / 7 % count).unwrap();
    let is_gone = revision.is_multiple_of(13);
    let reason = revision.is_multiple_of(3).then(|| format!("at {revision}, \"quoted\"\n").into());
    let member = (!is_gone).then(|| {
        let link =
            [LinkState::None, LinkState::Down, LinkState::Connecting, LinkState::Up, LinkState::Unknown];
        let states = [MemberState::Discovered, MemberState::Up, MemberState::Down, MemberState::Leaving];
        let vouched = Vouched {
            name: "t".parse().unwrap(),
            link: link[pick(5)],
            since: at(revision),
            reason: reason.clone(),
        };
        let revision_text = revision.to_string();
        let attributes: Attributes = [("zone", "eu"), ("at", revision_text.as_str())].into_iter().collect();
        Arc::new(Member {
            name: node.clone(),
            is_self: revision.is_multiple_of(7),
            state: states[pick(4)],
            incarnation: revision.is_multiple_of(2).then_some(u64::MAX - revision),
            addresses: vec![format!("10.0.0.{}", revision % 7)].into(),
            attributes,
            topologies: vec![vouched].into(),
            since: at(revision),
            reason: reason.clone(),
        })
    });
    if revision.is_multiple_of(11) {
        let topology = Some("t".parse().unwrap());
        let kind = EventKind::TopologyChanged;
        return Event {
            revision,
            kind,
            node: None,
            member: None,
            topology,
            status: None,
            reason,
            at: at(revision),
        };
    }
    let kind = if is_gone { EventKind::NodeLeft } else { EventKind::NodeUpdated };
    Event { revision, kind, node: Some(node), member, topology: None, status: None, reason, at: at(revision) }
}

/// The members after a revision.
fn snapshot(revision: u64) -> Snapshot {
    let mut snapshot = Snapshot::default();
    (1..=revision).for_each(|revision| snapshot.fold(&event(revision)));
    snapshot
}

fn sources(fingerprint: &str) -> BTreeMap<cluster_core::TopologyName, String> {
    [("t".parse().unwrap(), fingerprint.to_owned())].into()
}

fn try_open(directory: &Path) -> Result<Opened, StateError> {
    Opened::open(directory, identity(), LIMITS, FRESH)
}

fn open(directory: &Path) -> Opened {
    try_open(directory).unwrap()
}

fn publisher(opened: Opened, timing: Timing) -> Publisher {
    Publisher::timed(opened, fastrand::Rng::with_seed(7), timing).unwrap()
}

/// Hands on the events up to a revision, each for itself.
fn hand_on(publisher: &mut Publisher, revisions: std::ops::RangeInclusive<u64>) {
    let mut now = snapshot(revisions.start() - 1);
    for revision in revisions {
        let event = event(revision);
        now.fold(&event);
        publisher.publish(vec![event], now.clone());
    }
}

#[track_caller]
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await }).unwrap()
}

/// Waits until something of the log is as it should be.
#[track_caller]
fn wait_for(log: &EventLog, is_so: impl Fn(&EventLog) -> bool) {
    block_on(async {
        while !is_so(log) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn close(publisher: Publisher) {
    block_on(publisher.close());
}

/// A directory with the history up to a revision, and its epoch.
fn written(directory: &Path, revision: u64) -> Epoch {
    let mut publisher = publisher(open(directory), PATIENT);
    let log = publisher.log().clone();
    publisher.set_sources(&sources("one"));
    for first in (1..=revision).step_by(5) {
        let last = revision.min(first + 4);
        hand_on(&mut publisher, first..=last);
        wait_for(&log, |log| log.revision() == last);
    }
    close(publisher);
    log.epoch()
}

/// What is open is the history up to a revision, as far back as it should be.
#[track_caller]
fn check_is(opened: &Opened, epoch: Epoch, revision: u64) {
    assert_eq!(opened.failure, None);
    assert_eq!((opened.epoch, opened.snapshot.revision), (epoch, revision));
    assert_eq!(opened.snapshot.members, snapshot(revision).members);
    check_events(opened);
}

/// The events lead to the revision without a gap.
#[track_caller]
fn check_events(opened: &Opened) {
    let first = opened.snapshot.revision + 1 - opened.events.len() as u64;
    for (event, revision) in opened.events.iter().zip(first..) {
        assert_eq!(*event, self::event(revision));
    }
}

/// All that there is to read.
fn drain(subscription: &mut Subscription<Event, Snapshot>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(delivery) = subscription.try_next() {
        let cursor = subscription.cursor();
        match delivery {
            Delivery::Resync { .. } => told.push(format!("resync {}", cursor.revision)),
            Delivery::Events(batch) => told.extend(batch.iter().map(|(revision, _)| revision.to_string())),
        }
    }
    told
}
