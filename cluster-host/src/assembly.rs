//! From a configuration to what it takes to run it: plugins found and placed, connectors told apart. Nothing of it runs,
//! and nothing that runs is touched.

use std::{collections::BTreeMap, time::Duration};

use cluster_core::{
    TopologyName,
    membership::{ConnectorId, ConnectorSpec, TopologySpec},
};
use cluster_sdk::abi::host::{Links, Offer, OfferKind};
use tracing::warn;

use crate::{
    board::Entry,
    config::{Config, IsolationConfig, PluginConfig, Restart, TopologyConfig},
    inbox::UnitId,
    placement::Plugin,
    plugin::{Inspected, LoadError, LookupError, Origin, PinsError, Registry, Source},
    state::StateError,
    supervision::{RESTART_BACKOFF, RestartPolicy},
    unit::UnitSpec,
};

/// How often connectors are asked which links they have.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

/// Why a host did not start, or a new configuration was refused. What ran before runs on.
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
    /// The state directory cannot be used. (operator)
    #[error(transparent)]
    State(#[from] StateError),
    /// It cannot be said which plugins may be loaded. (operator)
    #[error(transparent)]
    Pins(#[from] PinsError),
}

/// Everything that a configuration asks for.
#[derive(Debug)]
pub(crate) struct Assembly {
    pub(crate) config: Config,
    pub(crate) topologies: BTreeMap<TopologyName, TopologyPart>,
    pub(crate) connectors: Vec<ConnectorPart>,
}

/// A topology's strategy, and which of the connectors makes its links.
#[derive(Debug)]
pub(crate) struct TopologyPart {
    pub(crate) config: TopologyConfig,
    pub(crate) plugin: Placed,
    pub(crate) connector: Option<usize>,
}

/// A connector, for all topologies with an equal `connect`.
#[derive(Debug)]
pub(crate) struct ConnectorPart {
    pub(crate) name: String,
    /// What one of its topologies says of it.
    pub(crate) config: TopologyConfig,
    pub(crate) topologies: Vec<TopologyName>,
    pub(crate) plugin: Placed,
    offer: Option<Offer>,
}

/// A plugin that can be used, and where it is from.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) plugin: Plugin,
    pub(crate) origin: Origin,
    /// What it is called.
    pub(crate) source: String,
    file: Option<Inspected>,
}

/// A strategy or a connector that a topology names.
struct Named<'a> {
    kind: OfferKind,
    name: &'a str,
    isolation: &'a IsolationConfig,
    config: &'a PluginConfig,
}

// === impl Assembly ===

impl Assembly {
    /// Finds and places what the configuration names, of what its `[plugins]` lets be loaded.
    pub(crate) fn new(config: Config, registry: &mut Registry) -> Result<Self, StartError> {
        if registry.pinned_by() != &config.plugins {
            registry.pin(&config.plugins)?;
        }
        let mut assembly =
            Self { config: Config::default(), topologies: BTreeMap::new(), connectors: Vec::new() };
        for (name, topology) in &config.topologies {
            let strategy = Named {
                kind: OfferKind::Strategy,
                name: &topology.strategy,
                isolation: &topology.opts.isolation,
                config: &topology.config,
            };
            let plugin = place(registry, name, &strategy)?;
            let connector = assembly.connector(registry, name, topology)?;
            let part = TopologyPart { config: topology.clone(), plugin, connector };
            assembly.topologies.insert(name.clone(), part);
        }
        assembly.config = config;
        Ok(assembly)
    }

    /// Keeps a copy of each file that is used, where the configuration wants that: what replaces it may have to be waited for.
    pub(crate) fn keep(&self, registry: &Registry) {
        let placed = self.topologies.values().map(|part| &part.plugin);
        let placed = placed.chain(self.connectors.iter().map(|part| &part.plugin));
        for inspected in placed.filter_map(|placed| placed.file.as_ref()) {
            if let Err(error) = registry.keep(inspected) {
                warn!(plugin = inspected.identity.plugin, err = %error, "no copy of the plugin file is kept");
            }
        }
    }

