//! What the API shows: the seam between it and the host, so that each is tested without the other.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::SystemTime};

use cluster_core::{EventLog, NodeName, TopologyName, TopologyStatus, membership::explain::Explanation};
use cluster_sdk::OfferKind;

use super::activity::Activity;
use crate::{
    hooks::HookInfo,
    metrics::Meters,
    plugin::{Registry, Source as PluginSource},
    readiness::Readiness,
    reload::{ReloadError, Reloaded},
    state::StateHealth,
};

/// An answer that the host gives in its own time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A running host, as the API reads it.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, Host, Registry, api::Source, state::StateHealth};
/// use serde_json::json;
///
/// /// Works for a running host and for whatever else has members to show.
/// fn summary(source: &dyn Source) -> String {
///     let (_, snapshot) = source.log().snapshot();
///     format!("{} members in {} topologies", snapshot.members.len(), source.topologies().len())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_json(json!({ "node": { "name": "app@127.0.0.1" } }))?;
/// let host = Host::builder(config, Registry::new()).start()?;
/// host.wait_up(1).await.ok_or("it has ended")?;
/// let source = host.handle().clone();
/// assert_eq!(summary(&source), "1 members in 0 topologies");
/// assert_eq!(source.node(), Some("app@127.0.0.1".parse()?));
/// assert_eq!(source.state(), StateHealth::Off);
/// assert!(source.alive().await);
/// assert!(source.explain("app@127.0.0.1".parse()?).await.is_some());
/// assert!(source.forget("nobody@127.0.0.1".parse()?).await.is_none());
/// host.stop().await;
/// assert!(!source.alive().await);
/// # Ok(())
/// # }
/// ```
pub trait Source: Send + Sync + 'static {
    /// The log of events, which also has the snapshot.
    fn log(&self) -> &EventLog;

    /// What the API counts.
    fn activity(&self) -> &Arc<Activity>;

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

    /// Lets a node go that its sources do not name any more; `None` where nothing is known of it.
    fn forget(&self, name: NodeName) -> Answer<'_, Option<Forgotten>>;

    /// The plugins as they were when the configuration was last read, and who uses them.
    fn plugins(&self) -> Answer<'_, (Arc<Registry>, Vec<PluginUse>)>;

    /// Reads the configuration and the plugins again, and applies them, or only tells what that would change.
    fn reload(&self, dry_run: bool) -> Answer<'_, Result<Reloaded, ReloadError>>;

    /// Whether whoever owns the membership still works: it answers when it comes to it, or never.
    fn alive(&self) -> Answer<'_, bool>;

    /// When the host counts as ready.
    fn readiness(&self) -> &Readiness;

    /// What is counted beside the membership.
    fn meters(&self) -> &Meters;
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
    /// When the membership last took a report: that of a strategy that only tells changes may be old, and all be well.
    pub last_view: Option<SystemTime>,
    /// What went wrong with finding nodes.
    pub errors: DiscoveryErrors,
}

/// How often finding nodes went wrong for a topology since its strategy was configured, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiscoveryErrors {
    /// The strategy said that something is wrong; the same once more, without a break, is counted once.
    pub degraded: u64,
    /// The strategy said that its source refuses it; counted likewise.
    pub denied: u64,
    /// A report was refused: too many members, or names that are none.
    pub refused: u64,
    /// The strategy failed as a whole, or could not be started.
    pub ended: u64,
}

/// What became of a node that was to be forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The topologies that let it go.
    pub topologies: Vec<TopologyName>,
    /// Incarnations that were known to be dead, and may come back now: (topology, incarnation).
    pub dead: Vec<(TopologyName, u64)>,
    /// The topologies whose sources still name it: they do not let it go.
    pub named_by: Vec<TopologyName>,
    /// It is the node that the host runs beside.
    pub is_self: bool,
}

/// A strategy or a connector that a topology uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginUse {
    /// The topology.
    pub topology: TopologyName,
    /// Which of the two.
    pub kind: OfferKind,
    /// Its name.
    pub name: String,
}

// === impl PluginUse ===

impl PluginUse {
    /// Whether it is from this plugin.
    pub(super) fn is_of(&self, source: PluginSource<'_>) -> bool {
        source.identity().offers(self.kind, &self.name)
    }
}
