//! Which events a hook is told of.

use std::collections::BTreeSet;

use cluster_core::{Event, EventKind, TopologyName};
use wildmatch::WildMatch;

use crate::config::HookConfig;

/// Each part lets all through where it is not there; an event has to pass all of them.
#[derive(Debug)]
pub(super) struct Filter {
    events: Option<Vec<EventKind>>,
    topologies: Option<BTreeSet<String>>,
    nodes: Option<Vec<WildMatch>>,
}

// === impl Filter ===

impl Filter {
    pub(super) fn new(config: &HookConfig) -> Self {
        let events = config.events.as_ref();
        let nodes = config.nodes.as_ref();
        Self {
            events: events.map(|events| events.iter().copied().map(Into::into).collect()),
            topologies: config.topologies.as_ref().map(|names| names.iter().cloned().collect()),
            nodes: nodes.map(|nodes| nodes.iter().map(|like| WildMatch::new(like)).collect()),
        }
    }

    pub(super) fn lets_through(&self, event: &Event) -> bool {
        let events = self.events.as_ref();
        events.is_none_or(|events| events.contains(&event.kind))
            && self.topologies.as_ref().is_none_or(|names| is_of(event, names))
            && self.nodes.as_ref().is_none_or(|nodes| is_about(event, nodes))
    }
}

/// What happened in one of the topologies, or to a member that one of them vouches for. Of a member that is gone, with
/// no word of where, it cannot be said; too much is told then rather than too little.
fn is_of(event: &Event, names: &BTreeSet<String>) -> bool {
    let is_named = |name: &TopologyName| names.contains(name.as_str());
    match (&event.topology, &event.member) {
        (None, None) => event.node.is_some(),
        (topology, member) => {
            topology.as_ref().is_some_and(is_named)
                || member
                    .as_ref()
                    .is_some_and(|member| member.topologies.iter().any(|vouched| is_named(&vouched.name)))
        }
    }
}

fn is_about(event: &Event, nodes: &[WildMatch]) -> bool {
    event.node.as_ref().is_some_and(|node| nodes.iter().any(|like| like.matches(node.as_str())))
}
