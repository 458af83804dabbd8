//! The files as they are written.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use cluster_core::{Cursor, Epoch, Event, NodeName, Snapshot};
use tracing::{info, warn};

use super::{
    Limits, Sources, StateError,
    directory::{Directory, FILE_MODE},
    load::{self, Loaded},
    record::{self, FORMAT, Header, Kind},
};
use crate::{
    api::json::{self, Time},
    clock, durable,
};

/// A buffer that has grown beyond this is not kept.
const BUFFER_BYTES_KEPT: usize = 64 << 10;

/// Whose the directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: String,
    /// As it is configured.
    pub(crate) node: Option<NodeName>,
}

/// A directory that was read, and can be written.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The epoch that goes on, or a new one.
    pub(crate) epoch: Epoch,
    /// The members as they were, and the revision.
    pub(crate) snapshot: Snapshot,
    /// The last events.
    pub(crate) events: Vec<Event>,
    /// What each topology asked.
    pub(crate) sources: Sources,
    pub(super) store: Store,
    /// Why nothing can be written yet.
    pub(super) failure: Option<String>,
}

/// Where the journal is written.
#[derive(Debug)]
pub(super) struct Store {
    directory: Directory,
    identity: Identity,
    limits: Limits,
    /// The snapshots with their journals: the number of each, and the cursor before its first event.
    kept: Vec<(u64, Cursor)>,
    epoch: Epoch,
    /// The revision of the last event that was written.
    revision: u64,
    /// Numbers of files so far.
    last: u64,
    pub(super) journal: Option<File>,
    journal_events: u64,
    journal_bytes: u64,
    buffer: Vec<u8>,
}

// === impl Opened ===

impl Opened {
    /// Takes a directory, reads what it has, and makes it one that can be appended to. `fresh` is the epoch, if a new one
    /// is needed.
    pub(crate) fn open(
        path: &Path,
        identity: Identity,
        limits: Limits,
        fresh: Epoch,
    ) -> Result<Self, StateError> {
        let directory = Directory::take(path)?;
        let loaded = load::load(&directory, &identity, limits.retention_events_max)?;
        let Loaded { snapshot, sources, events, epoch, tail, generations, last, damage, found, .. } = loaded;
        let is_told = epoch.is_some();
        let epoch = epoch.unwrap_or(fresh);
        for damage in &damage {
            let aside = directory.set_aside(&damage.file);
            warn!(file = %damage.file.display(), err = damage.reason, aside = %aside.display(), "a file of the state directory is damaged");
        }
        if found && !is_told {
            let (members, revision) = (snapshot.members.len(), snapshot.revision);
            warn!(members, revision, %epoch, "what was remembered after this revision is lost: a new epoch begins with these members");
        } else if found {
            info!(members = snapshot.members.len(), revision = snapshot.revision, %epoch, "remembered");
        }
        let cursor = |revision| Cursor { epoch, revision };
        let mut store = Store {
            directory,
            identity,
            limits,
            kept: generations.into_iter().map(|(number, after)| (number, cursor(after))).collect(),
            epoch,
            revision: snapshot.revision,
            last,
            journal: None,
            journal_events: 0,
            journal_bytes: 0,
            buffer: Vec::new(),
        };
        let appended = match tail.filter(|_| damage.is_empty()) {
            Some(tail) => store.go_on(tail),
            None => store.begin(epoch, &snapshot, &sources),
        };
        let failure = appended.err().map(|error| error.to_string());
        if failure.is_none() {
            store.remove_unkept();
        }
        Ok(Self { epoch, snapshot, events, sources, store, failure })
    }
}

// === impl Store ===

impl Store {
    /// Goes on with the newest journal. What was cut short at its end was told to nobody.
    fn go_on(&mut self, tail: load::Tail) -> io::Result<()> {
        let journal = OpenOptions::new().append(true).open(self.directory.journal(tail.generation))?;
        if journal.metadata()?.len() != tail.bytes {
            journal.set_len(tail.bytes)?;
            journal.sync_all()?;
        }
        self.journal = Some(journal);
        (self.journal_bytes, self.journal_events) = (tail.bytes, tail.events);
        Ok(())
    }

