//! What a new plugin is called.

use std::{fmt, str::FromStr};

/// Characters that a name may have at most.
const NAME_CHARS_MAX: usize = 48;
/// Words that crates begin with, and names need not.
const PREFIXES: [&str; 4] = ["strategy-", "strategy_", "connector-", "connector_"];
/// What a configuration says where it wants no connector.
const NONE: &str = "none";

/// The name of a strategy or a connector, from which those of its crate and its type are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PluginName(String);

/// The text is no such name. Nothing was written; whoever wrote it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PluginNameError {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} characters: at most {NAME_CHARS_MAX} are possible")]
    TooLong(usize),
    #[error("{found:?} is not possible in it: write lower case letters, digits, '-' and '_', as in {like:?}")]
    Character { found: char, like: String },
    #[error("it begins with {0:?}: a name begins with a letter")]
    Begins(char),
    #[error("it ends with {0:?}: a name ends with a letter or a digit")]
    Ends(char),
    #[error("the crate is called {prefix}NAME by itself: write {rest:?}")]
    Prefixed { prefix: &'static str, rest: String },
    #[error("{NONE:?} means in a configuration that there is no connector: take another name")]
    Reserved,
}

// === impl PluginName ===

impl PluginName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// `my-cloud` as `MyCloud`.
    pub(super) fn type_name(&self) -> String {
        self.0
            .split(['-', '_'])
            .flat_map(|word| {
                let (first, rest) = word.split_at(word.len().min(1));
                [first.to_ascii_uppercase(), rest.to_owned()]
            })
            .collect()
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PluginName {
    type Err = PluginNameError;

    fn from_str(text: &str) -> Result<Self, PluginNameError> {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(PluginNameError::Empty);
        };
        let count = text.chars().count();
        if count > NAME_CHARS_MAX {
            return Err(PluginNameError::TooLong(count));
        }
        let is_possible = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if let Some(found) = text.chars().find(|c| !is_possible(*c)) {
            return Err(PluginNameError::Character { found, like: like(text) });
        }
        if !first.is_ascii_lowercase() {
            return Err(PluginNameError::Begins(first));
        }
        if matches!(last, '-' | '_') {
            return Err(PluginNameError::Ends(last));
        }
        for prefix in PREFIXES {
            if let Some(rest) = text.strip_prefix(prefix) {
                return Err(PluginNameError::Prefixed { prefix, rest: rest.to_owned() });
            }
        }
        if text == NONE {
            return Err(PluginNameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The nearest name that is possible, or one that anybody understands.
fn like(text: &str) -> String {
    let text = text.to_lowercase().replace(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit(), "-");
    let text = text.trim_matches(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    if text.starts_with(|c: char| c.is_ascii_lowercase()) { text.to_owned() } else { "my-cloud".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is a name, and the type that is called after it.
    #[test]
    fn names() {
        for (name, type_name) in [
            ("ec2", "Ec2"),
            ("my-cloud", "MyCloud"),
            ("local_epmd", "LocalEpmd"),
            ("a", "A"),
            ("a--b_9", "AB9"),
        ] {
            assert_eq!(name.parse::<PluginName>().unwrap().type_name(), type_name);
        }
    }

    /// What is none says what to write in its place.
    #[test]
    fn no_names() {
        for (text, reason) in [
            ("", "it is empty"),
            (
                "EC2",
                "'E' is not possible in it: write lower case letters, digits, '-' and '_', as in \"ec2\"",
            ),
            (
                "my cloud",
                "' ' is not possible in it: write lower case letters, digits, '-' and '_', as in \"my-cloud\"",
            ),
            ("../x", "'.' is not possible in it: write lower case letters, digits, '-' and '_', as in \"x\""),
            (
                "é",
                "'é' is not possible in it: write lower case letters, digits, '-' and '_', as in \"my-cloud\"",
            ),
            ("2ec", "it begins with '2': a name begins with a letter"),
            ("-x", "it begins with '-': a name begins with a letter"),
            ("x-", "it ends with '-': a name ends with a letter or a digit"),
            ("strategy-ec2", "the crate is called strategy-NAME by itself: write \"ec2\""),
            ("none", "\"none\" means in a configuration that there is no connector: take another name"),
        ] {
            assert_eq!(text.parse::<PluginName>().unwrap_err().to_string(), reason);
        }
        assert_eq!("x".repeat(49).parse::<PluginName>(), Err(PluginNameError::TooLong(49)));
    }
}
