//! What is remembered across restarts: the membership, in a directory of the host's own.
//!
//! ```text
//!            ┌───────────── Publisher (the owner's end) ─────────────┐
//!  events ──►│ queue ──► thread: append all, one fdatasync ──► log   │──► subscribers
//!            └───────────────────────────────────────────────────────┘
//!  0000000007.snapshot   the members at revision 20480            whole, by rename
//!  0000000007.journal    the events after it                      appended to
//!  0000000006.*  …       those before, as far as the log reaches back
//!  lock                  held by the one host that writes here
//! ```
//!
//! **Invariant (written first):** with a state directory an event is in the log only once it is on disk. So whoever has
//! seen an event can resume after a restart, and no revision stands for two events. Without one the owner publishes as
//! it always did, and there is no thread.
//!
//! **Invariant (the disk costs no membership):** a write that fails, or takes longer than [`WRITE_MAX`], ends the epoch.
//! The log goes on in a new one without the disk (one resync for each subscriber), until a whole snapshot of it can be
//! written. On the disk nothing is missing that was told of the epoch before, so a restart from there is right too.
//!
//! All is text, a record a line: the CRC-32 of the rest of the line, a space, JSON in the shapes of the API
//! (`record`). Loading takes the newest whole snapshot and folds the journals after it (`load`).

mod directory;
mod load;
mod record;
mod restore;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use cluster_core::TopologyName;
use sha2::{Digest as _, Sha256};

pub(crate) use self::{
    store::{Identity, Opened},
    writer::{Publisher, Watch},
};
use crate::{assembly::Assembly, host::RETENTION_EVENTS_MAX};

/// How long events wait for the disk, before the log goes on without it.
pub const WRITE_MAX: Duration = Duration::from_secs(5);
/// Events that wait for the disk at most, before the log goes on without it.
pub const WAITING_EVENTS_MAX: usize = 16_384;
/// How long after a failure the disk is tried again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Events of one journal at most, before a new snapshot is written.
pub const JOURNAL_EVENTS_MAX: u64 = 4_096;
/// Bytes of one journal, after which a new snapshot is written.
pub const JOURNAL_BYTES_MAX: u64 = 16 << 20;
/// Snapshots with their journals that are kept at most. It takes six to reach back as far as the log does.
pub const GENERATIONS_MAX: usize = 12;
/// Bytes of a file that are read at most.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// Damaged files that are kept at most.
pub const DAMAGED_MAX: usize = 8;

/// What is known by a fingerprint: what each topology asked for its nodes.
pub(crate) type Sources = BTreeMap<TopologyName, String>;

/// How much is written where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) journal_events_max: u64,
    pub(crate) journal_bytes_max: u64,
    pub(crate) retention_events_max: usize,
    pub(crate) generations_max: usize,
}

/// Whether the membership is remembered across restarts.
///
/// # Examples
///
/// ```
/// use cluster_host::state::StateHealth;
///
/// let failing = StateHealth::Failing("no space left on device".into());
/// assert_eq!((failing.as_str(), failing.reason()), ("failing", Some("no space left on device")));
/// assert_eq!(failing.to_string(), "failing: no space left on device");
/// assert_eq!(StateHealth::default().as_str(), "off");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StateHealth {
    /// No state directory is configured.
    #[default]
    Off,
    /// Every event is on disk before it is told.
    Written,
    /// The disk fails, for this reason: what happens meanwhile is told and not remembered.
    Failing(Arc<str>),
}

/// Why a host does not start with its state directory. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be made, or read. (operator)
    #[error("[state] directory {}: {error}; make it a directory that the host may read and write", path.display())]
    Unusable {
        /// The directory or the file in it.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// Others could change what is remembered. (operator)
    #[error("[state] directory {} can be written by others (mode {mode:03o}): chmod 700 it", path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is another user's. (operator)
    #[error("[state] directory {} belongs to user {uid}, and the host runs as {euid}: chown it", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Who the host is.
        euid: u32,
    },
    /// Another host writes there. (operator)
    #[error("[state] directory {} is in use by another host: give each its own", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It is of another host. (operator)
    #[error(
        "[state] directory {} is of {what} {theirs:?}, and this is {ours:?}: give each its own, or remove what is in it", path.display()
    )]
    Another {
        /// The directory.
        path: PathBuf,
        /// What differs: the cluster or the node.
        what: &'static str,
        /// As it is written there.
        theirs: String,
        /// As it is configured.
        ours: String,
    },
    /// A later version of the host has written it. (operator)
    #[error(
        "{} has format {format}, and this version reads format {} and before: run the version that wrote it, or remove what is in its directory", path.display(), record::FORMAT
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The thread that writes cannot be had. (operator)
    #[error("no thread for the state directory: {0}")]
    Thread(#[source] std::io::Error),
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            journal_events_max: JOURNAL_EVENTS_MAX,
            journal_bytes_max: JOURNAL_BYTES_MAX,
            retention_events_max: RETENTION_EVENTS_MAX,
            generations_max: GENERATIONS_MAX,
        }
    }
}

// === impl StateHealth ===

impl StateHealth {
    /// The word for it: `off`, `written` or `failing`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Written => "written",
            Self::Failing(_) => "failing",
        }
    }

    /// Why it fails.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Off | Self::Written => None,
            Self::Failing(reason) => Some(reason),
        }
    }
}

impl fmt::Display for StateHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        self.reason().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// What each topology asks for its nodes, told apart by a hash: a config may hold a secret.
pub(crate) fn sources(assembly: &Assembly) -> Sources {
    let fingerprint = |strategy: &str, config: &serde_json::Value| {
        let digest = Sha256::new().chain_update(strategy).chain_update([0]).chain_update(config.to_string());
        let digest = digest.finalize();
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let topologies = assembly.topologies.iter();
    topologies
        .map(|(name, part)| {
            (name.clone(), fingerprint(&part.config.strategy, &part.config.config.to_value()))
        })
        .collect()
}
