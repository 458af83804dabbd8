//! Notices that the configuration or a plugin was changed, and has everything read again: once it has been quiet for a
//! moment, as files are written in many steps.

use std::{collections::BTreeSet, io, path::PathBuf, time::Duration};

use futures_util::StreamExt as _;
use inotify::{Inotify, WatchMask};

/// How long nothing must have happened before the files are read.
const QUIET: Duration = Duration::from_millis(500);
/// Something that happens again and again does not put it off for longer.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of events that are read at once.
const EVENTS_BYTES: usize = 4096;

/// What ends the writing of a file, brings it, or takes it away. That we read it ourselves is not among it.
const CHANGES: WatchMask = WatchMask::CLOSE_WRITE
    .union(WatchMask::CREATE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::ATTRIB);

/// The directories in which something may change.
pub(crate) struct Watch {
    events: inotify::EventStream<[u8; EVENTS_BYTES]>,
}

// === impl Watch ===

impl Watch {
    /// Watches these directories.
    pub(crate) fn new(directories: &BTreeSet<PathBuf>) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        for directory in directories {
            let _watched = inotify.watches().add(directory, CHANGES)?;
        }
        Ok(Self { events: inotify.into_event_stream([0; EVENTS_BYTES])? })
    }

    /// Returns when something has changed, and has been quiet since. None when nothing can be noticed any more.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        self.events.next().await?.ok()?;
        let more = async {
            while let Ok(event) = tokio::time::timeout(QUIET, self.events.next()).await {
                event?.ok()?;
            }
            Some(())
        };
        tokio::time::timeout(QUIET_WAIT_MAX, more).await.unwrap_or(Some(()))
    }
}
