//! What a strategy or connector is given to talk with its host.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use anyhow::{Error, Result};
use cluster_core::{Changes, Node, Report, View};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    abi::{link::HostLink, table::HealthCode},
    local::LocalNode,
};

/// Names of counters that one instance may have at most; others are not counted.
pub const COUNTERS_MAX: usize = 64;

/// The host, as a [`Strategy`](crate::Strategy) or [`Discover`](crate::Discover) sees it. Cheap to clone; may be used
/// from other threads; does nothing once the instance has ended.
///
/// ```
/// use cluster_sdk::{Changes, Context, Node, Result, Strategy, View, testing::TestHost};
///
/// # use cluster_sdk::{schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// struct Watcher;
///
/// impl Strategy for Watcher {
///     const NAME: &'static str = "watcher";
///     type Config = Config;
///
///     async fn run(_: Config, ctx: Context) -> Result<()> {
///         // First a whole list, then single changes.
///         ctx.report(View::complete([Node::try_new("a@h")?, Node::try_new("b@h")?]))?;
///         ctx.apply(Changes { removals: [Node::try_new("a@h")?].into_iter().collect(), ..Changes::default() })?;
///         ctx.count("changes", 1);
///         ctx.degraded("the source has ended its stream");
///         // A last word, where the source wants one.
///         ctx.stopping().await;
///         Ok(())
///     }
/// }
///
/// let host = TestHost::strategy::<Watcher>(serde_json::json!({}))?;
/// assert_eq!(host.next_view()?.names(), ["a@h", "b@h"]);
/// let status = host.wait_for_status(|status| status.reason.is_some())?;
/// assert_eq!(status.reason.as_deref(), Some("the source has ended its stream"));
/// host.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Context {
    shared: Arc<Shared>,
    /// Number of the local node that this clone has seen.
    seen: AtomicU64,
}

/// Why a report was not taken. What was known before stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It names more nodes than the topology may have. The host shows it; whoever runs it can raise the limit.
    #[error("report has more nodes than the topology may have")]
    TooMany,
    /// It has more bytes than a report may have.
    #[error("report has too many bytes")]
    TooLarge,
    /// A record in it is not valid.
    #[error("report has a record that is not valid")]
    Malformed,
    /// The instance is to end, or has ended.
    #[error("topology is stopping")]
    Stopping,
    /// The host could not take it.
    #[error("host could not take the report")]
    HostFailed,
}

/// Why an instance is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The local node leaves the cluster: tell the others, if there is a way to.
    Leave,
    /// Another instance takes over, or the host is restarted: the local node stays.
    Restart,
}

/// What the clones of a context share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) topology: String,
    pub(crate) link: HostLink,
    pub(crate) stop: watch::Sender<Option<Stop>>,
    /// Somebody has asked for the stop, so `run` is given time for its farewell.
    pub(crate) awaits_stop: AtomicBool,
    /// Wakes who sends the counters.
    pub(crate) counted: Notify,
    local: watch::Sender<(u64, LocalNode)>,
    status: Mutex<Status>,
}

/// A stop that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    pub(crate) reason: StopReason,
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
struct Status {
    health: HealthCode,
    reason: String,
    /// How often anything was said of the health.
    said: u64,
    counters: BTreeMap<&'static str, u64>,
    counters_sent: bool,
}

// === impl Context ===

impl Context {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, seen: AtomicU64::new(0) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The name of the topology.
    #[must_use]
    pub fn topology(&self) -> &str {
        &self.shared.topology
    }

    /// The local node as it is now.
    #[must_use]
    pub fn local(&self) -> LocalNode {
        let local = self.shared.local.borrow();
        self.seen.store(local.0, Ordering::Relaxed);
        local.1.clone()
    }

    /// Waits until the local node is not any more what [`Context::local`] gave last (or what it was at the start).
    pub async fn local_changed(&self) {
        let mut local = self.shared.local.subscribe();
        let seen = self.seen.load(Ordering::Relaxed);
        let number = local.wait_for(|(number, _)| *number != seen).await.map(|local| local.0);
        match number {
            Ok(number) => self.seen.store(number, Ordering::Relaxed),
            Err(_never_again) => std::future::pending().await,
        }
    }

    /// Hands over a new list in place of all that was reported before. Never waits.
    ///
    /// A failed look-up is no report: an empty complete view says that everybody is gone. Say [`Context::degraded`],
    /// or return an error from `run`.
    ///
    /// # Errors
    /// [`Refused`]; what was known before stands, and the host shows the reason with the topology.
    pub fn report(&self, view: View) -> Result<(), Refused> {
        self.send(&Report::Reset(view))
    }

    /// Hands over changes that the source itself named. Never waits.
    ///
    /// # Errors
    /// [`Refused`], as for [`Context::report`].
    pub fn apply(&self, changes: Changes) -> Result<(), Refused> {
        self.send(&Report::Apply(changes))
    }

    fn send(&self, report: &Report) -> Result<(), Refused> {
        self.shared.link.report(report)?;
        let mut status = self.shared.status();
        if status.health == HealthCode::STARTING {
            self.shared.set_health(&mut status, HealthCode::RUNNING, "");
        }
        Ok(())
    }

    /// All is well again. The first report says so by itself.
    pub fn healthy(&self) {
        self.shared.set_health(&mut self.shared.status(), HealthCode::RUNNING, "");
    }

