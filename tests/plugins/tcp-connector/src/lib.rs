//! The host's connector `tcp` once more, from a shared library: as `tcp-from-file`, because `tcp` itself is offered
//! by the host already.

use cluster_host::connectors::{Tcp, TcpConfig};
use cluster_sdk::{
    ConfigError, Connector, ConnectorContext, Links, LocalNode, Node, NodeName, Outcome, Result,
};

/// The connector `tcp` under a name of its own.
#[derive(Debug)]
pub struct TcpFromFile(Tcp);

impl Connector for TcpFromFile {
    const NAME: &'static str = "tcp-from-file";
    type Config = TcpConfig;
    const LINKS: Links = Tcp::LINKS;
    const BY_ADDRESS: bool = Tcp::BY_ADDRESS;

    fn validate(config: &TcpConfig, local: &LocalNode) -> Vec<ConfigError> {
        Tcp::validate(config, local)
    }

    async fn start(config: TcpConfig, ctx: ConnectorContext) -> Result<Self> {
        Tcp::start(config, ctx).await.map(Self)
    }

    async fn connect(&self, node: &Node) -> Outcome {
        self.0.connect(node).await
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        self.0.disconnect(node).await
    }

    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        self.0.list().await
    }

    async fn stop(&self) {
        self.0.stop().await;
    }
}

cluster_sdk::export_plugin!(connectors: [TcpFromFile]);
