//! An attachment to the BEAM node, from the first answer to the end of the link.

use std::{
    cell::{Cell, RefCell},
    fmt,
    pin::pin,
    rc::Rc,
    time::Duration,
};

use cluster_sdk::{ConnectorContext, LocalIdentity, NodeName, Outcome};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, interval_at, timeout},
};

use super::{
    attach::Heeded,
    facts::Facts,
    nodes::{Change, Nodes},
    watcher::{self, Notice},
};
use crate::{
    connector::{
        cookie::Cookie,
        diagnosis::{diagnose, mismatch},
    },
    dist::{
        dial::{Dialler, is_long},
        link::Ticking,
        rpc::{Rpc, RpcError},
        term::{Pid, Term},
    },
};

/// How often all nodes are asked for: what comes in between is told by itself.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A node that cannot be reached takes the BEAM node 7 s (its `net_setuptime`).
const CONNECT_MAX: Duration = Duration::from_secs(9);
/// After this time without an answer it is found out why there is none.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How long other questions may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What is known of a BEAM node, and how it was reached.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) name: NodeName,
    pub(super) creation: u32,
    pub(super) facts: Facts,
    pub(super) cookie: Cookie,
    pub(super) dialler: Dialler,
    /// What an operator should mend though it works.
    pub(super) warning: Option<String>,
    pub(super) silence: Ticking,
}

/// The attachment.
pub(super) struct Session {
    origin: Origin,
    rpc: Rc<Rpc>,
    watcher: Pid,
    nodes: RefCell<Nodes>,
    /// Set when the session begins to be told.
    ctx: RefCell<Option<ConnectorContext>>,
    /// A list of all nodes came.
    looked: Notify,
    /// Since when a list is waited for.
    asked: Cell<Option<Instant>>,
}

// === impl Session ===

impl Session {
    pub(super) fn new(origin: Origin, rpc: Rc<Rpc>, watcher: Pid) -> Self {
        Self {
            origin,
            rpc,
            watcher,
            nodes: RefCell::default(),
            ctx: RefCell::default(),
            looked: Notify::new(),
            asked: Cell::new(None),
        }
    }

    pub(super) const fn name(&self) -> &NodeName {
        &self.origin.name
    }

    pub(super) const fn creation(&self) -> u32 {
        self.origin.creation
    }

