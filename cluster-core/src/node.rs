//! A node as a source describes it, and the flat form in which descriptions travel.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use crate::name::{NameError, NodeName};

/// Bytes that one record may have at most.
pub const NODE_BYTES_MAX: usize = 16 * 1024;
/// Entries (attributes and addresses) that one node may have at most.
pub const NODE_ENTRIES_MAX: usize = 128;

const ADDRESS: &str = ".address";
const INCARNATION: &str = ".incarnation";
const LEAVING: &str = ".leaving";

/// A node and what its source says of it: addresses, attributes, incarnation, whether it is leaving.
///
/// ```
/// use cluster_core::Node;
/// let node = Node::try_new("app@10.0.0.7")?.address("10.0.0.7:9000").attribute("zone", "eu-1");
/// assert_eq!(node.attributes().collect::<Vec<_>>(), [("zone", "eu-1")]);
/// # Ok::<(), cluster_core::NameError>(())
/// ```
///
/// The flat form is the one vocabulary of plugins, runners, the gossip wire and this crate (all integers
/// little-endian), so that a description is copied and compared as bytes and grows without a new layout:
///
/// ```text
/// record := u32 bytes that follow | u16 name length | name | entry*
/// entry  := u16 key length | key | u16 value length | value        (UTF-8 both)
/// ```
///
/// Keys that begin with `.` are reserved: `.address` (may repeat), `.incarnation` (decimal), `.leaving`.
/// A reader keeps and ignores reserved keys that it does not know.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Node {
    name: NodeName,
    entries: Arc<[u8]>,
}

/// Why bytes are not a list of records. Nothing changed; whoever encoded them can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A length points past the end, or bytes are left over.
    #[error("record at byte {0} is cut off or has a wrong length")]
    Malformed(usize),
    /// The list is larger than [`LIST_BYTES_MAX`](crate::view::LIST_BYTES_MAX).
    #[error("list of {0} bytes: at most {max} are possible", max = crate::view::LIST_BYTES_MAX)]
    ListTooLarge(usize),
    /// The record is larger than [`NODE_BYTES_MAX`].
    #[error("record at byte {0} has {1} bytes: at most {NODE_BYTES_MAX} are possible")]
    TooLarge(usize, usize),
    /// More than [`NODE_ENTRIES_MAX`] entries.
    #[error("node {0} has more than {NODE_ENTRIES_MAX} addresses and attributes")]
    TooManyEntries(NodeName),
    /// A key or a value is not UTF-8, a key is empty, or a reserved key has a wrong value.
    #[error("node {node}: attribute {key:?} is not valid")]
    BadEntry {
        /// The node that carries it.
        node: NodeName,
        /// The key, with what is not UTF-8 replaced.
        key: String,
    },
    /// The name is no node name.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// One record of a [`NodeList`](crate::view::NodeList), borrowed: not validated beyond its structure.
///
/// # Examples
///
/// ```
/// use cluster_core::{Node, NodeList};
///
/// let node = Node::try_new("a@h")?.attribute("zone", "eu-1");
/// let list: NodeList = [node.clone()].into_iter().collect();
/// let record = list.iter().next().ok_or("there is none")?;
/// // What is said of it is compared without making a node of it.
/// assert!(record.is(&node) && !record.is(&Node::try_new("a@h")?));
/// assert_eq!((record.to_node()?, record.to_name()?), (node, "a@h".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRef<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) entries: &'a [u8],
}

// === impl Node ===

impl Node {
    /// A node of which only the name is known.
    #[must_use]
    pub fn new(name: NodeName) -> Self {
        Self { name, entries: Arc::default() }
    }

    /// Like [`Node::new`], parsing the name.
    ///
    /// # Errors
    /// [`NameError`] when the text is not a node name.
    pub fn try_new(name: &str) -> Result<Self, NameError> {
        Ok(Self::new(NodeName::try_new(name)?))
    }

    /// Adds an address (`ip:port`, `host:port`, or a bare host where the connector knows the port).
    #[must_use]
    pub fn address(self, address: &str) -> Self {
        self.with_entry(ADDRESS, address)
    }

    /// Sets the incarnation: a number that grows with each restart of the node.
    #[must_use]
    pub fn with_incarnation(self, incarnation: u64) -> Self {
        self.with_entry(INCARNATION, &incarnation.to_string())
    }

    /// Marks the node as about to go: it is not connected anew.
    #[must_use]
    pub fn with_leaving(self) -> Self {
        self.with_entry(LEAVING, "")
    }

