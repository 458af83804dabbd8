//! `connect`: nothing, or a connector by its name with its config.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Error},
};
use serde_json::{Map, Value};

use super::isolation::IsolationConfig;
use crate::plugin::CONNECTOR_DEFAULT;

/// What makes the links of a topology.
///
/// ```
/// use cluster_host::{Config, config::ConnectConfig};
/// use serde_json::json;
///
/// let config = Config::from_json(json!({
///     "topologies": { "shop": { "strategy": "gossip", "connect": { "tcp": { "port": 9000 } } } },
/// }))?;
/// let connect = config.topologies.into_values().next().map(|topology| topology.connect).unwrap_or_default();
/// assert_eq!(connect.name(), "tcp");
/// assert_eq!(connect.connector().and_then(|tcp| tcp.config.get("port")), Some(&json!(9000)));
/// assert_eq!(ConnectConfig::default().name(), "erlang");
/// # Ok::<(), cluster_host::config::Mistakes>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum ConnectConfig {
    /// Nothing: being vouched for is all. `connect = "none"`.
    None,
    /// A connector. `connect = "erlang"` or `connect = { tcp = { port = 9000 } }`.
    Connector(ConnectorConfig),
}

/// A connector and its config.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConnectorConfig {
    /// The name under which this program or a plugin offers it.
    pub name: String,
    /// Its own config, which its plugin checks.
    pub config: PluginConfig,
    /// Where it runs: the one key of its table that is the host's.
    pub isolation: IsolationConfig,
}

/// The config of a plugin as it was written. It may have secrets in it, so it shows its keys and no values.
///
/// # Examples
///
/// ```
/// use cluster_host::{Config, config::PluginConfig};
/// use serde_json::json;
///
/// let config: PluginConfig = serde_json::from_value(json!({ "port": 45892, "secret": "wake" }))?;
/// assert_eq!(config.get("port"), Some(&json!(45892)));
/// assert_eq!(config.to_value()["secret"], "wake");
/// // What could be secret is not logged by accident.
/// assert_eq!(format!("{config:?}"), r#"{"port": "***", "secret": "***"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct PluginConfig(Map<String, Value>);

const NONE: &str = "none";
const ISOLATION: &str = "isolation";
const EXPECTED: &str = "\"none\", the name of a connector, or a table such as { tcp = { port = 9000 } }";

// === impl ConnectConfig ===

impl ConnectConfig {
    /// The connector, if there is one.
    #[must_use]
    pub const fn connector(&self) -> Option<&ConnectorConfig> {
        match self {
            Self::None => None,
            Self::Connector(connector) => Some(connector),
        }
    }

    /// A connector with nothing configured.
    fn named(name: &str) -> Self {
        Self::Connector(ConnectorConfig {
            name: name.to_owned(),
            config: PluginConfig::default(),
            isolation: IsolationConfig::default(),
        })
    }

    /// The name of the connector, or `none`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.connector().map_or(NONE, |connector| &connector.name)
    }
}

impl Default for ConnectConfig {
    /// What libcluster does: links by Erlang distribution.
    fn default() -> Self {
        Self::named(CONNECTOR_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for ConnectConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ConnectConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<ConnectConfig, E> {
                match name {
                    NONE => Ok(ConnectConfig::None),
                    "" => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
                    _ => Ok(ConnectConfig::named(name)),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ConnectConfig, A::Error> {
                let Some(name) = map.next_key::<String>()? else {
                    return Err(A::Error::custom(format_args!("names no connector: expected {EXPECTED}")));
                };
                let Table { isolation, config } = map.next_value()?;
                if let Some(other) = map.next_key::<String>()? {
                    return Err(A::Error::custom(format_args!(
                        "names two connectors, `{name}` and `{other}`: a topology has one"
                    )));
                }
                match name.as_str() {
                    NONE => Err(A::Error::custom("write connect = \"none\"")),
                    _ => Ok(ConnectConfig::Connector(ConnectorConfig { name, config, isolation })),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ConnectConfig {
    fn schema_name() -> Cow<'static, str> {
        "Connect".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<Map<String, Value>>();
        json_schema!({
            "anyOf": [
                { "const": NONE },
                { "type": "string" },
                { "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": table },
            ],
        })
    }
}

/// A connector's table, the host's key apart.
struct Table {
    isolation: IsolationConfig,
    config: PluginConfig,
}

impl<'de> Deserialize<'de> for Table {
    /// Written by hand: `flatten` would lose the path of a wrong `isolation`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Table;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with the connector's config")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
                let mut isolation = IsolationConfig::default();
                let mut config = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        ISOLATION => isolation = map.next_value()?,
                        _ => {
                            config.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(Table { isolation, config: PluginConfig(config) })
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

// === impl PluginConfig ===

impl PluginConfig {
    /// The value of one key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All of it as a JSON object, secrets included: for the plugin alone.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

impl From<Map<String, Value>> for PluginConfig {
    fn from(config: Map<String, Value>) -> Self {
        Self(config)
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|key| (key, "***"))).finish()
    }
}

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for PluginConfig {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PluginConfig".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}
