//! From the [`Call`]s of an instance to its [`HostInterface`]: bytes are looked into, and what is not valid, too late
//! or too much goes no further.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cluster_core::{Changes, Completeness, Health, LIST_BYTES_MAX, NodeList, NodeName, Report, View};
use tracing::{Dispatch, dispatcher};

use super::{
    Call, Exit, ExitKind, HostCalls, HostInterface, InstanceStatus, LinkChange, LocalReport, LogRecord,
    OperationOutcome, Refused,
};
use crate::abi::{
    guard,
    table::{
        CHUNK_BYTES_MAX, Code, CompletenessCode, ExitCode, Flag, HealthCode, LOCAL_BYTES_MAX, OutcomeCode,
        ReportCode, SectionCode, TTL_NONE,
    },
};

/// What stands between one instance and its [`HostInterface`], wherever the instance runs.
///
/// # Examples
///
/// ```
/// # use cluster_sdk::{Refused, Report};
/// # use cluster_sdk::abi::host::{Exit, HostInterface, InstanceStatus, LogRecord};
/// # struct Deaf;
/// # impl HostInterface for Deaf {
/// #     fn log(&self, _: &LogRecord<'_>) {}
/// #     fn report(&self, _: Report) -> Result<(), Refused> { Ok(()) }
/// #     fn status(&self, _: InstanceStatus) {}
/// #     fn exited(&self, _: Exit) {}
/// # }
/// use std::sync::Arc;
///
/// use cluster_sdk::abi::{host::{Call, HostCalls, Receiver}, table::{Code, ExitCode}};
///
/// // `Deaf` is a `HostInterface` that listens to nothing.
/// let receiver = Receiver::new(Arc::new(Deaf));
/// assert_eq!(receiver.call(Call::ReportCommit), Code::OUT_OF_ORDER, "no report was begun");
/// receiver.expect(1);
/// assert!(receiver.forget(1) && !receiver.forget(1));
/// receiver.call(Call::Exited { kind: ExitCode::FINISHED, reason: b"" });
/// assert!(receiver.has_exited());
/// ```
pub struct Receiver {
    interface: Arc<dyn HostInterface>,
    /// Where the host logs. A plugin that is linked statically shares `tracing` with the host, and its threads have a
    /// default of their own; what the host logs in a call from there must not come back as the plugin's.
    dispatch: Dispatch,
    report: Mutex<Option<Draft>>,
    links: Mutex<Option<(u64, Vec<u8>)>>,
    generation: AtomicU64,
    under_way: Mutex<HashSet<u64>>,
    exited: AtomicBool,
}

/// A report of which not all has come.
struct Draft {
    kind: ReportCode,
    completeness: Completeness,
    ttl: Option<Duration>,
    upserts: Vec<u8>,
    removals: Vec<u8>,
}

// === impl Receiver ===

impl Receiver {
    /// What is called goes to the interface. What is logged by the way goes where this thread logs.
    #[must_use]
    pub fn new(interface: Arc<dyn HostInterface>) -> Self {
        Self {
            interface,
            dispatch: dispatcher::get_default(Clone::clone),
            report: Mutex::new(None),
            links: Mutex::new(None),
            generation: AtomicU64::new(0),
            under_way: Mutex::default(),
            exited: AtomicBool::new(false),
        }
    }

    /// Calls the host's code. A panic of it is its own affair, and not the plugin's.
    fn guarded<T>(&self, otherwise: T, call: impl FnOnce(&dyn HostInterface) -> T) -> T {
        if self.has_exited() { otherwise } else { self.outside(call).unwrap_or(otherwise) }
    }

    fn outside<T>(&self, call: impl FnOnce(&dyn HostInterface) -> T) -> Result<T, ()> {
        guard::outside(|| dispatcher::with_default(&self.dispatch, || call(&*self.interface)))
    }

    /// Whether what is said of links still counts.
    fn is_current(&self, generation: u64) -> bool {
        self.generation.fetch_max(generation, Ordering::AcqRel) <= generation
    }

