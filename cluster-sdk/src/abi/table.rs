//! The two tables of functions and the values that cross with them. **Append only**: see the parent module.
//!
//! `abi_stable` describes the types for the layout check; there is nothing in them that C could not write down.

#![allow(
    unsafe_code,
    non_local_definitions,
    non_camel_case_types,
    unused_qualifications,
    clippy::mem_forget,
    clippy::ptr_as_ptr,
    clippy::multiple_unsafe_ops_per_block,
    clippy::needless_lifetimes,
    reason = "emitted by the macros of abi_stable"
)]

use std::{ffi::c_void, fmt, ptr};

use abi_stable::StableAbi;

/// Bytes of one chunk of records at most. A chunk holds whole records only.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one word about the local node at most: a longer one is not heard.
pub const LOCAL_BYTES_MAX: usize = 16 * 1024;
/// A time to live that never ends.
pub const TTL_NONE: u64 = u64::MAX;

/// Bytes that are borrowed for the duration of a call.
///
/// # Examples
///
/// ```
/// use cluster_sdk::abi::table::Bytes;
///
/// assert_eq!(Bytes::new("as they are".as_bytes()).len(), 11);
/// assert!(Bytes::EMPTY.is_empty() && Bytes::new(&[]).is_empty());
/// ```
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct Bytes {
    ptr: *const u8,
    len: usize,
}

/// The host's side of an instance: given back to each function of its [`HostTable`].
#[repr(transparent)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct HostCtx(pub(super) *const c_void);

/// A running strategy or connector: given back to the functions of the [`PluginTable`] until it is destroyed.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct Instance(pub(super) *const c_void);

/// Where an answer of any length goes: `write` may be called several times before the function returns.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct Sink {
    pub(super) ctx: *mut c_void,
    pub(super) write: unsafe extern "C" fn(ctx: *mut c_void, bytes: Bytes),
}

/// What [`PluginTable::start`] is given.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct StartArgs {
    /// What to start.
    pub kind: OfferCode,
    /// Its name.
    pub name: Bytes,
    /// Its config, JSON.
    pub config: Bytes,
    /// Where it runs, JSON: `topology`, `local`, `log_level`; `heartbeat_ms` where the host wants a `ping` that often, the
    /// first before any work, from the thread that does the work. New keys may come.
    pub context: Bytes,
    /// The host's functions.
    pub host: HostTable_Ref,
    /// The host's context: valid until `destroy` has returned [`Code::OK`].
    pub host_ctx: HostCtx,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$code_doc:meta])* $code:ident = $value:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, StableAbi)]
        pub struct $name(pub u32);
        impl $name { $($(#[$code_doc])* pub const $code: Self = Self($value);)+ }
    )+
        /// All codes with their names and values, for the golden test.
        #[doc(hidden)]
        pub const CODES: &[(&str, &str, u32)] = &[$($((stringify!($name), stringify!($code), $value)),+),+];
    };
}

