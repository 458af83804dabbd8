//! A strategy that runs alone, until it has given a view or said why it cannot. It is told that the local node is not
//! there, so it announces nothing; nothing is linked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cluster_core::{Completeness, Health, Node, NodeList, NodeName, Report};
use cluster_sdk::{
    Inquiry, LocalNode, OfferKind, Rung,
    abi::host::{
        Exit, ExitKind, HostInterface, InstanceStatus, LogRecord, Offer, PluginError, Refused, Start,
        StopReason,
    },
};
use serde_json::Value;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tracing::level_filters::LevelFilter;

use crate::placement::Plugin;

/// How long the strategy is given to end once there is something to show.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Nodes that a view may have at most, as in a topology of a configuration that says nothing else.
const MEMBERS_MAX: usize = 100_000;

/// The host of the strategy.
#[derive(Debug)]
struct Listener {
    label: String,
    words: UnboundedSender<Word>,
}

#[derive(Debug)]
enum Word {
    Report(Report),
    Status(InstanceStatus),
    Exited(Exit),
}

/// All that was said.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) view: Option<Found>,
    pub(crate) status: Option<InstanceStatus>,
    exit: Option<Exit>,
}

/// A view, with the changes that were reported since.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) completeness: Completeness,
    pub(crate) ttl: Option<Duration>,
    pub(crate) nodes: BTreeMap<NodeName, Node>,
}

/// What is tried.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The strategy.
    pub(crate) strategy: String,
    pub(crate) config: Value,
    /// What it is called in the log.
    pub(crate) label: String,
    /// Whom it is told that it works for: strategies that hear others hear those of the same cluster.
    pub(crate) local: LocalNode,
}

/// Starts a strategy, and ends it once it has given a view or said why it cannot, after `within` at the latest.
pub(crate) async fn run(plugin: &Plugin, trial: Trial, within: Duration) -> Result<Findings, PluginError> {
    let Trial { strategy, config, label, local } = trial;
    let (listener, mut words) = Listener::new(&label);
    let start = Start {
        kind: OfferKind::Strategy,
        name: strategy,
        config,
        topology: label,
        local: LocalNode { present: false, ..local },
        log_level: LevelFilter::current(),
        diagnose: None,
    };
    let instance = plugin.start(&start, Arc::new(listener))?;
    let mut findings = Findings::default();
    findings.listen(&mut words, within, Findings::is_enough).await;
    instance.stop(StopReason::Restart, STOP_WITHIN);
    // What it says beside: a reason, the rest of a view.
    findings.listen(&mut words, STOP_WITHIN, Findings::is_over).await;
    Ok(findings)
}

/// Has a strategy or a connector make a diagnosis, of a node or of what all need. `None` where it does not know how.
///
/// # Errors
/// Why it gave none.
pub(crate) async fn diagnose(
    plugin: &Plugin,
    (kind, trial): (OfferKind, Trial),
    node: Option<&Node>,
    within: Duration,
) -> Result<Option<Vec<Rung>>, String> {
    let Trial { strategy: name, config, label, local } = trial;
    let offers = plugin.describe().map_err(|error| error.to_string())?;
    let is_it = |offer: &Offer| offer.kind == kind && offer.name == name;
    if !offers.iter().any(|offer| is_it(offer) && offer.diagnoses) {
        return Ok(None);
    }
    let (listener, mut words) = Listener::new(&label);
    let start = Start {
        kind,
        name,
        config,
        topology: label,
        local: LocalNode { present: false, ..local },
        log_level: LevelFilter::current(),
        diagnose: Some(Inquiry::about(node)),
    };
    let instance = plugin.start(&start, Arc::new(listener)).map_err(|error| error.to_string())?;
    let mut findings = Findings::default();
    findings.listen(&mut words, within, Findings::is_over).await;
    let Some(exit) = findings.exit.take() else {
        instance.stop(StopReason::Restart, STOP_WITHIN);
        findings.listen(&mut words, STOP_WITHIN, Findings::is_over).await;
        return Err(format!("no answer within {} s", within.as_secs()));
    };
    match (exit.kind, &exit.reason) {
        (ExitKind::Finished, Some(told)) => {
            let rungs = serde_json::from_str(told);
            rungs.map(Some).map_err(|error| format!("it told what is no list of rungs: {error}"))
        }
        (ExitKind::Finished, None) => Ok(Some(Vec::new())),
        _ => Err(exit.to_string()),
    }
}

// === impl Listener ===

impl Listener {
    fn new(label: &str) -> (Self, UnboundedReceiver<Word>) {
        let (words, heard) = unbounded_channel();
        (Self { label: label.to_owned(), words }, heard)
    }

    fn say(&self, word: Word) {
        // Who does not listen any more has heard enough.
        self.words.send(word).unwrap_or_default();
    }
}

impl HostInterface for Listener {
    fn log(&self, record: &LogRecord<'_>) {
        record.emit(&self.label);
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
    /// Listens until it is as wanted, so long at most.
    async fn listen(
        &mut self,
        words: &mut UnboundedReceiver<Word>,
        within: Duration,
        is_wanted: fn(&Self) -> bool,
    ) {
        let listening = async {
            while !is_wanted(self)
                && let Some(word) = words.recv().await
            {
                self.hear(word);
            }
        };
        // What was heard by then is what there is.
        let _late = timeout(within, listening).await;
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
    fn is_enough(&self) -> bool {
        let is_view = |view: &Found| view.completeness == Completeness::Complete || !view.nodes.is_empty();
        self.view.as_ref().is_some_and(is_view) || self.trouble().is_some() || self.is_over()
    }

    fn is_over(&self) -> bool {
        self.exit.is_some()
    }

    fn trouble(&self) -> Option<&InstanceStatus> {
        self.status.as_ref().filter(|status| matches!(status.health, Health::Degraded | Health::Denied))
    }

    /// Why there is no view: what the strategy says of its health, or how it ended by itself.
    pub(crate) fn reason(&self) -> Option<String> {
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
