//! The trait of connectors: what makes and breaks links.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    future::Future,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use cluster_core::{Node, NodeList, NodeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, spawn_local},
    time::{Instant, timeout_at},
};

use crate::{
    abi::table::{OperationCode, OutcomeCode},
    config::ConfigError,
    context::{Context, StopReason},
    diagnosis::Rung,
    instance::Command,
    local::{LocalIdentity, LocalNode, LocalReport},
    runtime::{Ended, caught, stop_asked, until_stopped},
};

/// What makes and breaks the links of a topology: libcluster's `connect`, `disconnect` and `list_nodes`.
///
/// Operations run side by side on one thread, so a connector needs no locks, only `Cell`s and `RefCell`s. Each has a
/// deadline, after which its future is dropped and the node counts as unreachable; the same happens when it panics.
/// Links that come and go by themselves are told through the [`ConnectorContext`].
///
/// ```
/// use cluster_sdk::{Connector, ConnectorContext, Node, NodeName, Outcome, Result, schemars, serde};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
/// #[schemars(crate = "cluster_sdk::schemars")]
/// struct Config {}
///
/// struct Courteous;
///
/// impl Connector for Courteous {
///     const NAME: &'static str = "courteous";
///     type Config = Config;
///
///     async fn start(_config: Config, _ctx: ConnectorContext) -> Result<Self> {
///         Ok(Self)
///     }
///     async fn connect(&self, node: &Node) -> Outcome {
///         tracing::info!(node = %node.name(), "good day");
///         Outcome::Done
///     }
///     async fn disconnect(&self, node: &NodeName) -> Outcome {
///         tracing::info!(%node, "good bye");
///         Outcome::Done
///     }
/// }
/// cluster_sdk::plugin!(connectors: [Courteous]);
/// ```
pub trait Connector: Sized + 'static {
    /// The name that a config selects it by: lower case letters, digits, `-` and `_`.
    const NAME: &'static str;
    /// Its options. The doc comments of the type and its fields are shown to users.
    type Config: DeserializeOwned + JsonSchema;
    /// What becomes of the links when the connector ends.
    const LINKS: Links = Links::Own;
    /// Whether links go by address: then a change of a node's addresses dials anew.
    const BY_ADDRESS: bool = false;
    /// Whether it says if the local node takes part ([`ConnectorContext::local_up`]): until it does, the local node is
    /// not up and is not announced.
    const LOCAL_NODE: bool = false;

    /// What is wrong with a config beyond its types.
    #[must_use]
    fn validate(config: &Self::Config, local: &LocalNode) -> Vec<ConfigError> {
        let _: (&Self::Config, &LocalNode) = (config, local);
        Vec::new()
    }

    /// Prepares for operations.
    ///
    /// # Errors
    /// An error ends this instance; the host starts another one.
    fn start(config: Self::Config, ctx: ConnectorContext) -> impl Future<Output = Result<Self>>;

    /// Makes a link; done as well if it is there already.
    fn connect(&self, node: &Node) -> impl Future<Output = Outcome>;

    /// Cuts a link; done as well if there is none. [`Outcome::Kept`] where cutting would do harm: it is not asked for
    /// again.
    fn disconnect(&self, node: &NodeName) -> impl Future<Output = Outcome>;

    /// The links that there are; `None` where this connector cannot tell.
    ///
    /// # Errors
    /// Whatever kept it from knowing.
    fn list(&self) -> impl Future<Output = Result<Option<Vec<NodeName>>>> {
        std::future::ready(Ok(None))
    }

    /// What can be said of why a node is not linked, for `cluster-host doctor`; without a node, of what all links need:
    /// rungs, the first ones first. In place of [`Connector::start`], beside a connector that may be running, so it must
    /// make no link that stays and take nothing (no name, no port) that the other needs. It is given some seconds.
    ///
    /// ```
    /// # use cluster_sdk::{Node, Rung};
    /// async fn dial(node: &Node) -> Vec<Rung> {
    ///     let Some(address) = node.addresses().next() else {
    ///         return vec![Rung::fail("address", "its source names none", "give [node].addresses on that node")];
    ///     };
    ///     vec![match tokio::net::TcpStream::connect(address).await {
    ///         Ok(_closed_at_once) => Rung::pass("tcp", format!("{address} accepts")),
    ///         Err(err) => Rung::fail("tcp", format!("{address}: {err}"), "is the service running there?"),
    ///     }]
    /// }
    /// ```
    fn diagnose(
        config: &Self::Config,
        node: Option<&Node>,
        local: &LocalNode,
    ) -> impl Future<Output = Vec<Rung>> {
        let _: (&Self::Config, Option<&Node>, &LocalNode) = (config, node, local);
        std::future::ready(Vec::new())
    }

    /// The end: operations have been dropped, no more follow. It is given until the deadline of the stop.
    fn stop(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// What becomes of a connector's links when it ends or crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// They are its own and go down with it.
    Own,
    /// They outlive it, as those of a BEAM node do: unknown until the next complete list.
    Outlive,
}

