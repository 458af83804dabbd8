//! Runs a strategy or connector without a host, through the same tables as a host does.
//!
//! ```
//! use cluster_sdk::{Context, Node, Report, Result, Strategy, View, schemars, serde, testing::TestHost};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(crate = "cluster_sdk::serde")]
//! #[schemars(crate = "cluster_sdk::schemars")]
//! struct Config {
//!     hosts: Vec<String>,
//! }
//! struct Fixed;
//! impl Strategy for Fixed {
//!     const NAME: &'static str = "fixed";
//!     type Config = Config;
//!     async fn run(config: Config, ctx: Context) -> Result<()> {
//!         let nodes = config.hosts.iter().map(|name| Node::try_new(name)).collect::<Result<Vec<_>, _>>()?;
//!         ctx.report(View::complete(nodes))?;
//!         std::future::pending().await
//!     }
//! }
//!
//! let host = TestHost::strategy::<Fixed>(serde_json::json!({ "hosts": ["a@h", "b@h"] }))?;
//! let Report::Reset(view) = host.next_report()? else { panic!("a new strategy begins with a list") };
//! assert_eq!(view.nodes.len(), 2);
//! host.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything waits on conditions, for at most [`PATIENCE`], and an error says what was seen instead. The calls block:
//! a mock server in the same test needs a thread of its own, or a multi-threaded runtime.

mod seen;

use std::{marker::PhantomData, sync::Arc, time::Duration};

use cluster_core::Report;
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use self::seen::{Events, Seen};
pub use self::seen::{LogLine, Missing};
use crate::{
    Connector, Discover, LocalNode, LocalReport, OfferDef, OfferKind, Operation, StopReason, Strategy,
    abi::{
        Plugin, PluginEntry,
        host::{
            Exit, InstanceStatus, LinkChange, LoadedPlugin, NotRunning, OperationOutcome, PluginError,
            Running, Start,
        },
    },
};

/// How long the calls that wait do so.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long an instance is given to stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A host for one instance. Dropping it stops the instance.
#[derive(Debug)]
pub struct TestHost {
    running: Running,
    seen: Arc<Seen>,
    next_op: std::sync::atomic::AtomicU64,
}

/// Where the instance of a [`TestHost`] runs.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The name of the topology.
    pub topology: String,
    /// The local node.
    pub local: LocalNode,
    /// What is less important is not forwarded.
    pub log_level: LevelFilter,
    /// Nodes that a report may have at most.
    pub members_max: usize,
}

impl Default for Setting {
    /// A topology "test" of a node `test@127.0.0.1`; everything is logged.
    fn default() -> Self {
        let local = LocalNode {
            cluster: "test".to_owned(),
            name: "test@127.0.0.1".parse().ok(),
            incarnation: 1,
            ..LocalNode::default()
        };
        Self { topology: "test".to_owned(), local, log_level: LevelFilter::TRACE, members_max: usize::MAX }
    }
}

// === impl Setting ===

impl Setting {
    /// Starts a [`Strategy`] here.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn strategy<S: Strategy>(&self, config: Value) -> Result<TestHost, PluginError> {
        self.start(LoadedPlugin::of_this_build::<OfStrategy<S>>(), OfferKind::Strategy, S::NAME, config)
    }

    /// Starts a [`Discover`] here.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn discover<D: Discover>(&self, config: Value) -> Result<TestHost, PluginError> {
        self.start(LoadedPlugin::of_this_build::<OfDiscover<D>>(), OfferKind::Strategy, D::NAME, config)
    }

    /// Starts a [`Connector`] here.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn connector<C: Connector>(&self, config: Value) -> Result<TestHost, PluginError> {
        self.start(LoadedPlugin::of_this_build::<OfConnector<C>>(), OfferKind::Connector, C::NAME, config)
    }

    /// Starts an offer of a plugin here: what its `plugin()` gave, or what was loaded.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn offer(
        &self,
        entry: &'static PluginEntry,
        kind: OfferKind,
        name: &str,
        config: Value,
    ) -> Result<TestHost, PluginError> {
        let plugin = LoadedPlugin::from_entry(entry).map_err(|err| PluginError::Unknown(err.to_string()))?;
        self.start(plugin, kind, name, config)
    }

    fn start(
        &self,
        plugin: LoadedPlugin,
        kind: OfferKind,
        name: &str,
        config: Value,
    ) -> Result<TestHost, PluginError> {
        let start = Start {
            kind,
            name: name.to_owned(),
            config,
            topology: self.topology.clone(),
            local: self.local.clone(),
            log_level: self.log_level,
        };
        let seen = Arc::new(Seen::new(self.members_max));
        let running = plugin.start(&start, Arc::<Seen>::clone(&seen))?;
        Ok(TestHost { running, seen, next_op: std::sync::atomic::AtomicU64::new(1) })
    }
}

