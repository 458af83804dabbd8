//! A supervised unit: one strategy or one connector, from its plugin, started again when it ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cluster_core::{Health, TopologyName};
use cluster_sdk::abi::host::{OfferKind, Start, StopReason};
use serde_json::Value;
use tracing::{level_filters::LevelFilter, warn};

use crate::{
    board::Board,
    inbox::{Inbox, UnitId},
    metrics::Meters,
    placement::{Instance, Plugin},
    presence::Presence,
    readiness::Readiness,
    supervision::{Decision, Exit, RestartPolicy, Supervision},
    voice::Voice,
};

/// How long a unit is given to end: at a change, and when the host stops.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(2);

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
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) meters: Arc<Meters>,
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
    /// Told to end, for another to take its place. Left by its exit, or when it is not waited for any more.
    Stopping { instance: Instance, until: Instant },
    /// Left when it is replaced.
    Ended { given_up: bool },
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
            State::Stopping { until, .. } => Some(until),
            State::Running { .. } | State::Ended { .. } => None,
        }
    }

    /// Whether a word of this start is of the current one.
    pub(crate) fn is_current(&self, start: u64) -> bool {
        self.start == start && matches!(self.state, State::Running { .. })
    }

    /// Whether this start of it has not ended yet, be it wanted any more or not.
    pub(crate) fn is_live(&self, start: u64) -> bool {
        self.start == start && matches!(self.state, State::Running { .. } | State::Stopping { .. })
    }

    /// Whether there is an instance that has not ended.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Stopping { .. })
    }

    /// Whether it was given up for its failures.
    pub(crate) fn has_given_up(&self) -> bool {
        matches!(self.state, State::Ended { given_up: true })
    }

    /// The instance, while it runs.
    pub(crate) fn running(&self) -> Option<(&Instance, &Voice)> {
        match &self.state {
            State::Running { instance, voice } => Some((instance, voice)),
            State::Waiting { .. } | State::Stopping { .. } | State::Ended { .. } => None,
        }
    }

    /// Starts an instance, with a number that no other start has.
    pub(crate) fn start(&mut self, around: &Surroundings, start: u64, now: Instant) -> Result<(), Exit> {
        if matches!(self.state, State::Stopping { .. }) {
            warn!(unit = self.spec.label(), "did not end in time: another is started beside it");
        }
        self.leave(State::Waiting { due: now });
        self.start = start;
        self.supervision.started(now);
        let voice = Arc::new(Voice::new(&self.spec, self.start, around));
        let start = Start {
            kind: self.spec.kind,
            name: self.spec.name.clone(),
            config: self.spec.config.clone(),
            topology: self.spec.label(),
            local: around.presence.local().clone(),
            log_level: LevelFilter::current(),
            diagnose: None,
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
            Decision::Done => State::Ended { given_up: false },
            Decision::GiveUp(_) => State::Ended { given_up: true },
        };
        self.leave(state);
        decision
    }

    /// Tells the instance to end, if there is one. Its exit still comes.
    pub(crate) fn stop(&mut self, reason: StopReason, within: Duration) {
        match &self.state {
            State::Running { instance, .. } => instance.stop(reason, within),
            // It was told so already.
            State::Stopping { .. } => {}
            State::Waiting { .. } | State::Ended { .. } => self.state = State::Ended { given_up: false },
        }
    }

    /// It was told to end and has, or is not waited for any more.
    pub(crate) fn abandon(&mut self) {
        self.leave(State::Ended { given_up: false });
    }

    /// Has it be something else from now on: what runs ends first.
    pub(crate) fn replace(&mut self, spec: UnitSpec, policy: RestartPolicy, now: Instant) {
        self.spec = spec;
        self.supervision = Supervision::new(policy, now);
        self.state = match std::mem::replace(&mut self.state, State::Waiting { due: now }) {
            State::Running { instance, .. } => {
                instance.stop(StopReason::Restart, STOP_MAX);
                State::Stopping { instance, until: now + STOP_MAX }
            }
            State::Stopping { instance, until } => State::Stopping { instance, until },
            State::Waiting { .. } | State::Ended { .. } => State::Waiting { due: now },
        };
    }

    /// The one before has ended: it is its successor's turn.
    pub(crate) fn handle_stopped(&mut self, now: Instant) {
        self.leave(State::Waiting { due: now });
    }

    /// Is supervised by other rules from now on.
    pub(crate) fn set_policy(&mut self, policy: RestartPolicy) {
        self.supervision.set_policy(policy);
    }

    /// Works for these topologies from now on.
    pub(crate) fn serve(&mut self, topologies: &[TopologyName]) {
        topologies.clone_into(&mut self.spec.topologies);
        if let State::Running { voice, .. } = &self.state {
            voice.serve(topologies);
        }
    }

    /// How often it was started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.supervision.restarts
    }

    fn leave(&mut self, state: State) {
        match std::mem::replace(&mut self.state, state) {
            State::Running { instance, .. } | State::Stopping { instance, .. } => {
                self.leftovers.push(instance);
            }
            State::Waiting { .. } | State::Ended { .. } => {}
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