/// How an operation ended: libcluster's true, false and ignored, with a reason that an operator can act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as was wanted.
    Done,
    /// Tried in vain; tried again later.
    Unreachable(String),
    /// The local node takes part in no network now.
    NotPartOfNetwork(String),
    /// Of a disconnect only: the link is left as it is, for this reason, until it ends by itself.
    Kept(String),
}

/// Work for a connector.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{Node, Operation};
///
/// let operation = Operation::Connect(Node::try_new("a@10.0.0.7")?.address("10.0.0.7:9000"));
/// let (kind, record) = operation.encode();
/// assert_eq!(Operation::decode(kind, &record), Some(operation));
/// assert_eq!(Operation::decode(kind, b"nonsense"), None);
/// # Ok::<(), cluster_sdk::NodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Make a link.
    Connect(Node),
    /// Cut a link.
    Disconnect(NodeName),
    /// Say which links there are.
    List,
}

/// The host, as a [`Connector`] sees it. Cheap to clone.
///
/// ```
/// use cluster_sdk::{Connector, ConnectorContext, Node, NodeName, Outcome, Result, testing::TestHost};
///
/// # use cluster_sdk::{schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// /// Links that are lost as soon as they are made.
/// struct Fragile(ConnectorContext);
///
/// impl Connector for Fragile {
///     const NAME: &'static str = "fragile";
///     type Config = Config;
///
///     async fn start(_: Config, ctx: ConnectorContext) -> Result<Self> {
///         ctx.available();
///         Ok(Self(ctx))
///     }
///
///     async fn connect(&self, node: &Node) -> Outcome {
///         self.0.count("made", 1);
///         self.0.link_up(node.name());
///         self.0.link_down(node.name(), "the other side has closed it");
///         Outcome::Done
///     }
///
///     async fn disconnect(&self, _: &NodeName) -> Outcome {
///         Outcome::Done
///     }
/// }
///
/// let host = TestHost::connector::<Fragile>(serde_json::json!({}))?;
/// let connect = cluster_sdk::Operation::Connect(Node::try_new("a@h")?);
/// assert_eq!(host.perform(&connect)?, cluster_sdk::abi::host::OperationOutcome::Done);
/// host.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ConnectorContext {
    context: Context,
    /// The generation that this clone speaks for.
    generation: u64,
    newest: Arc<AtomicU64>,
}

// === impl Operation ===

impl Operation {
    /// The code and the record that cross.
    #[must_use]
    pub fn encode(&self) -> (OperationCode, Vec<u8>) {
        let mut record = Vec::new();
        match self {
            Self::Connect(node) => {
                node.encode(&mut record);
                (OperationCode::CONNECT, record)
            }
            Self::Disconnect(name) => {
                Node::new(name.clone()).encode(&mut record);
                (OperationCode::DISCONNECT, record)
            }
            Self::List => (OperationCode::LIST, record),
        }
    }

    /// What crossed; nothing where it is not valid.
    #[must_use]
    pub fn decode(kind: OperationCode, record: &[u8]) -> Option<Self> {
        if kind == OperationCode::LIST {
            return Some(Self::List);
        }
        let list = NodeList::parse(record.to_vec()).ok()?;
        let node = list.iter().next()?.to_node().ok()?;
        match kind {
            OperationCode::CONNECT => Some(Self::Connect(node)),
            OperationCode::DISCONNECT => Some(Self::Disconnect(node.name().clone())),
            _ => None,
        }
    }
}

