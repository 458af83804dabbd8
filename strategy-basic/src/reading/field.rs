//! How configs name places in JSON.

use std::{borrow::Cow, fmt, str::FromStr};

use cluster_sdk::{
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
    serde_json::Value,
};

/// A place in JSON (RFC 6901): `""` the whole, `/data/0` the first in `data`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer(String);

/// The text is no JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a JSON pointer: it begins with a slash, as \"/data/nodes\"; \"\" is the whole")]
pub struct PointerError(String);

/// A field of an item: `Address`, `Node.Address`, or `/Node/Address` as a JSON pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Field(String);

/// The text names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("names no field: write one as \"Address\", \"Node.Address\" or \"/Node/Address\"")]
pub struct FieldError;

/// A port: a number, or the field that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// The same for all.
    Number(u16),
    /// Of each item its own.
    Field(Field),
}

// === impl Pointer ===

impl Pointer {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() || text.starts_with('/') {
            return Ok(Self(text.to_owned()));
        }
        Err(PointerError(text.chars().take(80).collect()))
    }
}

// === impl Field ===

impl Field {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What an item has there; null is nothing.
    pub(super) fn of<'a>(&self, item: &'a Value) -> Option<&'a Value> {
        find(item, &self.0).filter(|value| !value.is_null())
    }

    /// The key of the item that it begins with.
    pub(super) fn key(&self) -> Cow<'_, str> {
        key(&self.0)
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        if text.is_empty() { Err(FieldError) } else { Ok(Self(text.to_owned())) }
    }
}

// === impl Port ===

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Port;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535, or the field that has it")
            }
            fn visit_u64<E: de::Error>(self, port: u64) -> Result<Port, E> {
                let port = u16::try_from(port).ok().filter(|port| *port > 0);
                port.map(Port::Number).ok_or_else(|| E::custom("a port is from 1 to 65535"))
            }
            fn visit_i64<E: de::Error>(self, port: i64) -> Result<Port, E> {
                self.visit_u64(u64::try_from(port).unwrap_or_default())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
                text.parse().map(Port::Field).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Port {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "type": "string", "minLength": 1 }],
        })
    }
}

/// What is at the place that a field or a placeholder names.
pub(super) fn find<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    if name.starts_with('/') {
        return item.pointer(name);
    }
    item.get(name).or_else(|| name.split('.').try_fold(item, |value, key| value.get(key)))
}

/// The key of the item that such a name begins with.
pub(super) fn key(name: &str) -> Cow<'_, str> {
    match name.strip_prefix('/') {
        Some(pointer) => {
            let first = pointer.split('/').next().unwrap_or_default();
            first.replace("~1", "/").replace("~0", "~").into()
        }
        None => name.split('.').next().unwrap_or_default().into(),
    }
}

macro_rules! text_option {
    ($type:ident, $schema:expr) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

text_option!(Pointer, json_schema!({ "type": "string", "pattern": "^(/.*)?$", "examples": ["/nodes"] }));
text_option!(Field, json_schema!({ "type": "string", "minLength": 1 }));
