//! Attaching to the local BEAM node: found, dialled, asked what it is like, and watched.

use std::{
    net::SocketAddr,
    path::PathBuf,
    rc::{Rc, Weak},
    time::Duration,
};

use cluster_sdk::{LocalNode, NodeName};
use tokio::{sync::mpsc, task::spawn_local, time::timeout};

use super::{
    facts::Facts,
    session::{Origin, Session},
    watcher::{self, Notice},
};
use crate::{
    connector::{
        config::{ErlangConfig, NodeChoice},
        cookie::{CookieError, Found},
        diagnosis,
    },
    dist::{
        control::Control,
        dial::{DialError, Dialled, Dialler, LOOPBACK, alive},
        exchange::{HandshakeError, Hello, Name, UNREGISTERED_CREATION},
        link::{self, Heard, NET_TICKTIME, Ticking, Word},
        rpc::{Rpc, RpcError},
        serve,
    },
    epmd::{Epmd, EpmdError},
    strategies::listing,
};

/// How long the dial of the local node may take.
const DIAL_MAX: Duration = Duration::from_secs(5);
/// How long one question to the local node may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Names that are shown where there are too many nodes.
const NAMES_SHOWN_MAX: usize = 8;
/// Words of the watcher that may wait.
const NOTICES_MAX: usize = 4_096;

/// Attached.
pub(super) struct Attached {
    pub(super) session: Session,
    pub(super) notices: mpsc::Receiver<Heeded>,
}

/// What the session hears.
#[derive(Debug)]
pub(super) enum Heeded {
    Notice(Notice),
    /// The link has ended, for this reason. The last word.
    Ended(String),
}

/// Why the host is not attached.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    #[error("{0}")]
    Cookie(#[from] CookieError),
    #[error("{0}")]
    Epmd(#[from] EpmdError),
    #[error("{}", diagnosis::reason(.0))]
    Dial(#[from] DialError),
    #[error("it does not answer as a BEAM node does: {0}")]
    Rpc(#[from] RpcError),
    /// `auto`, and it cannot be told which one is meant.
    #[error("{count} nodes are registered at the local epmd ({names}): say which with node = \"name@host\"")]
    Ambiguous { count: usize, names: String },
    #[error("no node is registered at the local epmd")]
    Nobody,
    #[error("it calls itself {0:?}, which is no node name")]
    Name(String),
    #[error("neither node nor [node].name says which node")]
    Unnamed,
}

/// Kinds of failure: within one, the texts may differ from try to try and nothing is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It does not run.
    Absent,
    /// It does not let us in.
    Refused,
    /// Something else keeps us from it.
    Trouble,
}

// === impl AttachError ===

impl AttachError {
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::Epmd(error) | Self::Dial(DialError::Epmd(error)) => match error {
                EpmdError::Down { .. } | EpmdError::NotRegistered { .. } | EpmdError::Closed { .. } => {
                    Class::Absent
                }
                _ => Class::Trouble,
            },
            Self::Dial(DialError::Refused { .. }) | Self::Nobody | Self::Rpc(_) => Class::Absent,
            Self::Dial(DialError::Handshake { source, .. }) => match source {
                HandshakeError::Closed | HandshakeError::Io(_) => Class::Absent,
                HandshakeError::CookieRejected
                | HandshakeError::PeerCookieMismatch
                | HandshakeError::NotAllowed => Class::Refused,
                _ => Class::Trouble,
            },
            _ => Class::Trouble,
        }
    }

    /// Whether the node has taken notice of the try: it writes such into its log.
    pub(super) const fn is_noticed(&self) -> bool {
        matches!(self, Self::Dial(DialError::Handshake { .. } | DialError::Tls { .. }))
    }

    /// What is shown, with the ways out.
    pub(super) fn absence(&self, config: &ErlangConfig, local: &LocalNode) -> String {
        let name = chosen(config, local).map(|name| format!(" {name}")).unwrap_or_default();
        match self.class() {
            Class::Absent => {
                let name = if name.is_empty() { name } else { format!(" as{name}") };
                format!(
                    "no BEAM node answers{name}: {self}; it is tried on. Without a BEAM node write connect = \"none\""
                )
            }
            Class::Refused => {
                let cookie = config.cookie();
                format!(
                    "the BEAM node{name} does not let the host in: {self} (the host's cookie comes from {cookie})"
                )
            }
            Class::Trouble => format!("the host cannot attach to the BEAM node{name}: {self}"),
        }
    }
}

/// The name of the node, unless it is to be found out.
fn chosen(config: &ErlangConfig, local: &LocalNode) -> Option<NodeName> {
    match &config.node {
        Some(NodeChoice::Auto) => None,
        Some(NodeChoice::Name(name)) => Some(name.clone()),
        None => local.name.clone(),
    }
}

/// How to attach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approach {
    /// Tells this host from others at the same node.
    pub(super) instance: u32,
    /// The last try failed, and the node has taken notice of it.
    pub(super) caution: bool,
}

