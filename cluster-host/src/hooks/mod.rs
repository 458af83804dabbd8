//! Hooks: what is done for each event, by a command or a POST, in order, at least once.
//!
//! ```text
//! EventLog ──► Worker: filter ──► Document ──► Action, again until it is done ──► Place (NAME.cursor)
//!                  (one task per hook)                              └──► Ledger ──► /v1/hooks
//! ```
//!
//! A hook is a subscriber like any other: a number, so one that is slow or fails holds up nobody and pins no memory.
//! What it has in the hand is one document. It goes on to the next one when that is delivered or given up; how far it is
//! is written down after that, so a crash repeats and never leaves out. Beyond the log's retention it gets one document
//! with all members in place of the events that are gone.
//!
//! A hook whose name is new begins with what happens from then on. At the first start of a host that is everything.

mod action;
mod document;
mod filter;
mod ledger;
mod place;
mod worker;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cluster_core::{Backoff, EventLog};
use tokio::{sync::watch, task::JoinHandle};
use tracing::warn;

pub use self::ledger::HookInfo;
pub(crate) use self::ledger::Ledger;
use self::{action::Action, filter::Filter, worker::Worker};
use crate::{
    board::Board,
    clock,
    config::{Config, HookConfig},
};

/// How long what is under way may take once the host stops, or a hook is removed. What is not delivered by then is
/// delivered after the restart.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(2);
/// How long writing the last cursor may take after that.
const SAVE_MAX: Duration = Duration::from_secs(1);

/// What a new configuration changes in the hooks, or would change, by name.
///
/// # Examples
///
/// ```
/// use cluster_host::HookChanges;
///
/// let mut changes = HookChanges::default();
/// assert!(changes.is_empty());
/// changes.removed.push("pager".to_owned());
/// assert!(!changes.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Those that go on in another way from where they are.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
}

/// All hooks of a host.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    running: BTreeMap<String, Running>,
    /// Those that are gone and may have something under way.
    retired: BTreeMap<String, JoinHandle<()>>,
}

#[derive(Debug)]
struct Running {
    config: HookConfig,
    orders: watch::Sender<Orders>,
    task: JoinHandle<()>,
}

/// What a hook is to do.
#[derive(Debug, Clone)]
struct Orders {
    plan: Arc<Plan>,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    /// Deliver what there is until then, without tries again: the log ends.
    Drain(Instant),
    /// End what is under way by then.
    End(Instant),
}

/// A hook's configuration, as it is used.
#[derive(Debug)]
struct Plan {
    filter: Filter,
    action: Action,
    backoff: Backoff,
    give_up_after: Option<Duration>,
}

/// What hooks are given of the host.
#[derive(Debug, Clone)]
struct Around {
    log: EventLog,
    board: Arc<Board>,
    cluster: Arc<str>,
}

// === impl Hooks ===

impl Hooks {
    /// Has those hooks run that a configuration names. Those that it does not change run on.
    pub(crate) fn apply(&mut self, config: &Config, log: &EventLog, board: &Arc<Board>) {
        self.retired.retain(|_, task| !task.is_finished());
        let is_gone = |name: &String, _: &mut Running| !config.on_event.iter().any(|hook| hook.name == *name);
        for (name, hook) in self.running.extract_if(.., is_gone) {
            hook.order_stop(Stop::End(clock::now().instant + STOP_MAX));
            board.hooks.remove(&name);
            self.retired.insert(name, hook.task);
        }
        let cluster: Arc<str> = config.cluster.as_str().into();
        for hook in &config.on_event {
            if let Some(running) = self.running.get_mut(&hook.name) {
                running.change(hook);
                continue;
            }
            let around = Around { log: log.clone(), board: Arc::clone(board), cluster: Arc::clone(&cluster) };
            let running = self.start(hook, config.state.directory.as_deref(), around);
            self.running.insert(hook.name.clone(), running);
        }
    }

    fn start(&mut self, hook: &HookConfig, state: Option<&Path>, around: Around) -> Running {
        let plan = Arc::new(Plan::new(hook));
        let (orders, ordered) = watch::channel(Orders { plan, stop: None });
        let before = self.retired.remove(&hook.name).filter(|before| !before.is_finished());
        let task = match before {
            // It may yet write how far it is.
            Some(before) => {
                let (name, state) = (hook.name.clone(), state.map(Path::to_owned));
                tokio::spawn(async move {
                    let _ended = before.await;
                    Worker::begin(&name, state.as_deref(), around, ordered).run().await;
                })
            }
            None => tokio::spawn(Worker::begin(&hook.name, state, around, ordered).run()),
        };
        Running { config: hook.clone(), orders, task }
    }

    /// Lets them deliver what there is, [`STOP_MAX`] at most. The log is closed.
    pub(crate) async fn stop(&mut self) {
        let until = clock::now().instant + STOP_MAX;
        let running = std::mem::take(&mut self.running).into_iter();
        let running = running.map(|(name, hook)| {
            hook.order_stop(Stop::Drain(until));
            (name, hook.task)
        });
        let tasks: Vec<_> = running.chain(std::mem::take(&mut self.retired)).collect();
        for (name, mut task) in tasks {
            let ended = tokio::time::timeout_at((until + SAVE_MAX).into(), &mut task).await;
            if ended.is_err() {
                warn!(hook = name, "did not end in time: it may deliver something again after a restart");
                task.abort();
            }
        }
    }
}

// === impl Running ===

impl Running {
    fn change(&mut self, config: &HookConfig) {
        if self.config != *config {
            self.config = config.clone();
            let plan = Arc::new(Plan::new(config));
            self.orders.send_modify(|orders| orders.plan = plan);
        }
    }

    fn order_stop(&self, stop: Stop) {
        self.orders.send_modify(|orders| orders.stop = Some(stop));
    }
}

// === impl Stop ===

impl Stop {
    const fn is_end(self) -> bool {
        matches!(self, Self::End(_))
    }

    const fn deadline(self) -> Instant {
        match self {
            Self::Drain(until) | Self::End(until) => until,
        }
    }
}

// === impl Plan ===

impl Plan {
    fn new(config: &HookConfig) -> Self {
        Self {
            filter: Filter::new(config),
            action: Action::new(config),
            backoff: config.retry.into(),
            give_up_after: config.give_up_after.map(Into::into),
        }
    }
}

// === impl HookChanges ===

impl HookChanges {
    /// What another list of hooks changes.
    pub(crate) fn between(old: &[HookConfig], new: &[HookConfig]) -> Self {
        let find = |hooks: &[HookConfig], name: &str| hooks.iter().position(|hook| hook.name == name);
        let mut changes = Self::default();
        for hook in new {
            match find(old, &hook.name).and_then(|index| old.get(index)) {
                None => changes.added.push(hook.name.clone()),
                Some(before) if before != hook => changes.changed.push(hook.name.clone()),
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|hook| find(new, &hook.name).is_none());
        changes.removed = gone.map(|hook| hook.name.clone()).collect();
        changes
    }

    /// The hooks by the word for what becomes of them.
    pub(crate) fn lists(&self) -> [(&'static str, &[String]); 3] {
        let Self { added, changed, removed } = self;
        [("added", added), ("changed", changed), ("removed", removed)]
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(_, names)| names.is_empty())
    }
}
