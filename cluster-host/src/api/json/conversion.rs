//! The shapes of core values.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use cluster_core::{
    Cursor, Member as CoreMember, Node as CoreNode, NodeName, Snapshot, TopologyName,
    membership::explain::{self, LinkExplained, VouchExplained},
};

use super::{
    Attempt, Dead, Event, Explanation, Forgotten, Link, Member, Node, Preview, Reload, Time, Topologies,
    Topology, Vouch, Vouched,
};
use crate::{
    api::source::{Forgotten as CoreForgotten, TopologyInfo},
    preview::Preview as CorePreview,
    reload::Reloaded,
};

impl<'a> From<&'a CoreMember> for Member<'a> {
    fn from(member: &'a CoreMember) -> Self {
        let vouched = |vouched: &'a cluster_core::Vouched| Vouched {
            name: vouched.name.as_str().into(),
            link: vouched.link.as_str().into(),
            since: vouched.since.into(),
            reason: text(vouched.reason.as_ref()),
        };
        Self {
            name: member.name.as_str().into(),
            is_self: member.is_self,
            state: member.state.as_str().into(),
            incarnation: member.incarnation,
            addresses: Cow::Borrowed(&member.addresses),
            attributes: member.attributes.iter().map(|(key, value)| (key.into(), value.into())).collect(),
            topologies: member.topologies.iter().map(vouched).collect(),
            since: member.since.into(),
            reason: text(member.reason.as_ref()),
        }
    }
}

impl<'a> Reload<'a> {
    /// The shape of what a reload did, or would do.
    #[must_use]
    pub fn new(dry_run: bool, reloaded: &'a Reloaded) -> Self {
        let Reloaded { changes, warnings, previews } = reloaded;
        let names = |names: &'a [TopologyName]| names.iter().map(|name| name.as_str().into()).collect();
        Self {
            dry_run,
            topologies: changes.lists().into_iter().map(|(word, list)| (word.into(), names(list))).collect(),
            hooks: changes
                .hooks
                .lists()
                .into_iter()
                .map(|(word, names)| (word.into(), names.iter().map(Into::into).collect()))
                .collect(),
            warnings: warnings.iter().map(Into::into).collect(),
            previews: previews.iter().map(|(name, preview)| (name.as_str().into(), preview.into())).collect(),
        }
    }
}

impl<'a> From<&'a Result<CorePreview, String>> for Preview<'a> {
    fn from(preview: &'a Result<CorePreview, String>) -> Self {
        let names = |names: &'a [NodeName]| names.iter().map(|name| name.as_str().into()).collect();
        match preview {
            Ok(CorePreview { joins, leaves, is_partial }) => {
                Self { joins: names(joins), leaves: names(leaves), partial: *is_partial, error: None }
            }
            Err(error) => {
                Self { joins: Vec::new(), leaves: Vec::new(), partial: false, error: Some(error.into()) }
            }
        }
    }
}

impl<'a> Event<'a> {
    /// The shape of an event that made the cursor's revision.
    #[must_use]
    pub fn new(cursor: Cursor, event: &'a cluster_core::Event) -> Self {
        Self {
            epoch: cursor.epoch.to_string().into(),
            revision: cursor.revision,
            cursor: cursor.to_string().into(),
            kind: event.kind.as_str().into(),
            node: event.node.as_ref().map(|node| node.as_str().into()),
            member: event.member.as_deref().map(Member::from),
            members: None,
            topology: event.topology.as_ref().map(|topology| topology.as_str().into()),
            health: event.status.as_ref().map(|status| status.health.as_str().into()),
            reason: text(event.reason.as_ref()),
            at: event.at.into(),
        }
    }
}

