//! `cluster-host events`

use std::{
    io::{self, Write},
    pin::pin,
};

use clap::Args;

use super::{
    ApiArgs, Exit, Failure,
    follow::{Complaints, Follower, News, unread},
    output::{Colour, count, headline},
};
use crate::{
    api::json::{Event, Member, Precision},
    client::SseEvent,
};

/// Show what happens to the members, one line per event
#[derive(Debug, Args)]
#[command(after_help = "\
The first line is a resync: the members as they are. With --since it is the next event
after that cursor, or a resync where the daemon does not know the cursor any more.
Without --follow the command prints what there is and ends. With it, it goes on through
the end of the daemon and its return, and misses no event that the daemon still has.

Examples:
  cluster-host events --follow
  cluster-host events --json --since 0192a5c7d1e8f402:17
  cluster-host events --json --follow | jq -r 'select(.type == \"node_down\") | .node'")]
pub(super) struct EventsArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Begin after this cursor: EPOCH:REVISION as an event shows it, or a revision of the current epoch
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
    /// Wait for further events, until interrupted
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(args: EventsArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    let colour = Colour::of_stdout();
    let mut tell = |event: &SseEvent| -> Result<(), Failure> {
        if args.json {
            writeln!(out, "{}", event.data)?;
        } else {
            print(out, &client.read(event.data.as_bytes())?, colour)?;
        }
        // Others wait for the line, whether this is a terminal or a pipe.
        Ok(out.flush()?)
    };
    if !args.follow {
        let mut events = client.events(args.since.as_deref(), false).await?;
        while let Some(event) = events.next_event().await? {
            tell(&event)?;
        }
        return Ok(Exit::Done);
    }
    let mut follower = Follower::begin(client.clone(), args.since).await?;
    let mut complaints = Complaints::default();
    let mut unread = pin!(unread());
    loop {
        let news = tokio::select! {
            () = &mut unread => return Ok(Exit::Done),
            news = follower.next() => news,
        };
        match news {
            News::Event(event) => tell(&event)?,
            News::Found => complaints.found(),
            // A script is better told than kept waiting for what will not come by itself.
            News::Lost(error) if !error.is_passing() => return Err(error.into()),
            News::Lost(error) => complaints.lost(&error),
        }
    }
}

/// One line per event: when, what, to whom, how it is afterwards, where, why; the cursor last.
pub(super) fn print(out: &mut dyn Write, event: &Event<'_>, colour: Colour) -> io::Result<()> {
    let padding = " ".repeat("topology_changed".len().saturating_sub(event.kind.chars().count()));
    write!(out, "{}  {}{padding}", event.at.to_text(Precision::Millis), colour.word(&event.kind))?;
    if let Some(members) = &event.members {
        write!(out, "  {}", summary(members))?;
    }
    if let Some(node) = &event.node {
        write!(out, "  {node}")?;
    }
    if let Some(member) = &event.member {
        write!(out, "  {}", colour.word(&member.state))?;
    }
    if let Some(health) = &event.health {
        write!(out, "  {}", colour.word(health))?;
    }
    if let Some(topology) = &event.topology {
        write!(out, "  topology={topology}")?;
    }
    if let Some(reason) = &event.reason {
        write!(out, "  reason=\"{}\"", headline(reason))?;
    }
    writeln!(out, "  cursor={}", event.cursor)
}

/// `3 members: 2 up, 1 down`
fn summary(members: &[Member<'_>]) -> String {
    let states = ["up", "discovered", "down", "leaving"].map(|state| {
        let number = members.iter().filter(|member| member.state == state).count();
        (number > 0).then(|| format!("{number} {state}"))
    });
    let states: Vec<String> = states.into_iter().flatten().collect();
    let colon = if states.is_empty() { "" } else { ": " };
    format!("{}{colon}{}", count(members.len(), "member"), states.join(", "))
}