codes! {
    /// How a call went. Codes to come mean failure to who does not know them.
    Code {
        /// Done.
        OK = 0,
        /// No such strategy or connector, or an instance that does not do this.
        UNKNOWN = 1,
        /// A config that is not valid.
        INVALID = 2,
        /// Bytes that are not what they should be.
        MALFORMED = 3,
        /// The code behind the call panicked.
        PANICKED = 4,
        /// The instance's thread still runs: its host context stays in use.
        BUSY = 5,
        /// More nodes than the host allows.
        TOO_MANY = 6,
        /// More bytes than possible.
        TOO_LARGE = 7,
        /// A chunk or a commit without a begin.
        OUT_OF_ORDER = 8,
        /// The instance has ended or is about to.
        STOPPING = 9,
        /// The system did not give what is needed, such as a thread.
        EXHAUSTED = 10,
    }
    /// What a plugin offers.
    OfferCode {
        /// A strategy.
        STRATEGY = 1,
        /// A connector.
        CONNECTOR = 2,
    }
    /// What a report is.
    ReportCode {
        /// A new list in place of all before.
        RESET = 0,
        /// Changes to what was said before.
        APPLY = 1,
    }
    /// Whether a list is all there is.
    CompletenessCode {
        /// Absent means gone.
        COMPLETE = 0,
        /// Absent means unknown.
        PARTIAL = 1,
    }
    /// Which part of a report a chunk belongs to.
    SectionCode {
        /// Nodes that are there.
        UPSERTS = 0,
        /// Nodes that are gone.
        REMOVALS = 1,
    }
    /// The health of a topology, as its strategy or connector sees it.
    HealthCode {
        /// Nothing was said yet.
        STARTING = 0,
        /// All is well.
        RUNNING = 1,
        /// Something is wrong.
        DEGRADED = 2,
        /// The source refuses us.
        DENIED = 3,
    }
    /// The level of a log line.
    LevelCode {
        /// Something failed.
        ERROR = 1,
        /// An operator can act.
        WARN = 2,
        /// Worth knowing.
        INFO = 3,
        /// For who looks for a mistake.
        DEBUG = 4,
        /// Everything.
        TRACE = 5,
    }
    /// Work for a connector.
    OperationCode {
        /// Make a link to a node.
        CONNECT = 1,
        /// Cut the link to a node.
        DISCONNECT = 2,
        /// Say which links there are.
        LIST = 3,
    }
    /// How an operation ended.
    OutcomeCode {
        /// Done.
        DONE = 0,
        /// Tried in vain.
        UNREACHABLE = 1,
        /// The local node takes part in no network.
        NOT_PART_OF_NETWORK = 2,
        /// The connector does not do this.
        UNSUPPORTED = 3,
        /// Of a disconnect: the connector leaves the link as it is.
        KEPT = 4,
    }
    /// Why an instance is stopped.
    StopCode {
        /// The local node leaves: say so to the others.
        LEAVE = 0,
        /// Another instance follows: the local node stays.
        RESTART = 1,
    }
    /// How an instance ended.
    ExitCode {
        /// Its work is done.
        FINISHED = 0,
        /// It returned an error.
        FAILED = 1,
        /// It panicked.
        PANICKED = 2,
        /// It was asked to.
        STOPPED = 3,
    }
    /// A yes or a no.
    Flag {
        /// No.
        NO = 0,
        /// Yes.
        YES = 1,
    }
}

/// The host's functions. Each is called from any thread of the instance, never after the `exited` of it has
/// returned, and never unwinds.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTable_Ref, prefix_fields = HostTable_Prefix)))]
#[allow(missing_debug_implementations, reason = "a table of functions")]
pub struct HostTable {
    /// Gives the number back: for measuring and for asking whether anybody is there.
    pub ping: unsafe extern "C" fn(ctx: HostCtx, value: u64) -> u64,
    /// A line of log, UTF-8.
    pub log: unsafe extern "C" fn(ctx: HostCtx, level: LevelCode, target: Bytes, message: Bytes),
    /// Begins a report; one that was begun before and not committed is forgotten.
    pub report_begin: unsafe extern "C" fn(
        ctx: HostCtx,
        kind: ReportCode,
        completeness: CompletenessCode,
        ttl_ms: u64,
    ) -> Code,
    /// Whole records, at most [`CHUNK_BYTES_MAX`] bytes.
    pub report_chunk: unsafe extern "C" fn(ctx: HostCtx, section: SectionCode, records: Bytes) -> Code,
    /// Ends a report: only now it counts, or is refused.
    pub report_commit: unsafe extern "C" fn(ctx: HostCtx) -> Code,
    /// How the topology does; the counters are a JSON object of numbers.
    pub status: unsafe extern "C" fn(ctx: HostCtx, health: HealthCode, reason: Bytes, counters: Bytes),
    /// How an operation ended; at most once for each.
    pub completed: unsafe extern "C" fn(ctx: HostCtx, op: u64, outcome: OutcomeCode, reason: Bytes),
    /// A link came up or went down by itself. Generations before the newest seen are ignored.
    pub link: unsafe extern "C" fn(ctx: HostCtx, generation: u64, node: Bytes, up: Flag, reason: Bytes),
    /// Begins the complete list of links.
    pub links_begin: unsafe extern "C" fn(ctx: HostCtx, generation: u64) -> Code,
    /// Whole records (of names), at most [`CHUNK_BYTES_MAX`] bytes.
    pub links_chunk: unsafe extern "C" fn(ctx: HostCtx, records: Bytes) -> Code,
    /// Ends the list of links.
    pub links_commit: unsafe extern "C" fn(ctx: HostCtx) -> Code,
    /// Whether the connector can make links at all now.
    pub availability: unsafe extern "C" fn(ctx: HostCtx, available: Flag, reason: Bytes),
    /// Of a connector: whether the local node takes part, JSON of at most [`LOCAL_BYTES_MAX`] bytes: `up`; with it
    /// `name`, `incarnation` and `stays`, without it `reason`. Keys may be added.
    pub local: unsafe extern "C" fn(ctx: HostCtx, node: Bytes),
    /// The instance has ended; it makes no call after this one.
    #[sabi(last_prefix_field)]
    pub exited: unsafe extern "C" fn(ctx: HostCtx, kind: ExitCode, reason: Bytes),
    /// In a test only.
    #[cfg(feature = "abi-next")]
    pub next: unsafe extern "C" fn(ctx: HostCtx, value: u64) -> u64,
}

