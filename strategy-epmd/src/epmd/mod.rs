//! The client of epmd, Erlang's port mapper: a daemon on each machine that knows which nodes run there and at which
//! port each of them listens.
//!
//! ```text
//! lookup    "who is app?"   ->  epmd at the node's host        one connection per question, closed by epmd
//! names     "who is there?" ->  epmd at the host
//! register  "I am app"      ->  epmd at loopback               stays open: it is the registration
//! ```
//!
//! What goes over the wire is in [`message`], which is values only; all that waits is in [`client`] and
//! [`registration`].

mod client;
mod message;
mod registration;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use client::{Epmd, EpmdError, default_port};
pub(crate) use message::NodeKind;
pub(crate) use registration::Registration;
