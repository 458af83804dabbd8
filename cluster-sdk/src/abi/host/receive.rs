//! The functions of a [`HostTable`]: from bytes and codes to the [`HostInterface`], and no panic out.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one promise of the caller covers all that a call was given"
)]

use std::{
    collections::HashSet,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use abi_stable::prefix_type::WithMetadata;
use cluster_core::{Changes, Completeness, Health, LIST_BYTES_MAX, NodeList, NodeName, Report, View};
use tracing::{Dispatch, dispatcher};

use super::{
    Exit, ExitKind, HostInterface, InstanceStatus, LinkChange, LocalReport, LogRecord, OperationOutcome,
    Refused,
};
use crate::abi::{
    guard,
    table::{
        Bytes, CHUNK_BYTES_MAX, Code, CompletenessCode, ExitCode, Flag, HealthCode, HostCtx, HostTable,
        HostTable_Ref, LOCAL_BYTES_MAX, LevelCode, OutcomeCode, ReportCode, SectionCode, TTL_NONE,
    },
};

/// The host's functions.
pub(super) const TABLE: HostTable_Ref = {
    const VALUE: &WithMetadata<HostTable> = &WithMetadata::new(HostTable {
        ping,
        log,
        report_begin,
        report_chunk,
        report_commit,
        status,
        completed,
        link,
        links_begin,
        links_chunk,
        links_commit,
        availability,
        local,
        exited,
    });
    HostTable_Ref(VALUE.static_as_prefix())
};

/// What stands between one instance and its [`HostInterface`].
pub(super) struct Receiver {
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
    pub(super) fn new(interface: Arc<dyn HostInterface>) -> Self {
        Self {
            interface,
            dispatch: dispatcher::get_default(Clone::clone),
            report: Mutex::new(None),
            links: Mutex::new(None),
            generation: AtomicU64::new(0),
            under_way: Mutex::new(HashSet::new()),
            exited: AtomicBool::new(false),
        }
    }

    /// The context for the plugin: good as long as the `Arc` is held.
    pub(super) fn lend(this: &Arc<Self>) -> HostCtx {
        HostCtx(Arc::as_ptr(this).cast())
    }

    /// Keeps the receiver for ever.
    #[expect(clippy::mem_forget, reason = "a thread that is stuck may use it at any time")]
    pub(super) fn leak(this: &Arc<Self>) {
        std::mem::forget(Arc::clone(this));
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exited.load(Ordering::Acquire)
    }

    /// An operation will be answered.
    pub(super) fn expect(&self, op: u64) {
        lock(&self.under_way).insert(op);
    }

    /// An operation is not answered any more; whether it was to be.
    pub(super) fn forget(&self, op: u64) -> bool {
        lock(&self.under_way).remove(&op)
    }

    /// Calls the host's code. A panic of it is its own affair, and not the plugin's.
    fn guarded<T>(&self, otherwise: T, call: impl FnOnce(&dyn HostInterface) -> T) -> T {
        if self.has_exited() { otherwise } else { self.call(call).unwrap_or(otherwise) }
    }

    fn call<T>(&self, call: impl FnOnce(&dyn HostInterface) -> T) -> Result<T, ()> {
        guard::outside(|| dispatcher::with_default(&self.dispatch, || call(&*self.interface)))
    }

    /// Whether what is said of links still counts.
    fn is_current(&self, generation: u64) -> bool {
        self.generation.fetch_max(generation, Ordering::AcqRel) <= generation
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// The context must be lent by a receiver that lives, which [`super::Running`] sees to.
unsafe fn receiver<'a>(ctx: HostCtx) -> &'a Receiver {
    // SAFETY: see above.
    unsafe { &*ctx.0.cast::<Receiver>() }
}

/// # Safety
/// The bytes must be lent for the call.
unsafe fn text<'a>(bytes: Bytes) -> std::borrow::Cow<'a, str> {
    // SAFETY: see above.
    String::from_utf8_lossy(unsafe { bytes.as_slice() })
}

/// # Safety
/// As [`text`].
unsafe fn reason(bytes: Bytes) -> Option<String> {
    // SAFETY: see above.
    let text = unsafe { text(bytes) };
    (!text.is_empty()).then(|| text.into_owned())
}

// === The table. For all of it: the plugin gives back the context that it was given, and lends bytes for the call. ===

unsafe extern "C" fn ping(ctx: HostCtx, value: u64) -> u64 {
    // SAFETY: see the heading.
    let receiver = unsafe { receiver(ctx) };
    panic::catch_unwind(AssertUnwindSafe(|| receiver.interface.ping(value))).unwrap_or(u64::MAX)
}

unsafe extern "C" fn log(ctx: HostCtx, level: LevelCode, target: Bytes, message: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, target, message) = unsafe { (receiver(ctx), text(target), text(message)) };
    let record =
        LogRecord { level: level.level(), target: &target, message: &message, dispatch: &receiver.dispatch };
    if !receiver.has_exited() {
        // In the middle of an event, where the plugin shares `tracing` with the host: its default must not be changed.
        guard::outside(|| receiver.interface.log(&record)).unwrap_or_default();
    }
}

unsafe extern "C" fn report_begin(
    ctx: HostCtx,
    kind: ReportCode,
    completeness: CompletenessCode,
    ttl_ms: u64,
) -> Code {
    // SAFETY: see the heading.
    let receiver = unsafe { receiver(ctx) };
    if receiver.has_exited() {
        return Code::STOPPING;
    }
    if kind != ReportCode::RESET && kind != ReportCode::APPLY {
        return Code::UNKNOWN;
    }
    *lock(&receiver.report) = Some(Draft {
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

unsafe extern "C" fn report_chunk(ctx: HostCtx, section: SectionCode, records: Bytes) -> Code {
    // SAFETY: see the heading, here and below.
    let (receiver, records) = unsafe { (receiver(ctx), records.as_slice()) };
    let mut draft = lock(&receiver.report);
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

unsafe extern "C" fn report_commit(ctx: HostCtx) -> Code {
    // SAFETY: see the heading.
    let receiver = unsafe { receiver(ctx) };
    let Some(draft) = lock(&receiver.report).take() else {
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
    if receiver.has_exited() {
        return Code::STOPPING;
    }
    match receiver.guarded(Err(Refused::HostFailed), |interface| interface.report(report)) {
        Ok(()) => Code::OK,
        Err(Refused::TooMany) => Code::TOO_MANY,
        Err(Refused::TooLarge) => Code::TOO_LARGE,
        Err(Refused::Malformed) => Code::MALFORMED,
        Err(Refused::Stopping) => Code::STOPPING,
        Err(Refused::HostFailed) => Code::PANICKED,
    }
}

unsafe extern "C" fn status(ctx: HostCtx, health: HealthCode, why: Bytes, counters: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, reason, counters) = unsafe { (receiver(ctx), reason(why), counters.as_slice()) };
    let health = match health {
        HealthCode::STARTING => Health::Starting,
        HealthCode::RUNNING => Health::Running,
        HealthCode::DENIED => Health::Denied,
        _ => Health::Degraded,
    };
    let counters = serde_json::from_slice(counters).unwrap_or_default();
    let status = InstanceStatus { health, reason, counters };
    receiver.guarded((), |interface| interface.status(status));
}

unsafe extern "C" fn completed(ctx: HostCtx, op: u64, outcome: OutcomeCode, why: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, why) = unsafe { (receiver(ctx), text(why)) };
    if !receiver.forget(op) {
        return; // Late, unknown or doubled.
    }
    let outcome = match outcome {
        OutcomeCode::DONE => OperationOutcome::Done,
        OutcomeCode::NOT_PART_OF_NETWORK => OperationOutcome::NotPartOfNetwork(why.into_owned()),
        OutcomeCode::UNSUPPORTED => OperationOutcome::Unsupported,
        OutcomeCode::KEPT => OperationOutcome::Kept(why.into_owned()),
        _ => OperationOutcome::Unreachable(why.into_owned()),
    };
    receiver.guarded((), |interface| interface.completed(op, outcome));
}

unsafe extern "C" fn link(ctx: HostCtx, generation: u64, node: Bytes, up: Flag, why: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, node, reason) = unsafe { (receiver(ctx), text(node), reason(why)) };
    let Ok(node) = NodeName::try_new(&node) else {
        return;
    };
    if receiver.is_current(generation) {
        let change = LinkChange { generation, node, up: up == Flag::YES, reason };
        receiver.guarded((), |interface| interface.link(change));
    }
}

unsafe extern "C" fn links_begin(ctx: HostCtx, generation: u64) -> Code {
    // SAFETY: see the heading.
    let receiver = unsafe { receiver(ctx) };
    *lock(&receiver.links) = Some((generation, Vec::new()));
    Code::OK
}

unsafe extern "C" fn links_chunk(ctx: HostCtx, records: Bytes) -> Code {
    // SAFETY: see the heading, here and below.
    let (receiver, records) = unsafe { (receiver(ctx), records.as_slice()) };
    let mut links = lock(&receiver.links);
    let Some((_, part)) = links.as_mut() else {
        return Code::OUT_OF_ORDER;
    };
    let code = append(part, records);
    if code != Code::OK {
        *links = None;
    }
    code
}

unsafe extern "C" fn links_commit(ctx: HostCtx) -> Code {
    // SAFETY: see the heading.
    let receiver = unsafe { receiver(ctx) };
    let Some((generation, records)) = lock(&receiver.links).take() else {
        return Code::OUT_OF_ORDER;
    };
    let Ok(list) = NodeList::parse(records) else {
        return Code::MALFORMED;
    };
    let Ok(nodes) = list.iter().map(|record| record.to_name()).collect() else {
        return Code::MALFORMED;
    };
    if receiver.is_current(generation) {
        receiver.guarded((), |interface| interface.links(generation, nodes));
    }
    Code::OK
}

unsafe extern "C" fn availability(ctx: HostCtx, available: Flag, why: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, why) = unsafe { (receiver(ctx), text(why)) };
    let unavailable = (available != Flag::YES).then_some(&*why);
    receiver.guarded((), |interface| interface.availability(unavailable));
}

unsafe extern "C" fn local(ctx: HostCtx, node: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, node) = unsafe { (receiver(ctx), node.as_slice()) };
    if node.len() > LOCAL_BYTES_MAX {
        return;
    }
    if let Some(report) = LocalReport::decode(node) {
        receiver.guarded((), |interface| interface.local(report));
    }
}

unsafe extern "C" fn exited(ctx: HostCtx, kind: ExitCode, why: Bytes) {
    // SAFETY: see the heading, here and below.
    let (receiver, reason) = unsafe { (receiver(ctx), reason(why)) };
    let kind = match kind {
        ExitCode::FINISHED => ExitKind::Finished,
        ExitCode::PANICKED => ExitKind::Panicked,
        ExitCode::STOPPED => ExitKind::Stopped,
        _ => ExitKind::Failed,
    };
    let exit = Exit { kind, reason };
    // Noted before it is told, so that nothing is told afterwards; a second one is not told.
    if !receiver.exited.swap(true, Ordering::AcqRel) {
        receiver.call(|interface| interface.exited(exit)).unwrap_or_default();
    }
}

/// Bytes from the other side never grow a buffer by a number that they carry, only by what is there.
fn append(part: &mut Vec<u8>, records: &[u8]) -> Code {
    if records.len() > CHUNK_BYTES_MAX || part.len().saturating_add(records.len()) > LIST_BYTES_MAX {
        return Code::TOO_LARGE;
    }
    part.extend_from_slice(records);
    Code::OK
}
