//! The part of a node's name before the `@`.

use std::{borrow::Cow, fmt, str::FromStr};

use cluster_sdk::{
    NodeName,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};

/// What the names of all nodes of a topology begin with.
#[derive(Clone, PartialEq, Eq)]
pub struct Basename(String);

/// The text cannot be the first part of a node's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not what a node's name can begin with: write the part before the @, as \"app\"")]
pub struct BasenameError(String);

// === impl Basename ===

impl Basename {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Basename {
    type Err = BasenameError;

    fn from_str(text: &str) -> Result<Self, BasenameError> {
        match NodeName::check(&format!("{text}@127.0.0.1")) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(_malformed) => Err(BasenameError(text.chars().take(300).collect())),
        }
    }
}

impl fmt::Debug for Basename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Basename {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Basename {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Basename".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "pattern": "^[^@\\s]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can be before the `@`.
    #[test]
    fn basenames() {
        for good in ["app", "my-app", "a.b", "é"] {
            assert_eq!(good.parse::<Basename>().unwrap().as_str(), good);
        }
        for bad in ["", "app@", "app@host", "a b", &"a".repeat(255)] {
            assert!(bad.parse::<Basename>().is_err(), "{bad}");
        }
    }
}
