//! `cluster-host discover`: one strategy alone, and what it finds. Nothing is linked, announced or remembered.

mod listener;
mod show;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use cluster_sdk::{
    ConfigDuration, LocalNode, OfferKind,
    abi::host::{LoadedPlugin, PluginError, Start, StopReason},
};
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;

use self::listener::{Findings, Listener};
use super::{Exit, complain, plugins::DirectoryArgs};
use crate::{
    clock, config,
    logging::{self, LogFormat, LogLevel},
    plugin::{Isolation, load},
};

const EXAMPLES: &str = "\
The config is JSON, or TOML as it stands behind 'config =' in a configuration, or @FILE with either.

Examples:
  cluster-host discover gossip                     # who is heard on this network
  cluster-host discover dns --config '{ query = \"app.internal\", node_basename = \"app\" }'
  cluster-host discover kubernetes --config @kubernetes.toml --timeout 30s --json

Without a view the reason is told, and the exit code is 1; where the config is wrong it is 2.";

/// How long the strategy is given to end once there is something to show.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Run one strategy alone and print the first view that it gives; links nobody, announces nothing
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiscoverArgs {
    /// The strategy
    name: String,
    /// Its config: JSON, TOML, or @FILE [default: no options]
    #[arg(long, value_name = "CONFIG")]
    config: Option<String>,
    #[command(flatten)]
    directory: DirectoryArgs,
    /// How long to wait for a view
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    timeout: ConfigDuration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// What is logged, to standard error: off, error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", env = "CLUSTER_HOST_LOG", default_value = "warn")]
    log_level: LogLevel,
}

/// Runs the command.
///
/// # Errors
/// When the strategy cannot be loaded, its config cannot be read, or `out` cannot be written.
pub(super) fn discover(args: &DiscoverArgs, out: &mut dyn Write) -> Result<ExitCode> {
    logging::init(LogFormat::default(), args.log_level.clone())?;
    let config = match &args.config {
        Some(text) => {
            config::inline(text, &|name| std::env::var(name).ok()).map_err(|reason| anyhow!(reason))?
        }
        None => Value::Object(Map::new()),
    };
    let registry = args.directory.scan()?;
    let source = match registry.find(OfferKind::Strategy, &args.name) {
        Ok(source) => source,
        Err(error) => {
            complain(&error);
            return Ok(Exit::NotSo.into());
        }
    };
    let plugin = load(source, Isolation::InProcess)?;
    match run(args, plugin, config) {
        Ok(findings) => show(args, &findings, out),
        Err(PluginError::Config(errors)) => {
            for error in errors {
                complain(&format!("config: {error}"));
            }
            Ok(Exit::Usage.into())
        }
        Err(error) => Err(anyhow!(error).context(format!("starting {}", args.name))),
    }
}

/// Starts the strategy, and ends it once it has given a view or said why it cannot.
fn run(args: &DiscoverArgs, plugin: LoadedPlugin, config: Value) -> Result<Findings, PluginError> {
    let (listener, words) = Listener::new(&args.name);
    // A node that is not there is not announced by whatever strategy.
    let local = LocalNode { present: false, ..LocalNode::default() };
    let (kind, name, topology) = (OfferKind::Strategy, args.name.clone(), args.name.clone());
    let start = Start { kind, name, config, topology, local, log_level: LevelFilter::current() };
    let running = plugin.start(&start, Arc::new(listener))?;
    let mut findings = Findings::default();
    findings.listen(&words, clock::now().instant + args.timeout.get(), Findings::is_enough);
    running.stop(StopReason::Restart, STOP_WITHIN);
    // What it says beside: a reason, the rest of a view.
    findings.listen(&words, clock::now().instant + STOP_WITHIN, Findings::is_over);
    Ok(findings)
}

fn show(args: &DiscoverArgs, findings: &Findings, out: &mut dyn Write) -> Result<ExitCode> {
    let Some(view) = &findings.view else {
        let reason = findings.reason().map(|reason| show::lines(&reason));
        complain(&reason.unwrap_or_else(|| format!("{}: no view within {}", args.name, args.timeout)));
        return Ok(Exit::NotSo.into());
    };
    if args.json {
        show::json(&args.name, view, findings, out)?;
    } else {
        show::text(view, findings, out)?;
    }
    Ok(Exit::Done.into())
}
