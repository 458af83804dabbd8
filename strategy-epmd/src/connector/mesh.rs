//! Mode `mesh`: the host is an Erlang node itself, a hidden one, and has the links.

mod door;
mod presence;
mod table;

use std::{
    cell::RefCell,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use cluster_sdk::{ConnectorContext, NodeName, Outcome, Result, anyhow::Context as _};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, spawn_local},
    time::timeout,
};

use self::table::{Dialling, Table};
use super::{config::ErlangConfig, diagnosis};
use crate::dist::{
    dial::{DialError, Dialled, Dialler},
    exchange::{HandshakeError, Hello, Name},
    link::{self, Heard, Stream, Ticking, Word},
    serve,
};

/// How long the dial of a node may take.
const DIAL_MAX: Duration = Duration::from_secs(4);
/// How long a node that goes on with its own dial is given to come.
const ARRIVAL_MAX: Duration = Duration::from_secs(4);

/// The connector in this mode.
pub(super) struct Mesh {
    shared: Rc<Shared>,
    tasks: Vec<AbortHandle>,
}

/// What operations, the listener and the links have in common.
struct Shared {
    config: ErlangConfig,
    name: NodeName,
    dialler: Dialler,
    ctx: ConnectorContext,
    ticking: Ticking,
    table: RefCell<Table>,
    presence: watch::Sender<Presence>,
}

/// Whether the host is a node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Presence {
    /// It is about to be: left soon. Operations wait for what comes.
    Arriving,
    /// It is, with this creation. Never left: it is found again when epmd is there again.
    Present { creation: u32 },
    /// It cannot be, for this reason; left by a try that succeeds.
    Absent(String),
}

// === impl Mesh ===

impl Mesh {
    pub(super) fn start(config: ErlangConfig, ctx: ConnectorContext) -> Result<Self> {
        let name = ctx.local().name.context("mode mesh needs [node].name")?;
        let listener = listen(&config, &name)?;
        let port = listener.local_addr().context("asking for the port of the listener")?.port();
        let shared = Rc::new(Shared {
            dialler: config.dialler(),
            ticking: Ticking::new(config.net_ticktime.get()),
            table: RefCell::new(Table::new(name.clone())),
            presence: watch::Sender::new(Presence::Arriving),
            config,
            name,
            ctx,
        });
        // What was there before this instance is gone with it.
        shared.ctx.links(&[]);
        let present = spawn_local(presence::keep(Rc::clone(&shared), port)).abort_handle();
        let open = spawn_local(door::open(Rc::clone(&shared), listener)).abort_handle();
        Ok(Self { shared, tasks: vec![present, open] })
    }

    pub(super) async fn connect(&self, node: &NodeName) -> Outcome {
        let shared = &self.shared;
        if let Some(reason) = diagnosis::mismatch(&shared.name, node) {
            return Outcome::Unreachable(reason);
        }
        if shared.table.borrow().is_linked(node) {
            return Outcome::Done;
        }
        let creation = match shared.settled().await {
            Ok(creation) => creation,
            Err(absence) => return Outcome::NotPartOfNetwork(absence),
        };
        // Whoever dials us meanwhile finds it there; the one of the two whose name is greater goes on.
        let mut dialling = Dialling::begin(&shared.table, node);
        let yielded = tokio::select! {
            biased;
            () = dialling.yielded() => Ok(()),
            outcome = shared.dial(node, creation) => outcome,
        };
        match yielded {
            Ok(()) if timeout(ARRIVAL_MAX, dialling.arrived()).await.is_ok() => Outcome::Done,
            Ok(()) => Outcome::Unreachable(
                "it goes on with a connection of its own, which does not come; or its name is ours"
                    .to_owned(),
            ),
            Err(reason) => Outcome::Unreachable(reason),
        }
    }

    pub(super) fn disconnect(&self, node: &NodeName) -> Outcome {
        self.shared.table.borrow_mut().remove(node, None);
        Outcome::Done
    }

    pub(super) fn list(&self) -> Vec<NodeName> {
        self.shared.table.borrow().names()
    }

    pub(super) fn stop(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.shared.table.borrow_mut().clear();
    }
}

// === impl Shared ===

impl Shared {
    /// The creation of the host, once it is known whether it is a node.
    async fn settled(&self) -> Result<u32, String> {
        let mut presence = self.presence.subscribe();
        let settled = presence.wait_for(|presence| *presence != Presence::Arriving).await;
        match settled.map(|presence| presence.clone()) {
            Ok(Presence::Present { creation }) => Ok(creation),
            Ok(Presence::Absent(reason)) => Err(reason),
            Ok(Presence::Arriving) | Err(_) => Err("the connector ends".to_owned()),
        }
    }

    /// The creation of the host, if it is a node.
    fn creation(&self) -> Option<u32> {
        match *self.presence.borrow() {
            Presence::Present { creation } => Some(creation),
            Presence::Arriving | Presence::Absent(_) => None,
        }
    }

    /// Dials. When it is done, the link is there, or the other node goes on with a dial of its own.
    async fn dial(self: &Rc<Self>, node: &NodeName, creation: u32) -> Result<(), String> {
        let cookie = self.config.cookie().read().map_err(|error| error.to_string())?.cookie;
        let name = Name::Static { name: self.name.as_str(), creation };
        let hello = Hello { name, cookie: cookie.reveal() };
        match self.dialler.dial(node, hello, DIAL_MAX).await {
            Ok(Dialled { stream, .. }) => {
                self.adopt(node, stream);
                Ok(())
            }
            Err(DialError::Handshake { source: HandshakeError::Nok, .. }) => Ok(()),
            Err(error) => Err(diagnosis::reason(&error)),
        }
    }

    /// A link is there.
    fn adopt(self: &Rc<Self>, node: &NodeName, stream: impl Stream + 'static) {
        let (writer, heard) = link::start(stream, self.ticking.clone());
        let serial = self.table.borrow_mut().insert(node, writer);
        self.ctx.link_up(node);
        spawn_local(attend(Rc::clone(self), node.clone(), serial, heard));
    }
}

/// Answers what a node asks over a link, until that ends.
async fn attend(shared: Rc<Shared>, node: NodeName, serial: u64, mut heard: Heard) {
    while let Some(word) = heard.recv().await {
        match word {
            Word::Message(control, payload) => {
                if let Some((control, payload)) = serve::answer(&control, payload.as_ref()) {
                    // A link that takes nothing ends by itself.
                    let _taken = shared.table.borrow().send(&node, serial, &control, payload.as_ref());
                }
            }
            Word::Ended(reason) => {
                if shared.table.borrow_mut().remove(&node, Some(serial)) {
                    shared.ctx.link_down(&node, &reason);
                }
            }
        }
    }
}

/// Where other nodes reach the host.
fn listen(config: &ErlangConfig, name: &NodeName) -> Result<TcpListener> {
    let address = config.listen.or_else(|| name.host().parse().ok());
    let address =
        SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), config.port.unwrap_or(0));
    let listener = std::net::TcpListener::bind(address);
    let listener = listener.with_context(|| format!("listening on {address} for Erlang nodes"))?;
    listener.set_nonblocking(true).context("setting up the listener")?;
    TcpListener::from_std(listener).context("setting up the listener")
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
