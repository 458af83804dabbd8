//! `cluster-host plugins rollback`: a plugin's file gets the content that it had before.

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Result;

use super::{DirectoryArgs, configured};
use crate::{
    cli::{Exit, complain},
    plugin::{RolledBack, roll_back},
};

pub(super) const EXAMPLES: &str = "\
Example:
  cluster-host plugins rollback strategy-ec2 --config cluster.toml --plugins plugins

The configuration must have keep and lock (or sha256) in [plugins]; the lock file must name the earlier content still.
A running host goes on as it is until it is restarted or looks at its plugins again.";

#[derive(Debug, Clone, clap::Args)]
pub(super) struct RollbackArgs {
    /// The plugin, or the name of its file
    name: String,
    /// The configuration of the host
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    directory: DirectoryArgs,
}

pub(super) fn rollback(args: &RollbackArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let mut registry = args.directory.scan()?;
    registry.pin(&configured(&args.config)?)?;
    match roll_back(&registry, &args.name) {
        Ok(RolledBack { path, content, version }) => {
            writeln!(out, "{} has version {version} again, sha256 {content}", path.display())?;
            Ok(Exit::Done.into())
        }
        Err(error) => {
            complain(&error);
            Ok(Exit::NotSo.into())
        }
    }
}