// === impl TestHost ===

impl TestHost {
    /// Starts a [`Strategy`] in the default [`Setting`].
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn strategy<S: Strategy>(config: Value) -> Result<Self, PluginError> {
        Setting::default().strategy::<S>(config)
    }

    /// Starts a [`Discover`] in the default [`Setting`].
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn discover<D: Discover>(config: Value) -> Result<Self, PluginError> {
        Setting::default().discover::<D>(config)
    }

    /// Starts a [`Connector`] in the default [`Setting`].
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn connector<C: Connector>(config: Value) -> Result<Self, PluginError> {
        Setting::default().connector::<C>(config)
    }

    /// The next report that was not yet taken.
    ///
    /// # Errors
    /// [`Missing`] when none came.
    pub fn next_report(&self) -> Result<Report, Missing> {
        self.wait("report", |events| events.reports.pop_front())
    }

    /// Takes reports until one is as wanted.
    ///
    /// # Errors
    /// [`Missing`] when none came.
    pub fn wait_for_report(&self, is_wanted: impl Fn(&Report) -> bool) -> Result<Report, Missing> {
        self.wait("report of that kind", |events| {
            while let Some(report) = events.reports.pop_front() {
                if is_wanted(&report) {
                    return Some(report);
                }
            }
            None
        })
    }

