//! From the shapes of the API back to the values of the core.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cluster_core::{
    Event, EventKind, Health, LinkState, Member, MemberState, NodeName, TopologyName, TopologyStatus, Vouched,
};

use crate::api::json;

/// The shape has a value that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("{what} {value:?} is not known")]
pub(super) struct Unknown {
    what: &'static str,
    value: String,
}

/// Has what is the same in many members and events in common.
#[derive(Debug, Default)]
pub(super) struct Pool {
    members: HashMap<NodeName, Arc<Member>>,
}

fn known<T>(what: &'static str, value: &str, found: Option<T>) -> Result<T, Unknown> {
    found.ok_or_else(|| Unknown { what, value: value.to_owned() })
}

fn node(name: &str) -> Result<NodeName, Unknown> {
    known("node name", name, NodeName::try_new(name).ok())
}

fn topology(name: &str) -> Result<TopologyName, Unknown> {
    known("topology name", name, TopologyName::try_new(name).ok())
}

fn text(reason: Option<impl AsRef<str>>) -> Option<Arc<str>> {
    reason.map(|reason| reason.as_ref().into())
}

fn vouched(shape: &json::Vouched<'_>) -> Result<Vouched, Unknown> {
    Ok(Vouched {
        name: topology(&shape.name)?,
        link: known("link state", &shape.link, LinkState::of_word(&shape.link))?,
        since: shape.since.0,
        reason: text(shape.reason.as_ref()),
    })
}

// === impl Pool ===

impl Pool {
    /// A member.
    pub(super) fn member(&mut self, shape: &json::Member<'_>) -> Result<Arc<Member>, Unknown> {
        let old = self.members.get(&*shape.name);
        let attributes: BTreeMap<&str, &str> =
            shape.attributes.iter().map(|(key, value)| (&**key, &**value)).collect();
        let mut member = Member {
            name: old.map_or_else(|| node(&shape.name), |old| Ok(old.name.clone()))?,
            is_self: shape.is_self,
            state: known("member state", &shape.state, MemberState::of_word(&shape.state))?,
            incarnation: shape.incarnation,
            addresses: shape.addresses.to_vec().into(),
            attributes: attributes.into(),
            topologies: shape.topologies.iter().map(vouched).collect::<Result<_, _>>()?,
            since: shape.since.0,
            reason: text(shape.reason.as_ref()),
        };
        if let Some(old) = old {
            if member.addresses == old.addresses {
                member.addresses = Arc::clone(&old.addresses);
            }
            if member.attributes == old.attributes {
                member.attributes = old.attributes.clone();
            }
            if member.topologies == old.topologies {
                member.topologies = Arc::clone(&old.topologies);
            }
        }
        let member = Arc::new(member);
        self.members.insert(member.name.clone(), Arc::clone(&member));
        Ok(member)
    }

    /// An event.
    pub(super) fn event(&mut self, shape: &json::Event<'_>) -> Result<Event, Unknown> {
        let member = shape.member.as_ref().map(|member| self.member(member)).transpose()?;
        let name = match (&member, &shape.node) {
            (Some(member), Some(_)) => Some(member.name.clone()),
            (_, name) => name.as_deref().map(node).transpose()?,
        };
        let status = |health: &Cow<'_, str>| {
            let health = known("health", health, Health::of_word(health))?;
            let (held, remembered, unclaimed) = (Vec::new(), Vec::new(), Vec::new());
            let reason = text(shape.reason.as_ref());
            Ok(Arc::new(TopologyStatus { health, reason, since: shape.at.0, held, remembered, unclaimed }))
        };
        Ok(Event {
            revision: shape.revision,
            kind: known("event", &shape.kind, EventKind::of_word(&shape.kind))?,
            status: shape.health.as_ref().map(status).transpose()?,
            node: name,
            member,
            topology: shape.topology.as_deref().map(topology).transpose()?,
            reason: text(shape.reason.as_ref()),
            at: shape.at.0,
        })
    }
}
