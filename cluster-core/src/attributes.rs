//! What sources say of a node, as members show it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::node::{Entries, push_text};

/// Attributes by key, in the order of the keys.
///
/// One allocation, shared by every member and event that has the same: each change of a node is an event with the whole
/// member, and maps of their own would be most of what a large membership takes of memory.
///
/// ```
/// use cluster_core::Attributes;
/// let attributes: Attributes = [("zone", "eu-1"), ("role", "api"), ("zone", "us-2")].into_iter().collect();
/// assert_eq!(attributes.iter().collect::<Vec<_>>(), [("role", "api"), ("zone", "us-2")]);
/// assert_eq!(attributes.get("zone"), Some("us-2"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Attributes(Arc<[u8]>);

impl Attributes {
    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = |bytes| str::from_utf8(bytes).unwrap_or("");
        Entries::of(&self.0).map_while(Result::ok).map(move |(key, value)| (text(key), text(value)))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of two with one key the later counts.
impl<'a> FromIterator<(&'a str, &'a str)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(attributes: I) -> Self {
        attributes.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl From<BTreeMap<&str, &str>> for Attributes {
    fn from(attributes: BTreeMap<&str, &str>) -> Self {
        let mut entries = Vec::new();
        for (key, value) in attributes {
            push_text(&mut entries, key);
            push_text(&mut entries, value);
        }
        Self(entries.into())
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
