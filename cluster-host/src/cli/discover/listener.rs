//! What a strategy says that runs alone.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use cluster_core::{Completeness, Health, Node, NodeList, NodeName, Report};
use cluster_sdk::abi::host::{Exit, ExitKind, HostInterface, InstanceStatus, LogRecord, Refused};

use crate::clock;

/// Nodes that a view may have at most, as in a topology of a configuration that says nothing else.
const MEMBERS_MAX: usize = 100_000;

/// The host of the strategy.
#[derive(Debug)]
pub(super) struct Listener {
    strategy: String,
    words: Sender<Word>,
}

#[derive(Debug)]
pub(super) enum Word {
    Report(Report),
    Status(InstanceStatus),
    Exited(Exit),
}

/// All that was said.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) view: Option<Found>,
    pub(super) status: Option<InstanceStatus>,
    exit: Option<Exit>,
}

/// A view, with the changes that were reported since.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) completeness: Completeness,
    pub(super) ttl: Option<Duration>,
    pub(super) nodes: BTreeMap<NodeName, Node>,
}

// === impl Listener ===

impl Listener {
    pub(super) fn new(strategy: &str) -> (Self, Receiver<Word>) {
        let (words, heard) = channel();
        (Self { strategy: strategy.to_owned(), words }, heard)
    }

    fn say(&self, word: Word) {
        // Who does not listen any more has heard enough.
        self.words.send(word).unwrap_or_default();
    }
}

impl HostInterface for Listener {
    fn log(&self, record: &LogRecord<'_>) {
        record.emit(&self.strategy);
    }

    fn report(&self, report: Report) -> Result<(), Refused> {
        let nodes = match &report {
            Report::Reset(view) => view.nodes.len(),
            Report::Apply(changes) => changes.upserts.len(),
        };
        if nodes > MEMBERS_MAX {
            return Err(Refused::TooMany);
        }
        self.say(Word::Report(report));
        Ok(())
    }

    fn status(&self, status: InstanceStatus) {
        self.say(Word::Status(status));
    }

    fn exited(&self, exit: Exit) {
        self.say(Word::Exited(exit));
    }
}

// === impl Findings ===

impl Findings {
    /// Listens until it is as wanted, or until then.
    pub(super) fn listen(&mut self, words: &Receiver<Word>, until: Instant, is_wanted: fn(&Self) -> bool) {
        while !is_wanted(self) {
            let left = until.saturating_duration_since(clock::now().instant);
            match words.recv_timeout(left) {
                Ok(word) => self.hear(word),
                Err(_nothing_more) => return,
            }
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Report(Report::Reset(view)) => {
                let nodes = named(&view.nodes).collect();
                self.view = Some(Found { completeness: view.completeness, ttl: view.ttl, nodes });
            }
            Word::Report(Report::Apply(changes)) => {
                if let Some(view) = &mut self.view {
                    view.ttl = changes.ttl.or(view.ttl);
                    view.nodes.extend(named(&changes.upserts));
                    view.nodes.retain(|name, _| {
                        !changes.removals.iter().any(|gone| gone.to_name().as_ref() == Ok(name))
                    });
                }
            }
            Word::Status(status) => self.status = Some(status),
            Word::Exited(exit) => self.exit = Some(exit),
        }
    }

    /// A view that says something, or a reason why there is none. A partial view of nobody says nothing yet: strategies
    /// that hear of others begin with it.
    pub(super) fn is_enough(&self) -> bool {
        let is_view = |view: &Found| view.completeness == Completeness::Complete || !view.nodes.is_empty();
        self.view.as_ref().is_some_and(is_view) || self.trouble().is_some() || self.is_over()
    }

    pub(super) fn is_over(&self) -> bool {
        self.exit.is_some()
    }

    fn trouble(&self) -> Option<&InstanceStatus> {
        self.status.as_ref().filter(|status| matches!(status.health, Health::Degraded | Health::Denied))
    }

    /// Why there is no view: what the strategy says of its health, or how it ended by itself.
    pub(super) fn reason(&self) -> Option<String> {
        if let Some(InstanceStatus { health, reason, .. }) = self.trouble() {
            return Some(format!(
                "{}: {}",
                health.as_str(),
                reason.as_deref().unwrap_or("no reason is given")
            ));
        }
        let exit = self.exit.as_ref().filter(|exit| exit.kind != ExitKind::Stopped)?;
        Some(format!("the strategy {exit}"))
    }
}

fn named(nodes: &NodeList) -> impl Iterator<Item = (NodeName, Node)> {
    nodes.iter().filter_map(|record| record.to_node().ok()).map(|node| (node.name().clone(), node))
}
