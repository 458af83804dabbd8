//! What a host is to its instances.

use cluster_core::{NodeName, Report};

use super::{Exit, InstanceStatus, LinkChange, LocalReport, LogRecord, OperationOutcome, Refused};

/// What an instance says. Called on threads of the instance: return soon, block on nothing that waits for the instance.
/// What comes after [`HostInterface::exited`], operations that nobody asked for or that were answered, and links of
/// generations gone by have been dropped before. A panic is caught and logged.
///
/// # Examples
///
/// ```
/// # use cluster_sdk::{Context, Discover, Node, Result, View, schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// # struct Here;
/// # impl Discover for Here {
/// #     const NAME: &'static str = "here";
/// #     type Config = Config;
/// #     async fn discover(_: &Config, _: &Context) -> Result<View> { Ok(View::complete([Node::try_new("a@h")?])) }
/// # }
/// # cluster_sdk::plugin!(discover: [Here]);
/// use std::{sync::{Arc, mpsc}, time::Duration};
///
/// use cluster_sdk::{LocalNode, OfferKind, Refused, Report, StopReason, tracing::level_filters::LevelFilter};
/// use cluster_sdk::abi::host::{Exit, HostInterface, InstanceStatus, LoadedPlugin, LogRecord, Start};
///
/// struct Listener(mpsc::Sender<String>);
///
/// impl HostInterface for Listener {
///     fn log(&self, record: &LogRecord<'_>) {
///         record.emit("shop");
///     }
///     fn report(&self, report: Report) -> Result<(), Refused> {
///         let Report::Reset(view) = report else { return Ok(()) };
///         self.0.send(view.names().join(" ")).map_err(|_nobody_listens| Refused::Stopping)
///     }
///     fn status(&self, _: InstanceStatus) {}
///     fn exited(&self, exit: Exit) {
///         drop(self.0.send(exit.to_string()));
///     }
/// }
///
/// let start = Start {
///     kind: OfferKind::Strategy,
///     name: "here".to_owned(),
///     config: serde_json::json!({}),
///     topology: "shop".to_owned(),
///     local: LocalNode::default(),
///     log_level: LevelFilter::INFO,
///     diagnose: None,
/// };
/// let (said, heard) = mpsc::channel();
/// let running = LoadedPlugin::from_entry(plugin())?.start(&start, Arc::new(Listener(said)))?;
/// assert_eq!(heard.recv()?, "a@h");
/// running.stop(StopReason::Leave, Duration::from_secs(2));
/// assert_eq!(heard.recv()?, "stopped");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait HostInterface: Send + Sync {
    /// Gives the number back.
    fn ping(&self, value: u64) -> u64 {
        value
    }
    /// A line of log. See [`LogRecord::emit`]: events made here in the usual way are lost where the plugin is linked
    /// statically.
    fn log(&self, record: &LogRecord<'_>);
    /// A report.
    ///
    /// # Errors
    /// [`Refused`] when it is not taken.
    fn report(&self, report: Report) -> Result<(), Refused>;
    /// How the topology does; only changes are told.
    fn status(&self, status: InstanceStatus);
    /// An operation has ended.
    fn completed(&self, op: u64, outcome: OperationOutcome) {
        drop((op, outcome));
    }
    /// A link came up or went down by itself.
    fn link(&self, change: LinkChange) {
        drop(change);
    }
    /// All links that there are.
    fn links(&self, generation: u64, nodes: Vec<NodeName>) {
        drop((generation, nodes));
    }
    /// Whether the connector can make links at all; the reason why not.
    fn availability(&self, unavailable: Option<&str>) {
        let _: Option<&str> = unavailable;
    }
    /// Whether the local node takes part, and who it is.
    fn local(&self, report: LocalReport) {
        drop(report);
    }
    /// The instance has ended.
    fn exited(&self, exit: Exit);
}
