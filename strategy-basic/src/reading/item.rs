//! One item of a list of JSON as a node.

use std::borrow::Cow;

use cluster_sdk::{Node, NodeError, NodeName, TemplateValues, UnnamedError, serde_json::Value};

use super::{
    Mapping,
    field::{Field, Port, find},
    kind,
};

/// The keys of an item in the form that needs no options.
const KEYS: [&str; 4] = ["name", "address", "addresses", "attributes"];
/// Stands for the whole of an item that is a text.
const WHOLE: &str = "value";

/// Why an item is no node. The others can be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ItemError {
    /// It is neither a text nor an object.
    #[error("it is {0}: nodes are texts or objects")]
    Kind(&'static str),
    /// It has no name.
    #[error("{0}")]
    Unnamed(#[from] UnnamedError),
    /// It has no name, and no template says where to find one.
    #[error("it has no \"name\": say how nodes are named with name_template, as \"app@{{address}}\"")]
    NoName,
    /// It has a key that means nothing, which may be a misspelt one.
    #[error(
        "it has {0:?}, which means nothing: put it into \"attributes\", or say with name_template, addresses or attributes \
         what is to be read"
    )]
    UnknownKey(String),
    /// A field is of another kind than is needed.
    #[error("{0} is {1}, but should be {2}")]
    Field(String, &'static str, &'static str),
    /// It is more than a node can be.
    #[error("{0}")]
    Node(#[from] NodeError),
}

/// An item, for templates.
pub(super) struct Item<'a>(pub(super) &'a Value);

impl TemplateValues for Item<'_> {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        if placeholder == WHOLE && self.0.is_string() {
            return text(self.0);
        }
        text(find(self.0, placeholder)?)
    }
}

pub(super) fn read(item: &Value, mapping: &Mapping) -> Result<Node, ItemError> {
    match item {
        Value::String(name) if mapping.name.is_none() => {
            let name = NodeName::try_new(name).map_err(UnnamedError::from)?;
            return checked(&Node::new(name));
        }
        Value::Object(_) | Value::String(_) => {}
        other => return Err(ItemError::Kind(kind(Some(other)))),
    }
    check_keys(item, mapping)?;
    let name = match &mapping.name {
        Some(template) => template.name(&Item(item))?,
        None => {
            let name = item.get("name").and_then(Value::as_str).ok_or(ItemError::NoName)?;
            NodeName::try_new(name).map_err(UnnamedError::from)?
        }
    };
    let mut node = Node::new(name);
    for address in addresses(item, mapping)? {
        node = node.address(&address);
    }
    let attributes = attributes(item, mapping)?;
    let attributes = attributes.iter().map(|(key, value)| (*key, value.as_ref()));
    checked(&node.with_attributes(attributes))
}

/// Without options an item has the keys that mean something and no other: a misspelt one that changes nothing would be
/// hard to find. With options the item is somebody else's.
fn check_keys(item: &Value, mapping: &Mapping) -> Result<(), ItemError> {
    if mapping.name.is_some() || mapping.addresses.is_some() || mapping.attributes.is_some() {
        return Ok(());
    }
    let port = match &mapping.port {
        Some(Port::Field(field)) => Some(field.key()),
        _ => None,
    };
    let mut keys = item.as_object().into_iter().flat_map(|item| item.keys());
    match keys.find(|key| !KEYS.contains(&key.as_str()) && port.as_deref() != Some(key.as_str())) {
        Some(key) => Err(ItemError::UnknownKey(key.clone())),
        None => Ok(()),
    }
}

fn addresses<'a>(item: &'a Value, mapping: &Mapping) -> Result<Vec<Cow<'a, str>>, ItemError> {
    let mut addresses = Vec::new();
    let mut add = |name: &str, value: &'a Value| {
        let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for address in list {
            match address {
                Value::String(address) if address.is_empty() => {}
                Value::String(address) => addresses.push(Cow::Borrowed(address.as_str())),
                other => return Err(wrong(name, other, "an address or a list of addresses")),
            }
        }
        Ok(())
    };
    match &mapping.addresses {
        Some(fields) => {
            for field in fields {
                field.of(item).map_or(Ok(()), |value| add(field.as_str(), value))?;
            }
        }
        None => {
            for name in ["addresses", "address"] {
                item.get(name).filter(|value| !value.is_null()).map_or(Ok(()), |value| add(name, value))?;
            }
        }
    }
    let Some(port) = port(item, mapping)? else { return Ok(addresses) };
    Ok(addresses.iter().map(|address| Cow::Owned(with_port(address, port))).collect())
}

fn port(item: &Value, mapping: &Mapping) -> Result<Option<u16>, ItemError> {
    let field = match &mapping.port {
        None => return Ok(None),
        Some(Port::Number(port)) => return Ok(Some(*port)),
        Some(Port::Field(field)) => field,
    };
    let Some(value) = field.of(item) else { return Ok(None) };
    let number = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|port| u16::try_from(port).ok()),
    };
    number.map(Some).ok_or_else(|| wrong(field.as_str(), value, "a port"))
}

/// IPv6 addresses get brackets.
fn with_port(address: &str, port: u16) -> String {
    if address.contains(':') && !address.starts_with('[') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

fn attributes<'a>(item: &'a Value, mapping: &'a Mapping) -> Result<Vec<(&'a str, Cow<'a, str>)>, ItemError> {
    const FORM: &str = "a text, a number, true, false or a list of texts";
    let pairs: Vec<(&str, &str, &Value)> = match &mapping.attributes {
        Some(fields) => {
            let found = |(name, field): (&'a String, &'a Field)| {
                Some((name.as_str(), field.as_str(), field.of(item)?))
            };
            fields.iter().filter_map(found).collect()
        }
        None => match item.get("attributes") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(own)) => own
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.as_str(), name.as_str(), value))
                .collect(),
            Some(other) => return Err(wrong("attributes", other, "an object")),
        },
    };
    let read = |(name, field, value)| match joined(value) {
        Some(text) => Ok((name, text)),
        None => Err(wrong(field, value, FORM)),
    };
    pairs.into_iter().map(read).collect()
}

/// A text, or a list of texts joined by commas.
fn joined(value: &Value) -> Option<Cow<'_, str>> {
    let Value::Array(list) = value else { return text(value) };
    let texts: Option<Vec<_>> = list.iter().map(text).collect();
    Some(texts?.join(",").into())
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn wrong(name: &str, value: &Value, form: &'static str) -> ItemError {
    ItemError::Field(name.to_owned(), kind(Some(value)), form)
}

/// The node, unless it is over a limit: then the whole report would be refused.
fn checked(node: &Node) -> Result<Node, ItemError> {
    Ok(Node::from_entry_bytes(node.name().clone(), node.entry_bytes())?)
}
