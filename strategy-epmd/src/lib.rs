//! Distributed Erlang for `cluster-host`: strategies that ask epmd, and links that are real Erlang distribution.

mod connector;
mod dist;
mod epmd;
#[doc(hidden)]
pub mod measure;
mod strategies;
mod wire;

pub use connector::{DisconnectLive, Erlang, ErlangConfig, Mode, NodeChoice, OnStop};
pub use strategies::{
    Epmd, EpmdConfig, ErlangHosts, ErlangHostsConfig, LocalEpmd, LocalEpmdConfig, NoTimeout,
};

cluster_sdk::export_plugin!(strategies: [Epmd, ErlangHosts], discover: [LocalEpmd], connectors: [Erlang]);
