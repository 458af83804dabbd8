//! `[[on_event]]`: commands that are run, and addresses that are posted to, for each event.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    time::Duration,
};

use cluster_core::{EventKind, TopologyName};
use cluster_sdk::{
    ConfigDuration, ConfigError, Environment, Secret,
    config::key_path,
    http::{HttpOptions, Url},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use super::{connect::PluginConfig, isolation::Variables, options::Retry};

/// Hooks of one host at most.
pub const HOOKS_MAX: usize = 64;
/// Bytes of a hook's name at most: it is part of a file's.
const NAME_BYTES_MAX: usize = 64;
/// Topologies and patterns of names that a hook may list at most, each.
const FILTERS_MAX: usize = 256;
/// How long one try may take.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Bytes of an answer to a POST that are read at most; nothing in it is needed.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How the variables begin that tell a command of its event.
const VARIABLES: &str = "CLUSTER_";

/// `[[on_event]]`: what is done for each event, one after the other, and again until it is done.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HookConfig {
    /// Its name, of which there is one: how far it is is kept under it.
    #[serde(deserialize_with = "name")]
    #[schemars(with = "String", description = "how it is called; how far it is is kept under this name")]
    pub name: String,
    /// Program and arguments that are run for each event, which is told on standard input. Exit code 0 is success.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// The address to which each event is posted. An answer of 200 to 299 is success.
    #[serde(default)]
    pub post: Option<Url>,
    /// The kinds of events; all where nothing is written.
    #[serde(default)]
    pub events: Option<Vec<EventName>>,
    /// Only what happens in one of these topologies, or to a member of one.
    #[serde(default)]
    pub topologies: Option<Vec<String>>,
    /// Only what happens to nodes whose name is like one of these; `*` stands for any characters, `?` for one.
    #[serde(default)]
    pub nodes: Option<Vec<String>>,
    /// How long one try may take; then a command is killed, with all that it has started.
    #[serde(default = "timeout_default")]
    pub timeout: ConfigDuration,
    /// How long to wait between tries.
    #[serde(default)]
    pub retry: Retry,
    /// An event that has failed for so long is given up, counted and logged. Without it it is tried for ever, and those
    /// after it wait.
    #[serde(default)]
    pub give_up_after: Option<ConfigDuration>,
    /// Of a command: variables of its environment, beside `PATH`, `HOME`, `LANG`, `LC_*`, `TZ`, `TMPDIR` and
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` of the host's.
    #[serde(default)]
    pub env: Variables,
    /// Of a command: variables that are passed on from the host's environment: names, or beginnings such as `AWS_*`.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Of a POST: headers, each a text, `{ file = PATH }` or `{ env = NAME }`. Files are read anew each time.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Of a POST: a token that is sent as the header `authorization: Bearer TOKEN`.
    #[serde(default)]
    pub bearer: Option<Secret>,
    /// Of a POST: PEM file with the authorities that may vouch for the server, in place of those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Of a POST: PEM file with the certificate that is shown to a server that asks for one.
    #[serde(default)]
    pub client_cert: Option<PathBuf>,
    /// Of a POST: PEM file with the key of `client_cert`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// As it was written: what is equal in this is the same hook.
    #[serde(skip)]
    written: PluginConfig,
}

/// A kind of events, by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they are those of EventKind")]
pub enum EventName {
    NodeDiscovered,
    NodeUp,
    NodeDown,
    NodeLeft,
    NodeUpdated,
    ConnectFailed,
    TopologyChanged,
}

fn timeout_default() -> ConfigDuration {
    ConfigDuration::from_secs(10)
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_fit) {
        let reason = format_args!("{name:?} is not of 1 to {NAME_BYTES_MAX} letters, digits, '-' or '_'");
        return Err(D::Error::custom(reason));
    }
    Ok(name)
}

/// Everything that is wrong with hooks beyond types. Each is looked at alone, so that a wrong one hides nothing of the
/// others.
pub(super) fn errors(written: Option<&Value>) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    if written.is_some_and(Value::is_object) {
        errors
            .push(ConfigError::new("on_event", "is one table, and there may be several: write [[on_event]]"));
    }
    let hooks = written.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if hooks.len() > HOOKS_MAX {
        errors.push(ConfigError::new(
            "on_event",
            format!("{} hooks: at most {HOOKS_MAX} are possible", hooks.len()),
        ));
    }
    let mut names = BTreeSet::new();
    for (index, hook) in hooks.iter().enumerate() {
        let path = format!("on_event[{index}]");
        if let Some(name) = hook.get("name").and_then(Value::as_str)
            && !names.insert(name)
        {
            errors.push(ConfigError::new(key_path(&path, "name"), format!("there is another hook {name:?}")));
        }
        // What is wrong with its types is told already.
        let hook = HookConfig::deserialize(hook).ok();
        errors.extend(hook.iter().flat_map(HookConfig::errors).map(|error| error.within(&path)));
    }
    errors
}

// === impl HookConfig ===

impl HookConfig {
    /// Remembers how it was written.
    pub(super) fn set_written(&mut self, written: &Value) {
        self.written = written.as_object().cloned().unwrap_or_default().into();
    }

    /// The environment of its command.
    pub(crate) fn environment(&self) -> Environment<'_> {
        Environment { env: &self.env.0, pass_env: &self.pass_env }
    }

    /// How it posts. That nobody is asked again at once is because hooks wait between tries themselves.
    pub(crate) fn http_options(&self) -> HttpOptions {
        let mut options = HttpOptions::default();
        options.timeout = self.timeout;
        options.retries = 0;
        options.body_bytes_max = ANSWER_BYTES_MAX;
        options.headers = self.headers.clone();
        options.bearer = self.bearer.clone();
        options.ca_file = self.ca_file.clone();
        options.client_cert = self.client_cert.clone();
        options.client_key = self.client_key.clone();
        options
    }

    fn errors(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        match (&self.command, &self.post) {
            (None, None) => {
                errors.push(ConfigError::new(
                    "",
                    "does nothing: give it a `command` or an address to `post` to",
                ));
            }
            (Some(_), Some(_)) => {
                errors.push(ConfigError::new("post", "is beside `command`: make two hooks of them"));
            }
            (Some(command), None) => self.check_command(command, &mut errors),
            (None, Some(_)) => self.check_post(&mut errors),
        }
        let mut error = |path: &str, message: String| errors.push(ConfigError::new(path, message));
        let timeout = self.timeout;
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout.get()) {
            error("timeout", format!("{timeout} is not between {TIMEOUT_MIN:?} and {TIMEOUT_MAX:?}"));
        }
        if self.give_up_after.is_some_and(|after| after.get().is_zero()) {
            error("give_up_after", "must be longer than nothing; without it nothing is given up".to_owned());
        }
        let empty = "is empty, and would let nothing through: leave it out for all";
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            error("events", empty.to_owned());
        }
        for (key, list) in [("topologies", &self.topologies), ("nodes", &self.nodes)] {
            match list.as_ref().map(Vec::len) {
                Some(0) => error(key, empty.to_owned()),
                Some(count) if count > FILTERS_MAX => {
                    error(key, format!("{count} are too many: at most {FILTERS_MAX}"));
                }
                _ => {}
            }
        }
        for (index, name) in self.topologies.iter().flatten().enumerate() {
            if let Err(reason) = TopologyName::try_new(name) {
                error(&format!("topologies[{index}]"), reason.to_string());
            }
        }
        for (index, _) in self.nodes.iter().flatten().enumerate().filter(|(_, like)| like.is_empty()) {
            error(&format!("nodes[{index}]"), "is empty, and no name is like that".to_owned());
        }
        errors
    }

    fn check_command(&self, command: &[String], errors: &mut Vec<ConfigError>) {
        errors.extend(self.environment().validate());
        let mut error = |path: &str, message: &str| errors.push(ConfigError::new(path, message));
        if command.first().is_none_or(String::is_empty) {
            error("command", "names no program: write [\"PROGRAM\", \"ARGUMENT\"]");
        }
        for (index, _) in command.iter().enumerate().filter(|(_, word)| word.contains('\0')) {
            error(&format!("command[{index}]"), "has a NUL byte");
        }
        for name in self.env.0.keys().filter(|name| name.starts_with(VARIABLES)) {
            error(&key_path("env", name), "CLUSTER_* tell of the event, and cannot be set");
        }
        let of_post = [
            ("headers", !self.headers.is_empty()),
            ("bearer", self.bearer.is_some()),
            ("ca_file", self.ca_file.is_some()),
            ("client_cert", self.client_cert.is_some()),
            ("client_key", self.client_key.is_some()),
        ];
        for (key, _) in of_post.into_iter().filter(|(_, is_set)| *is_set) {
            error(key, "is for `post`, and this hook runs a command");
        }
    }

    fn check_post(&self, errors: &mut Vec<ConfigError>) {
        // The timeout is everybody's.
        errors.extend(self.http_options().errors().into_iter().filter(|error| error.path != "timeout"));
        for (key, is_set) in [("env", !self.env.0.is_empty()), ("pass_env", !self.pass_env.is_empty())] {
            if is_set {
                errors.push(ConfigError::new(key, "is for `command`, and this hook posts"));
            }
        }
    }
}

impl fmt::Debug for HookConfig {
    /// With its keys alone: arguments, too, may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, written, .. } = self;
        f.debug_struct("HookConfig").field("name", name).field("written", written).finish_non_exhaustive()
    }
}

impl PartialEq for HookConfig {
    /// By what was written: secrets are not compared, and those in files are read anew anyway.
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

// === impl EventName ===

/// # Examples
///
/// ```
/// use cluster_core::EventKind;
/// use cluster_host::config::EventName;
///
/// let name: EventName = serde_json::from_value("node_down".into())?;
/// assert_eq!(EventKind::from(name), EventKind::NodeDown);
/// # Ok::<(), serde_json::Error>(())
/// ```
impl From<EventName> for EventKind {
    fn from(name: EventName) -> Self {
        match name {
            EventName::NodeDiscovered => Self::NodeDiscovered,
            EventName::NodeUp => Self::NodeUp,
            EventName::NodeDown => Self::NodeDown,
            EventName::NodeLeft => Self::NodeLeft,
            EventName::NodeUpdated => Self::NodeUpdated,
            EventName::ConnectFailed => Self::ConnectFailed,
            EventName::TopologyChanged => Self::TopologyChanged,
        }
    }
}
