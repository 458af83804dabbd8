//! The node that the host runs beside, and single values that must be of some form.

use std::{collections::BTreeMap, fmt::Display};

use cluster_core::NodeName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

use crate::api::ListenAddress;

/// Bytes that the name of a cluster may have at most: it is in every heartbeat.
const CLUSTER_BYTES_MAX: usize = 255;
/// Attributes of `[node]` at most, as there is one record for all that is known of a node.
const ATTRIBUTES_MAX: usize = 64;
/// Bytes of an attribute's key or value at most.
const ATTRIBUTE_BYTES_MAX: usize = 1024;
/// Addresses of `[node]` at most.
const ADDRESSES_MAX: usize = 16;

/// `[node]`: what is told of the node that the host runs beside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Its name.
    #[serde(deserialize_with = "node_name")]
    #[schemars(with = "String", description = "the name of the node: name@host")]
    pub name: NodeName,
    /// Free attributes, told to the other nodes.
    #[serde(default, deserialize_with = "attributes")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub attributes: BTreeMap<String, String>,
    /// Where it can be reached (`ip:port`, `host:port` or a bare host), the preferred one first.
    #[serde(default, deserialize_with = "addresses")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<String>,
}

pub(super) fn cluster_default() -> String {
    super::CLUSTER_DEFAULT.to_owned()
}

pub(super) fn cluster<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_fit = !name.is_empty() && name.len() <= CLUSTER_BYTES_MAX && !name.contains(char::is_control);
    let reason = format_args!("a cluster's name has 1 to {CLUSTER_BYTES_MAX} printable bytes");
    if is_fit { Ok(name) } else { Err(D::Error::custom(reason)) }
}

pub(super) fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ListenAddress>, D::Error> {
    let text = String::deserialize(deserializer)?;
    ListenAddress::parse(&text).map(Some).map_err(D::Error::custom)
}

fn node_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeName, D::Error> {
    NodeName::try_new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let attributes = BTreeMap::<AttributeKey, AttributeValue>::deserialize(deserializer)?;
    limited::<_, D::Error>(attributes.len(), ATTRIBUTES_MAX, "attributes")?;
    Ok(attributes.into_iter().map(|(key, value)| (key.0, value.0)).collect())
}

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let addresses = Vec::<Address>::deserialize(deserializer)?;
    limited::<_, D::Error>(addresses.len(), ADDRESSES_MAX, "addresses")?;
    Ok(addresses.into_iter().map(|address| address.0).collect())
}

fn limited<W: Display, E: Error>(count: usize, most: usize, what: W) -> Result<(), E> {
    if count <= most {
        Ok(())
    } else {
        Err(E::custom(format_args!("{count} {what}: at most {most} are possible")))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct AttributeKey(String);
struct AttributeValue(String);
struct Address(String);

impl<'de> Deserialize<'de> for AttributeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key.is_empty() || key.starts_with('.') || key.len() > ATTRIBUTE_BYTES_MAX {
            let reason = "an attribute's key is not empty, not too long, and does not begin with a dot";
            return Err(D::Error::custom(reason));
        }
        Ok(Self(key))
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = String::deserialize(deserializer)?;
        limited::<_, D::Error>(value.len(), ATTRIBUTE_BYTES_MAX, "bytes")?;
        Ok(Self(value))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = String::deserialize(deserializer)?;
        let is_fit = !address.is_empty() && !address.contains(|c: char| c.is_whitespace() || c.is_control());
        let reason = format_args!("{address:?} is no address: write ip:port, host:port or a host");
        if is_fit { Ok(Self(address)) } else { Err(D::Error::custom(reason)) }
    }
}
