//! `cluster-host strategies`: what a configuration can name, and which options each of them has.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use cluster_sdk::OfferKind;
use serde::Serialize;

use super::{Exit, complain, options::Options, plugins::DirectoryArgs};
use crate::{
    config::IsolationConfig,
    placement::Plugin,
    plugin::{LookupError, Registry, Source},
};

/// Lists the strategies and connectors that plugins offer, or describes one of them.
#[derive(Debug, Clone, clap::Args)]
pub struct StrategiesArgs {
    /// The directory with the plugin files.
    #[arg(long, value_name = "DIR", default_value = "plugins", global = true)]
    plugins: PathBuf,
    /// Print one JSON object.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<StrategiesCommand>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum StrategiesCommand {
    /// Loads the plugin that offers NAME and prints the options of its config.
    Describe {
        /// A strategy or a connector.
        name: String,
    },
}

#[derive(Serialize)]
struct Listing<'a> {
    strategies: Vec<Row<'a>>,
    connectors: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    plugin: &'a str,
    version: &'a str,
    /// Absent for what is linked into this program.
    file: Option<String>,
}

/// Runs the command.
///
/// # Examples
///
/// ```
/// use clap::Parser as _;
/// use cluster_host::cli::strategies::{StrategiesArgs, strategies};
///
/// #[derive(clap::Parser)]
/// struct Cli {
///     #[command(flatten)]
///     strategies: StrategiesArgs,
/// }
///
/// let directory = tempfile::tempdir()?;
/// let arguments = ["strategies".as_ref(), "--json".as_ref(), "--plugins".as_ref(), directory.path().as_os_str()];
/// let mut out = Vec::new();
/// strategies(&Cli::try_parse_from(arguments)?.strategies, &mut out)?;
/// let listing: serde_json::Value = serde_json::from_slice(&out)?;
/// assert_eq!(listing["strategies"], serde_json::json!([]));
/// assert_eq!(listing["connectors"][0]["name"], "exec", "what is linked in is there without any file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the directory cannot be read, the plugin cannot be loaded or `out` cannot be written.
pub fn strategies(args: &StrategiesArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let registry = DirectoryArgs { plugins: args.plugins.clone() }.scan()?;
    match &args.command {
        None => list(&registry, args.json, out),
        Some(StrategiesCommand::Describe { name }) => describe(&registry, name, args.json, out),
    }
}

fn list(registry: &Registry, json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    let listing = Listing {
        strategies: rows(registry, OfferKind::Strategy),
        connectors: rows(registry, OfferKind::Connector),
    };
    if json {
        serde_json::to_writer_pretty(&mut *out, &listing)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let all = || listing.strategies.iter().chain(&listing.connectors);
    let name_width = all().map(|row| row.name.len()).max().unwrap_or_default();
    let plugin = |row: &Row<'_>| format!("{} {}", row.plugin, row.version);
    let plugin_width = all().map(|row| plugin(row).len()).max().unwrap_or_default();
    for (kind, rows) in [("strategy", &listing.strategies), ("connector", &listing.connectors)] {
        for row in rows {
            let (name, plugin) = (row.name, plugin(row));
            let file = row.file.as_deref().unwrap_or("(built in)");
            writeln!(out, "{kind:<9}  {name:<name_width$}  {plugin:<plugin_width$}  {file}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(registry: &Registry, kind: OfferKind) -> Vec<Row<'_>> {
    let offers = registry.offers().into_iter().filter(|(offer, _)| offer.kind == kind);
    offers
        .map(|(offer, source)| Row {
            name: &offer.name,
            plugin: &source.identity().plugin,
            version: &source.identity().version,
            file: source.path().map(Path::display).map(|path| path.to_string()),
        })
        .collect()
}

/// A strategy and a connector may have one name; then both are described.
fn describe(registry: &Registry, name: &str, json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    let sources = match find(registry, name) {
        Ok(sources) => sources,
        Err(error) => {
            complain(&error);
            return Ok(Exit::NotSo.into());
        }
    };
    let mut described = Vec::new();
    for source in sources {
        let plugin = Plugin::place(registry, source, &IsolationConfig::ByPlugin, &serde_json::Value::Null)?;
        let offers = plugin.describe().with_context(|| format!("describing {source}"))?;
        let offers = offers.into_iter().filter(|offer| offer.name == name);
        described.extend(offers.map(|offer| (source, offer)));
    }
    if json {
        let described: Vec<_> = described.iter().map(|(_, offer)| offer).collect();
        serde_json::to_writer_pretty(&mut *out, &described)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (index, (source, offer)) in described.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let (identity, kind) = (source.identity(), offer.kind);
        writeln!(out, "{kind} {name}, of {} {} ({source})", identity.plugin, identity.version)?;
        if !offer.description.is_empty() {
            writeln!(out, "\n{}", offer.description)?;
        }
        write!(out, "\n{}", Options::of(&offer.schema))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The plugins that offer a strategy or a connector of this name: one, or one for each.
fn find<'a>(registry: &'a Registry, name: &str) -> Result<Vec<Source<'a>>, LookupError> {
    let strategy = registry.find(OfferKind::Strategy, name);
    let connector = registry.find(OfferKind::Connector, name);
    Ok(match (strategy, connector) {
        (Err(LookupError::Unknown { .. }), Ok(only)) | (Ok(only), Err(LookupError::Unknown { .. })) => {
            vec![only]
        }
        (
            Err(LookupError::Unknown { near: None, .. }),
            Err(error @ LookupError::Unknown { near: Some(_), .. }),
        ) => {
            return Err(error);
        }
        (strategy, connector) => {
            let (strategy, connector) = (strategy?, connector?);
            // Of one plugin that offers both, all is described at once.
            let same = strategy.to_string() == connector.to_string();
            if same { vec![strategy] } else { vec![strategy, connector] }
        }
    })
}
