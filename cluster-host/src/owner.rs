//! The one who owns the membership: takes what plugins say, what time brings and what is asked, in turn, and hands
//! on what follows: effects to the connectors, events to the log.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use cluster_core::{
    Health, Membership, NodeName, Now,
    membership::{ConnectorId, Effect, LinkInput, OperationId, Outcome, explain::Explanation},
};
use cluster_sdk::{
    LocalNode,
    abi::host::{LocalReport, Operation, StopReason},
};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::{
    api::Forgotten,
    assembly::Assembly,
    changes::{Changes, Current},
    clock,
    hooks::Hooks,
    inbox::{Speaker, UnitId, Waiting, Word},
    narration,
    state::{self, Publisher, Sources},
    supervision::{Decision, Exit},
    unit::{STOP_MAX, Surroundings, Unit, health_after},
};

/// What the owner is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Whether it still answers.
    Ping(oneshot::Sender<()>),
    Explain(NodeName, oneshot::Sender<Option<Explanation>>),
    Forget(NodeName, oneshot::Sender<Option<Forgotten>>),
    /// What a configuration would change.
    Compare(Arc<Assembly>, oneshot::Sender<Result<Changes, Fixed>>),
    /// Make the host what a configuration asks for.
    Apply(Arc<Assembly>, oneshot::Sender<Result<Changes, Fixed>>),
}

#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) membership: Membership,
    pub(crate) publisher: Publisher,
    pub(crate) units: BTreeMap<UnitId, Unit>,
    pub(crate) around: Surroundings,
    pub(crate) random: fastrand::Rng,
    pub(crate) current: Current,
    pub(crate) hooks: Hooks,
    /// Units that were told to end for good, and until when they are waited for.
    retired: Vec<(Unit, Instant)>,
    /// What is told of the local node.
    told: LocalNode,
    /// Starts of all units so far.
    starts: u64,
}

/// The keys that a configuration changes and that only a new start of the host can change.
pub(crate) type Fixed = Vec<&'static str>;

// === impl Owner ===

