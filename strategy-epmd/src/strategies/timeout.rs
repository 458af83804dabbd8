//! An option of libcluster that has no effect here.

use std::{borrow::Cow, fmt};

use cluster_sdk::{
    ConfigDuration,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};

/// libcluster's `timeout`: a number of milliseconds, a duration such as "30s", or "infinity". It is checked, so that a
/// mistake is seen, and then forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTimeout;

// === impl NoTimeout ===

impl<'de> Deserialize<'de> for NoTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = NoTimeout;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of milliseconds, a duration such as \"30s\", or \"infinity\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<NoTimeout, E> {
                match text.strip_prefix(':').unwrap_or(text) {
                    "infinity" => Ok(NoTimeout),
                    _ => text.parse::<ConfigDuration>().map(|_| NoTimeout).map_err(E::custom),
                }
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<NoTimeout, E> {
                Ok(NoTimeout)
            }
            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<NoTimeout, E> {
                let negative = |_| E::invalid_value(de::Unexpected::Signed(millis), &self);
                u64::try_from(millis).map(|_| NoTimeout).map_err(negative)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for NoTimeout {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "NoTimeout".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a number of milliseconds, a duration such as \"30s\", or \"infinity\"",
            "anyOf": [{ "type": "string" }, { "type": "integer", "minimum": 0 }],
        })
    }
}

#[cfg(test)]
mod tests {
    use cluster_sdk::serde_json::{Value, from_value, json};

    use super::*;

    /// What libcluster takes is taken, and what nobody can have meant is not.
    #[test]
    fn accepted() {
        for good in [json!(5000), json!("infinity"), json!(":infinity"), json!("5s")] {
            assert_eq!(from_value::<NoTimeout>(good).unwrap(), NoTimeout);
        }
        for bad in [json!(-1), json!("soon"), json!(1.5), Value::Null] {
            from_value::<NoTimeout>(bad).unwrap_err();
        }
    }
}
