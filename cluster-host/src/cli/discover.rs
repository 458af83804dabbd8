//! `cluster-host discover`: one strategy alone, and what it finds. Nothing is linked, announced or remembered.

mod show;

use std::{io::Write, process::ExitCode};

use anyhow::{Result, anyhow};
use cluster_sdk::{ConfigDuration, LocalNode, OfferKind, abi::host::PluginError};
use serde_json::{Map, Value};

use super::{Exit, complain, plugins::DirectoryArgs};
use crate::{
    config::{self, CLUSTER_DEFAULT, IsolationConfig},
    logging::{self, LogFormat, LogLevel},
    placement::Plugin,
    trial::{self, Findings, Trial},
};

const EXAMPLES: &str = "\
The config is JSON, or TOML as it stands behind 'config =' in a configuration, or @FILE with either.

Examples:
  cluster-host discover gossip                     # who is heard on this network
  cluster-host discover dns --config '{ query = \"app.internal\", node_basename = \"app\" }'
  cluster-host discover kubernetes --config @kubernetes.toml --timeout 30s --json

Without a view the reason is told, and the exit code is 1; where the config is wrong it is 2.";

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
    /// The cluster whose nodes are heard, by a strategy that hears them
    #[arg(long, value_name = "NAME", default_value = CLUSTER_DEFAULT)]
    cluster: String,
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
    let plugin = Plugin::place(&registry, source, &IsolationConfig::ByPlugin, &config)?;
    match try_alone(args, &plugin, config) {
        Ok(findings) => show(args, &findings, out),
        Err(error) => match error.downcast::<PluginError>() {
            Ok(PluginError::Config(errors)) => {
                for error in errors {
                    complain(&format!("config: {error}"));
                }
                Ok(Exit::Usage.into())
            }
            Ok(error) => Err(anyhow!(error).context(format!("starting {}", args.name))),
            Err(error) => Err(error),
        },
    }
}

fn try_alone(args: &DiscoverArgs, plugin: &Plugin, config: Value) -> Result<Findings> {
    // Asked before: a process of its own tells of a wrong config in one line only.
    let local = LocalNode { cluster: args.cluster.clone(), ..LocalNode::default() };
    let wrong = plugin.validate(OfferKind::Strategy, &args.name, &config, &local)?;
    if !wrong.is_empty() {
        return Err(PluginError::Config(wrong).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let trial = Trial { strategy: args.name.clone(), config, label: args.name.clone(), local };
    Ok(runtime.block_on(trial::run(plugin, trial, args.timeout.get()))?)
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
