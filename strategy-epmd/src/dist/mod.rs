//! Erlang's distribution protocol as a hidden node speaks it: the handshake, frames, ticks, and the few control messages
//! that a node without processes must understand.
//!
//! Source: "Distribution Protocol" and "External Term Format" of the ERTS user's guide (OTP 23 and newer, handshake
//! version 6). Own code and no crate: what there is either never ticks, or trusts lengths from the wire, or takes the
//! process down on a nested term; `ARCHITECTURE.md` has the comparison.
//!
//! **Invariant:** bytes from the wire never allocate by a count that they carry, never recurse beyond
//! [`term::DEPTH_MAX`], and never panic.

pub(crate) mod control;
pub(crate) mod dial;
pub(crate) mod exchange;
pub(crate) mod flags;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod link;
pub(crate) mod rpc;
pub(crate) mod serve;
pub(crate) mod term;
pub(crate) mod tls;
