//! A supervised unit: one strategy or one connector, from its plugin, started again when it ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cluster_core::{Health, TopologyName};
use cluster_sdk::abi::host::{OfferKind, Start, StopReason};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::{
    board::Board,
    inbox::{Inbox, UnitId},
    placement::{Instance, Plugin},
    presence::Presence,
    supervision::{Decision, Exit, Supervision},
    voice::Voice,
};

/// What a unit is made of.
#[derive(Debug)]
pub(crate) struct UnitSpec {
    pub(crate) id: UnitId,
    pub(crate) kind: OfferKind,
    /// The strategy's or connector's name.
    pub(crate) name: String,
    /// The plugin that offers it.
    pub(crate) plugin: Plugin,
    pub(crate) config: Value,
    /// The topologies that it works for.
    pub(crate) topologies: Vec<TopologyName>,
    /// Nodes that a strategy may report at most; a connector reports none.
    pub(crate) members_max: usize,
}

/// Where units are started.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) board: Arc<Board>,
    pub(crate) presence: Presence,
}

#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) spec: UnitSpec,
    supervision: Supervision,
    state: State,
    /// Number of the current start; what earlier ones say is dropped.
    start: u64,
    /// Instances that have ended, or were told to, while their threads or processes had not.
    leftovers: Vec<Instance>,
}

#[derive(Debug)]
enum State {
    /// Left when it is started, at `due`.
    Waiting { due: Instant },
    /// Left by its exit.
    Running { instance: Instance, voice: Arc<Voice> },
    /// Never left.
    Ended,
}

// === impl Unit ===

impl Unit {
    /// A unit that is to be started now.
    pub(crate) fn new(spec: UnitSpec, supervision: Supervision, now: Instant) -> Self {
        Self { spec, supervision, state: State::Waiting { due: now }, start: 0, leftovers: Vec::new() }
    }

    /// When it is to be started.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Running { .. } | State::Ended => None,
        }
    }

    /// Whether a word of this start is of the current one.
    pub(crate) fn is_current(&self, start: u64) -> bool {
        self.start == start && matches!(self.state, State::Running { .. })
    }

    /// The instance, while it runs.
    pub(crate) fn running(&self) -> Option<(&Instance, &Voice)> {
        match &self.state {
            State::Running { instance, voice } => Some((instance, voice)),
            State::Waiting { .. } | State::Ended => None,
        }
    }

    /// Starts an instance.
    pub(crate) fn start(&mut self, around: &Surroundings, now: Instant) -> Result<(), Exit> {
        self.sweep();
        self.start = self.start.saturating_add(1);
        self.supervision.started(now);
        let voice = Arc::new(Voice::new(&self.spec, self.start, around));
        let start = Start {
            kind: self.spec.kind,
            name: self.spec.name.clone(),
            config: self.spec.config.clone(),
            topology: self.spec.label(),
            local: around.presence.local().clone(),
            log_level: LevelFilter::current(),
        };
        let instance = self.spec.plugin.start(&start, Arc::clone(&voice) as _);
        let instance = instance.map_err(|error| Exit::Failed(format!("cannot be started: {error}")))?;
        self.state = State::Running { instance, voice };
        Ok(())
    }

    /// The instance has ended, or could not be started. Says what comes of it.
    pub(crate) fn ended(&mut self, exit: &Exit, now: Instant, random: f64) -> Decision {
        let decision = self.supervision.ended(exit, now, random);
        let state = match decision {
            Decision::RestartAt(due) => State::Waiting { due },
            Decision::Done | Decision::GiveUp(_) => State::Ended,
        };
        self.leave(state);
        decision
    }

    /// Tells the instance to end, if there is one. Its exit still comes.
    pub(crate) fn stop(&mut self, reason: StopReason, within: Duration) {
        match &self.state {
            State::Running { instance, .. } => instance.stop(reason, within),
            State::Waiting { .. } | State::Ended => self.state = State::Ended,
        }
    }

    /// It was told to end and has, or is not waited for any more.
    pub(crate) fn abandon(&mut self) {
        self.leave(State::Ended);
    }

    /// How often it was started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.supervision.restarts
    }

    fn leave(&mut self, state: State) {
        if let State::Running { instance, .. } = std::mem::replace(&mut self.state, state) {
            self.leftovers.push(instance);
        }
        self.sweep();
    }

    /// Frees what can be freed; what is stuck keeps its instance.
    fn sweep(&mut self) {
        let leftovers = std::mem::take(&mut self.leftovers);
        self.leftovers = leftovers.into_iter().filter_map(|instance| instance.try_destroy().err()).collect();
    }
}

// === impl UnitSpec ===

impl UnitSpec {
    /// What it is called in logs and thread names.
    pub(crate) fn label(&self) -> String {
        match &self.id {
            UnitId::Strategy(topology) => topology.to_string(),
            UnitId::Connector(_) => format!("connector {}", self.name),
        }
    }
}

/// The health of a topology by what its supervisor does.
pub(crate) fn health_after(exit: &Exit, decision: &Decision, now: Instant) -> (Health, String) {
    match (decision, exit) {
        (Decision::RestartAt(due), exit) => {
            let wait = due.saturating_duration_since(now);
            let what = match exit {
                Exit::Finished => "it ended",
                Exit::Failed(reason) => reason,
            };
            (Health::Degraded, format!("{what}; it is started again in {:.1} s", wait.as_secs_f64()))
        }
        (Decision::Done, _) => (Health::Stopped, "the strategy has done its work".to_owned()),
        (Decision::GiveUp(reason), _) => (Health::Stopped, reason.clone()),
    }
}
