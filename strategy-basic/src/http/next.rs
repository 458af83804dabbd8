//! How a config says where the next page is.

use std::borrow::Cow;

use cluster_sdk::{
    http::Next,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};

use crate::reading::Pointer;

/// How a page says where the next one is: `"link"`, `"/links/next"`, `{ pointer = …, query = … }` or
/// `{ header = …, query = … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextPage(Next);

#[derive(Deserialize)]
#[serde(crate = "cluster_sdk::serde", untagged, deny_unknown_fields)]
enum Written {
    Word(String),
    Token { pointer: Pointer, query: String },
    Header { header: String, query: String },
}

// === impl NextPage ===

impl NextPage {
    pub(super) fn into_next(self) -> Next {
        self.0
    }
}

impl<'de> Deserialize<'de> for NextPage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            de::Error::custom(
                "write \"link\", a JSON pointer to the address as \"/links/next\", { pointer = \"/meta/next\", query = \"page\" } or \
                 { header = \"X-Next\", query = \"page\" }",
            )
        };
        Ok(Self(match Written::deserialize(deserializer).map_err(|_none_of_them| wrong())? {
            Written::Word(word) if word == "link" => Next::Link,
            Written::Word(word) if word.starts_with('/') => Next::Url(word),
            Written::Word(_) => return Err(wrong()),
            Written::Token { pointer, query } => Next::Token { pointer: pointer.as_str().to_owned(), query },
            Written::Header { header, query } => Next::Header { header, query },
        }))
    }
}

impl JsonSchema for NextPage {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "NextPage".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let token = |from: &str| {
            json_schema!({
                "type": "object",
                "properties": { from: { "type": "string" }, "query": { "type": "string" } },
                "required": [from, "query"],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "anyOf": [{ "type": "string", "examples": ["link"] }, token("pointer"), token("header")],
        })
    }
}
