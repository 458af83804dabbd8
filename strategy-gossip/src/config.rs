//! The options of a topology with `strategy = "gossip"`.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU16,
    str::FromStr,
    time::Duration,
};

use cluster_sdk::{
    ConfigDuration, ConfigError, LocalNode, Secret,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};

use crate::{allow::Network, announcement::Announcement};

/// Entries of `unicast` at most.
pub(crate) const UNICAST_MAX: usize = 64;
/// Shorter intervals than this are refused: they would be load without use.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Options of the gossip strategy. Names are libcluster's, so that its configs can be carried over; where a default or
/// a meaning differs, the option says so.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde", default, deny_unknown_fields)]
#[schemars(crate = "cluster_sdk::schemars")]
pub struct Config {
    /// UDP port to listen at and to send to. All nodes of a cluster use the same one; several nodes on one machine share
    /// it. Default 45892, as in libcluster.
    pub port: NonZeroU16,
    /// Address to bind to. Default 0.0.0.0. On Linux a socket that is bound to any other address hears no multicast and
    /// no broadcast, so another one makes sense with `unicast` only; to choose an interface use `multicast_if`.
    pub if_addr: Ipv4Addr,
    /// Address of the interface to send and receive multicast on, such as "10.0.0.5". Default: the one that the routing
    /// table gives. Needed on machines with several networks or without a default route; 127.0.0.1 keeps all on this machine.
    pub multicast_if: Option<Ipv4Addr>,
    /// Multicast group that heartbeats are sent to and heard from; with `broadcast_only` the broadcast address. Default
    /// 230.1.1.251, which is that of libcluster before 3.3. libcluster 3.3 and later uses 233.252.1.32: to be in one
    /// cluster with its nodes set one side to the other's.
    pub multicast_addr: Ipv4Addr,
    /// How many routers a multicast heartbeat may pass. Default 1, which keeps it in the local network; 0 keeps it on the
    /// machine. As in libcluster.
    pub multicast_ttl: u8,
    /// Send to the broadcast address in `multicast_addr` (such as 255.255.255.255 or 10.0.0.255) in place of a multicast
    /// group: no group is joined, `multicast_if` and `multicast_ttl` have no effect. Default false. As in libcluster, which
    /// also accepts a multicast group here and then hears nobody.
    pub broadcast_only: bool,
    /// Text with which heartbeats are encrypted: who does not have it is neither understood nor understands. Given inline, as
    /// { file = "/run/secrets/gossip" } or { env = "SECRET" }; read anew every few seconds, so it can be changed without a
    /// restart. Default: none, and then anyone on the network can name nodes that a connector dials: see also `allow`.
    /// The encryption is libcluster's (AES-256-CBC without authentication of what is sent), whose nodes need the same text.
    pub secret: Option<Secret>,
    /// Addresses or DNS names that get each heartbeat too, as "10.0.0.5" or "seed.example:45892"; the port defaults to
    /// `port`. For networks that carry no multicast, as most clouds: list every node, or a name that resolves to all of them
    /// (a headless service in Kubernetes). A name is resolved anew every 30 s, to IPv4 addresses. Default: none. Not in libcluster.
    pub unicast: Vec<Target>,
    /// Networks, as "10.0.0.0/8", or single addresses. With this only nodes count whose name has an IP address inside as
    /// host (app@10.0.0.7); a node's further addresses outside are left out. Default: every node counts. Not in libcluster.
    pub allow: Option<Vec<Network>>,
    /// Longest time between two heartbeats, as "5s" or in milliseconds; each next one comes after a random part of it. Default
    /// 5s, which libcluster has built in. The node itself heeds it: others need not agree.
    pub heartbeat_interval: ConfigDuration,
    /// How long a node counts as there after its last heartbeat, as "30s" or in milliseconds; at least twice the
    /// `heartbeat_interval` that the others use. Default 30s. libcluster never removes a node; here, with a real connector,
    /// a silent node stays as long as its link is up.
    pub heartbeat_timeout: ConfigDuration,
}

/// An entry of `unicast`: a host, and a port where it is not the topology's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// An IPv4 address or a DNS name.
    pub host: String,
    /// The port, where one is given.
    pub port: Option<NonZeroU16>,
}

/// The text is no target. Says what is wrong and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {reason}: write 10.0.0.5, 10.0.0.5:45892, seed.example or seed.example:45892")]
pub struct TargetError {
    text: String,
    reason: &'static str,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            port: DEFAULT_PORT,
            if_addr: Ipv4Addr::UNSPECIFIED,
            multicast_if: None,
            multicast_addr: Ipv4Addr::new(230, 1, 1, 251),
            multicast_ttl: 1,
            broadcast_only: false,
            secret: None,
            unicast: Vec::new(),
            allow: None,
            heartbeat_interval: ConfigDuration::from_secs(5),
            heartbeat_timeout: ConfigDuration::from_secs(30),
        }
    }
}

const DEFAULT_PORT: NonZeroU16 = match NonZeroU16::new(45_892) {
    Some(port) => port,
    None => NonZeroU16::MIN,
};

impl Config {
    /// Everything that is wrong beyond types.
    pub(crate) fn errors(&self, local: &LocalNode) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut error = |path: &str, message: String| {
            errors.push(ConfigError { path: path.to_owned(), message });
        };
        let group = self.multicast_addr;
        if self.broadcast_only && group.is_multicast() {
            error(
                "multicast_addr",
                format!(
                    "{group} is a multicast group: with broadcast_only set the broadcast address, such as \
                     255.255.255.255"
                ),
            );
        }
        if !self.broadcast_only && !group.is_multicast() {
            error(
                "multicast_addr",
                format!(
                    "{group} is no multicast group (224.0.0.0 to 239.255.255.255): for a broadcast address set \
                     broadcast_only = true, single addresses go into unicast"
                ),
            );
        }
        if self.unicast.len() > UNICAST_MAX {
            let count = self.unicast.len();
            error(
                "unicast",
                format!("{count} entries: at most {UNICAST_MAX}, one name may resolve to many addresses"),
            );
        }
        let (interval, timeout) = (self.heartbeat_interval, self.heartbeat_timeout);
        if interval.get() < INTERVAL_MIN {
            error("heartbeat_interval", format!("{interval} is too short: at least {INTERVAL_MIN:?}"));
        }
        if timeout.get() < interval.get().saturating_mul(2) {
            error(
                "heartbeat_timeout",
                format!(
                    "{timeout} is less than twice the heartbeat_interval of {interval}: one lost heartbeat would \
                     end a node"
                ),
            );
        }
        if let Some(name) = &local.name
            && let Err(too_large) = Announcement::try_new(local, name, self.secret.is_some())
        {
            error("", too_large.to_string());
        }
        errors
    }
}

// === impl Target ===

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = |reason| TargetError { text: text.to_owned(), reason };
        if matches!(text.parse(), Ok(IpAddr::V6(_))) || text.starts_with('[') {
            return Err(wrong("is an IPv6 address, and heartbeats go over IPv4"));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_error| wrong("has no valid port"))?)),
            None => (text, None),
        };
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || host.len() > 253 || !host.chars().all(allowed) {
            return Err(wrong("is no address and no DNS name"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Target {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an IPv4 address or a DNS name, with or without a port" })
    }
}

#[cfg(test)]
mod tests;
