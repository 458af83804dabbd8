//! The plugin's end of a [`HostTable`](super::table::HostTable): safe calls to the host.

#![allow(unsafe_code, reason = "calls through the host's table")]

use std::{
    cell::Cell,
    fmt,
    marker::PhantomData,
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use cluster_core::{Completeness, Node, NodeList, NodeName, Report};

use super::table::{
    Bytes, CHUNK_BYTES_MAX, Code, CompletenessCode, ExitCode, Flag, HealthCode, HostCtx, HostTable_Ref,
    LevelCode, OutcomeCode, ReportCode, SectionCode, StartArgs, TTL_NONE,
};
use crate::{context::Refused, local::LocalReport};

/// The gate's bit for "no call any more"; the others count the calls under way.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The host of one instance. Clones of a context may outlive the instance on threads of their own, so each call passes
/// a gate, which is closed before the host is allowed to forget the instance.
pub(crate) struct HostLink {
    table: HostTable_Ref,
    ctx: HostCtx,
    gate: AtomicUsize,
    /// A report, or a list of links, is several calls: one at a time.
    composing: Mutex<()>,
}

// SAFETY: the host vouches that its functions may be called from any thread with this context.
unsafe impl Send for HostLink {}
// SAFETY: as above.
unsafe impl Sync for HostLink {}

impl HostLink {
    /// Takes the host's side of a start.
    ///
    /// # Safety
    /// `args.host` and `args.host_ctx` must stay valid until [`HostLink::is_idle`] has been true after
    /// [`HostLink::close`], which is what the host promises until `destroy` returns OK.
    pub(super) unsafe fn new(args: &StartArgs) -> Self {
        Self { table: args.host, ctx: args.host_ctx, gate: AtomicUsize::new(0), composing: Mutex::new(()) }
    }

    /// No call begins after this.
    pub(crate) fn close(&self) {
        self.gate.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// Whether the gate is closed and nobody is behind it.
    pub(crate) fn is_idle(&self) -> bool {
        self.gate.load(Ordering::SeqCst) == CLOSED
    }

    /// Makes this thread the instance's own until the result is dropped: the one that closes the gate, after its last call.
    /// So its calls need not be counted, which is most of what a call would cost.
    pub(crate) fn own_thread(&self) -> OwnThread {
        OWN.set(ptr::from_ref(self));
        OwnThread(PhantomData)
    }

    fn call<T>(&self, call: impl FnOnce(HostTable_Ref, HostCtx) -> T) -> Option<T> {
        if ptr::eq(OWN.get(), self) {
            return Some(call(self.table, self.ctx));
        }
        let before = self.gate.fetch_add(1, Ordering::SeqCst);
        let _behind = Behind(&self.gate);
        (before & CLOSED == 0).then(|| call(self.table, self.ctx))
    }

    pub(crate) fn ping(&self, value: u64) -> Option<u64> {
        // SAFETY: behind the gate, and on the instance's own thread until that closes it, table and context are valid.
        self.call(|table, ctx| unsafe { table.ping()(ctx, value) })
    }

    pub(crate) fn log(&self, level: LevelCode, target: &str, message: &str) {
        self.call(|table, ctx| {
            // SAFETY: as in `ping`; the bytes are lent for the call.
            unsafe { table.log()(ctx, level, text(target), text(message)) }
        });
    }

    pub(crate) fn report(&self, report: &Report) -> Result<(), Refused> {
        let (kind, completeness, ttl) = match report {
            Report::Reset(view) => (ReportCode::RESET, view.completeness, view.ttl),
            Report::Apply(changes) => (ReportCode::APPLY, Completeness::Partial, changes.ttl),
        };
        let completeness = match completeness {
            Completeness::Complete => CompletenessCode::COMPLETE,
            Completeness::Partial => CompletenessCode::PARTIAL,
        };
        let ttl_ms = ttl.map_or(TTL_NONE, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(TTL_NONE));
        let _one_at_a_time = self.composing.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in `ping`.
        self.checked(|table, ctx| unsafe { table.report_begin()(ctx, kind, completeness, ttl_ms) })?;
        match report {
            Report::Reset(view) => self.section(SectionCode::UPSERTS, &view.nodes)?,
            Report::Apply(changes) => {
                self.section(SectionCode::UPSERTS, &changes.upserts)?;
                self.section(SectionCode::REMOVALS, &changes.removals)?;
            }
        }
        // SAFETY: as in `ping`.
        self.checked(|table, ctx| unsafe { table.report_commit()(ctx) })
    }

    fn section(&self, section: SectionCode, nodes: &NodeList) -> Result<(), Refused> {
        for chunk in chunks(nodes.as_bytes()) {
            // SAFETY: as in `ping`; the bytes are lent for the call.
            self.checked(|table, ctx| unsafe { table.report_chunk()(ctx, section, Bytes::new(chunk)) })?;
        }
        Ok(())
    }

    fn checked(&self, call: impl FnOnce(HostTable_Ref, HostCtx) -> Code) -> Result<(), Refused> {
        match self.call(call) {
            Some(Code::OK) => Ok(()),
            None | Some(Code::STOPPING) => Err(Refused::Stopping),
            Some(Code::TOO_MANY) => Err(Refused::TooMany),
            Some(Code::TOO_LARGE) => Err(Refused::TooLarge),
            Some(Code::MALFORMED) => Err(Refused::Malformed),
            Some(_) => Err(Refused::HostFailed),
        }
    }

    pub(crate) fn status(&self, health: HealthCode, reason: &str, counters: &str) {
        self.call(|table, ctx| {
            // SAFETY: as in `ping`; the bytes are lent for the call.
            unsafe { table.status()(ctx, health, text(reason), text(counters)) }
        });
    }

    pub(crate) fn completed(&self, op: u64, outcome: OutcomeCode, reason: &str) {
        // SAFETY: as in `ping`; the bytes are lent for the call.
        self.call(|table, ctx| unsafe { table.completed()(ctx, op, outcome, text(reason)) });
    }

    pub(crate) fn link(&self, generation: u64, node: &NodeName, up: bool, reason: &str) {
        let up = if up { Flag::YES } else { Flag::NO };
        self.call(|table, ctx| {
            // SAFETY: as in `ping`; the bytes are lent for the call.
            unsafe { table.link()(ctx, generation, text(node.as_str()), up, text(reason)) }
        });
    }

    pub(crate) fn links(&self, generation: u64, nodes: &[NodeName]) {
        let mut records = Vec::new();
        for node in nodes {
            Node::new(node.clone()).encode(&mut records);
        }
        let _one_at_a_time = self.composing.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in `ping`.
        let begun = self.checked(|table, ctx| unsafe { table.links_begin()(ctx, generation) });
        let sent = begun.and_then(|()| {
            chunks(&records).try_for_each(|chunk| {
                // SAFETY: as in `ping`; the bytes are lent for the call.
                self.checked(|table, ctx| unsafe { table.links_chunk()(ctx, Bytes::new(chunk)) })
            })
        });
        // SAFETY: as in `ping`.
        let ended = sent.and_then(|()| self.checked(|table, ctx| unsafe { table.links_commit()(ctx) }));
        if let Err(err) = ended {
            tracing::debug!(%err, "list of links was not taken");
        }
    }

    pub(crate) fn availability(&self, available: bool, reason: &str) {
        let available = if available { Flag::YES } else { Flag::NO };
        // SAFETY: as in `ping`; the bytes are lent for the call.
        self.call(|table, ctx| unsafe { table.availability()(ctx, available, text(reason)) });
    }

    pub(crate) fn local(&self, report: LocalReport) {
        let report = report.encode();
        // SAFETY: as in `ping`; the bytes are lent for the call.
        self.call(|table, ctx| unsafe { table.local()(ctx, Bytes::new(&report)) });
    }

    pub(crate) fn exited(&self, kind: ExitCode, reason: &str) {
        // SAFETY: as in `ping`; the bytes are lent for the call.
        self.call(|table, ctx| unsafe { table.exited()(ctx, kind, text(reason)) });
    }
}

impl fmt::Debug for HostLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostLink").field("idle", &self.is_idle()).finish_non_exhaustive()
    }
}

