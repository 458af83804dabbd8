//! Noticing that a path leads to another file, or to another content.
//!
//! Watched are names in directories, not files: a file that is replaced is another one. Each step of the path is one
//! name, and so is each step of the links on the way; any of them may be exchanged, as `..data` in a mounted `ConfigMap`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ffi::OsString,
    fmt, fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{Event, EventMask, EventStream, Inotify, WatchDescriptor, WatchMask};

/// Links on a path that are followed at most, as Linux does.
const LINKS_MAX: usize = 40;
/// Steps of a path that are watched at most.
const STEPS_MAX: usize = 256;
/// Bytes for events that are read at a time: one has at most 272.
const EVENTS_BYTES_MAX: usize = 4096;

/// Watches a path, as it leads now.
pub(super) struct Watch {
    events: EventStream<[u8; EVENTS_BYTES_MAX]>,
    names: HashMap<WatchDescriptor, HashSet<OsString>>,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Somebody may go on with it.
    Written,
    /// A file, or a link to it, was put in place: it is whole.
    Renamed,
}

/// A name in a directory that the path leads through.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    directory: PathBuf,
    name: OsString,
}

// === impl Watch ===

impl Watch {
    /// Begins to watch. Fails where the system has no room for it, or forbids it.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let mut names: HashMap<WatchDescriptor, HashSet<OsString>> = HashMap::new();
        let steps = steps(path);
        let last = steps.len().saturating_sub(1);
        for (place, step) in steps.into_iter().enumerate() {
            // Of a directory on the way it counts what its name leads to, of the file also what is written to it.
            let mut mask = WatchMask::CREATE
                | WatchMask::DELETE
                | WatchMask::MOVE
                | WatchMask::ONLYDIR
                | WatchMask::MASK_ADD;
            if place == last {
                mask |= WatchMask::CLOSE_WRITE | WatchMask::ATTRIB;
            }
            let watched = inotify.watches().add(&step.directory, mask)?;
            names.entry(watched).or_default().insert(step.name);
        }
        Ok(Self { events: inotify.into_event_stream([0; EVENTS_BYTES_MAX])?, names })
    }

    /// Waits for a change of what the path leads to.
    pub(super) async fn changed(&mut self) -> io::Result<Change> {
        loop {
            let event = self.events.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
            if let Some(change) = self.change(&event) {
                return Ok(change);
            }
        }
    }

    /// What has happened until now and was not taken; a whole file where any was put in place.
    pub(super) fn take(&mut self) -> io::Result<Option<Change>> {
        let mut all = None;
        while let Some(change) = self.changed().now_or_never() {
            all = all.max(Some(change?));
        }
        Ok(all)
    }

    fn change(&self, event: &Event<OsString>) -> Option<Change> {
        // Events were lost, or the directory is gone: anything may have happened.
        if event.mask.intersects(EventMask::Q_OVERFLOW | EventMask::IGNORED) {
            return Some(Change::Written);
        }
        let names = self.names.get(&event.wd)?;
        let is_whole = event.mask.contains(EventMask::MOVED_TO);
        let change = if is_whole { Change::Renamed } else { Change::Written };
        event.name.as_ref().filter(|name| names.contains(*name)).map(|_| change)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The names that a path leads through, as far as it leads now: the last one may not be there.
fn steps(path: &Path) -> Vec<Step> {
    let mut pending: VecDeque<OsString> = components(path);
    let mut directory = PathBuf::from("/");
    let (mut steps, mut links) = (Vec::new(), 0);
    while let Some(name) = pending.pop_front() {
        match name.as_bytes() {
            b"/" => directory = PathBuf::from("/"),
            b"." => {}
            b".." => drop(directory.pop()),
            _ => {
                let place = directory.join(&name);
                steps.push(Step { directory: directory.clone(), name });
                let Ok(metadata) = fs::symlink_metadata(&place) else { return steps };
                if !metadata.is_symlink() {
                    directory = place;
                } else {
                    links += 1;
                    let Ok(target) = fs::read_link(&place) else { return steps };
                    let mut target = components(&target);
                    target.append(&mut pending);
                    pending = target;
                }
                if links > LINKS_MAX || steps.len() >= STEPS_MAX {
                    return steps;
                }
            }
        }
    }
    steps
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .map(|component| match component {
            Component::Prefix(_) | Component::RootDir => "/".into(),
            component @ (Component::CurDir | Component::ParentDir | Component::Normal(_)) => {
                component.as_os_str().to_owned()
            }
        })
        .collect()
}
