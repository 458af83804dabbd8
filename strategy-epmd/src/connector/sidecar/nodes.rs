//! The nodes that the BEAM node is linked with, and which of them are links of the cluster.
//!
//! A hidden node is one only if the host was asked to link it: what is hidden otherwise are other hosts, this one, and
//! shells of operators.

use std::collections::{BTreeMap, BTreeSet};

use cluster_sdk::NodeName;

/// Nodes that the host was asked to link and that may be hidden, at most; of more, hidden ones are not seen.
const WANTED_MAX: usize = 200_000;

/// What is linked.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Linked nodes, and whether they are hidden.
    linked: BTreeMap<NodeName, bool>,
    wanted: BTreeSet<NodeName>,
}

/// Links that came and went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) up: Vec<NodeName>,
    pub(super) down: Vec<NodeName>,
}

// === impl Nodes ===

impl Nodes {
    /// The host was asked to link a node.
    pub(super) fn want(&mut self, node: &NodeName) {
        if self.wanted.len() < WANTED_MAX {
            self.wanted.insert(node.clone());
        }
    }

    /// The host was asked to let it go.
    pub(super) fn unwant(&mut self, node: &NodeName) {
        self.wanted.remove(node);
    }

    pub(super) fn is_linked(&self, node: &NodeName) -> bool {
        self.linked.contains_key(node)
    }

    /// The links there are.
    pub(super) fn links(&self) -> Vec<NodeName> {
        self.linked
            .iter()
            .filter(|(node, hidden)| self.counts(node, **hidden))
            .map(|(node, _)| node.clone())
            .collect()
    }

    /// A node came. True if that is a link.
    pub(super) fn up(&mut self, node: &NodeName, is_hidden: bool) -> bool {
        self.linked.insert(node.clone(), is_hidden);
        self.counts(node, is_hidden)
    }

    /// A node went. True if that was a link.
    pub(super) fn down(&mut self, node: &NodeName) -> bool {
        self.linked.remove(node).is_some_and(|hidden| self.counts(node, hidden))
    }

    /// All nodes there are. What differs from what was known is told.
    pub(super) fn set(&mut self, visible: &[String], hidden: &[String]) -> Change {
        let named = |names: &[String], is_hidden: bool| {
            // A name that is no node name cannot be a member.
            let names = names.iter().filter_map(|name| NodeName::try_new(name).ok());
            names.map(move |name| (name, is_hidden)).collect::<Vec<_>>()
        };
        let before: BTreeSet<_> = self.links().into_iter().collect();
        self.linked = named(visible, false).into_iter().chain(named(hidden, true)).collect();
        let after: BTreeSet<_> = self.links().into_iter().collect();
        Change {
            up: after.difference(&before).cloned().collect(),
            down: before.difference(&after).cloned().collect(),
        }
    }

    fn counts(&self, node: &NodeName, is_hidden: bool) -> bool {
        !is_hidden || self.wanted.contains(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    /// Hidden nodes are links only where they were asked for.
    #[test]
    fn hidden() {
        let mut nodes = Nodes::default();
        nodes.want(&name("asked@h"));
        assert!(nodes.up(&name("asked@h"), true));
        assert!(!nodes.up(&name("host@h"), true));
        assert!(nodes.up(&name("visible@h"), false));
        assert_eq!(nodes.links(), [name("asked@h"), name("visible@h")]);
        assert!(!nodes.down(&name("host@h")));
        assert!(nodes.down(&name("asked@h")));
        assert!(!nodes.down(&name("asked@h")), "it is gone already");
    }

    /// A whole list tells what differs, and nothing else.
    #[test]
    fn lists() {
        let mut nodes = Nodes::default();
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let change = nodes.set(&list(&["a@h", "b@h", "no name"]), &list(&["x@h"]));
        assert_eq!(change, Change { up: vec![name("a@h"), name("b@h")], down: vec![] });
        let change = nodes.set(&list(&["b@h", "c@h"]), &list(&["x@h"]));
        assert_eq!(change, Change { up: vec![name("c@h")], down: vec![name("a@h")] });
        assert_eq!(nodes.set(&list(&["b@h", "c@h"]), &[]), Change::default());
    }
}