/// Attaches.
///
/// By a name of our own, since one that the node makes up has it load `crypto` first, which takes ten times as long as
/// all the rest. Only where the host part of its name is not known before does the node make up ours; then, with caution, it
/// is asked by another name first: for each that it makes up it needs memory that it never gets back.
pub(super) async fn attach(
    config: &ErlangConfig,
    local: &LocalNode,
    Approach { instance, caution }: Approach,
) -> Result<Attached, AttachError> {
    let Found { cookie, exposed } = config.cookie().read()?;
    let dialler = config.dialler();
    let target = find(config, local, &dialler).await?;
    let (host, creation) = (target.host(), UNREGISTERED_CREATION);
    let own = format!("host-{instance:08x}@{host}");
    if caution && matches!(target, Target::At(_)) {
        let name = Name::Static { name: &format!("probing@{host}"), creation };
        dial(&dialler, &target, Hello { name, cookie: cookie.reveal() }).await?;
    }
    let name = match &target {
        Target::Named(_) => Name::Static { name: &own, creation },
        Target::At(_) => Name::Dynamic { host: &host },
    };
    let Dialled { peer, stream } = dial(&dialler, &target, Hello { name, cookie: cookie.reveal() }).await?;
    let name = NodeName::try_new(&peer.name).map_err(|_no_name| AttachError::Name(peer.name.clone()))?;
    let ticking = Ticking::new(NET_TICKTIME);
    let (writer, heard) = link::start(stream, ticking.clone());
    let rpc = Rc::new(Rpc::new(writer, &peer));
    let (heeds, notices) = mpsc::channel(NOTICES_MAX);
    spawn_local(heed(heard, Rc::downgrade(&rpc), heeds));
    let facts = Facts::ask(&rpc, ANSWER_MAX).await?;
    if let Some(net_ticktime) = facts.net_ticktime {
        ticking.set(net_ticktime);
    }
    watcher::start(&rpc, ANSWER_MAX).await?;
    let warnings = [
        exposed.map(|path: PathBuf| {
            format!("cookie file {path:?} can be read by every user of this machine: chmod 0400, or 0440 for a group")
        }),
        config.tls.as_ref().and_then(crate::dist::tls::TlsConfig::keyfile_exposed),
    ];
    let warnings: Vec<String> = warnings.into_iter().flatten().collect();
    let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
    let origin = Origin { name, creation: peer.creation, facts, cookie, dialler, warning, silence: ticking };
    let mut notices = notices;
    let first = timeout(ANSWER_MAX, notices.recv()).await;
    let Ok(Some(Heeded::Notice(Notice::Nodes { watcher, visible, hidden }))) = first else {
        return Err(RpcError::NoAnswer(ANSWER_MAX).into());
    };
    let session = Session::new(origin, rpc, watcher);
    session.set_nodes(&visible, &hidden);
    Ok(Attached { session, notices })
}

/// The node to attach to.
enum Target {
    Named(NodeName),
    /// Whichever listens there.
    At(SocketAddr),
}

// === impl Target ===

impl Target {
    fn host(&self) -> String {
        match self {
            Self::Named(name) => name.host().to_owned(),
            Self::At(address) => address.ip().to_string(),
        }
    }
}

async fn dial(dialler: &Dialler, target: &Target, hello: Hello<'_>) -> Result<Dialled, DialError> {
    match target {
        Target::Named(name) => dialler.dial(name, hello, DIAL_MAX).await,
        Target::At(address) => dialler.dial_at(*address, hello, DIAL_MAX).await,
    }
}

/// The node that is named, or else the only node of this machine that is not hidden.
async fn find(config: &ErlangConfig, local: &LocalNode, dialler: &Dialler) -> Result<Target, AttachError> {
    if let Some(name) = chosen(config, local) {
        return Ok(Target::Named(name));
    }
    if config.node.is_none() {
        return Err(AttachError::Unnamed);
    }
    if let Some(port) = dialler.port {
        return Ok(Target::At(SocketAddr::new(LOOPBACK, port)));
    }
    let epmd = Epmd::local(dialler.epmd_port);
    let nodes = listing::members(&epmd, &epmd.host, DIAL_MAX).await?;
    match nodes.as_slice() {
        [] => Err(AttachError::Nobody),
        [only] => {
            let port = epmd.lookup(alive(only.name()), DIAL_MAX).await?.port;
            Ok(Target::At(SocketAddr::new(LOOPBACK, port)))
        }
        several => {
            let names: Vec<_> = several.iter().take(NAMES_SHOWN_MAX).map(|node| alive(node.name())).collect();
            Err(AttachError::Ambiguous { count: several.len(), names: names.join(", ") })
        }
    }
}

/// Gives answers to who called and to who asks something of us, and hands the rest to the session. The link is the
/// caller's: it ends with it.
async fn heed(mut heard: Heard, rpc: Weak<Rpc>, heeds: mpsc::Sender<Heeded>) {
    while let Some(word) = heard.recv().await {
        let Some(rpc) = rpc.upgrade() else {
            return;
        };
        let heeded = match word {
            Word::Message(Control::Send { .. }, Some(payload)) => {
                rpc.take(&payload).and_then(|message| Notice::from_term(&message)).map(Heeded::Notice)
            }
            Word::Message(control, payload) => {
                if let Some((control, payload)) = serve::answer(&control, payload.as_ref()) {
                    // A link that takes nothing ends by itself.
                    rpc.control(&control, payload.as_ref()).unwrap_or_default();
                }
                None
            }
            Word::Ended(reason) => {
                rpc.end();
                Some(Heeded::Ended(reason))
            }
        };
        if let Some(heeded) = heeded {
            // When the connector stops, nobody takes these any more, but calls are still answered.
            heeds.send(heeded).await.unwrap_or_default();
        }
    }
}
