//! `cluster-host`: forms clusters of nodes.
//!
//! A [`Host`] loads strategies and connectors from plugins, keeps the membership, links the members and tells every
//! change to whoever subscribes. The `cluster-host` command is this library with a command line; a Rust service can
//! embed it:
//!
//! ```no_run
//! use cluster_host::{Config, Host, Registry, config::Mistakes};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::scan("plugins".as_ref());
//! let environment = |name: &str| std::env::var(name).ok();
//! let loaded = Config::load("cluster.toml".as_ref(), &environment).map_err(Mistakes::from)?;
//! let host = Host::builder(loaded.config, registry).start()?;
//! let mut events = host.subscribe();
//! while let Some(delivery) = events.next().await {
//!     println!("{delivery:?}");
//! }
//! # Ok(())
//! # }
//! ```

pub mod api;
mod assembly;
mod board;
mod changes;
pub mod cli;
mod client;
mod clock;
pub mod config;
pub mod connectors;
mod doctor;
mod durable;
mod hooks;
mod host;
mod inbox;
mod logging;
pub mod metrics;
mod narration;
mod notify;
mod owner;
mod placement;
pub mod plugin;
mod presence;
mod preview;
pub mod readiness;
mod reload;
pub mod runner;
mod socket;
pub mod state;
mod supervision;
mod takeover;
mod trial;
mod unit;
mod voice;
mod watch;

pub use assembly::StartError;
pub use changes::Changes;
pub use config::Config;
pub use hooks::{HookChanges, HookInfo};
pub use host::{Host, HostBuilder, HostHandle, RETENTION_EVENTS_MAX};
pub use plugin::Registry;
pub use preview::Preview;
pub use reload::{ReloadError, Reloaded};

/// Pages whose examples are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../../README.md")]
    struct Readme;
}
