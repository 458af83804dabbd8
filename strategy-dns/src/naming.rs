//! Names of nodes from what the DNS has, as libcluster makes them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use cluster_sdk::{Node, schemars::JsonSchema, serde::Deserialize};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::{answer::Records, basename::Basename};

/// Which addresses of nodes are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", rename_all = "lowercase")]
#[schemars(crate = "cluster_sdk::schemars")]
pub enum Family {
    /// IPv4 and IPv6: a node for each address.
    Both,
    /// IPv4, from A records.
    Ipv4,
    /// IPv6, from AAAA records.
    Ipv6,
}

/// What is looked up, and how nodes are named by it.
#[derive(Debug, Clone)]
pub(crate) enum Naming {
    /// `BASENAME@ADDRESS`, from A and AAAA records.
    Addresses(Basename, Family),
    /// `BASENAME@TARGET`, from SRV records.
    Targets(Basename),
}

// === impl Naming ===

impl Naming {
    /// The types of records to look up.
    pub(crate) fn types(&self) -> (RecordType, Option<RecordType>) {
        match self {
            Self::Addresses(_, Family::Both) => (RecordType::A, Some(RecordType::AAAA)),
            Self::Addresses(_, Family::Ipv4) => (RecordType::A, None),
            Self::Addresses(_, Family::Ipv6) => (RecordType::AAAA, None),
            Self::Targets(_) => (RecordType::SRV, None),
        }
    }

    /// The nodes that records name, some perhaps several times, and what they have that cannot be a node.
    pub(crate) fn nodes(&self, records: &Records) -> (Vec<Node>, Vec<String>) {
        let (mut nodes, mut wrong) = (Vec::new(), Vec::new());
        for data in &records.data {
            match self.node(data, &records.glue) {
                Some(Ok(node)) => nodes.push(node),
                Some(Err(reason)) => wrong.push(reason),
                None => {}
            }
        }
        (nodes, wrong)
    }

    fn node(&self, data: &RData, glue: &[(Name, IpAddr)]) -> Option<Result<Node, String>> {
        match self {
            Self::Addresses(basename, _) => {
                let address = data.ip_addr()?;
                let name = format!("{}@{}", basename.as_str(), as_erlang(address));
                Some(
                    Node::try_new(&name)
                        .map(|node| node.address(&address.to_string()))
                        .map_err(|err| err.to_string()),
                )
            }
            Self::Targets(basename) => {
                let RData::SRV(srv) = data else { return None };
                // RFC 2782: a target of "." says that the service is not to be had.
                if srv.target.is_root() {
                    return None;
                }
                let target = srv.target.to_ascii();
                let name = format!("{}@{}", basename.as_str(), target.trim_end_matches('.'));
                // Some servers add an address once for each record that names it.
                let addresses: BTreeSet<_> = glue
                    .iter()
                    .filter(|(owner, _)| *owner == srv.target)
                    .map(|(_, address)| *address)
                    .collect();
                let add = |node: Node, address: &IpAddr| node.address(&address.to_string());
                Some(
                    Node::try_new(&name)
                        .map(|node| addresses.iter().fold(node, add))
                        .map_err(|err| err.to_string()),
                )
            }
        }
    }
}

/// An address as Erlang's `inet:ntoa/1` writes it, which is part of the names of real nodes.
fn as_erlang(address: IpAddr) -> String {
    match address {
        IpAddr::V6(ip) => match ip.segments() {
            [0, 0, 0, 0, 0, 0, high, low] if ip != Ipv6Addr::UNSPECIFIED && ip != Ipv6Addr::LOCALHOST => {
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                format!("::{}", Ipv4Addr::new(a, b, c, d))
            }
            _ => ip.to_string(),
        },
        IpAddr::V4(ip) => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};

    use super::*;

    fn names(naming: &Naming, data: Vec<RData>) -> (Vec<String>, usize) {
        let (nodes, wrong) = naming.nodes(&Records { data, glue: Vec::new(), ttl: 1 });
        (nodes.iter().map(|node| node.name().to_string()).collect(), wrong.len())
    }

    fn srv(port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(0, 1, port, Name::from_ascii(target).unwrap()))
    }

    /// As OTP's `inet:ntoa/1` gives them: these texts are its own.
    #[test]
    fn addresses_as_erlang_writes_them() {
        for text in [
            "10.0.0.1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::1.2.3.4",
            "::1",
            "::",
            "2001:db8:0:1:1:1:1:1",
            "2001:0:0:1::1",
            "1::2:0:0:3:4",
            "fe80::a",
            "64:ff9b::a00:1",
            "1:0:2:0:3:0:4:0",
        ] {
            assert_eq!(as_erlang(text.parse().unwrap()), text);
        }
    }

    /// A node for each address, with it.
    #[test]
    fn by_address() {
        let naming = Naming::Addresses("app".parse().unwrap(), Family::Both);
        let data = vec![RData::A(A::new(10, 0, 0, 1)), RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))];
        let records = Records { data, glue: Vec::new(), ttl: 1 };
        let (nodes, _) = naming.nodes(&records);
        let shown: Vec<_> =
            nodes.iter().map(|node| (node.name().as_str(), node.addresses().next().unwrap())).collect();
        assert_eq!(shown, [("app@10.0.0.1", "10.0.0.1"), ("app@fd00::1", "fd00::1")]);
    }

    /// A node for each target, without the full stop; "." is none; what is no name is told.
    #[test]
    fn by_target() {
        let naming = Naming::Targets("app".parse().unwrap());
        let at = Name::from_labels([b"a@b".as_slice()]).unwrap();
        let pod = "app-0.app.prod.svc.cluster.local.";
        let found =
            names(&naming, vec![srv(1, pod), srv(2, pod), srv(1, "."), RData::SRV(SRV::new(0, 1, 1, at))]);
        assert_eq!(found, (vec!["app@app-0.app.prod.svc.cluster.local".to_owned(); 2], 1));
    }

    /// Addresses that the server added are the node's, each once.
    #[test]
    fn glue() {
        let naming = Naming::Targets("app".parse().unwrap());
        let owner = |text| Name::from_ascii(text).unwrap();
        let glue =
            vec![(owner("A."), IpAddr::from([10, 0, 0, 1])), (owner("b."), IpAddr::from([10, 0, 0, 2]))];
        let (nodes, _) = naming.nodes(&Records { data: vec![srv(1, "a.")], glue, ttl: 1 });
        assert_eq!(nodes[0].addresses().collect::<Vec<_>>(), ["10.0.0.1"]);
    }
}
