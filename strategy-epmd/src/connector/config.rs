//! The options of the connector `erlang`.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use cluster_sdk::{ConfigDuration, ConfigError, LocalNode, NodeName};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::cookie::CookieSource;
use crate::{
    dist::{dial::Dialler, tls::TlsConfig},
    epmd,
};

/// The shortest `net_ticktime`: below it a busy machine looks dead.
const NET_TICKTIME_MIN: Duration = Duration::from_secs(4);

/// Links that are real Erlang distribution.
///
/// In mode `sidecar` the links are those of the BEAM node that the host runs beside: the host attaches to it as a hidden
/// node and has it connect to the others. In mode `mesh` the host is an Erlang node itself, a hidden one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErlangConfig {
    /// `sidecar` (default): the local BEAM node makes the links, by request. `mesh`: the host makes them, as the node
    /// `[node].name`; BEAM nodes are then linked with the host, not with each other.
    pub mode: Mode,
    /// The BEAM node to attach to (sidecar): its name, by default `[node].name`, or `auto`: the only one that is not
    /// hidden and registered at the local epmd.
    #[schemars(with = "Option<String>")]
    pub node: Option<NodeChoice>,
    /// File with the cookie of the cluster; a line's end at its end does not count. By default `$HOME/.erlang.cookie`. It is
    /// read anew for each connection.
    pub cookie_file: Option<PathBuf>,
    /// Variable of the environment with the cookie, such as `RELEASE_COOKIE`, in place of a file.
    pub cookie_env: Option<String>,
    /// Port of the epmd of each machine. Default: `$ERL_EPMD_PORT`, or 4369.
    #[serde(deserialize_with = "port")]
    pub epmd_port: Option<u16>,
    /// Port on which each node listens, where there is no epmd (`-start_epmd false -erl_epmd_port PORT`): it is the same
    /// for all nodes. In mode mesh the host listens there too.
    #[serde(deserialize_with = "port")]
    pub port: Option<u16>,
    /// What becomes of the link to a node that nobody vouches for any more and that lives (sidecar). `auto` (default):
    /// it is disconnected only where that cannot dissolve the rest of the cluster: OTP's
    /// `prevent_overlapping_partitions` (on since OTP 25) answers the loss of one live link with the loss of all.
    /// `always`, `never`.
    pub disconnect_live: DisconnectLive,
    /// What becomes of the BEAM node's links when the host is stopped (sidecar). `keep` (default): nothing. `leave`: the
    /// node leaves the cluster, by `global:disconnect/0`.
    pub on_stop: OnStop,
    /// After this time without a byte a node takes the other for dead (mesh; a quarter more is granted). As for BEAM
    /// nodes, which should all have the same. Default 60 s. In mode sidecar it is asked of the node.
    pub net_ticktime: ConfigDuration,
    /// Address on which the host listens for other nodes (mesh). Default: the host part of its name where that is an IP
    /// address, else all addresses; the port is `port`, or any.
    #[schemars(with = "Option<String>")]
    pub listen: Option<std::net::IpAddr>,
    /// TLS distribution (`-proto_dist inet_tls`). Without it, connections are not encrypted.
    pub(crate) tls: Option<TlsConfig>,
}

/// Who makes the links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The local BEAM node.
    #[default]
    Sidecar,
    /// The host itself.
    Mesh,
}

/// Whether a live node is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DisconnectLive {
    /// Where it harms no other link.
    #[default]
    Auto,
    /// Whatever happens.
    Always,
    /// Not at all.
    Never,
}

/// What the stop of the host means for its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// It stays in the cluster.
    #[default]
    Keep,
    /// It leaves.
    Leave,
}

/// The node to attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeChoice {
    /// The only one there is.
    Auto,
    /// This one.
    Name(NodeName),
}

// === impl ErlangConfig ===

impl ErlangConfig {
    /// Where the cookie comes from.
    pub(crate) fn cookie(&self) -> CookieSource {
        match (&self.cookie_file, &self.cookie_env) {
            (Some(file), _) => CookieSource::File(file.clone()),
            (None, Some(variable)) => CookieSource::Variable(variable.clone()),
            (None, None) => CookieSource::Home,
        }
    }

    /// How nodes are reached.
    pub(crate) fn dialler(&self) -> Dialler {
        let epmd_port = self.epmd_port.unwrap_or_else(epmd::default_port);
        Dialler { epmd_port, port: self.port, tls: self.tls.clone() }
    }

    /// What is wrong beyond the types.
    pub(crate) fn errors(&self, local: &LocalNode) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut wrong = |path: &str, message: &str| errors.push(ConfigError::new(path, message));
        if self.cookie_file.is_some() && self.cookie_env.is_some() {
            wrong("cookie_env", "there is a cookie_file as well: the cookie comes from one of them");
        }
        match self.mode {
            Mode::Sidecar if self.node.is_none() && local.name.is_none() => wrong(
                "node",
                "which BEAM node does the host run beside? Set [node].name, or here node = \"name@host\" or \"auto\"; \
                 without a BEAM node write connect = \"none\"",
            ),
            Mode::Sidecar => {
                if let (Some(NodeChoice::Name(node)), Some(name)) = (&self.node, &local.name)
                    && node != name
                {
                    wrong("node", &format!("[node].name is {name}: the host runs beside one node"));
                }
            }
            Mode::Mesh => {
                if local.name.is_none() {
                    wrong("mode", "in mode mesh the host is a node itself and needs [node].name");
                }
                if self.node.is_some() {
                    wrong("node", "in mode mesh there is no other node to attach to: leave it out");
                }
            }
        }
        if self.net_ticktime.get() < NET_TICKTIME_MIN {
            wrong("net_ticktime", &format!("below {NET_TICKTIME_MIN:?} a busy machine looks dead"));
        }
        let tls = self.tls.iter().flat_map(|tls| match self.mode {
            Mode::Sidecar => tls.validate(),
            Mode::Mesh => tls.validate_to_accept(),
        });
        errors.extend(tls.map(|error| error.within("tls")));
        errors
    }
}

impl Default for ErlangConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            node: None,
            cookie_file: None,
            cookie_env: None,
            epmd_port: None,
            port: None,
            disconnect_live: DisconnectLive::default(),
            on_stop: OnStop::default(),
            net_ticktime: ConfigDuration::from_secs(60),
            listen: None,
            tls: None,
        }
    }
}

// === impl NodeChoice ===

impl FromStr for NodeChoice {
    type Err = cluster_sdk::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" { Ok(Self::Auto) } else { text.parse().map(Self::Name) }
    }
}

impl fmt::Display for NodeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for NodeChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    match u16::deserialize(deserializer)? {
        0 => Err(D::Error::custom("a port is a number from 1 to 65535")),
        port => Ok(Some(port)),
    }
}
