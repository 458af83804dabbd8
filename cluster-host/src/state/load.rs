//! Reading what was remembered: the newest whole snapshot, and the journals that go on from it.
//!
//! ```text
//! base ───────► journal ───────► journal ───────► …         each begins where the one before it ends
//! (newest whole)  of base          of the next generation
//! ```
//!
//! Where the chain is whole to its end (but for an append that was cut short and told to nobody), the epoch goes on. Where
//! it is not, something that was told is lost: what can be had is the beginning of a new epoch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use cluster_core::{Epoch, Event, Snapshot, TopologyName};

use super::{
    FILE_BYTES_MAX, Sources, StateError,
    directory::Directory,
    record::{End, FORMAT, Header, Kind, Lines},
    restore::Pool,
    store::Identity,
};
use crate::api::json;

/// What was remembered.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The members, and the revision; no topologies.
    pub(super) snapshot: Snapshot,
    /// What each topology asked.
    pub(super) sources: Sources,
    /// The last events, up to the snapshot's revision. Only where the epoch goes on.
    pub(super) events: Vec<Event>,
    /// The epoch that goes on.
    pub(super) epoch: Option<Epoch>,
    /// Where the newest journal ends, if it can be appended to.
    pub(super) tail: Option<Tail>,
    /// The generations that there are, each with the revision that its journal goes on from.
    pub(super) generations: BTreeMap<u64, u64>,
    /// The greatest number of any file.
    pub(super) last: u64,
    /// What is not as it was written.
    pub(super) damage: Vec<Damage>,
    /// There were files.
    pub(super) found: bool,
    /// Generations that were being begun when the host ended.
    begun: BTreeSet<u64>,
}

/// The end of the newest journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) generation: u64,
    /// What follows was cut short.
    pub(super) bytes: u64,
    pub(super) events: u64,
}

/// A file that is not as it was written.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) file: PathBuf,
    pub(super) reason: String,
}

struct ReadSnapshot {
    epoch: Epoch,
    snapshot: Snapshot,
    sources: Sources,
}

struct ReadJournal {
    epoch: Epoch,
    after: u64,
    events: Vec<Event>,
    bytes: usize,
    end: End,
}

/// Reads files of one host.
struct Reader<'a> {
    directory: &'a Directory,
    identity: &'a Identity,
    pool: Pool,
}

/// Why a file was not read.
enum Unread {
    Damaged(String),
    /// It was being begun, and nothing depends on it.
    Begun,
    Refused(StateError),
}

/// Reads all that there is. `events_max` is how far back events are of use.
pub(super) fn load(
    directory: &Directory,
    identity: &Identity,
    events_max: usize,
) -> Result<Loaded, StateError> {
    let unusable = |error| StateError::Unusable { path: directory.path().to_owned(), error };
    let numbers = directory.generations().map_err(unusable)?;
    let mut reader = Reader { directory, identity, pool: Pool::default() };
    let mut loaded = Loaded {
        last: numbers.last().copied().unwrap_or_default(),
        found: !numbers.is_empty(),
        ..Loaded::default()
    };
    let mut journals = BTreeMap::new();
    for number in &numbers {
        let file = directory.journal(*number);
        if file.exists() {
            match reader.journal(&file) {
                Ok(journal) => drop(journals.insert(*number, journal)),
                // Its snapshot would have come after it.
                Err(Unread::Begun) if !directory.snapshot(*number).exists() => {
                    loaded.begun.insert(*number);
                }
                Err(unread) => loaded.note(file, unread)?,
            }
        }
    }
    let mut base = None;
    for number in numbers.iter().rev() {
        let file = directory.snapshot(*number);
        if file.exists() {
            match reader.snapshot(&file) {
                Ok(snapshot) => {
                    base = Some((*number, snapshot));
                    break;
                }
                Err(unread) => loaded.note(file, unread)?,
            }
        }
    }
    if let Some((number, base)) = base {
        loaded.follow((number, base), journals, &numbers, directory);
        loaded.limit(events_max);
    }
    Ok(loaded)
}

// === impl Loaded ===

impl Loaded {
    fn note(&mut self, file: PathBuf, unread: Unread) -> Result<(), StateError> {
        match unread {
            Unread::Damaged(reason) => {
                self.damage.push(Damage { file, reason });
                Ok(())
            }
            Unread::Begun => {
                self.damaged(&file, "its first line is damaged");
                Ok(())
            }
            Unread::Refused(error) => Err(error),
        }
    }

    /// Folds the journals after the base, as far as each goes on from the one before it.
    fn follow(
        &mut self,
        (base, ReadSnapshot { epoch, snapshot, sources }): (u64, ReadSnapshot),
        mut journals: BTreeMap<u64, ReadJournal>,
        numbers: &BTreeSet<u64>,
        directory: &Directory,
    ) {
        (self.snapshot, self.sources) = (snapshot, sources);
        let mut before = journals.split_off(&base);
        std::mem::swap(&mut before, &mut journals);
        let mut is_whole = true;
        let begun = std::mem::take(&mut self.begun);
        for number in numbers.range(base..).filter(|number| !begun.contains(number)) {
            let file = directory.journal(*number);
            let Some(journal) = journals.remove(number) else {
                // It was begun with its snapshot; damage of it has been noted.
                is_whole = false;
                self.damaged(&file, "it is not there, or its first line is damaged");
                break;
            };
            let begun_in_vain = *number != base && journal.events.is_empty();
            if begun_in_vain && (journal.epoch, journal.after) != (epoch, self.snapshot.revision) {
                continue;
            }
            if (journal.epoch, journal.after) != (epoch, self.snapshot.revision) {
                is_whole = false;
                self.damaged(&file, "it does not go on from what can be read");
                break;
            }
            self.generations.insert(*number, journal.after);
            let (bytes, events) = (journal.bytes as u64, journal.events.len() as u64);
            for event in journal.events {
                self.snapshot.fold(&event);
                self.events.push(event);
            }
            if journal.end == End::Damaged {
                is_whole = false;
                let reason = format!("it is damaged after revision {}", self.snapshot.revision);
                self.damaged(&file, &reason);
                break;
            }
            self.tail = Some(Tail { generation: *number, bytes, events });
        }
        if is_whole {
            self.epoch = Some(epoch);
            self.look_back(before, epoch);
        } else {
            self.tail = None;
            self.events.clear();
            self.generations.clear();
        }
    }

