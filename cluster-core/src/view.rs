//! What a strategy reports: a complete or partial list (`Reset`), or single changes (`Apply`).

use std::{cmp::Ordering, time::Duration};

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
///
/// ```
/// use cluster_core::{Node, View};
///
/// let view = View::complete([Node::try_new("b@h")?, Node::try_new("a@h")?]);
/// assert_eq!(view.names(), ["a@h", "b@h"]);
/// // Of who is not in a partial view nothing is known: `View::partial([])` says that nobody was asked about yet.
/// assert_ne!(View::partial([]), View::complete([]));
/// # Ok::<(), cluster_core::NameError>(())
/// ```
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
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant, SystemTime};
/// # use cluster_core::{Membership, Node, Now, Changes, Report, TopologyName, View};
/// # use cluster_core::membership::{MembershipOptions, PrunePolicy, TopologySpec};
/// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
/// # let later = |seconds| Now { instant: now.instant + Duration::from_secs(seconds), ..now };
/// # let mut membership = Membership::new(MembershipOptions::default(), now);
/// # let shop = TopologyName::try_new("shop")?;
/// # let prune = PrunePolicy::default();
/// # membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
/// # membership.strategy_started(&shop, now);
/// # let node = |name| Node::try_new(name);
/// let a = |incarnation| node("a@h").map(|node| node.with_incarnation(incarnation));
/// membership.handle_report(&shop, Report::Reset(View::complete([a(18)?])), now)?;
/// let mut remove = |gone: Node| {
///     let changes = Changes { removals: [gone].into_iter().collect(), ..Changes::default() };
///     membership.handle_report(&shop, Report::Apply(changes), now).map(|()| membership.snapshot().members.len())
/// };
/// // It was the one before the restart that is gone.
/// assert_eq!(remove(a(17)?)?, 1);
/// assert_eq!(remove(node("a@h")?)?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant, SystemTime};
/// # use cluster_core::{Membership, Node, Now, Changes, Report, TopologyName, View};
/// # use cluster_core::membership::{MembershipOptions, PrunePolicy, TopologySpec};
/// # let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
/// # let later = |seconds| Now { instant: now.instant + Duration::from_secs(seconds), ..now };
/// # let mut membership = Membership::new(MembershipOptions::default(), now);
/// # let shop = TopologyName::try_new("shop")?;
/// # let prune = PrunePolicy::default();
/// # membership.add_topology(TopologySpec { name: shop.clone(), connector: None, prune, members_max: 3 }, now);
/// # membership.strategy_started(&shop, now);
/// # let node = |name| Node::try_new(name);
/// membership.handle_report(&shop, Report::Reset(View::complete([node("a@h")?, node("b@h")?])), now)?;
/// // Of who is not named in changes nothing is said.
/// let upserts = [node("c@h")?].into_iter().collect();
/// membership.handle_report(&shop, Report::Apply(Changes { upserts, ..Changes::default() }), now)?;
/// assert_eq!(membership.snapshot().members.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A new list in place of all that was said before.
    Reset(View),
    /// Changes to what was said before.
    Apply(Changes),
}

/// Flat records (see [`Node`](crate::Node)), sorted by name, each name once. Two lists are equal if their records are.
///
/// ```
/// use cluster_core::{Node, NodeList};
///
/// let list: NodeList = [Node::try_new("a@h")?.address("10.0.0.7")].into_iter().collect();
/// assert_eq!((list.len(), list.is_empty()), (1, false));
/// // What crosses to a plugin or another process are its bytes.
/// assert_eq!(NodeList::parse(list.as_bytes().to_owned())?, list);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
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

