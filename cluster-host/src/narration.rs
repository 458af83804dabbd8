//! The log lines about events: one per change, so that the log of the host tells the history of the cluster.

use cluster_core::{Event, EventKind, Health, Snapshot};
use tracing::{debug, info, warn};

/// Tells one event. What an operator can do something about is a warning.
pub(crate) fn tell(event: &Event, after: &Snapshot) {
    let topology = event.topology.as_ref().map(tracing::field::display);
    let node = event.node.as_ref().map(tracing::field::display);
    let reason = event.reason.as_deref();
    match event.kind {
        EventKind::NodeDiscovered => debug!(topology, node, "node discovered"),
        EventKind::NodeUp => info!(topology, node, "node up"),
        EventKind::NodeDown => warn!(topology, node, reason, "node down"),
        EventKind::NodeLeft => info!(topology, node, reason, "node left"),
        EventKind::NodeUpdated => debug!(topology, node, reason, "node updated"),
        EventKind::ConnectFailed => warn!(topology, node, err = reason, "cannot connect; trying on"),
        EventKind::TopologyChanged => {
            let status = event.topology.as_ref().and_then(|name| after.topologies.get(name));
            // What has changed again by now is told by the event of that.
            let status = status.filter(|status| status.reason == event.reason);
            match status.map(|status| status.health) {
                Some(health @ (Health::Degraded | Health::Denied | Health::Stopped)) => {
                    warn!(topology, %health, reason, "topology is not well");
                }
                Some(health @ Health::Running) => info!(topology, %health, note = reason, "topology is well"),
                Some(Health::Starting) | None => {
                    debug!(topology, reason, "topology is starting, gone, or changed again");
                }
            }
        }
    }
}
