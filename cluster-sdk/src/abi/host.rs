//! The host's end: a plugin's table as a safe value, and the trait through which its instances speak.

#![allow(unsafe_code, reason = "the host's side of the boundary")]

mod call;
mod interface;
mod logging;
mod receive;
mod receiver;
mod running;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use cluster_core::{Health, NodeName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    call::{Call, HostCalls},
    interface::HostInterface,
    logging::LogRecord,
    receiver::Receiver,
    running::{NotRunning, Running},
};
use super::{
    c,
    entry::PluginEntry,
    handshake::{INTERFACE_ABI_STABLE, INTERFACE_C},
    layout,
    table::{Bytes, Code, HostTable_Ref, Instance, PluginTable_Ref, Sink, StartArgs},
};
use crate::{config::ConfigError, diagnosis::Inquiry, instance::Launch, local::LocalNode};
pub use crate::{
    connector::{Links, Operation},
    context::{Refused, StopReason},
    local::{LocalIdentity, LocalReport},
    offer::OfferKind,
};

/// A plugin whose tables were checked: nothing of its author has run yet.
///
/// # Examples
///
/// ```
/// # use cluster_sdk::{Context, Discover, Node, Result, View, schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// # struct Here;
/// # impl Discover for Here {
/// #     const NAME: &'static str = "here";
/// #     type Config = Config;
/// #     async fn discover(_: &Config, _: &Context) -> Result<View> { Ok(View::complete([Node::try_new("a@h")?])) }
/// # }
/// # cluster_sdk::plugin!(discover: [Here]);
/// use cluster_sdk::{LocalNode, OfferKind, abi::host::{LoadedPlugin, PluginError}};
///
/// let plugin = LoadedPlugin::from_entry(plugin())?;
/// assert_eq!(plugin.describe()?[0].name, "here");
/// // What is wrong with a config is told without starting anything.
/// let validate = |name, config| plugin.validate(OfferKind::Strategy, name, &config, &LocalNode::default());
/// let errors = validate("here", serde_json::json!({ "port": 1 }))?;
/// assert_eq!(errors[0].path, "port");
/// assert!(matches!(validate("there", serde_json::json!({})), Err(PluginError::Unknown(_))));
/// assert_eq!(plugin.ping(7), 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct LoadedPlugin {
    table: PluginTable_Ref,
}

/// Why an entry is not taken. Nothing of the author has run. Whoever put the plugin there can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The tables are written down in a way that this host does not know.
    #[error(
        "interface {0} is not known to this host: it loads {INTERFACE_ABI_STABLE} (Rust) and {INTERFACE_C} (C)"
    )]
    Interface(u32),
    /// The library that describes the tables is another.
    #[error("plugin was built with an abi_stable that this host cannot read: {0}")]
    AbiStable(String),
    /// There is no description to check.
    #[error("plugin does not describe its tables")]
    NoLayout,
    /// The tables differ.
    #[error("{0}")]
    Layout(String),
    /// The tables could not be had.
    #[error("plugin does not give its tables: {0}")]
    NoTable(String),
}

/// Why a call to a plugin failed. Nothing changed.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{ConfigError, abi::host::PluginError};
///
/// let error = PluginError::Config(vec![ConfigError::new("port", "is taken")]);
/// assert_eq!(error.to_string(), "config is not valid: port: is taken");
/// let (code, text) = error.encode();
/// assert_eq!(PluginError::decode(code, &text), error);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The config is not valid: whoever wrote it can mend it.
    #[error("config is not valid: {}", list(.0))]
    Config(Vec<ConfigError>),
    /// The plugin has nothing of that name.
    #[error("{0}")]
    Unknown(String),
    /// The code of the plugin's author panicked: its author can mend it.
    #[error("{0}")]
    Panicked(String),
    /// The system did not give what is needed; it may do so later.
    #[error("{0}")]
    Exhausted(String),
    /// The plugin runs in a process of its own, which ended or did not answer: its author can mend it.
    #[error("{0}")]
    Died(String),
    /// The two sides do not understand each other.
    #[error("bug: plugin answered {code}: {text}")]
    Protocol {
        /// The code.
        code: u32,
        /// What it said.
        text: String,
    },
}

