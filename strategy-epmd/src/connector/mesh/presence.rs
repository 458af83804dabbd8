//! Being a node: registered at epmd, and again when epmd was started anew.

use std::{rc::Rc, time::Duration};

use cluster_sdk::{Backoff, LocalIdentity};
use tokio::time::sleep;

use super::{Presence, Shared};
use crate::{
    dist::dial::alive,
    epmd::{Epmd, EpmdError, NodeKind, Registration},
};

/// How long epmd may take.
const REGISTER_MAX: Duration = Duration::from_secs(3);
/// How long to wait between tries.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(2) };

/// Keeps the host registered, for ever.
pub(super) async fn keep(shared: Rc<Shared>, port: u16) {
    if shared.config.port.is_some() {
        // Without epmd nobody else gives a creation: any will do that differs from the one before.
        let creation = getrandom::u32().unwrap_or_else(|_error| port.into()).max(4);
        shared.present(creation);
        return;
    }
    let epmd = Epmd::local(shared.dialler.epmd_port);
    let mut failures: u32 = 0;
    loop {
        let registered =
            Registration::register(&epmd, alive(&shared.name), port, NodeKind::Hidden, REGISTER_MAX).await;
        match registered {
            Ok(mut registration) => {
                failures = 0;
                // The node is the same as before, if epmd was started anew: its creation does not change.
                shared.present(shared.creation().unwrap_or_else(|| registration.creation()));
                registration.lost().await;
                shared.ctx.degraded(&format!(
                    "epmd on {} has ended: no node finds the host until it is registered again",
                    epmd.at()
                ));
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                shared.unregistered(&error);
                sleep(BACKOFF.wait(failures, fastrand::f64())).await;
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    /// The host is a node.
    fn present(&self, creation: u32) {
        self.presence.send_replace(Presence::Present { creation });
        self.ctx.available();
        self.ctx.healthy();
        self.ctx.local_up(&LocalIdentity {
            name: self.name.clone(),
            incarnation: creation.into(),
            // The host is the node.
            stays: false,
        });
    }

    /// The host cannot be found. It is no node as long as it never was registered; its links do not suffer.
    fn unregistered(&self, error: &EpmdError) {
        let remedy = match error {
            EpmdError::Down { .. } => "; a BEAM node starts one, or `epmd -daemon`",
            EpmdError::NameTaken { .. } => {
                "; [node].name must be the host's own, not that of a BEAM node (mode sidecar)"
            }
            _ => "",
        };
        let reason = format!("the host cannot register as {}: {error}{remedy}", self.name);
        if self.creation().is_some() {
            self.ctx.degraded(&reason);
            return;
        }
        let absence = Presence::Absent(reason.clone());
        if *self.presence.borrow() != absence {
            self.presence.send_replace(absence);
            self.ctx.unavailable(&reason);
            self.ctx.local_down(&reason);
        }
    }
}
