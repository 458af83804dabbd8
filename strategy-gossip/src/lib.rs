//! libcluster's Gossip strategy: nodes find each other by heartbeats over UDP, and need no other service.
//!
//! ```text
//!              datagrams              changes
//! socket  -------------->  listener  -------->  host
//!    ^                        | a newcomer is to be answered
//!    +-- announcement <-- schedule
//! ```
//!
//! Real libcluster nodes understand these heartbeats and are understood, with and without `secret`: module `wire`
//! shows the bytes. Added to what libcluster does: a node says of which cluster, incarnation, address and attributes it is,
//! and when it leaves; a newcomer is answered at once; unicast addresses get each heartbeat too; silent nodes expire.
//!
//! **Invariant:** a bad datagram costs one counter and nothing else. All that judges datagrams (`listener`, `roster`,
//! `wire`, `etf`, `cipher`) is values without a clock, a socket or a lock; what does I/O is in `runtime`.

mod allow;
mod announcement;
mod cipher;
mod config;
mod etf;
mod health;
mod listener;
mod roster;
mod runtime;
mod schedule;
mod verdict;
mod wire;

pub use allow::{Network, NetworkError};
pub use config::{Config, Target, TargetError};

use cluster_sdk::{ConfigError, Context, LocalNode, Result, Rung, Strategy, export_plugin};

/// The strategy `gossip`.
#[derive(Debug)]
pub struct Gossip;

impl Strategy for Gossip {
    const NAME: &'static str = "gossip";
    type Config = Config;

    fn validate(config: &Config, local: &LocalNode) -> Vec<ConfigError> {
        config.errors(local)
    }

    async fn run(config: Config, ctx: Context) -> Result<()> {
        runtime::run(config, &ctx).await
    }

    async fn diagnose(config: &Config, local: &LocalNode) -> Vec<Rung> {
        runtime::diagnosis::diagnose(config, local).await
    }
}

export_plugin!(strategies: [Gossip]);
