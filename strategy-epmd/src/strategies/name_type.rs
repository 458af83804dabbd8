//! Short and long names: nodes of one type never connect to nodes of the other.

use cluster_sdk::{LocalNode, NodeName};

use crate::dist::dial::is_long;

/// Why nodes of this host and the local node never connect, where that is so.
pub(super) fn mismatch(host: &str, local: &LocalNode) -> Option<String> {
    let local: &NodeName = local.name.as_ref()?;
    let (here, there) = match (is_long(local.host()), is_long(host)) {
        (false, true) => ("a short name", "a long one"),
        (true, false) => ("a long name", "a short one"),
        _ => return None,
    };
    Some(format!(
        "the local node {local} has {here} and host {host} makes {there}: Erlang never connects the two; start all \
         nodes with -name and a host with a dot, or all with -sname"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses and hosts with a dot are long, all others short; nothing is said of a local node without a name.
    #[test]
    fn mismatches() {
        let local = |name: &str| LocalNode { name: name.parse().ok(), ..LocalNode::default() };
        for (name, host, is_refused) in [
            ("a@db1", "db2", false),
            ("a@db1", "db2.example", true),
            ("a@127.0.0.1", "db2", true),
            ("a@127.0.0.1", "fd00::1", false),
            ("a@127.0.0.1", "localhost", true),
            ("", "db2", false),
        ] {
            assert_eq!(mismatch(host, &local(name)).is_some(), is_refused, "{name} {host}");
        }
    }
}
