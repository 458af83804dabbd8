//! `cluster-host members`

use std::{
    borrow::Cow,
    io::{self, Write},
    time::SystemTime,
};

use clap::Args;

use super::{
    ApiArgs, Exit, Failure,
    output::{Cell, Colour, Table, age, plain},
    show, watch,
};
use crate::{
    api::json::{Member, Members, Vouched},
    clock,
};

/// Show the members: name, state, links, addresses
#[derive(Debug, Args)]
#[command(after_help = "\
With --watch the table is kept up to date on a terminal, those that are not up first, until
Ctrl-C. Elsewhere, and with --json, it is followed by a line for each event. A daemon that is
lost is said to be, and found again.

Examples:
  cluster-host members
  cluster-host members --watch
  cluster-host members --json | jq -r '.members[] | select(.state == \"up\") | .name'")]
pub(super) struct MembersArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print {epoch, revision, self, members} as JSON; with --watch one event a line, as 'events --json' does
    #[arg(long)]
    json: bool,
    /// Show what changes, until interrupted
    #[arg(long)]
    watch: bool,
}

pub(super) async fn run(args: MembersArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    if args.watch {
        return watch::run(client, args.json, out).await;
    }
    let body = client.bytes("/v1/members").await?;
    show(out, &body, args.json, |out| {
        let answer: Members<'_> = client.read(&body)?;
        Ok(print(out, &answer.members, clock::now().wall, Colour::of_stdout())?)
    })
}

pub(super) fn print(
    out: &mut dyn Write,
    members: &[Member<'_>],
    now: SystemTime,
    colour: Colour,
) -> io::Result<()> {
    let mut table = table();
    for member in members {
        row(&mut table, member, now);
    }
    table.print(out, colour)
}

/// The table's titles.
pub(super) fn table() -> Table {
    Table::new(["NAME", "STATE", "SINCE", "TOPOLOGIES", "INCARNATION", "ADDRESSES", "REASON"])
}

/// Adds a member's row.
pub(super) fn row(table: &mut Table, member: &Member<'_>, now: SystemTime) {
    let this = if member.is_self { " (self)" } else { "" };
    table.row([
        format!("{}{this}", member.name).into(),
        Cell::word(&member.state),
        age(member.since, now).into(),
        topologies(&member.topologies).into(),
        member.incarnation.map(|number| number.to_string()).unwrap_or_default().into(),
        plain(&member.addresses.join(" ")).into(),
        plain(&reason(member)).into(),
    ]);
}

/// `gossip erlang=up`: the link where the topology has one.
fn topologies(vouched: &[Vouched<'_>]) -> String {
    let shown = vouched.iter().map(|vouched| match &*vouched.link {
        "none" => vouched.name.to_string(),
        link => format!("{}={link}", vouched.name),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The member's own reason, or else those of its links.
fn reason<'a>(member: &'a Member<'_>) -> Cow<'a, str> {
    if let Some(reason) = &member.reason {
        return Cow::Borrowed(reason);
    }
    let of_links = member.topologies.iter().filter_map(|vouched| {
        let reason = vouched.reason.as_ref()?;
        Some(format!("{}: {reason}", vouched.name))
    });
    Cow::Owned(of_links.collect::<Vec<_>>().join("; "))
}