    /// The connector of a topology: that of an earlier one with an equal `connect`, or a new one.
    fn connector(
        &mut self,
        registry: &Registry,
        name: &TopologyName,
        topology: &TopologyConfig,
    ) -> Result<Option<usize>, StartError> {
        let Some(connector) = topology.connect.connector() else {
            return Ok(None);
        };
        let shares = |part: &ConnectorPart| part.config.shares_connector(topology);
        if let Some(index) = self.connectors.iter().position(shares) {
            if let Some(part) = self.connectors.get_mut(index) {
                part.topologies.push(name.clone());
            }
            return Ok(Some(index));
        }
        let named = Named {
            kind: OfferKind::Connector,
            name: &connector.name,
            isolation: &connector.isolation,
            config: &connector.config,
        };
        let plugin = place(registry, name, &named)?;
        let offers = plugin.plugin.describe().unwrap_or_default();
        let is_it = |offer: &Offer| offer.kind == OfferKind::Connector && offer.name == connector.name;
        self.connectors.push(ConnectorPart {
            name: connector.name.clone(),
            config: topology.clone(),
            topologies: vec![name.clone()],
            plugin,
            offer: offers.into_iter().find(is_it),
        });
        Ok(Some(self.connectors.len().saturating_sub(1)))
    }
}

fn place(registry: &Registry, topology: &TopologyName, named: &Named<'_>) -> Result<Placed, StartError> {
    let source = registry.find(named.kind, named.name);
    let source = source.map_err(|error| StartError::Lookup { topology: topology.clone(), error })?;
    let plugin = Plugin::place(registry, source, named.isolation, &named.config.to_value());
    let plugin = plugin.map_err(|error| StartError::Load { topology: topology.clone(), error })?;
    let file = match source {
        Source::File(inspected) => Some(inspected.clone()),
        Source::Builtin(_) => None,
    };
    Ok(Placed { plugin, origin: source.origin(), source: source.to_string(), file })
}

// === impl TopologyPart ===

impl TopologyPart {
    /// What the membership is told of it.
    pub(crate) fn spec(&self, name: &TopologyName, connector: Option<ConnectorId>) -> TopologySpec {
        TopologySpec {
            name: name.clone(),
            connector,
            prune: self.config.prune.policy(),
            members_max: self.config.members_max.get(),
        }
    }

    /// What is shown beside the membership.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            strategy: self.config.strategy.clone(),
            plugin: Some(self.plugin.source.clone()),
            connector: self.config.connect.name().to_owned(),
            ..Entry::default()
        }
    }

    pub(crate) fn unit(&self, name: &TopologyName) -> UnitSpec {
        UnitSpec {
            id: UnitId::Strategy(name.clone()),
            kind: OfferKind::Strategy,
            name: self.config.strategy.clone(),
            plugin: self.plugin.plugin.clone(),
            config: self.config.config.to_value(),
            topologies: vec![name.clone()],
            members_max: self.config.members_max.get(),
        }
    }

    pub(crate) fn policy(&self) -> RestartPolicy {
        let opts = &self.config.opts;
        RestartPolicy {
            restart: opts.restart,
            max_restarts: opts.max_restarts,
            max_seconds: Duration::from_secs(opts.max_seconds.get().into()),
            backoff: RESTART_BACKOFF,
        }
    }
}

// === impl ConnectorPart ===

impl ConnectorPart {
    /// What the membership is told of it.
    pub(crate) fn spec(&self, id: ConnectorId) -> ConnectorSpec {
        let opts = &self.config.opts;
        ConnectorSpec {
            id,
            name: self.name.as_str().into(),
            by_address: self.offer.as_ref().is_some_and(|offer| offer.by_address),
            outlives: self.offer.as_ref().is_some_and(|offer| offer.links == Some(Links::Outlive)),
            dials_max: opts.dials_max.get(),
            deadline: opts.deadline.get(),
            retry: opts.retry.into(),
            list_interval: Some(LIST_INTERVAL),
        }
    }

    /// Whether it says if the local node takes part.
    pub(crate) fn attaches(&self) -> bool {
        self.offer.as_ref().is_some_and(|offer| offer.local_node)
    }

    pub(crate) fn unit(&self, id: ConnectorId) -> UnitSpec {
        let config = self.config.connect.connector().map(|connector| connector.config.to_value());
        UnitSpec {
            id: UnitId::Connector(id),
            kind: OfferKind::Connector,
            name: self.name.clone(),
            plugin: self.plugin.plugin.clone(),
            config: config.unwrap_or_default(),
            topologies: self.topologies.clone(),
            members_max: 0,
        }
    }

    /// A connector is wanted as long as its topologies are: it is never given up.
    pub(crate) fn policy() -> RestartPolicy {
        RestartPolicy {
            restart: Restart::Permanent,
            max_restarts: u32::MAX,
            max_seconds: Duration::from_secs(1),
            backoff: RESTART_BACKOFF,
        }
    }
}
