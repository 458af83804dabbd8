//! The configuration: one TOML file, all of whose mistakes are told at once, with their lines.
//!
//! ```toml
//! cluster = "shop"                       # carried in heartbeats: another cluster's nodes are ignored
//!
//! [node]                                 # may be left out where no strategy or connector needs it
//! name = "app@${POD_IP:-127.0.0.1}"
//! attributes = { zone = "eu-1", role = "api" }
//!
//! [topologies.office]
//! strategy = "gossip"                    # from whichever plugin offers it
//! config = { secret = { file = "/run/secrets/gossip" } }
//! connect = { tcp = { port = 9000 } }    # default "erlang"; "none" watches without linking
//! opts = { restart = "transient", deadline = "5s" }
//! prune = { after = "30s" }              # or "never"
//!
//! [plugins]                              # which plugin files may be loaded
//! lock = "plugins.lock"
//!
//! [[on_event]]                           # what is done for each event
//! name = "pager"
//! post = "https://pager.example/events"
//! events = ["node_down"]
//! ```
//!
//! `${VAR}` and `${VAR:-default}` in a string stand for a variable of the environment, `$$` for one `$`. The way of a
//! file: text, TOML with lines, expanded values, typed [`Config`]; then [`validate`] asks the plugins, and [`warnings`]
//! tells what is allowed but seldom meant. [`check`] does all of it and tells all mistakes at once.

mod connect;
mod document;
mod expand;
mod file;
mod hooks;
mod inline;
mod isolation;
mod mistakes;
mod node;
mod options;
mod plugins;
mod problem;
mod ready;
mod state;
mod topology;
mod validate;
mod warning;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cluster_core::TopologyName;
use cluster_sdk::{
    LocalNode,
    config::{ConfigError, key_path, nearest},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::document::Document;
pub(crate) use self::inline::inline;
pub use self::{
    connect::{ConnectConfig, ConnectorConfig, PluginConfig},
    file::CONFIG_BYTES_MAX,
    hooks::{EventName, HOOKS_MAX, HookConfig},
    isolation::{IsolationConfig, ProcessConfig, Variables},
    mistakes::Mistakes,
    node::NodeConfig,
    options::{Options, Prune, Restart, Retry},
    plugins::{Hashes, PluginsConfig},
    problem::{Loaded, Problem, Severity},
    ready::ReadyConfig,
    state::StateConfig,
    topology::TopologyConfig,
    validate::validate,
    warning::warnings,
};
use crate::{
    api::{AccessConfig, ListenAddress, TlsConfig},
    plugin::Registry,
};

/// The name of the cluster where the configuration gives none.
pub const CLUSTER_DEFAULT: &str = "default";

/// A configuration without mistakes of its own; whether plugins agree is asked by [`validate`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The name of the cluster. Nodes of other clusters that are heard are ignored and counted.
    #[serde(default = "node::cluster_default", deserialize_with = "node::cluster")]
    #[schemars(with = "String")]
    pub cluster: String,
    /// The node that the host runs beside.
    #[serde(default)]
    pub node: Option<NodeConfig>,
    /// The topologies by name.
    #[serde(default, deserialize_with = "topology::by_name")]
    #[schemars(with = "BTreeMap<String, TopologyConfig>")]
    pub topologies: BTreeMap<TopologyName, TopologyConfig>,
    /// The API.
    #[serde(default)]
    pub api: ApiConfig,
    /// Which contents of plugin files may be loaded.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// When the host counts as ready.
    #[serde(default)]
    pub ready: ReadyConfig,
    /// When the configuration and the plugins are read again.
    #[serde(default)]
    pub reload: ReloadConfig,
    /// What is remembered across restarts.
    #[serde(default)]
    pub state: StateConfig,
    /// What is done for each event.
    #[serde(default)]
    pub on_event: Vec<HookConfig>,
}

/// `[reload]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ReloadConfig {
    /// Whether a change of the file or of a plugin is noticed. Otherwise it counts when it is asked for: `cluster-host
    /// reload`, SIGHUP, `POST /v1/reload`.
    pub watch: bool,
}

/// `[api]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiConfig {
    /// Where it listens: `unix:PATH` or `ADDR:PORT`, beyond loopback only with `tls` and a token or a `client_ca`.
    /// `--listen` overrules it.
    #[serde(default, deserialize_with = "node::listen")]
    #[schemars(with = "Option<String>")]
    pub listen: Option<ListenAddress>,
    /// Where `/healthz`, `/ready` and `/metrics` are answered, and nothing else: `ADDR:PORT`, also one that others can
    /// reach, as `0.0.0.0:4445`, or `unix:PATH`. What is answered names no node and no address. `--probe-listen` overrules it.
    #[serde(default, deserialize_with = "node::listen")]
    #[schemars(with = "Option<String>")]
    pub probe_listen: Option<ListenAddress>,
    /// A file that others cannot read, with a token, or with several, one a line: who asks over a port must send one
    /// of them. It is read again when it changes.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// TLS for a port.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Whether who has a token or a certificate may also change something over a port: `reload` and `forget`.
    #[serde(default)]
    pub allow_writes: bool,
    /// Whether the token may come without TLS where others can reach the port, because something else encrypts.
    #[serde(default)]
    pub allow_plaintext: bool,
}

