//! The shapes of plugin files, and of what is linked in: what `/v1/plugins` answers and `cluster-host plugins --json`
//! prints.

use std::borrow::Cow;

use cluster_sdk::OfferKind;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::source::PluginUse,
    plugin::{Builtin, Identity, Inspected, PluginFile, Refusal as CoreRefusal, Registry, Source, Standing},
};

/// The answer of `/v1/plugins`: the plugins as they were when the host last read its configuration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Plugins<'a> {
    /// The directory that was looked at; absent in a host that has none.
    pub directory: Option<String>,
    /// What is wrong with the directory as a whole.
    pub problem: Option<String>,
    /// What is linked in, then the files by their names.
    pub plugins: Vec<Plugin<'a>>,
}

/// A plugin file, or a plugin that is linked into the host.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Plugin<'a> {
    /// Absent for what is linked in.
    pub file: Option<String>,
    /// Who it is; absent where the file is refused.
    #[serde(flatten)]
    pub identity: Option<PluginIdentity<'a>>,
    /// Why the file is not loaded, nor anything in its place.
    pub refused: Option<Refusal>,
    /// By what it may be loaded; absent for what is linked in or refused.
    #[serde(flatten)]
    pub trust: Option<Trust<'a>>,
    /// The topologies whose strategy or connector is from it; absent where no host was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Vec<Cow<'a, str>>>,
}

/// Who a plugin is, and what it offers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PluginIdentity<'a> {
    /// Its name.
    pub plugin: Cow<'a, str>,
    /// Its version.
    pub version: Cow<'a, str>,
    /// The version of the SDK in it.
    pub sdk: Cow<'a, str>,
    /// The compiler that built it.
    pub rustc: Cow<'a, str>,
    /// The target triple that it was built for.
    pub target: Cow<'a, str>,
    /// The version of the ABI: `MAJOR.MINOR`.
    pub abi: String,
    /// The strategies that it offers.
    pub strategies: Vec<Cow<'a, str>>,
    /// The connectors that it offers.
    pub connectors: Vec<Cow<'a, str>>,
}

/// By what a file may be loaded.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trust<'a> {
    /// `unpinned`, `pinned`, `locked` or `signed`.
    pub standing: Cow<'a, str>,
    /// The trusted key, where one has signed the file or the lock file.
    pub signed_by: Option<Cow<'a, str>>,
    /// Absent where nothing asked for it.
    pub sha256: Option<String>,
    /// Why not the file is loaded, but what was kept of it.
    pub pending: Option<Refusal>,
    /// What that is.
    pub kept: Option<String>,
}

/// Why a file is not loaded.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Refusal {
    /// What is wrong with it.
    pub reason: String,
    /// What helps.
    pub remedy: Option<String>,
}

// === impl Plugins ===

impl<'a> Plugins<'a> {
    /// The shape of what there is, and of who uses it where a host was asked.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::{Registry, api::json::Plugins, connectors};
    ///
    /// let registry = Registry::new().with_builtin(connectors::plugin())?;
    /// let shape = Plugins::new(&registry, None);
    /// let identity = shape.plugins.iter().find_map(|plugin| plugin.identity.as_ref());
    /// assert_eq!(identity.map(|own| own.connectors.as_slice()), Some(["tcp".into(), "exec".into()].as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(registry: &'a Registry, uses: Option<&'a [PluginUse]>) -> Self {
        let used_by = |source: Option<Source<'_>>| {
            let uses = uses?.iter().filter(|by| source.is_some_and(|source| by.is_of(source)));
            let mut topologies: Vec<_> = uses.map(|by| by.topology.as_str().into()).collect();
            topologies.dedup();
            Some(topologies)
        };
        let builtins = registry.builtins().iter().map(|builtin: &Builtin| Plugin {
            file: None,
            identity: Some((&builtin.identity).into()),
            refused: None,
            trust: None,
            used_by: used_by(Some(Source::Builtin(builtin))),
        });
        let files = registry.files().iter().map(|PluginFile { path, result, pending }| Plugin {
            file: Some(path.display().to_string()),
            identity: result.as_ref().ok().map(|inspected| (&inspected.identity).into()),
            refused: result.as_ref().err().map(Refusal::from),
            trust: result.as_ref().ok().map(|inspected| Trust::new(inspected, pending.as_ref())),
            used_by: used_by(result.as_ref().ok().map(Source::File)),
        });
        Self {
            directory: registry.directory().map(|directory| directory.display().to_string()),
            problem: registry.problem().map(ToString::to_string),
            plugins: builtins.chain(files).collect(),
        }
    }
}

// === impl PluginIdentity ===

impl<'a> From<&'a Identity> for PluginIdentity<'a> {
    fn from(identity: &'a Identity) -> Self {
        let names = |kind| identity.names(kind).into_iter().map(Cow::Borrowed).collect();
        Self {
            plugin: identity.plugin.as_str().into(),
            version: identity.version.as_str().into(),
            sdk: identity.sdk.as_str().into(),
            rustc: identity.rustc.as_str().into(),
            target: identity.target.as_str().into(),
            abi: identity.abi(),
            strategies: names(OfferKind::Strategy),
            connectors: names(OfferKind::Connector),
        }
    }
}

// === impl Trust ===

impl<'a> Trust<'a> {
    fn new(inspected: &'a Inspected, pending: Option<&CoreRefusal>) -> Self {
        let (standing, signed_by) = match &inspected.standing {
            Standing::Unpinned => ("unpinned", None),
            Standing::Pinned => ("pinned", None),
            Standing::Locked { signed_by } => ("locked", signed_by.as_deref()),
            Standing::Signed { by } => ("signed", Some(by.as_str())),
        };
        Self {
            standing: standing.into(),
            signed_by: signed_by.map(Cow::Borrowed),
            sha256: inspected.content.map(|content| content.to_string()),
            pending: pending.map(Refusal::from),
            kept: pending.map(|_| inspected.path.display().to_string()),
        }
    }
}

// === impl Refusal ===

impl From<&CoreRefusal> for Refusal {
    fn from(refusal: &CoreRefusal) -> Self {
        Self { reason: refusal.reason.to_string(), remedy: refusal.remedy() }
    }
}
