//! Names of nodes made of what a source knows of them: `"{basename}@{ip}"`.

#[cfg(test)]
mod tests;
mod values;

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use cluster_core::{NameError, NodeName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::values::TemplateValues;
use crate::config;

/// What stands for the key of a family where it is shown: `{tag.NAME}`.
const KEY_SHOWN: &str = "NAME";

/// How nodes are named, as a config writes it: text with placeholders in braces, `"{basename}@{ip}"`, `"{tag.Name}@{ip}"`,
/// or `"{name}"` alone where the source has whole names. Braces cannot be part of the text itself.
///
/// `P` says which placeholders are possible. Any other is refused when the config is read, with the nearest that is.
///
/// ```
/// use cluster_sdk::{NameTemplate, Placeholders, config, schemars, serde};
///
/// struct Machine;
/// impl Placeholders for Machine {
///     const POSSIBLE: &'static [&'static str] = &["id", "ip", "tag."];
/// }
///
/// #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(crate = "cluster_sdk::serde")]
/// #[schemars(crate = "cluster_sdk::schemars")]
/// struct Config {
///     /// How nodes are named
///     #[serde(default = "default_name")]
///     name: NameTemplate<Machine>,
/// }
/// fn default_name() -> NameTemplate<Machine> {
///     NameTemplate::from_static("app@{ip}")
/// }
///
/// let config: Config = config::parse(serde_json::json!({ "name": "{tag.role}@{ip}" })).unwrap();
/// let name = config.name.name(&[("ip", "10.0.0.7"), ("tag.role", "web")])?;
/// assert_eq!(name.as_str(), "web@10.0.0.7");
///
/// let unnamed = config.name.name(&[("ip", "10.0.0.8")]).unwrap_err();
/// assert_eq!(unnamed.to_string(), "it has no `tag.role`, which its name \"{tag.role}@{ip}\" needs");
///
/// let wrong = config::parse::<Config>(serde_json::json!({ "name": "app@{pi}" })).unwrap_err();
/// assert_eq!(
///     wrong[0].to_string(),
///     "name: \"app@{pi}\" has an unknown placeholder `{pi}`; did you mean `{ip}`? possible: `{id}`, `{ip}`, `{tag.NAME}`"
/// );
/// # Ok::<(), cluster_sdk::UnnamedError>(())
/// ```
pub struct NameTemplate<P = AnyPlaceholder> {
    text: String,
    parts: Vec<Part>,
    possible: PhantomData<fn() -> P>,
}

/// The placeholders that a [`NameTemplate`] may have. Implemented for any type of the strategy, often the strategy itself.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{NameTemplate, Placeholders};
///
/// struct Machine;
/// impl Placeholders for Machine {
///     const POSSIBLE: &'static [&'static str] = &["ip", "tag."];
/// }
///
/// let template: NameTemplate<Machine> = "{tag.app.kubernetes.io/name}@{ip}".parse()?;
/// assert_eq!(template.placeholders().collect::<Vec<_>>(), ["tag.app.kubernetes.io/name", "ip"]);
/// assert!("app@{port}".parse::<NameTemplate<Machine>>().is_err());
/// # Ok::<(), cluster_sdk::NameTemplateError>(())
/// ```
pub trait Placeholders {
    /// Their names, without braces. One that ends with a dot is a family: `tag.` allows `{tag.Name}` and
    /// `{tag.app.kubernetes.io/name}`. None at all: any name is possible.
    const POSSIBLE: &'static [&'static str];
}

/// Any placeholder: for strategies whose sources have keys of which nothing is known before.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{AnyPlaceholder, NameTemplate};
///
/// let template: NameTemplate<AnyPlaceholder> = "{Node}@{Service.Address}".parse()?;
/// let node = serde_json::json!({ "Node": "app", "Service": { "Address": "10.0.0.7" } });
/// assert_eq!(template.name(&node)?.as_str(), "app@10.0.0.7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnyPlaceholder {}

/// The text makes no names. Whoever wrote it can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameTemplateError {
    /// A brace has no partner, or nothing is between two.
    #[error("{0:?} has a brace that opens no placeholder or closes none: write one as {{ip}}")]
    Braces(String),
    /// Nothing differs from node to node.
    #[error("{0:?} has no placeholder, so all nodes would have one name{1}")]
    Constant(String, Suggestion),
    /// There is no value of that name.
    #[error("{template:?} has an unknown placeholder `{{{placeholder}}}`{suggestion}")]
    Unknown {
        /// The text.
        template: String,
        /// The placeholder.
        placeholder: String,
        /// What is possible.
        suggestion: Suggestion,
    },
    /// No side of an `@` is there.
    #[error("{0:?} has no @: nodes are named NAME@HOST, as in \"app@{{ip}}\"")]
    NoHost(String),
    /// It would not be a name, whatever the values.
    #[error("{template:?} makes no names of nodes: {error}")]
    Name {
        /// The text.
        template: String,
        /// Why, with an `x` for each value.
        error: NameError,
    },
}

/// The placeholder that was probably meant, and all that are possible: the end of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion(String);

/// Why a node cannot be named. The other nodes can: leave this one out, and say so by
/// [`Context::degraded`](crate::Context::degraded) or [`Context::healthy_but`](crate::Context::healthy_but).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnnamedError {
    /// The node has no such value, or an empty one.
    #[error("it has no `{placeholder}`, which its name {template:?} needs")]
    Missing {
        /// The template.
        template: String,
        /// The placeholder, without braces.
        placeholder: String,
    },
    /// With the node's values it is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

