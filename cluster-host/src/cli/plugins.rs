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

use crate::{
    api::json,
    config::{Config, PluginsConfig},
    connectors,
    plugin::{DirectoryError, Identity, Inspected, PluginFile, Refusal, Registry, Standing},
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
pub(super) struct DirectoryArgs {
    /// The directory with the plugin files.
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    pub(super) plugins: PathBuf,
}

/// Runs the command.
///
/// # Examples
///
/// ```
/// use clap::Parser as _;
/// use cluster_host::cli::plugins::{PluginsArgs, plugins};
///
/// #[derive(clap::Parser)]
/// struct Cli {
///     #[command(flatten)]
///     plugins: PluginsArgs,
/// }
///
/// let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join("libnotes.so"), "not a library")?;
/// let arguments = ["plugins".as_ref(), "--plugins".as_ref(), directory.path().as_os_str()];
/// let mut out = Vec::new();
/// plugins(&Cli::try_parse_from(arguments)?.plugins, &mut out)?;
/// assert!(String::from_utf8(out)?.contains("libnotes.so: refused: not a shared library"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        serde_json::to_writer_pretty(&mut *out, &json::Plugins::new(&registry, None))?;
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
    format!("{} {}: {}", identity.plugin, identity.version, offers(identity))
}

/// "strategies a, b; connector c"
fn offers(identity: &Identity) -> String {
    let part = |kind, one: &str, many: &str| match &*identity.names(kind) {
        [] => None,
        [name] => Some(format!("{one} {name}")),
        names => Some(format!("{many} {}", names.join(", "))),
    };
    let parts = [
        part(OfferKind::Strategy, "strategy", "strategies"),
        part(OfferKind::Connector, "connector", "connectors"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn without_path(refusal: &Refusal) -> String {
    match refusal.remedy() {
        Some(remedy) => format!("{}; {remedy}", refusal.reason),
        None => refusal.reason.to_string(),
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
