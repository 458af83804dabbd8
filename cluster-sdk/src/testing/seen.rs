//! What an instance has said to its test host.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::{self, Write as _},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cluster_core::{NodeName, Report};
use tracing::Level;

use crate::{
    LocalReport, Refused,
    abi::host::{Exit, HostInterface, InstanceStatus, LinkChange, LogRecord, OperationOutcome},
};

/// Lines of log that an error shows at most.
const LINES_SHOWN_MAX: usize = 20;

/// A line of log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// The module that wrote it.
    pub target: String,
    /// The message, and its fields as `key=value`.
    pub message: String,
}

/// What was waited for did not happen; the text says what was seen instead.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(String);

impl fmt::Debug for Missing {
    /// As it is displayed: `unwrap` shows this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) reports: VecDeque<Report>,
    pub(super) statuses: Vec<InstanceStatus>,
    pub(super) logs: Vec<LogLine>,
    pub(super) outcomes: BTreeMap<u64, OperationOutcome>,
    pub(super) link_changes: VecDeque<LinkChange>,
    pub(super) up: BTreeSet<NodeName>,
    pub(super) availability: VecDeque<Option<String>>,
    pub(super) local: VecDeque<LocalReport>,
    pub(super) exit: Option<Exit>,
}

#[derive(Debug)]
pub(super) struct Seen {
    members_max: usize,
    events: Mutex<Events>,
    changed: Condvar,
    /// Whom to tell when something is seen.
    #[cfg(feature = "fake-clock")]
    clock: Option<std::sync::Arc<crate::clock::FakeClock>>,
}

impl Seen {
    pub(super) fn new(members_max: usize) -> Self {
        Self {
            members_max,
            events: Mutex::default(),
            changed: Condvar::new(),
            #[cfg(feature = "fake-clock")]
            clock: None,
        }
    }

    #[cfg(feature = "fake-clock")]
    pub(super) fn with_clock(mut self, clock: std::sync::Arc<crate::clock::FakeClock>) -> Self {
        self.clock = Some(clock);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Events) -> T) -> T {
        look(&mut self.lock())
    }

    pub(super) fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut found: impl FnMut(&mut Events) -> Option<T>,
    ) -> Result<T, Missing> {
        let mut result = None;
        let events = self.lock();
        let waited = self.changed.wait_timeout_while(events, patience, |events| {
            result = found(events);
            result.is_none() && events.exit.is_none()
        });
        drop(waited);
        result.ok_or_else(|| self.missing(&format!("no {what}")))
    }

    pub(super) fn missing(&self, what: &str) -> Missing {
        let events = self.lock();
        let exit = events.exit.as_ref().map_or_else(|| "runs".to_owned(), ToString::to_string);
        let status = events.statuses.last();
        let mut text = format!("{what}; instance {exit}; last status: {status:?}; log:");
        let skipped = events.logs.len().saturating_sub(LINES_SHOWN_MAX);
        for line in events.logs.iter().skip(skipped) {
            let LogLine { level, target, message } = line;
            // Writing to a string cannot fail.
            write!(text, "\n  {level} {target}: {message}").unwrap_or_default();
        }
        Missing(text)
    }

    fn note(&self, note: impl FnOnce(&mut Events)) {
        note(&mut self.lock());
        self.changed.notify_all();
        #[cfg(feature = "fake-clock")]
        if let Some(clock) = &self.clock {
            clock.something_was_seen();
        }
    }
}

impl HostInterface for Seen {
    fn log(&self, record: &LogRecord<'_>) {
        let line = LogLine {
            level: record.level,
            target: record.target.to_owned(),
            message: record.message.to_owned(),
        };
        self.note(|events| events.logs.push(line));
    }

    fn report(&self, report: Report) -> Result<(), Refused> {
        let nodes = match &report {
            Report::Reset(view) => view.nodes.len(),
            Report::Apply(changes) => changes.upserts.len(),
        };
        if nodes > self.members_max {
            return Err(Refused::TooMany);
        }
        self.note(|events| events.reports.push_back(report));
        Ok(())
    }

    fn status(&self, status: InstanceStatus) {
        self.note(|events| events.statuses.push(status));
    }

    fn completed(&self, op: u64, outcome: OperationOutcome) {
        self.note(|events| drop(events.outcomes.insert(op, outcome)));
    }

    fn link(&self, change: LinkChange) {
        self.note(|events| {
            if change.up {
                events.up.insert(change.node.clone());
            } else {
                events.up.remove(&change.node);
            }
            events.link_changes.push_back(change);
        });
    }

    fn links(&self, _: u64, nodes: Vec<NodeName>) {
        self.note(|events| events.up = nodes.into_iter().collect());
    }

    fn availability(&self, unavailable: Option<&str>) {
        self.note(|events| events.availability.push_back(unavailable.map(str::to_owned)));
    }

    fn local(&self, report: LocalReport) {
        self.note(|events| events.local.push_back(report));
    }

    fn exited(&self, exit: Exit) {
        self.note(|events| events.exit = Some(exit));
    }
}
