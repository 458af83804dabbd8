//! `cluster-host wait`

use std::{collections::BTreeMap, fmt::Write as _, io::Write, time::Duration};

use clap::Args;
use cluster_core::TopologyName;
use serde::Serialize;

use super::{
    ApiArgs, Exit, Failure,
    output::{count, headline},
};
use crate::{
    api::json::{Event, Member, Topologies, Vouched},
    client::{Client, ClientError, EventStream},
    clock,
};

/// How long to wait before a daemon that cannot be reached is tried again.
const TRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long the daemon may take at the end to tell how its topologies do.
const LAST_WORD_MAX: Duration = Duration::from_secs(2);
/// Names that the line about those who are missing has at most.
const NAMED_MAX: usize = 10;

/// Wait until so many members are up, the local node among them
#[derive(Debug, Args)]
#[command(after_help = "\
A daemon that is not up yet is waited for, too. At the end of the time the exit code is 1,
and a line says who is missing and why; 3 where there was no daemon to ask.
With --topology only members count that are up in that topology.

Examples:
  cluster-host wait --members 3
  cluster-host wait --members 2 --topology office --timeout 5m --json")]
pub(super) struct WaitArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// How many members
    #[arg(long, value_name = "N")]
    members: usize,
    /// Count in this topology only
    #[arg(long, value_name = "NAME")]
    topology: Option<TopologyName>,
    /// How long to wait, as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print {reached, wanted, up, missing, topologies} as JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Outcome {
    reached: bool,
    wanted: usize,
    up: usize,
    /// Members that are known, and not up.
    missing: Vec<Missing>,
    /// Topologies that are not well, where not enough are up.
    topologies: Vec<Unwell>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Missing {
    name: String,
    state: String,
    reason: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Unwell {
    name: String,
    health: String,
    reason: Option<String>,
}

/// The members as the events make them: whether each counts, and what there is to say of it.
#[derive(Debug, Default)]
pub(super) struct Fold(BTreeMap<String, Result<(), (String, Option<String>)>>);

pub(super) async fn run(args: WaitArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let WaitArgs { api, members: wanted, topology, timeout, json } = args;
    let client = api.client()?;
    let topology = topology.as_ref().map(TopologyName::as_str);
    let deadline = clock::now().instant.checked_add(timeout);
    let mut fold = Fold::default();
    let mut waiting = Waiting { client: &client, topology, wanted, state: State::Asking };
    let reached = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), waiting.until_reached(&mut fold)).await,
        None => Ok(waiting.until_reached(&mut fold).await),
    };
    let reached = match reached {
        Ok(reached) => reached.map(|()| true)?,
        // While nobody could be asked, nothing is known of the members either.
        Err(_elapsed) => match waiting.state {
            State::Asking => return Err(client.silent().into()),
            State::Trouble(trouble) => return Err(trouble.into()),
            State::Following => false,
        },
    };
    let mut outcome = fold.outcome(wanted, reached);
    if !reached {
        let asked = tokio::time::timeout(LAST_WORD_MAX, unwell(&client, topology)).await;
        outcome.topologies = asked.ok().and_then(Result::ok).unwrap_or_default();
    }
    if json {
        serde_json::to_writer(&mut *out, &outcome).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", outcome.line(timeout))?;
    }
    out.flush()?;
    Ok(if reached { Exit::Done } else { Exit::NotSo })
}

/// How far it is with the daemon.
enum State {
    /// It was asked for its events. Left by its answer.
    Asking,
    /// It tells them. Left when it ends.
    Following,
    /// It could not be asked, or has ended. Left by the next try.
    Trouble(ClientError),
}

struct Waiting<'a> {
    client: &'a Client,
    topology: Option<&'a str>,
    wanted: usize,
    state: State,
}

// === impl Waiting ===

