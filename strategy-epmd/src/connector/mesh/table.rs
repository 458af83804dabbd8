//! The links of the host and its dials, by node.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use cluster_sdk::NodeName;
use tokio::sync::watch;

use crate::dist::{
    exchange::Admission,
    handshake::Status,
    link::{NotTaken, Writer},
    term::Term,
};

/// Links at most; more nodes are not let in.
const LINKS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Table {
    own: NodeName,
    links: BTreeMap<NodeName, (u64, Writer)>,
    dials: BTreeMap<NodeName, watch::Sender<Dial>>,
    /// Number of the last link.
    serial: u64,
    /// Names that are being let in.
    arriving: BTreeSet<NodeName>,
}

/// How far a dial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dial {
    UnderWay,
    /// The other node's own dial goes on in its place.
    Yielded,
    /// The link is there.
    Arrived,
}

/// A dial of ours, as long as this lives.
pub(super) struct Dialling<'a> {
    table: &'a RefCell<Table>,
    node: NodeName,
    dial: watch::Receiver<Dial>,
}

// === impl Table ===

impl Table {
    pub(super) const fn new(own: NodeName) -> Self {
        Self { own, links: BTreeMap::new(), dials: BTreeMap::new(), serial: 0, arriving: BTreeSet::new() }
    }

    pub(super) fn is_linked(&self, node: &NodeName) -> bool {
        self.links.contains_key(node)
    }

    pub(super) fn names(&self) -> Vec<NodeName> {
        self.links.keys().cloned().collect()
    }

    /// A link, which takes the place of an older one. Gives its number.
    pub(super) fn insert(&mut self, node: &NodeName, writer: Writer) -> u64 {
        self.serial = self.serial.saturating_add(1);
        self.links.insert(node.clone(), (self.serial, writer));
        if let Some(dial) = self.dials.get(node) {
            dial.send_replace(Dial::Arrived);
        }
        self.serial
    }

    /// Ends a link, if it is (still) the one of that number. True if there was one.
    pub(super) fn remove(&mut self, node: &NodeName, serial: Option<u64>) -> bool {
        let is_meant = |(number, _): &(u64, Writer)| serial.is_none_or(|serial| serial == *number);
        // The writer is the link: it ends with it.
        self.links.get(node).is_some_and(is_meant) && self.links.remove(node).is_some()
    }

    pub(super) fn clear(&mut self) {
        self.links.clear();
    }

    pub(super) fn send(
        &self,
        node: &NodeName,
        serial: u64,
        control: &Term,
        payload: Option<&Term>,
    ) -> Result<(), NotTaken> {
        match self.links.get(node) {
            Some((number, writer)) if *number == serial => writer.send(control, payload),
            _ => Err(NotTaken),
        }
    }

    /// Whether a node that dials us is let in. Of two that dial each other the one with the greater name goes on, as
    /// among BEAM nodes.
    pub(super) fn admit(&mut self, name: &str) -> Admission {
        let Ok(node) = NodeName::try_new(name) else {
            return Admission::Refused(Status::NotAllowed);
        };
        if node == self.own || self.arriving.contains(&node) {
            return Admission::Refused(Status::Nok);
        }
        let status = if self.is_linked(&node) {
            Status::Alive
        } else if self.links.len().saturating_add(self.arriving.len()) >= LINKS_MAX {
            return Admission::Refused(Status::NotAllowed);
        } else if let Some(dial) = self.dials.get(&node) {
            if self.own > node {
                return Admission::Refused(Status::Nok);
            }
            dial.send_replace(Dial::Yielded);
            Status::OkSimultaneous
        } else {
            Status::Ok
        };
        self.arriving.insert(node);
        Admission::Welcome(status)
    }

    /// A node that was let in has arrived, or failed on the way.
    pub(super) fn admitted(&mut self, name: &str) {
        self.arriving.remove(name);
    }
}

// === impl Dialling ===

impl<'a> Dialling<'a> {
    pub(super) fn begin(table: &'a RefCell<Table>, node: &NodeName) -> Self {
        let (sender, dial) = watch::channel(Dial::UnderWay);
        table.borrow_mut().dials.insert(node.clone(), sender);
        Self { table, node: node.clone(), dial }
    }

    /// Waits until the other node's own dial goes on in the place of this one.
    pub(super) async fn yielded(&mut self) {
        self.reached(|dial| dial != Dial::UnderWay).await;
    }

    /// Waits until the link is there, whoever made it.
    pub(super) async fn arrived(&mut self) {
        self.reached(|dial| dial == Dial::Arrived).await;
    }

    async fn reached(&mut self, is_enough: impl Fn(Dial) -> bool) {
        if self.dial.wait_for(|dial| is_enough(*dial)).await.is_err() {
            // Another dial of the same node took the place.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.table.borrow_mut().dials.remove(&self.node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new("m@h".parse().unwrap())
    }

    /// Of two nodes that dial each other one goes on, and both say the same of it.
    #[tokio::test]
    async fn simultaneous() {
        for (own, other) in [("a@h", "b@h"), ("b@h", "a@h")] {
            let table = RefCell::new(Table::new(own.parse().unwrap()));
            let mut dialling = Dialling::begin(&table, &other.parse().unwrap());
            let admission = table.borrow_mut().admit(other);
            if own > other {
                assert_eq!(admission, Admission::Refused(Status::Nok));
                assert!(!dialling.dial.has_changed().unwrap());
            } else {
                assert_eq!(admission, Admission::Welcome(Status::OkSimultaneous));
                dialling.yielded().await;
            }
            drop(dialling);
            table.borrow_mut().admitted(other);
            assert_eq!(table.borrow_mut().admit(other), Admission::Welcome(Status::Ok));
        }
    }

    /// Nobody else is called as we are, and one name comes in once at a time.
    #[test]
    fn refused() {
        let mut table = table();
        assert_eq!(table.admit("m@h"), Admission::Refused(Status::Nok));
        assert_eq!(table.admit("nobody"), Admission::Refused(Status::NotAllowed));
        assert_eq!(table.admit("a@h"), Admission::Welcome(Status::Ok));
        assert_eq!(table.admit("a@h"), Admission::Refused(Status::Nok));
        table.admitted("a@h");
        assert_eq!(table.admit("a@h"), Admission::Welcome(Status::Ok));
    }
}
