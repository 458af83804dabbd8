//! Which members of a cluster an epmd has.

use std::{collections::BTreeSet, net::SocketAddr, panic::resume_unwind, time::Duration};

use cluster_sdk::Node;
use tokio::{task::JoinSet, time::Instant};

use super::{
    kinds::{Kinds, asker_of},
    shell::is_shell,
};
use crate::epmd::{Epmd, EpmdError, NodeKind};

/// Nodes of one epmd that are asked for at a time.
const LOOKUPS_MAX: usize = 8;

/// Who lists, and what is known from earlier lists.
#[derive(Debug, Clone, Default)]
pub(super) struct Lister {
    /// The name that nodes are asked by.
    pub(super) asker: String,
    pub(super) kinds: Kinds,
}

// === impl Lister ===

impl Lister {
    /// The nodes at an epmd that are visible and no shells; `host` is what their names get behind the `@`.
    ///
    /// One that has gone between two questions is left out. Any other failure is one of all: a list with a gap in it
    /// would say that a node is gone.
    pub(super) async fn members(
        &self,
        epmd: &Epmd,
        host: &str,
        within: Duration,
    ) -> Result<Vec<Node>, EpmdError> {
        let deadline = Instant::now() + within;
        let (names, address) = epmd.names_and_address(within).await?;
        let there: BTreeSet<_> = names.iter().map(|name| (name.port, name.alive.clone())).collect();
        self.kinds.retain(|at, alive| at.ip() != address || there.contains(&(at.port(), alive.to_owned())));
        let epmd = Epmd { host: address.to_string(), port: epmd.port };
        let questions = names.into_iter().filter(|name| !is_shell(&name.alive)).filter_map(|name| {
            // epmd registers names that no node can have, such as ones with a space; the others are not to suffer.
            let node = Node::try_new(&format!("{}@{host}", name.alive)).ok()?;
            let (lister, epmd) = (self.clone(), epmd.clone());
            Some(async move {
                let left = deadline.saturating_duration_since(Instant::now());
                let found = epmd.lookup(&name.alive, left).await?;
                // Only programs that are no BEAM tell epmd that they are hidden.
                let is_hidden = found.kind == NodeKind::Hidden || {
                    let at = SocketAddr::new(found.address, found.port);
                    lister.kinds.is_hidden(at, &name.alive, &lister.asker).await
                };
                Ok((!is_hidden).then_some(node))
            })
        });
        let mut members = Vec::new();
        for answer in few_at_a_time(LOOKUPS_MAX, questions).await {
            match answer {
                Ok(member) => members.extend(member),
                Err(EpmdError::NotRegistered { .. }) => {}
                Err(err) => return Err(err),
            }
        }
        Ok(members)
    }
}

/// The same for who lists once.
pub(crate) async fn members(epmd: &Epmd, host: &str, within: Duration) -> Result<Vec<Node>, EpmdError> {
    let lister = Lister { asker: asker_of("connector"), kinds: Kinds::default() };
    lister.members(epmd, host, within).await
}

/// Runs all, but never more than so many at once. The results come in no order.
pub(super) async fn few_at_a_time<F>(at_once: usize, futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    let mut futures = futures.into_iter();
    loop {
        while running.len() < at_once
            && let Some(future) = futures.next()
        {
            running.spawn(future);
        }
        match running.join_next().await {
            None => return done,
            Some(Ok(output)) => done.push(output),
            // Nothing here is cancelled, so it is a panic, and one of the strategy.
            Some(Err(err)) => {
                if let Ok(panic) = err.try_into_panic() {
                    resume_unwind(panic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
