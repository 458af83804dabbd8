//! Asking the plugins: does every strategy and connector exist, does it load, and does it like its config?

use cluster_core::TopologyName;
use cluster_sdk::{ConfigError, LocalNode, OfferKind, abi::host::PluginError, config::key_path};

use super::{IsolationConfig, Loaded, PluginConfig, Problem, TopologyConfig, topology};
use crate::{placement::Plugin, plugin::Registry};

/// Everything that is wrong with a configuration in the eyes of the plugins that it names. They are loaded for that,
/// and nothing is started. The registry must be pinned by this configuration.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, Registry, config::{Mistakes, validate}, connectors};
///
/// let text = "[topologies.office]\nstrategy = 'epmd'\nconfig = { hosts = ['a'] }\nconnect = { tcp = {} }\n";
/// let loaded = Config::parse("cluster.toml".as_ref(), text, &|_| None).map_err(Mistakes::from)?;
/// let registry = Registry::new().with_builtin(connectors::plugin())?.with_builtin(strategy_epmd::plugin())?;
/// let problems = validate(&loaded, &registry);
/// assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(3), Some(4)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    isolation: &'a IsolationConfig,
    isolation_path: String,
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
            isolation: &topology.opts.isolation,
            isolation_path: key_path(&key_path(&path, "opts"), "isolation"),
            name_path: key_path(&path, "strategy"),
            config_path: key_path(&path, "config"),
        });
        if let Some(connector) = topology.connect.connector() {
            let connect = key_path(&path, "connect");
            problems.extend(self.ask(&Question {
                kind: OfferKind::Connector,
                name: &connector.name,
                config: &connector.config,
                isolation: &connector.isolation,
                isolation_path: key_path(&key_path(&connect, &connector.name), "isolation"),
                config_path: key_path(&connect, &connector.name),
                name_path: connect,
            }));
        }
        problems
    }

    fn ask(&self, question: &Question<'_>) -> Vec<Problem> {
        let Question { kind, name, config, isolation, isolation_path, name_path, config_path } = question;
        let unusable =
            |reason: &dyn std::error::Error| vec![self.loaded.problem(name_path, reason.to_string())];
        let source = match self.registry.find(*kind, name) {
            Ok(source) => source,
            Err(error) => return unusable(&error),
        };
        let tell = |errors: Vec<ConfigError>, path: &str| -> Vec<Problem> {
            let errors = errors.into_iter().map(|error| error.within(path));
            errors.map(|error| self.loaded.problem(&error.path, error.message)).collect()
        };
        let process = isolation.process();
        let mut problems = tell(process.environment().validate(), &key_path(isolation_path, "process"));
        let config = config.to_value();
        let plugin = match Plugin::place(self.registry, source, isolation, &config) {
            Ok(plugin) => plugin,
            Err(error) => return unusable(&error),
        };
        match plugin.validate(*kind, name, &config, self.local) {
            Ok(errors) | Err(PluginError::Config(errors)) => problems.extend(tell(errors, config_path)),
            Err(error) => problems.extend(unusable(&error)),
        }
        problems
    }
}
