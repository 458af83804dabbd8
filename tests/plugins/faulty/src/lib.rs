//! Strategies that misbehave, each in one way, and a connector, for the tests of the host.
//!
//! | strategy | does |
//! |---|---|
//! | `fixed` | reports its nodes once and waits |
//! | `static_list` | the same as a `Discover`: again and again |
//! | `panics` | reports, if it has nodes, and panics after a while |
//! | `fails` | reports, if it has nodes, and returns an error after a while |
//! | `lies_empty` | reports its nodes, and after a while that nobody is there |
//! | `finishes` | reports its nodes once and is done |
//! | `slow` | does nothing, for ever, but lets itself be dropped |
//! | `stuck` | blocks its thread for ever |
//! | `measures` | measures what calls to the host cost |
//! | `noisy` | logs at each level and counts |
//! | `breaks` | does to its process what no process survives, see `Fault` |
//! | `too_many` | reports as many nodes as it is told |
//!
//! The connector `attaching` says of the local node what a file says, makes every link at once and cuts none. The
//! connectors `dying-own` and `dying-outlive` make every link at once and abort when a file says so.

mod attaching;
mod behaving;
mod crashing;
mod failing;

use std::time::Duration;

use cluster_sdk::{Node, Result};
use schemars::JsonSchema;
use serde::Deserialize;

pub use attaching::{Attaching, AttachingConfig};
pub use behaving::{
    Finishes, Fixed, FixedConfig, Measures, MeasuresConfig, Noisy, NoisyConfig, Slow, StaticList, TooMany,
    TooManyConfig,
};
pub use crashing::{Breaks, BreaksConfig, DyingConfig, DyingOutlive, DyingOwn, Fault};
pub use failing::{Fails, LiesEmpty, Panics, Stuck};

cluster_sdk::export_plugin!(
    strategies: [Fixed, Panics, Fails, LiesEmpty, Finishes, Slow, Stuck, Noisy, TooMany, Measures, Breaks],
    discover: [StaticList],
    connectors: [Attaching, DyingOwn, DyingOutlive],
);

/// No options.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Nodes to report, and when the misbehaviour begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fuse {
    /// Nodes that are reported at the start, completely; no report if there are none
    #[serde(default)]
    nodes: Vec<String>,
    /// Milliseconds from the start to the misbehaviour
    #[serde(default)]
    after_ms: u64,
}

impl Fuse {
    /// Reports the nodes and waits.
    async fn burn(&self, ctx: &cluster_sdk::Context) -> Result<()> {
        if !self.nodes.is_empty() {
            ctx.report(cluster_sdk::View::complete(nodes(&self.nodes)?))?;
        }
        tokio::time::sleep(Duration::from_millis(self.after_ms)).await;
        Ok(())
    }
}

fn nodes(names: &[String]) -> Result<Vec<Node>> {
    Ok(names.iter().map(|name| Node::try_new(name)).collect::<Result<_, _>>()?)
}
