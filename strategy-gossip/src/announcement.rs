//! What the local node sends: its heartbeat and its goodbye, encoded once and sent often.

use cluster_sdk::{LocalNode, Node, NodeName};

use crate::{
    cipher::Cipher,
    wire::{DATAGRAM_BYTES_MAX, Heartbeat, Subject},
};

/// The local node's datagrams, not yet sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// "I am alive."
    pub(crate) heartbeat: Vec<u8>,
    /// "I am about to go."
    pub(crate) goodbye: Vec<u8>,
}

/// The heartbeat does not fit in a datagram. Nothing was sent; the operator can shorten what is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the heartbeat would have {bytes} bytes, but a datagram has at most {DATAGRAM_BYTES_MAX}: the name takes \
     {name}, the cluster's name {cluster}, addresses {addresses}, attributes {attributes}{largest}; shorten \
     them under [node]"
)]
pub(crate) struct TooLarge {
    bytes: usize,
    name: usize,
    cluster: usize,
    addresses: usize,
    attributes: usize,
    /// Names the largest attribute, where there is one.
    largest: String,
}

// === impl Announcement ===

impl Announcement {
    /// The datagrams of a node under this name. With a secret they are larger.
    ///
    /// # Errors
    /// [`TooLarge`] names what takes the room.
    pub(crate) fn try_new(local: &LocalNode, name: &NodeName, is_sealed: bool) -> Result<Self, TooLarge> {
        let announcement = Self::new(local, name, record(local, name).entry_bytes());
        let bytes = announcement.bytes(is_sealed);
        if bytes > DATAGRAM_BYTES_MAX { Err(TooLarge::new(local, name, bytes)) } else { Ok(announcement) }
    }

    /// The same without addresses and attributes, for when these do not fit: better heard than silent.
    pub(crate) fn bare(local: &LocalNode, name: &NodeName) -> Self {
        Self::new(local, name, &[])
    }

    /// Bytes of the larger one on the wire.
    fn bytes(&self, is_sealed: bool) -> usize {
        let plain = self.heartbeat.len().max(self.goodbye.len());
        if is_sealed { Cipher::sealed_bytes(plain) } else { plain }
    }

    fn new(local: &LocalNode, name: &NodeName, record: &[u8]) -> Self {
        let heartbeat = Heartbeat {
            subject: Subject::Alive(name.as_str().into()),
            cluster: Some(&local.cluster),
            incarnation: Some(local.incarnation),
            record,
        };
        let goodbye =
            Heartbeat { subject: Subject::Leaving(name.as_str()), record: &[], ..heartbeat.clone() };
        Self { heartbeat: heartbeat.encode(), goodbye: goodbye.encode() }
    }
}

// === impl TooLarge ===

impl TooLarge {
    fn new(local: &LocalNode, name: &NodeName, bytes: usize) -> Self {
        let size = |(key, value): (&String, &String)| key.len() + value.len();
        let largest = local.attributes.iter().max_by_key(|entry| size(*entry));
        Self {
            bytes,
            name: name.as_str().len(),
            cluster: local.cluster.len(),
            addresses: local.addresses.iter().map(String::len).sum(),
            attributes: local.attributes.iter().map(size).sum(),
            largest: largest
                .map(|entry| format!(" (`{}` alone {})", entry.0, size(entry)))
                .unwrap_or_default(),
        }
    }
}

/// What is told of the local node beside its name and incarnation.
fn record(local: &LocalNode, name: &NodeName) -> Node {
    let mut node = Node::new(name.clone());
    for address in &local.addresses {
        node = node.address(address);
    }
    for (key, value) in &local.attributes {
        node = node.attribute(key, value);
    }
    node
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn local(attribute_bytes: usize) -> (LocalNode, NodeName) {
        let name: NodeName = "app@10.0.0.7".parse().unwrap();
        let local = LocalNode {
            cluster: "blue".to_owned(),
            name: Some(name.clone()),
            incarnation: 0x0102_0304_0506_0708,
            addresses: vec!["10.0.0.7:9000".to_owned()],
            attributes: [("zone", "eu-1".to_owned()), ("notes", "x".repeat(attribute_bytes))]
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
            ..LocalNode::default()
        };
        (local, name)
    }

    /// A goodbye has no `node`, so that libcluster does not dial; a heartbeat has all there is.
    #[test]
    fn heartbeat_and_goodbye() {
        let (local, name) = local(3);
        let announcement = Announcement::try_new(&local, &name, false).unwrap();
        let mut scratch = Vec::new();
        let heartbeat = Heartbeat::decode(&announcement.heartbeat, &mut scratch).unwrap();
        assert_eq!(heartbeat.subject, Subject::Alive("app@10.0.0.7".into()));
        assert_eq!((heartbeat.cluster, heartbeat.incarnation), (Some("blue"), Some(0x0102_0304_0506_0708)));
        let node = Node::from_entry_bytes(name, heartbeat.record).unwrap();
        assert_eq!(node.addresses().collect::<Vec<_>>(), ["10.0.0.7:9000"]);
        assert_eq!(node.attributes().collect::<Vec<_>>(), [("notes", "xxx"), ("zone", "eu-1")]);

        let goodbye = Heartbeat::decode(&announcement.goodbye, &mut scratch).unwrap();
        assert_eq!(goodbye.subject, Subject::Leaving("app@10.0.0.7"));
        assert_eq!((goodbye.incarnation, goodbye.record), (Some(0x0102_0304_0506_0708), &[][..]));
    }

    /// The bytes of both are pinned: nodes of other versions read them, and real OTP reads them as the maps
    /// `#{node => 'app@10.0.0.7', cluster => <<"blue">>, …}` and `#{leaving => <<"app@10.0.0.7">>, …}`.
    #[test]
    fn golden() {
        let (local, name) = local(3);
        let announcement = Announcement::try_new(&local, &name, false).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        expect!["6865617274626561743a3a83740000000477046e6f6465770c6170704031302e302e302e377707636c75737465726d00000004626c7565770b696e6361726e6174696f6e6d00000008010203040506070877067265636f72646d0000003108002e616464726573730d0031302e302e302e373a3930303005006e6f746573030078787804007a6f6e65040065752d31"].assert_eq(&hex(&announcement.heartbeat));
        expect!["6865617274626561743a3a83740000000377076c656176696e676d0000000c6170704031302e302e302e377707636c75737465726d00000004626c7565770b696e6361726e6174696f6e6d000000080102030405060708"].assert_eq(&hex(&announcement.goodbye));
    }

    /// What does not fit is refused with the reason, earlier when it is sealed; up to that it is sent whole.
    #[test]
    fn too_large() {
        let fits = |bytes, is_sealed| {
            let (local, name) = local(bytes);
            Announcement::try_new(&local, &name, is_sealed).map(|announcement| announcement.bytes(is_sealed))
        };
        let largest = (0..).take_while(|bytes| fits(*bytes, false).is_ok()).last().unwrap();
        assert_eq!(fits(largest, false), Ok(DATAGRAM_BYTES_MAX));
        let sealed = (0..).take_while(|bytes| fits(*bytes, true).is_ok()).last().unwrap();
        assert!(sealed < largest && largest - sealed <= 40, "{sealed} {largest}");
        assert_eq!(
            fits(1_500, false).unwrap_err().to_string(),
            "the heartbeat would have 1640 bytes, but a datagram has at most 1400: the name takes 12, the \
             cluster's name 4, addresses 13, attributes 1513 (`notes` alone 1505); shorten them under [node]"
        );
    }
}
