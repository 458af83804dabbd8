//! Runs a strategy or connector without a host, through the same tables as a host does.
//!
//! ```
//! use cluster_sdk::{Context, Node, Result, Strategy, View, schemars, serde, testing::TestHost};
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
//! assert_eq!(host.next_view()?.names(), ["a@h", "b@h"]);
//! host.stop()?;
//!
//! // What is wrong with a config is told before anything runs, all at once.
//! let wrong = TestHost::strategy::<Fixed>(serde_json::json!({ "host": ["a@h"] })).unwrap_err();
//! assert!(wrong.to_string().contains("host: unknown key; did you mean `hosts`?"));
//!
//! // An error ends the instance, with its reason.
//! let host = TestHost::strategy::<Fixed>(serde_json::json!({ "hosts": ["nonsense"] }))?;
//! assert_eq!(host.exit()?.to_string(), "failed: node name \"nonsense\" is not of the form name@host");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to see | of a strategy | of a connector |
//! |---|---|---|
//! | what it says | [`next_view`](TestHost::next_view), [`next_report`](TestHost::next_report), [`wait_for_report`](TestHost::wait_for_report) | [`next_link`](TestHost::next_link), [`wait_for_links`](TestHost::wait_for_links), [`next_availability`](TestHost::next_availability), [`next_local`](TestHost::next_local) |
//! | what it does when asked | | [`perform`](TestHost::perform), or [`submit`](TestHost::submit), [`cancel`](TestHost::cancel) and [`outcome`](TestHost::outcome) |
//! | how it does | [`status`](TestHost::status), [`wait_for_status`](TestHost::wait_for_status), [`wait_for_log`](TestHost::wait_for_log) | the same |
//! | how it ends | [`stop`](TestHost::stop), [`exit`](TestHost::exit) | the same |
//!
//! Everything waits on conditions, for at most [`PATIENCE`], and an error says what was seen instead. The calls block:
//! a mock server in the same test needs a thread of its own, or a multi-threaded runtime.
//!
//! By a clock that the test turns (feature `fake-clock`, `Setting::with_fake_clock`) intervals, back-off and deadlines
//! of hours are tested in no time and exactly.

mod seen;
mod setting;

use std::{sync::Arc, time::Duration};

use cluster_core::{Report, View};
use serde_json::Value;

use self::seen::{Events, Seen};
pub use self::{
    seen::{LogLine, Missing},
    setting::Setting,
};
#[cfg(feature = "fake-clock")]
use crate::clock::{Hand, Turned};
use crate::{
    Connector, Discover, LocalNode, LocalReport, Operation, StopReason, Strategy,
    abi::host::{Exit, InstanceStatus, LinkChange, NotRunning, OperationOutcome, PluginError, Running},
};

/// How long the calls that wait do so.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long they do so by a fake clock.
#[cfg(feature = "fake-clock")]
pub const FAKE_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an instance is given to stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

#[cfg(feature = "fake-clock")]
const STUCK: &str = "something in the instance blocks its thread";

/// A host for one instance. Dropping it stops the instance.
///
/// ```
/// use cluster_sdk::{Connector, ConnectorContext, Node, NodeName, Operation, Outcome, Result, schemars, serde};
/// use cluster_sdk::{abi::host::OperationOutcome, testing::TestHost};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(crate = "cluster_sdk::serde")]
/// #[schemars(crate = "cluster_sdk::schemars")]
/// struct Config {}
/// struct Picky(ConnectorContext);
/// impl Connector for Picky {
///     const NAME: &'static str = "picky";
///     type Config = Config;
///     async fn start(_: Config, ctx: ConnectorContext) -> Result<Self> {
///         Ok(Self(ctx))
///     }
///     async fn connect(&self, node: &Node) -> Outcome {
///         match node.addresses().next() {
///             Some(_) => Outcome::Done,
///             None => Outcome::Unreachable("it has no address".to_owned()),
///         }
///     }
///     async fn disconnect(&self, node: &NodeName) -> Outcome {
///         self.0.link_down(node, "bye");
///         Outcome::Done
///     }
/// }
///
/// let host = TestHost::connector::<Picky>(serde_json::json!({}))?;
/// let node = Node::try_new("a@h")?;
/// let outcome = host.perform(&Operation::Connect(node.clone()))?;
/// assert_eq!(outcome, OperationOutcome::Unreachable("it has no address".to_owned()));
/// assert_eq!(host.perform(&Operation::Connect(node.address("127.0.0.7")))?, OperationOutcome::Done);
/// assert_eq!(host.perform(&Operation::Disconnect("a@h".parse()?))?, OperationOutcome::Done);
/// assert_eq!(host.next_link()?.reason.as_deref(), Some("bye"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TestHost {
    running: Running,
    seen: Arc<Seen>,
    next_op: std::sync::atomic::AtomicU64,
    #[cfg(feature = "fake-clock")]
    hand: Option<Hand>,
}

