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
