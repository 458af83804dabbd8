//! Why a BEAM node could not connect to another one: it says no more than `false`, so the host tries itself.

use std::time::Duration;

use cluster_sdk::NodeName;

use super::cookie::Cookie;
use crate::dist::{
    dial::{DialError, Dialler, is_long},
    exchange::{HandshakeError, Hello, Name, UNREGISTERED_CREATION},
};

/// How long the try may take: less than an operation of the host.
const WITHIN: Duration = Duration::from_secs(3);

/// A reason for people, or `None` where the host reaches the node.
pub(super) async fn diagnose(
    dialler: &Dialler,
    node: &NodeName,
    own: &NodeName,
    cookie: &Cookie,
) -> Option<String> {
    let name = probe_name(own);
    let hello = Hello {
        name: Name::Static { name: &name, creation: UNREGISTERED_CREATION },
        cookie: cookie.reveal(),
    };
    match dialler.dial(node, hello, WITHIN).await {
        // Dropped at once: no more was wanted than to know.
        Ok(_reached) => None,
        // An earlier try is not forgotten there yet.
        Err(DialError::Handshake { source: HandshakeError::Nok, .. }) => None,
        Err(error) => Some(reason(&error)),
    }
}

/// The name for tries that may fail: always the same one of a host, as a node keeps each name that it hears of, and
/// each that it gives, for as long as it lives.
pub(super) fn probe_name(own: &NodeName) -> String {
    let name = format!("probing-{own}");
    if NodeName::try_new(&name).is_ok() { name } else { format!("probing@{}", own.host()) }
}

/// The text of a failed dial.
pub(super) fn reason(error: &DialError) -> String {
    match error {
        DialError::Handshake { at, source: HandshakeError::OtherNode { found } } => {
            format!("{found} answers at {at} in its place")
        }
        other => other.to_string(),
    }
}

/// Why two nodes never link, where their names are of two kinds.
pub(super) fn mismatch(own: &NodeName, node: &NodeName) -> Option<String> {
    let kind = |name: &NodeName| if is_long(name.host()) { "long" } else { "short" };
    (kind(own) != kind(node)).then(|| {
        format!(
            "{node} has a {} name and {own} a {} one: Erlang nodes link only with nodes that are named as they are \
             (-sname: no dot behind the @, -name: a full host name or an address)",
            kind(node),
            kind(own)
        )
    })
}
