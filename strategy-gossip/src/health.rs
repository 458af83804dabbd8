//! What is wrong at the moment, as the one sentence that is shown with the topology.

use std::collections::BTreeMap;

/// A kind of trouble. In the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// The secret cannot be read.
    Secret,
    /// The heartbeat does not fit in a datagram.
    Size,
    /// The socket cannot be opened, or the group not joined.
    Socket,
    /// A heartbeat cannot be sent.
    Send,
    /// Nothing is heard.
    Silence,
    /// The name at this place of `unicast` does not resolve.
    Resolve(usize),
}

/// All that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Health(BTreeMap<Trouble, String>);

// === impl Health ===

impl Health {
    /// It is so, for this reason.
    pub(crate) fn set(&mut self, trouble: Trouble, reason: String) {
        self.0.insert(trouble, reason);
    }

    /// It is so no more.
    pub(crate) fn clear(&mut self, trouble: Trouble) {
        self.0.remove(&trouble);
    }

    /// Whether it is so.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.0.contains_key(&trouble)
    }

    /// All reasons; nothing where all is well.
    pub(crate) fn reason(&self) -> Option<String> {
        let reasons: Vec<_> = self.0.values().map(String::as_str).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Troubles are told together in their order, and each until it ends.
    #[test]
    fn told_together() {
        let mut health = Health::default();
        assert_eq!(health.reason(), None);
        health.set(Trouble::Resolve(1), "b".to_owned());
        health.set(Trouble::Secret, "a".to_owned());
        assert_eq!(health.reason().as_deref(), Some("a; b"));
        health.clear(Trouble::Secret);
        assert!(!health.has(Trouble::Secret));
        assert_eq!(health.reason().as_deref(), Some("b"));
        health.clear(Trouble::Resolve(1));
        assert_eq!(health.reason(), None);
    }
}
