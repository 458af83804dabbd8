//! For the benchmarks of this repository: what the host does not show by itself.

use std::{net::SocketAddr, time::Duration};

use cluster_sdk::{NodeName, Result};
use tokio::task::spawn_local;

use crate::dist::{
    dial::Dialler,
    exchange::{Hello, Name},
    link::{self, NET_TICKTIME, Ticking, Word},
    rpc::Rpc,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A hidden node of a given name at a BEAM node. Dropping it ends the link.
#[derive(Debug)]
pub struct Attached(std::rc::Rc<Rpc>);

/// Connects to a node by TCP and shakes hands; needs a `LocalSet`.
///
/// # Errors
/// Whatever keeps the node from letting us in.
pub async fn attach(node: &NodeName, at: SocketAddr, cookie: &str) -> Result<Attached> {
    let dialler = Dialler { epmd_port: 0, port: Some(at.port()), tls: None };
    let hello = Hello { name: Name::Dynamic { host: node.host() }, cookie: cookie.as_bytes() };
    let dialled = dialler.dial(node, hello, PATIENCE).await?;
    let (writer, mut heard) = link::start(dialled.stream, Ticking::new(NET_TICKTIME));
    let rpc = std::rc::Rc::new(Rpc::new(writer, &dialled.peer));
    let weak = std::rc::Rc::downgrade(&rpc);
    spawn_local(async move {
        while let Some(Word::Message(_, Some(payload))) = heard.recv().await {
            let Some(rpc) = weak.upgrade() else { return };
            rpc.take(&payload);
        }
    });
    Ok(Attached(rpc))
}

impl Attached {
    /// Calls `erlang:node/0`.
    ///
    /// # Errors
    /// The node did not answer.
    pub async fn call(&self) -> Result<()> {
        self.0.call("erlang", "node", vec![], PATIENCE).await?;
        Ok(())
    }
}