// === impl NameTemplate ===

impl<P: Placeholders> NameTemplate<P> {
    /// A template that is written in the program, as a default.
    ///
    /// # Panics
    /// Where it is wrong: parse a config without it in a test.
    #[must_use]
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "the text is part of the program, so whoever wrote the program can mend it"
    )]
    pub fn from_static(text: &'static str) -> Self {
        text.parse().unwrap_or_else(|error| panic!("bug: {error}"))
    }
}

impl<P> NameTemplate<P> {
    /// The name of the node with these values: `[(&str, &str)]`, a map, or an object of JSON.
    ///
    /// # Errors
    /// [`UnnamedError`].
    pub fn name(&self, values: &(impl TemplateValues + ?Sized)) -> Result<NodeName, UnnamedError> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Placeholder(placeholder) => {
                    let value = values.value(placeholder).filter(|value| !value.is_empty());
                    name.push_str(&value.ok_or_else(|| UnnamedError::Missing {
                        template: self.text.clone(),
                        placeholder: placeholder.clone(),
                    })?);
                }
            }
        }
        Ok(NodeName::try_new(&name)?)
    }

    /// The text, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its placeholders, in their order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }
}

impl<P: Placeholders> FromStr for NameTemplate<P> {
    type Err = NameTemplateError;

    fn from_str(text: &str) -> Result<Self, NameTemplateError> {
        let parts = split(text).ok_or_else(|| NameTemplateError::Braces(text.to_owned()))?;
        let template = Self { text: text.to_owned(), parts, possible: PhantomData };
        if template.placeholders().next().is_none() {
            return Err(NameTemplateError::Constant(text.to_owned(), Suggestion::of(P::POSSIBLE, "")));
        }
        if let Some(unknown) = template.placeholders().find(|name| !is_possible(P::POSSIBLE, name)) {
            let (placeholder, suggestion) = (unknown.to_owned(), Suggestion::of(P::POSSIBLE, unknown));
            return Err(NameTemplateError::Unknown { template: text.to_owned(), placeholder, suggestion });
        }
        // A single value may be a whole name.
        if let [Part::Placeholder(_)] = template.parts.as_slice() {
            return Ok(template);
        }
        let sample: String =
            template.parts.iter().map(|part| if let Part::Text(text) = part { text } else { "x" }).collect();
        if !sample.contains('@') {
            return Err(NameTemplateError::NoHost(text.to_owned()));
        }
        match NodeName::check(&sample) {
            Ok(()) => Ok(template),
            Err(error) => Err(NameTemplateError::Name { template: text.to_owned(), error }),
        }
    }
}

impl<P> Clone for NameTemplate<P> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), parts: self.parts.clone(), possible: PhantomData }
    }
}

impl<P> PartialEq for NameTemplate<P> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<P> Eq for NameTemplate<P> {}

impl<P> fmt::Debug for NameTemplate<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<P> fmt::Display for NameTemplate<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<P> Serialize for NameTemplate<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, P: Placeholders> Deserialize<'de> for NameTemplate<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<P: Placeholders> JsonSchema for NameTemplate<P> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "NameTemplate".into()
    }
    /// The title is what those show who show types; the example is a value that is accepted.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let placeholders: Vec<String> = P::POSSIBLE.iter().map(|name| shown(name, KEY_SHOWN)).collect();
        let of = if placeholders.is_empty() { "" } else { " of " };
        let first = placeholders.first().map_or("{ip}", String::as_str);
        json_schema!({
            "type": "string",
            "title": format!("template{of}{}", placeholders.join(" ")),
            "pattern": r"\{[^{}]+\}",
            "examples": [format!("app@{first}")],
        })
    }
}

// === impl AnyPlaceholder ===

impl Placeholders for AnyPlaceholder {
    const POSSIBLE: &'static [&'static str] = &[];
}

// === impl Suggestion ===

impl Suggestion {
    fn of(possible: &[&str], unknown: &str) -> Self {
        if possible.is_empty() {
            return Self(String::new());
        }
        // That of a family is compared with the same key.
        let key =
            unknown.split_once('.').map(|(_, key)| key).filter(|key| !key.is_empty()).unwrap_or(KEY_SHOWN);
        let like: Vec<String> = possible.iter().map(|name| shown(name, key)).collect();
        let meant = config::nearest(&shown(unknown, key), like.iter().map(String::as_str));
        let meant = meant.map(|name| format!(" did you mean `{name}`?")).unwrap_or_default();
        let possible: Vec<String> = possible.iter().map(|name| shown(name, KEY_SHOWN)).collect();
        Self(format!(";{meant} possible: `{}`", possible.join("`, `")))
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text and placeholders in turn; nothing where the braces do not fit.
fn split(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (placeholder, after) = after.split_once('}')?;
        if before.contains('}') || placeholder.is_empty() || placeholder.contains('{') {
            return None;
        }
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(Part::Placeholder(placeholder.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Some(parts)
}

fn is_possible(possible: &[&str], name: &str) -> bool {
    let fits = |possible: &str| {
        if possible.ends_with('.') {
            name.strip_prefix(possible).is_some_and(|key| !key.is_empty())
        } else {
            name == possible
        }
    };
    possible.is_empty() || possible.iter().copied().any(fits)
}

/// A placeholder as one writes it, that of a family with this key.
fn shown(name: &str, key: &str) -> String {
    if name.ends_with('.') { format!("{{{name}{key}}}") } else { format!("{{{name}}}") }
}
