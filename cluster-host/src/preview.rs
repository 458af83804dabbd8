//! What a dry run finds: each strategy that would be asked anew is tried alone, and what it finds is compared with who is
//! there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cluster_core::{Completeness, EventLog, NodeName, Snapshot, TopologyName};
use cluster_sdk::LocalNode;
use futures_util::future::join_all;

use crate::{
    assembly::{Assembly, TopologyPart},
    changes::Changes,
    trial::{self, Found, Trial},
};

/// How long a strategy may take to give its first view.
const PREVIEW_MAX: Duration = Duration::from_secs(10);

/// Who would join and leave by one topology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// Members of it that would be new, to it at least.
    pub joins: Vec<NodeName>,
    /// Members of it that it would not vouch for any more.
    pub leaves: Vec<NodeName>,
    /// The first view is not all there is: others may join, and nobody leaves by it.
    pub is_partial: bool,
}

/// Asks the sources that would be new, all at once; those of topologies that would go need not be asked.
pub(crate) async fn of(
    assembly: &Assembly,
    changes: &Changes,
    log: &EventLog,
    local: Option<&NodeName>,
) -> BTreeMap<TopologyName, Result<Preview, String>> {
    let (_, snapshot) = log.snapshot();
    let asked = changes.added.iter().chain(&changes.changed);
    let asked = asked.filter_map(|name| Some((name, assembly.topologies.get(name)?)));
    let answers = asked.map(async |(name, part)| {
        let before = members_of(&snapshot, name);
        let view = ask(name, part, assembly.config.local_node(0)).await;
        (name.clone(), view.map(|found| compare(&before, found, local)))
    });
    let gone = changes.removed.iter().map(|name| {
        let leaves = members_of(&snapshot, name).into_iter().collect();
        (name.clone(), Ok(Preview { leaves, ..Preview::default() }))
    });
    join_all(answers).await.into_iter().chain(gone).collect()
}

/// Whom a topology vouches for now.
fn members_of(snapshot: &Snapshot, topology: &TopologyName) -> BTreeSet<NodeName> {
    let is_of =
        |member: &cluster_core::Member| member.topologies.iter().any(|vouched| vouched.name == *topology);
    let members = snapshot.members.iter().filter(|(_, member)| is_of(member));
    members.map(|(name, _)| name.clone()).collect()
}

fn compare(before: &BTreeSet<NodeName>, found: Found, local: Option<&NodeName>) -> Preview {
    let is_partial = found.completeness == Completeness::Partial;
    let after: BTreeSet<_> = found.nodes.into_keys().filter(|name| Some(name) != local).collect();
    let leaves = if is_partial { Vec::new() } else { before.difference(&after).cloned().collect() };
    Preview { joins: after.difference(before).cloned().collect(), leaves, is_partial }
}

async fn ask(name: &TopologyName, part: &TopologyPart, local: LocalNode) -> Result<Found, String> {
    let trial = Trial {
        strategy: part.config.strategy.clone(),
        config: part.config.config.to_value(),
        label: format!("dry run of {name}"),
        local,
    };
    let findings = trial::run(&part.plugin.plugin, trial, PREVIEW_MAX).await;
    let findings = findings.map_err(|error| format!("cannot be started: {error}"))?;
    let reason = findings.reason();
    findings
        .view
        .ok_or_else(|| reason.unwrap_or_else(|| format!("no view within {} s", PREVIEW_MAX.as_secs())))
}
