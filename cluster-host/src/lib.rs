//! cluster-host
pub mod api;
mod client;
pub mod cli;
pub mod config;
mod connectors;
pub mod plugin;
