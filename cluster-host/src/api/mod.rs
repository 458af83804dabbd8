//! The HTTP API: what the membership is, and what happens to it, on a Unix socket or a port.
//!
//! | path | answer |
//! |---|---|
//! | `/v1/members` | `{epoch, revision, self, members}` |
//! | `/v1/members?format=text` | `STATE NAME` of each, a line each; also for `Accept: text/plain`; the cursor is in the header `x-cursor` |
//! | `/v1/members/NAME` | all that is known of one node: why it is a member, or why not |
//! | `/v1/members/NAME/forget` | lets a node go that no source names any more |
//! | `/v1/events` | server-sent events: `id` is the cursor `EPOCH:REVISION`, `data` the event as JSON |
//! | `/v1/events?wait=30s` | the events for who has no server-sent events |
//! | `/v1/topologies` | `{epoch, revision, topologies}` |
//! | `/v1/plugins` | the plugins, and who uses them |
//! | `/v1/prometheus/targets` | the members, for Prometheus |
//! | `/v1/reload` | has the configuration and the plugins read again |
//! | `/v1/openapi.json` | the description of all of it, made of the shapes by a test |
//! | `/` | the live page, see `page` |
//! | `/v1/hooks` | `{epoch, revision, hooks}` |
//! | `/healthz`, `/ready`, `/metrics` | how the host does, for probes and Prometheus; see [`serve_probes`] |
//!
//! `/v1/events` begins with one `resync`, which has all members; after `?since=CURSOR` (or the header
//! `Last-Event-ID`) it begins with the next event, or with a `resync` where the cursor is not known any more. With
//! `?follow=false` it ends with what there is. The shapes are in [`json`]; errors are `application/problem+json`. Who may
//! ask over a port is said by [`AccessConfig`].
//!
//! **Invariant:** no client holds up the host. Answers are made piece by piece when the connection has room, and
//! everything that a client can make grow has a limit: see [`Limits`].

mod access;
mod activity;
mod guard;
pub mod json;
mod listen;
mod page;
mod pieces;
mod probes;
mod problem;
mod routes;
mod server;
mod source;
mod stream;
mod targets;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tls;
mod waiting;

pub(crate) use access::first_token;
pub use access::{AccessConfig, AccessError, TlsConfig};
pub use activity::{Activity, Outcome};
pub(crate) use listen::SERVICE_DIRECTORY;
pub use listen::{ListenAddress, ListenError, Listener};
pub(crate) use probes::is_ready;
pub use probes::serve_probes;
pub use server::{Limits, serve};
pub use source::{Answer, DiscoveryErrors, Forgotten, PluginUse, Source, TopologyInfo};

#[cfg(test)]
mod openapi;
#[cfg(test)]
mod tests;