/// A strategy or connector, as its plugin describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// What it is.
    pub kind: OfferKind,
    /// The name that a config selects it by.
    pub name: String,
    /// What it is for, where its author says.
    #[serde(default)]
    pub description: String,
    /// The JSON schema of its config.
    #[serde(default)]
    pub schema: Value,
    /// Of a connector: what becomes of its links when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// Of a connector: whether a change of a node's addresses dials anew.
    #[serde(default)]
    pub by_address: bool,
    /// Of a connector: whether it says if the local node takes part.
    #[serde(default)]
    pub local_node: bool,
    /// Whether it can be started for a diagnosis: see [`Start::diagnose`].
    #[serde(default)]
    pub diagnoses: bool,
}

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct Start {
    /// Strategy or connector.
    pub kind: OfferKind,
    /// Its name.
    pub name: String,
    /// Its config.
    pub config: Value,
    /// The topology, after which its thread is named.
    pub topology: String,
    /// The local node.
    pub local: LocalNode,
    /// What is less important than this is not forwarded.
    pub log_level: tracing::level_filters::LevelFilter,
    /// For a diagnosis alone, of what [`Offer::diagnoses`]: it links and reports nothing, and ends
    /// [`ExitKind::Finished`] with a JSON list of [`Rung`](crate::Rung)s as its reason.
    pub diagnose: Option<Inquiry>,
}

/// How a topology does, as its strategy or connector sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceStatus {
    /// Its health.
    pub health: Health,
    /// Why, where it is not well.
    pub reason: Option<String>,
    /// Its counters.
    pub counters: BTreeMap<String, u64>,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationOutcome {
    /// It is as was wanted.
    Done,
    /// Tried in vain.
    Unreachable(String),
    /// The local node takes part in no network.
    NotPartOfNetwork(String),
    /// The connector does not do this.
    Unsupported,
    /// Of a disconnect: the connector leaves the link as it is, for this reason.
    Kept(String),
}

/// A link that came up or went down by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkChange {
    /// Grows when all that was said of links before is void.
    pub generation: u64,
    /// Whose link.
    pub node: NodeName,
    /// Whether it is there now.
    pub up: bool,
    /// Why it went, where that is known.
    pub reason: Option<String>,
}

/// How an instance ended.
///
/// # Examples
///
/// ```
/// use cluster_sdk::abi::host::{Exit, ExitKind};
///
/// let exit = Exit { kind: ExitKind::Failed, reason: Some("the token has expired".to_owned()) };
/// assert_eq!(exit.to_string(), "failed: the token has expired");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// How.
    pub kind: ExitKind,
    /// The error, the panic with its place, or what kept a stop from being clean.
    pub reason: Option<String>,
}

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// Its work is done.
    Finished,
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
    /// It was asked to.
    Stopped,
}

// === impl LoadedPlugin ===

impl LoadedPlugin {
    /// Checks the tables of a plugin: of one that was loaded
    /// ([`entry_from_symbol`](super::entry_from_symbol)) or is linked (its `plugin()`).
    ///
    /// # Errors
    /// [`LoadError`] when the two sides do not fit.
    pub fn from_entry(entry: &'static PluginEntry) -> Result<Self, LoadError> {
        let handshake = entry.handshake();
        match handshake.interface {
            INTERFACE_ABI_STABLE => {}
            // SAFETY: the handshake says that the entry is one by the C header, of this major version.
            INTERFACE_C => return Ok(Self { table: unsafe { c::table(entry.c_table()) }? }),
            other => return Err(LoadError::Interface(other)),
        }
        let library = entry.library().map_err(LoadError::AbiStable)?;
        let theirs = library.layout().ok_or(LoadError::NoLayout)?;
        layout::check(theirs, handshake.abi_minor).map_err(LoadError::Layout)?;
        // SAFETY: the layout was checked just now, in the direction of the versions.
        let table = unsafe { library.unchecked_layout::<PluginTable_Ref>() };
        Ok(Self { table: table.map_err(|err| LoadError::NoTable(err.to_string()))? })
    }

    /// A table of this very build, which needs no check.
    pub(crate) fn of_this_build<P: super::entry::Plugin>() -> Self {
        Self { table: super::entry::Table::<P>::REF }
    }

    /// Gives the number back.
    #[must_use]
    pub fn ping(&self, value: u64) -> u64 {
        // SAFETY: the table was checked.
        unsafe { self.table.ping()(value) }
    }

    /// What the plugin offers.
    ///
    /// # Errors
    /// [`PluginError`] when its author's code panics.
    pub fn describe(&self) -> Result<Vec<Offer>, PluginError> {
        let mut answer = Vec::new();
        // SAFETY: the table was checked; the sink's buffer outlives the call.
        let code = unsafe { self.table.describe()(Sink::new(&mut answer)) };
        parse_answer(code, &answer)
    }