// === impl ApiConfig ===

impl ApiConfig {
    /// What says who may ask.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::Config;
    ///
    /// let config = Config::from_json(serde_json::json!({ "api": { "token_file": "tokens", "allow_writes": true } }))?;
    /// let access = config.api.access();
    /// assert!(access.is_given() && access.allow_writes);
    /// # Ok::<(), cluster_host::config::Mistakes>(())
    /// ```
    #[must_use]
    pub fn access(&self) -> AccessConfig {
        let Self { token_file, tls, allow_writes, allow_plaintext, .. } = self.clone();
        AccessConfig { token_file, tls, allow_writes, allow_plaintext }
    }

    /// Has relative paths begin where the configuration's file is.
    fn resolve(&mut self, file: &Path) {
        let directory = file.parent().unwrap_or_else(|| Path::new(""));
        let tls = self.tls.as_mut().map(|TlsConfig { certificate, key, client_ca }| {
            [Some(certificate), Some(key), client_ca.as_mut()]
        });
        let paths = tls.into_iter().flatten().flatten();
        for path in self.token_file.iter_mut().chain(paths) {
            *path = directory.join(&path);
        }
    }

    /// What does not go together.
    fn problems(&self) -> Vec<ConfigError> {
        let access = self.access();
        let refusal = self.listen.as_ref().filter(|listen| listen.is_open()).and_then(|listen| {
            let message = format!("cannot listen on {listen}: {}", access.refusal()?);
            Some(ConfigError { path: "api.listen".to_owned(), message })
        });
        let writes = (self.allow_writes && !access.is_given()).then(|| ConfigError {
            path: "api.allow_writes".to_owned(),
            message: "a port lets write only who is somebody: set token_file, or client_ca of [api.tls]"
                .to_owned(),
        });
        [refusal, writes].into_iter().flatten().collect()
    }
}

// === impl ReloadConfig ===

impl Default for ReloadConfig {
    fn default() -> Self {
        Self { watch: true }
    }
}

// === impl Config ===

impl Config {
    /// Reads a file. `env` looks up variables of the environment.
    ///
    /// ```
    /// use cluster_host::{Config, config::Mistakes};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let file = directory.path().join("cluster.toml");
    /// std::fs::write(&file, "[node]\nname = \"app@${POD_IP}\"\n")?;
    /// let environment = |name: &str| (name == "POD_IP").then(|| "10.0.0.7".to_owned());
    /// let loaded = Config::load(&file, &environment).map_err(Mistakes::from)?;
    /// assert_eq!(loaded.config.node.unwrap().name.as_str(), "app@10.0.0.7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of lines.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Vec<Problem>> {
        let (loaded, problems) = read(path, env)?;
        if problems.is_empty() { Ok(loaded) } else { Err(sorted(problems)) }
    }

    /// Takes the text of a file that was read already; `path` is only named.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(
        path: &Path,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, Vec<Problem>> {
        let (loaded, problems) = parse(path, text, env)?;
        if problems.is_empty() { Ok(loaded) } else { Err(sorted(problems)) }
    }

    /// A configuration that a program makes itself, in the shape of the file. `${VAR}` is not replaced in it, and relative
    /// paths are those of the process. What plugins say of their part shows once they run, in the health of the topology.
    ///
    /// ```
    /// use cluster_host::Config;
    /// use serde_json::json;
    ///
    /// let config = Config::from_json(json!({
    ///     "node": { "name": "app@127.0.0.1" },
    ///     "topologies": { "office": { "strategy": "gossip", "connect": "none" } },
    /// }))?;
    /// assert_eq!(config.topologies.len(), 1);
    ///
    /// let mistakes = Config::from_json(json!({ "topologys": {}, "node": { "name": "app" } })).unwrap_err();
    /// assert_eq!(mistakes.lines().len(), 2);
    /// assert!(mistakes.to_string().contains("topologys: unknown key; did you mean `topologies`?"));
    /// # Ok::<(), cluster_host::config::Mistakes>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_json(value: Value) -> Result<Self, Mistakes> {
        Ok(cluster_sdk::config::parse(value)?)
    }

    /// What strategies and connectors are told of the local node.
    #[must_use]
    pub fn local_node(&self, incarnation: u64) -> LocalNode {
        let mut local = LocalNode { cluster: self.cluster.clone(), incarnation, ..LocalNode::default() };
        if let Some(node) = &self.node {
            local.name = Some(node.name.clone());
            local.addresses.clone_from(&node.addresses);
            local.attributes.clone_from(&node.attributes);
        }
        local
    }
}