thread_local! {
    /// The link of the instance whose own thread this is. Only compared.
    static OWN: Cell<*const HostLink> = const { Cell::new(ptr::null()) };
}

/// This thread is an instance's own.
#[derive(Debug)]
pub(crate) struct OwnThread(PhantomData<*const ()>);

impl Drop for OwnThread {
    fn drop(&mut self) {
        OWN.set(ptr::null());
    }
}

/// One call behind the gate.
struct Behind<'a>(&'a AtomicUsize);

impl Drop for Behind<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const fn text(text: &str) -> Bytes {
    Bytes::new(text.as_bytes())
}

/// Cuts records into chunks of at most [`CHUNK_BYTES_MAX`] bytes between records. The records are sent as they lie in
/// the list: nothing is encoded again, nothing copied on this side.
pub(crate) fn chunks(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Some(length) = rest.get(end..).and_then(<[u8]>::first_chunk::<4>) {
            let record = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX).saturating_add(4);
            let next = end.saturating_add(record);
            if end > 0 && next > CHUNK_BYTES_MAX {
                break;
            }
            end = next;
        }
        let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: usize, attribute_bytes: usize) -> Node {
        let name: NodeName = format!("n{number:06}@h").parse().unwrap();
        Node::new(name).attribute("a", &"x".repeat(attribute_bytes))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Chunks are whole records, within the limit, and together are the list; also where records end exactly at
        /// the limit.
        #[test]
        fn chunks_are_whole_records(sizes in prop::collection::vec(0_usize..16_000, 0..120)) {
            let list: NodeList = sizes.iter().enumerate().map(|(number, size)| node(number, *size)).collect();
            let mut together = Vec::new();
            for chunk in chunks(list.as_bytes()) {
                prop_assert!(chunk.len() <= CHUNK_BYTES_MAX);
                prop_assert!(NodeList::parse(chunk.to_vec()).is_ok());
                together.extend_from_slice(chunk);
            }
            prop_assert_eq!(together.as_slice(), list.as_bytes());
        }
    }

    /// A chunk may be filled to the last byte; one byte more begins the next.
    #[test]
    fn boundary() {
        let fixed = 4 + 2 + "n000000@h".len() + 2 + 1 + 2;
        for (last, expected) in [(0, vec![CHUNK_BYTES_MAX]), (1, vec![CHUNK_BYTES_MAX - 16_384, 16_385])] {
            let sizes = [vec![16_384 - fixed; 15], vec![16_384 - fixed + last]].concat();
            let list: NodeList = sizes.iter().enumerate().map(|(number, size)| node(number, *size)).collect();
            assert_eq!(chunks(list.as_bytes()).map(<[u8]>::len).collect::<Vec<_>>(), expected);
        }
        assert_eq!(chunks(&[]).count(), 0);
    }
}
