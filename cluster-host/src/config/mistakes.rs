//! All that is wrong with a configuration, as one error.

use std::{error::Error, fmt};

use cluster_sdk::config::ConfigError;

use super::Problem;

/// All that is wrong with a configuration, one a line: to be fixed by whoever wrote it.
///
/// [`Config::load`](super::Config::load) tells each [`Problem`] apart; `map_err(Mistakes::from)?` makes one error of them.
///
/// ```
/// use cluster_host::Config;
///
/// let mistakes = Config::from_json(serde_json::json!({ "cluster": 1, "api": { "lisen": "" } })).unwrap_err();
/// assert_eq!(mistakes.lines().len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

// === impl Mistakes ===

impl Mistakes {
    /// One line for each.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<ConfigError>> for Mistakes {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors.iter().map(ToString::to_string).collect())
    }
}

impl From<Vec<Problem>> for Mistakes {
    fn from(problems: Vec<Problem>) -> Self {
        Self(problems.iter().map(ToString::to_string).collect())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Error for Mistakes {}
