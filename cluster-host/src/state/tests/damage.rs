//! Files that are cut short, and files that are not what was written.

use std::fs;

use super::{
    super::{
        directory::Directory,
        load::{self, Loaded},
    },
    *,
};

/// A history of which the newest generation, and the one before it, have some of everything.
const REVISION: u64 = 29;

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

/// The names of the files, in order.
fn files(directory: &Path, extension: &str) -> Vec<std::ffi::OsString> {
    let paths = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let found = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    let mut names: Vec<_> = found.map(|path| path.file_name().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The journal cut short at each byte, as by a machine that stops while it is written: all whole events are there, the
/// epoch goes on, and so does the journal. Only where not even its first line is whole, which was on disk before the
/// snapshot, another epoch begins.
#[test]
fn torn() {
    let whole = tempfile::tempdir().unwrap();
    let epoch = written(whole.path(), REVISION);
    let name = files(whole.path(), "journal").pop().unwrap();
    let bytes = fs::read(whole.path().join(&name)).unwrap();
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let begin = REVISION + 1 - lines(&bytes);
    assert!(begin + 2 <= REVISION, "the newest journal has some events");
    for length in 0..bytes.len() {
        fs::write(whole.path().join(&name), &bytes[..length]).unwrap();
        let loaded = load(whole.path());
        let events = lines(&bytes[..length]).checked_sub(1);
        let revision = begin + events.unwrap_or(0);
        assert_eq!(loaded.epoch, events.map(|_| epoch), "{length}");
        assert_eq!(loaded.snapshot.members, snapshot(revision).members, "{length}");
        if length % 97 == 0 {
            let directory = copy(whole.path());
            let opened = open(directory.path());
            let (epoch, begin, events) = (opened.epoch, begin, events.unwrap_or(0));
            check_is(&opened, epoch, revision);
            let mut publisher = publisher(opened, PATIENT);
            hand_on(&mut publisher, begin + events + 1..=begin + events + 3);
            close(publisher);
            check_is(&open(directory.path()), epoch, begin + events + 3);
        }
    }
}

/// A bit of each byte of the newest journal turned, and of many bytes of the other files: either all is there, or another
/// epoch begins with what can be had. What was told is never told differently.
#[test]
fn turned_bits() {
    let whole = tempfile::tempdir().unwrap();
    let epoch = written(whole.path(), REVISION);
    let journals = files(whole.path(), "journal");
    let (newest, older) = journals.split_last().unwrap();
    let others = [files(whole.path(), "snapshot"), older.to_vec()].concat();
    let strides = others.iter().map(|name| (name, 13)).chain([(newest, 1)]);
    let mut random = fastrand::Rng::with_seed(3);
    let (mut fresh, mut all) = (0, 0);
    for (name, stride) in strides {
        let file = whole.path().join(name);
        let bytes = fs::read(&file).unwrap();
        for place in (0..bytes.len()).step_by(stride) {
            let mut turned = bytes.clone();
            turned[place] ^= 1 << random.u8(..8);
            fs::write(&file, turned).unwrap();
            let loaded = load(whole.path());
            let revision = loaded.snapshot.revision;
            assert_eq!(loaded.snapshot.members, snapshot(revision).members, "{name:?} {place}");
            match loaded.epoch {
                Some(known) => assert_eq!((known, revision), (epoch, REVISION), "{name:?} {place}"),
                None => assert!(!loaded.damage.is_empty(), "{name:?} {place}"),
            }
            *(if loaded.epoch.is_some() { &mut all } else { &mut fresh }) += 1;
            if place % (40 * stride) == 0 {
                let directory = copy(whole.path());
                let expected = loaded.epoch.unwrap_or(FRESH);
                check_is(&open(directory.path()), expected, revision);
                check_is(&open(directory.path()), expected, revision);
            }
        }
        fs::write(&file, bytes).unwrap();
    }
    assert!(fresh > 0 && all > 0, "{fresh} new epochs, {all} times all was there");
}

fn load(directory: &Path) -> Loaded {
    let directory = Directory::take(directory).unwrap();
    load::load(&directory, &identity(), LIMITS.retention_events_max).unwrap()
}

/// A damaged snapshot costs nothing while the one before it and the journals are whole; it is kept for whoever wants to
/// look at it, and a whole one takes its place.
#[test]
fn damaged_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = written(directory.path(), REVISION);
    let newest = files(directory.path(), "snapshot").pop().unwrap();
    fs::write(directory.path().join(&newest), "junk\n").unwrap();
    check_is(&open(directory.path()), epoch, REVISION);
    assert_eq!(files(directory.path(), "damaged").len(), 1);
    assert!(files(directory.path(), "snapshot").pop().unwrap() > newest);
    check_is(&open(directory.path()), epoch, REVISION);
}

/// Where nothing can be read, a new epoch begins with nobody, and the files are set aside, a limited number of them.
#[test]
fn nothing_valid() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        written(directory.path(), REVISION);
        for extension in ["snapshot", "journal"] {
            for name in files(directory.path(), extension) {
                fs::write(directory.path().join(name), [0; 100]).unwrap();
            }
        }
        check_is(&open(directory.path()), FRESH, 0);
        let damaged = files(directory.path(), "damaged").len();
        assert!((1..=super::super::DAMAGED_MAX).contains(&damaged), "{damaged}");
        fs::remove_dir_all(directory.path()).unwrap();
    }
}

/// A journal that is gone is no end of what was told.
#[test]
fn journal_gone() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), REVISION);
    let newest = files(directory.path(), "journal").pop().unwrap();
    fs::remove_file(directory.path().join(newest)).unwrap();
    let opened = open(directory.path());
    assert_eq!(opened.epoch, FRESH);
    assert_eq!(opened.snapshot.members, snapshot(opened.snapshot.revision).members);
}

/// A host that ends while it begins a new snapshot, at each of its steps: all is there.
#[test]
fn begun_in_vain() {
    let whole = tempfile::tempdir().unwrap();
    let epoch = written(whole.path(), REVISION);
    let newest = files(whole.path(), "journal").pop().unwrap();
    let header = fs::read_to_string(whole.path().join(newest)).unwrap();
    let header = header.lines().next().unwrap().as_bytes();
    for begun in [&[], &header[..20], header, &[header, b"\n"].concat()] {
        let directory = copy(whole.path());
        fs::write(directory.path().join("0000000099.journal"), begun).unwrap();
        fs::write(directory.path().join("0000000099.snapshot.new"), &header[..30]).unwrap();
        check_is(&open(directory.path()), epoch, REVISION);
        assert!(!directory.path().join("0000000099.snapshot.new").exists());
        check_is(&open(directory.path()), epoch, REVISION);
    }
}