    /// What is wrong with a config, all at once; nothing, if the list is empty.
    ///
    /// # Errors
    /// [`PluginError`] when the plugin has no such offer, or panics.
    pub fn validate(
        &self,
        kind: OfferKind,
        name: &str,
        config: &Value,
        local: &LocalNode,
    ) -> Result<Vec<ConfigError>, PluginError> {
        let (config, local) = (to_json(config), to_json(local));
        let (name, config, local) = (Bytes::new(name.as_bytes()), Bytes::new(&config), Bytes::new(&local));
        let mut answer = Vec::new();
        // SAFETY: the table was checked; the bytes and the sink's buffer outlive the call.
        let code = unsafe { self.table.validate()(kind.code(), name, config, local, Sink::new(&mut answer)) };
        parse_answer(code, &answer)
    }

    /// Starts an instance; what it says goes to `interface`.
    ///
    /// # Errors
    /// [`PluginError`] when the config is wrong, or the plugin has no such offer.
    pub fn start(&self, start: &Start, interface: Arc<dyn HostInterface>) -> Result<Running, PluginError> {
        self.start_with(start, None, Arc::new(Receiver::new(interface)))
    }

    /// Starts an instance whose calls somebody else takes: for a process that carries them to the host. With a
    /// heartbeat the instance calls `ping` that often, as long as it lets its runtime work.
    ///
    /// # Errors
    /// As [`LoadedPlugin::start`].
    pub fn start_with(
        &self,
        start: &Start,
        heartbeat: Option<Duration>,
        calls: Arc<impl HostCalls + 'static>,
    ) -> Result<Running, PluginError> {
        let context = Launch {
            topology: start.topology.clone(),
            local: start.local.clone(),
            log_level: start.log_level.to_string(),
            heartbeat_ms: heartbeat.map(running::millis),
            diagnose: start.diagnose.clone(),
        };
        let (config, context) = (to_json(&start.config), to_json(&context));
        let args = StartArgs {
            kind: start.kind.code(),
            name: Bytes::new(start.name.as_bytes()),
            config: Bytes::new(&config),
            context: Bytes::new(&context),
            host: table_of(&calls),
            host_ctx: receive::lend(&calls),
        };
        let mut instance = Instance(std::ptr::null());
        let mut answer = Vec::new();
        // SAFETY: the table was checked; all that is lent outlives the call, and the calls are kept by `Running` until
        // `destroy` has said OK.
        let code = unsafe { self.table.start()(&raw const args, &raw mut instance, Sink::new(&mut answer)) };
        if code == Code::OK && !instance.0.is_null() {
            return Ok(Running::new(self.table, instance, calls));
        }
        Err(PluginError::decode(code, &answer))
    }
}

// === impl PluginError ===

impl PluginError {
    /// What a code and the text beside it mean, as they cross.
    #[must_use]
    pub fn decode(code: Code, answer: &[u8]) -> Self {
        let text = || String::from_utf8_lossy(answer).into_owned();
        match code {
            Code::INVALID => parse_answer(Code::OK, answer).map_or_else(|error| error, Self::Config),
            Code::UNKNOWN => Self::Unknown(text()),
            Code::PANICKED => Self::Panicked(text()),
            Code::EXHAUSTED => Self::Exhausted(text()),
            _ => Self::Protocol { code: code.0, text: text() },
        }
    }

    /// The code and the text that [`PluginError::decode`] makes this of.
    #[must_use]
    pub fn encode(&self) -> (Code, Vec<u8>) {
        match self {
            Self::Config(errors) => (Code::INVALID, to_json(errors)),
            Self::Unknown(text) => (Code::UNKNOWN, text.clone().into_bytes()),
            Self::Panicked(text) | Self::Died(text) => (Code::PANICKED, text.clone().into_bytes()),
            Self::Exhausted(text) => (Code::EXHAUSTED, text.clone().into_bytes()),
            Self::Protocol { code, text } => (Code(*code), text.clone().into_bytes()),
        }
    }
}

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoadedPlugin")
    }
}

fn parse_answer<T: serde::de::DeserializeOwned>(code: Code, answer: &[u8]) -> Result<T, PluginError> {
    if code != Code::OK {
        return Err(PluginError::decode(code, answer));
    }
    serde_json::from_slice(answer).map_err(|err| PluginError::Protocol {
        code: code.0,
        text: format!("not the JSON that was expected: {err}"),
    })
}

/// The functions that lead to these calls.
fn table_of<C: HostCalls>(_: &Arc<C>) -> HostTable_Ref {
    receive::Table::<C>::REF
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn list(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

// === impl Exit ===

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.kind {
            ExitKind::Finished => "finished",
            ExitKind::Failed => "failed",
            ExitKind::Panicked => "panicked",
            ExitKind::Stopped => "stopped",
        };
        match &self.reason {
            Some(reason) => write!(f, "{word}: {reason}"),
            None => f.write_str(word),
        }
    }
}
