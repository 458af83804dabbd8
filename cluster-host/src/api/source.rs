//! What the API shows: the seam between it and the host, so that each is tested without the other.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::SystemTime};

use cluster_core::{EventLog, NodeName, TopologyName, TopologyStatus, membership::explain::Explanation};

use crate::{
    hooks::HookInfo,
    reload::{ReloadError, Reloaded},
    state::StateHealth,
};

/// An answer that the host gives in its own time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A running host, as the API reads it.
pub trait Source: Send + Sync + 'static {
    /// The log of events, which also has the snapshot.
    fn log(&self) -> &EventLog;

    /// The node that the host runs beside, where it has one and its name is known already.
    fn node(&self) -> Option<NodeName>;

    /// The topologies in the order of their names.
    fn topologies(&self) -> Vec<TopologyInfo>;

    /// The hooks in the order of their names.
    fn hooks(&self) -> Vec<HookInfo>;

    /// Whether what happens is remembered across restarts.
    fn state(&self) -> StateHealth {
        StateHealth::Off
    }

    /// All that is known of one name; `None` where that is nothing.
    fn explain(&self, name: NodeName) -> Answer<'_, Option<Explanation>>;

    /// Reads the configuration and the plugins again, and applies them, or only tells what that would change.
    fn reload(&self, dry_run: bool) -> Answer<'_, Result<Reloaded, ReloadError>>;
}

/// One topology: what was configured, and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyInfo {
    /// Its name.
    pub name: TopologyName,
    /// The strategy's name.
    pub strategy: String,
    /// The plugin that offers the strategy; `None` where none was found or it is built in.
    pub plugin: Option<String>,
    /// The connector's name.
    pub connector: String,
    /// How it does.
    pub status: TopologyStatus,
    /// What the strategy and the connector count.
    pub counters: BTreeMap<String, u64>,
    /// How often the strategy was started again.
    pub restarts: u32,
    /// When the strategy last reported.
    pub last_report: Option<SystemTime>,
}
