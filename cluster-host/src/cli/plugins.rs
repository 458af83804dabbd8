//! `cluster-host plugins`: the files in the plugin directory, why some of them are not loaded, and which may be; and new
//! ones.

mod inspect;
mod lock;
mod new;
mod rollback;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, anyhow, bail};
use cluster_sdk::OfferKind;
use serde::Serialize;

use crate::{
    config::{Config, PluginsConfig},
    connectors,
    plugin::{
        ContentHash, DirectoryError, Identity, Inspected, Offer, PluginFile, Refusal, Registry, Standing,
    },
};

/// The very file that runs, also where another one has taken its place since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Lists the plugin files with what they offer, or why they are refused; runs no code of theirs.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PluginsArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// A configuration, whose [plugins] then counts.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<PluginsCommand>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum PluginsCommand {
    New(new::NewArgs),
    /// Show all that is known of one file without running it
    Inspect(inspect::InspectArgs),
    /// Write the lock file: the contents of the plugin directory, which then alone may be loaded
    #[command(after_help = lock::EXAMPLES)]
    Lock(lock::LockArgs),
    /// Put into a plugin's file the content that it had before
    #[command(after_help = rollback::EXAMPLES)]
    Rollback(rollback::RollbackArgs),
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
    /// Why the file is not loaded, nor anything in its place.
    refused: Option<RefusedJson>,
    #[serde(flatten)]
    trust: Option<TrustJson<'a>>,
}

/// By what a file may be loaded.
#[derive(Serialize)]
struct TrustJson<'a> {
    /// `unpinned`, `pinned`, `locked` or `signed`.
    standing: &'static str,
    /// The trusted key, where one has signed the file or the lock file.
    signed_by: Option<&'a str>,
    /// Absent where nothing asked for it.
    sha256: Option<ContentHash>,
    /// Why not the file is loaded, but what was kept of it.
    pending: Option<RefusedJson>,
    /// What that is.
    kept: Option<String>,
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
/// When the directory or the configuration cannot be read, a crate cannot be written, or `out` cannot be written.
pub fn plugins(args: &PluginsArgs, out: &mut dyn Write) -> Result<ExitCode> {
    match &args.command {
        None => list(args, out),
        Some(PluginsCommand::New(args)) => new::new(args, out),
        Some(PluginsCommand::Inspect(args)) => inspect::inspect(args, out),
        Some(PluginsCommand::Lock(args)) => lock::lock(args, out),
        Some(PluginsCommand::Rollback(args)) => rollback::rollback(args, out),
    }
}

fn list(args: &PluginsArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let mut registry = args.directory.scan()?;
    if let Some(config) = &args.config {
        registry.pin(&configured(config)?)?;
    }
    if args.json {
        let listing = Listing {
            directory: args.directory.plugins.display().to_string(),
            problem: registry.problem().map(ToString::to_string),
            plugins: rows(&registry),
        };
        serde_json::to_writer_pretty(&mut *out, &listing)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    for builtin in registry.builtins() {
        writeln!(out, "(built in): {}", in_words(&builtin.identity))?;
    }
    for PluginFile { path, result, pending } in registry.files() {
        if let Some(refusal) = pending {
            writeln!(out, "{}: pending: {}", path.display(), without_path(refusal))?;
        }
        let standing = |standing: &Standing| match args.config {
            Some(_) => format!("; {standing}"),
            None => String::new(),
        };
        match result {
            Ok(Inspected { path, identity, standing: by, .. }) => {
                writeln!(out, "{}: {}{}", path.display(), in_words(identity), standing(by))?;
            }
            Err(refusal) => writeln!(out, "{}: refused: {}", path.display(), without_path(refusal))?,
        }
    }
    if let Some(problem) = registry.problem() {
        writeln!(out, "{problem}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The `[plugins]` of a configuration.
fn configured(path: &Path) -> Result<PluginsConfig> {
    let loaded = Config::load(path, &|name| std::env::var(name).ok()).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the configuration cannot be used:\n{}", lines.join("\n"))
    })?;
    Ok(loaded.config.plugins)
}

/// "strategy-ec2 1.0.0: strategy ec2"
fn in_words(identity: &Identity) -> String {
    format!("{} {}: {}", identity.plugin, identity.version, PluginJson::of(identity).offers())
}

fn without_path(refusal: &Refusal) -> String {
    match refusal.remedy() {
        Some(remedy) => format!("{}; {remedy}", refusal.reason),
        None => refusal.reason.to_string(),
    }
}

fn rows(registry: &Registry) -> Vec<Row<'_>> {
    let builtins = registry.builtins().iter().map(|builtin| Row {
        file: None,
        plugin: Some(PluginJson::of(&builtin.identity)),
        refused: None,
        trust: None,
    });
    let files = registry.files().iter().map(|file| Row {
        file: Some(file.path.display().to_string()),
        plugin: file.result.as_ref().ok().map(|inspected| PluginJson::of(&inspected.identity)),
        refused: file.result.as_ref().err().map(RefusedJson::of),
        trust: file.result.as_ref().ok().map(|inspected| TrustJson::of(inspected, file.pending.as_ref())),
    });
    builtins.chain(files).collect()
}

// === impl TrustJson ===

impl<'a> TrustJson<'a> {
    fn of(inspected: &'a Inspected, pending: Option<&Refusal>) -> Self {
        let (standing, signed_by) = match &inspected.standing {
            Standing::Unpinned => ("unpinned", None),
            Standing::Pinned => ("pinned", None),
            Standing::Locked { signed_by } => ("locked", signed_by.as_deref()),
            Standing::Signed { by } => ("signed", Some(by.as_str())),
        };
        let kept = pending.map(|_| inspected.path.display().to_string());
        Self { standing, signed_by, sha256: inspected.content, pending: pending.map(RefusedJson::of), kept }
    }
}

// === impl RefusedJson ===

impl RefusedJson {
    fn of(refusal: &Refusal) -> Self {
        Self { reason: refusal.reason.to_string(), remedy: refusal.remedy() }
    }
}

/// The plugins of a directory and of this program, which is a runner too.
pub(super) fn registry(directory: &Path) -> Result<Registry> {
    let registry = Registry::scan(directory).with_builtin(connectors::plugin())?;
    Ok(registry.with_runner(Path::new(THIS_PROGRAM)))
}

// === impl DirectoryArgs ===

impl DirectoryArgs {
    /// What there is: the directory's files and what is linked into this program.
    pub(super) fn scan(&self) -> Result<Registry> {
        let registry = registry(&self.plugins)?;
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
