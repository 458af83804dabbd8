//! Where the values of placeholders come from.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
};

use serde_json::Value;

/// What is known of one node, by the names of placeholders.
///
/// # Examples
///
/// ```
/// use std::{borrow::Cow, net::Ipv4Addr};
///
/// use cluster_sdk::{AnyPlaceholder, NameTemplate, TemplateValues};
///
/// struct Machine {
///     id: String,
///     ip: Ipv4Addr,
/// }
///
/// impl TemplateValues for Machine {
///     fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
///         match placeholder {
///             "id" => Some(self.id.as_str().into()),
///             "ip" => Some(self.ip.to_string().into()),
///             _ => None,
///         }
///     }
/// }
///
/// let template: NameTemplate<AnyPlaceholder> = "{id}@{ip}".parse()?;
/// let machine = Machine { id: "web-1".to_owned(), ip: Ipv4Addr::new(10, 0, 0, 7) };
/// assert_eq!(template.name(&machine)?.as_str(), "web-1@10.0.0.7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait TemplateValues {
    /// The value for a placeholder; nothing where the node has none.
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>>;
}

/// Pairs of a name and a value; of doubles the first.
impl<K: AsRef<str>, V: AsRef<str>> TemplateValues for [(K, V)] {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        let found = self.iter().find(|(name, _)| name.as_ref() == placeholder);
        found.map(|(_, value)| value.as_ref().into())
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> TemplateValues for [(K, V); N] {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        self.as_slice().value(placeholder)
    }
}

impl<K: AsRef<str>, V: AsRef<str>> TemplateValues for Vec<(K, V)> {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        self.as_slice().value(placeholder)
    }
}

impl TemplateValues for BTreeMap<String, String> {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        self.get(placeholder).map(Into::into)
    }
}

impl<S: BuildHasher> TemplateValues for HashMap<String, String, S> {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        self.get(placeholder).map(Into::into)
    }
}

/// An object of JSON: its key of that name, or, by dots, one of the objects in it. Texts, numbers, true and false have
/// values.
impl TemplateValues for Value {
    fn value(&self, placeholder: &str) -> Option<Cow<'_, str>> {
        let found = self
            .get(placeholder)
            .or_else(|| placeholder.split('.').try_fold(self, |value, key| value.get(key)));
        match found? {
            Self::String(text) => Some(text.into()),
            found @ (Self::Number(_) | Self::Bool(_)) => Some(found.to_string().into()),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }
}
