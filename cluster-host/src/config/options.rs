//! How a topology is run: supervision, retries, and when members may leave.

use std::{
    fmt,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use cluster_core::{Backoff, membership::PrunePolicy};
use cluster_sdk::ConfigDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{self, Error},
};

use super::isolation::IsolationConfig;

/// `opts`. The first three are those of an OTP supervisor, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Options {
    /// When a strategy that has ended is started again.
    pub restart: Restart,
    /// Restarts within `max_seconds` after which the topology is given up. Between restarts there is a back-off, so that
    /// with the defaults a strategy that fails again and again is tried for ever, at last every 30 s.
    pub max_restarts: u32,
    /// The seconds in which restarts are counted.
    pub max_seconds: NonZeroU32,
    /// Where the strategy runs: on threads of the host where this project ships its plugin, in a process of its own
    /// where it does not.
    pub isolation: IsolationConfig,
    /// How long to wait between tries to link a member.
    pub retry: Retry,
    /// Links that are being made or broken at once, at most.
    pub dials_max: NonZeroUsize,
    /// How long making or breaking a link may take.
    #[serde(deserialize_with = "positive")]
    #[schemars(with = "ConfigDuration")]
    pub deadline: ConfigDuration,
}

/// When a strategy that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After a failure, not after a normal end.
    Transient,
    /// Never.
    Temporary,
}

/// How long to wait between tries: doubling from `first` to `cap`, jittered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Retry {
    /// The wait after the first failure.
    #[serde(deserialize_with = "positive")]
    #[schemars(with = "ConfigDuration")]
    pub first: ConfigDuration,
    /// The longest wait.
    #[serde(deserialize_with = "positive")]
    #[schemars(with = "ConfigDuration")]
    pub cap: ConfigDuration,
}

/// `prune`: how members may leave by the strategy's word; `"never"` or a table.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cluster_host::config::Prune;
/// use serde_json::json;
///
/// // What is not written is as it is by default.
/// let prune: Prune = serde_json::from_value(json!({ "after": "30s" }))?;
/// assert_eq!(prune.policy().after, Duration::from_secs(30));
/// assert_eq!(prune.policy().rounds, Prune::default().policy().rounds);
/// let never: Prune = serde_json::from_value(json!("never"))?;
/// assert_ne!(never, Prune::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prune(PrunePolicy);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PruneTable {
    /// Absence counts after so many complete views in a row.
    rounds: NonZeroU32,
    /// Absence counts after so long, even without a second view.
    after: ConfigDuration,
    /// More than this fraction of the members leaving within a minute is held back.
    #[serde(deserialize_with = "fraction")]
    max_fraction: f64,
    /// How long what is held back stays.
    hold: ConfigDuration,
}

// === impl Options ===

impl Options {
    /// What decides how a connector is used.
    pub(super) fn linking(&self) -> (Retry, NonZeroUsize, ConfigDuration) {
        (self.retry, self.dials_max, self.deadline)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            restart: Restart::default(),
            max_restarts: 3,
            max_seconds: NonZeroU32::MIN.saturating_add(4),
            isolation: IsolationConfig::default(),
            retry: Retry::default(),
            dials_max: NonZeroUsize::MIN.saturating_add(15),
            deadline: ConfigDuration::from_secs(5),
        }
    }
}

// === impl Restart ===

impl Restart {
    /// The word for it in the configuration.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_host::config::{Options, Restart};
    ///
    /// assert_eq!(Options::default().restart.as_str(), "permanent");
    /// assert_eq!(serde_json::from_value::<Restart>("transient".into())?, Restart::Transient);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        let Backoff { first, cap } = Backoff::default();
        Self { first: first.into(), cap: cap.into() }
    }
}

/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cluster_core::Backoff;
/// use cluster_host::config::Retry;
/// use serde_json::json;
///
/// let retry: Retry = serde_json::from_value(json!({ "first": "1m", "cap": "10s" }))?;
/// assert_eq!(Backoff::from(retry).first, Duration::from_secs(10));
/// # Ok::<(), serde_json::Error>(())
/// ```
impl From<Retry> for Backoff {
    /// A `first` above the `cap` is the cap.
    fn from(retry: Retry) -> Self {
        Self { first: retry.first.get().min(retry.cap.get()), cap: retry.cap.get() }
    }
}

// === impl Prune ===

impl Prune {
    /// The policy, as the membership takes it.
    #[must_use]
    pub const fn policy(self) -> PrunePolicy {
        self.0
    }
}

impl From<PrunePolicy> for Prune {
    fn from(policy: PrunePolicy) -> Self {
        Self(policy)
    }
}

impl<'de> Deserialize<'de> for Prune {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Prune;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"never\" or a table such as { after = \"10s\" }")
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Prune, E> {
                match word {
                    "never" => Ok(Prune(PrunePolicy { never: true, ..PrunePolicy::default() })),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Prune, A::Error> {
                let table = PruneTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Prune(PrunePolicy {
                    never: false,
                    rounds: table.rounds.get(),
                    after: table.after.get(),
                    max_fraction: table.max_fraction,
                    hold: table.hold.get(),
                }))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Prune {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Prune".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<PruneTable>();
        schemars::json_schema!({ "anyOf": [{ "const": "never" }, table] })
    }
}

impl Default for PruneTable {
    fn default() -> Self {
        let policy = PrunePolicy::default();
        Self {
            rounds: NonZeroU32::new(policy.rounds).unwrap_or(NonZeroU32::MIN),
            after: policy.after.into(),
            max_fraction: policy.max_fraction,
            hold: policy.hold.into(),
        }
    }
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ConfigDuration, D::Error> {
    let duration = ConfigDuration::deserialize(deserializer)?;
    if duration.get() > Duration::ZERO {
        Ok(duration)
    } else {
        Err(D::Error::custom("must be longer than nothing"))
    }
}

fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let fraction = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&fraction) {
        Ok(fraction)
    } else {
        Err(D::Error::custom("must be from 0.0 to 1.0"))
    }
}
