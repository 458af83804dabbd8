//! `cluster-host plugins`: the files in the plugin directory, and why some of them are not loaded; and new ones.

mod new;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use cluster_sdk::OfferKind;
use serde::Serialize;

use crate::{
    connectors,
    plugin::{DirectoryError, Identity, Offer, PluginFile, Registry},
};

/// Lists the plugin files with what they offer, or why they are refused; runs no code of theirs.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PluginsArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<PluginsCommand>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum PluginsCommand {
    New(new::NewArgs),
}

/// Where plugins are.
#[derive(Debug, Clone, clap::Args)]
pub struct DirectoryArgs {
    /// The directory with the plugin files.
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    pub plugins: PathBuf,
}

#[derive(Serialize)]
struct Listing<'a> {
    directory: String,
    /// What is wrong with the directory as a whole.
    problem: Option<String>,
    plugins: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    /// Absent for what is linked into this program.
    file: Option<String>,
    #[serde(flatten)]
    plugin: Option<PluginJson<'a>>,
    /// Why the file is not loaded.
    refused: Option<RefusedJson>,
}

#[derive(Serialize)]
struct PluginJson<'a> {
    plugin: &'a str,
    version: &'a str,
    sdk: &'a str,
    rustc: &'a str,
    target: &'a str,
    abi: String,
    strategies: Vec<&'a str>,
    connectors: Vec<&'a str>,
}

#[derive(Serialize)]
struct RefusedJson {
    reason: String,
    remedy: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the directory cannot be read, a crate cannot be written, or `out` cannot be written.
pub fn plugins(args: &PluginsArgs, out: &mut dyn Write) -> Result<ExitCode> {
    match &args.command {
        None => list(args, out),
        Some(PluginsCommand::New(args)) => new::new(args, out),
    }
}

fn list(args: &PluginsArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let registry = args.directory.scan()?;
    let rows = rows(&registry);
    if args.json {
        let listing = Listing {
            directory: args.directory.plugins.display().to_string(),
            problem: registry.problem().map(ToString::to_string),
            plugins: rows,
        };
        serde_json::to_writer_pretty(&mut *out, &listing)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows {
        let file = row.file.as_deref().unwrap_or("(built in)");
        match (row.plugin, row.refused) {
            (Some(plugin), _) => {
                writeln!(out, "{file}: {} {}: {}", plugin.plugin, plugin.version, plugin.offers())?;
            }
            (None, Some(RefusedJson { reason, remedy: Some(remedy) })) => {
                writeln!(out, "{file}: refused: {reason}; {remedy}")?;
            }
            (None, refused) => {
                writeln!(
                    out,
                    "{file}: refused: {}",
                    refused.map(|refused| refused.reason).unwrap_or_default()
                )?;
            }
        }
    }
    if let Some(problem) = registry.problem() {
        writeln!(out, "{problem}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(registry: &Registry) -> Vec<Row<'_>> {
    let builtins = registry.builtins().iter().map(|builtin| Row {
        file: None,
        plugin: Some(PluginJson::of(&builtin.identity)),
        refused: None,
    });
    let files = registry.files().iter().map(|PluginFile { path, result }| Row {
        file: Some(path.display().to_string()),
        plugin: result.as_ref().ok().map(|inspected| PluginJson::of(&inspected.identity)),
        refused: result
            .as_ref()
            .err()
            .map(|refusal| RefusedJson { reason: refusal.reason.to_string(), remedy: refusal.remedy() }),
    });
    builtins.chain(files).collect()
}

// === impl DirectoryArgs ===

impl DirectoryArgs {
    /// What there is: the directory's files and what is linked into this program.
    pub(super) fn scan(&self) -> Result<Registry> {
        let registry = Registry::scan(&self.plugins).with_builtin(connectors::plugin())?;
        if let Some(problem @ DirectoryError::Unreadable { .. }) = registry.problem() {
            bail!("{problem}");
        }
        Ok(registry)
    }
}

// === impl PluginJson ===

impl<'a> PluginJson<'a> {
    fn of(identity: &'a Identity) -> Self {
        let names = |kind| identity.offers.iter().filter(move |offer| offer.kind == kind);
        let names = |kind| names(kind).map(|offer: &Offer| offer.name.as_str()).collect();
        Self {
            plugin: &identity.plugin,
            version: &identity.version,
            sdk: &identity.sdk,
            rustc: &identity.rustc,
            target: &identity.target,
            abi: identity.abi(),
            strategies: names(OfferKind::Strategy),
            connectors: names(OfferKind::Connector),
        }
    }

    /// "strategies a, b; connector c"
    fn offers(&self) -> String {
        let part = |one: &str, many: &str, names: &[&str]| match names {
            [] => None,
            [name] => Some(format!("{one} {name}")),
            names => Some(format!("{many} {}", names.join(", "))),
        };
        let parts = [
            part("strategy", "strategies", &self.strategies),
            part("connector", "connectors", &self.connectors),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}
