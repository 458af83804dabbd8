//! The connector `newcomer`: a link is a TCP connection that stays open.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use cluster_sdk::{
    Connector, ConnectorContext, Node, NodeName, Outcome, Result,
    tokio::{
        io::AsyncReadExt as _,
        net::TcpStream,
        task::{AbortHandle, spawn_local},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Links are TCP connections that stay open.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Port to connect to where a node's address has none
    #[serde(default = "default_port")]
    port: u16,
}

struct NewcomerConnector {
    config: Config,
    ctx: ConnectorContext,
    /// All operations are on one thread: a `RefCell` is enough, as long as it is not held over an `await`.
    links: Rc<RefCell<BTreeMap<NodeName, AbortHandle>>>,
}

impl Connector for NewcomerConnector {
    const NAME: &'static str = "newcomer";
    type Config = Config;
    // When the addresses of a node change, its link is made anew.
    const BY_ADDRESS: bool = true;

    async fn start(config: Config, ctx: ConnectorContext) -> Result<Self> {
        Ok(Self {
            config,
            ctx,
            links: Rc::default(),
        })
    }

    /// The host gives it a deadline, and tries again, later and later, while it does not succeed.
    async fn connect(&self, node: &Node) -> Outcome {
        let host = node
            .addresses()
            .next()
            .unwrap_or_else(|| node.name().host());
        let address = match host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.config.port).to_string(),
            Err(_) if host.contains(':') => host.to_owned(),
            Err(_) => format!("{host}:{}", self.config.port),
        };
        match TcpStream::connect(&address).await {
            Ok(stream) => {
                self.keep(node.name().clone(), stream);
                Outcome::Done
            }
            Err(err) => Outcome::Unreachable(format!("{address}: {err}")),
        }
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        if let Some(link) = self.links.borrow_mut().remove(node) {
            link.abort();
        }
        Outcome::Done
    }

    /// All links that there are: what is not named is down.
    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        Ok(Some(self.links.borrow().keys().cloned().collect()))
    }
}

impl NewcomerConnector {
    /// Keeps a connection, and tells when it is lost.
    fn keep(&self, name: NodeName, mut stream: TcpStream) {
        let (ctx, links, node) = (self.ctx.clone(), Rc::clone(&self.links), name.clone());
        let task = spawn_local(async move {
            let mut bytes = [0; 64];
            while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
            links.borrow_mut().remove(&node);
            ctx.link_down(&node, "the connection was closed");
        });
        if let Some(before) = self.links.borrow_mut().insert(name, task.abort_handle()) {
            before.abort();
        }
    }
}

fn default_port() -> u16 {
    9000
}

cluster_sdk::export_plugin!(connectors: [NewcomerConnector]);
