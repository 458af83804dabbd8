//! Strategies that do as they should, if not always what one wants.

use std::{future::pending, time::Duration};

use cluster_sdk::{
    ConfigError, Context, Discover, LocalNode, Node, NodeName, Result, Strategy, View, anyhow::bail,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Nothing, nodes};

/// Reports its nodes once and waits.
#[derive(Debug)]
pub struct Fixed;

/// Nodes that never change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedConfig {
    /// The nodes, `name@host`
    pub nodes: Vec<String>,
    /// Milliseconds for which the report vouches for them; for ever if left out
    #[serde(default)]
    pub ttl: Option<u64>,
    /// Whether the list is only some of them
    #[serde(default)]
    pub partial: bool,
    /// Fails instead of reporting (of `static_list`: each look-up does)
    #[serde(default)]
    pub error: Option<String>,
}

impl FixedConfig {
    fn view(&self) -> Result<View> {
        if let Some(error) = &self.error {
            bail!("{error}");
        }
        let nodes = nodes(&self.nodes)?;
        let view = if self.partial { View::partial(nodes) } else { View::complete(nodes) };
        Ok(match self.ttl {
            Some(ttl) => view.with_ttl(Duration::from_millis(ttl)),
            None => view,
        })
    }

    fn errors(&self) -> Vec<ConfigError> {
        let wrong = |(index, name): (usize, &String)| {
            let err = NodeName::check(name).err()?;
            Some(ConfigError { path: format!("nodes[{index}]"), message: err.to_string() })
        };
        self.nodes.iter().enumerate().filter_map(wrong).collect()
    }
}

impl Strategy for Fixed {
    const NAME: &'static str = "fixed";
    type Config = FixedConfig;

    fn validate(config: &FixedConfig, _: &LocalNode) -> Vec<ConfigError> {
        config.errors()
    }

    async fn run(config: FixedConfig, ctx: Context) -> Result<()> {
        ctx.report(config.view()?)?;
        pending().await
    }
}

/// Finds the same nodes each time.
#[derive(Debug)]
pub struct StaticList;

impl Discover for StaticList {
    const NAME: &'static str = "static_list";
    type Config = FixedConfig;
    const INTERVAL: Duration = Duration::from_millis(20);

    fn validate(config: &FixedConfig, _: &LocalNode) -> Vec<ConfigError> {
        config.errors()
    }

    async fn discover(config: &FixedConfig, _: &Context) -> Result<View> {
        config.view()
    }
}

/// Reports its nodes and is done.
#[derive(Debug)]
pub struct Finishes;

impl Strategy for Finishes {
    const NAME: &'static str = "finishes";
    type Config = FixedConfig;

    async fn run(config: FixedConfig, ctx: Context) -> Result<()> {
        ctx.report(config.view()?)?;
        Ok(())
    }
}

/// Does nothing, for ever.
#[derive(Debug)]
pub struct Slow;

impl Strategy for Slow {
    const NAME: &'static str = "slow";
    type Config = Nothing;

    async fn run(_: Nothing, _: Context) -> Result<()> {
        pending().await
    }
}

/// Measures what calls to the host cost, for the benchmarks, and tells it by its counters.
#[derive(Debug)]
pub struct Measures;

/// How much is measured.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasuresConfig {
    /// Calls that one figure is taken from
    pub calls: u64,
    /// Nodes of the report, with three attributes each
    pub nodes: u64,
    /// How often everything is measured
    pub rounds: u64,
}

extern "C" fn plain(value: u64) -> u64 {
    value
}

impl MeasuresConfig {
    fn view(&self) -> Result<View> {
        let nodes = (0..self.nodes).map(|number| {
            let node = Node::try_new(&format!("app-{number:06}@10.0.0.1"))?;
            Ok(node.attribute("zone", "eu-1").attribute("role", "api").attribute("version", "1.2.3"))
        });
        Ok(View::complete(nodes.collect::<Result<Vec<_>>>()?))
    }

    /// Picoseconds of one call.
    fn each(&self, mut call: impl FnMut(u64)) -> u64 {
        let start = tokio::time::Instant::now();
        for number in 0..self.calls {
            call(number);
        }
        let total = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        total.saturating_mul(1_000) / self.calls.max(1)
    }
}

impl Strategy for Measures {
    const NAME: &'static str = "measures";
    type Config = MeasuresConfig;

    async fn run(config: MeasuresConfig, ctx: Context) -> Result<()> {
        let pointer = std::hint::black_box(plain as extern "C" fn(u64) -> u64);
        let view = config.view()?;
        let (mut plains, mut pings, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for _round in 0..config.rounds {
            plains.push(config.each(|number| _ = std::hint::black_box(pointer(number))));
            pings.push(config.each(|number| _ = std::hint::black_box(ctx.ping(number))));
            let copy = view.clone();
            let start = tokio::time::Instant::now();
            ctx.report(copy)?;
            reports.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        for (counter, mut figures) in
            [("plain_ps", plains), ("ping_ps", pings), ("report_median_ns", reports.clone())]
        {
            figures.sort_unstable();
            ctx.count(counter, figures.get(figures.len() / 2).copied().unwrap_or(u64::MAX));
        }
        ctx.count("report_first_ns", reports.first().copied().unwrap_or(u64::MAX));
        ctx.count("measured", 1);
        pending().await
    }
}

/// Logs and counts.
#[derive(Debug)]
pub struct Noisy;

/// How much noise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoisyConfig {
    /// How often each line is logged and each counter counted
    #[serde(default = "once")]
    pub times: u64,
}

const fn once() -> u64 {
    1
}

impl Strategy for Noisy {
    const NAME: &'static str = "noisy";
    type Config = NoisyConfig;

    async fn run(config: NoisyConfig, ctx: Context) -> Result<()> {
        for time in 0..config.times {
            tracing::error!(time, "an error");
            tracing::warn!(time, "a warning");
            tracing::info!(time, "a piece of information");
            tracing::debug!(time, "a detail");
            tracing::trace!(time, "a trifle");
            ctx.count("noises", 5);
            ctx.count("rounds", 1);
        }
        ctx.degraded("it is noisy here");
        pending().await
    }
}

/// Reports more nodes than allowed.
#[derive(Debug)]
pub struct TooMany;

/// How many nodes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TooManyConfig {
    /// How many nodes are reported after the first report of one
    pub count: u32,
}

impl Strategy for TooMany {
    const NAME: &'static str = "too_many";
    type Config = TooManyConfig;

    async fn run(config: TooManyConfig, ctx: Context) -> Result<()> {
        ctx.report(View::complete([Node::try_new("first@127.0.0.1")?]))?;
        let nodes = (0..config.count).map(|number| Node::try_new(&format!("n{number}@127.0.0.1")));
        if let Err(refused) = ctx.report(View::complete(nodes.collect::<Result<Vec<_>, _>>()?)) {
            tracing::warn!(%refused, "report was not taken");
            ctx.degraded(&refused.to_string());
        }
        pending().await
    }
}
