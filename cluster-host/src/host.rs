//! The host as a value: built from a configuration and the plugins there are, started, read, stopped.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use cluster_core::{
    Backoff, Epoch, Event, EventLog, LogOptions, Membership, Node, NodeName, Snapshot, Start, Subscription,
    TopologyName,
    membership::{ConnectorId, ConnectorSpec, MembershipOptions, TopologySpec, explain::Explanation},
};
use cluster_sdk::{
    LocalNode,
    abi::host::{Links, LoadedPlugin, Offer, OfferKind},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    api::{self, Answer, Limits, Listener, Source, TopologyInfo},
    board::{Board, Entry},
    clock,
    config::{Config, ConnectorConfig, NodeConfig, Restart, TopologyConfig},
    inbox::{Inbox, UnitId},
    owner::{Command, Owner},
    plugin::{self, LoadError, LookupError, Registry},
    supervision::{RestartPolicy, Supervision},
    unit::{Surroundings, Unit, UnitSpec},
};

/// Events that the log keeps for subscribers to resume from.
pub const RETENTION_EVENTS_MAX: usize = 16_384;
/// Questions to the owner of the membership that may wait.
const COMMANDS_MAX: usize = 64;
/// How often connectors are asked which links they have.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

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
    local: Option<NodeName>,
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