    /// All is well, with something that whoever runs the host should know: shown with the topology.
    pub fn healthy_but(&self, note: &str) {
        self.shared.set_health(&mut self.shared.status(), HealthCode::RUNNING, note);
    }

    /// Something is wrong; what was reported stands. Only changes are passed on, so it may be said at each try.
    pub fn degraded(&self, reason: &str) {
        self.shared.set_health(&mut self.shared.status(), HealthCode::DEGRADED, reason);
    }

    /// The source refuses us (credentials, rights); what was reported stands.
    pub fn denied(&self, reason: &str) {
        self.shared.set_health(&mut self.shared.status(), HealthCode::DENIED, reason);
    }

    /// A number that changes whenever the health is said, also where it stays what it was.
    pub(crate) fn said(&self) -> u64 {
        self.shared.status().said
    }

    /// What a look-up in several steps comes to, as a [`Discover`](crate::Discover) returns it: a complete view where none of
    /// them failed. Where one did, a partial view of what the others found, with the reason as the topology's health; or
    /// the error itself, where they found nobody.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_sdk::{Completeness, Context, Discover, Node, Result, View, anyhow, testing::TestHost};
    ///
    /// # use cluster_sdk::{schemars, serde};
    /// # #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// # #[serde(crate = "cluster_sdk::serde")]
    /// # #[schemars(crate = "cluster_sdk::schemars")]
    /// # struct Config {}
    /// struct Halves;
    ///
    /// impl Discover for Halves {
    ///     const NAME: &'static str = "halves";
    ///     type Config = Config;
    ///
    ///     async fn discover(_: &Config, ctx: &Context) -> Result<View> {
    ///         let (one, other) = (Node::try_new("a@h")?, anyhow::anyhow!("the other half does not answer"));
    ///         ctx.found(vec![one], Some(other))
    ///     }
    /// }
    ///
    /// // Of those of the other half nothing is known: they stay.
    /// let host = TestHost::discover::<Halves>(serde_json::json!({}))?;
    /// assert_eq!(host.next_view()?.completeness, Completeness::Partial);
    /// host.wait_for_status(|status| status.reason.as_deref() == Some("the other half does not answer"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `failed`, where there are no nodes.
    pub fn found(&self, nodes: Vec<Node>, failed: Option<Error>) -> Result<View> {
        match failed {
            None => Ok(View::complete(nodes)),
            Some(err) if nodes.is_empty() => Err(err),
            Some(err) => {
                self.degraded(&format!("{err:#}"));
                Ok(View::partial(nodes))
            }
        }
    }

    /// Adds to a counter that is shown with the topology. Cheap: may be called for each datagram.
    pub fn count(&self, counter: &'static str, add: u64) {
        let mut status = self.shared.status();
        if let Some(count) = status.counters.get_mut(counter) {
            *count = count.saturating_add(add);
        } else if status.counters.len() < COUNTERS_MAX {
            status.counters.insert(counter, add);
        } else {
            return;
        }
        if std::mem::take(&mut status.counters_sent) {
            self.shared.counted.notify_one();
        }
    }

    /// Waits until the instance is stopped. Who has ever called this is given until the deadline of the stop to return
    /// from `run`; others are dropped at once.
    pub fn stopping(&self) -> impl Future<Output = StopReason> + Send + use<> {
        self.shared.awaits_stop.store(true, Ordering::SeqCst);
        let mut stop = self.shared.stop.subscribe();
        async move {
            match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
                Ok(Some(stop)) => stop.reason,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    #[doc(hidden)]
    /// Calls the host and gives the number back: for measuring.
    #[must_use]
    pub fn ping(&self, value: u64) -> Option<u64> {
        self.shared.link.ping(value)
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        let seen = AtomicU64::new(self.seen.load(Ordering::Relaxed));
        Self { shared: Arc::clone(&self.shared), seen }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("topology", &self.shared.topology).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(topology: String, local: LocalNode, link: HostLink) -> Self {
        let status = Status {
            health: HealthCode::STARTING,
            reason: String::new(),
            said: 0,
            counters: BTreeMap::new(),
            counters_sent: true,
        };
        Self {
            topology,
            link,
            stop: watch::Sender::new(None),
            awaits_stop: AtomicBool::new(false),
            counted: Notify::new(),
            local: watch::Sender::new((0, local)),
            status: Mutex::new(status),
        }
    }

    pub(crate) fn update(&self, local: LocalNode) {
        self.local.send_modify(|current| *current = (current.0.wrapping_add(1), local));
    }

    /// Sends counters that were not sent yet.
    pub(crate) fn send_counters(&self) {
        let mut status = self.status();
        if !status.counters_sent {
            self.send_status(&mut status);
        }
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_health(&self, status: &mut Status, health: HealthCode, reason: &str) {
        status.said = status.said.wrapping_add(1);
        if status.health != health || status.reason != reason {
            status.health = health;
            reason.clone_into(&mut status.reason);
            self.send_status(status);
        }
    }

    /// Under the lock, so that two changes arrive in their order.
    fn send_status(&self, status: &mut Status) {
        status.counters_sent = true;
        let counters = serde_json::to_string(&status.counters).unwrap_or_default();
        self.link.status(status.health, &status.reason, &counters);
    }
}