    fn report_begin(&self, kind: ReportCode, completeness: CompletenessCode, ttl_ms: u64) -> Code {
        if self.has_exited() {
            return Code::STOPPING;
        }
        if kind != ReportCode::RESET && kind != ReportCode::APPLY {
            return Code::UNKNOWN;
        }
        *lock(&self.report) = Some(Draft {
            kind,
            // What is not known to be complete withdraws nobody.
            completeness: match completeness {
                CompletenessCode::COMPLETE => Completeness::Complete,
                _ => Completeness::Partial,
            },
            ttl: (ttl_ms != TTL_NONE).then(|| Duration::from_millis(ttl_ms)),
            upserts: Vec::new(),
            removals: Vec::new(),
        });
        Code::OK
    }

    fn report_chunk(&self, section: SectionCode, records: &[u8]) -> Code {
        let mut draft = lock(&self.report);
        let Some(open) = draft.as_mut() else {
            return Code::OUT_OF_ORDER;
        };
        let part = match section {
            SectionCode::UPSERTS => &mut open.upserts,
            SectionCode::REMOVALS => &mut open.removals,
            _ => return Code::UNKNOWN,
        };
        let code = append(part, records);
        if code != Code::OK {
            *draft = None;
        }
        code
    }

    fn report_commit(&self) -> Code {
        let Some(draft) = lock(&self.report).take() else {
            return Code::OUT_OF_ORDER;
        };
        let (Ok(upserts), Ok(removals)) = (NodeList::parse(draft.upserts), NodeList::parse(draft.removals))
        else {
            return Code::MALFORMED;
        };
        let report = if draft.kind == ReportCode::RESET {
            Report::Reset(View { completeness: draft.completeness, ttl: draft.ttl, nodes: upserts })
        } else {
            Report::Apply(Changes { ttl: draft.ttl, upserts, removals })
        };
        if self.has_exited() {
            return Code::STOPPING;
        }
        match self.guarded(Err(Refused::HostFailed), |interface| interface.report(report)) {
            Ok(()) => Code::OK,
            Err(Refused::TooMany) => Code::TOO_MANY,
            Err(Refused::TooLarge) => Code::TOO_LARGE,
            Err(Refused::Malformed) => Code::MALFORMED,
            Err(Refused::Stopping) => Code::STOPPING,
            Err(Refused::HostFailed) => Code::PANICKED,
        }
    }

    fn status(&self, health: HealthCode, why: &[u8], counters: &[u8]) {
        let health = match health {
            HealthCode::STARTING => Health::Starting,
            HealthCode::RUNNING => Health::Running,
            HealthCode::DENIED => Health::Denied,
            _ => Health::Degraded,
        };
        let counters = serde_json::from_slice(counters).unwrap_or_default();
        let status = InstanceStatus { health, reason: reason(why), counters };
        self.guarded((), |interface| interface.status(status));
    }

    fn completed(&self, op: u64, outcome: OutcomeCode, why: &[u8]) {
        if !self.forget(op) {
            return; // Late, unknown or doubled.
        }
        let why = || String::from_utf8_lossy(why).into_owned();
        let outcome = match outcome {
            OutcomeCode::DONE => OperationOutcome::Done,
            OutcomeCode::NOT_PART_OF_NETWORK => OperationOutcome::NotPartOfNetwork(why()),
            OutcomeCode::UNSUPPORTED => OperationOutcome::Unsupported,
            OutcomeCode::KEPT => OperationOutcome::Kept(why()),
            _ => OperationOutcome::Unreachable(why()),
        };
        self.guarded((), |interface| interface.completed(op, outcome));
    }

    fn link(&self, generation: u64, node: &[u8], up: Flag, why: &[u8]) {
        let Ok(node) = NodeName::try_new(&String::from_utf8_lossy(node)) else {
            return;
        };
        if self.is_current(generation) {
            let change = LinkChange { generation, node, up: up == Flag::YES, reason: reason(why) };
            self.guarded((), |interface| interface.link(change));
        }
    }

    fn links_chunk(&self, records: &[u8]) -> Code {
        let mut links = lock(&self.links);
        let Some((_, part)) = links.as_mut() else {
            return Code::OUT_OF_ORDER;
        };
        let code = append(part, records);
        if code != Code::OK {
            *links = None;
        }
        code
    }

