//! From a configuration to what runs: plugins found and loaded, topologies and connectors told to the membership, a
//! unit for each strategy and each connector.

use std::{collections::BTreeMap, time::Duration};

use cluster_core::{
    Membership, Now, TopologyName,
    membership::{ConnectorId, ConnectorSpec, MembershipOptions, TopologySpec},
};
use cluster_sdk::abi::host::{Links, Offer, OfferKind};
use tracing::warn;

use crate::{
    board::{Board, Entry},
    clock,
    config::{Config, ConnectorConfig, IsolationConfig, Restart, TopologyConfig},
    inbox::UnitId,
    placement::Plugin,
    plugin::{LoadError, LookupError, PinsError, Registry, Source},
    presence::{Presence, incarnation_at},
    supervision::{RESTART_BACKOFF, RestartPolicy, Supervision},
    unit::{Unit, UnitSpec},
};

/// How often connectors are asked which links they have.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

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
    /// It cannot be said which plugins may be loaded. (operator)
    #[error(transparent)]
    Pins(#[from] PinsError),
}

/// What is ready to run.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) membership: Membership,
    pub(crate) units: BTreeMap<UnitId, Unit>,
    pub(crate) presence: Presence,
}

/// Makes the membership and the units of a configuration. Nothing runs yet.
pub(crate) fn assemble(
    config: &Config,
    registry: &Registry,
    seed: u64,
    board: &Board,
) -> Result<Assembled, StartError> {
    let now = clock::now();
    let membership = Membership::new(MembershipOptions { seed, ..MembershipOptions::default() }, now);
    let presence = Presence::new(config.local_node(incarnation_at(now.wall)));
    let (connectors, units) = (Vec::new(), BTreeMap::new());
    let mut assembly = Assembly { registry, membership, connectors, units, presence, board, now };
    for (name, topology) in &config.topologies {
        assembly.add(name, topology)?;
    }
    let Assembly { mut membership, units, presence, .. } = assembly;
    // Only now is it known whether connectors have a word in it.
    membership.set_presence(presence.absence().map_or(Ok(()), |reason| Err(reason.into())), now);
    if let Some(node) = presence.node() {
        membership.set_local(node, now);
    }
    Ok(Assembled { membership, units, presence })
}

/// Makes units and the membership's specs of a configuration.
struct Assembly<'a> {
    registry: &'a Registry,
    membership: Membership,
    /// The connectors so far: those of topologies with an equal `connect` are one.
    connectors: Vec<(ConnectorId, &'a TopologyConfig)>,
    units: BTreeMap<UnitId, Unit>,
    presence: Presence,
    board: &'a Board,
    now: Now,
}

/// A strategy or a connector that a topology names.
struct Wanted<'a> {
    kind: OfferKind,
    name: &'a str,
    isolation: &'a IsolationConfig,
    config: serde_json::Value,
}

impl<'a> Assembly<'a> {
    fn add(&mut self, name: &TopologyName, config: &'a TopologyConfig) -> Result<(), StartError> {
        let wanted = Wanted {
            kind: OfferKind::Strategy,
            name: &config.strategy,
            isolation: &config.opts.isolation,
            config: config.config.to_value(),
        };
        let (plugin, plugin_name) = self.load(name, &wanted)?;
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
        self.membership.add_topology(spec, self.now);
        let policy = RestartPolicy {
            restart: config.opts.restart,
            max_restarts: config.opts.max_restarts,
            max_seconds: Duration::from_secs(config.opts.max_seconds.get().into()),
            backoff: RESTART_BACKOFF,
        };
        self.unit(
            policy,
            UnitSpec {
                id: UnitId::Strategy(name.clone()),
                kind: OfferKind::Strategy,
                name: config.strategy.clone(),
                plugin,
                config: wanted.config,
                topologies: vec![name.clone()],
                members_max: config.members_max.get(),
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
        let shared =
            self.connectors.iter().find(|(_, other)| other.shares_connector(config)).map(|(id, _)| *id);
        if let Some(id) = shared {
            if let Some(unit) = self.units.get_mut(&UnitId::Connector(id)) {
                unit.spec.topologies.push(topology.clone());
            }
            return Ok(id);
        }
        let id = ConnectorId(u32::try_from(self.connectors.len()).unwrap_or(u32::MAX));
        let wanted = Wanted {
            kind: OfferKind::Connector,
            name: &connector.name,
            isolation: &connector.isolation,
            config: connector.config.to_value(),
        };
        let (plugin, _) = self.load(topology, &wanted)?;
        let offer = describe(&plugin, &connector.name);
        if offer.as_ref().is_some_and(|offer| offer.local_node) {
            self.presence.expect(id, &connector.name);
        }
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
        let policy = RestartPolicy { restart, max_restarts, max_seconds, backoff: RESTART_BACKOFF };
        self.unit(
            policy,
            UnitSpec {
                id: UnitId::Connector(id),
                kind: OfferKind::Connector,
                name: connector.name.clone(),
                plugin,
                config: wanted.config,
                topologies: vec![topology.clone()],
                members_max: 0,
            },
        );
        self.connectors.push((id, config));
        Ok(id)
    }

    fn load(&self, topology: &TopologyName, wanted: &Wanted<'_>) -> Result<(Plugin, String), StartError> {
        let Wanted { kind, name, isolation, config } = wanted;
        let source = self.registry.find(*kind, name);
        let source = source.map_err(|error| StartError::Lookup { topology: topology.clone(), error })?;
        let loaded = Plugin::place(self.registry, source, isolation, config);
        let loaded = loaded.map_err(|error| StartError::Load { topology: topology.clone(), error })?;
        if let Source::File(inspected) = source
            && let Err(error) = self.registry.keep(inspected)
        {
            warn!(plugin = inspected.identity.plugin, err = %error, "no copy of the plugin file is kept");
        }
        Ok((loaded, source.to_string()))
    }

    fn unit(&mut self, policy: RestartPolicy, spec: UnitSpec) {
        let now = self.now.instant;
        self.units.insert(spec.id.clone(), Unit::new(spec, Supervision::new(policy, now), now));
    }
}

fn describe(plugin: &Plugin, connector: &str) -> Option<Offer> {
    let offers = plugin.describe().unwrap_or_default();
    offers.into_iter().find(|offer| offer.kind == OfferKind::Connector && offer.name == connector)
}
