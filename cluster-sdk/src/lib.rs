//! Write a plugin for `cluster-host`: one trait, one macro.
//!
//! A *strategy* says which nodes should be in a topology: implement [`Discover`] for something that is looked up
//! again and again, [`Strategy`] for something that is watched. A *connector* makes and breaks the links between
//! nodes: implement [`Connector`]. A complete plugin:
//!
//! ```standalone_crate
//! use cluster_sdk::{Context, Discover, Node, Result, View, anyhow::Context as _, schemars, serde};
//!
//! /// Nodes behind one DNS name.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
//! #[schemars(crate = "cluster_sdk::schemars")]
//! struct Config {
//!     /// DNS name to resolve
//!     name: String,
//! }
//!
//! struct Dns;
//!
//! impl Discover for Dns {
//!     const NAME: &'static str = "dns-poll";
//!     type Config = Config;
//!
//!     async fn discover(config: &Config, _ctx: &Context) -> Result<View> {
//!         let found = tokio::net::lookup_host((config.name.as_str(), 0)).await;
//!         let found = found.with_context(|| format!("resolving {}", config.name))?;
//!         let nodes = found.map(|address| Node::try_new(&format!("app@{}", address.ip())));
//!         Ok(View::complete(nodes.collect::<Result<Vec<_>, _>>()?))
//!     }
//! }
//!
//! cluster_sdk::export_plugin!(discover: [Dns]);
//! # fn main() {}
//! ```
//!
//! with `crate-type = ["cdylib"]` in `Cargo.toml`, and `strategy = "dns-poll"` in the host's config. With `serde` and
//! `schemars` among your own dependencies the two `crate = …` lines go away.
//!
//! `cluster-host plugins new NAME` writes such a crate, with tests, for each of the three traits, and the guide
//! `docs/writing-a-strategy.md` goes from there to a running strategy. `cluster-host discover NAME` runs one strategy alone.
//!
//! - A failed look-up is an error, **never an empty view**: an empty complete view says that everybody is gone.
//! - Each instance has a thread and a current-thread tokio runtime of its own: nothing needs to be `Send`. Nothing of
//!   tokio is shared with the host.
//! - A panic ends the instance, not the host. Log with `tracing`: the host gets it.
//! - Configs are typed; [`config::parse`] finds all errors at once. A [`Secret`] never shows its value.
//! - A [`NameTemplate`] lets whoever writes the config say how nodes are named: `"{basename}@{ip}"`.
//! - `cluster_sdk::http`, with the feature `http`, asks JSON APIs: retries, pages, limits, secrets, client certificates.
//! - Never keep the thread busy or blocked for seconds: in a process of its own an instance is taken for hung then. Work
//!   of that kind goes to `tokio::task::spawn_blocking`. Awaiting is fine for any time.
//! - Never install a signal handler: signals are the host's.
//! - [`testing::TestHost`] runs any of the three without a host, by a clock that the test turns if it likes.
//!
//! Features: `fake-clock`, for tests, has that clock.

pub mod abi;
mod clock;
pub mod config;
mod connector;
mod context;
mod diagnosis;
mod discover;
mod duration;
mod environment;
#[cfg(feature = "http")]
pub mod http;
mod instance;
mod local;
mod log;
mod macros;
mod offer;
mod runtime;
mod secret;
mod strategy;
mod template;
pub mod testing;

pub use anyhow::{self, Error, Result};
pub use cluster_core::{
    Backoff, Changes, Completeness, NameError, Node, NodeError, NodeList, NodeName, Report, View,
};
pub use schemars;
pub use serde;
pub use serde_json;
pub use tokio;
pub use tracing;

pub use config::ConfigError;
pub use connector::{Connector, ConnectorContext, Links, Operation, Outcome};
pub use context::{COUNTERS_MAX, Context, Refused, StopReason};
pub use diagnosis::{Inquiry, RUNGS_MAX, Rung, Verdict};
pub use discover::Discover;
pub use duration::{ConfigDuration, ConfigDurationError};
pub use environment::Environment;
pub use local::{LocalIdentity, LocalNode, LocalReport};
pub use offer::{OfferDef, OfferKind};
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError};
pub use strategy::Strategy;
pub use template::{
    AnyPlaceholder, NameTemplate, NameTemplateError, Placeholders, Suggestion, TemplateValues, UnnamedError,
};

/// Pages whose examples are compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/writing-a-strategy.md")]
    struct Guide;
    #[doc = include_str!("../../docs/doctor.md")]
    struct Doctor;
}
