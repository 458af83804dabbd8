//! `cluster-host check`: everything that is wrong with a configuration, before anything runs.

use std::{
    collections::BTreeSet,
    fmt,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use cluster_core::TopologyName;
use serde::Serialize;

use super::{
    Exit,
    plugins::{self, DirectoryArgs},
};
use crate::{
    api::json,
    config::{self, Config, Loaded, Problem},
    plugin::{Refusal, Registry},
};

const EXAMPLES: &str = "\
Examples:
  cluster-host check --config cluster.toml
  cluster-host check --config cluster.toml --plugins /usr/lib/cluster-host/plugins
  cluster-host check --config cluster.toml --json

Every error is one line on standard output, as FILE:LINE: message; warnings go to standard error. With --json all is one object
on standard output, whether the configuration is valid or not; the exit code is the same.";

/// Check a configuration and the plugins that it names, without starting anything
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// The configuration (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Print {valid, errors, warnings, pending, summary} as JSON
    #[arg(long)]
    json: bool,
}

/// What was found, for scripts.
#[derive(Debug, Serialize)]
struct CheckedJson<'a> {
    /// Whether a host would run it.
    valid: bool,
    /// Everything that is wrong, in the order of lines.
    errors: Vec<ProblemJson<'a>>,
    /// What is allowed, but seldom meant; nothing where there are errors.
    warnings: Vec<ProblemJson<'a>>,
    /// Plugin files that are not loaded, but what was kept of them.
    pending: Vec<PendingJson>,
    /// What it names; null where it is not valid.
    summary: Option<Summary<'a>>,
}

/// One thing to say about the configuration.
#[derive(Debug, Serialize)]
struct ProblemJson<'a> {
    file: String,
    /// From 1; null where the file as a whole is meant.
    line: Option<usize>,
    /// The key, as `topologies.office.config.hosts[1]`; null where none is meant.
    path: Option<&'a str>,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct PendingJson {
    file: String,
    #[serde(flatten)]
    refusal: json::Refusal,
}

/// What a configuration names.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    topologies: Vec<&'a str>,
    strategies: BTreeSet<&'a str>,
    connectors: BTreeSet<&'a str>,
    hooks: BTreeSet<&'a str>,
}

/// Runs the command. An error where `out` cannot be written.
pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<ExitCode> {
    // What is wrong with the directory is told where a topology needs something from it.
    let mut registry = plugins::registry(&args.directory.plugins)?;
    report(&args.config, &mut registry, args.json, out)
}

fn report(path: &Path, registry: &mut Registry, as_json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    let checked = config::check(path, &|name| std::env::var(name).ok(), registry);
    if as_json {
        tell(&checked, registry, out)?;
    } else {
        print(&checked, registry, out)?;
    }
    Ok(if checked.is_ok() { Exit::Done } else { Exit::NotSo }.into())
}

/// For scripts.
fn tell(checked: &Result<Loaded, Vec<Problem>>, registry: &Registry, out: &mut dyn Write) -> Result<()> {
    let warnings = checked.as_ref().map(config::warnings).unwrap_or_default();
    let checked = CheckedJson {
        valid: checked.is_ok(),
        errors: checked.as_ref().err().into_iter().flatten().map(ProblemJson::from).collect(),
        warnings: warnings.iter().map(ProblemJson::from).collect(),
        pending: registry.pending().map(|(_, refusal)| PendingJson::from(refusal)).collect(),
        summary: checked.as_ref().ok().map(|loaded| Summary::of(&loaded.config)),
    };
    serde_json::to_writer_pretty(&mut *out, &checked)?;
    Ok(writeln!(out)?)
}

/// For people.
fn print(checked: &Result<Loaded, Vec<Problem>>, registry: &Registry, out: &mut dyn Write) -> Result<()> {
    match checked {
        Ok(loaded) => {
            #[expect(clippy::print_stderr, reason = "warnings are not what the command was asked for")]
            config::warnings(loaded).iter().for_each(|warning| eprintln!("{warning}"));
            #[expect(clippy::print_stderr, reason = "a warning too")]
            registry.pending().for_each(|(_, refusal)| eprintln!("warning: pending: {refusal}"));
            writeln!(out, "ok: {}", Summary::of(&loaded.config))?;
        }
        Err(problems) => {
            for problem in problems {
                writeln!(out, "{problem}")?;
            }
        }
    }
    Ok(())
}

// === impl ProblemJson ===

impl<'a> From<&'a Problem> for ProblemJson<'a> {
    fn from(problem: &'a Problem) -> Self {
        let Problem { file, line, path, message, .. } = problem;
        let path = (!path.is_empty()).then_some(path.as_str());
        Self { file: file.display().to_string(), line: *line, path, message }
    }
}

// === impl PendingJson ===

impl From<&Refusal> for PendingJson {
    fn from(refusal: &Refusal) -> Self {
        Self { file: refusal.path.display().to_string(), refusal: refusal.into() }
    }
}

// === impl Summary ===

impl<'a> Summary<'a> {
    fn of(config: &'a Config) -> Self {
        let topologies = config.topologies.values();
        let connectors = topologies.clone().filter_map(|topology| topology.connect.connector());
        Self {
            topologies: config.topologies.keys().map(TopologyName::as_str).collect(),
            strategies: topologies.map(|topology| topology.strategy.as_str()).collect(),
            connectors: connectors.map(|connector| connector.name.as_str()).collect(),
            hooks: config.on_event.iter().map(|hook| hook.name.as_str()).collect(),
        }
    }
}

impl fmt::Display for Summary<'_> {
    /// `2 topologies, strategies: gossip, kubernetes, connectors: tcp`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.topologies.len() {
            1 => f.write_str("1 topology")?,
            many => write!(f, "{many} topologies")?,
        }
        let Self { strategies, connectors, hooks, .. } = self;
        for (what, names) in [("strategies", strategies), ("connectors", connectors), ("hooks", hooks)] {
            let names: Vec<_> = names.iter().copied().collect();
            if !names.is_empty() {
                write!(f, ", {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
