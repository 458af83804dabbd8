//! The calls of an instance to its host, as they cross: codes and borrowed bytes that nobody has looked into yet.
//!
//! In one process they end in a [`Receiver`](super::Receiver). An instance in a process of its own makes the same calls
//! there; they are carried over as they are and end in a `Receiver` of the host.

use crate::abi::table::{
    Code, CompletenessCode, ExitCode, Flag, HealthCode, LevelCode, OutcomeCode, ReportCode, SectionCode,
};

/// One call of a [`HostTable`](crate::abi::table::HostTable), whose functions say what each is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the parameters are those of the functions of `HostTable`")]
pub enum Call<'a> {
    /// A number; also the sign that the instance is alive.
    Ping(u64),
    /// A line of log.
    Log { level: LevelCode, target: &'a [u8], message: &'a [u8] },
    /// A report begins.
    ReportBegin { kind: ReportCode, completeness: CompletenessCode, ttl_ms: u64 },
    /// Whole records of it.
    ReportChunk { section: SectionCode, records: &'a [u8] },
    /// It counts.
    ReportCommit,
    /// How the topology does.
    Status { health: HealthCode, reason: &'a [u8], counters: &'a [u8] },
    /// An operation has ended.
    Completed { op: u64, outcome: OutcomeCode, reason: &'a [u8] },
    /// A link came up or went down.
    Link { generation: u64, node: &'a [u8], up: Flag, reason: &'a [u8] },
    /// The complete list of links begins.
    LinksBegin { generation: u64 },
    /// Whole records of it.
    LinksChunk { records: &'a [u8] },
    /// It counts.
    LinksCommit,
    /// Whether links can be made at all.
    Availability { available: Flag, reason: &'a [u8] },
    /// Whether the local node takes part.
    Local { node: &'a [u8] },
    /// The instance has ended.
    Exited { kind: ExitCode, reason: &'a [u8] },
}

/// Takes the calls of one instance, from any of its threads.
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
/// # use cluster_sdk::{Refused, Report};
/// # use cluster_sdk::abi::host::{Exit, HostInterface, InstanceStatus, LogRecord};
/// # struct Deaf;
/// # impl HostInterface for Deaf {
/// #     fn log(&self, _: &LogRecord<'_>) {}
/// #     fn report(&self, _: Report) -> Result<(), Refused> { Ok(()) }
/// #     fn status(&self, _: InstanceStatus) {}
/// #     fn exited(&self, _: Exit) {}
/// # }
/// use std::{sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}}, thread, time::Duration};
///
/// use cluster_sdk::{LocalNode, OfferKind, StopReason, tracing::level_filters::LevelFilter};
/// use cluster_sdk::abi::{host::{Call, HostCalls, LoadedPlugin, Receiver, Start}, table::Code};
///
/// /// Counts the calls on their way.
/// struct Counting {
///     calls: AtomicU64,
///     receiver: Receiver,
/// }
///
/// impl HostCalls for Counting {
///     fn call(&self, call: Call<'_>) -> Code {
///         self.calls.fetch_add(1, Relaxed);
///         self.receiver.call(call)
///     }
///     fn expect(&self, op: u64) {
///         self.receiver.expect(op);
///     }
///     fn forget(&self, op: u64) -> bool {
///         self.receiver.forget(op)
///     }
///     fn has_exited(&self) -> bool {
///         self.receiver.has_exited()
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
/// let calls = Arc::new(Counting { calls: AtomicU64::new(0), receiver: Receiver::new(Arc::new(Deaf)) });
/// let running = LoadedPlugin::from_entry(plugin())?.start_with(&start, None, Arc::clone(&calls))?;
/// running.stop(StopReason::Leave, Duration::from_secs(2));
/// while !calls.has_exited() {
///     thread::yield_now();
/// }
/// assert!(calls.calls.load(Relaxed) > 0, "it has said at least that it has ended");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait HostCalls: Send + Sync {
    /// A call, and how it went; of those that have no answer always [`Code::OK`].
    fn call(&self, call: Call<'_>) -> Code;
    /// Gives the number back.
    fn ping(&self, value: u64) -> u64 {
        self.call(Call::Ping(value));
        value
    }
    /// The host has given the instance an operation, which is to be answered.
    fn expect(&self, op: u64) {
        let _: u64 = op;
    }
    /// The answer is not wanted any more; whether one was to come.
    fn forget(&self, op: u64) -> bool {
        let _: u64 = op;
        true
    }
    /// Whether the instance has said that it has ended.
    fn has_exited(&self) -> bool;
}
