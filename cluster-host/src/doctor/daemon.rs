//! What the daemon says, where it is there.

use std::collections::BTreeMap;

use cluster_core::{NodeName, TopologyName};
use cluster_sdk::Rung;

use super::ladder::{Ladder, Place, Stage, cause_and_fix};
use crate::{
    api::json::{Explanation, Link, Member, Members, Reload, Topologies, Topology},
    client::{Client, ClientError, encode},
    config::Loaded,
};

/// Members whose links are asked about.
const EXPLAINED_MAX: usize = 32;

/// The daemon.
#[derive(Debug)]
pub(super) enum Daemon {
    /// It is nothing to speak of.
    NotAsked,
    /// It gives no answer, for this reason.
    Away(String),
    /// It runs beside another node, so that nothing it knows is about this one.
    OfAnother { address: String, this: String, own: NodeName },
    /// It is there.
    There(Box<Known>),
}

/// What it knows.
#[derive(Debug)]
pub(super) struct Known {
    address: String,
    members: Members<'static>,
    topologies: BTreeMap<String, Topology<'static>>,
    /// Of members that are not up.
    explanations: BTreeMap<String, Explanation<'static>>,
    /// What a reload would change, or why that cannot be told.
    reload: Result<Reload<'static>, String>,
}

// === impl Daemon ===

impl Daemon {
    pub(super) async fn ask(client: &Client, own: Option<&NodeName>) -> Self {
        Self::try_ask(client, own).await.unwrap_or_else(|error| Self::Away(error.to_string()))
    }

    async fn try_ask(client: &Client, own: Option<&NodeName>) -> Result<Self, ClientError> {
        let members: Members<'static> = client.read(&client.bytes("/v1/members").await?)?;
        if let (Some(own), Some(this)) = (own, members.this.as_deref())
            && own.as_str() != this
        {
            let address = client.address().to_string();
            return Ok(Self::OfAnother { address, this: this.to_owned(), own: own.clone() });
        }
        Ok(Self::There(Box::new(Known::ask(client, members).await?)))
    }

    fn known(&self) -> Option<&Known> {
        match self {
            Self::There(known) => Some(known),
            Self::NotAsked | Self::Away(_) | Self::OfAnother { .. } => None,
        }
    }

    /// The incarnation that it announces for the local node.
    pub(super) fn incarnation(&self) -> Option<u64> {
        let known = self.known()?;
        known.members.members.iter().find(|member| member.is_self)?.incarnation
    }

    /// Whom a topology vouches for, but for the local node.
    pub(super) fn members_of(&self, topology: &str) -> impl Iterator<Item = &Member<'static>> {
        let members = self.known().map(|known| known.members.members.iter()).into_iter().flatten();
        members.filter(move |member| {
            !member.is_self && member.topologies.iter().any(|vouched| vouched.name == topology)
        })
    }

    pub(super) fn explanation(&self, node: &str) -> Option<&Explanation<'static>> {
        self.known()?.explanations.get(node)
    }

    /// How it is, and how it is with these topologies.
    pub(super) fn examine(&self, loaded: &Loaded, topologies: &[TopologyName], ladder: &mut Ladder) {
        let place = Place::default();
        let known = match self {
            Self::NotAsked => {
                let why = "not asked, by --without-daemon";
                return ladder.add(Stage::Daemon, &place, Rung::skipped("daemon", why));
            }
            Self::Away(reason) => {
                let (evidence, fix) = cause_and_fix(reason);
                let fix = fix.unwrap_or_default();
                let start = format!("run 'cluster-host run --config {}'", loaded.file().display());
                let fix = if fix.contains("is it running?") || fix.is_empty() {
                    format!("{start}, or say with --api where it listens")
                } else {
                    fix
                };
                return ladder.add(Stage::Daemon, &place, Rung::fail("daemon", evidence, fix));
            }
            Self::OfAnother { address, this, own } => {
                let evidence = format!("the daemon at {address} runs beside {this}, not {own}");
                let fix = "say with --api where the daemon of this configuration listens, or with --config what it runs";
                return ladder.add(Stage::Daemon, &place, Rung::fail("daemon", evidence, fix));
            }
            Self::There(known) => known,
        };
        ladder.add(Stage::Daemon, &place, known.of_configuration(loaded));
        ladder.add(Stage::Daemon, &place, known.of_local());
        for name in topologies {
            if let Some(topology) = known.topologies.get(name.as_str()) {
                ladder.add(Stage::Daemon, &Place::topology(name.as_str()), of_health(topology));
            }
        }
    }
}

// === impl Known ===

