//! The trait of strategies that pull: look-ups that are repeated.

use std::{future::Future, time::Duration};

use anyhow::Result;
use cluster_core::{Backoff, View};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::{config::ConfigError, context::Context, diagnosis::Rung, local::LocalNode};

/// A strategy that looks up who is there. The SDK asks again and again: [`Discover::interval`] apart, give or take a
/// tenth, and with growing waits while it fails. A failure leaves in place what was found before.
///
/// ```
/// use cluster_sdk::{Context, Discover, Node, Result, View, anyhow::Context as _, schemars, serde};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
/// #[schemars(crate = "cluster_sdk::schemars")]
/// struct Config {
///     /// File with the name of one node in each line
///     path: std::path::PathBuf,
/// }
///
/// struct File;
///
/// impl Discover for File {
///     const NAME: &'static str = "file";
///     type Config = Config;
///
///     async fn discover(config: &Config, _ctx: &Context) -> Result<View> {
///         let text = std::fs::read_to_string(&config.path).with_context(|| format!("reading {:?}", config.path))?;
///         Ok(View::complete(text.lines().map(Node::try_new).collect::<Result<Vec<_>, _>>()?))
///     }
/// }
/// cluster_sdk::plugin!(discover: [File]);
/// ```
pub trait Discover: Sized + 'static {
    /// The name that a config selects it by: lower case letters, digits, `-` and `_`.
    const NAME: &'static str;
    /// Its options. The doc comments of the type and its fields are shown to users.
    type Config: DeserializeOwned + JsonSchema;
    /// How far apart look-ups are.
    const INTERVAL: Duration = Duration::from_secs(5);

    /// How far apart look-ups are, where the config says.
    #[must_use]
    fn interval(config: &Self::Config) -> Duration {
        let _: &Self::Config = config;
        Self::INTERVAL
    }

    /// What is wrong with a config beyond its types.
    #[must_use]
    fn validate(config: &Self::Config, local: &LocalNode) -> Vec<ConfigError> {
        let _: (&Self::Config, &LocalNode) = (config, local);
        Vec::new()
    }

    /// Looks up once. What it says of the health by itself ([`Context::degraded`] beside a partial view,
    /// [`Context::healthy_but`], [`Context::denied`] beside an error) stands until the next time; where it says nothing,
    /// a view means healthy and an error degraded.
    ///
    /// # Errors
    /// Whatever kept it from knowing who is there. Never an empty view in its place.
    fn discover(config: &Self::Config, ctx: &Context) -> impl Future<Output = Result<View>>;

    /// As [`Strategy::diagnose`](crate::Strategy::diagnose).
    fn diagnose(config: &Self::Config, local: &LocalNode) -> impl Future<Output = Vec<Rung>> {
        let _: (&Self::Config, &LocalNode) = (config, local);
        std::future::ready(Vec::new())
    }
}

/// Asks for ever.
pub(crate) async fn poll<D: Discover>(config: D::Config, ctx: Context) -> Result<()> {
    let interval = D::interval(&config);
    let default = Backoff::default();
    let backoff = Backoff { first: default.first.min(interval), cap: default.cap.max(interval) };
    let mut failures: u32 = 0;
    loop {
        let said = ctx.said();
        let found = D::discover(&config, &ctx).await;
        let is_silent = ctx.said() == said;
        let wait = match found {
            Ok(view) => {
                failures = 0;
                match ctx.report(view) {
                    Ok(()) if is_silent => ctx.healthy(),
                    Ok(()) => {}
                    Err(refused) => ctx.degraded(&refused.to_string()),
                }
                interval.mul_f64(0.9 + 0.2 * fastrand::f64())
            }
            Err(err) => {
                failures = failures.saturating_add(1);
                if is_silent {
                    ctx.degraded(&format!("{err:#}"));
                }
                backoff.wait(failures, fastrand::f64())
            }
        };
        sleep(wait).await;
    }
}
