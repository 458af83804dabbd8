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
    /// The records came in the order of their names, so that each begins where the one before it ends.
    in_order: bool,
}

/// How a list differs from the one before it, in the order of names.
#[derive(Debug, Default)]
pub(crate) struct ListChanges<'a> {
    /// Records that the other list has not, or has differently.
    pub(crate) named: Vec<NodeRef<'a>>,
    /// Records of the other list whose names this one has not.
    pub(crate) unnamed: Vec<NodeRef<'a>>,
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
            return Err(NodeError::ListTooLarge(bytes.len()));
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
        Ok(Self::indexed(bytes, index, sorted))
    }

    /// Sorts by name, unless that is done; of equal names the one that came last stays.
    fn indexed(bytes: Vec<u8>, mut index: Vec<u32>, in_order: bool) -> Self {
        let mut list = Self { bytes, index: Vec::new(), in_order };
        if !in_order {
            list.sort(&mut index);
        }
        list.index = index;
        list
    }

    /// Names of one list mostly begin alike, so that what follows tells them apart: eight bytes of that lie beside
    /// each offset, and few comparisons need to look at the names themselves.
    fn sort(&self, index: &mut Vec<u32>) {
        let first = index.first().map_or(&[][..], |offset| self.at(*offset).name);
        let alike = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let common = index.iter().fold(first.len(), |common, offset| {
            let first = first.get(..common).unwrap_or_default();
            alike(first, self.at(*offset).name)
        });
        let key = |offset: u32| {
            let rest = self.at(offset).name.get(common..).unwrap_or_default();
            let mut key = [0; 8];
            key.iter_mut().zip(rest).for_each(|(key, byte)| *key = *byte);
            (u64::from_be_bytes(key), offset)
        };
        let mut keyed: Vec<_> = index.iter().map(|offset| key(*offset)).collect();
        keyed.sort_unstable_by(|(key_a, a), (key_b, b)| {
            key_a.cmp(key_b).then_with(|| self.at(*a).name.cmp(self.at(*b).name)).then(b.cmp(a))
        });
        keyed.dedup_by(|(key_a, a), (key_b, b)| key_a == key_b && self.at(*a).name == self.at(*b).name);
        index.clear();
        index.extend(keyed.iter().map(|(_, offset)| *offset));
    }

    fn at(&self, offset: u32) -> NodeRef<'_> {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| NodeRef::split_any(self.bytes.get(offset..)?))
            .map_or(NodeRef { name: &[], entries: &[] }, |(record, _)| record)
    }

    /// How this list differs from the one before it.
    ///
    /// Records in the order of their names, as most sources give them, have the long stretches before and after
    /// the few changes in common byte by byte: that is compared at the speed of memory.
    pub(crate) fn changes_since<'a>(&'a self, old: &'a Self) -> ListChanges<'a> {
        let (mut new_index, mut old_index) = (self.index.as_slice(), old.index.as_slice());
        if self.in_order && old.in_order {
            let head = common_head(&self.bytes, &old.bytes);
            let same = self.records_before(head).min(old.records_before(head));
            new_index = new_index.get(same..).unwrap_or_default();
            old_index = old_index.get(same..).unwrap_or_default();
            let same = self.common_tail(old, new_index, old_index);
            new_index = new_index.get(..new_index.len().saturating_sub(same)).unwrap_or_default();
            old_index = old_index.get(..old_index.len().saturating_sub(same)).unwrap_or_default();
        }
        let mut changes = ListChanges::default();
        let mut before = old_index.iter().map(|offset| old.at(*offset)).peekable();
        for record in new_index.iter().map(|offset| self.at(*offset)) {
            while let Some(gone) = before.next_if(|known| known.name < record.name) {
                changes.unnamed.push(gone);
            }
            match before.next_if(|known| known.name == record.name) {
                Some(known) if known.entries == record.entries => {}
                _ => changes.named.push(record),
            }
        }
        changes.unnamed.extend(before);
        changes
    }

    /// How many records end at or before a place in the bytes.
    fn records_before(&self, place: usize) -> usize {
        if place == self.bytes.len() {
            return self.index.len();
        }
        // A record ends where the next one begins.
        let begun = self.index.partition_point(|offset| is_at_or_before(*offset, place));
        begun.saturating_sub(1)
    }

    /// How many of the last records are the same, where what is compared are the rests of both lists.
    fn common_tail(&self, old: &Self, new_index: &[u32], old_index: &[u32]) -> usize {
        let rest = |list: &Self, index: &[u32]| {
            let begin = index.first().and_then(|offset| usize::try_from(*offset).ok());
            list.bytes.len().saturating_sub(begin.unwrap_or(list.bytes.len()))
        };
        let longest = rest(self, new_index).min(rest(old, old_index));
        let tail = common_tail(&self.bytes, &old.bytes, longest);
        let begin = self.bytes.len().saturating_sub(tail);
        let count = |list: &Self, index: &[u32]| {
            let begin = list.bytes.len().saturating_sub(tail);
            index.len().saturating_sub(index.partition_point(|offset| !is_at_or_after(*offset, begin)))
        };
        let (mut same, known) = (count(self, new_index), count(old, old_index));
        // Equal bytes are equal records from where a record begins in both.
        let shift = |offset: u32| {
            let place = usize::try_from(offset).ok()?.checked_sub(begin)?;
            let place = old.bytes.len().checked_sub(tail)?.checked_add(place)?;
            u32::try_from(place).ok()
        };
        while same > 0 {
            let first = new_index.len().checked_sub(same).and_then(|place| new_index.get(place));
            let there = first.and_then(|offset| shift(*offset));
            if same <= known && there.is_some_and(|there| old_index.binary_search(&there).is_ok()) {
                break;
            }
            same = same.saturating_sub(1);
        }
        same
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
    /// No node is lost here, whatever it says: one that is over a limit is refused with the report that names it.
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        let (mut bytes, mut index) = (Vec::new(), Vec::new());
        let mut previous: Option<Node> = None;
        let mut sorted = true;
        for node in nodes {
            index.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            node.encode(&mut bytes);
            sorted &= previous.is_none_or(|previous| previous.name() < node.name());
            previous = Some(node);
        }
        Self::indexed(bytes, index, sorted)
    }
}