    fn links_commit(&self) -> Code {
        let Some((generation, records)) = lock(&self.links).take() else {
            return Code::OUT_OF_ORDER;
        };
        let Ok(list) = NodeList::parse(records) else {
            return Code::MALFORMED;
        };
        let Ok(nodes) = list.iter().map(|record| record.to_name()).collect() else {
            return Code::MALFORMED;
        };
        if self.is_current(generation) {
            self.guarded((), |interface| interface.links(generation, nodes));
        }
        Code::OK
    }

    fn availability(&self, available: Flag, why: &[u8]) {
        let why = String::from_utf8_lossy(why);
        let unavailable = (available != Flag::YES).then_some(&*why);
        self.guarded((), |interface| interface.availability(unavailable));
    }

    fn local(&self, node: &[u8]) {
        if node.len() > LOCAL_BYTES_MAX {
            return;
        }
        if let Some(report) = LocalReport::decode(node) {
            self.guarded((), |interface| interface.local(report));
        }
    }

    fn exited(&self, kind: ExitCode, why: &[u8]) {
        let kind = match kind {
            ExitCode::FINISHED => ExitKind::Finished,
            ExitCode::PANICKED => ExitKind::Panicked,
            ExitCode::STOPPED => ExitKind::Stopped,
            _ => ExitKind::Failed,
        };
        let exit = Exit { kind, reason: reason(why) };
        // Noted before it is told, so that nothing is told afterwards; a second one is not told.
        if !self.exited.swap(true, Ordering::AcqRel) {
            self.outside(|interface| interface.exited(exit)).unwrap_or_default();
        }
    }

    fn log(&self, record: &LogRecord<'_>) {
        if !self.has_exited() {
            // In the middle of an event, where the plugin shares `tracing` with the host: its default must not be
            // changed.
            guard::outside(|| self.interface.log(record)).unwrap_or_default();
        }
    }
}

impl HostCalls for Receiver {
    fn call(&self, call: Call<'_>) -> Code {
        match call {
            Call::Ping(value) => drop(self.ping(value)),
            Call::Log { level, target, message } => {
                let (target, message) = (String::from_utf8_lossy(target), String::from_utf8_lossy(message));
                let level = level.level();
                let dispatch = &self.dispatch;
                self.log(&LogRecord { level, target: &target, message: &message, dispatch });
            }
            Call::ReportBegin { kind, completeness, ttl_ms } => {
                return self.report_begin(kind, completeness, ttl_ms);
            }
            Call::ReportChunk { section, records } => return self.report_chunk(section, records),
            Call::ReportCommit => return self.report_commit(),
            Call::Status { health, reason, counters } => self.status(health, reason, counters),
            Call::Completed { op, outcome, reason } => self.completed(op, outcome, reason),
            Call::Link { generation, node, up, reason } => self.link(generation, node, up, reason),
            Call::LinksBegin { generation } => *lock(&self.links) = Some((generation, Vec::new())),
            Call::LinksChunk { records } => return self.links_chunk(records),
            Call::LinksCommit => return self.links_commit(),
            Call::Availability { available, reason } => self.availability(available, reason),
            Call::Local { node } => self.local(node),
            Call::Exited { kind, reason } => self.exited(kind, reason),
        }
        Code::OK
    }

    fn ping(&self, value: u64) -> u64 {
        self.interface.ping(value)
    }

    fn expect(&self, op: u64) {
        lock(&self.under_way).insert(op);
    }

    fn forget(&self, op: u64) -> bool {
        lock(&self.under_way).remove(&op)
    }

    fn has_exited(&self) -> bool {
        self.exited.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("exited", &self.has_exited()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reason(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Bytes from the other side never grow a buffer by a number that they carry, only by what is there.
fn append(part: &mut Vec<u8>, records: &[u8]) -> Code {
    if records.len() > CHUNK_BYTES_MAX || part.len().saturating_add(records.len()) > LIST_BYTES_MAX {
        return Code::TOO_LARGE;
    }
    part.extend_from_slice(records);
    Code::OK
}
