//! A small Kubernetes API server for tests: an object store with list and watch, and faults on demand.
//!
//! It has what a client needs that looks for endpoints and pods, and answers in the words of a real server: the
//! integration tests hold each answer against a recording of one (`tests/fixtures/kubernetes`). It shares no code with
//! the client that it is to test.
//!
//! ```text
//!  test ──► ApiServer ──► Store ──► Watches ──► lines of each watch
//!             │  ▲                                     │
//!    faults,  │  └─ requests seen      answer ◄────────┘
//!    access   └───────────────────────►  ▲
//!                              ApiService │ (no socket, tokio's time, also paused)
//!                              Served ────┘ (TLS or plain, on loopback, a thread of its own)
//! ```
//!
//! ```
//! use test_apiserver::{ApiServer, Kind};
//! use test_apiserver::objects::{Endpoint, slice};
//!
//! let server = ApiServer::new();
//! server.apply(slice("demo", "myapp-abc").service("myapp").endpoint(Endpoint::ready("10.0.0.1").pod("myapp-0")));
//! server.delete(Kind::EndpointSlice, "demo", "myapp-abc");
//! assert_eq!(server.version(), 2);
//! ```
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that asks for nonsense is to fail at once; what is indexed is JSON, by name"
)]

mod access;
mod account;
mod answer;
mod body;
mod certificate;
mod fault;
mod kind;
mod list;
mod object;
pub mod objects;
mod query;
pub mod recordings;
mod replay;
mod request;
mod rest;
mod roles;
mod selector;
mod server;
mod service;
mod state;
mod status;
mod store;
mod transport;
mod watch;

pub use account::ServiceAccount;
pub use body::Body;
pub use fault::Fault;
pub use kind::{Kind, Verb};
pub use replay::Replay;
pub use request::SeenRequest;
pub use server::ApiServer;
pub use service::ApiService;
pub use transport::Served;
