//! Whether the local node takes part, and who it is, by the word of the connectors that attach to it.
//!
//! Where no connector has a word in it, the node is what the configuration says, and takes part as long as the host
//! runs.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use cluster_core::{Node, NodeName, membership::ConnectorId};
use cluster_sdk::{
    LocalNode,
    abi::host::{LocalIdentity, LocalReport, StopReason},
};

#[derive(Debug, Clone)]
pub(crate) struct Presence {
    local: LocalNode,
    /// The last word of each connector that says whether the node takes part.
    words: BTreeMap<ConnectorId, LocalReport>,
    /// Whom the host's incarnation stands for: the name, and the number that the node itself has.
    known: Option<(NodeName, u64)>,
}

// === impl Presence ===

impl Presence {
    /// The local node by the configuration alone.
    pub(crate) fn new(local: LocalNode) -> Self {
        Self { local, words: BTreeMap::new(), known: None }
    }

    /// A connector will say whether the node takes part: until then it does not.
    pub(crate) fn expect(&mut self, id: ConnectorId, connector: &str) {
        let reason = format!("connector {connector} has not attached to it yet");
        self.words.insert(id, LocalReport::Down(reason));
        self.local.present = self.is_up();
    }

    /// Whether a connector has a word in whether the node takes part.
    pub(crate) fn is_expected(&self) -> bool {
        !self.words.is_empty()
    }

    /// What a connector said does not count any more.
    pub(crate) fn forget(&mut self, id: ConnectorId) {
        if self.words.remove(&id).is_some() {
            self.local.present = self.words.is_empty() || self.is_up();
        }
    }

    /// The node is described anew; its name and its incarnation stay.
    pub(crate) fn describe(&mut self, addresses: &[String], attributes: &BTreeMap<String, String>) {
        addresses.clone_into(&mut self.local.addresses);
        self.local.attributes.clone_from(attributes);
    }

    /// Takes the word of a connector; of one that was not expected to have any it does not count.
    pub(crate) fn hear(&mut self, id: ConnectorId, report: LocalReport, wall: SystemTime) {
        let Some(word) = self.words.get_mut(&id) else {
            return;
        };
        *word = report;
        // Where several say that it is up, the first of them counts.
        let up = self.words.values().find_map(|word| match word {
            LocalReport::Up(identity) => Some(identity.clone()),
            LocalReport::Down(_) => None,
        });
        self.local.present = up.is_some();
        if let Some(identity) = up {
            self.identify(identity, wall);
        }
    }

    /// The local node as strategies and connectors are told of it.
    pub(crate) fn local(&self) -> &LocalNode {
        &self.local
    }

    /// The local node as a member, once it has a name.
    pub(crate) fn node(&self) -> Option<Node> {
        let LocalNode { name, incarnation, addresses, attributes, .. } = &self.local;
        let node = Node::new(name.clone()?).with_incarnation(*incarnation);
        let node = addresses.iter().fold(node, |node, address| node.address(address));
        Some(attributes.iter().fold(node, |node, (key, value)| node.attribute(key, value)))
    }

    /// Why the node does not take part now.
    pub(crate) fn absence(&self) -> Option<&str> {
        if self.local.present {
            return None;
        }
        self.words.values().find_map(|word| match word {
            LocalReport::Down(reason) => Some(reason.as_str()),
            LocalReport::Up(_) => None,
        })
    }

    /// Why strategies are stopped with the host. They say that the node leaves only if it does: one that outlives the
    /// host stays, and one that is not there has nothing to say.
    pub(crate) fn stop_reason(&self) -> StopReason {
        let stays = |word: &LocalReport| matches!(word, LocalReport::Up(identity) if identity.stays);
        if self.local.present && !self.words.values().any(stays) {
            StopReason::Leave
        } else {
            StopReason::Restart
        }
    }

    /// Whether somebody will say who the node is.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.words.is_empty()
    }

    fn is_up(&self) -> bool {
        self.words.values().any(|word| matches!(word, LocalReport::Up(_)))
    }

    /// The node is this one. Another one than before, or the same after a restart of its own, is a new incarnation.
    fn identify(&mut self, identity: LocalIdentity, wall: SystemTime) {
        let LocalIdentity { name, incarnation, .. } = identity;
        let known = self.known.as_ref();
        let is_other = known.is_some_and(|(known, number)| {
            let numbers = [*number, incarnation];
            *known != name || (*number != incarnation && !numbers.contains(&0))
        });
        if is_other {
            self.local.incarnation = incarnation_at(wall).max(self.local.incarnation.saturating_add(1));
        }
        let number = match known {
            // It has not said which it is: it counts as the one before.
            Some((known, number)) if incarnation == 0 && *known == name => *number,
            _ => incarnation,
        };
        self.known = Some((name.clone(), number));
        self.local.name = Some(name);
    }
}