    /// Adds an attribute. Of two with one key the later counts. Keys that begin with `.` are reserved: such an
    /// attribute is stored with the dot replaced by `_`. What is longer than 65,535 bytes is cut off.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_core::Node;
    ///
    /// let node = Node::try_new("a@h")?.attribute("zone", "eu-1").attribute("zone", "us-2").attribute(".leaving", "");
    /// assert_eq!(node.attribute_map().into_iter().collect::<Vec<_>>(), [
    ///     ("_leaving".to_owned(), String::new()),
    ///     ("zone".to_owned(), "us-2".to_owned()),
    /// ]);
    /// assert!(!node.is_leaving(), "what a source calls an attribute is never taken for more");
    /// # Ok::<(), cluster_core::NameError>(())
    /// ```
    #[must_use]
    pub fn attribute(self, key: &str, value: &str) -> Self {
        self.with_attributes([(key, value)])
    }

    /// Adds attributes as [`Node::attribute`] does, all at once: where there are many nodes, one by one is a copy of the
    /// entries for each.
    #[must_use]
    pub fn with_attributes<'a>(self, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let unreserved = |key: &'a str| match key.strip_prefix('.') {
            Some(rest) => Cow::Owned(format!("_{rest}")),
            None => Cow::Borrowed(key),
        };
        self.with_entries(attributes.into_iter().map(|(key, value)| (unreserved(key), value)))
    }

    fn with_entry(self, key: &str, value: &str) -> Self {
        self.with_entries([(Cow::Borrowed(key), value)])
    }

    fn with_entries<'a>(mut self, added: impl IntoIterator<Item = (Cow<'a, str>, &'a str)>) -> Self {
        let mut entries = self.entries.to_vec();
        for (key, value) in added {
            push_text(&mut entries, &key);
            push_text(&mut entries, value);
        }
        self.entries = entries.into();
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// The addresses, in the order of the source's preference.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.entries().filter(|(key, _)| *key == ADDRESS).map(|(_, value)| value)
    }

    /// The attributes, as given: neither sorted nor freed of doubles. See [`Node::attribute_map`].
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries().filter(|(key, _)| !key.starts_with('.'))
    }

    /// The attributes by key; of doubles the last.
    #[must_use]
    pub fn attribute_map(&self) -> BTreeMap<String, String> {
        self.attributes().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// The incarnation, where the source knows one.
    #[must_use]
    pub fn incarnation(&self) -> Option<u64> {
        self.entries().filter(|(key, _)| *key == INCARNATION).last().and_then(|(_, value)| value.parse().ok())
    }

    /// Whether the source says that the node is about to go.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.entries().any(|(key, _)| key == LEAVING)
    }

    /// The flat entries, to be carried elsewhere: see the module documentation.
    #[must_use]
    pub fn entry_bytes(&self) -> &[u8] {
        &self.entries
    }

    /// A node from its name and flat entries.
    ///
    /// # Errors
    /// [`NodeError`] when the entries are malformed or over a limit.
    pub fn from_entry_bytes(name: NodeName, entries: &[u8]) -> Result<Self, NodeError> {
        if entries.len() > NODE_BYTES_MAX {
            return Err(NodeError::TooLarge(0, entries.len()));
        }
        check_entries(&name, entries)?;
        Ok(Self { name, entries: entries.into() })
    }

    /// Appends the record to a buffer.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        let length = 2 + self.name.as_str().len() + self.entries.len();
        buffer.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        push_text(buffer, self.name.as_str());
        buffer.extend_from_slice(&self.entries);
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        Entries::of(&self.entries)
            .map_while(Result::ok)
            .map(|(key, value)| (str::from_utf8(key).unwrap_or(""), str::from_utf8(value).unwrap_or("")))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        f.debug_map().entries(self.entries()).finish()
    }
}

impl From<NodeName> for Node {
    fn from(name: NodeName) -> Self {
        Self::new(name)
    }
}

// === impl NodeRef ===

impl<'a> NodeRef<'a> {
    /// Reads the record at the start of `bytes`, which is at `offset` of the whole, and what follows it.
    pub(crate) fn split(bytes: &'a [u8], offset: usize) -> Result<(Self, &'a [u8]), NodeError> {
        let (record, rest) = Self::split_any(bytes).ok_or(NodeError::Malformed(offset))?;
        let length = bytes.len().saturating_sub(rest.len()).saturating_sub(4);
        if length > NODE_BYTES_MAX {
            return Err(NodeError::TooLarge(offset, length));
        }
        Ok((record, rest))
    }

