//! A running instance, as the host holds it.

use std::{fmt, sync::Arc, thread, time::Duration};

use super::{HostCalls, Operation, StopReason, to_json};
use crate::{
    abi::table::{Bytes, Code, Instance, PluginTable_Ref, StopCode},
    local::LocalNode,
};

/// How often a drop looks again whether the thread of an instance that has said `exited` is gone.
const DROP_LOOKS: u32 = 1_000;

/// A running strategy or connector. Dropping it while its thread lives leaks what the thread may still use; stop it
/// first, wait for [`exited`](super::HostInterface::exited), then drop it or call [`Running::try_destroy`].
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
/// use std::{sync::Arc, thread, time::Duration};
///
/// use cluster_sdk::{LocalNode, OfferKind, Operation, StopReason, tracing::level_filters::LevelFilter};
/// use cluster_sdk::abi::host::{LoadedPlugin, NotRunning, Start};
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
/// // `Deaf` is a `HostInterface` that listens to nothing.
/// let mut running = LoadedPlugin::from_entry(plugin())?.start(&start, Arc::new(Deaf))?;
/// running.update(&LocalNode { present: false, ..LocalNode::default() });
/// // A strategy makes no links.
/// assert_eq!(running.submit(1, &Operation::List, Duration::from_secs(1)), Err(NotRunning));
/// running.stop(StopReason::Restart, Duration::from_secs(2));
/// // Its thread takes a moment to end.
/// while let Err(busy) = running.try_destroy() {
///     running = busy;
///     thread::yield_now();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Running {
    table: PluginTable_Ref,
    instance: Instance,
    calls: Arc<dyn HostCalls>,
    destroyed: bool,
}

/// The instance has ended, or does not do such work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instance does not take operations: it has ended, or is no connector")]
pub struct NotRunning;

// SAFETY: the functions of a plugin's table may be called from any thread, and the instance is an opaque handle for
// them.
unsafe impl Send for Running {}
// SAFETY: as above, also at the same time; only `destroy` must be the last, which takes the value.
unsafe impl Sync for Running {}

impl Running {
    pub(super) fn new(table: PluginTable_Ref, instance: Instance, calls: Arc<dyn HostCalls>) -> Self {
        Self { table, instance, calls, destroyed: false }
    }

    /// The local node has changed.
    pub fn update(&self, local: &LocalNode) {
        let local = to_json(local);
        // SAFETY: the instance lives until `destroy`; the bytes outlive the call.
        unsafe { self.table.update()(self.instance, Bytes::new(&local)) }
    }

    /// Asks the instance to end within a time; `exited` follows. The first stop counts.
    pub fn stop(&self, reason: StopReason, within: Duration) {
        let reason = match reason {
            StopReason::Leave => StopCode::LEAVE,
            StopReason::Restart => StopCode::RESTART,
        };
        // SAFETY: the instance lives until `destroy`.
        unsafe { self.table.stop()(self.instance, reason, millis(within)) }
    }

    /// Work for a connector: `completed` follows within the time, unless cancelled. Numbers are the host's; one that is
    /// under way must not be used again.
    ///
    /// # Errors
    /// [`NotRunning`]; no `completed` follows.
    pub fn submit(&self, op: u64, operation: &Operation, within: Duration) -> Result<(), NotRunning> {
        let (kind, record) = operation.encode();
        self.calls.expect(op);
        // SAFETY: the instance lives until `destroy`; the bytes outlive the call.
        let code =
            unsafe { self.table.submit()(self.instance, op, kind, Bytes::new(&record), millis(within)) };
        if code != Code::OK {
            self.calls.forget(op);
            return Err(NotRunning);
        }
        Ok(())
    }

    /// The operation is not wanted any more: no `completed` follows.
    pub fn cancel(&self, op: u64) {
        if self.calls.forget(op) {
            // SAFETY: the instance lives until `destroy`.
            unsafe { self.table.cancel()(self.instance, op) }
        }
    }

    /// Frees the instance.
    ///
    /// # Errors
    /// The instance itself, if its thread still runs: because it has only just said `exited`, or because it is stuck
    /// in its author's code.
    pub fn try_destroy(mut self) -> Result<(), Self> {
        if self.destroy() { Ok(()) } else { Err(self) }
    }

    /// Whether the instance is free now.
    fn destroy(&mut self) -> bool {
        if !self.destroyed {
            // SAFETY: the instance was not destroyed yet, and after OK it is not used again.
            self.destroyed = unsafe { self.table.destroy()(self.instance) } == Code::OK;
        }
        self.destroyed
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Between `exited` and the end of the thread are microseconds.
        let looks = if self.calls.has_exited() { DROP_LOOKS } else { 1 };
        for _ in 0..looks {
            if self.destroy() {
                return;
            }
            thread::yield_now();
        }
        // The thread may call the host at any time, so what it calls stays for ever.
        leak(Arc::clone(&self.calls));
        tracing::debug!("instance was dropped while its thread runs: its memory is not freed");
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("exited", &self.calls.has_exited()).finish_non_exhaustive()
    }
}

#[expect(clippy::mem_forget, reason = "a thread that cannot be ended may use it at any time")]
fn leak(calls: Arc<dyn HostCalls>) {
    std::mem::forget(calls);
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
