//! Nodes are found by asking the DNS: libcluster's `DNSPoll`, `Kubernetes.DNS` and `Kubernetes.DNSSRV`.
//!
//! ```text
//!  resolv.conf --> system --+                                      schedule: when again
//!                           v                                          ^
//!  names --> resolver: search list, servers, aliases --> round: names of nodes, view --> host
//!              |    ^
//!              v    | answer: what a message says
//!            exchange: one question by UDP, by TCP where the answer was truncated
//! ```
//!
//! **Invariant:** nobody is gone because a question failed. Only an answer without an error and without records says
//! that there is nobody; whatever else keeps a name from being known makes the view partial, or is no view at all.
//! What judges answers (`answer`, `round`, `naming`, `search`, `schedule`) is values without a clock or a socket.

mod answer;
mod basename;
mod domain;
mod exchange;
mod failure;
#[cfg(test)]
mod knot;
mod nameserver;
mod naming;
mod options;
mod poll;
mod resolv_conf;
mod resolver;
mod round;
mod schedule;
mod search;
mod strategies;
mod system;

pub use basename::{Basename, BasenameError};
pub use domain::{Domain, DomainError, Domains};
pub use nameserver::{Nameserver, NameserverError};
pub use naming::Family;
pub use options::NoResolver;
pub use strategies::{
    Dns, DnsConfig, KubernetesDns, KubernetesDnsConfig, KubernetesDnsSrv, KubernetesDnsSrvConfig,
};

cluster_sdk::export_plugin!(strategies: [Dns, KubernetesDns, KubernetesDnsSrv]);
