//! A disk that fails, and one that hangs.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
};

use cluster_core::{Cursor, Start};

use super::{
    super::{StateHealth, WAITING_EVENTS_MAX},
    *,
};

/// The disk is tried again at once.
const EAGER: Timing = Timing { write_max: DEADLINE, retry_interval: Duration::ZERO };

/// A journal to which nothing can be written.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A journal on which a write hangs until somebody reads from the other end.
fn hanging() -> (File, File) {
    let (reader, writer) = std::io::pipe().unwrap();
    let (reader, mut writer) = (File::from(OwnedFd::from(reader)), File::from(OwnedFd::from(writer)));
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[0; 4_096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// A write that fails costs no event: all subscribers go on in a new epoch with one resync. When the disk works again
/// the new epoch is on it, with nothing missing.
#[test]
fn write_fails() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), 10);
    let mut opened = open(directory.path());
    opened.store.journal = Some(full());
    let mut publisher = publisher(opened, EAGER);
    let (log, watch) = (publisher.log().clone(), publisher.watch());
    let mut subscription = log.subscribe(Start::After(Cursor { epoch, revision: 10 }));
    hand_on(&mut publisher, 11..=11);
    wait_for(&log, |log| log.epoch() != epoch && watch.health() == StateHealth::Written);
    assert_eq!(drain(&mut subscription), ["resync 11"]);
    hand_on(&mut publisher, 12..=40);
    wait_for(&log, |log| log.revision() == 40);
    let expected: Vec<_> = (12..=40).map(|revision| revision.to_string()).collect();
    assert_eq!(drain(&mut subscription), expected);
    close(publisher);
    check_is(&open(directory.path()), subscription.cursor().epoch, 40);
}

/// While the disk cannot be written the host goes on and says why; a restart then goes on from what was told last of the
/// epoch before.
#[test]
fn stays_failing() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("state");
    let epoch = written(&directory, 10);
    let mut opened = open(&directory);
    opened.store.journal = Some(full());
    let mut publisher = publisher(opened, EAGER);
    let (log, watch) = (publisher.log().clone(), publisher.watch());
    let moved = temporary.path().join("moved");
    fs::rename(&directory, &moved).unwrap();
    hand_on(&mut publisher, 11..=11);
    wait_for(&log, |log| log.epoch() != epoch);
    let other = log.epoch();
    hand_on(&mut publisher, 12..=500);
    assert_eq!(log.latest().1.members, snapshot(500).members);
    wait_for(&log, |_| watch.health().reason().is_some_and(|reason| reason.contains("No such file")));
    close(publisher);
    assert_eq!((log.epoch(), log.revision()), (other, 500));
    check_is(&open(&moved), epoch, 10);
}

/// A disk that hangs is waited for so long, and no longer. When it comes back, what it has written late is of no
/// account: the new epoch is written whole.
#[test]
fn write_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), 10);
    let mut opened = open(directory.path());
    let (mut reader, writer) = hanging();
    opened.store.journal = Some(writer);
    let timing = Timing { write_max: Duration::from_secs(1), retry_interval: Duration::ZERO };
    let mut publisher = publisher(opened, timing);
    let (log, watch) = (publisher.log().clone(), publisher.watch());
    let mut subscription = log.subscribe(Start::After(Cursor { epoch, revision: 10 }));
    assert_eq!(publisher.due(), None);
    hand_on(&mut publisher, 11..=13);
    let due = publisher.due().unwrap();
    publisher.handle_timeout(due.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!((log.epoch(), log.revision(), watch.health()), (epoch, 10, StateHealth::Written));
    publisher.handle_timeout(due);
    assert_eq!(publisher.due(), None);
    assert_eq!(watch.health().to_string(), "failing: the disk has not written within 1s");
    assert_eq!(drain(&mut subscription), ["resync 13"]);
    hand_on(&mut publisher, 14..=20);
    assert_eq!(log.revision(), 20);
    let reading = std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
    wait_for(&log, |_| watch.health() == StateHealth::Written);
    hand_on(&mut publisher, 21..=30);
    wait_for(&log, |log| log.revision() == 30);
    close(publisher);
    let _all_read = reading.join().unwrap();
    let expected: Vec<_> = (14..=30).map(|revision| revision.to_string()).collect();
    assert_eq!(drain(&mut subscription), expected);
    check_is(&open(directory.path()), subscription.cursor().epoch, 30);
}

/// What waits for a disk that hangs is limited by number, too.
#[test]
fn too_many_wait() {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = open(directory.path());
    let (reader, writer) = hanging();
    opened.store.journal = Some(writer);
    let mut publisher = publisher(opened, PATIENT);
    let (log, watch) = (publisher.log().clone(), publisher.watch());
    let mut revision = 0;
    while watch.health() == StateHealth::Written {
        hand_on(&mut publisher, revision + 1..=revision + 100);
        revision += 100;
        let events = (1..=16_000).map(|_| event(1)).collect();
        publisher.publish(events, snapshot(revision));
        assert!(revision < 10 * WAITING_EVENTS_MAX as u64);
    }
    assert_eq!(log.revision(), revision);
    drop(reader);
    close(publisher);
}

/// A directory that can be read and not written at the start is no reason not to start: the members are there, in a new
/// epoch.
#[test]
fn cannot_begin() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), 10);
    let mut opened = open(directory.path());
    opened.failure = Some("read-only file system".to_owned());
    let publisher = publisher(opened, PATIENT);
    assert_ne!(publisher.log().epoch(), epoch);
    assert_eq!(publisher.log().latest().1.members, snapshot(10).members);
    assert_eq!(publisher.watch().health().to_string(), "failing: read-only file system");
    close(publisher);
}
