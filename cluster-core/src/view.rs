//! What a strategy reports: a complete or partial list (`Reset`), or single changes (`Apply`).

use std::time::Duration;

use crate::node::{Node, NodeError, NodeRef};

/// Whether a list names every node of the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// Absent means gone (subject to the prune policy).
    Complete,
    /// Absent means unknown: nothing is withdrawn.
    Partial,
}

/// A strategy's answer: the nodes that should be in the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whether the list is all there is.
    pub completeness: Completeness,
    /// How long the answer vouches for its nodes; for ever where absent.
    pub ttl: Option<Duration>,
    /// The nodes.
    pub nodes: NodeList,
}

/// Single changes that the source itself named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// How long this vouches for the upserted nodes; for ever where absent.
    pub ttl: Option<Duration>,
    /// Nodes that are there, new or changed or merely heard again.
    pub upserts: NodeList,
    /// Nodes that are gone. An incarnation on one limits the removal to that incarnation and older ones.
    pub removals: NodeList,
}

/// What a strategy hands over. It says what it knows and never diffs. A failed look-up is no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A new list in place of all that was said before.
    Reset(View),
    /// Changes to what was said before.
    Apply(Changes),
}

/// Flat records (see [`crate::node`]), sorted by name, each name once.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct NodeList {
    bytes: Vec<u8>,
    /// Offset of each record, in the order of names.
    index: Vec<u32>,
}

/// Bytes that a whole list may have at most, so that an offset fits in 32 bits.
pub const LIST_BYTES_MAX: usize = 1 << 30;

// === impl View ===

impl View {
    /// A complete view: who is not named is gone.
    pub fn complete(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self { completeness: Completeness::Complete, ttl: None, nodes: nodes.into_iter().collect() }
    }

    /// A partial view: of who is not named nothing is known.
    pub fn partial(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self { completeness: Completeness::Partial, ttl: None, nodes: nodes.into_iter().collect() }
    }

    /// Limits how long the view vouches for its nodes.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

// === impl NodeList ===

impl NodeList {
    /// Takes bytes of records as they came. Only the structure is checked here; names and entries are checked
    /// where a record differs from what is known, because what equals the known is valid.
    ///
    /// # Errors
    /// [`NodeError`] when the bytes are not records.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, NodeError> {
        if bytes.len() > LIST_BYTES_MAX {
            return Err(NodeError::TooLarge(0, bytes.len()));
        }
        let mut index = Vec::new();
        let mut rest = bytes.as_slice();
        let mut previous: Option<&[u8]> = None;
        let mut sorted = true;
        while !rest.is_empty() {
            let offset = bytes.len().saturating_sub(rest.len());
            let (record, after) = NodeRef::split(rest, offset)?;
            sorted &= previous.is_none_or(|name| name < record.name);
            previous = Some(record.name);
            index.push(u32::try_from(offset).unwrap_or(u32::MAX));
            rest = after;
        }
        let mut list = Self { bytes, index };
        if !sorted {
            list.sort();
        }
        Ok(list)
    }

    /// Sorts by name; of equal names the one that came last stays.
    fn sort(&mut self) {
        let mut index = std::mem::take(&mut self.index);
        index.sort_by(|a, b| self.at(*a).name.cmp(self.at(*b).name).then(b.cmp(a)));
        index.dedup_by(|later, kept| self.at(*later).name == self.at(*kept).name);
        self.index = index;
    }

    fn at(&self, offset: u32) -> NodeRef<'_> {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| NodeRef::split(self.bytes.get(offset..)?, offset).ok())
            .map_or(NodeRef { name: &[], entries: &[] }, |(record, _)| record)
    }

    /// The records in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = NodeRef<'_>> {
        self.index.iter().map(|offset| self.at(*offset))
    }

    /// How many nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The flat records as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for NodeList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|record| record.to_node())).finish()
    }
}

impl FromIterator<Node> for NodeList {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        let mut bytes = Vec::new();
        for node in nodes {
            node.encode(&mut bytes);
        }
        Self::parse(bytes).unwrap_or_default()
    }
}