    pub(super) fn harm(&self) -> Option<&'static str> {
        self.origin.facts.harm()
    }

    pub(super) fn warning(&self) -> Option<String> {
        self.origin.warning.clone()
    }

    pub(super) fn identity(&self, stays: bool) -> LocalIdentity {
        LocalIdentity { name: self.origin.name.clone(), incarnation: self.origin.creation.into(), stays }
    }

    /// From now on the links are told, beginning with those that are there.
    pub(super) fn begin(&self, ctx: ConnectorContext) {
        ctx.links(&self.nodes.borrow().links());
        self.ctx.replace(Some(ctx));
    }

    /// Takes what the watcher says, until the link ends; gives the reason.
    pub(super) async fn run(&self, mut notices: mpsc::Receiver<Heeded>) -> String {
        let mut look = interval_at(Instant::now() + LOOK_INTERVAL, LOOK_INTERVAL);
        loop {
            tokio::select! {
                heeded = notices.recv() => match heeded {
                    Some(Heeded::Notice(notice)) => self.heed(notice),
                    Some(Heeded::Ended(reason)) => return reason,
                    None => return "the link has ended".to_owned(),
                },
                now = look.tick() => {
                    let patience = self.origin.silence.silence_max();
                    if self.asked.get().is_some_and(|asked| now.saturating_duration_since(asked) > patience) {
                        return format!("the BEAM node answers nothing for {patience:?}");
                    }
                    if self.look().is_err() {
                        return "the BEAM node takes nothing".to_owned();
                    }
                }
            }
        }
    }

    /// The BEAM node is gone, and its links with it.
    pub(super) fn end(&self) {
        let down = self.nodes.borrow().links();
        self.tell(&Change { up: vec![], down }, &format!("{}, whose link it was, is gone", self.name()));
    }

    fn heed(&self, notice: Notice) {
        match notice {
            Notice::Nodes { visible, hidden, .. } => {
                self.asked.set(None);
                let change = self.set_nodes(&visible, &hidden);
                self.tell(&change, "the BEAM node does not list it any more");
                self.looked.notify_waiters();
            }
            Notice::Up { node, is_hidden } => {
                if let Ok(node) = NodeName::try_new(&node)
                    && self.nodes.borrow_mut().up(&node, is_hidden)
                {
                    self.tell(&Change { up: vec![node], down: vec![] }, "");
                }
            }
            Notice::Down { node, reason } => {
                if let Ok(node) = NodeName::try_new(&node)
                    && self.nodes.borrow_mut().down(&node)
                {
                    self.tell(&Change { up: vec![], down: vec![node] }, &shown(&reason));
                }
            }
        }
    }

    pub(super) fn set_nodes(&self, visible: &[String], hidden: &[String]) -> Change {
        self.nodes.borrow_mut().set(visible, hidden)
    }

    fn tell(&self, change: &Change, reason: &str) {
        if let Some(ctx) = &*self.ctx.borrow() {
            change.down.iter().for_each(|node| ctx.link_down(node, reason));
            change.up.iter().for_each(|node| ctx.link_up(node));
        }
    }

    fn look(&self) -> Result<(), RpcError> {
        watcher::ask(&self.rpc, &self.watcher)?;
        if self.asked.get().is_none() {
            self.asked.set(Some(Instant::now()));
        }
        Ok(())
    }

    /// All links, as the BEAM node has them now.
    pub(super) async fn list(&self) -> Result<Vec<NodeName>, RpcError> {
        let looked = self.looked.notified();
        self.look()?;
        timeout(ANSWER_MAX, looked).await.map_err(|_elapsed| RpcError::NoAnswer(ANSWER_MAX))?;
        Ok(self.nodes.borrow().links())
    }

    pub(super) async fn connect(&self, node: &NodeName) -> Outcome {
        if node == self.name() {
            return Outcome::Unreachable("it is the BEAM node that the host runs beside".to_owned());
        }
        let own_is_long = self.origin.facts.long_names.unwrap_or_else(|| is_long(self.name().host()));
        if own_is_long != is_long(node.host())
            && let Some(reason) = mismatch(self.name(), node)
        {
            return Outcome::Unreachable(reason);
        }
        self.nodes.borrow_mut().want(node);
        if self.nodes.borrow().is_linked(node) {
            return Outcome::Done;
        }
        let name = vec![Term::atom(node.as_str())];
        let mut connecting = pin!(self.rpc.call("net_kernel", "connect_node", name, CONNECT_MAX));
        let mut diagnosis = pin!(self.diagnose(node));
        let answer = match timeout(CONNECT_PATIENCE, &mut connecting).await {
            Ok(answer) => answer,
            Err(_elapsed) => tokio::select! {
                biased;
                answer = &mut connecting => answer,
                found = &mut diagnosis => match found {
                    Some(reason) => return Outcome::Unreachable(reason),
                    // The host reaches it: what the BEAM node says is worth waiting for.
                    None => return self.connected(connecting.await, async { None }).await,
                },
            },
        };
        self.connected(answer, diagnosis).await
    }

    /// What the BEAM node's answer means; if it is no, why.
    async fn connected(
        &self,
        answer: Result<Term, RpcError>,
        diagnosis: impl Future<Output = Option<String>>,
    ) -> Outcome {
        match answer {
            Ok(answer) if answer.is_atom("true") => Outcome::Done,
            Ok(answer) if answer.is_atom("ignored") => {
                Outcome::NotPartOfNetwork(format!("{} is not distributed any more", self.name()))
            }
            Ok(_false) => Outcome::Unreachable(diagnosis.await.unwrap_or_else(|| {
                format!(
                    "it answers the host, but {} cannot connect to it: the log of either says why",
                    self.name()
                )
            })),
            Err(RpcError::Ended) => Outcome::NotPartOfNetwork(RpcError::Ended.to_string()),
            Err(error) => Outcome::Unreachable(error.to_string()),
        }
    }

    async fn diagnose(&self, node: &NodeName) -> Option<String> {
        diagnose(&self.origin.dialler, node, self.name(), &self.origin.cookie).await
    }

    pub(super) async fn disconnect(&self, node: &NodeName) -> Outcome {
        self.nodes.borrow_mut().unwant(node);
        let answer =
            self.rpc.call("erlang", "disconnect_node", vec![Term::atom(node.as_str())], ANSWER_MAX).await;
        match answer {
            Ok(answer) if answer.is_atom("ignored") => {
                Outcome::NotPartOfNetwork(format!("{} is not distributed any more", self.name()))
            }
            // False: it was not connected.
            Ok(_true_or_false) => Outcome::Done,
            Err(error) => Outcome::Unreachable(error.to_string()),
        }
    }

    /// Does not disconnect.
    pub(super) fn keep(&self, node: &NodeName, reason: &str) -> Outcome {
        let mut nodes = self.nodes.borrow_mut();
        nodes.unwant(node);
        if nodes.is_linked(node) {
            Outcome::Kept(format!("{} stays linked with it: {reason}", self.name()))
        } else {
            Outcome::Done
        }
    }

    /// The BEAM node leaves the cluster.
    pub(super) async fn leave(&self) {
        match self.rpc.call("global", "disconnect", vec![], ANSWER_MAX).await {
            Ok(_left) => tracing::info!(node = %self.name(), "the BEAM node has left the cluster"),
            Err(error) => tracing::warn!(
                node = %self.name(),
                err = %error,
                "the BEAM node cannot be told to leave (global:disconnect/0 is there since OTP 25.1)"
            ),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("name", self.name()).finish_non_exhaustive()
    }
}

/// Erlang's reasons for the loss of a link, in words.
fn shown(reason: &str) -> String {
    let meaning = match reason {
        "connection_closed" => "the other node ended the connection, or died",
        "disconnect" => "it was disconnected by request, there or here",
        "net_tick_timeout" => "nothing was heard of it for net_ticktime: frozen, or cut off",
        "net_kernel_terminated" => "distribution was ended on the BEAM node",
        "no_network" => "there is no network",
        _ => return format!("the BEAM node has lost it: {reason}"),
    };
    format!("{meaning} ({reason})")
}
