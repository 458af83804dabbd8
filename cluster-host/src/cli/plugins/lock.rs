//! `cluster-host plugins lock`: what is in the plugin directory may be loaded, and nothing else.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use super::{DirectoryArgs, configured};
use crate::{
    cli::{Exit, complain},
    durable::write_whole,
    plugin::{Inspected, Lock, inspect_content, sign_command, signature_path},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  cluster-host plugins lock --plugins plugins --output plugins.lock
  cluster-host plugins lock --add && minisign -S -m plugins.lock

The configuration names the file: [plugins] lock = \"plugins.lock\". No daemon is needed, and no plugin is run.";

const MODE: u32 = 0o644;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct LockArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// The file to write [default: the lock of --config, else plugins.lock]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A configuration, whose lock file is written
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave valid what the file names already, behind what is in the directory now: four contents of each plugin
    #[arg(long)]
    add: bool,
}

pub(super) fn lock(args: &LockArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let path = match (&args.output, &args.config) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(config)) => configured(config)?.lock,
        (None, None) => None,
    };
    let path = path.unwrap_or_else(|| "plugins.lock".into());
    let Some(inspected) = all_good(&args.directory)? else {
        return Ok(Exit::NotSo.into());
    };
    let now = Lock::of(&inspected);
    let before = read(&path)?;
    let (before_text, earlier) = match before {
        Some((text, lock)) => (Some(text), args.add.then_some(lock?)),
        None => (None, None),
    };
    let lock = match earlier {
        Some(earlier) => now.clone().before(earlier),
        None => now.clone(),
    };
    let text = lock.render().context("writing the lock file")?;
    for content in &lock.contents {
        let earlier = if now.contents.contains(content) { "" } else { ", of before" };
        let (name, version, target) = (&content.name, &content.version, &content.target);
        writeln!(out, "{name} {version} {target}: sha256 {}{earlier}", content.sha256)?;
    }
    if before_text.as_ref() == Some(&text) {
        writeln!(out, "{} says so already", path.display())?;
        return Ok(Exit::Done.into());
    }
    write_whole(text.as_bytes(), &path, MODE).with_context(|| format!("writing {}", path.display()))?;
    writeln!(out, "{} is written", path.display())?;
    if signature_path(&path).exists() {
        writeln!(out, "its signature is of what it was: run {}", sign_command(&path))?;
    }
    Ok(Exit::Done.into())
}

/// The files of a directory, if nothing speaks against any of them: a lock file without one would be a surprise.
fn all_good(directory: &DirectoryArgs) -> Result<Option<Vec<Inspected>>> {
    let registry = directory.scan()?;
    let (mut good, mut refused) = (Vec::new(), false);
    if let Some(problem) = registry.problem() {
        complain(problem);
        refused = true;
    }
    for file in registry.files() {
        match inspect_content(&file.path) {
            Ok(inspected) => good.push(inspected),
            Err(refusal) => {
                complain(&refusal);
                refused = true;
            }
        }
    }
    if good.is_empty() && !refused {
        complain(&format_args!("there is no plugin file in {}", directory.plugins.display()));
        refused = true;
    }
    Ok((!refused).then_some(good))
}

/// The text of a lock file that is there, and what it says.
type Before = (String, Result<Lock>);

fn read(path: &Path) -> Result<Option<Before>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let lock = Lock::parse(&text, path);
            Ok(Some((text, lock.map_err(Into::into))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}
