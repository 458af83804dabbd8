//! The plugin ABI, version 1: what crosses between a host and a shared library, and the safe ends of it.
//!
//! ```text
//! author's code - traits - [thunks] = PluginTable =>  [LoadedPlugin, Running] - host
//! author's code - Context - [HostLink] <= HostTable = [thunks] - HostInterface - host
//! ```
//!
//! Nothing owned crosses: borrowed bytes, integers, and tables of `extern "C"` functions with a context pointer.
//! Reports are flat records (see [`cluster_core::Node`]) in chunks, everything else that is structured is JSON.
//!
//! **Append only.** By-value types ([`table::Bytes`], [`table::Sink`], [`table::StartArgs`], the handshake) are frozen
//! for the life of major version 1. Tables grow at their end, with a new [`handshake::ABI_MINOR`]; codes, attributes
//! and JSON keys may be added. Both directions of minor versions load: the older side is the interface, see
//! [`layout`]. `tests/golden/abi-v1.txt` pins all of it.
//!
//! **Lifetimes.** The host context given to `start` is valid until `destroy` has returned OK. While the thread of an
//! instance is stuck in its author's code `destroy` says BUSY, and the host leaks the context on purpose.
//!
//! This module is the only place of the crate with `unsafe` code.

mod c;
pub mod entry;
pub(crate) mod guard;
pub mod handshake;
pub mod host;
pub mod layout;
pub(crate) mod link;
pub mod table;
mod thunk;

pub use abi_stable::library::LibHeader;
pub use entry::{Plugin, PluginEntry, entry_from_symbol, header};

/// Bytes of an answer (`describe`, `validate`, the reason of a failed `start`) at most; what is beyond is cut off.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