impl Known {
    /// Asks for the rest.
    async fn ask(client: &Client, members: Members<'static>) -> Result<Self, ClientError> {
        let topologies: Topologies<'static> = client.read(&client.bytes("/v1/topologies").await?)?;
        let mut explanations = BTreeMap::new();
        let not_up = members.members.iter().filter(|member| !member.is_self && member.state != "up");
        for member in not_up.take(EXPLAINED_MAX) {
            // It may have gone meanwhile.
            if let Ok(body) = client.bytes(&format!("/v1/members/{}", encode(&member.name))).await {
                explanations.insert(member.name.to_string(), client.read(&body)?);
            }
        }
        let reload = match client.post("/v1/reload?dry_run=true").await {
            Ok(body) => client.read(&body).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let named = |topology: Topology<'static>| (topology.name.to_string(), topology);
        Ok(Self {
            address: client.address().to_string(),
            members,
            topologies: topologies.topologies.into_iter().map(named).collect(),
            explanations,
            reload,
        })
    }

    /// Whether it runs what the file says.
    fn of_configuration(&self, loaded: &Loaded) -> Rung {
        let address = &self.address;
        let known = |name: &&str| self.topologies.contains_key(*name);
        let missing: Vec<&str> =
            loaded.config.topologies.keys().map(TopologyName::as_str).filter(|name| !known(name)).collect();
        let changes = match &self.reload {
            Err(reason) => {
                let (evidence, fix) = cause_and_fix(reason);
                let evidence =
                    format!("the daemon at {address} cannot read its configuration anew: {evidence}");
                let fix = fix.unwrap_or_else(|| "restart it, or mend what it names".to_owned());
                return Rung::warn("daemon", evidence, fix);
            }
            Ok(reload) => reload.topologies.iter().filter(|(what, _)| *what != "unchanged"),
        };
        let changes: Vec<String> = changes
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {}", names.join(", ")))
            .collect();
        if !changes.is_empty() {
            let evidence = format!(
                "the daemon at {address} runs an older configuration than its file has ({})",
                changes.join("; ")
            );
            return Rung::fail("daemon", evidence, "run 'cluster-host reload'");
        }
        if !missing.is_empty() {
            let evidence = format!("the daemon at {address} has no topology {}", missing.join(", "));
            let fix =
                format!("is {} the file that it runs? Restart it with --config", loaded.file().display());
            return Rung::fail("daemon", evidence, fix);
        }
        Rung::pass("daemon", format!("answers at {address}, and runs what its file says"))
    }

    /// Whether it says that the local node takes part.
    fn of_local(&self) -> Rung {
        let Some(this) = self.members.members.iter().find(|member| member.is_self) else {
            return Rung::skipped("own node", "the daemon runs beside none");
        };
        if this.state == "up" {
            return Rung::pass("own node", format!("{} is up", this.name));
        }
        let reason = this.reason.as_deref().unwrap_or("no reason is given");
        let (evidence, fix) = cause_and_fix(reason);
        let fix = fix.unwrap_or_else(|| format!("start {}", this.name));
        Rung::fail("own node", format!("{} is {}: {evidence}", this.name, this.state), fix)
    }
}

fn of_health(topology: &Topology<'_>) -> Rung {
    let reason = topology.reason.as_deref();
    let health = &topology.health;
    if health == "running" || health == "starting" {
        let evidence = reason.map(|reason| format!(": {}", cause_and_fix(reason).0)).unwrap_or_default();
        return Rung::pass("health", format!("the daemon says {health}{evidence}"));
    }
    let (evidence, fix) = cause_and_fix(reason.unwrap_or("no reason is given"));
    let fix =
        fix.unwrap_or_else(|| "see the rungs above; 'cluster-host topologies' has the counters".to_owned());
    Rung::fail("health", format!("the daemon says {health}: {evidence}"), fix)
}

/// How a link is, by what the daemon has seen of it.
pub(super) fn of_links(links: &[Link<'_>]) -> Option<Rung> {
    let link = links.iter().find(|link| link.state != "up" && link.state != "none")?;
    let failure = link.attempts.iter().rev().find_map(|attempt| attempt.failure.as_deref());
    let (evidence, fix) = cause_and_fix(failure.unwrap_or("no try has failed yet"));
    let tries = match link.failures {
        0 => String::new(),
        1 => " after 1 failure".to_owned(),
        many => format!(" after {many} failures"),
    };
    let evidence = format!("{} is {}{tries}; the last one: {evidence}", link.connector, link.state);
    let fix =
        fix.unwrap_or_else(|| "mend what the rungs above name; the daemon tries again by itself".to_owned());
    Some(Rung::fail("link", evidence, fix))
}
