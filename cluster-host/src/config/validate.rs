//! Asking the plugins: does every strategy and connector exist, does it load, and does it like its config?

use cluster_core::TopologyName;
use cluster_sdk::{LocalNode, OfferKind, abi::host::PluginError, config::key_path};

use super::{Loaded, PluginConfig, Problem, TopologyConfig, topology};
use crate::plugin::{self, Isolation, Registry};

/// Everything that is wrong with a configuration in the eyes of the plugins that it names. They are loaded for that,
/// and nothing is started. The registry must be pinned by this configuration.
#[must_use]
pub fn validate(loaded: &Loaded, registry: &Registry) -> Vec<Problem> {
    if registry.pinned_by() != &loaded.config.plugins {
        return vec![loaded.problem("plugins", "bug: it does not count yet: see Registry::pin")];
    }
    let local = loaded.config.local_node(0);
    let asking = Asking { loaded, registry, local: &local };
    let topologies = loaded.config.topologies.iter();
    topologies.flat_map(|(name, topology)| asking.topology(name, topology)).collect()
}

struct Asking<'a> {
    loaded: &'a Loaded,
    registry: &'a Registry,
    local: &'a LocalNode,
}

/// What is asked of a plugin, and the keys that the answer is about.
struct Question<'a> {
    kind: OfferKind,
    name: &'a str,
    config: &'a PluginConfig,
    isolation: Isolation,
    name_path: String,
    config_path: String,
}

// === impl Asking ===

impl Asking<'_> {
    fn topology(&self, name: &TopologyName, topology: &TopologyConfig) -> Vec<Problem> {
        let path = topology::path(name);
        let mut problems = self.ask(&Question {
            kind: OfferKind::Strategy,
            name: &topology.strategy,
            config: &topology.config,
            isolation: topology.opts.isolation,
            name_path: key_path(&path, "strategy"),
            config_path: key_path(&path, "config"),
        });
        if let Some(connector) = topology.connect.connector() {
            let connect = key_path(&path, "connect");
            problems.extend(self.ask(&Question {
                kind: OfferKind::Connector,
                name: &connector.name,
                config: &connector.config,
                isolation: connector.isolation,
                config_path: key_path(&connect, &connector.name),
                name_path: connect,
            }));
        }
        problems
    }

    fn ask(&self, question: &Question<'_>) -> Vec<Problem> {
        let Question { kind, name, config, isolation, name_path, config_path } = question;
        let unusable =
            |reason: &dyn std::error::Error| vec![self.loaded.problem(name_path, reason.to_string())];
        let source = match self.registry.find(*kind, name) {
            Ok(source) => source,
            Err(error) => return unusable(&error),
        };
        let plugin = match plugin::load(source, *isolation) {
            Ok(plugin) => plugin,
            Err(error) => return unusable(&error),
        };
        match plugin.validate(*kind, name, &config.to_value(), self.local) {
            Ok(errors) | Err(PluginError::Config(errors)) => {
                let errors = errors.into_iter().map(|error| error.within(config_path));
                errors.map(|error| self.loaded.problem(&error.path, error.message)).collect()
            }
            Err(error) => unusable(&error),
        }
    }
}