// === impl ConnectorContext ===

impl ConnectorContext {
    fn new(context: Context) -> Self {
        Self { context, generation: 0, newest: Arc::default() }
    }

    /// A name for who uses the connector: that of its topology, or of the first that shares it.
    #[must_use]
    pub fn topology(&self) -> &str {
        self.context.topology()
    }

    /// See [`Context::local`].
    #[must_use]
    pub fn local(&self) -> LocalNode {
        self.context.local()
    }

    /// See [`Context::local_changed`].
    pub async fn local_changed(&self) {
        self.context.local_changed().await;
    }

    /// A link has come up by itself.
    pub fn link_up(&self, node: &NodeName) {
        self.context.shared().link.link(self.generation, node, true, "");
    }

    /// A link is lost.
    pub fn link_down(&self, node: &NodeName, reason: &str) {
        self.context.shared().link.link(self.generation, node, false, reason);
    }

    /// All links that there are: what is not named is down.
    pub fn links(&self, nodes: &[NodeName]) {
        self.context.shared().link.links(self.generation, nodes);
    }

    /// Everything that was said of links is void, for example because the node whose links they were has restarted:
    /// all are down. What is said through contexts from before is ignored from now on, so that a late word about an
    /// old link does not hit a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_sdk::{Connector, ConnectorContext, Node, NodeName, Outcome, Result, testing::TestHost};
    ///
    /// # use cluster_sdk::{schemars, serde};
    /// # #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// # #[serde(crate = "cluster_sdk::serde")]
    /// # #[schemars(crate = "cluster_sdk::schemars")]
    /// # struct Config {}
    /// struct Restarted;
    ///
    /// impl Connector for Restarted {
    ///     const NAME: &'static str = "restarted";
    ///     type Config = Config;
    ///
    ///     async fn start(_: Config, old: ConnectorContext) -> Result<Self> {
    ///         let new = old.new_generation();
    ///         new.link_up(&"a@h".parse()?);
    ///         // A late word about a link that is not there any more.
    ///         old.link_down(&"a@h".parse()?, "closed");
    ///         new.link_up(&"b@h".parse()?);
    ///         Ok(Self)
    ///     }
    /// #   async fn connect(&self, _: &Node) -> Outcome { Outcome::Done }
    /// #   async fn disconnect(&self, _: &NodeName) -> Outcome { Outcome::Done }
    /// }
    ///
    /// let host = TestHost::connector::<Restarted>(serde_json::json!({}))?;
    /// host.wait_for_links(|up| up.iter().map(NodeName::as_str).eq(["a@h", "b@h"]))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "only the context that this returns speaks of the new links"]
    pub fn new_generation(&self) -> Self {
        let generation = self.newest.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        let new = Self { context: self.context.clone(), generation, newest: Arc::clone(&self.newest) };
        new.links(&[]);
        new
    }

    /// No link can be made now, whatever the node: dialling is suspended until [`ConnectorContext::available`].
    pub fn unavailable(&self, reason: &str) {
        self.context.shared().link.availability(false, reason);
    }

    /// Links can be made again.
    pub fn available(&self) {
        self.context.shared().link.availability(true, "");
    }

    /// The local node takes part, and this is who it is. Said again at each change. For connectors with
    /// [`Connector::LOCAL_NODE`].
    pub fn local_up(&self, node: &LocalIdentity) {
        self.context.shared().link.local(LocalReport::Up(node.clone()));
    }

    /// The local node does not take part now. Nobody is told that it leaves: it may be back at any time.
    pub fn local_down(&self, reason: &str) {
        self.context.shared().link.local(LocalReport::Down(reason.to_owned()));
    }

    /// See [`Context::healthy`].
    pub fn healthy(&self) {
        self.context.healthy();
    }

    /// See [`Context::degraded`].
    pub fn degraded(&self, reason: &str) {
        self.context.degraded(reason);
    }

    /// See [`Context::denied`].
    pub fn denied(&self, reason: &str) {
        self.context.denied(reason);
    }

    /// See [`Context::count`].
    pub fn count(&self, counter: &'static str, add: u64) {
        self.context.count(counter, add);
    }

