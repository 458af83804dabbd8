//! A local network that is a UDP port on loopback: hosts on one port hear each other, by multicast over 127.0.0.1.

use crate::host::{GOSSIP, Host, Launch, Plugins, free_udp_port};

/// The port, and the plugins of its hosts.
pub(crate) struct Lan {
    pub(crate) port: u16,
    pub(crate) plugins: Plugins,
}

impl Lan {
    pub(crate) fn new() -> Self {
        Self::with(Plugins::with(&[GOSSIP]))
    }

    pub(crate) fn with(plugins: Plugins) -> Self {
        Self { port: free_udp_port(), plugins }
    }

    /// The configuration of a node whose topology `lan` has these options more.
    pub(crate) fn config(&self, node: &str, options: &str) -> String {
        let port = self.port;
        format!(
            r#"cluster = "test"
[node]
name = "{node}"
[topologies.lan]
strategy = "gossip"
connect = "none"
[topologies.lan.config]
port = {port}
multicast_if = "127.0.0.1"
{options}
"#
        )
    }

    pub(crate) fn start(&self, node: &str, options: &str) -> Host {
        self.start_with(self.config(node, options))
    }

    pub(crate) fn start_with(&self, config: String) -> Host {
        Host::start(Launch { config, plugins: self.plugins.path().to_owned(), ..Launch::default() })
    }
}
