//! Mode `sidecar`: the links are those of the local BEAM node, which makes them by our request.

mod attach;
mod facts;
mod nodes;
mod session;
mod watcher;

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    time::Duration,
};

use cluster_sdk::{Backoff, ConnectorContext, NodeName, Outcome, Result, StopReason, anyhow::bail};
use tokio::{
    sync::watch,
    task::{AbortHandle, spawn_local},
    time::sleep,
};

use self::{
    attach::{Approach, AttachError, Attached},
    session::Session,
};
use super::config::{DisconnectLive, ErlangConfig, OnStop};

/// How long to wait between tries to attach to a node that is not there.
const ATTACH_BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(2) };
/// The same where the node takes notice: it writes each try into its log.
const NOTICED_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(30) };

/// The connector in this mode.
pub(super) struct Sidecar {
    shared: Rc<Shared>,
    attending: AbortHandle,
}

/// What the operations and the task that stays attached have in common.
#[derive(Debug)]
struct Shared {
    config: ErlangConfig,
    /// Replaced with each generation of links.
    ctx: RefCell<ConnectorContext>,
    attachment: watch::Sender<Attachment>,
    /// The creation of the node whose links were told last.
    creation: Cell<Option<u32>>,
    /// Trouble that does not keep us from working was told.
    warned: Cell<bool>,
}

/// How we are with the BEAM node.
#[derive(Debug, Clone)]
enum Attachment {
    /// Being tried, after a start or the end of a link: left soon. Operations wait for what comes.
    Attaching,
    /// Left by the end of the link.
    Attached(Rc<Session>),
    /// Tried in vain, for this reason; left by a try that succeeds.
    Absent(String),
}

// === impl Sidecar ===

impl Sidecar {
    pub(super) fn start(config: ErlangConfig, ctx: ConnectorContext) -> Self {
        let shared = Rc::new(Shared {
            config,
            ctx: RefCell::new(ctx),
            attachment: watch::Sender::new(Attachment::Attaching),
            creation: Cell::new(None),
            warned: Cell::new(false),
        });
        let attending = spawn_local(attend(Rc::clone(&shared))).abort_handle();
        Self { shared, attending }
    }

    pub(super) async fn connect(&self, node: &NodeName) -> Outcome {
        match self.shared.session().await {
            Ok(session) => session.connect(node).await,
            Err(absence) => Outcome::NotPartOfNetwork(absence),
        }
    }

    pub(super) async fn disconnect(&self, node: &NodeName) -> Outcome {
        let session = match self.shared.session().await {
            Ok(session) => session,
            Err(absence) => return Outcome::NotPartOfNetwork(absence),
        };
        match self.shared.config.disconnect_live {
            DisconnectLive::Always => session.disconnect(node).await,
            DisconnectLive::Never => session.keep(node, "disconnect_live = \"never\""),
            DisconnectLive::Auto => match session.harm() {
                Some(harm) => session.keep(node, harm),
                None => session.disconnect(node).await,
            },
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<NodeName>> {
        match self.shared.session().await {
            Ok(session) => Ok(session.list().await?),
            Err(absence) => bail!(absence),
        }
    }

    pub(super) async fn stop(&self) {
        let leaves = self.shared.config.on_stop == OnStop::Leave
            && self.shared.ctx().stop_reason() == Some(StopReason::Leave);
        let attachment = self.shared.attachment.borrow().clone();
        if leaves && let Attachment::Attached(session) = attachment {
            session.leave().await;
        }
        self.attending.abort();
    }
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sidecar")
            .field("attachment", &*self.shared.attachment.borrow())
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    /// The session, once it is known whether there is one.
    async fn session(&self) -> Result<Rc<Session>, String> {
        let mut attachment = self.attachment.subscribe();
        let settled = attachment.wait_for(|attachment| !matches!(attachment, Attachment::Attaching)).await;
        match settled.map(|attachment| attachment.clone()) {
            Ok(Attachment::Attached(session)) => Ok(session),
            Ok(Attachment::Absent(reason)) => Err(reason),
            Ok(Attachment::Attaching) | Err(_) => Err("the connector ends".to_owned()),
        }
    }

    fn ctx(&self) -> ConnectorContext {
        self.ctx.borrow().clone()
    }

    /// The host is attached: everything that is said of links from now on is of this node.
    fn attached(&self, session: &Rc<Session>) {
        let creation = session.creation();
        if self.creation.replace(Some(creation)).is_some_and(|before| before != creation) {
            let fresh = self.ctx().new_generation();
            self.ctx.replace(fresh);
        }
        session.begin(self.ctx());
        self.attachment.send_replace(Attachment::Attached(Rc::clone(session)));
        let ctx = self.ctx();
        if let Some(warning) = session.warning() {
            ctx.degraded(&warning);
            self.warned.set(true);
        } else if self.warned.take() {
            ctx.healthy();
        }
        ctx.available();
        ctx.local_up(&session.identity(self.config.on_stop == OnStop::Keep));
    }

    /// No BEAM node is there: no link is up, and none can be made.
    fn absent(&self, error: &AttachError, last: Option<Rc<Session>>) {
        let ctx = self.ctx();
        let absence = error.absence(&self.config, &ctx.local());
        if let Some(last) = last {
            last.end();
        }
        // Those too that are from before this instance of the connector.
        ctx.links(&[]);
        ctx.unavailable(&absence);
        ctx.local_down(&absence);
        self.attachment.send_replace(Attachment::Absent(absence));
    }
}

/// Stays attached to the node, or tries to be.
async fn attend(shared: Rc<Shared>) {
    let instance = fastrand::u32(..);
    let mut failures: u32 = 0;
    // How the last failure is told: while it is the same kind of failure nothing new is.
    let mut told = None;
    // The node has taken notice of the last try, which failed.
    let mut caution = false;
    let mut last: Option<Rc<Session>> = None;
    loop {
        let approach = Approach { instance, caution };
        match attach::attach(&shared.config, &shared.ctx().local(), approach).await {
            Ok(Attached { session, notices }) => {
                (failures, told, caution) = (0, None, false);
                // With it goes what is left of the link before.
                drop(last.take());
                let session = Rc::new(session);
                shared.attached(&session);
                let reason = session.run(notices).await;
                last = Some(Rc::clone(&session));
                // At once: where the node still lives, nothing has happened to its links.
                shared.attachment.send_replace(Attachment::Attaching);
                tracing::info!(node = %session.name(), reason, "the link to the BEAM node has ended");
            }
            Err(error) => {
                if told != Some(error.class()) {
                    told = Some(error.class());
                    shared.absent(&error, last.take());
                }
                failures = failures.saturating_add(1);
                caution = error.is_noticed();
                let backoff = if caution { NOTICED_BACKOFF } else { ATTACH_BACKOFF };
                sleep(backoff.wait(failures, fastrand::f64())).await;
            }
        }
    }
}
