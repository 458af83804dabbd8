//! Which hosts a heartbeat may name.
//!
//! Anybody who can reach the port can name any host, and a connector then dials it. With `allow` only names whose
//! host part is an IP address inside one of the networks count, and of a node's addresses only those inside.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use cluster_sdk::{
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};
use ipnet::IpNet;

/// A network (`10.0.0.0/8`, `fd00::/8`) or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network: write 10.0.0.0/8, fd00::/8 or a single address")]
pub struct NetworkError(String);

/// The `allow` option: absent allows everything, an empty list nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allow(Option<Vec<Network>>);

// === impl Allow ===

impl Allow {
    pub(crate) fn new(networks: Option<Vec<Network>>) -> Self {
        Self(networks)
    }

    /// Whether nothing is restricted.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a node name's host part may be named. A host name may not: what it resolves to is not known here.
    pub(crate) fn host(&self, host: &str) -> bool {
        let Some(networks) = &self.0 else { return true };
        // Brackets as in a URL: some write `app@[fd00::1]`.
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        bare.parse::<IpAddr>().is_ok_and(|address| contains(networks, address))
    }

    /// Whether an address (`ip:port` or `ip`) may be passed on.
    pub(crate) fn address(&self, address: &str) -> bool {
        match (&self.0, address.parse::<SocketAddr>()) {
            (None, _) => true,
            (Some(networks), Ok(address)) => contains(networks, address.ip()),
            (Some(_), Err(_)) => self.host(address),
        }
    }
}

fn contains(networks: &[Network], address: IpAddr) -> bool {
    // `::ffff:10.0.0.1` reaches 10.0.0.1, so it is judged as that.
    let address = address.to_canonical();
    networks.iter().any(|network| network.0.contains(&address))
}

// === impl Network ===

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = text.parse::<IpNet>().or_else(|_error| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(network.trunc())).map_err(|_error| NetworkError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a network such as 10.0.0.0/8, or a single address" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(networks: &[&str]) -> Allow {
        Allow::new(Some(networks.iter().map(|network| network.parse().unwrap()).collect()))
    }

    /// Hosts and addresses inside and outside, in every way to write them.
    #[test]
    fn inside_and_outside() {
        let allow = allow(&["10.0.0.0/8", "192.168.1.7", "fd00::/8"]);
        for inside in ["10.1.2.3", "192.168.1.7", "fd12::1", "[fd12::1]", "::ffff:10.0.0.1"] {
            assert!(allow.host(inside) && allow.address(inside), "{inside}");
        }
        for outside in ["11.0.0.1", "192.168.1.8", "fe80::1", "::ffff:11.0.0.1", "app.example", "10.0.0", ""]
        {
            assert!(!allow.host(outside) && !allow.address(outside), "{outside}");
        }
        assert!(allow.address("10.0.0.1:9000") && allow.address("[fd00::1]:9000"));
        assert!(!allow.address("11.0.0.1:9000") && !allow.address("app.example:9000"));
        assert!(!allow.host("10.0.0.1:9000"));
    }

    /// No list allows all, an empty one nothing.
    #[test]
    fn absent_and_empty() {
        assert!(Allow::default().host("app.example") && Allow::default().address("app.example:1"));
        assert!(!allow(&[]).host("10.0.0.1"));
    }

    /// What is no network says how one is written.
    #[test]
    fn not_a_network() {
        let err = "10.0.0.0/33".parse::<Network>().unwrap_err();
        assert_eq!(
            err.to_string(),
            "\"10.0.0.0/33\" is not a network: write 10.0.0.0/8, fd00::/8 or a single address"
        );
    }
}
