//! The host as a value: built from a configuration and the plugins there are, started, read, stopped.

use std::{io, sync::Arc};

use cluster_core::{
    Epoch, Event, EventLog, LogOptions, NodeName, Snapshot, Start, Subscription,
    membership::explain::Explanation,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    api::{self, Answer, Limits, Listener, Source, TopologyInfo},
    assembly::{self, Assembled, StartError},
    board::{Board, Entry},
    config::Config,
    inbox::Inbox,
    owner::{Command, Owner},
    plugin::Registry,
    unit::Surroundings,
};

/// Events that the log keeps for subscribers to resume from.
pub const RETENTION_EVENTS_MAX: usize = 16_384;
/// Questions to the owner of the membership that may wait.
const COMMANDS_MAX: usize = 64;

/// A running host. Dropping it stops it without waiting; see [`Host::stop`].
#[derive(Debug)]
pub struct Host {
    handle: HostHandle,
    stop: watch::Sender<bool>,
    owner: JoinHandle<()>,
    api: Option<JoinHandle<io::Result<()>>>,
}

/// Reads a running host. Cheap to clone; outlives the host, whose last state it then shows.
#[derive(Debug, Clone)]
pub struct HostHandle {
    log: EventLog,
    board: Arc<Board>,
    commands: mpsc::Sender<Command>,
}

/// What a host is made of, before it starts.
#[derive(Debug)]
pub struct HostBuilder {
    config: Config,
    registry: Registry,
    listener: Option<Listener>,
    limits: Limits,
}

// === impl Host ===

impl Host {
    /// Begins to build a host.
    #[must_use]
    pub fn builder(config: Config, registry: Registry) -> HostBuilder {
        HostBuilder { config, registry, listener: None, limits: Limits::default() }
    }

    /// Reads it.
    #[must_use]
    pub fn handle(&self) -> &HostHandle {
        &self.handle
    }

    /// The members as they are now.
    #[must_use]
    pub fn members(&self) -> Snapshot {
        self.handle.log.snapshot().1
    }

    /// The members as they are now, then every change.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<Event, Snapshot> {
        self.handle.log.subscribe(Start::Snapshot)
    }

    /// Stops: the API first, then the strategies, which say that the node leaves unless it outlives the host, then the
    /// connectors. What does not
    /// end within two seconds each is left behind.
    pub async fn stop(self) {
        let Self { stop, owner, api, handle: _ } = self;
        let _still_wanted = stop.send(true);
        if let Some(api) = api {
            let _ended = api.await;
        }
        let _ended = owner.await;
    }
}

// === impl HostHandle ===

impl HostHandle {
    /// The log of events: subscribe to it from wherever you were.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }
}

impl Source for HostHandle {
    fn log(&self) -> &EventLog {
        &self.log
    }

    fn node(&self) -> Option<NodeName> {
        self.board.node()
    }

    fn topologies(&self) -> Vec<TopologyInfo> {
        let (_, snapshot) = self.log.snapshot();
        let entries = self.board.entries();
        let infos = entries.into_iter().filter_map(|(name, entry)| {
            let status = snapshot.topologies.get(&name)?.as_ref().clone();
            let Entry { strategy, plugin, connector, counters, restarts, last_report } = entry;
            Some(TopologyInfo { name, strategy, plugin, connector, status, counters, restarts, last_report })
        });
        infos.collect()
    }

    fn explain(&self, name: NodeName) -> Answer<'_, Option<Explanation>> {
        Box::pin(async move {
            let (answer, explanation) = oneshot::channel();
            self.commands.send(Command::Explain(name, answer)).await.ok()?;
            explanation.await.ok().flatten()
        })
    }
}

// === impl HostBuilder ===

impl HostBuilder {
    /// Serves the API there.
    #[must_use]
    pub fn listen(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when a plugin that the configuration names cannot be had, or may not be loaded. That a strategy fails when it runs
    /// is no error here: its topology says so.
    pub fn start(self) -> Result<Host, StartError> {
        let Self { config, mut registry, listener, limits } = self;
        if registry.pinned_by() != &config.plugins {
            registry.pin(&config.plugins)?;
        }
        let board = Arc::new(Board::default());
        let mut random = fastrand::Rng::new();
        let Assembled { mut membership, units, presence } =
            assembly::assemble(&config, &registry, random.u64(..), &board)?;
        board.set_node(presence.local().name.clone());
        let log_options = LogOptions {
            epoch: Epoch(random.u64(..)),
            revision: 0,
            retention_events_max: RETENTION_EVENTS_MAX,
        };
        let log = EventLog::new(log_options, Snapshot::default());
        log.publish(membership.take_events(), membership.snapshot());
        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let handle = HostHandle { log: log.clone(), board: Arc::clone(&board), commands };
        let around = Surroundings { inbox: Arc::new(Inbox::default()), board, presence };
        let owner = Owner { membership, log, units, around, random };
        let (stop, stopping) = watch::channel(false);
        let api = listener.map(|listener| {
            let source = Arc::new(handle.clone());
            tokio::spawn(api::serve(listener, source, limits, stopped(stopping.clone())))
        });
        let owner = tokio::spawn(owner.run(asked, stopped(stopping)));
        Ok(Host { handle, stop, owner, api })
    }
}

/// Ready when a stop is wanted, or the [`Host`] is gone.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _gone = stopping.wait_for(|stop| *stop).await;
}
