//! The dead incarnations of one source: who is buried does not come back, whatever arrives late.

use std::collections::BTreeMap;

use crate::{name::NodeName, node::Node};

/// Dead incarnations that a topology remembers at most; the one buried longest ago is forgotten first.
pub const TOMBSTONES_MAX: usize = 10_000;

/// The last dead incarnation of each name.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    by_name: BTreeMap<NodeName, Tombstone>,
    /// Names in the order of their burial.
    order: BTreeMap<u64, NodeName>,
    burials: u64,
}

#[derive(Debug, Clone, Copy)]
struct Tombstone {
    incarnation: u64,
    burial: u64,
}

// === impl Tombstones ===

impl Tombstones {
    /// Notes that an incarnation and all before it are over.
    pub(super) fn bury(&mut self, name: &NodeName, incarnation: u64) {
        let known = self.by_name.get(name).copied();
        if let Some(known) = known {
            self.order.remove(&known.burial);
        }
        self.burials = self.burials.saturating_add(1);
        let incarnation = known.map_or(incarnation, |known| known.incarnation.max(incarnation));
        let tombstone = Tombstone { incarnation, burial: self.burials };
        self.by_name.insert(name.clone(), tombstone);
        self.order.insert(self.burials, name.clone());
        if self.by_name.len() > TOMBSTONES_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by_name.remove(&oldest);
        }
    }

    /// Whether a node as it is described is known to be over.
    pub(super) fn has(&self, node: &Node) -> bool {
        // Most sources bury nobody, and to look for an incarnation costs a walk through the entries.
        !self.by_name.is_empty()
            && self
                .incarnation(node.name())
                .is_some_and(|dead| node.incarnation().is_some_and(|incarnation| incarnation <= dead))
    }

    /// The last dead incarnation of a name.
    pub(super) fn incarnation(&self, name: &NodeName) -> Option<u64> {
        self.by_name.get(name).map(|tombstone| tombstone.incarnation)
    }

    /// Lets a name begin anew. True if there was anything to forget.
    pub(super) fn forget(&mut self, name: &NodeName) -> bool {
        let Some(tombstone) = self.by_name.remove(name) else {
            return false;
        };
        self.order.remove(&tombstone.burial);
        true
    }
}
