//! The server held against recordings of a real one, and its own promises.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers, which the setting for tests does not reach"
)]

mod access;
mod client;
mod faults;
mod lists;
mod recordings;
mod replay;
mod rest;
mod sockets;
mod watches;
