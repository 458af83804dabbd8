//! The host as a value: built from a configuration and the plugins there are, started, read, stopped.

mod source;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use cluster_core::{
    Epoch, Event, EventLog, LogOptions, Membership, Snapshot, Start, Subscription,
    membership::MembershipOptions,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    api::{self, Activity, Limits, Listener},
    assembly::{Assembly, StartError},
    board::Board,
    changes::Changes,
    clock,
    config::Config,
    inbox::Inbox,
    metrics::Meters,
    owner::{Command, Owner},
    plugin::Registry,
    presence::{Presence, incarnation_at},
    readiness::Readiness,
    reload::{self, Files, ReloadError, Reloaded},
    state::{self, Identity, Opened, Publisher},
    unit::Surroundings,
    watch::Watch,
};

/// Events that the log keeps for subscribers to resume from.
pub const RETENTION_EVENTS_MAX: usize = 16_384;
/// Questions to the owner of the membership that may wait.
const COMMANDS_MAX: usize = 64;

/// A running host. Dropping it stops it without waiting; see [`Host::stop`].
///
/// ```
/// use cluster_host::{Config, Host, Registry};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_json(json!({ "node": { "name": "app@127.0.0.1" } }))?;
/// let host = Host::builder(config, Registry::new()).start()?;
/// let members = host.wait_up(1).await.ok_or("it has ended")?;
/// assert_eq!(members.up().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["app@127.0.0.1"]);
/// assert_eq!(host.members().members.len(), 1);
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Host {
    handle: HostHandle,
    stop: watch::Sender<bool>,
    owner: JoinHandle<()>,
    api: Option<JoinHandle<io::Result<()>>>,
    probes: Option<JoinHandle<io::Result<()>>>,
}

/// Reads a running host. Cheap to clone; outlives the host, whose last state it then shows.
///
/// ```
/// use cluster_host::{Config, Host, Registry};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = |attributes| Config::from_json(json!({ "node": { "name": "app@127.0.0.1", "attributes": attributes } }));
/// let host = Host::builder(config(json!({}))?, Registry::new()).start()?;
/// let handle = host.handle().clone();
/// let changes = handle.apply(config(json!({ "zone": "eu-1" }))?, &mut Registry::new()).await?;
/// assert!(changes.is_empty(), "no topology is another one");
/// let told = handle.wait_until(|now| now.up().any(|member| member.attributes.get("zone") == Some("eu-1")));
/// assert!(told.await.is_some());
/// host.stop().await;
/// // What it was last can be read on; there is nothing to wait for any more.
/// assert_eq!(handle.log().snapshot().1.members.len(), 1);
/// assert!(handle.wait_until(|now| now.members.is_empty()).await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HostHandle {
    log: EventLog,
    board: Arc<Board>,
    commands: mpsc::Sender<Command>,
    files: Option<Arc<Files>>,
    state: state::Watch,
    readiness: Arc<Readiness>,
    meters: Arc<Meters>,
    /// The plugins of a host without files.
    registry: Arc<Registry>,
    /// What its API counts.
    activity: Arc<Activity>,
}

/// What a host is made of, before it starts.
///
/// ```
/// use cluster_host::{Config, Host, Registry, api::{ListenAddress, Listener}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// let file = directory.path().join("cluster.toml");
/// std::fs::write(&file, "cluster = \"shop\"\n")?;
/// let loaded = Config::load(&file, &|_| None).map_err(cluster_host::config::Mistakes::from)?;
/// let address = ListenAddress::parse(&format!("unix:{}/api.sock", directory.path().display()))?;
/// let builder = Host::builder(loaded.config, Registry::new());
/// let host = builder.listen(Listener::bind(&address)?).reload_from(&file).start()?;
/// assert!(host.handle().reload().await?.changes.is_empty());
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HostBuilder {
    config: Config,
    registry: Registry,
    listener: Option<Listener>,
    probe_listener: Option<Listener>,
    limits: Limits,
    file: Option<PathBuf>,
}

// === impl Host ===

