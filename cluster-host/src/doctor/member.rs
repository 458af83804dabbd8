//! A node that was asked about and that nobody names.

use std::collections::BTreeMap;

use cluster_core::{Node, NodeName};
use cluster_sdk::Rung;

/// Names that are shown.
const NAMES_SHOWN_MAX: usize = 4;

/// What is like it among those that are named, or else all of them.
pub(super) fn unnamed(strategy: &str, node: &NodeName, nodes: &BTreeMap<NodeName, Node>) -> Rung {
    let half = |name: &NodeName| name.as_str().split('@').next().unwrap_or_default().to_owned();
    let there: Vec<&NodeName> = nodes.keys().filter(|name| name.host() == node.host()).collect();
    let namesakes: Vec<&NodeName> = nodes.keys().filter(|name| half(name) == half(node)).collect();
    let shown = |names: &mut dyn Iterator<Item = &NodeName>| {
        names.take(NAMES_SHOWN_MAX).map(NodeName::as_str).collect::<Vec<_>>().join(", ")
    };
    let evidence = if nodes.is_empty() {
        format!("{strategy} names nobody, so not {node} either")
    } else if !there.is_empty() {
        format!("{strategy} does not name it, but at its host {}", shown(&mut there.into_iter()))
    } else if !namesakes.is_empty() {
        format!("{strategy} does not name it, but elsewhere {}", shown(&mut namesakes.into_iter()))
    } else {
        format!("{strategy} does not name it, but {}", shown(&mut nodes.keys()))
    };
    let fix = format!("is {node} the name that it has there, does it run, and does {strategy} select it?");
    Rung::fail("discovery", evidence, fix)
}
