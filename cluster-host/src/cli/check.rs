//! `cluster-host check`: everything that is wrong with a configuration, before anything runs.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;

use super::{
    Exit,
    plugins::{self, DirectoryArgs},
};
use crate::{
    config::{self, Config},
    plugin::Registry,
};

const EXAMPLES: &str = "\
Examples:
  cluster-host check --config cluster.toml
  cluster-host check --config cluster.toml --plugins /usr/lib/cluster-host/plugins

Every error is one line on standard output, as FILE:LINE: message; warnings go to standard error.";

/// Check a configuration and the plugins that it names, without starting anything
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// The configuration (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    directory: DirectoryArgs,
}

/// Runs the command.
///
/// # Errors
/// When `out` cannot be written.
pub fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<ExitCode> {
    // What is wrong with the directory is told where a topology needs something from it.
    let mut registry = plugins::registry(&args.directory.plugins)?;
    report(&args.config, &mut registry, out)
}

fn report(path: &Path, registry: &mut Registry, out: &mut dyn Write) -> Result<ExitCode> {
    match config::check(path, &|name| std::env::var(name).ok(), registry) {
        Ok(loaded) => {
            #[expect(clippy::print_stderr, reason = "warnings are not what the command was asked for")]
            config::warnings(&loaded).iter().for_each(|warning| eprintln!("{warning}"));
            #[expect(clippy::print_stderr, reason = "a warning too")]
            registry.pending().for_each(|(_, refusal)| eprintln!("warning: pending: {refusal}"));
            writeln!(out, "ok: {}", summary(&loaded.config))?;
            Ok(Exit::Done.into())
        }
        Err(problems) => {
            for problem in problems {
                writeln!(out, "{problem}")?;
            }
            Ok(Exit::NotSo.into())
        }
    }
}

/// `2 topologies, strategies gossip and kubernetes, connector tcp`
fn summary(config: &Config) -> String {
    let topologies = match config.topologies.len() {
        1 => "1 topology".to_owned(),
        many => format!("{many} topologies"),
    };
    let strategies: BTreeSet<_> =
        config.topologies.values().map(|topology| topology.strategy.as_str()).collect();
    let connectors = config.topologies.values().filter_map(|topology| topology.connect.connector());
    let connectors: BTreeSet<_> = connectors.map(|connector| connector.name.as_str()).collect();
    let hooks: BTreeSet<_> = config.on_event.iter().map(|hook| hook.name.as_str()).collect();
    [topologies, named("strategies", &strategies), named("connectors", &connectors), named("hooks", &hooks)]
        .concat()
}

fn named(what: &str, names: &BTreeSet<&str>) -> String {
    let names: Vec<_> = names.iter().copied().collect();
    if names.is_empty() { String::new() } else { format!(", {what}: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests;