impl<'a> Topologies<'a> {
    /// The shape of the topologies, with their members counted in the snapshot.
    #[must_use]
    pub fn new(cursor: Cursor, topologies: &'a [TopologyInfo], snapshot: &Snapshot) -> Self {
        let mut members: BTreeMap<&str, u64> = BTreeMap::new();
        for member in snapshot.members.values() {
            for vouched in member.topologies.iter() {
                *members.entry(vouched.name.as_str()).or_default() += 1;
            }
        }
        let topology = |info: &'a TopologyInfo| Topology {
            name: info.name.as_str().into(),
            strategy: info.strategy.as_str().into(),
            plugin: info.plugin.as_deref().map(Into::into),
            connector: info.connector.as_str().into(),
            health: info.status.health.as_str().into(),
            reason: text(info.status.reason.as_ref()),
            since: info.status.since.into(),
            members: members.get(info.name.as_str()).copied().unwrap_or_default(),
            held: info.status.held.iter().map(|name| name.as_str().into()).collect(),
            remembered: info.status.remembered.iter().map(|name| name.as_str().into()).collect(),
            unclaimed: info.status.unclaimed.iter().map(|name| name.as_str().into()).collect(),
            counters: Cow::Borrowed(&info.counters),
            restarts: info.restarts,
            last_report: info.last_report.map(Time),
        };
        Self {
            epoch: cursor.epoch.to_string().into(),
            revision: cursor.revision,
            topologies: topologies.iter().map(topology).collect(),
        }
    }
}

impl<'a> Forgotten<'a> {
    /// The shape of what became of a node.
    #[must_use]
    pub fn new(name: &'a NodeName, forgotten: &'a CoreForgotten) -> Self {
        let names = |names: &'a [TopologyName]| names.iter().map(|name| name.as_str().into()).collect();
        Self {
            name: name.as_str().into(),
            topologies: names(&forgotten.topologies),
            dead: dead(&forgotten.dead),
            named_by: names(&forgotten.named_by),
        }
    }
}

impl<'a> From<&'a explain::Explanation> for Explanation<'a> {
    fn from(known: &'a explain::Explanation) -> Self {
        Self {
            name: known.name.as_str().into(),
            member: known.member.as_deref().map(Member::from),
            vouches: known.vouches.iter().map(Vouch::from).collect(),
            links: known.links.iter().map(Link::from).collect(),
            dead: dead(&known.dead),
        }
    }
}

impl<'a> From<&'a VouchExplained> for Vouch<'a> {
    fn from(vouch: &'a VouchExplained) -> Self {
        Self {
            topology: vouch.topology.as_str().into(),
            node: Node::from(&vouch.node),
            since: vouch.since.into(),
            renewed: vouch.renewed.into(),
            expires: vouch.expires.map(Time),
            stale: vouch.stale,
            absent_rounds: vouch.absent_rounds,
            held_until: vouch.held_until.map(Time),
            remembered: vouch.remembered,
        }
    }
}

impl<'a> From<&'a CoreNode> for Node<'a> {
    fn from(node: &'a CoreNode) -> Self {
        Self {
            incarnation: node.incarnation(),
            addresses: node.addresses().map(Cow::Borrowed).collect(),
            attributes: node.attribute_map(),
            leaving: node.is_leaving(),
        }
    }
}

impl<'a> From<&'a LinkExplained> for Link<'a> {
    fn from(link: &'a LinkExplained) -> Self {
        let attempt = |attempt: &'a explain::Attempt| Attempt {
            at: attempt.at.into(),
            failure: text(attempt.failure.as_ref()),
        };
        Self {
            connector: (&*link.connector).into(),
            state: link.state.as_str().into(),
            since: link.since.into(),
            failures: link.failures,
            attempts: link.attempts.iter().map(attempt).collect(),
            next_attempt: link.next_attempt.map(Time),
            kept: text(link.kept.as_ref()),
        }
    }
}

fn dead(dead: &[(TopologyName, u64)]) -> Vec<Dead<'_>> {
    let dead = dead.iter();
    dead.map(|(topology, incarnation)| Dead { topology: topology.as_str().into(), incarnation: *incarnation })
        .collect()
}

fn text(reason: Option<&Arc<str>>) -> Option<Cow<'_, str>> {
    reason.map(|reason| Cow::Borrowed(&**reason))
}
