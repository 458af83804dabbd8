//! When the host counts as ready: for whoever sends requests to its node, or goes on with a roll-out.
//!
//! Nothing is watched for it: it is judged when it is asked for. That it was reached once is remembered, because a service
//! whose nodes are all taken out of use when one of them is lost is worse than a service that has lost one
//! ([`ReadyConfig::once`]).

use std::sync::{Mutex, PoisonError};

use cluster_core::{LinkState, Member, MemberState, NodeName, Snapshot};

use crate::{
    api::TopologyInfo,
    config::{Config, ReadyConfig},
};

/// Topologies that a reason names at most.
const NAMED_MAX: usize = 5;

/// What it takes, and whether it was ever reached.
///
/// # Examples
///
/// ```
/// use cluster_core::Snapshot;
/// use cluster_host::{Config, Host, Registry, api::Source as _, readiness::Seen};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_json(json!({ "node": { "name": "app@127.0.0.1" } }))?;
/// let host = Host::builder(config, Registry::new()).start()?;
/// let snapshot = host.wait_up(1).await.ok_or("it has ended")?;
/// let readiness = host.handle().readiness();
/// let node = "app@127.0.0.1".parse()?;
/// let seen = Seen { snapshot: &snapshot, node: Some(&node), topologies: &[] };
/// assert_eq!(readiness.judge(seen)?, "ready: 1 member is up");
/// let nobody = Seen { snapshot: &Snapshot::default(), ..seen };
/// assert_eq!(readiness.judge(nobody).unwrap_err(), "not ready: the local node is not up yet");
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Readiness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    config: ReadyConfig,
    /// Whether there is a local node, or a connector will say who it is.
    has_node: bool,
    /// It was reached since it means what it means now.
    reached: bool,
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The members.
    pub snapshot: &'a Snapshot,
    /// The local node, as far as it is known.
    pub node: Option<&'a NodeName>,
    /// The topologies.
    pub topologies: &'a [TopologyInfo],
}

// === impl Readiness ===

impl Readiness {
    /// Waits from now on for what a configuration says. What was reached by the same words stays reached.
    pub(crate) fn configure(&self, config: &Config, expects_node: bool) {
        let has_node = config.node.is_some() || expects_node;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.config != config.ready {
            *state = State { config: config.ready.clone(), ..State::default() };
        }
        state.has_node = has_node;
    }

    /// Whether the host is ready, in words that name no node and no address.
    ///
    /// # Errors
    /// What is waited for.
    pub fn judge(&self, seen: Seen<'_>) -> Result<String, String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A link that is doubtful, after a restart of its connector or of the host, makes nobody ready; nor does it take
        // anybody out of use.
        let counts =
            |member: &Member| member.state == MemberState::Up && (state.reached || is_certain(member));
        let up = seen.snapshot.members.values().filter(|member| counts(member)).count();
        let mut missing = Vec::new();
        if state.has_node && !seen.has_node_up() {
            missing.push("the local node is not up yet".to_owned());
        }
        if !(state.reached && state.config.once) {
            missing.extend(state.config.missing(up, seen.topologies));
        }
        if missing.is_empty() {
            state.reached = true;
            Ok(format!(
                "ready: {}",
                if up == 1 { "1 member is up".to_owned() } else { format!("{up} members are up") }
            ))
        } else {
            Err(format!("not ready: {}", missing.join("; ")))
        }
    }
}

fn is_certain(member: &Member) -> bool {
    let is_linked = |link| matches!(link, LinkState::Up | LinkState::None);
    member.is_self || member.topologies.iter().any(|vouched| is_linked(vouched.link))
}

// === impl Seen ===

impl Seen<'_> {
    fn has_node_up(&self) -> bool {
        let member = self.node.and_then(|name| self.snapshot.members.get(name));
        member.is_some_and(|member| member.state == MemberState::Up)
    }
}

// === impl ReadyConfig ===

impl ReadyConfig {
    fn missing(&self, up: usize, topologies: &[TopologyInfo]) -> Vec<String> {
        let mut missing = Vec::new();
        if u32::try_from(up).is_ok_and(|up| up < self.min_members) {
            missing.push(format!("{up} of at least {} members are up", self.min_members));
        }
        let silent =
            topologies.iter().filter(|topology| topology.last_view.is_none() && self.awaits(&topology.name));
        let silent: Vec<_> = silent.collect();
        missing.extend(silent.iter().take(NAMED_MAX).map(|topology| {
            format!("topology {} has given no view yet ({})", topology.name, topology.status.health)
        }));
        if let Some(more) = silent.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
            missing.push(format!("{more} more topologies"));
        }
        missing
    }
}

#[cfg(test)]
mod tests;
