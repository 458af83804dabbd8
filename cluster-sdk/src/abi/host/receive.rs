//! The functions of a [`HostTable`]: from pointers to the [`Call`]s of an instance, and no panic out.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one promise of the caller covers all that a call was given"
)]

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use abi_stable::prefix_type::WithMetadata;

use super::{Call, HostCalls};
use crate::abi::{
    guard,
    table::{
        Bytes, Code, CompletenessCode, ExitCode, Flag, HealthCode, HostCtx, HostTable, HostTable_Ref,
        LevelCode, OutcomeCode, ReportCode, SectionCode,
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

/// What an instance's context points at.
pub(super) struct Line(pub(super) Arc<dyn HostCalls>);

// === impl Line ===

impl Line {
    /// The context for a plugin. It must not be used after the last reference to the line is gone.
    pub(super) fn lend(this: &Arc<Self>) -> HostCtx {
        HostCtx(Arc::as_ptr(this).cast())
    }

    /// Keeps the line for ever.
    #[expect(clippy::mem_forget, reason = "a thread that cannot be ended may use it at any time")]
    pub(super) fn leak(this: &Arc<Self>) {
        std::mem::forget(Arc::clone(this));
    }
}

/// # Safety
/// The context must be lent by a line that lives, which [`super::Running`] sees to, and the bytes in the call must be
/// lent for it.
unsafe fn call(ctx: HostCtx, call: Call<'_>) -> Code {
    // SAFETY: see above.
    let line = unsafe { &*ctx.0.cast::<Line>() };
    guard::outside(|| line.0.call(call)).unwrap_or(Code::PANICKED)
}

// === The table. For all of it: the plugin gives back the context that it was given, and lends bytes for the call. ===

unsafe extern "C" fn ping(ctx: HostCtx, value: u64) -> u64 {
    // SAFETY: see the heading.
    let line = unsafe { &*ctx.0.cast::<Line>() };
    panic::catch_unwind(AssertUnwindSafe(|| line.0.ping(value))).unwrap_or(u64::MAX)
}

unsafe extern "C" fn log(ctx: HostCtx, level: LevelCode, target: Bytes, message: Bytes) {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::Log { level, target: target.as_slice(), message: message.as_slice() }) };
}

unsafe extern "C" fn report_begin(
    ctx: HostCtx,
    kind: ReportCode,
    completeness: CompletenessCode,
    ttl_ms: u64,
) -> Code {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::ReportBegin { kind, completeness, ttl_ms }) }
}

unsafe extern "C" fn report_chunk(ctx: HostCtx, section: SectionCode, records: Bytes) -> Code {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::ReportChunk { section, records: records.as_slice() }) }
}

unsafe extern "C" fn report_commit(ctx: HostCtx) -> Code {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::ReportCommit) }
}

unsafe extern "C" fn status(ctx: HostCtx, health: HealthCode, reason: Bytes, counters: Bytes) {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::Status { health, reason: reason.as_slice(), counters: counters.as_slice() }) };
}

unsafe extern "C" fn completed(ctx: HostCtx, op: u64, outcome: OutcomeCode, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::Completed { op, outcome, reason: reason.as_slice() }) };
}

unsafe extern "C" fn link(ctx: HostCtx, generation: u64, node: Bytes, up: Flag, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe {
        call(ctx, Call::Link { generation, node: node.as_slice(), up, reason: reason.as_slice() });
    }
}

unsafe extern "C" fn links_begin(ctx: HostCtx, generation: u64) -> Code {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::LinksBegin { generation }) }
}

unsafe extern "C" fn links_chunk(ctx: HostCtx, records: Bytes) -> Code {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::LinksChunk { records: records.as_slice() }) }
}

unsafe extern "C" fn links_commit(ctx: HostCtx) -> Code {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::LinksCommit) }
}

unsafe extern "C" fn availability(ctx: HostCtx, available: Flag, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::Availability { available, reason: reason.as_slice() }) };
}

unsafe extern "C" fn local(ctx: HostCtx, node: Bytes) {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::Local { node: node.as_slice() }) };
}

unsafe extern "C" fn exited(ctx: HostCtx, kind: ExitCode, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe { call(ctx, Call::Exited { kind, reason: reason.as_slice() }) };
}
