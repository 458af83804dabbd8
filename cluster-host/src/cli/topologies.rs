//! `cluster-host topologies`

use std::{
    io::{self, Write},
    time::SystemTime,
};

use clap::Args;

use super::{
    ApiArgs, Exit, Failure,
    output::{Cell, Colour, Table, age, all_lines, headline, pairs, plain},
    show,
};
use crate::{
    api::json::{Topologies, Topology},
    clock,
};

/// Show the topologies: strategy, connector, health, counters
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cluster-host topologies\n  cluster-host topologies --json")]
pub(super) struct TopologiesArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Print {epoch, revision, topologies} as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: TopologiesArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    let body = client.bytes("/v1/topologies").await?;
    show(out, &body, args.json, |out| {
        let answer: Topologies<'_> = client.read(&body)?;
        Ok(print(out, &answer.topologies, clock::now().wall, Colour::of_stdout())?)
    })
}

/// A table, and below it what only some topologies have.
pub(super) fn print(
    out: &mut dyn Write,
    topologies: &[Topology<'_>],
    now: SystemTime,
    colour: Colour,
) -> io::Result<()> {
    let mut table = Table::new([
        "NAME",
        "STRATEGY",
        "CONNECTOR",
        "HEALTH",
        "SINCE",
        "MEMBERS",
        "LAST REPORT",
        "RESTARTS",
        "PLUGIN",
        "REASON",
    ]);
    for topology in topologies {
        table.row([
            Cell::from(&*topology.name),
            Cell::from(&*topology.strategy),
            Cell::from(&*topology.connector),
            Cell::word(&topology.health),
            age(topology.since, now).into(),
            topology.members.to_string().into(),
            topology.last_report.map(|at| age(at, now)).unwrap_or_default().into(),
            topology.restarts.to_string().into(),
            Cell::from(topology.plugin.as_deref().unwrap_or_default()),
            headline(topology.reason.as_deref().unwrap_or_default()).into(),
        ]);
    }
    table.print(out, colour)?;
    for topology in topologies {
        let details = [
            ("held by the prune policy", topology.held.join(" ")),
            ("remembered, not named since the restart", topology.remembered.join(" ")),
            ("links that nobody claims", topology.unclaimed.join(" ")),
            ("counters", pairs(topology.counters.iter())),
        ];
        let details: Vec<_> = details.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        if !details.is_empty() {
            writeln!(out, "\n{}", colour.bold(&topology.name))?;
        }
        for (title, text) in details {
            writeln!(out, "  {title}: {}", plain(&text))?;
        }
    }
    topologies.iter().try_for_each(|topology| print_reason(out, topology, colour))
}

/// A reason that has lines for whoever is to mend it. They are not indented: what is to be applied is copied from here,
/// and of YAML the `---` between two documents has to begin its line.
fn print_reason(out: &mut dyn Write, topology: &Topology<'_>, colour: Colour) -> io::Result<()> {
    let Some(lines) = topology.reason.as_deref().and_then(all_lines) else {
        return Ok(());
    };
    writeln!(out, "\n{}", colour.bold(&format!("{} is {}", topology.name, topology.health)))?;
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}"))
}
