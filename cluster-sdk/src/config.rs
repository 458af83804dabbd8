//! Typed configs whose errors are all told at once.
//!
//! Serde stops at the first thing that it does not like. [`parse`] notes it, takes it out (or puts something harmless
//! in its place) and tries again, so that whoever writes a config sees the whole list. The JSON schema of the type
//! says which keys are possible, which one was meant, and what a missing one is for.
//!
//! ```
//! use cluster_sdk::{config, schemars::JsonSchema, serde::Deserialize};
//!
//! #[derive(Debug, Deserialize, JsonSchema)]
//! #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
//! #[schemars(crate = "cluster_sdk::schemars")]
//! struct Config {
//!     /// UDP port to listen at
//!     port: u16,
//!     hosts: Vec<String>,
//! }
//!
//! let errors = config::parse::<Config>(serde_json::json!({ "prot": 45892, "hosts": ["a", 5] })).unwrap_err();
//! let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
//! assert_eq!(errors, [
//!     "hosts[1]: expected a string, found 5",
//!     "prot: unknown key; did you mean `port`? possible: `hosts`, `port`",
//! ]);
//! ```

mod fault;
mod repair;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;

use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::{
    fault::Fault,
    repair::{Hint, Repair},
};

/// Errors that [`parse`] reports at most.
pub const ERRORS_MAX: usize = 32;
/// Tries of one [`parse`]: each error takes a few until something is found that serde accepts in its place.
const TRIES_MAX: usize = 16 * ERRORS_MAX;

/// Something wrong in a config, and where.
///
/// # Examples
///
/// ```
/// use cluster_sdk::ConfigError;
///
/// let error = ConfigError::new("hosts[1]", "is no name of a host");
/// assert_eq!(error.to_string(), "hosts[1]: is no name of a host");
/// // As whoever has this config at a key of its own sees it.
/// assert_eq!(error.within("source").path, "source.hosts[1]");
/// assert_eq!(ConfigError::new("", "says nothing").to_string(), "says nothing");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConfigError {
    /// The key: `hosts[1]`, `tls.ca`. Empty where the whole config is meant.
    pub path: String,
    /// What is wrong, in words for whoever writes the config.
    pub message: String,
}

/// Parses a config and reports everything that is wrong with it, up to [`ERRORS_MAX`].
///
/// Keys that `T` ignores are refused too, whether or not `T` has `#[serde(deny_unknown_fields)]`: a misspelt option
/// that changes nothing is the hardest mistake to find. (A key that must be accepted and have no effect is a field of
/// type [`serde_json::Value`].)
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// use cluster_sdk::config;
///
/// let weights = config::parse::<BTreeMap<String, u8>>(serde_json::json!({ "a": 1, "b": 2 }));
/// assert_eq!(weights.map(|weights| weights["b"]), Ok(2));
/// let errors = config::parse::<BTreeMap<String, u8>>(serde_json::json!({ "a": 256, "b": "2" })).unwrap_err();
/// assert_eq!(errors.iter().map(|error| error.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
/// ```
///
/// # Errors
/// All that is wrong, in the order in which it was found.
pub fn parse<T: DeserializeOwned + JsonSchema>(value: Value) -> Result<T, Vec<ConfigError>> {
    let mut repair = Repair::new(value, || SchemaGenerator::default().into_root_schema_for::<T>().into());
    for _ in 0..TRIES_MAX {
        let (parsed, ignored) = attempt::<T>(repair.value());
        repair.note_ignored(&ignored);
        match parsed {
            Ok(parsed) if repair.is_clean() => return Ok(parsed),
            Err(fault) if repair.mend(&fault) => {}
            Ok(_) | Err(_) => break,
        }
    }
    Err(repair.into_errors())
}

/// One go of serde, with where it failed and the keys that it passed over.
fn attempt<T: DeserializeOwned>(value: &Value) -> (Result<T, Fault>, Vec<Vec<Hint>>) {
    let mut ignored = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let parsed = serde_ignored::deserialize(tracked, |path| {
        let mut hints = Vec::new();
        repair::hints_of_ignored(&path, &mut hints);
        ignored.push(hints);
    });
    let parsed = parsed.map_err(|err: serde_json::Error| Fault::new(&err.to_string(), &track.path()));
    (parsed, ignored)
}

/// The path of `key` in the table at `parent`. A key that TOML would need quotes for gets them.
///
/// # Examples
///
/// ```
/// use cluster_sdk::config::key_path;
///
/// assert_eq!(key_path("topologies", "office"), "topologies.office");
/// assert_eq!(key_path("", "hosts"), "hosts");
/// assert_eq!(key_path("headers", "x.y"), r#"headers."x.y""#);
/// ```
#[must_use]
pub fn key_path(parent: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let dot = if parent.is_empty() { "" } else { "." };
    if bare { format!("{parent}{dot}{key}") } else { format!("{parent}{dot}{key:?}") }
}

/// The word of `possible` that was probably meant by `word`, if any comes near.
///
/// # Examples
///
/// ```
/// use cluster_sdk::config::nearest;
///
/// assert_eq!(nearest("prot", ["hosts", "port"]), Some("port"));
/// assert_eq!(nearest("Poll-Interval", ["poll_interval"]), Some("poll_interval"));
/// assert_eq!(nearest("colour", ["hosts", "port"]), None);
/// ```
pub fn nearest<'a>(word: &str, possible: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let meant = plain(word);
    possible
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&meant, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

// === impl ConfigError ===

impl ConfigError {
    /// An error at a path: `hosts[1]`, `tls.ca`, or nothing for the whole config.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The same error as seen from a table that has this config at `parent`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        let dot =
            if parent.is_empty() || self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{parent}{dot}{}", self.path);
        self
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}
