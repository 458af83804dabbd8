//! `cluster-host plugins inspect`: all that is known of one file without running it.

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Result;

use super::{configured, offers, without_path};
use crate::{
    cli::{Exit, complain},
    plugin::{self, PluginFile, Registry},
};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct InspectArgs {
    /// The plugin file
    file: PathBuf,
    /// A configuration, whose [plugins] then counts
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn inspect(args: &InspectArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let inspected = match plugin::inspect_content(&args.file) {
        Ok(inspected) => inspected,
        Err(refusal) => {
            complain(&refusal);
            return Ok(Exit::NotSo.into());
        }
    };
    let identity = &inspected.identity;
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<8}  {value}");
    line("plugin", &format!("{} {}", identity.plugin, identity.version))?;
    line("offers", &offers(identity))?;
    line("target", &identity.target)?;
    if let Some(glibc) = inspected.glibc_needed {
        line("glibc", &format!("{glibc} or newer"))?;
    }
    line("built", &format!("ABI {}, SDK {}, rustc {}", identity.abi(), identity.sdk, identity.rustc))?;
    if let Some(content) = inspected.content {
        line("sha256", &content.to_string())?;
    }
    let Some(config) = &args.config else {
        return Ok(Exit::Done.into());
    };
    let directory = args.file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut registry = Registry::scan(directory.unwrap_or_else(|| ".".as_ref()));
    registry.pin(&configured(config)?)?;
    let file = registry.files().iter().find(|file| file.path.file_name() == args.file.file_name());
    let (state, exit) = match file {
        Some(PluginFile { pending: Some(refusal), result: Ok(kept), .. }) => {
            line("pending", &without_path(refusal))?;
            let instead =
                format!("{} {}: {}", kept.identity.plugin, kept.identity.version, kept.path.display());
            (("in use", instead), Exit::Done)
        }
        Some(PluginFile { result: Ok(inspected), .. }) => {
            (("trust", inspected.standing.to_string()), Exit::Done)
        }
        Some(PluginFile { result: Err(refusal), .. }) => (("refused", without_path(refusal)), Exit::NotSo),
        None => (("refused", "its name does not end in .so".to_owned()), Exit::NotSo),
    };
    line(state.0, &state.1)?;
    Ok(exit.into())
}