    /// Writes events that follow each other, and returns when they are on disk.
    pub(super) fn append<'a>(&mut self, events: impl Iterator<Item = &'a Event>) -> io::Result<()> {
        let Some(journal) = &mut self.journal else {
            return Err(io::Error::other("there is no journal"));
        };
        let mut count = 0;
        for event in events {
            let cursor = Cursor { epoch: self.epoch, revision: event.revision };
            record::write(&mut self.buffer, &json::Event::new(cursor, event))?;
            self.revision = event.revision;
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let written = journal.write_all(&self.buffer).and_then(|()| journal.sync_data());
        self.journal_events += count;
        self.journal_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        written
    }

    /// Whether it is time for a new snapshot.
    pub(super) fn is_full(&self) -> bool {
        self.journal_events >= self.limits.journal_events_max
            || self.journal_bytes >= self.limits.journal_bytes_max
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The epoch that is written.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Writes a whole snapshot, begins a journal after it, and removes what is of no use any more. A failure leaves what
    /// was there, and nothing can be appended until this succeeds.
    pub(super) fn begin(&mut self, epoch: Epoch, snapshot: &Snapshot, sources: &Sources) -> io::Result<()> {
        self.journal = None;
        self.last = self.last.saturating_add(1);
        let number = self.last;
        let cursor = Cursor { epoch, revision: snapshot.revision };
        let begun = self.write_generation(number, cursor, snapshot, sources);
        let (journal, bytes) = begun.inspect_err(|_| self.directory.remove(number))?;
        (self.epoch, self.revision) = (epoch, snapshot.revision);
        (self.journal, self.journal_events, self.journal_bytes) = (Some(journal), 0, bytes);
        self.kept.push((number, cursor));
        self.remove_old();
        Ok(())
    }

    /// The journal comes first, so that there is none without its snapshot.
    fn write_generation(
        &self,
        number: u64,
        cursor: Cursor,
        snapshot: &Snapshot,
        sources: &Sources,
    ) -> io::Result<(File, u64)> {
        let mut header = self.header(cursor);
        let mut text = Vec::new();
        record::write(&mut text, &header)?;
        let mut options = OpenOptions::new();
        let options = options.append(true).create_new(true).mode(FILE_MODE);
        let mut journal = options.open(self.directory.journal(number))?;
        journal.write_all(&text)?;
        journal.sync_all()?;
        self.directory.sync()?;
        let journal_bytes = text.len() as u64;
        text.clear();
        header.kind = Kind::Snapshot;
        header.members = snapshot.members.len() as u64;
        header.sources = sources.iter().map(|(name, source)| (name.as_str().into(), source.into())).collect();
        record::write(&mut text, &header)?;
        for member in snapshot.members.values() {
            record::write(&mut text, &json::Member::from(&**member))?;
        }
        durable::write_whole(text.as_slice(), &self.directory.snapshot(number), FILE_MODE)?;
        Ok((journal, journal_bytes))
    }

    fn header(&self, cursor: Cursor) -> Header<'_> {
        Header {
            format: FORMAT,
            kind: Kind::Journal,
            cluster: (&*self.identity.cluster).into(),
            node: self.identity.node.as_ref().map(|node| node.as_str().into()),
            epoch: cursor.epoch.to_string().into(),
            revision: cursor.revision,
            members: 0,
            sources: std::collections::BTreeMap::new(),
            at: Time(clock::now().wall),
        }
    }

    /// Removes generations that nothing is to be had from.
    fn remove_unkept(&self) {
        let is_kept = |number: &u64| self.kept.iter().any(|(kept, _)| kept == number);
        let there = self.directory.generations().unwrap_or_default();
        there.iter().filter(|number| !is_kept(number)).for_each(|number| self.directory.remove(*number));
    }

    /// Removes generations that neither those who resume nor a damaged snapshot would need.
    fn remove_old(&mut self) {
        let retention = u64::try_from(self.limits.retention_events_max).unwrap_or(u64::MAX);
        let oldest = self.revision.saturating_sub(retention);
        while let [_, next, _, ..] = self.kept.as_slice()
            && (next.1.epoch != self.epoch
                || next.1.revision <= oldest
                || self.kept.len() > self.limits.generations_max)
        {
            let (number, _) = self.kept.remove(0);
            self.directory.remove(number);
        }
    }
}
