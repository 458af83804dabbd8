//! An object with the bytes in which it is served.

use std::fmt::Write as _;

use hyper::body::Bytes;
use serde_json::Value;

use crate::kind::Kind;

/// Where an object is. The order is that of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object, serialised once.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: Key,
    /// Without `kind` and `apiVersion`, as it is in lists.
    value: Value,
    /// The same, serialised.
    item: Bytes,
}

/// How much of objects is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All.
    Full,
    /// The metadata, as `PartialObjectMetadata`.
    Metadata,
}

// === impl Key ===

impl Key {
    /// Where `value` belongs, or what is wrong with it.
    pub(crate) fn of(value: &Value) -> Result<Self, String> {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (name, api_version) = (text("/kind"), text("/apiVersion"));
        let Some(kind) = Kind::of(name, api_version) else {
            return Err(format!("the server has no kind \"{name}\" of apiVersion \"{api_version}\""));
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        if namespace.is_empty() || name.is_empty() {
            return Err(format!("metadata.namespace or metadata.name is missing in {value}"));
        }
        Ok(Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

// === impl Object ===

impl Object {
    /// `value` at `key`.
    pub(crate) fn new(key: Key, mut value: Value) -> Self {
        if let Some(fields) = value.as_object_mut() {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        let item = Bytes::from(value.to_string());
        Self { key, value, item }
    }

    /// The same with another version, as it is told when it is gone.
    pub(crate) fn with_version(&self, version: u64) -> Self {
        let mut value = self.value.clone();
        value["metadata"]["resourceVersion"] = version.to_string().into();
        Self::new(self.key.clone(), value)
    }

    /// With `kind` and `apiVersion`.
    pub(crate) fn value(&self) -> Value {
        let mut value = self.value.clone();
        value["kind"] = self.key.kind.name().into();
        value["apiVersion"] = self.key.kind.api_version().into();
        value
    }

    /// What is at this pointer, if it is text.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer)?.as_str()
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.value["metadata"]["labels"].get(key)?.as_str()
    }

    /// Appends it as it is in a list.
    pub(crate) fn write_item(&self, form: Form, buffer: &mut Vec<u8>) {
        match form {
            Form::Full => buffer.extend_from_slice(&self.item),
            Form::Metadata => self.write_metadata(buffer),
        }
    }

    /// Appends it as it is alone, or in an event.
    pub(crate) fn write(&self, form: Form, buffer: &mut Vec<u8>) {
        match form {
            Form::Full => {
                let mut head = String::with_capacity(64);
                let (kind, api_version) = (self.key.kind.name(), self.key.kind.api_version());
                _ = write!(head, r#"{{"kind":"{kind}","apiVersion":"{api_version}","#);
                buffer.extend_from_slice(head.as_bytes());
                buffer.extend_from_slice(self.item.get(1..).unwrap_or_default());
            }
            Form::Metadata => self.write_metadata(buffer),
        }
    }

    fn write_metadata(&self, buffer: &mut Vec<u8>) {
        let metadata = &self.value["metadata"];
        let text = format!(
            r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{metadata}}}"#
        );
        buffer.extend_from_slice(text.as_bytes());
    }
}

// === impl Form ===

impl Form {
    /// What an `Accept` header asks for.
    pub(crate) fn of(accept: &str) -> Self {
        if accept.contains("as=PartialObjectMetadata") { Self::Metadata } else { Self::Full }
    }
}