/// The plugin's functions. Each may be called from any thread, returns soon, and never unwinds.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginTable_Ref, prefix_fields = PluginTable_Prefix)))]
#[allow(missing_debug_implementations, reason = "a table of functions")]
pub struct PluginTable {
    /// Gives the number back.
    pub ping: unsafe extern "C" fn(value: u64) -> u64,
    /// What the plugin offers: a JSON list of objects with `kind`, `name`, `description`, `schema`, `links`, `by_address`,
    /// `local_node`.
    pub describe: unsafe extern "C" fn(sink: Sink) -> Code,
    /// What is wrong with a config: a JSON list of objects with `path` and `message`, empty if nothing is. With
    /// another code than [`Code::OK`] the sink gets a text that says why.
    pub validate:
        unsafe extern "C" fn(kind: OfferCode, name: Bytes, config: Bytes, local: Bytes, sink: Sink) -> Code,
    /// Starts an instance on a thread of its own. With [`Code::INVALID`] the sink gets what `validate` would say,
    /// with other failures a text.
    pub start: unsafe extern "C" fn(args: *const StartArgs, out: *mut Instance, sink: Sink) -> Code,
    /// The local node has changed: JSON, as in the context.
    pub update: unsafe extern "C" fn(instance: Instance, local: Bytes),
    /// Asks the instance to end; `exited` follows.
    pub stop: unsafe extern "C" fn(instance: Instance, reason: StopCode, deadline_ms: u64),
    /// Work for a connector; one record says which node. `completed` follows within the deadline, unless cancelled.
    pub submit: unsafe extern "C" fn(
        instance: Instance,
        op: u64,
        kind: OperationCode,
        record: Bytes,
        deadline_ms: u64,
    ) -> Code,
    /// The operation is not wanted any more.
    pub cancel: unsafe extern "C" fn(instance: Instance, op: u64),
    /// Frees an instance. [`Code::BUSY`]: its thread lives; nothing happened.
    #[sabi(last_prefix_field)]
    pub destroy: unsafe extern "C" fn(instance: Instance) -> Code,
    /// In a test only.
    #[cfg(feature = "abi-next")]
    pub next: unsafe extern "C" fn(value: u64) -> u64,
}

// === impl Bytes ===

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self = Self { ptr: ptr::null(), len: 0 };

    /// Borrows bytes; whoever passes the result on sees to it that they outlive the call.
    #[must_use]
    pub const fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The bytes.
    ///
    /// # Safety
    /// They must live, unchanged, as long as `'a`.
    #[must_use]
    pub const unsafe fn as_slice<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller vouches for the bytes; the pointer is not null.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

impl fmt::Debug for StartArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartArgs").field("kind", &self.kind).finish_non_exhaustive()
    }
}

// === impl Sink ===

impl Sink {
    /// A sink that appends to `buffer`, which must live as long as the sink is used.
    pub(super) const fn new(buffer: &mut Vec<u8>) -> Self {
        unsafe extern "C" fn write(ctx: *mut c_void, bytes: Bytes) {
            // SAFETY: `ctx` is the buffer of `Sink::new`, which outlives the call that the sink was made for, and
            // whoever writes is the only one who uses it until then.
            let buffer = unsafe { &mut *ctx.cast::<Vec<u8>>() };
            // SAFETY: the writer lends the bytes for this call.
            let bytes = unsafe { bytes.as_slice() };
            if buffer.len().saturating_add(bytes.len()) <= super::ANSWER_BYTES_MAX {
                buffer.extend_from_slice(bytes);
            }
        }
        Self { ctx: ptr::from_mut(buffer).cast(), write }
    }

    /// Writes an answer.
    ///
    /// # Safety
    /// The call that the sink was given for must not have returned.
    pub(super) unsafe fn write(self, bytes: &[u8]) {
        // SAFETY: the sink is alive, says the caller; the bytes are lent for the call.
        unsafe { (self.write)(self.ctx, Bytes::new(bytes)) }
    }
}