/// Reads a file, has its `[plugins]` count for the registry, and asks the plugins too, so that all mistakes are told
/// at once. Where it cannot be said which plugins may be loaded, none is asked.
///
/// # Examples
///
/// ```
/// use cluster_host::{Registry, config};
/// let directory = tempfile::tempdir()?;
/// let file = directory.path().join("cluster.toml");
/// std::fs::write(&file, "[ready]\nmin_members = 'two'\n[topologies.office]\nstrategy = 'gosip'\nconnect = 'none'\n")?;
/// // What is wrong with the file itself, and what no plugin offers, are told together.
/// let problems = config::check(&file, &|_| None, &mut Registry::new()).unwrap_err();
/// assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(2), Some(4)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Everything that is wrong, in the order of lines.
pub fn check(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    registry: &mut Registry,
) -> Result<Loaded, Vec<Problem>> {
    let (loaded, mut problems) = read(path, env)?;
    match registry.pin(&loaded.config.plugins) {
        Ok(()) => problems.extend(validate(&loaded, registry)),
        Err(error) => problems.push(loaded.problem("plugins.lock", error.to_string())),
    }
    if problems.is_empty() { Ok(loaded) } else { Err(sorted(problems)) }
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// What there is of a configuration, and what is wrong with the rest; an error where there is nothing at all.
type Partial = Result<(Loaded, Vec<Problem>), Vec<Problem>>;

fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Partial {
    match file::read(path) {
        Ok(text) => parse(path, &text, env),
        Err(message) => Err(vec![Problem::of_file(path, message)]),
    }
}

fn parse(path: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Partial {
    let document = Document::parse(text, env)
        .map_err(|(line, message)| vec![Problem::of_file(path, message).at_line(line)])?;
    let (lines, mut errors) = (document.lines, document.errors);
    let hooks = document.value.get("on_event").cloned();
    errors.extend(hooks::errors(hooks.as_ref()));
    // Told whatever else is wrong.
    let api =
        document.value.get("api").and_then(|api| cluster_sdk::config::parse::<ApiConfig>(api.clone()).ok());
    errors.extend(api.iter().flat_map(ApiConfig::problems));
    let parsed = cluster_sdk::config::parse::<Config>(document.value.clone());
    // What could not be expanded is not what the author meant: nothing else is said about it.
    let is_told = |told: &[ConfigError], path: &str| told.iter().any(|error| error.path == path);
    let more = parsed.as_ref().err().into_iter().flatten();
    let more: Vec<_> = more.filter(|error| !is_told(&errors, &error.path)).cloned().collect();
    errors.extend(more);
    let mut config = match parsed {
        Ok(config) if errors.is_empty() => config,
        Ok(_) | Err(_) => salvage(document.value, &errors),
    };
    config.api.resolve(path);
    if errors.is_empty() {
        errors.extend(config.ready.check(&config.topologies));
    }
    config.plugins.resolve(path);
    config.state.resolve(path);
    let written = hooks.iter().filter_map(Value::as_array).flatten();
    config.on_event.iter_mut().zip(written).for_each(|(hook, written)| hook.set_written(written));
    let problems = errors.into_iter().map(|error| lines.problem(path, &error.path, error.message)).collect();
    Ok((Loaded::new(config, path, lines), problems))
}

/// Whether a key is of `[plugins]`, or was meant to be.
fn is_of_plugins(path: &str) -> bool {
    let key = path.split(['.', '[']).next().unwrap_or_default();
    nearest(key, ["api", "cluster", "node", "plugins", "state", "topologies"]) == Some("plugins")
}

/// The topologies that nothing is wrong with, and all they need to be asked about.
fn salvage(value: Value, errors: &[ConfigError]) -> Config {
    let is_right = |path: &str| !errors.iter().any(|error| problem::is_around(path, &error.path));
    let Value::Object(mut tables) = value else {
        return Config::default();
    };
    // Who would be asked something that was not meant, or may not be asked at all?
    if !is_right("node") || !is_right("cluster") || errors.iter().any(|error| is_of_plugins(&error.path)) {
        return Config::default();
    }
    if let Some(Value::Object(topologies)) = tables.get_mut("topologies") {
        topologies.retain(|name, _| is_right(&key_path("topologies", name)));
    }
    tables.retain(|key, _| key == "topologies" || is_right(key));
    cluster_sdk::config::parse(Value::Object(tables)).unwrap_or_default()
}
