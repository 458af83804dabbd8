//! The trait of strategies that push: watchers, gossip.

use std::future::Future;

use anyhow::Result;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{config::ConfigError, context::Context, diagnosis::Rung, local::LocalNode};

/// A strategy that reports whenever it has something to say: one that watches an API, or hears others.
///
/// For one that asks again and again, [`Discover`](crate::Discover) is less work.
///
/// ```
/// use cluster_sdk::{Context, Node, Result, Strategy, View, schemars, serde};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
/// #[schemars(crate = "cluster_sdk::schemars")]
/// struct Config {
///     /// Names of the nodes, `name@host`
///     hosts: Vec<String>,
/// }
///
/// struct Fixed;
///
/// impl Strategy for Fixed {
///     const NAME: &'static str = "fixed";
///     type Config = Config;
///
///     async fn run(config: Config, ctx: Context) -> Result<()> {
///         let nodes = config.hosts.iter().map(|name| Node::try_new(name)).collect::<Result<Vec<_>, _>>()?;
///         ctx.report(View::complete(nodes))?;
///         std::future::pending().await
///     }
/// }
/// cluster_sdk::plugin!(strategies: [Fixed]);
/// ```
pub trait Strategy: Sized + 'static {
    /// The name that a config selects it by: lower case letters, digits, `-` and `_`.
    const NAME: &'static str;
    /// Its options. The doc comments of the type and its fields are shown to users.
    type Config: DeserializeOwned + JsonSchema;

    /// What is wrong with a config beyond its types.
    #[must_use]
    fn validate(config: &Self::Config, local: &LocalNode) -> Vec<ConfigError> {
        let _: (&Self::Config, &LocalNode) = (config, local);
        Vec::new()
    }

    /// Runs until it fails, has nothing left to do, or is dropped because the topology stops. It has a thread and a
    /// current-thread runtime of its own, so neither it nor what it gives to [`tokio::task::spawn_local`] must be
    /// `Send`; what blocks belongs into [`tokio::task::spawn_blocking`].
    ///
    /// # Errors
    /// An error ends this instance; the host starts another one as its restart policy says. What was reported stands.
    fn run(config: Self::Config, ctx: Context) -> impl Future<Output = Result<()>>;

    /// What can be said of why nobody is found, for `cluster-host doctor`: the rungs from its config to its source,
    /// the first ones first. In place of [`Strategy::run`], so it announces and reports nothing. It is given some
    /// seconds. Where it knows nothing beyond the health that a run tells, there is none.
    fn diagnose(config: &Self::Config, local: &LocalNode) -> impl Future<Output = Vec<Rung>> {
        let _: (&Self::Config, &LocalNode) = (config, local);
        std::future::ready(Vec::new())
    }
}