fn is_at_or_before(offset: u32, place: usize) -> bool {
    usize::try_from(offset).is_ok_and(|offset| offset <= place)
}

fn is_at_or_after(offset: u32, place: usize) -> bool {
    usize::try_from(offset).is_ok_and(|offset| offset >= place)
}

/// Bytes compared at once: so many that the comparison runs at the speed of memory.
const STRIDE: usize = 1024;

/// How many bytes at the beginning are the same.
fn common_head(a: &[u8], b: &[u8]) -> usize {
    let strides = a.chunks_exact(STRIDE).zip(b.chunks_exact(STRIDE)).take_while(|(a, b)| a == b).count();
    let head = strides.saturating_mul(STRIDE);
    let (a, b) = (a.get(head..).unwrap_or_default(), b.get(head..).unwrap_or_default());
    head + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// How many bytes at the end are the same, `longest` at most.
fn common_tail(a: &[u8], b: &[u8], longest: usize) -> usize {
    let tail = |bytes: &'_ [u8]| bytes.len().saturating_sub(longest);
    let (a, b) = (a.get(tail(a)..).unwrap_or_default(), b.get(tail(b)..).unwrap_or_default());
    let strides = a.rchunks_exact(STRIDE).zip(b.rchunks_exact(STRIDE)).take_while(|(a, b)| a == b).count();
    let same = strides.saturating_mul(STRIDE);
    let rest = |length: usize| length.saturating_sub(same);
    let (a, b) = (a.get(..rest(a.len())).unwrap_or_default(), b.get(..rest(b.len())).unwrap_or_default());
    same + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
