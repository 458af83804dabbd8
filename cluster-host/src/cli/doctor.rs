//! `cluster-host doctor`: for whoever is woken because a node is not in the cluster. The last line is the verdict.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;
use cluster_core::NodeName;
use cluster_sdk::{ConfigDuration, Verdict};
use serde::Serialize;

use super::{
    ApiArgs, Exit, complain,
    output::{Cell, Colour, Table, plain},
    plugins::{self, DirectoryArgs},
};
use crate::{
    doctor::{self, Examination, Ladder, Step},
    logging::{self, LogFormat, LogLevel},
};

const EXAMPLES: &str = "\
It needs the configuration, and no daemon; where the daemon runs its evidence is used. It is looked for where --api or
else the configuration says. Strategies run alone and announce
nothing. Nothing is linked, but that the connector erlang ends its proof of the cookie as a hidden node that is gone at once.

Examples:
  cluster-host doctor --config cluster.toml
  cluster-host doctor --config cluster.toml --topology shop --node app@10.0.0.7
  cluster-host doctor --config cluster.toml --without-daemon --json    # before the first start

Exit codes: 0 nothing is broken, 1 something is, 2 wrong usage.";

/// Find out why nodes are not in the cluster: a ladder of checks, each with what was seen and what mends it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// The configuration (TOML)
    #[arg(long, value_name = "FILE", default_value = "cluster.toml")]
    config: PathBuf,
    #[command(flatten)]
    directory: DirectoryArgs,
    /// The only topology to look at
    #[arg(long, value_name = "TOPOLOGY")]
    topology: Option<String>,
    /// The only node to look at: name@host
    #[arg(long, value_name = "NODE", value_parser = |name: &str| NodeName::try_new(name))]
    node: Option<NodeName>,
    #[command(flatten)]
    api: ApiArgs,
    /// Do not ask the daemon; that it does not run is well
    #[arg(long, conflicts_with = "address")]
    without_daemon: bool,
    /// How long each strategy and each question to a connector may take
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    timeout: ConfigDuration,
    /// Print {healthy, verdict, rungs} as JSON
    #[arg(long)]
    json: bool,
    /// What is logged, to standard error: off, error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", env = "CLUSTER_HOST_LOG", default_value = "off")]
    log_level: LogLevel,
}

#[derive(Serialize)]
struct DiagnosisJson<'a> {
    /// Whether nothing is broken.
    healthy: bool,
    /// The last line of what people read.
    verdict: String,
    /// The rungs, the first ones first.
    rungs: &'a [Step],
}

/// Runs the command.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn doctor(args: DoctorArgs, out: &mut dyn Write) -> Result<ExitCode> {
    logging::init(LogFormat::default(), args.log_level)?;
    // What is wrong with the directory is told where a topology needs something from it.
    let mut registry = plugins::registry(&args.directory.plugins)?;
    let (api, credentials) = args.api.parts();
    let asked = Examination {
        config: args.config,
        topology: args.topology,
        node: args.node,
        api,
        credentials,
        without_daemon: args.without_daemon,
        within: args.timeout.get(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let examined = runtime.block_on(doctor::examine(&asked, &mut registry));
    // A look-up of a name may hang for longer than anybody waits.
    runtime.shutdown_background();
    let ladder = match examined {
        Ok(ladder) => ladder,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Usage.into());
        }
    };
    if args.json {
        let (healthy, verdict) = (ladder.is_well(), ladder.verdict());
        serde_json::to_writer_pretty(&mut *out, &DiagnosisJson { healthy, verdict, rungs: ladder.steps() })?;
        writeln!(out)?;
    } else {
        print(&ladder, out, Colour::of_stdout())?;
    }
    Ok(if ladder.is_well() { Exit::Done } else { Exit::NotSo }.into())
}

/// The rungs as a table, below it what mends each that is not well, and the verdict.
fn print(ladder: &Ladder, out: &mut dyn Write, colour: Colour) -> io::Result<()> {
    let mut table = Table::new(["RUNG", "VERDICT", "WHERE", "EVIDENCE"]);
    for step in ladder.steps() {
        table.row([
            Cell::from(plain(&step.rung.rung)),
            Cell::word(step.rung.verdict.as_str()),
            plain(&step.place.text()).into(),
            plain(&step.rung.evidence).into(),
        ]);
    }
    table.print(out, colour)?;
    let to_mend = |step: &&Step| matches!(step.rung.verdict, Verdict::Fail | Verdict::Warn);
    for step in ladder.steps().iter().filter(to_mend) {
        let Some(fix) = &step.rung.fix else { continue };
        let place = step.place.text();
        let place = if place.is_empty() { place } else { format!(" ({})", plain(&place)) };
        writeln!(out, "\n{}", colour.bold(&format!("to mend {}{place}", plain(&step.rung.rung))))?;
        // Not indented: what is to be applied is copied from here.
        for line in fix.trim_end().lines() {
            writeln!(out, "{}", plain(line))?;
        }
    }
    writeln!(out, "\n{}", colour.bold(&plain(&ladder.verdict())))
}