    /// Why the connector is stopped, once it is: for [`Connector::stop`].
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.context.shared().stop.borrow().map(|stop| stop.reason)
    }
}

impl fmt::Debug for ConnectorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorContext")
            .field("topology", &self.topology())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Operations under way, by their number.
type UnderWay = Rc<RefCell<HashMap<u64, AbortHandle>>>;

/// Starts a connector and serves it until it is stopped.
pub(crate) async fn serve<C: Connector>(
    config: C::Config,
    context: Context,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> Ended {
    let shared = Arc::clone(context.shared());
    let ctx = ConnectorContext::new(context);
    let mut started = None;
    let start = async {
        started = Some(C::start(config, ctx.clone()).await?);
        Ok(())
    };
    let ended = until_stopped(&shared, start).await;
    let Some(connector) = started.map(Rc::new) else {
        return ended;
    };

    let under_way = UnderWay::default();
    let stop = loop {
        tokio::select! {
            biased;
            stop = stop_asked(&shared) => break stop,
            Some(command) = commands.recv() => match command {
                Command::Submit { op, operation, allowed, deadline } => {
                    let work = Submitted { op, operation, allowed, deadline };
                    begin(&connector, &ctx, &under_way, work);
                }
                Command::Cancel { op } => {
                    if let Some(task) = under_way.borrow_mut().remove(&op) {
                        task.abort();
                    }
                }
            },
        }
    };
    for task in under_way.borrow().values() {
        task.abort();
    }
    let stopped = timeout_at(stop.deadline, connector.stop()).await;
    Ended::Stopped(stopped.is_err().then(|| "not done at the deadline".to_owned()))
}

struct Submitted {
    op: u64,
    operation: Operation,
    allowed: Duration,
    deadline: Instant,
}

fn begin<C: Connector>(connector: &Rc<C>, ctx: &ConnectorContext, under_way: &UnderWay, work: Submitted) {
    if under_way.borrow().contains_key(&work.op) {
        return; // Doubled: the first one is answered.
    }
    let (op, connector, ctx) = (work.op, Rc::clone(connector), ctx.clone());
    let ended = Rc::clone(under_way);
    let task = spawn_local(async move {
        let (outcome, reason) = operate(&*connector, &ctx, &work).await;
        // Forgotten first: once it is answered, its number may be used anew.
        ended.borrow_mut().remove(&op);
        ctx.context.shared().link.completed(op, outcome, &reason);
    });
    under_way.borrow_mut().insert(op, task.abort_handle());
}

async fn operate<C: Connector>(
    connector: &C,
    ctx: &ConnectorContext,
    work: &Submitted,
) -> (OutcomeCode, String) {
    let answer = timeout_at(work.deadline, caught(perform(connector, ctx, &work.operation))).await;
    match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(panicked)) => (OutcomeCode::UNREACHABLE, format!("connector panicked: {panicked}")),
        Err(_elapsed) => (OutcomeCode::UNREACHABLE, format!("no answer within {:?}", work.allowed)),
    }
}

async fn perform<C: Connector>(
    connector: &C,
    ctx: &ConnectorContext,
    operation: &Operation,
) -> (OutcomeCode, String) {
    let outcome = match operation {
        Operation::Connect(node) => connector.connect(node).await,
        Operation::Disconnect(node) => connector.disconnect(node).await,
        Operation::List => match connector.list().await {
            Ok(Some(nodes)) => {
                let newest = ctx.newest.load(Ordering::SeqCst);
                ctx.context.shared().link.links(newest, &nodes);
                Outcome::Done
            }
            Ok(None) => return (OutcomeCode::UNSUPPORTED, String::new()),
            Err(err) => Outcome::Unreachable(format!("{err:#}")),
        },
    };
    match outcome {
        Outcome::Done => (OutcomeCode::DONE, String::new()),
        Outcome::NotPartOfNetwork(reason) => (OutcomeCode::NOT_PART_OF_NETWORK, reason),
        Outcome::Kept(reason) if matches!(operation, Operation::Disconnect(_)) => (OutcomeCode::KEPT, reason),
        // A link that was to be made, and was not, cannot be kept.
        Outcome::Unreachable(reason) | Outcome::Kept(reason) => (OutcomeCode::UNREACHABLE, reason),
    }
}
