//! Addresses of name servers, as configs and `resolv.conf` write them.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    str::FromStr,
};

use cluster_sdk::{
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};

/// Where a name server listens that does not say otherwise.
const PORT: u16 = 53;

/// The address of a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nameserver(SocketAddr);

/// The text is no address of a name server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of a name server: write 10.0.0.10, 10.0.0.10:53, fd00::10 or [fd00::10]:53")]
pub struct NameserverError(String);

// === impl Nameserver ===

impl Nameserver {
    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Nameserver {
    type Err = NameserverError;

    fn from_str(text: &str) -> Result<Self, NameserverError> {
        let address = text.parse::<SocketAddr>().ok();
        let address = address.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT)));
        let address = address.or_else(|| bracketed(text)).or_else(|| scoped(text));
        match address {
            Some(address) if address.port() != 0 && !address.ip().is_unspecified() => Ok(Self(address)),
            _ => Err(NameserverError(text.chars().take(80).collect())),
        }
    }
}

/// `[10.0.0.10]:53`, as OpenBSD's `resolv.conf` writes a port, or an address in brackets alone.
fn bracketed(text: &str) -> Option<SocketAddr> {
    let (ip, rest) = text.strip_prefix('[')?.split_once(']')?;
    let port = match rest {
        "" => PORT,
        rest => rest.strip_prefix(':')?.parse().ok()?,
    };
    Some(SocketAddr::new(ip.parse().ok()?, port))
}

/// `fe80::1%2`: a link-local address with the number of its interface.
fn scoped(text: &str) -> Option<SocketAddr> {
    let (ip, scope) = text.split_once('%')?;
    let ip: Ipv6Addr = ip.parse().ok()?;
    Some(SocketAddrV6::new(ip, PORT, 0, scope.parse().ok()?).into())
}

impl fmt::Display for Nameserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Nameserver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Nameserver {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Nameserver".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an IP address, with or without a port" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With and without port, in either family.
    #[test]
    fn addresses() {
        for (text, address) in [
            ("10.0.0.10", "10.0.0.10:53"),
            ("10.0.0.10:5353", "10.0.0.10:5353"),
            ("fd00::10", "[fd00::10]:53"),
            ("[fd00::10]", "[fd00::10]:53"),
            ("[fd00::10]:5353", "[fd00::10]:5353"),
            ("[10.0.0.10]:5353", "10.0.0.10:5353"),
            ("fe80::1%2", "[fe80::1%2]:53"),
        ] {
            assert_eq!(text.parse::<Nameserver>().unwrap().to_string(), address);
        }
        for bad in [
            "",
            "ns1.example",
            "10.0.0.10:",
            "10.0.0.10:0",
            "0.0.0.0",
            "[10.0.0.10",
            "fe80::1%eth0",
            "10.0.0",
        ] {
            assert!(bad.parse::<Nameserver>().is_err(), "{bad}");
        }
    }
}
