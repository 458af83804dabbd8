//! A running strategy or connector, as the functions of the plugin's table see it: any thread may call, none waits.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    abi::{link::HostLink, table::Code},
    clock::Clock,
    connector::Operation,
    context::{Shared, Stop, StopReason},
    diagnosis::Inquiry,
    local::LocalNode,
    offer::{OfferDef, OfferKind},
    runtime,
};

/// Where an instance runs: the JSON that crosses at the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) topology: String,
    pub(crate) local: LocalNode,
    #[serde(default = "info")]
    pub(crate) log_level: String,
    /// How often the host wants a sign of life; absent where it can see for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat_ms: Option<u64>,
    /// It is started for a diagnosis alone: of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diagnose: Option<Inquiry>,
}

/// What the body of an instance's thread is told beside its work.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) log_level: String,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) diagnose: Option<Inquiry>,
    pub(crate) clock: Clock,
}

/// What reaches a connector from its host.
#[derive(Debug)]
pub(crate) enum Command {
    Submit { op: u64, operation: Operation, allowed: Duration, deadline: Instant },
    Cancel { op: u64 },
}

/// The handle of an instance's thread.
#[derive(Debug)]
pub(crate) struct Thread {
    kind: OfferKind,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    clock: Clock,
    handle: JoinHandle<()>,
}

impl Thread {
    pub(crate) fn start(
        offer: &'static OfferDef,
        config: Value,
        launch: Launch,
        link: HostLink,
    ) -> io::Result<Self> {
        let clock = Clock::of_this_start();
        let heartbeat = launch.heartbeat_ms.map(|ms| Duration::from_millis(ms.max(1)));
        let settings = Settings {
            log_level: launch.log_level,
            heartbeat,
            diagnose: launch.diagnose,
            clock: clock.clone(),
        };
        let shared = Arc::new(Shared::new(launch.topology, launch.local, link));
        let (commands, received) = mpsc::unbounded_channel();
        let thread = Builder::new().name(shared.topology.clone());
        let handle = thread.spawn({
            let shared = Arc::clone(&shared);
            move || runtime::run(offer, config, &shared, received, &settings)
        })?;
        Ok(Self { kind: offer.kind, shared, commands, clock, handle })
    }

    pub(crate) fn update(&self, local: LocalNode) {
        self.shared.update(local);
    }

    /// The first stop counts.
    pub(crate) fn stop(&self, reason: StopReason, within: Duration) {
        let deadline = self.clock.deadline(within);
        self.shared.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(Stop { reason, deadline });
            first
        });
    }

    pub(crate) fn submit(&self, op: u64, operation: Operation, allowed: Duration) -> Code {
        if self.kind != OfferKind::Connector {
            return Code::UNKNOWN;
        }
        let deadline = self.clock.deadline(allowed);
        match self.commands.send(Command::Submit { op, operation, allowed, deadline }) {
            Ok(()) => Code::OK,
            Err(_ended) => Code::STOPPING,
        }
    }

    pub(crate) fn cancel(&self, op: u64) {
        // Where nobody receives any more there is nothing to cancel.
        self.commands.send(Command::Cancel { op }).unwrap_or_default();
    }

    /// Whether the thread is gone and nobody is inside a call to the host.
    pub(crate) fn has_ended(&self) -> bool {
        self.handle.is_finished() && self.shared.link.is_idle()
    }
}

fn info() -> String {
    "info".to_owned()
}
