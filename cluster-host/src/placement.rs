//! In which process the code of a plugin runs: decided here, and nobody else's concern.

use std::{sync::Arc, time::Duration};

use cluster_sdk::{
    ConfigError, LocalNode, OfferKind,
    abi::host::{
        HostInterface, LoadedPlugin, NotRunning, Offer, Operation, PluginError, Running, Start, StopReason,
    },
};
use serde_json::Value;

use crate::{
    config::IsolationConfig,
    plugin::{self, LoadError, Registry, Source},
    runner::{self, Apart},
};

/// The plugins of this project, which run in the host's process if nothing else is said. That is for convenience: a file
/// can call itself as it likes.
const SHIPPED: [&str; 5] =
    ["strategy-gossip", "strategy-epmd", "strategy-k8s", "strategy-dns", "strategy-basic"];

/// A plugin that can be used.
#[derive(Debug, Clone)]
pub(crate) enum Plugin {
    /// Its code is in this process.
    Here(LoadedPlugin),
    /// Its code is in processes of its own.
    Apart(Arc<Apart>),
}

/// A running strategy or connector.
#[derive(Debug)]
pub(crate) enum Instance {
    /// On a thread of this process.
    Here(Running),
    /// In a process of its own.
    Apart(runner::Instance),
}

// === impl Plugin ===

impl Plugin {
    /// Makes a plugin usable: loads it here, or keeps it for processes of its own. Files that `config`, the config of
    /// its strategy or connector, names may be read there.
    pub(crate) fn place(
        registry: &Registry,
        source: Source<'_>,
        isolation: &IsolationConfig,
        config: &Value,
    ) -> Result<Self, LoadError> {
        let is_apart = match isolation {
            IsolationConfig::InProcess => false,
            IsolationConfig::Process(_) => true,
            IsolationConfig::ByPlugin => registry.runner().is_some() && !is_shipped(source),
        };
        if !is_apart {
            return plugin::load(source).map(Self::Here);
        }
        let no_runner = || LoadError::NoRunner { source_name: source.to_string() };
        let runner = registry.runner().ok_or_else(no_runner)?;
        let apart = Apart::new(runner, source, isolation.process(), config)?;
        Ok(Self::Apart(Arc::new(apart)))
    }

    /// What it offers.
    pub(crate) fn describe(&self) -> Result<Vec<Offer>, PluginError> {
        match self {
            Self::Here(plugin) => plugin.describe(),
            Self::Apart(plugin) => plugin.describe(),
        }
    }

    /// What is wrong with a config.
    pub(crate) fn validate(
        &self,
        kind: OfferKind,
        name: &str,
        config: &Value,
        local: &LocalNode,
    ) -> Result<Vec<ConfigError>, PluginError> {
        match self {
            Self::Here(plugin) => plugin.validate(kind, name, config, local),
            Self::Apart(plugin) => plugin.validate(kind, name, config, local),
        }
    }

    /// Starts an instance.
    pub(crate) fn start(
        &self,
        start: &Start,
        interface: Arc<dyn HostInterface>,
    ) -> Result<Instance, PluginError> {
        Ok(match self {
            Self::Here(plugin) => Instance::Here(plugin.start(start, interface)?),
            Self::Apart(plugin) => Instance::Apart(plugin.start(start, interface)?),
        })
    }
}

fn is_shipped(source: Source<'_>) -> bool {
    match source {
        Source::Builtin(_) => true,
        Source::File(file) => SHIPPED.contains(&file.identity.plugin.as_str()),
    }
}

// === impl Instance ===

impl Instance {
    /// The local node has changed.
    pub(crate) fn update(&self, local: &LocalNode) {
        match self {
            Self::Here(instance) => instance.update(local),
            Self::Apart(instance) => instance.update(local),
        }
    }

    /// Asks it to end; its exit is told.
    pub(crate) fn stop(&self, reason: StopReason, within: Duration) {
        match self {
            Self::Here(instance) => instance.stop(reason, within),
            Self::Apart(instance) => instance.stop(reason, within),
        }
    }

    /// Work for a connector.
    pub(crate) fn submit(&self, op: u64, operation: &Operation, within: Duration) -> Result<(), NotRunning> {
        match self {
            Self::Here(instance) => instance.submit(op, operation, within),
            Self::Apart(instance) => instance.submit(op, operation, within),
        }
    }

    /// The operation is not wanted any more.
    pub(crate) fn cancel(&self, op: u64) {
        match self {
            Self::Here(instance) => instance.cancel(op),
            Self::Apart(instance) => instance.cancel(op),
        }
    }

    /// Frees what it has, unless it has not ended yet.
    pub(crate) fn try_destroy(self) -> Result<(), Self> {
        match self {
            Self::Here(instance) => instance.try_destroy().map_err(Self::Here),
            Self::Apart(instance) => instance.try_destroy().map_err(Self::Apart),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::ProcessConfig, connectors};

    /// Without a runner everything is in this process, and who wants a process is told what is missing; with one what is
    /// linked in is here all the same, unless it is said otherwise.
    #[test]
    fn with_and_without_a_runner() {
        let without = Registry::new().with_builtin(connectors::plugin()).unwrap();
        let with = Registry::new().with_builtin(connectors::plugin()).unwrap().with_runner("/none".as_ref());
        let place = |registry: &Registry, isolation: IsolationConfig| {
            let source = registry.find(OfferKind::Connector, "tcp").unwrap();
            match Plugin::place(registry, source, &isolation, &Value::Null) {
                Ok(Plugin::Here(_)) => "here".to_owned(),
                Ok(Plugin::Apart(_)) => "apart".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        let process = || IsolationConfig::Process(ProcessConfig::default());
        assert_eq!(place(&without, IsolationConfig::ByPlugin), "here");
        assert_eq!(place(&with, IsolationConfig::ByPlugin), "here");
        assert_eq!(place(&with, IsolationConfig::InProcess), "here");
        assert_eq!(place(&with, process()), "apart");
        assert_eq!(
            place(&without, process()),
            "cluster-host itself: isolation = \"process\" needs a runner, and this program has none \
             (Registry::with_runner); take isolation = \"in-process\""
        );
    }
}
