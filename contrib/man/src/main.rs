//! Writes the manual pages of `cluster-host` into a directory: one for each command, made of the commands as they are
//! parsed. A program of its own, because what writes them would be a twentieth of the daemon's.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.context("name the directory to write to")?;
    let mut command = cluster_host::cli::command().disable_help_subcommand(true);
    command.build();
    let source = command.render_version();
    write(&command, source.trim_end(), &directory)
}

/// Writes the page of a command, and those of its commands.
fn write(command: &Command, source: &str, directory: &Path) -> Result<()> {
    let page = Man::new(command.clone()).source(source).manual("cluster-host");
    let path = directory.join(page.get_filename());
    let render = || {
        let mut file = BufWriter::new(File::create(&path)?);
        page.render(&mut file)?;
        file.flush()
    };
    render().with_context(|| format!("cannot write {}", path.display()))?;
    let mut commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    commands.try_for_each(|command| write(command, source, directory))
}