/// After so many records that are the same in two lists it is worth looking for a long stretch of them.
const SAME_IN_A_ROW: u32 = 8;
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

    /// The names of the nodes, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.nodes.iter().map(|record| str::from_utf8(record.name).unwrap_or_default()).collect()
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
        keyed.sort_by(|(key_a, a), (key_b, b)| {
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
    /// Records in the order of their names, as most sources give them, have the long stretches between the few
    /// changes in common byte by byte: those are compared at the speed of memory.
    pub(crate) fn changes_since<'a>(&'a self, old: &'a Self) -> ListChanges<'a> {
        let mut changes = ListChanges::default();
        let (mut new_place, mut old_place) = (0, 0);
        let mut in_a_row = SAME_IN_A_ROW;
        loop {
            if in_a_row >= SAME_IN_A_ROW && self.in_order && old.in_order {
                let same = self.same_bytes(new_place, old, old_place);
                (new_place, old_place) = (new_place + same, old_place + same);
                in_a_row = 0;
            }
            let (new_record, old_record) = (self.get(new_place), old.get(old_place));
            let order = match (&new_record, &old_record) {
                (None, None) => return changes,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(new), Some(old)) => new.name.cmp(old.name),
            };
            let same = new_record.zip(old_record).is_some_and(|(new, old)| new.entries == old.entries);
            if order.is_eq() && same {
                in_a_row += 1;
            } else {
                in_a_row = 0;
                changes.named.extend(new_record.filter(|_| order.is_le()));
                changes.unnamed.extend(old_record.filter(|_| order.is_gt()));
            }
            new_place += usize::from(order.is_le());
            old_place += usize::from(order.is_ge());
        }
    }

    /// How many records from a place on are the same as those of another list, as far as that is seen by comparing
    /// bytes.
    fn same_bytes(&self, place: usize, other: &Self, other_place: usize) -> usize {
        let rest = |list: &Self, place: usize| {
            let begin = list.index.get(place).and_then(|offset| usize::try_from(*offset).ok());
            begin.unwrap_or(list.bytes.len())
        };
        let (begin, other_begin) = (rest(self, place), rest(other, other_place));
        let bytes = self.bytes.get(begin..).unwrap_or_default();
        let length = common_length(bytes, other.bytes.get(other_begin..).unwrap_or_default());
        let index = self.index.get(place..).unwrap_or_default();
        if length == bytes.len() {
            return index.len();
        }
        // A record ends where the next one begins.
        let end = begin + length;
        let begun =
            index.partition_point(|offset| usize::try_from(*offset).is_ok_and(|offset| offset <= end));
        begun.saturating_sub(1)
    }

    fn get(&self, place: usize) -> Option<NodeRef<'_>> {
        self.index.get(place).map(|offset| self.at(*offset))
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

/// However the records lie in the bytes.
impl PartialEq for NodeList {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for NodeList {}

impl std::fmt::Debug for NodeList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|record| record.to_node())).finish()
    }
}

impl FromIterator<Node> for NodeList {
    /// The nodes by name, of equal names the last: who receives such bytes has nothing to sort. No node is lost
    /// here, whatever it says: one that is over a limit is refused with the report that names it.
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.reverse();
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        nodes.dedup_by(|earlier, kept| earlier.name() == kept.name());
        let (mut bytes, mut index) = (Vec::new(), Vec::new());
        for node in nodes {
            index.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            node.encode(&mut bytes);
        }
        Self::indexed(bytes, index, true)
    }
}

/// How many bytes at the beginning are the same.
fn common_length(a: &[u8], b: &[u8]) -> usize {
    // Long slices are compared at the speed of memory; what differs is then looked for in ever shorter ones.
    let mut same = 0;
    for stride in [4096, 64, 1] {
        let rest = |bytes: &'_ [u8]| bytes.len().saturating_sub(same);
        let longest = rest(a).min(rest(b));
        let chunks =
            |bytes| <[u8]>::get(bytes, same..same + longest).unwrap_or_default().chunks_exact(stride);
        same += stride * chunks(a).zip(chunks(b)).take_while(|(a, b)| a == b).count();
    }
    same
}

#[cfg(test)]
mod tests;