// === impl TestHost ===

impl TestHost {
    fn new(running: Running, seen: Arc<Seen>) -> Self {
        Self {
            running,
            seen,
            next_op: std::sync::atomic::AtomicU64::new(1),
            #[cfg(feature = "fake-clock")]
            hand: None,
        }
    }

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

    /// The next view: takes reports until one is a whole list.
    ///
    /// # Errors
    /// [`Missing`] when none came.
    pub fn next_view(&self) -> Result<View, Missing> {
        self.wait("view", |events| {
            while let Some(report) = events.reports.pop_front() {
                if let Report::Reset(view) = report {
                    return Some(view);
                }
            }
            None
        })
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

    /// Lets so much time pass, by a fake clock.
    ///
    /// # Errors
    /// [`Missing`] when the instance ends before, or something in it blocks.
    #[cfg(feature = "fake-clock")]
    pub fn run_for(&self, duration: Duration) -> Result<(), Missing> {
        let Some(hand) = &self.hand else {
            return Err(self.seen.missing("no fake clock: start it by Setting::with_fake_clock()"));
        };
        let until = hand.now() + duration;
        while hand.now() < until {
            match hand.turn(until, PATIENCE) {
                Turned::Passed => {}
                Turned::Ended => {
                    self.exit()?;
                    return Err(self.seen.missing("end of the instance before that time"));
                }
                Turned::Stuck => return Err(self.seen.missing(STUCK)),
            }
        }
        Ok(())
    }

    /// How much time has passed by a fake clock; none by another.
    #[cfg(feature = "fake-clock")]
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.hand.as_ref().map(Hand::elapsed).unwrap_or_default()
    }

    fn wait<T>(&self, what: &str, found: impl FnMut(&mut Events) -> Option<T>) -> Result<T, Missing> {
        #[cfg(feature = "fake-clock")]
        if let Some(hand) = &self.hand {
            return self.wait_by_hand(hand, what, found);
        }
        self.seen.wait(what, PATIENCE, found)
    }

    /// Turns the clock until it is so.
    #[cfg(feature = "fake-clock")]
    fn wait_by_hand<T>(
        &self,
        hand: &Hand,
        what: &str,
        mut found: impl FnMut(&mut Events) -> Option<T>,
    ) -> Result<T, Missing> {
        let until = hand.now() + FAKE_PATIENCE;
        loop {
            if let Some(found) = self.seen.look(&mut found) {
                return Ok(found);
            }
            match hand.turn(until, PATIENCE) {
                Turned::Passed if hand.now() < until => {}
                Turned::Passed => return Err(self.seen.missing(&format!("no {what}"))),
                // What it says last may be still to come.
                Turned::Ended => return self.seen.wait(what, PATIENCE, found),
                Turned::Stuck => return Err(self.seen.missing(STUCK)),
            }
        }
    }
}

impl Drop for TestHost {
    /// Stops the instance and waits for it. One that is stuck is left alone after a while.
    fn drop(&mut self) {
        if self.has_exited().is_none() {
            self.request_stop(StopReason::Restart, Duration::ZERO);
            #[cfg(feature = "fake-clock")]
            if let Some(hand) = &self.hand {
                // Its end is the first thing in the next turn.
                hand.turn(hand.now() + STOP_WITHIN, STOP_WITHIN);
            }
            drop(self.seen.wait("end", STOP_WITHIN, |events| events.exit.clone()));
        }
    }
}