    /// Reads the record at the start of `bytes`, however large, and what follows it.
    pub(crate) fn split_any(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let (name, entries) = split_text(record)?;
        Some((Self { name, entries }, rest))
    }

    /// Whether this record says exactly what `node` says.
    #[must_use]
    pub fn is(&self, node: &Node) -> bool {
        self.name == node.name.as_str().as_bytes() && *self.entries == *node.entries
    }

    /// The record as a node.
    ///
    /// # Errors
    /// [`NodeError`] when its name or an entry is not valid.
    pub fn to_node(&self) -> Result<Node, NodeError> {
        Node::from_entry_bytes(self.to_name()?, self.entries)
    }

    /// The record's name alone.
    ///
    /// # Errors
    /// [`NodeError::Name`] when it is no node name.
    pub fn to_name(&self) -> Result<NodeName, NodeError> {
        match str::from_utf8(self.name) {
            Ok(name) => Ok(NodeName::try_new(name)?),
            Err(_not_text) => {
                let name = String::from_utf8_lossy(self.name).into_owned();
                Err(NameError::NodeNameUnprintable(name).into())
            }
        }
    }
}

/// Iterates over raw entries; an error is the last item.
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(crate) fn of(entries: &'a [u8]) -> Self {
        Self { rest: entries }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = split_text(self.rest).and_then(|(key, rest)| {
            let (value, rest) = split_text(rest)?;
            Some((key, value, rest))
        });
        match entry {
            Some((key, value, rest)) => {
                self.rest = rest;
                Some(Ok((key, value)))
            }
            None => {
                self.rest = &[];
                Some(Err(()))
            }
        }
    }
}

fn check_entries(name: &NodeName, entries: &[u8]) -> Result<(), NodeError> {
    for (count, entry) in Entries::of(entries).enumerate() {
        if count >= NODE_ENTRIES_MAX {
            return Err(NodeError::TooManyEntries(name.clone()));
        }
        let (key, value) = entry.map_err(|()| NodeError::Malformed(0))?;
        let bad =
            || NodeError::BadEntry { node: name.clone(), key: String::from_utf8_lossy(key).into_owned() };
        let text = str::from_utf8(value).map_err(|_not_text| bad())?;
        match str::from_utf8(key) {
            Ok("") | Err(_) => return Err(bad()),
            Ok(INCARNATION) if text.parse::<u64>().is_err() => return Err(bad()),
            Ok(_) => {}
        }
    }
    Ok(())
}

pub(crate) fn push_text(buffer: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let text = text.get(..text.floor_char_boundary(usize::from(length))).unwrap_or(text);
    buffer.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    buffer.extend_from_slice(text.as_bytes());
}

fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node says what it was told, in the order in which it was told, and is the same from its flat form.
    #[test]
    fn round_trip() {
        let node = Node::try_new("a@h").unwrap().address("1.1:1").attribute("zone", "eu").address("[::1]:2");
        let node =
            node.attribute(".reserved", "no").attribute("zone", "us").with_incarnation(7).with_leaving();
        let again = Node::from_entry_bytes(node.name().clone(), node.entry_bytes()).unwrap();
        assert_eq!(again, node);
        assert_eq!(again.addresses().collect::<Vec<_>>(), ["1.1:1", "[::1]:2"]);
        assert_eq!(again.incarnation(), Some(7));
        assert!(again.is_leaving());
        let attributes = again.attribute_map();
        let attributes: Vec<_> =
            attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(attributes, [("_reserved", "no"), ("zone", "us")]);
    }

    /// Entries that are not valid are refused with the node and the key that are at fault.
    #[test]
    fn bad_entries() {
        let check = |entries: &[(&[u8], &[u8])], reason: &str| {
            let mut bytes = Vec::new();
            for part in entries.iter().flat_map(|(key, value)| [key, value]) {
                bytes.extend_from_slice(&u16::try_from(part.len()).unwrap().to_le_bytes());
                bytes.extend_from_slice(part);
            }
            let refused = Node::from_entry_bytes(NodeName::try_new("a@h").unwrap(), &bytes).unwrap_err();
            assert_eq!(refused.to_string(), reason);
        };
        check(&[(b"", b"x")], r#"node a@h: attribute "" is not valid"#);
        check(&[(b"zone", b"\xff")], r#"node a@h: attribute "zone" is not valid"#);
        check(&[(b".incarnation", b"x")], r#"node a@h: attribute ".incarnation" is not valid"#);
        check(
            &[(b"k".as_slice(), b"v".as_slice()); NODE_ENTRIES_MAX + 1],
            "node a@h has more than 128 addresses and attributes",
        );
    }
}
