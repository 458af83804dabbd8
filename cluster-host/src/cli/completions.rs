//! `cluster-host completions`: what a shell wants to know of the commands, made of them as they are parsed.

use std::{io::Write, process::ExitCode};

use anyhow::Result;
use clap::{Command, ValueEnum};
use clap_complete::aot;

use super::Exit;

const EXAMPLES: &str = "\
Examples:
  source <(cluster-host completions bash)
  cluster-host completions zsh > ~/.zfunc/_cluster-host
  cluster-host completions fish > ~/.config/fish/completions/cluster-host.fish";

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Runs the command.
pub(super) fn run(args: &CompletionsArgs, mut command: Command, out: &mut dyn Write) -> Result<ExitCode> {
    // The generators panic where they cannot write, so they write into memory.
    let mut script = Vec::new();
    // clap_complete 4.6.11 calls what belongs to a command of a program with a hyphen by two names in bash's script, and
    // then completes nothing behind the command.
    let (wrong, right) = ("cluster__subcmd__host", "cluster__host");
    let name = command.get_name().to_owned();
    match args.shell {
        Shell::Bash => aot::generate(aot::Bash, &mut command, name, &mut script),
        Shell::Zsh => aot::generate(aot::Zsh, &mut command, name, &mut script),
        Shell::Fish => aot::generate(aot::Fish, &mut command, name, &mut script),
    }
    out.write_all(String::from_utf8(script)?.replace(wrong, right).as_bytes())?;
    Ok(Exit::Done.into())
}