    /// Takes up what journals of before the base have for those who resume, as far back as it is without a gap.
    fn look_back(&mut self, journals: BTreeMap<u64, ReadJournal>, epoch: Epoch) {
        let mut begin = self.snapshot.revision.saturating_sub(self.events.len() as u64);
        for (number, mut journal) in journals.into_iter().rev() {
            let end = journal.after.saturating_add(journal.events.len() as u64);
            if journal.epoch != epoch || end != begin {
                break;
            }
            begin = journal.after;
            self.generations.insert(number, journal.after);
            journal.events.append(&mut self.events);
            self.events = journal.events;
        }
    }

    fn limit(&mut self, events_max: usize) {
        self.events.drain(..self.events.len().saturating_sub(events_max));
    }

    fn damaged(&mut self, file: &Path, reason: &str) {
        if !self.damage.iter().any(|damage| damage.file == file) {
            self.damage.push(Damage { file: file.to_owned(), reason: reason.to_owned() });
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn snapshot(&mut self, file: &Path) -> Result<ReadSnapshot, Unread> {
        let bytes = read(file)?;
        let mut lines = Lines::of(&bytes);
        let header = self.header(file, &mut lines, Kind::Snapshot)?;
        let mut snapshot = Snapshot { revision: header.revision, ..Snapshot::default() };
        for line in lines.by_ref() {
            let member: json::Member<'_> = serde_json::from_slice(line).map_err(damaged)?;
            let member = self.pool.member(&member).map_err(damaged)?;
            snapshot.members.insert(member.name.clone(), Arc::clone(&member));
        }
        if lines.end != End::Whole || snapshot.members.len() as u64 != header.members {
            let has = snapshot.members.len();
            return Err(Unread::Damaged(format!("{has} of {} members can be read", header.members)));
        }
        let mut sources = Sources::new();
        for (name, source) in &header.sources {
            sources.insert(TopologyName::try_new(name).map_err(damaged)?, source.clone().into_owned());
        }
        Ok(ReadSnapshot { epoch: epoch(&header)?, snapshot, sources })
    }

    fn journal(&mut self, file: &Path) -> Result<ReadJournal, Unread> {
        let bytes = read(file)?;
        let mut lines = Lines::of(&bytes);
        let header = self.header(file, &mut lines, Kind::Journal)?;
        let (epoch, after) = (epoch(&header)?, header.revision);
        let mut events = Vec::new();
        let mut whole = lines.read;
        while let Some(line) = lines.next() {
            let shape: Option<json::Event<'_>> = serde_json::from_slice(line).ok();
            let event = shape.and_then(|shape| self.pool.event(&shape).ok());
            let due = after.saturating_add(events.len() as u64).saturating_add(1);
            let Some(event) = event.filter(|event| event.revision == due) else {
                lines.damaged();
                break;
            };
            events.push(event);
            whole = lines.read;
        }
        Ok(ReadJournal { epoch, after, events, bytes: whole, end: lines.end })
    }

    /// The first line, if the file is this host's.
    fn header<'b>(&self, file: &Path, lines: &mut Lines<'b>, kind: Kind) -> Result<Header<'b>, Unread> {
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        let Some(line) = lines.next() else {
            return Err(if lines.end == End::Damaged {
                Unread::Damaged("its first line is damaged".to_owned())
            } else {
                Unread::Begun
            });
        };
        let Format { format } = serde_json::from_slice(line).map_err(damaged)?;
        if format > FORMAT {
            return Err(Unread::Refused(StateError::Newer { path: file.to_owned(), format }));
        }
        let header: Header<'b> = serde_json::from_slice(line).map_err(damaged)?;
        if header.kind != kind {
            return Err(Unread::Damaged("it is a file of another kind".to_owned()));
        }
        let another = |what, theirs: &str, ours: &str| {
            let path = self.directory.path().to_owned();
            Unread::Refused(StateError::Another { path, what, theirs: theirs.into(), ours: ours.into() })
        };
        if header.cluster != self.identity.cluster {
            return Err(another("cluster", &header.cluster, &self.identity.cluster));
        }
        if let (Some(theirs), Some(ours)) = (&header.node, &self.identity.node)
            && theirs != ours.as_str()
        {
            return Err(another("node", theirs, ours.as_str()));
        }
        Ok(header)
    }
}

fn epoch(header: &Header<'_>) -> Result<Epoch, Unread> {
    header.epoch.parse().map_err(damaged)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn damaged(error: impl ToString) -> Unread {
    Unread::Damaged(error.to_string())
}

fn read(file: &Path) -> Result<Vec<u8>, Unread> {
    let content = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(bytes)
    };
    content().map_err(damaged)
}
