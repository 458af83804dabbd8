//! The functions of a [`HostTable`]: from pointers to the [`Call`]s of an instance, and no panic out.

#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one promise of the caller covers all that a call was given"
)]

use std::{
    marker::PhantomData,
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

/// The host's functions, for contexts that are a `C`: its calls are direct ones.
pub(super) struct Table<C>(PhantomData<C>);

impl<C: HostCalls> Table<C> {
    const VALUE: &'static WithMetadata<HostTable> = &WithMetadata::new(HostTable {
        ping: ping::<C>,
        log: log::<C>,
        report_begin: report_begin::<C>,
        report_chunk: report_chunk::<C>,
        report_commit: report_commit::<C>,
        status: status::<C>,
        completed: completed::<C>,
        link: link::<C>,
        links_begin: links_begin::<C>,
        links_chunk: links_chunk::<C>,
        links_commit: links_commit::<C>,
        availability: availability::<C>,
        local: local::<C>,
        exited: exited::<C>,
        #[cfg(feature = "abi-next")]
        next: ping::<C>,
    });
    pub(super) const REF: HostTable_Ref = HostTable_Ref(Self::VALUE.static_as_prefix());
}

/// The context for a plugin. It must not be used after the last reference to the calls is gone.
pub(super) fn lend<C: HostCalls>(calls: &Arc<C>) -> HostCtx {
    HostCtx(Arc::as_ptr(calls).cast())
}

/// # Safety
/// The context must be lent of a `C` that lives, which [`super::Running`] sees to, and the bytes in the call must be
/// lent for it.
unsafe fn call<C: HostCalls>(ctx: HostCtx, call: Call<'_>) -> Code {
    // SAFETY: see above.
    let calls = unsafe { &*ctx.0.cast::<C>() };
    guard::outside(|| calls.call(call)).unwrap_or(Code::PANICKED)
}

// === The table. For all of it: the plugin gives back the context that it was given, and lends bytes for the call. ===

unsafe extern "C" fn ping<C: HostCalls>(ctx: HostCtx, value: u64) -> u64 {
    // SAFETY: see the heading.
    let calls = unsafe { &*ctx.0.cast::<C>() };
    panic::catch_unwind(AssertUnwindSafe(|| calls.ping(value))).unwrap_or(u64::MAX)
}

unsafe extern "C" fn log<C: HostCalls>(ctx: HostCtx, level: LevelCode, target: Bytes, message: Bytes) {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::Log { level, target: target.as_slice(), message: message.as_slice() }) };
}

unsafe extern "C" fn report_begin<C: HostCalls>(
    ctx: HostCtx,
    kind: ReportCode,
    completeness: CompletenessCode,
    ttl_ms: u64,
) -> Code {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::ReportBegin { kind, completeness, ttl_ms }) }
}

unsafe extern "C" fn report_chunk<C: HostCalls>(ctx: HostCtx, section: SectionCode, records: Bytes) -> Code {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::ReportChunk { section, records: records.as_slice() }) }
}

unsafe extern "C" fn report_commit<C: HostCalls>(ctx: HostCtx) -> Code {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::ReportCommit) }
}

unsafe extern "C" fn status<C: HostCalls>(ctx: HostCtx, health: HealthCode, reason: Bytes, counters: Bytes) {
    // SAFETY: see the heading.
    unsafe {
        call::<C>(ctx, Call::Status { health, reason: reason.as_slice(), counters: counters.as_slice() })
    };
}

unsafe extern "C" fn completed<C: HostCalls>(ctx: HostCtx, op: u64, outcome: OutcomeCode, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::Completed { op, outcome, reason: reason.as_slice() }) };
}

unsafe extern "C" fn link<C: HostCalls>(ctx: HostCtx, generation: u64, node: Bytes, up: Flag, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe {
        call::<C>(ctx, Call::Link { generation, node: node.as_slice(), up, reason: reason.as_slice() });
    }
}

unsafe extern "C" fn links_begin<C: HostCalls>(ctx: HostCtx, generation: u64) -> Code {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::LinksBegin { generation }) }
}

unsafe extern "C" fn links_chunk<C: HostCalls>(ctx: HostCtx, records: Bytes) -> Code {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::LinksChunk { records: records.as_slice() }) }
}

unsafe extern "C" fn links_commit<C: HostCalls>(ctx: HostCtx) -> Code {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::LinksCommit) }
}

unsafe extern "C" fn availability<C: HostCalls>(ctx: HostCtx, available: Flag, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::Availability { available, reason: reason.as_slice() }) };
}

unsafe extern "C" fn local<C: HostCalls>(ctx: HostCtx, node: Bytes) {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::Local { node: node.as_slice() }) };
}

unsafe extern "C" fn exited<C: HostCalls>(ctx: HostCtx, kind: ExitCode, reason: Bytes) {
    // SAFETY: see the heading.
    unsafe { call::<C>(ctx, Call::Exited { kind, reason: reason.as_slice() }) };
}