impl Waiting<'_> {
    /// Follows the events, of one daemon after the other if need be.
    async fn until_reached(&mut self, fold: &mut Fold) -> Result<(), ClientError> {
        loop {
            let trouble = match self.client.events(None, true).await {
                Ok(mut events) => {
                    self.state = State::Following;
                    match self.follow(&mut events, fold).await {
                        Ok(true) => return Ok(()),
                        Ok(false) => self.client.stopped(),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if !trouble.is_passing() {
                return Err(trouble);
            }
            self.state = State::Trouble(trouble);
            tokio::time::sleep(TRY_INTERVAL).await;
        }
    }

    /// Whether enough are up; or the daemon ended.
    async fn follow(&self, events: &mut EventStream, fold: &mut Fold) -> Result<bool, ClientError> {
        while let Some(event) = events.next_event().await? {
            fold.take(&self.client.read(event.data.as_bytes())?, self.topology);
            if fold.up() >= self.wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

async fn unwell(client: &Client, topology: Option<&str>) -> Result<Vec<Unwell>, ClientError> {
    let body = client.bytes("/v1/topologies").await?;
    let answer: Topologies<'_> = client.read(&body)?;
    if let Some(wanted) = topology
        && !answer.topologies.iter().any(|topology| topology.name == wanted)
    {
        return Ok(vec![Unwell { name: wanted.to_owned(), health: "not there".to_owned(), reason: None }]);
    }
    let asked = answer.topologies.into_iter().filter(|asked| topology.is_none_or(|name| asked.name == name));
    let unwell = asked.filter(|topology| topology.health != "running");
    let unwell = unwell.map(|topology| Unwell {
        name: topology.name.into_owned(),
        health: topology.health.into_owned(),
        reason: topology.reason.map(|reason| headline(&reason)),
    });
    Ok(unwell.collect())
}

// === impl Fold ===

impl Fold {
    /// Takes an event: all members, or the one that it is about.
    pub(super) fn take(&mut self, event: &Event<'_>, topology: Option<&str>) {
        if let Some(members) = &event.members {
            self.0 =
                members.iter().map(|member| (member.name.to_string(), judge(member, topology))).collect();
        } else if let Some(member) = &event.member {
            self.0.insert(member.name.to_string(), judge(member, topology));
        } else if let Some(node) = &event.node {
            self.0.remove(&**node);
        }
    }

    fn up(&self) -> usize {
        self.0.values().filter(|judged| judged.is_ok()).count()
    }

    pub(super) fn outcome(&self, wanted: usize, reached: bool) -> Outcome {
        let missing = self.0.iter().filter_map(|(name, judged)| {
            let (state, reason) = judged.as_ref().err()?.clone();
            Some(Missing { name: name.clone(), state, reason })
        });
        Outcome { reached, wanted, up: self.up(), missing: missing.collect(), topologies: Vec::new() }
    }
}

/// Whether a member counts, or how it is and why. A link that is doubtful does not: its connector, or the host, was just
/// started anew.
fn judge(member: &Member<'_>, topology: Option<&str>) -> Result<(), (String, Option<String>)> {
    let is_up = member.state == "up";
    let is_asked_of = |vouched: &&Vouched<'_>| topology.is_none_or(|name| vouched.name == name);
    let asked: Vec<_> = member.topologies.iter().filter(is_asked_of).collect();
    if is_up && (member.is_self || asked.iter().any(|vouched| matches!(&*vouched.link, "up" | "none"))) {
        return Ok(());
    }
    let of_links = || asked.iter().find_map(|vouched| vouched.reason.as_deref());
    let reason = member.reason.as_deref().or_else(of_links).map(headline);
    let state = match (is_up, asked.first()) {
        (true, Some(vouched)) => format!("link {}", vouched.link),
        (true, None) => "not in the topology".to_owned(),
        (false, _) => member.state.to_string(),
    };
    Err((state, reason))
}

// === impl Outcome ===

impl Outcome {
    /// One line: that it is so, or who is missing and why.
    pub(super) fn line(&self, timeout: Duration) -> String {
        let is_up = |number: usize| if number == 1 { "is up" } else { "are up" };
        if self.reached {
            return format!("{} {}", count(self.up, "member"), is_up(self.up));
        }
        let Self { wanted, up, missing, topologies, .. } = self;
        let timeout = humantime::format_duration(timeout);
        let mut line = format!("{up} of {wanted} members {} after {timeout}", is_up(*up));
        let because = |line: &mut String, name: &str, state: &str, reason: Option<&str>| {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let _written = write!(line, "{name} ({state}{reason})");
        };
        for (index, Missing { name, state, reason }) in missing.iter().take(NAMED_MAX).enumerate() {
            line += if index == 0 { "; not up: " } else { ", " };
            because(&mut line, name, state, reason.as_deref());
        }
        if let Some(more) = missing.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
            let _written = write!(line, " and {more} more");
        }
        let unknown = wanted.saturating_sub(up.saturating_add(missing.len()));
        if unknown > 0 {
            let _written = write!(
                line,
                "; {unknown} more {} named by no strategy",
                if unknown == 1 { "is" } else { "are" }
            );
        }
        for Unwell { name, health, reason } in topologies {
            line += "; topology ";
            because(&mut line, name, health, reason.as_deref());
        }
        line
    }
}

#[cfg(test)]
mod tests;
