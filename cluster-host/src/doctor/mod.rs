//! `cluster-host doctor`: why is this node not in the cluster? A ladder from the configuration to the link, each rung with
//! what was seen and what mends it.
//!
//! ```text
//! config - name - interfaces - plugin - [strategy's own] - discovery - resolution - [connector's own] - daemon - clocks
//! ```
//!
//! It works without the daemon: the strategies run alone ([`crate::trial`]), and strategies and connectors tell what they
//! know of their protocols ([`cluster_sdk::Rung`]); nothing is announced, nothing stays linked. Where the daemon is there,
//! what it says of topologies and links is evidence too.

mod ask;
mod configuration;
mod daemon;
mod ladder;
mod machine;
mod member;
mod topology;

use std::{path::PathBuf, time::Duration};

use cluster_core::{NodeName, TopologyName};
use cluster_sdk::Rung;
use futures_util::future::join_all;

pub(crate) use self::ladder::{Ladder, Step};
use self::{
    daemon::Daemon,
    ladder::{Place, Stage},
    topology::Patient,
};
use crate::{
    client::{ApiAddress, Client, CredentialFiles},
    config::Loaded,
    plugin::Registry,
};

/// What is to be looked at.
#[derive(Debug)]
pub(crate) struct Examination {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// The only topology to look at.
    pub(crate) topology: Option<String>,
    /// The only node to look at.
    pub(crate) node: Option<NodeName>,
    /// Where the daemon is, if not where the configuration has it.
    pub(crate) api: Option<ApiAddress>,
    /// What it is shown.
    pub(crate) credentials: CredentialFiles,
    /// Whether the daemon's absence is nothing to speak of.
    pub(crate) without_daemon: bool,
    /// How long a strategy may take, and a connector for each question.
    pub(crate) within: Duration,
}

/// There is no such topology.
#[derive(Debug, thiserror::Error)]
#[error("there is no topology {asked:?} in {}; it has: {}", file.display(), known.join(", "))]
pub(crate) struct NoTopology {
    asked: String,
    file: PathBuf,
    known: Vec<String>,
}

/// Climbs the ladder.
///
/// # Errors
/// [`NoTopology`].
pub(crate) async fn examine(asked: &Examination, registry: &mut Registry) -> Result<Ladder, NoTopology> {
    let mut ladder = Ladder::default();
    let Some(loaded) = configuration::examine(&asked.config, registry, &mut ladder) else {
        ladder.add(
            Stage::Daemon,
            &Place::default(),
            Rung::skipped("everything else", "there is no configuration to go by"),
        );
        return Ok(ladder);
    };
    let topologies = chosen(asked, &loaded)?;
    let daemon = if asked.without_daemon {
        Daemon::NotAsked
    } else {
        let listens = loaded.config.api.listen.clone().map(ApiAddress::from);
        match Client::new(asked.api.clone().or(listens)).with_credentials(&asked.credentials) {
            Ok(client) => {
                let own = loaded.config.node.as_ref().map(|node| &node.name);
                Daemon::ask(&client, own).await
            }
            Err(error) => Daemon::Away(error.to_string()),
        }
    };
    let patient = Patient { loaded: &loaded, registry, daemon: &daemon, asked };
    let found = join_all(topologies.iter().map(|name| patient.examine(name))).await;
    let mut hosts = Vec::new();
    for examined in found {
        hosts.extend(examined.nodes.iter().map(|node| node.host().to_owned()));
        ladder.extend(examined.ladder);
    }
    machine::examine(&loaded, &hosts, &mut ladder).await;
    daemon.examine(&loaded, &topologies, &mut ladder);
    if !ladder.has("clocks") {
        let why = "no protocol here told the time of another machine: compare 'date -u' on both";
        ladder.add(Stage::Clocks, &Place::default(), Rung::skipped("clocks", why));
    }
    ladder.sort();
    Ok(ladder)
}

fn chosen(asked: &Examination, loaded: &Loaded) -> Result<Vec<TopologyName>, NoTopology> {
    let all = loaded.config.topologies.keys();
    let Some(topology) = &asked.topology else { return Ok(all.cloned().collect()) };
    match all.clone().find(|name| name.as_str() == topology) {
        Some(name) => Ok(vec![name.clone()]),
        None => Err(NoTopology {
            asked: topology.clone(),
            file: asked.config.clone(),
            known: all.map(ToString::to_string).collect(),
        }),
    }
}