/// Why a host did not start. Nothing runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A strategy or connector that the configuration names is not there. (operator)
    #[error("topology {topology}: {error}")]
    Lookup {
        /// The topology that needs it.
        topology: TopologyName,
        /// Why.
        #[source]
        error: LookupError,
    },
    /// Its plugin could not be loaded. (operator)
    #[error("topology {topology}: {error}")]
    Load {
        /// The topology that needs it.
        topology: TopologyName,
        /// Why.
        #[source]
        error: LoadError,
    },
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
            limits: Limits::default(),
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

    /// Stops: the API first, then the strategies, which say that the node leaves, then the connectors. What does not
    /// end within two seconds each is left behind.
    pub async fn stop(self) {
        let Self {
            stop,
            owner,
            api,
            handle: _,
        } = self;
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

    fn node(&self) -> Option<&NodeName> {
        self.local.as_ref()
    }

    fn topologies(&self) -> Vec<TopologyInfo> {
        let (_, snapshot) = self.log.snapshot();
        let entries = self.board.entries();
        let infos = entries.into_iter().filter_map(|(name, entry)| {
            let status = snapshot.topologies.get(&name)?.as_ref().clone();
            let Entry {
                strategy,
                plugin,
                connector,
                counters,
                restarts,
                last_report,
            } = entry;
            Some(TopologyInfo {
                name,
                strategy,
                plugin,
                connector,
                status,
                counters,
                restarts,
                last_report,
            })
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
    /// [`StartError`] when a plugin that the configuration names cannot be had. That a strategy fails when it runs
    /// is no error here: its topology says so.
    pub fn start(self) -> Result<Host, StartError> {
        let Self {
            config,
            registry,
            listener,
            limits,
        } = self;
        let now = clock::now();
        let incarnation = now
            .wall
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let incarnation = u64::try_from(incarnation).unwrap_or(u64::MAX);
        let local = local_node(&config, incarnation);
        let board = Arc::new(Board::default());
        let mut random = fastrand::Rng::new();
        let options = MembershipOptions {
            local: config.node.as_ref().map(|node| described(node, incarnation)),
            revision: 0,
            seed: random.u64(..),
        };
        let mut assembly = Assembly {
            registry: &registry,
            membership: Membership::new(options, now),
            connectors: Vec::new(),
            units: BTreeMap::new(),
            board: Arc::clone(&board),
        };
        for (name, topology) in &config.topologies {
            assembly.add(name, topology)?;
        }
        let Assembly {
            mut membership,
            units,
            ..
        } = assembly;
        let log_options = LogOptions {
            epoch: Epoch(random.u64(..)),
            revision: 0,
            retention_events_max: RETENTION_EVENTS_MAX,
        };
        let log = EventLog::new(log_options, Snapshot::default());
        log.publish(membership.take_events(), membership.snapshot());
        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let handle = HostHandle {
            log: log.clone(),
            local: local.name.clone(),
            board: Arc::clone(&board),
            commands,
        };
        let around = Surroundings {
            inbox: Arc::new(Inbox::default()),
            board,
            local,
        };
        let owner = Owner {
            membership,
            log,
            units,
            around,
            random,
        };
        let (stop, stopping) = watch::channel(false);
        let api = listener.map(|listener| {
            let source = Arc::new(handle.clone());
            tokio::spawn(api::serve(listener, source, limits, stopped(stopping.clone())))
        });
        let owner = tokio::spawn(owner.run(asked, stopped(stopping)));
        Ok(Host {
            handle,
            stop,
            owner,
            api,
        })
    }
}

/// Ready when a stop is wanted, or the [`Host`] is gone.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _gone = stopping.wait_for(|stop| *stop).await;
}

/// Makes units and the membership's specs of a configuration.
struct Assembly<'a> {
    registry: &'a Registry,
    membership: Membership,
    /// The connectors so far: those of topologies with an equal `connect` are one.
    connectors: Vec<(ConnectorId, &'a TopologyConfig)>,
    units: BTreeMap<UnitId, Unit>,
    board: Arc<Board>,
}

impl<'a> Assembly<'a> {
    fn add(&mut self, name: &TopologyName, config: &'a TopologyConfig) -> Result<(), StartError> {
        let now = clock::now();
        let (plugin, plugin_name) = self.load(name, OfferKind::Strategy, &config.strategy)?;
        let connector = match config.connect.connector() {
            Some(connector) => Some(self.connector(name, config, connector)?),
            None => None,
        };
        self.board.add(
            name.clone(),
            Entry {
                strategy: config.strategy.clone(),
                plugin: Some(plugin_name),
                connector: config.connect.name().to_owned(),
                ..Entry::default()
            },
        );
        let spec = TopologySpec {
            name: name.clone(),
            connector,
            prune: config.prune.policy(),
            members_max: config.members_max.get(),
        };
        self.membership.add_topology(spec, now);
        let policy = RestartPolicy {
            restart: config.opts.restart,
            max_restarts: config.opts.max_restarts,
            max_seconds: Duration::from_secs(config.opts.max_seconds.get().into()),
            backoff: Backoff::default(),
        };
        self.unit(
            policy,
            UnitSpec {
                id: UnitId::Strategy(name.clone()),
                kind: OfferKind::Strategy,
                name: config.strategy.clone(),
                plugin,
                config: config.config.to_value(),
                topologies: vec![name.clone()],
            },
        );
        Ok(())
    }

    /// The connector of a topology: that of an earlier one with an equal `connect`, or a new one.
    fn connector(
        &mut self,
        topology: &TopologyName,
        config: &'a TopologyConfig,
        connector: &ConnectorConfig,
    ) -> Result<ConnectorId, StartError> {
        let shared = self
            .connectors
            .iter()
            .find(|(_, other)| other.shares_connector(config))
            .map(|(id, _)| *id);
        if let Some(id) = shared {
            if let Some(unit) = self.units.get_mut(&UnitId::Connector(id)) {
                unit.spec.topologies.push(topology.clone());
            }
            return Ok(id);
        }
        let id = ConnectorId(u32::try_from(self.connectors.len()).unwrap_or(u32::MAX));
        let (plugin, _) = self.load(topology, OfferKind::Connector, &connector.name)?;
        let offer = describe(&plugin, &connector.name);
        self.membership.add_connector(ConnectorSpec {
            id,
            name: connector.name.as_str().into(),
            by_address: offer.as_ref().is_some_and(|offer| offer.by_address),
            outlives: offer.is_some_and(|offer| offer.links == Some(Links::Outlive)),
            dials_max: config.opts.dials_max.get(),
            deadline: config.opts.deadline.get(),
            retry: config.opts.retry.into(),
            list_interval: Some(LIST_INTERVAL),
        });
        // A connector is wanted as long as its topologies are: it is never given up.
        let (restart, max_restarts, max_seconds) = (Restart::Permanent, u32::MAX, Duration::from_secs(1));
        let policy = RestartPolicy {
            restart,
            max_restarts,
            max_seconds,
            backoff: Backoff::default(),
        };
        self.unit(
            policy,
            UnitSpec {
                id: UnitId::Connector(id),
                kind: OfferKind::Connector,
                name: connector.name.clone(),
                plugin,
                config: connector.config.to_value(),
                topologies: vec![topology.clone()],
            },
        );
        self.connectors.push((id, config));
        Ok(id)
    }

    fn load(
        &self,
        topology: &TopologyName,
        kind: OfferKind,
        name: &str,
    ) -> Result<(LoadedPlugin, String), StartError> {
        let source = self.registry.find(kind, name);
        let source = source.map_err(|error| StartError::Lookup {
            topology: topology.clone(),
            error,
        })?;
        let loaded = plugin::load(source, plugin::Isolation::InProcess);
        let loaded = loaded.map_err(|error| StartError::Load {
            topology: topology.clone(),
            error,
        })?;
        Ok((loaded, source.to_string()))
    }

    fn unit(&mut self, policy: RestartPolicy, spec: UnitSpec) {
        let now = clock::now().instant;
        self.units.insert(
            spec.id.clone(),
            Unit::new(spec, Supervision::new(policy, now), now),
        );
    }
}

fn describe(plugin: &LoadedPlugin, connector: &str) -> Option<Offer> {
    let offers = plugin.describe().unwrap_or_default();
    offers
        .into_iter()
        .find(|offer| offer.kind == OfferKind::Connector && offer.name == connector)
}

/// What strategies and connectors are told of the local node.
fn local_node(config: &Config, incarnation: u64) -> LocalNode {
    let node = config.node.as_ref();
    LocalNode {
        cluster: config.cluster.clone(),
        name: node.map(|node| node.name.clone()),
        incarnation,
        addresses: node.map(|node| node.addresses.clone()).unwrap_or_default(),
        attributes: node.map(|node| node.attributes.clone()).unwrap_or_default(),
    }
}

/// The local node as a member.
fn described(config: &NodeConfig, incarnation: u64) -> Node {
    let node = Node::new(config.name.clone()).with_incarnation(incarnation);
    let node = config
        .addresses
        .iter()
        .fold(node, |node, address| node.address(address));
    config
        .attributes
        .iter()
        .fold(node, |node, (key, value)| node.attribute(key, value))
}