impl Host {
    /// Begins to build a host.
    #[must_use]
    pub fn builder(config: Config, registry: Registry) -> HostBuilder {
        HostBuilder {
            config,
            registry,
            listener: None,
            probe_listener: None,
            limits: Limits::default(),
            file: None,
        }
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

    /// Waits until so many members are up, the local node among them, and gives them as they are then; nothing where the host
    /// ends before. Put [`tokio::time::timeout`] around it where waiting for ever is no use.
    pub async fn wait_up(&self, members: usize) -> Option<Snapshot> {
        self.handle.wait_until(|snapshot| snapshot.up().count() >= members).await
    }

    /// Stops: the API first, then the strategies, which say that the node leaves unless it outlives the host, then the
    /// connectors, and at last the hooks, which deliver what has happened by then. What does not
    /// end within two seconds each is left behind.
    pub async fn stop(self) {
        let Self { stop, owner, api, probes, handle: _ } = self;
        let _still_wanted = stop.send(true);
        for server in [api, probes].into_iter().flatten() {
            let _ended = server.await;
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

    /// Waits until the membership is so, and gives it as it is then; nothing where the host ends before. It is looked at after
    /// each change that is published: what is so for a moment between two of them may be missed, which a subscription to
    /// [`HostHandle::log`] does not.
    pub async fn wait_until(&self, mut is_so: impl FnMut(&Snapshot) -> bool) -> Option<Snapshot> {
        let mut changes = self.log.subscribe(Start::Snapshot);
        loop {
            changes.next().await?;
            let (_, snapshot) = self.log.snapshot();
            if is_so(&snapshot) {
                return Some(snapshot);
            }
        }
    }

    /// One whose questions are answered by whoever has the other end.
    #[cfg(test)]
    pub(crate) fn asking(commands: mpsc::Sender<Command>) -> Self {
        let options = LogOptions { epoch: Epoch(1), revision: 0, retention_events_max: 16 };
        let log = EventLog::new(options, Snapshot::default());
        let state = Publisher::direct(log.clone()).watch();
        let readiness = Arc::default();
        let meters = Arc::new(Meters::new(clock::now().wall, ""));
        let registry = Arc::new(Registry::new());
        Self {
            log,
            board: Arc::default(),
            commands,
            files: None,
            registry,
            state,
            readiness,
            meters,
            activity: Arc::default(),
        }
    }

    /// Tells whether the last reload was refused, where there is a file to be read again.
    pub(crate) fn refused(&self) -> Option<watch::Receiver<bool>> {
        self.files.as_ref().map(|files| files.refused())
    }

    /// Makes the host what another configuration asks for. Topologies that it does not change run on; see [`Changes`].
    ///
    /// # Errors
    /// [`ReloadError`], and everything runs on as it was: a plugin cannot be had, or what is changed needs a new start.
    pub async fn apply(&self, config: Config, registry: &mut Registry) -> Result<Changes, ReloadError> {
        let assembly = Arc::new(Assembly::new(config, registry)?);
        reload::ask(&self.commands, |answer| Command::Apply(assembly, answer)).await
    }

    /// Reads the configuration and the plugins again, and applies them.
    ///
    /// # Errors
    /// [`ReloadError`], and everything runs on as it was.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.files.as_ref().ok_or(ReloadError::NoFile)?.reload(&self.commands).await
    }

    /// Reads the configuration and the plugins again whenever one of them changes, and applies what is new and right. It
    /// ends with the host.
    /// An error where the system does not tell of changes.
    pub(crate) async fn follow(&self) -> io::Result<()> {
        let Some(files) = &self.files else {
            return Ok(());
        };
        loop {
            let directories = files.directories().await;
            let mut watch = Watch::new(&directories)?;
            // What has changed before it was watched is looked at once; another lock file may be elsewhere.
            loop {
                files.reload_if_changed(&self.commands).await;
                if files.directories().await != directories {
                    break;
                }
                if watch.changed().await.is_none() {
                    return Ok(());
                }
            }
        }
    }

    /// Tells what a reload would change. The sources that would be new are asked, which takes up to ten seconds.
    ///
    /// # Errors
    /// As [`HostHandle::reload`].
    pub async fn dry_run(&self) -> Result<Reloaded, ReloadError> {
        let files = self.files.as_ref().ok_or(ReloadError::NoFile)?;
        files.dry_run(&self.commands, &self.log, self.board.node()).await
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

    /// Answers probes and Prometheus there: see [`api::serve_probes`].
    #[must_use]
    pub fn probes(mut self, listener: Listener) -> Self {
        self.probe_listener = Some(listener);
        self
    }

    /// Reads this file again at a reload. The configuration that it starts with was read from there.
    #[must_use]
    pub fn reload_from(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when a plugin that the configuration names cannot be had, or may not be loaded. That a strategy fails when it runs
    /// is no error here: its topology says so.
    pub fn start(self) -> Result<Host, StartError> {
        let Self { config, mut registry, listener, probe_listener, limits, file } = self;
        let board = Arc::new(Board::default());
        let mut random = fastrand::Rng::new();
        let now = clock::now();
        let meters = Arc::new(Meters::new(now.wall, &config.cluster));
        let readiness = Arc::new(Readiness::default());
        let presence = Presence::new(config.local_node(incarnation_at(now.wall)));
        let assembly = Assembly::new(config, &mut registry)?;
        assembly.keep(&registry);
        meters.plugins(&registry);
        let fresh = Epoch(random.u64(..));
        let opened = open_state(&assembly.config, fresh)?;
        let options = MembershipOptions {
            revision: opened.as_ref().map_or(0, |opened| opened.snapshot.revision),
            members: opened.as_ref().map(|opened| opened.snapshot.members.clone()).unwrap_or_default(),
            seed: random.u64(..),
            local: None,
        };
        let membership = Membership::new(options, now);
        let remembered = opened.as_ref().map(|opened| opened.sources.clone());
        let publisher = publisher(opened, fresh, random.fork())?;
        let log = publisher.log().clone();
        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let registry = Arc::new(registry);
        let files = file.map(|file| Arc::new(Files::new(&file, Arc::clone(&registry), Arc::clone(&meters))));
        let state = publisher.watch();
        let around = Surroundings {
            inbox: Arc::new(Inbox::default()),
            board: Arc::clone(&board),
            presence,
            readiness: Arc::clone(&readiness),
            meters: Arc::clone(&meters),
        };
        let activity = Arc::default();
        let handle = HostHandle { log, board, commands, files, registry, state, readiness, meters, activity };
        let mut owner = Owner::new(membership, publisher, around, random);
        let _all_is_new = owner.apply(&assembly);
        if let Some(remembered) = remembered {
            owner.recall(&state::sources(&assembly), &remembered);
        }
        owner.hand_on();
        let (stop, stopping) = watch::channel(false);
        let api = listener.map(|listener| {
            let source = Arc::new(handle.clone());
            tokio::spawn(api::serve(listener, source, limits, stopped(stopping.clone())))
        });
        let probes = probe_listener.map(|listener| {
            let source = Arc::new(handle.clone());
            tokio::spawn(api::serve_probes(listener, source, stopped(stopping.clone())))
        });
        let owner = tokio::spawn(owner.run(asked, stopped(stopping)));
        Ok(Host { handle, stop, owner, api, probes })
    }
}

/// What is remembered, where the configuration wants that.
fn open_state(config: &Config, fresh: Epoch) -> Result<Option<Opened>, StartError> {
    let Some(directory) = &config.state.directory else {
        return Ok(None);
    };
    let node = config.node.as_ref().map(|node| node.name.clone());
    let identity = Identity { cluster: config.cluster.clone(), node };
    Ok(Some(Opened::open(directory, identity, state::Limits::default(), fresh)?))
}

/// The log with what is remembered, and who publishes there.
fn publisher(opened: Option<Opened>, fresh: Epoch, random: fastrand::Rng) -> Result<Publisher, StartError> {
    let retention_events_max = RETENTION_EVENTS_MAX;
    let Some(opened) = opened else {
        let options = LogOptions { epoch: fresh, revision: 0, retention_events_max };
        return Ok(Publisher::direct(EventLog::new(options, Snapshot::default())));
    };
    Ok(Publisher::written(opened, random)?)
}

/// Ready when a stop is wanted, or the [`Host`] is gone.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _gone = stopping.wait_for(|stop| *stop).await;
}
