//! The members as Prometheus discovers them by HTTP (`http_sd_configs`).

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use cluster_core::{Member, MemberState, Snapshot, TopologyName};
use serde::Deserialize;

use super::json;

/// What the labels begin with: those of `__meta_` are for relabelling, and gone afterwards.
const PREFIX: &str = "__meta_cluster_";

/// Which members, and at which port.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The port to be scraped, in the place of that of the address.
    port: Option<u16>,
    /// Only the members that this topology vouches for.
    topology: Option<String>,
    /// Only the members in this state; by default those that are up.
    #[serde(default)]
    state: Wish,
}

/// Members of which state are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    #[default]
    Up,
    Discovered,
    Down,
    Leaving,
    Any,
}

// === impl Wanted ===

impl Wanted {
    /// The targets, one for each member, in the order of their names.
    pub(super) fn of<'a>(&self, snapshot: &'a Snapshot) -> Vec<json::Target<'a>> {
        let members = snapshot.members.values().filter(|member| self.is_wanted(member));
        members.map(|member| self.target(member)).collect()
    }

    fn is_wanted(&self, member: &Member) -> bool {
        let is_in = |topology: &String| member.topologies.iter().any(|of| of.name.as_str() == topology);
        self.state.fits(member.state) && self.topology.as_ref().is_none_or(is_in)
    }

    fn target<'a>(&self, member: &'a Member) -> json::Target<'a> {
        let address = match member.addresses.first() {
            Some(address) => address.as_str(),
            None => member.name.as_str().split_once('@').map_or("", |(_, host)| host),
        };
        let mut labels: BTreeMap<_, _> = [
            ("node", member.name.as_str().into()),
            ("state", member.state.as_str().into()),
            ("self", if member.is_self { "true" } else { "false" }.into()),
            ("topologies", list(member.topologies.iter().map(|of| &of.name)).into()),
        ]
        .into_iter()
        .map(|(name, value)| ([PREFIX, name].concat(), value))
        .collect();
        for (key, value) in member.attributes.iter() {
            labels.insert([PREFIX, "attribute_", &label(key)].concat(), value.into());
        }
        json::Target { targets: vec![with_port(address, self.port)], labels }
    }
}

// === impl Wish ===

impl Wish {
    fn fits(self, state: MemberState) -> bool {
        match self {
            Self::Up => state == MemberState::Up,
            Self::Discovered => state == MemberState::Discovered,
            Self::Down => state == MemberState::Down,
            Self::Leaving => state == MemberState::Leaving,
            Self::Any => true,
        }
    }
}

/// `,a,b,`: so that a regular expression can look for `,a,`, as with Prometheus' own lists.
fn list<'a>(names: impl Iterator<Item = &'a TopologyName>) -> String {
    names.fold(",".to_owned(), |list, name| list + name.as_str() + ",")
}

/// A text as part of a label's name, which has letters, digits and underscores alone.
fn label(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// `HOST:PORT`, with the address's own port where none is given.
fn with_port(address: &str, port: Option<u16>) -> String {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return SocketAddr::new(socket.ip(), port.unwrap_or_else(|| socket.port())).to_string();
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return match (port, ip) {
            (Some(port), ip) => SocketAddr::new(ip, port).to_string(),
            (None, IpAddr::V4(ip)) => ip.to_string(),
            (None, IpAddr::V6(ip)) => format!("[{ip}]"),
        };
    }
    let (host, own) = address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
    match (port, own) {
        (Some(port), _) => format!("{host}:{port}"),
        (None, _) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The port that is asked for takes the place of the address's own, whatever an address looks like.
    #[test]
    fn ports() {
        for (address, port, expected) in [
            ("10.0.0.7:9000", Some(9100), "10.0.0.7:9100"),
            ("10.0.0.7:9000", None, "10.0.0.7:9000"),
            ("10.0.0.7", Some(9100), "10.0.0.7:9100"),
            ("10.0.0.7", None, "10.0.0.7"),
            ("[fd00::7]:9000", Some(9100), "[fd00::7]:9100"),
            ("[fd00::7]", Some(9100), "[fd00::7]:9100"),
            ("fd00::7", Some(9100), "[fd00::7]:9100"),
            ("fd00::7", None, "[fd00::7]"),
            ("app.example:9000", Some(9100), "app.example:9100"),
            ("app.example:9000", None, "app.example:9000"),
            ("app.example", Some(9100), "app.example:9100"),
            ("app.example", None, "app.example"),
        ] {
            assert_eq!(with_port(address, port), expected);
        }
    }

    /// A key is made a label's name; what was told apart by other signs only is one label.
    #[test]
    fn labels() {
        assert_eq!(label("app.kubernetes.io/name"), "app_kubernetes_io_name");
        assert_eq!(label("zone"), "zone");
    }
}