/// The incarnation of a node that has started at this time: greater than those before, as far as the clock is right.
pub(crate) fn incarnation_at(wall: SystemTime) -> u64 {
    let millis = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: ConnectorId = ConnectorId(1);
    const B: ConnectorId = ConnectorId(2);

    fn presence() -> Presence {
        let name = Some("app@h".parse().unwrap());
        Presence::new(LocalNode { name, incarnation: 1_000, ..LocalNode::default() })
    }

    fn expecting() -> Presence {
        let mut presence = presence();
        presence.expect(A, "erlang");
        presence
    }

    fn up(name: &str, incarnation: u64, stays: bool) -> LocalReport {
        LocalReport::Up(LocalIdentity { name: name.parse().unwrap(), incarnation, stays })
    }

    /// Whether a word changes what is told of the node.
    fn changes(presence: &mut Presence, report: LocalReport, time: u64) -> bool {
        let before = presence.local().clone();
        presence.hear(A, report, at(time));
        before != *presence.local()
    }

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn shown(presence: &Presence) -> (Option<&str>, u64, bool) {
        let local = presence.local();
        (local.name.as_ref().map(NodeName::as_str), local.incarnation, local.present)
    }

    /// Where no connector has a word in it, the node is there, and leaves with the host; nobody else is heard.
    #[test]
    fn by_configuration() {
        let mut presence = presence();
        assert!(!changes(&mut presence, LocalReport::Down("gone".to_owned()), 0));
        assert_eq!((shown(&presence), presence.absence()), ((Some("app@h"), 1_000, true), None));
        assert_eq!(presence.stop_reason(), StopReason::Leave);
        assert_eq!(presence.node().unwrap().incarnation(), Some(1_000));
    }

    /// It is not there until a connector says so, nor when that one says that it is gone; each time with the reason.
    #[test]
    fn comes_and_goes() {
        let mut presence = expecting();
        assert_eq!(presence.absence(), Some("connector erlang has not attached to it yet"));
        assert_eq!(presence.stop_reason(), StopReason::Restart);
        assert!(changes(&mut presence, up("app@h", 3, false), 5_000));
        assert_eq!((shown(&presence), presence.absence()), ((Some("app@h"), 1_000, true), None));
        assert_eq!(presence.stop_reason(), StopReason::Leave);
        assert!(changes(&mut presence, LocalReport::Down("connection closed".to_owned()), 6_000));
        assert!(!changes(&mut presence, LocalReport::Down("not registered".to_owned()), 6_000));
        assert_eq!(
            (shown(&presence), presence.absence()),
            ((Some("app@h"), 1_000, false), Some("not registered"))
        );
    }

    /// A new incarnation begins with another node or another life of the same one, and with nothing else; it is
    /// greater than the last one whatever the clock says.
    #[test]
    fn incarnations() {
        let mut presence = expecting();
        for (report, time, expected) in [
            (up("app@h", 3, true), 5_000, (Some("app@h"), 1_000, true)),
            (LocalReport::Down("gone".to_owned()), 6_000, (Some("app@h"), 1_000, false)),
            (up("app@h", 3, true), 7_000, (Some("app@h"), 1_000, true)),
            (up("app@h", 4, true), 8_000, (Some("app@h"), 8_000, true)),
            (up("app@h", 0, true), 8_100, (Some("app@h"), 8_000, true)),
            (up("app@h", 4, true), 8_200, (Some("app@h"), 8_000, true)),
            (up("app@h", 5, true), 7_000, (Some("app@h"), 8_001, true)),
            (up("other@h", 5, true), 9_000, (Some("other@h"), 9_000, true)),
        ] {
            presence.hear(A, report, at(time));
            assert_eq!(shown(&presence), expected, "at {time}");
        }
    }

    /// It is there as long as any of several connectors says so; one that outlives the host by the word of any stays.
    #[test]
    fn several() {
        let mut presence = expecting();
        presence.expect(B, "other");
        presence.hear(A, up("app@h", 1, false), at(0));
        presence.hear(B, up("app@h", 1, true), at(0));
        assert_eq!(presence.stop_reason(), StopReason::Restart);
        assert!(!changes(&mut presence, LocalReport::Down("gone".to_owned()), 0));
        assert!(presence.local().present);
        presence.hear(B, LocalReport::Down("gone too".to_owned()), at(0));
        assert_eq!(presence.absence(), Some("gone"));
    }

    /// A node without a configured name is no member until the name is learned.
    #[test]
    fn nameless() {
        let mut presence = Presence::new(LocalNode::default());
        presence.expect(A, "erlang");
        assert_eq!(presence.node(), None);
        presence.hear(A, up("app@h", 1, true), at(0));
        assert_eq!(presence.node().map(|node| node.name().to_string()).as_deref(), Some("app@h"));
    }
}
