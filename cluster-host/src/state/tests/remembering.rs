//! What is there again after a restart, and whose directory it may be.

use std::{fs, os::unix::fs::PermissionsExt as _};

use cluster_core::{Cursor, Start};
use expect_test::{Expect, expect};

use super::*;

/// After a stop all is there again: epoch, revision, members, what the topologies asked, and the events as far back as
/// the log had them, so that whoever was there resumes; and so on after the next one.
#[test]
fn goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), 333);
    for revision in [333, 334, 336] {
        let opened = open(directory.path());
        check_is(&opened, epoch, revision);
        assert_eq!((opened.events.len(), opened.sources.clone()), (100, sources("one")));
        let mut publisher = publisher(opened, PATIENT);
        let log = publisher.log().clone();
        let mut subscription = log.subscribe(Start::After(Cursor { epoch, revision: revision - 50 }));
        let expected: Vec<_> = (revision - 49..=revision).map(|revision| revision.to_string()).collect();
        assert_eq!(drain(&mut subscription), expected);
        hand_on(&mut publisher, revision + 1..=revision + u64::from(revision > 333) + 1);
        close(publisher);
    }
}

/// The members are remembered whole, whatever they look like, and with a few files of limited size however long it goes
/// on.
#[test]
fn files() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 2_000);
    let mut names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    let most = 2 * (LIMITS.retention_events_max / 20 + 2) + 1;
    assert!(names.len() <= most, "{names:?}");
    for name in names {
        let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Without a change nothing is written: what only is shown beside the events goes by.
#[test]
fn nothing_to_write() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), 5);
    let size = || {
        let files = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().metadata().unwrap());
        files.map(|file| file.len()).sum::<u64>()
    };
    let (before, mut publisher) = (size(), publisher(open(directory.path()), PATIENT));
    let mut shown = snapshot(5);
    shown.topologies.insert("t".parse().unwrap(), Arc::new(status()));
    publisher.publish(Vec::new(), shown.clone());
    assert_eq!(publisher.log().latest(), (Cursor { epoch, revision: 5 }, shown));
    close(publisher);
    assert_eq!(size(), before);
}

fn status() -> cluster_core::TopologyStatus {
    cluster_core::TopologyStatus {
        health: cluster_core::Health::Running,
        reason: None,
        since: at(1),
        held: Vec::new(),
        remembered: Vec::new(),
        unclaimed: Vec::new(),
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "what is expected is written where it is passed")]
fn check_refused(directory: &Path, refused: Result<Opened, StateError>, expected: Expect) {
    let told = refused.map(|_| ()).unwrap_err().to_string();
    expected.assert_eq(&told.replace(directory.to_str().unwrap(), "DIR"));
}

/// A directory is refused in one line that says what to do: where another host is, where it is another's, where others
/// can write, where it is of a later version, where it is none.
#[test]
fn refusals() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = &temporary.path().join("a/state");
    let held = open(directory);
    check_refused(
        directory,
        try_open(directory),
        expect!["[state] directory DIR is in use by another host: give each its own"],
    );
    drop(held);
    let opened = |cluster: &str, node: Option<&str>| {
        let identity = Identity { cluster: cluster.to_owned(), node: node.map(name) };
        Opened::open(directory, identity, LIMITS, FRESH)
    };
    check_refused(
        directory,
        opened("other", Some("me@h")),
        expect![[
            r#"[state] directory DIR is of cluster "shop", and this is "other": give each its own, or remove what is in it"#
        ]],
    );
    check_refused(
        directory,
        opened("shop", Some("you@h")),
        expect![[
            r#"[state] directory DIR is of node "me@h", and this is "you@h": give each its own, or remove what is in it"#
        ]],
    );
    assert!(opened("shop", None).is_ok(), "a name that is not configured may be any");
    let set_mode = |mode| fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o770);
    check_refused(
        directory,
        try_open(directory),
        expect!["[state] directory DIR can be written by others (mode 770): chmod 700 it"],
    );
    set_mode(0o700);
    let journal = directory.join("0000000001.journal");
    let text = fs::read_to_string(&journal).unwrap();
    let newer = text.trim_end().split_once(' ').unwrap().1.replace("\"format\":1", "\"format\":2");
    fs::write(&journal, format!("{:08x} {newer}\n", crc32fast::hash(newer.as_bytes()))).unwrap();
    check_refused(
        directory,
        try_open(directory),
        expect![
            "DIR/0000000001.journal has format 2, and this version reads format 1 and before: run the version that wrote it, or remove what is in its directory"
        ],
    );
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    check_refused(
        &file,
        try_open(&file),
        expect![
            "[state] directory DIR: File exists (os error 17); make it a directory that the host may read and write"
        ],
    );
}

/// An operator can read it: a checksum, a space, and what the API tells.
#[test]
fn readable() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), 1);
    let text = fs::read_to_string(directory.path().join("0000000001.journal")).unwrap();
    let text: String = text.replace(&epoch.to_string(), "EPOCH");
    let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let (head, event) = (lines[0].split("\"at\"").next().unwrap(), lines[1]);
    expect![[r#"
        {"format":1,"kind":"journal","cluster":"shop","node":"me@h","epoch":"EPOCH","revision":0,"members":0,"sources":{},
        {"epoch":"EPOCH","revision":1,"cursor":"EPOCH:1","type":"node_updated","node":"n1@h","member":{"name":"n1@h","self":false,"state":"discovered","incarnation":null,"addresses":["10.0.0.1"],"attributes":{"at":"1","zone":"eu"},"topologies":[{"name":"t","link":"none","since":"1970-01-01T00:00:01.001000Z","reason":null}],"since":"1970-01-01T00:00:01.001000Z","reason":null},"topology":null,"reason":null,"at":"1970-01-01T00:00:01.001000Z"}
    "#]].assert_eq(&format!("{head}\n{event}\n"));
}