impl Owner {
    /// One to whom everything is new.
    pub(crate) fn new(
        membership: Membership,
        publisher: Publisher,
        around: Surroundings,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            membership,
            publisher,
            units: BTreeMap::new(),
            around,
            random,
            current: Current::default(),
            hooks: Hooks::default(),
            retired: Vec::new(),
            told: LocalNode::default(),
            starts: 0,
        }
    }

    /// Works until `stop` is ready, then lets everything end.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let inbox = Arc::clone(&self.around.inbox);
        loop {
            self.start_due();
            self.hand_on();
            let due = self.next_due();
            tokio::select! {
                () = &mut stop => break,
                () = inbox.arrived() => self.take(inbox.take()),
                Some(command) = commands.recv() => self.command(command),
                () = until(due) => self.handle_timeout(),
            }
        }
        let reason = self.around.presence.stop_reason();
        self.stop_units(reason, |unit| matches!(unit, UnitId::Strategy(_))).await;
        self.stop_units(StopReason::Leave, |unit| matches!(unit, UnitId::Connector(_))).await;
        self.publisher.close().await;
        self.hooks.stop().await;
    }

    /// Takes up what is remembered, now that all is there that a configuration asks for and nothing runs yet.
    pub(crate) fn recall(&mut self, sources: &Sources, remembered: &Sources) {
        let now = clock::now();
        self.membership.recall(remembered.keys(), self.around.presence.is_awaited(), now);
        for (topology, source) in remembered {
            if sources.get(topology).is_some_and(|now| now != source) {
                self.membership.supersede(topology, now);
            }
        }
        self.publisher.set_sources(sources);
        self.publisher.show_topologies(self.membership.snapshot());
    }

    fn next_due(&self) -> Option<Instant> {
        let starts = self.units.values().filter_map(Unit::due);
        let retired = self.retired.iter().map(|(_, until)| *until);
        let own = starts.chain(retired).chain(self.current.next_due()).chain(self.publisher.due());
        own.chain(self.membership.poll_timeout()).min()
    }

    fn handle_timeout(&mut self) {
        let now = clock::now();
        self.membership.handle_timeout(now);
        self.publisher.handle_timeout(now.instant);
        self.remove_due();
        let late = self.retired.extract_if(.., |(_, until)| *until <= now.instant);
        for (unit, _) in late {
            warn!(unit = unit.spec.label(), "did not end in time: it is left behind");
        }
    }

    /// Starts the units whose time has come, connectors first: a link is wanted as soon as a node is known.
    fn start_due(&mut self) {
        let now = clock::now();
        let due = |unit: &&mut Unit| unit.due().is_some_and(|due| due <= now.instant);
        let mut failed = Vec::new();
        for unit in self.units.values_mut().rev().filter(due) {
            self.starts = self.starts.saturating_add(1);
            let started = unit.start(&self.around, self.starts, now.instant);
            match (&unit.spec.id, started) {
                (UnitId::Strategy(topology), Ok(())) => {
                    self.membership.strategy_started(topology, now);
                    self.membership.set_health(topology, Health::Starting, None, now);
                    debug!(%topology, strategy = unit.spec.name, "strategy started");
                }
                (UnitId::Connector(id), Ok(())) => {
                    self.membership.handle_link(*id, LinkInput::Started, now);
                    debug!(connector = unit.spec.name, "connector started");
                }
                (id, Err(exit)) => failed.push((id.clone(), exit)),
            }
        }
        for (id, exit) in failed {
            self.ended(&id, &exit);
        }
    }

    fn take(&mut self, waiting: Waiting) {
        for (topology, pending) in waiting.reports {
            let id = UnitId::Strategy(topology.clone());
            if self.units.get(&id).is_some_and(|unit| unit.is_current(pending.start)) {
                for report in pending.reports {
                    // A refusal is shown with the topology, and told as the event of that.
                    let taken = self.membership.handle_report(&topology, report, clock::now()).is_ok();
                    self.around.board.viewed(&topology, taken);
                    if taken {
                        self.current.reported(&topology);
                    }
                }
            }
        }
        for (Speaker { unit: id, start }, word) in waiting.words {
            let has_exited = matches!(word, Word::Exited(_));
            match self.units.get_mut(&id) {
                Some(unit) if unit.is_current(start) => self.hear(&id, word),
                Some(unit) if has_exited && unit.is_live(start) => unit.handle_stopped(clock::now().instant),
                _ if has_exited => self.retired.retain(|(unit, _)| !unit.is_live(start)),
                _ => {}
            }
        }
        self.remove_due();
        if waiting.dropped > 0 {
            warn!(
                dropped = waiting.dropped,
                "connectors say more than can be taken: link changes were dropped"
            );
        }
    }

    fn hear(&mut self, id: &UnitId, word: Word) {
        let now = clock::now();
        match (id, word) {
            (UnitId::Strategy(topology), Word::Health(health, reason)) => {
                self.around.board.said(topology, health, reason.as_deref());
                self.membership.set_health(topology, health, reason.as_deref(), now);
            }
            (UnitId::Strategy(_), Word::Link(_) | Word::Local(_)) => {}
            (UnitId::Connector(connector), Word::Health(health, reason)) => {
                let is_trouble = matches!(health, Health::Degraded | Health::Denied);
                let reason = || reason.map_or_else(|| "it is not well".into(), Into::into);
                let trouble = is_trouble.then(|| (health, reason()));
                self.membership.handle_link(*connector, LinkInput::Health(trouble), now);
            }
            (UnitId::Connector(connector), Word::Local(report)) => self.local_said(*connector, report),
            (UnitId::Connector(connector), Word::Link(input)) => {
                self.membership.handle_link(*connector, input, now);
            }
            (id, Word::Exited(exit)) => self.ended(id, &exit),
        }
    }

    /// A connector says whether the local node takes part.
    fn local_said(&mut self, connector: ConnectorId, report: LocalReport) {
        let now = clock::now();
        self.around.presence.hear(connector, report, now.wall);
        self.local_changed(now);
    }

    /// Tells who has to know what the local node is by now, where that has changed.
    pub(crate) fn local_changed(&mut self, now: Now) {
        let presence = &self.around.presence;
        let absence = presence.absence().map_or(Ok(()), |reason| Err(reason.into()));
        // It is never shown as another than it is: one that is gone is so before it is told of anew, one that has come
        // is told of before.
        if absence.is_err() {
            self.membership.set_presence(absence.clone(), now);
        }
        if self.told != *presence.local() {
            let local = presence.local();
            self.told.clone_from(local);
            self.around.board.set_node(local.name.clone());
            for (instance, _) in self.units.values().filter_map(Unit::running) {
                instance.update(local);
            }
            if let Some(node) = presence.node() {
                self.membership.set_local(node, now);
            }
        }
        if absence.is_ok() {
            self.membership.set_presence(absence, now);
        }
    }

    /// A unit has ended, or could not be started.
    fn ended(&mut self, id: &UnitId, exit: &Exit) {
        let now = clock::now();
        let random = self.random.f64();
        let Some(unit) = self.units.get_mut(id) else {
            return;
        };
        let decision = unit.ended(exit, now.instant, random);
        let (health, reason) = health_after(exit, &decision, now.instant);
        match id {
            UnitId::Strategy(topology) => {
                if matches!(decision, Decision::RestartAt(_)) {
                    self.around.board.restarted(topology, unit.restarts());
                }
                if matches!(exit, Exit::Failed(_)) {
                    self.around.board.failed(topology);
                }
                self.membership.strategy_stopped(topology, now);
                self.membership.set_health(topology, health, Some(&reason), now);
            }
            UnitId::Connector(connector) => {
                self.around.meters.connector_restarted(&unit.spec.name);
                let gone = LocalReport::Down(format!("its connector does not run: {reason}"));
                self.membership.handle_link(*connector, LinkInput::Stopped { reason: reason.into() }, now);
                self.local_said(*connector, gone);
            }
        }
    }

    /// Lets a unit end for good.
    pub(crate) fn retire_unit(&mut self, id: &UnitId, reason: StopReason, now: Now) {
        if let Some(mut unit) = self.units.remove(id) {
            unit.stop(reason, STOP_MAX);
            if unit.is_running() {
                self.retired.push((unit, now.instant + STOP_MAX));
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Ping(answer) => {
                let _gone = answer.send(());
            }
            Command::Explain(name, answer) => {
                let _gone = answer.send(self.membership.explain(&name, clock::now()));
            }
            Command::Forget(name, answer) => {
                let _gone = answer.send(self.forget(&name));
            }
            Command::Compare(assembly, answer) => {
                let possible = self.current.can_become(&assembly.config);
                let _gone = answer.send(possible.map(|()| self.current.compare(&assembly)));
            }
            Command::Apply(assembly, answer) => {
                let possible = self.current.can_become(&assembly.config);
                let changes = possible.map(|()| {
                    let changes = self.apply(&assembly);
                    self.publisher.set_sources(&state::sources(&assembly));
                    changes
                });
                let _gone = answer.send(changes);
            }
        }
    }

    /// Lets a node go, as far as no source names it.
    fn forget(&mut self, name: &NodeName) -> Option<Forgotten> {
        let now = clock::now();
        let before = self.membership.explain(name, now)?;
        let topologies = self.membership.forget(name, now);
        let after = self.membership.explain(name, now);
        let named_by = after.into_iter().flat_map(|after| after.vouches).map(|vouch| vouch.topology);
        let is_self = self.membership.local_name() == Some(name);
        Some(Forgotten { topologies, dead: before.dead, named_by: named_by.collect(), is_self })
    }

    /// Hands effects to the connectors and events to the log, until nothing follows any more.
    pub(crate) fn hand_on(&mut self) {
        loop {
            let effects = self.membership.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.do_effect(effect);
            }
        }
        self.around.meters.dialled(self.membership.dials());
        let events = self.membership.take_events();
        self.around.meters.published(&events);
        let snapshot = self.membership.snapshot();
        for event in &events {
            narration::tell(event, &snapshot);
        }
        self.publisher.publish(events, snapshot);
    }

    fn do_effect(&mut self, effect: Effect) {
        let (connector, operation, what, deadline) = match effect {
            Effect::Connect { connector, operation, node, deadline } => {
                (connector, operation, Operation::Connect(node), deadline)
            }
            Effect::Disconnect { connector, operation, node, deadline } => {
                (connector, operation, Operation::Disconnect(node), deadline)
            }
            Effect::List { connector, operation, deadline } => {
                (connector, operation, Operation::List, deadline)
            }
            Effect::Cancel { connector, operation } => {
                if let Some((instance, _)) =
                    self.units.get(&UnitId::Connector(connector)).and_then(Unit::running)
                {
                    instance.cancel(operation.0);
                }
                return;
            }
        };
        let OperationId(number) = operation;
        let running = self.units.get(&UnitId::Connector(connector)).and_then(Unit::running);
        let submitted = running.is_some_and(|(instance, voice)| {
            if what == Operation::List {
                voice.ask_list(operation);
            }
            instance.submit(number, &what, deadline).is_ok()
        });
        if !submitted {
            let outcome = Outcome::Failed("the connector does not run".into());
            self.membership.handle_link(connector, LinkInput::Completed { operation, outcome }, clock::now());
        }
    }

    /// Lets units end, and goes on when all have or [`STOP_MAX`] is over.
    async fn stop_units(&mut self, reason: StopReason, which: impl Fn(&UnitId) -> bool) {
        let deadline = clock::now().instant + STOP_MAX;
        for (_, unit) in self.units.iter_mut().filter(|(id, _)| which(id)) {
            unit.stop(reason, STOP_MAX);
        }
        let inbox = Arc::clone(&self.around.inbox);
        while self.units.iter().any(|(id, unit)| which(id) && unit.is_running()) {
            tokio::select! {
                () = inbox.arrived() => self.take_last(inbox.take()),
                () = until(Some(deadline)) => break,
            }
            self.hand_on();
        }
        for (id, unit) in self.units.iter_mut().filter(|(id, _)| which(id)) {
            if unit.is_running() {
                warn!(unit = ?id, "did not end within {} s: the host ends without it", STOP_MAX.as_secs());
                unit.abandon();
            }
        }
    }

    /// While the host stops, an exit is no reason to start anything again.
    fn take_last(&mut self, mut waiting: Waiting) {
        let exited = |word: &(Speaker, Word)| matches!(word.1, Word::Exited(_));
        let (exits, words) = std::mem::take(&mut waiting.words).into_iter().partition(exited);
        waiting.words = words;
        self.take(waiting);
        for (Speaker { unit, start }, _) in exits {
            if let Some(unit) = self.units.get_mut(&unit).filter(|unit| unit.is_live(start)) {
                unit.abandon();
            }
        }
    }
}

/// Waits until a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