    /// The reports that nobody has taken, without waiting.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        self.seen.look(|events| events.reports.drain(..).collect())
    }

    /// What the instance said last of how it does.
    #[must_use]
    pub fn status(&self) -> Option<InstanceStatus> {
        self.seen.look(|events| events.statuses.last().cloned())
    }

    /// All that the instance ever said of how it does.
    #[must_use]
    pub fn statuses(&self) -> Vec<InstanceStatus> {
        self.seen.look(|events| events.statuses.clone())
    }

    /// Waits until the last status is as wanted.
    ///
    /// # Errors
    /// [`Missing`] when that did not happen.
    pub fn wait_for_status(
        &self,
        is_wanted: impl Fn(&InstanceStatus) -> bool,
    ) -> Result<InstanceStatus, Missing> {
        self.wait("status of that kind", |events| {
            events.statuses.last().filter(|status| is_wanted(status)).cloned()
        })
    }

    /// All that was logged.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.seen.look(|events| events.logs.clone())
    }

    /// Waits for a line of log with a text in it.
    ///
    /// # Errors
    /// [`Missing`] when there was none.
    pub fn wait_for_log(&self, text: &str) -> Result<LogLine, Missing> {
        self.wait(&format!("line of log with {text:?}"), |events| {
            events.logs.iter().find(|line| line.message.contains(text)).cloned()
        })
    }

    /// Gives a connector work, and its number.
    ///
    /// # Errors
    /// [`NotRunning`].
    pub fn submit(&self, operation: &Operation, within: Duration) -> Result<u64, NotRunning> {
        let op = self.next_op.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.running.submit(op, operation, within)?;
        Ok(op)
    }

    /// Waits until an operation has ended.
    ///
    /// # Errors
    /// [`Missing`] when it did not.
    pub fn outcome(&self, op: u64) -> Result<OperationOutcome, Missing> {
        self.wait(&format!("outcome of operation {op}"), |events| events.outcomes.remove(&op))
    }

    /// Gives a connector work and waits until it is done.
    ///
    /// # Errors
    /// [`Missing`] when there was no outcome.
    pub fn perform(&self, operation: &Operation) -> Result<OperationOutcome, Missing> {
        match self.submit(operation, PATIENCE) {
            Ok(op) => self.outcome(op),
            Err(err) => Err(self.seen.missing(&err.to_string())),
        }
    }

    /// The operation is not wanted any more.
    pub fn cancel(&self, op: u64) {
        self.running.cancel(op);
    }

    /// The next word about a link.
    ///
    /// # Errors
    /// [`Missing`] when there was none.
    pub fn next_link(&self) -> Result<LinkChange, Missing> {
        self.wait("word about a link", |events| events.link_changes.pop_front())
    }

    /// Waits until the links that are up, by all that was said, are as wanted.
    ///
    /// # Errors
    /// [`Missing`] when that did not happen.
    pub fn wait_for_links(
        &self,
        is_wanted: impl Fn(&[cluster_core::NodeName]) -> bool,
    ) -> Result<(), Missing> {
        self.wait("links of that kind", |events| {
            let up: Vec<_> = events.up.iter().cloned().collect();
            is_wanted(&up).then_some(())
        })
    }

    /// Waits until the connector says whether it can make links; the reason why not.
    ///
    /// # Errors
    /// [`Missing`] when it said nothing new.
    pub fn next_availability(&self) -> Result<Option<String>, Missing> {
        self.wait("word about availability", |events| events.availability.pop_front())
    }

    /// The next word about the local node.
    ///
    /// # Errors
    /// [`Missing`] when there was none.
    pub fn next_local(&self) -> Result<LocalReport, Missing> {
        self.wait("word about the local node", |events| events.local.pop_front())
    }

    /// The local node has changed.
    pub fn update(&self, local: &LocalNode) {
        self.running.update(local);
    }

    /// Asks the instance to end, and does not wait.
    pub fn request_stop(&self, reason: StopReason, within: Duration) {
        self.running.stop(reason, within);
    }

    /// Stops the instance, because the local node leaves, and waits for its end.
    ///
    /// # Errors
    /// [`Missing`] when it did not end.
    pub fn stop(&self) -> Result<Exit, Missing> {
        self.request_stop(StopReason::Leave, STOP_WITHIN);
        self.exit()
    }

    /// Waits for the end of the instance.
    ///
    /// # Errors
    /// [`Missing`] when it did not end.
    pub fn exit(&self) -> Result<Exit, Missing> {
        self.wait("end of the instance", |events| events.exit.clone())
    }

    /// How the instance ended, if it has.
    #[must_use]
    pub fn has_exited(&self) -> Option<Exit> {
        self.seen.look(|events| events.exit.clone())
    }

    /// The instance itself.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    fn wait<T>(&self, what: &str, found: impl FnMut(&mut Events) -> Option<T>) -> Result<T, Missing> {
        self.seen.wait(what, PATIENCE, found)
    }
}

impl Drop for TestHost {
    /// Stops the instance and waits for it. One that is stuck is left alone after a while.
    fn drop(&mut self) {
        if self.has_exited().is_none() {
            self.request_stop(StopReason::Restart, Duration::ZERO);
            drop(self.seen.wait("end", STOP_WITHIN, |events| events.exit.clone()));
        }
    }
}

struct OfStrategy<S>(PhantomData<S>);
struct OfDiscover<D>(PhantomData<D>);
struct OfConnector<C>(PhantomData<C>);

impl<S: Strategy> Plugin for OfStrategy<S> {
    const OFFERS: &'static [OfferDef] = &[OfferDef::strategy::<S>()];
}

impl<D: Discover> Plugin for OfDiscover<D> {
    const OFFERS: &'static [OfferDef] = &[OfferDef::discover::<D>()];
}

impl<C: Connector> Plugin for OfConnector<C> {
    const OFFERS: &'static [OfferDef] = &[OfferDef::connector::<C>()];
}
