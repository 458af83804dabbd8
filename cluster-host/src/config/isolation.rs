//! `isolation`: in which process the code of a plugin runs, and what it may there.

use std::{borrow::Cow, collections::BTreeMap, fmt, num::NonZeroU32, path::PathBuf, time::Duration};

use cluster_sdk::{ConfigDuration, Environment};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Error},
};

/// Where the code of a strategy or connector runs: nothing, `"in-process"`, `"process"`, or a table such as
/// `{ process = { pass_env = ["AWS_*"] } }`.
///
/// # Examples
///
/// ```
/// use cluster_host::config::IsolationConfig;
/// use serde_json::json;
///
/// let isolation: IsolationConfig = serde_json::from_value(json!({ "process": { "pass_env": ["AWS_*"] } }))?;
/// assert_eq!(isolation.process().pass_env, ["AWS_*"]);
/// let isolation: IsolationConfig = serde_json::from_value(json!("in-process"))?;
/// assert_eq!(isolation, IsolationConfig::InProcess);
/// assert_eq!(IsolationConfig::default(), IsolationConfig::ByPlugin);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IsolationConfig {
    /// On threads of the host where this project ships the plugin, in a process of its own where it does not.
    #[default]
    ByPlugin,
    /// On threads of the host.
    InProcess,
    /// In a process of its own.
    Process(ProcessConfig),
}

/// How a process of a plugin is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProcessConfig {
    /// Variables of its environment, beside the few that every process gets.
    pub env: Variables,
    /// Variables that are passed on from the host's environment: names, or beginnings such as `AWS_*`.
    pub pass_env: Vec<String>,
    /// Files and directories that it may read, beside the system's and the files that its config names.
    /// Only where the kernel has Landlock.
    pub read: Vec<PathBuf>,
    /// Files and directories that it may read and write.
    pub write: Vec<PathBuf>,
    /// The user that it runs as: a name, `UID` or `UID:GID`. Only where the host runs as root.
    pub user: Option<String>,
    /// MiB of memory that it may have.
    pub memory_mib_max: NonZeroU32,
    /// How long its thread may be busy without a pause before it is taken for hung and killed; at least 100 ms.
    #[serde(deserialize_with = "hang_after")]
    #[schemars(with = "ConfigDuration")]
    pub hang_after: ConfigDuration,
}

/// Variables of an environment. Their values may be secret and are not shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Variables(pub BTreeMap<String, String>);

/// Less than this a machine that is busy with other things may take at any time.
const HANG_AFTER_MIN: Duration = Duration::from_millis(100);
const IN_PROCESS: &str = "in-process";
const PROCESS: &str = "process";

// === impl ProcessConfig ===

impl ProcessConfig {
    /// The environment that it describes.
    pub(crate) fn environment(&self) -> Environment<'_> {
        Environment { env: &self.env.0, pass_env: &self.pass_env }
    }
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            env: Variables::default(),
            pass_env: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            user: None,
            memory_mib_max: NonZeroU32::MIN.saturating_add(511),
            hang_after: ConfigDuration::from_secs(10),
        }
    }
}

fn hang_after<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ConfigDuration, D::Error> {
    let duration = ConfigDuration::deserialize(deserializer)?;
    if duration.get() >= HANG_AFTER_MIN {
        Ok(duration)
    } else {
        Err(D::Error::custom(format_args!("must be at least {HANG_AFTER_MIN:?}")))
    }
}

/// # Examples
///
/// ```
/// use cluster_host::config::Variables;
///
/// let variables = Variables([("AWS_SECRET_ACCESS_KEY".to_owned(), "wake".to_owned())].into());
/// assert_eq!(format!("{variables:?}"), r#"{"AWS_SECRET_ACCESS_KEY": "***"}"#);
/// ```
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, "***"))).finish()
    }
}

// === impl IsolationConfig ===

impl IsolationConfig {
    /// How a process is kept, if there is one.
    #[must_use]
    pub fn process(&self) -> ProcessConfig {
        match self {
            Self::Process(process) => process.clone(),
            Self::ByPlugin | Self::InProcess => ProcessConfig::default(),
        }
    }
}

impl<'de> Deserialize<'de> for IsolationConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = IsolationConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"in-process\", \"process\" or a table { process = { … } }")
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<IsolationConfig, E> {
                match word {
                    IN_PROCESS => Ok(IsolationConfig::InProcess),
                    PROCESS => Ok(IsolationConfig::Process(ProcessConfig::default())),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<IsolationConfig, A::Error> {
                let mut process = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        PROCESS => process = Some(IsolationConfig::Process(map.next_value()?)),
                        _ => return Err(A::Error::unknown_field(&key, &[PROCESS])),
                    }
                }
                process.ok_or_else(|| A::Error::missing_field(PROCESS))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for IsolationConfig {
    fn schema_name() -> Cow<'static, str> {
        "Isolation".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let process = generator.subschema_for::<ProcessConfig>();
        json_schema!({
            "anyOf": [
                { "enum": [IN_PROCESS, PROCESS] },
                {
                    "type": "object",
                    "properties": { PROCESS: process },
                    "required": [PROCESS],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
