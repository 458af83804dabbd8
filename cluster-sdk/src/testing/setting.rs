//! Where a test runs an instance.

use std::{marker::PhantomData, sync::Arc};

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::{TestHost, seen::Seen};
#[cfg(feature = "fake-clock")]
use crate::clock::Hand;
use crate::{
    Connector, Discover, LocalNode, OfferDef, OfferKind, Strategy,
    abi::{
        Plugin, PluginEntry,
        host::{LoadedPlugin, PluginError, Start},
    },
};

/// Where the instance of a [`TestHost`] runs.
///
/// ```
/// use std::time::Duration;
///
/// use cluster_sdk::{Context, Discover, Node, Result, View, testing::Setting};
///
/// # use cluster_sdk::{schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// struct Here;
///
/// impl Discover for Here {
///     const NAME: &'static str = "here";
///     type Config = Config;
///
///     async fn discover(_: &Config, _: &Context) -> Result<View> {
///         Ok(View::complete([Node::try_new("a@h")?]))
///     }
/// }
///
/// // By a clock that the test turns, an hour takes no time.
/// let host = Setting::with_fake_clock().discover::<Here>(serde_json::json!({}))?;
/// assert_eq!(host.next_view()?.names(), ["a@h"]);
/// host.run_for(Duration::from_secs(3600))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Setting {
    /// The name of the topology.
    pub topology: String,
    /// The local node.
    pub local: LocalNode,
    /// What is less important is not forwarded.
    pub log_level: LevelFilter,
    /// Nodes that a report may have at most.
    pub members_max: usize,
    /// Time passes as the test says: see [`Setting::with_fake_clock`].
    #[cfg(feature = "fake-clock")]
    pub fake_clock: bool,
}

impl Default for Setting {
    /// A topology "test" of a node `test@127.0.0.1`; everything is logged.
    fn default() -> Self {
        let local = LocalNode {
            cluster: "test".to_owned(),
            name: "test@127.0.0.1".parse().ok(),
            incarnation: 1,
            ..LocalNode::default()
        };
        Self {
            topology: "test".to_owned(),
            local,
            log_level: LevelFilter::TRACE,
            members_max: usize::MAX,
            #[cfg(feature = "fake-clock")]
            fake_clock: false,
        }
    }
}

// === impl Setting ===

impl Setting {
    /// The default, with a clock that the test turns (feature `fake-clock`): time passes only in the calls of
    /// [`TestHost`] that wait, and then at once, so that hours take no time and their lengths are exact.
    ///
    /// Time does not wait for the network: what talks to a real server in such a test sees its own timeouts pass.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cluster_sdk::{Context, Discover, Result, View, anyhow::bail, schemars, serde, testing::Setting};
    /// # #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// # #[serde(crate = "cluster_sdk::serde")]
    /// # #[schemars(crate = "cluster_sdk::schemars")]
    /// # struct Config {}
    /// struct Down;
    /// impl Discover for Down {
    ///     const NAME: &'static str = "down";
    ///     type Config = Config;
    ///     const INTERVAL: Duration = Duration::from_secs(60);
    ///     async fn discover(_: &Config, ctx: &Context) -> Result<View> {
    ///         ctx.count("tries", 1);
    ///         bail!("the service is down")
    ///     }
    /// }
    ///
    /// let host = Setting::with_fake_clock().discover::<Down>(serde_json::json!({}))?;
    /// host.run_for(Duration::from_secs(3600))?;
    /// let status = host.status().unwrap();
    /// assert_eq!(status.reason.as_deref(), Some("the service is down"));
    /// // It backs off: from a second to the interval.
    /// assert!((60..100).contains(&status.counters["tries"]));
    /// assert_eq!(host.elapsed(), Duration::from_secs(3600));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "fake-clock")]
    #[must_use]
    pub fn with_fake_clock() -> Self {
        Self { fake_clock: true, ..Self::default() }
    }

    /// Starts a [`Strategy`] here.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn strategy<S: Strategy>(&self, config: Value) -> Result<TestHost, PluginError> {
        self.start(LoadedPlugin::of_this_build::<OfStrategy<S>>(), OfferKind::Strategy, S::NAME, config)
    }

    /// Starts a [`Discover`] here.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn discover<D: Discover>(&self, config: Value) -> Result<TestHost, PluginError> {
        self.start(LoadedPlugin::of_this_build::<OfDiscover<D>>(), OfferKind::Strategy, D::NAME, config)
    }

    /// Starts a [`Connector`] here.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn connector<C: Connector>(&self, config: Value) -> Result<TestHost, PluginError> {
        self.start(LoadedPlugin::of_this_build::<OfConnector<C>>(), OfferKind::Connector, C::NAME, config)
    }

    /// Starts an offer of a plugin here: what its `plugin()` gave, or what was loaded.
    ///
    /// # Errors
    /// [`PluginError`], above all about the config.
    pub fn offer(
        &self,
        entry: &'static PluginEntry,
        kind: OfferKind,
        name: &str,
        config: Value,
    ) -> Result<TestHost, PluginError> {
        let plugin = LoadedPlugin::from_entry(entry).map_err(|err| PluginError::Unknown(err.to_string()))?;
        self.start(plugin, kind, name, config)
    }

    fn start(
        &self,
        plugin: LoadedPlugin,
        kind: OfferKind,
        name: &str,
        config: Value,
    ) -> Result<TestHost, PluginError> {
        let start = Start {
            kind,
            name: name.to_owned(),
            config,
            topology: self.topology.clone(),
            local: self.local.clone(),
            log_level: self.log_level,
            diagnose: None,
        };
        #[cfg(feature = "fake-clock")]
        if self.fake_clock {
            return self.start_by_hand(plugin, &start);
        }
        let seen = Arc::new(Seen::new(self.members_max));
        let running = plugin.start(&start, Arc::<Seen>::clone(&seen))?;
        Ok(TestHost::new(running, seen))
    }

    #[cfg(feature = "fake-clock")]
    fn start_by_hand(&self, plugin: LoadedPlugin, start: &Start) -> Result<TestHost, PluginError> {
        let hand = Hand::new();
        let seen = Arc::new(Seen::new(self.members_max).with_clock(hand.clock()));
        let (running, goes_by_it) = hand.given(|| plugin.start(start, Arc::<Seen>::clone(&seen)));
        let mut host = TestHost::new(running?, seen);
        if !goes_by_it {
            let reason = "what was loaded from a file has a clock of its own: it cannot be given another";
            return Err(PluginError::Unknown(reason.to_owned()));
        }
        host.hand = Some(hand);
        Ok(host)
    }
}

struct OfStrategy<S>(PhantomData<S>);
struct OfDiscover<D>(PhantomData<D>);
struct OfConnector<C>(PhantomData<C>);

impl<S: Strategy> Plugin for OfStrategy<S> {
    const OFFERS: &'static [OfferDef] = &[OfferDef::strategy::<S>()];
}

impl<D: Discover> Plugin for OfDiscover<D> {
    const OFFERS: &'static [OfferDef] = &[OfferDef::discover::<D>()];
}

impl<C: Connector> Plugin for OfConnector<C> {
    const OFFERS: &'static [OfferDef] = &[OfferDef::connector::<C>()];
}
