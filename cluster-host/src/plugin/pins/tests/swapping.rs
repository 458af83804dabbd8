//! Between the check and the loading the file is somebody else's.

use std::{
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use cluster_sdk::OfferKind;

use super::*;
use crate::plugin::{LoadError, load, loader};

/// How often the pinned content must have been found, and how often another.
const ROUNDS: usize = 50;

/// Ends a thread, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Exchanges the file for another as fast as it goes, and changes each in place: the contents differ in their last
/// bytes only.
fn exchange(place: &Place, stop: &AtomicBool) {
    let (new, bytes) = (place.path("new"), plugin("one"));
    let files = ["first", "second"].map(|name| place.path(name));
    for file in &files {
        write(file, &bytes);
    }
    for file in files.iter().cycle() {
        fs::hard_link(file, &new).unwrap();
        fs::rename(&new, place.file()).unwrap();
        let opened = File::options().write(true).open(file).unwrap();
        for mark in ["two", "one"].iter().cycle().take(100) {
            opened.write_all_at(mark.as_bytes(), bytes.len() as u64 - 3).unwrap();
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// However often the file is exchanged meanwhile, what there is to load has the pinned content, byte by byte, or there
/// is nothing to load; and it stays so after the file has changed again.
#[test]
fn what_is_loaded_is_what_was_pinned() {
    let place = Place::new();
    let one = place.put("one");
    let registry = place.pin(&format!("sha256.plugin-faulty = '{one}'")).unwrap();
    let Ok(seen) = &registry.files()[0].result else { panic!("pinned") };
    let (stop, pinned) = (AtomicBool::new(false), plugin("one"));
    let (mut opened, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| exchange(&place, &stop));
        let _stop = Stop(&stop);
        while opened < ROUNDS || refused < ROUNDS {
            match loader::open(seen) {
                Ok((file, inspected)) => {
                    opened += 1;
                    assert_eq!(inspected.content, Some(one));
                    let mut bytes = Vec::new();
                    content::read_chunks(&file, |chunk| bytes.extend_from_slice(chunk)).unwrap();
                    assert!(bytes == pinned);
                }
                Err(LoadError::Changed(_) | LoadError::Refused(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    });
    println!("{opened} times the pinned content, {refused} times nothing");
}

/// What is mapped into the process is the sealed copy, once for a content, and the file is not needed any more.
#[test]
fn the_copy_is_loaded() {
    let place = Place::new();
    let mark = format!("mapped {}", std::process::id());
    let content = place.put(&mark);
    let registry = place.pin(&format!("sha256.plugin-faulty = '{content}'")).unwrap();
    let mapped = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let of = |what: &str| maps.lines().filter(|line| line.contains(what)).count();
        (of("/memfd:cluster-host-plugin"), of(place.file().to_str().unwrap()))
    };
    let before = mapped().0;
    let source = registry.find(OfferKind::Strategy, "fixed").unwrap();
    let loaded = load(source).unwrap();
    assert_eq!(loaded.ping(7), 7);
    let once = mapped();
    assert!(once.0 > before && once.1 == 0, "{once:?}");
    fs::remove_file(place.file()).unwrap();
    assert_eq!(load(source).unwrap().ping(7), 7);
    assert_eq!(mapped(), once);
}
