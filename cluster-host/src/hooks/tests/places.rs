//! How far a hook is, across lives of a host.

use std::fs;

use cluster_core::{Cursor, Epoch};
use tokio::time::sleep;

use super::{
    super::place::{Found, Place, SAVE_INTERVAL},
    EPOCH, LINES, Rig, life, revisions, up_to,
};

fn cursor(revision: u64) -> Cursor {
    Cursor { epoch: EPOCH, revision }
}

/// After a crash a hook goes on where it was: at most what was delivered last comes twice, nothing is left out, and it
/// stays in order.
#[test]
fn crashes() {
    let mut rig = Rig::new();
    for published in 1..=20 {
        life(async || {
            rig.hooks = super::Hooks::default();
            rig.apply(LINES);
            rig.publish(3);
            // Some lives are too short for all of it.
            let wanted = rig.lines("lines").len() + published % 4;
            rig.wait("some of it", |rig| rig.lines("lines").len() >= wanted).await;
        });
    }
    life(async || {
        rig.hooks = super::Hooks::default();
        rig.apply(LINES);
        rig.wait_done("lines").await;
    });
    let told = revisions(&rig.lines("lines"));
    let mut first_times = Vec::new();
    for revision in &told {
        let newest = first_times.last().copied().unwrap_or_default();
        assert!(*revision <= newest + 1, "{revision} after {newest}: one is left out in {told:?}");
        if *revision == newest + 1 {
            first_times.push(*revision);
        }
    }
    assert_eq!(first_times, up_to(60));
}

/// A hook whose name is new begins with what happens from then on, and that is written down before anything happens;
/// one that was there before, and was not for a while, goes on where it was.
#[test]
fn new_names() {
    let mut rig = Rig::new();
    life(async || {
        rig.apply("");
        rig.publish(5);
        rig.apply(LINES);
        assert_eq!(rig.lines("state/hooks/lines.cursor"), ["0000000000000007:5"]);
        assert_eq!((rig.info("lines").lag, rig.info("lines").saved), (Some(0), Some(cursor(5))));
    });
    rig.publish(2);
    life(async || {
        rig.hooks = super::Hooks::default();
        rig.apply(LINES);
        rig.wait_done("lines").await;
        assert_eq!(revisions(&rig.lines("lines")), [6, 7]);
        rig.apply("");
        assert!(rig.board.hooks.infos(&rig.log).is_empty());
        rig.publish(2);
        rig.apply(LINES);
        rig.wait_done("lines").await;
        assert_eq!(revisions(&rig.lines("lines")), [6, 7, 8, 9]);
    });
}

/// A log of another epoch, or one that is not as far: one resync takes the place of what cannot be known. So it is where
/// the file is broken; nothing is silently left out.
#[test]
fn unknown_places() {
    for (content, reason) in [
        ("0000000000000001:3\n", "epoch 0000000000000001 is not this log's"),
        ("0000000000000007:9\n", "revision 9 is ahead of this log"),
        (
            "0000000000000007:",
            "DIR/state/hooks/lines.cursor cannot be read: \"0000000000000007:\" is not a whole line EPOCH:REVISION",
        ),
        ("", "DIR/state/hooks/lines.cursor cannot be read: \"\" is not a whole line EPOCH:REVISION"),
        (
            "7:3\n",
            "DIR/state/hooks/lines.cursor cannot be read: \"7:3\" is not a cursor: write EPOCH:REVISION as an event shows it, or a bare revision",
        ),
    ] {
        let mut rig = Rig::new();
        rig.publish(5);
        fs::create_dir_all(rig.path("state/hooks")).unwrap();
        fs::write(rig.path("state/hooks/lines.cursor"), content).unwrap();
        life(async || {
            rig.apply(&LINES.replace("$CLUSTER_NODE", "$CLUSTER_REASON"));
            rig.publish(1);
            rig.wait_done("lines").await;
        });
        let reason = reason.replace("DIR", &rig.scratch.path().display().to_string());
        let told = rig.lines("lines");
        assert_eq!(told, [format!("0000000000000007:6:resync resync {reason}")], "{content:?}");
        assert_eq!(rig.lines("state/hooks/lines.cursor"), ["0000000000000007:6"]);
    }
}

/// Where it cannot be written how far it is, events are delivered all the same, and operators are told.
#[test]
fn place_that_cannot_be_written() {
    life(async || {
        let mut rig = Rig::new();
        fs::create_dir_all(rig.path("state/hooks/lines.cursor.new")).unwrap();
        rig.apply(LINES);
        rig.publish(3);
        rig.wait("the events", |rig| rig.info("lines").delivered == 3).await;
        let info = rig.info("lines");
        let reason = info.save_failure.unwrap();
        assert!(reason.contains("state/hooks/lines.cursor cannot be written: Is a directory"), "{reason}");
        assert_eq!(info.saved, None);
    });
}

/// What was delivered is written down soon, many deliveries at once; what is passed over only when it has become much.
#[test]
fn when_it_is_written() {
    let scratch = tempfile::tempdir().unwrap();
    let mut place = Place::new(Some(scratch.path()), "hook");
    assert_eq!(place.find(), Found::Nothing);
    place.begin(cursor(0)).unwrap();
    let beginning = crate::clock::now().instant;
    assert_eq!(place.due(cursor(0)), None);
    assert_eq!(place.due(cursor(1_023)), None);
    assert!(place.due(cursor(1_024)).is_some());
    assert!(place.due(Cursor { epoch: Epoch(8), revision: 1 }).is_some());
    place.delivered();
    assert!(place.due(cursor(1)).is_some_and(|due| due <= beginning + SAVE_INTERVAL));
    life(async || place.save(cursor(1)).await).unwrap();
    assert_eq!((place.saved(), place.due(cursor(1))), (Some(cursor(1)), None));
    assert_eq!(Place::new(Some(scratch.path()), "hook").find(), Found::At(cursor(1)));
    let mut forgetful = Place::new(None, "hook");
    forgetful.delivered();
    assert_eq!((forgetful.find(), forgetful.due(cursor(9))), (Found::Nothing, None));
}

/// Deliveries that follow each other are not each a write to the disk.
#[test]
fn writes_are_grouped() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply("[[on_event]]\nname = 'fast'\ncommand = ['true']\n");
        let mut seen = vec![rig.info("fast").saved];
        rig.publish(100);
        let begin = crate::clock::now().instant;
        while rig.info("fast").saved != Some(cursor(100)) {
            sleep(std::time::Duration::from_millis(1)).await;
            seen.push(rig.info("fast").saved);
        }
        seen.dedup();
        let intervals = begin.elapsed().as_millis() / SAVE_INTERVAL.as_millis();
        assert!(seen.len() as u128 <= intervals + 2, "{seen:?} in {intervals} intervals");
    });
}
