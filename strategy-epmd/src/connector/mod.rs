//! The connector `erlang`.
//!
//! ```text
//! sidecar   host == hidden link ==> the local BEAM node == its own links ==> other BEAM nodes
//! mesh      host == hidden links ==> BEAM nodes, other hosts
//! ```

mod config;
mod cookie;
mod diagnosis;
mod mesh;
mod rungs;
mod sidecar;

use cluster_sdk::{
    ConfigError, Connector, ConnectorContext, Links, LocalNode, Node, NodeName, Outcome, Result, Rung,
};

pub use self::config::{DisconnectLive, ErlangConfig, Mode, NodeChoice, OnStop};
use self::{mesh::Mesh, sidecar::Sidecar};

/// The connector `erlang`.
#[derive(Debug)]
pub struct Erlang(Kind);

#[derive(Debug)]
enum Kind {
    Sidecar(Sidecar),
    Mesh(Mesh),
}

impl Connector for Erlang {
    const NAME: &'static str = "erlang";
    type Config = ErlangConfig;
    const LINKS: Links = Links::Outlive;
    const LOCAL_NODE: bool = true;

    fn validate(config: &ErlangConfig, local: &LocalNode) -> Vec<ConfigError> {
        config.errors(local)
    }

    async fn start(config: ErlangConfig, ctx: ConnectorContext) -> Result<Self> {
        Ok(Self(match config.mode {
            Mode::Sidecar => Kind::Sidecar(Sidecar::start(config, ctx)),
            Mode::Mesh => Kind::Mesh(Mesh::start(config, ctx)?),
        }))
    }

    async fn connect(&self, node: &Node) -> Outcome {
        match &self.0 {
            Kind::Sidecar(sidecar) => sidecar.connect(node.name()).await,
            Kind::Mesh(mesh) => mesh.connect(node.name()).await,
        }
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        match &self.0 {
            Kind::Sidecar(sidecar) => sidecar.disconnect(node).await,
            Kind::Mesh(mesh) => mesh.disconnect(node),
        }
    }

    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        match &self.0 {
            Kind::Sidecar(sidecar) => sidecar.list().await.map(Some),
            Kind::Mesh(mesh) => Ok(Some(mesh.list())),
        }
    }

    async fn diagnose(config: &ErlangConfig, node: Option<&Node>, local: &LocalNode) -> Vec<Rung> {
        match node {
            Some(node) => rungs::of_node(config, node.name(), local).await,
            None => rungs::of_host(config, local).await,
        }
    }

    async fn stop(&self) {
        match &self.0 {
            Kind::Sidecar(sidecar) => sidecar.stop().await,
            Kind::Mesh(mesh) => mesh.stop(),
        }
    }
}
