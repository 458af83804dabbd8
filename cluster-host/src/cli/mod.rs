//! The command line. What a command prints goes to standard output, what went wrong to standard error, and the exit
//! code says which kind of wrong it was: see `Exit`.
#![expect(clippy::print_stderr, reason = "this is where the errors of commands are told")]

mod check;
mod completions;
mod discover;
mod doctor;
mod events;
mod explain;
mod follow;
mod forget;
mod hooks;
mod members;
mod options;
mod output;
pub mod plugins;
mod ready;
mod reference;
mod reload;
mod run;
pub mod strategies;
mod topologies;
mod wait;
mod watch;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    api::{AccessError, ListenAddress},
    client::{ApiAddress, Client, ClientError, CredentialFiles},
    logging::{LogFormat, LogLevel},
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the thing asked about is not so
  2  wrong usage or configuration
  3  the daemon cannot be reached";

const DEFAULT_PLACE: &str = "\
Where the daemon listens, and is looked for, if nothing is said:
  a service (systemd, the container)  unix:$RUNTIME_DIRECTORY/cluster-host.sock
  root    unix:/run/cluster-host/cluster-host.sock where that service runs, else
          unix:/run/cluster-host.sock
  others  unix:$XDG_RUNTIME_DIR/cluster-host.sock, without that variable
          unix:/run/user/UID/cluster-host.sock, without that directory
          unix:/tmp/cluster-host-UID.sock";

const RUN_EXAMPLES: &str = "\
Examples:
  cluster-host run --config cluster.toml
  cluster-host run --config cluster.toml --listen 127.0.0.1:4444 --log-format json
  CLUSTER_HOST_LOG=info,cluster_host::api=debug cluster-host run --config cluster.toml";

const PLUGINS_EXAMPLES: &str = "\
Without a command no code of the plugins runs.

Examples:
  cluster-host plugins --plugins /usr/lib/cluster-host/plugins --json
  cluster-host plugins new inventory";

/// Forms a cluster of nodes: asks strategies who should be in it, links them, tells who comes and goes.
#[derive(Debug, Parser)]
#[command(name = "cluster-host", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Check(check::CheckArgs),
    Members(members::MembersArgs),
    Events(events::EventsArgs),
    Explain(explain::ExplainArgs),
    Topologies(topologies::TopologiesArgs),
    Forget(forget::ForgetArgs),
    Hooks(hooks::HooksArgs),
    Reload(reload::ReloadArgs),
    Wait(wait::WaitArgs),
    Ready(ready::ReadyArgs),
    /// List the plugin files with what they offer, or why they are refused; or write a new plugin
    #[command(after_help = PLUGINS_EXAMPLES)]
    Plugins(plugins::PluginsArgs),
    /// List the strategies and connectors that a configuration can name, or describe one of them
    #[command(after_help = "Examples:\n  cluster-host strategies\n  cluster-host strategies describe gossip")]
    Strategies(strategies::StrategiesArgs),
    Discover(discover::DiscoverArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    ConfigReference(reference::ReferenceArgs),
}

/// Run the daemon in the foreground until SIGTERM or SIGINT
#[derive(Debug, Args)]
#[command(after_help = format!("{RUN_EXAMPLES}\n\n{DEFAULT_PLACE}"))]
pub(super) struct RunArgs {
    /// The configuration (TOML)
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// The directory of the plugins
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    pub(super) plugins: PathBuf,
    /// Where the API listens: unix:PATH, or ADDR:PORT, beyond loopback only as [api] allows [default: see below]
    #[arg(long, value_name = "unix:PATH|ADDR:PORT")]
    pub(super) listen: Option<ListenAddress>,
    /// Where /healthz, /ready and /metrics are answered, and nothing else, also on addresses that others can reach, as
    /// 0.0.0.0:4445 [default: nowhere but where the API listens]
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    pub(super) probe_listen: Option<ListenAddress>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug, trace, or MODULE=LEVEL, several with commas
    #[arg(long, value_name = "LEVEL", env = "CLUSTER_HOST_LOG", default_value = "info")]
    pub(super) log_level: LogLevel,
}

// No doc comment: it would take the place of the command's own.
#[derive(Debug, Args)]
struct ApiArgs {
    /// Where the daemon listens [default: where 'run' listens for this user]
    #[arg(long = "api", value_name = "unix:PATH|URL", env = "CLUSTER_HOST_API", hide_env_values = true)]
    address: Option<ApiAddress>,
    /// The token for a daemon that listens on a port
    #[arg(long, value_name = "FILE", env = "CLUSTER_HOST_TOKEN_FILE", hide_env_values = true)]
    token_file: Option<PathBuf>,
    /// Whose certificate such a daemon has: CAs as PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "CLUSTER_HOST_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// The certificate to show to it, as PEM
    #[arg(long, value_name = "FILE", env = "CLUSTER_HOST_CERT", hide_env_values = true, requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of that certificate, as PEM
    #[arg(long, value_name = "FILE", env = "CLUSTER_HOST_KEY", hide_env_values = true, requires = "cert")]
    key: Option<PathBuf>,
}

// === impl ApiArgs ===

impl ApiArgs {
    /// A client of the daemon that is meant.
    fn client(self) -> Result<Client, Failure> {
        let (address, files) = self.parts();
        Ok(Client::new(address).with_credentials(&files)?)
    }

    fn parts(self) -> (Option<ApiAddress>, CredentialFiles) {
        let Self { address, token_file, ca, cert, key } = self;
        (address, CredentialFiles { token: token_file, ca, certificate: cert.zip(key) })
    }
}

/// What became of a command. Scripts rely on the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// The thing asked about is not so.
    NotSo = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// The daemon cannot be reached.
    Unreachable = 3,
}

/// The command line, for what describes it: manual pages.
#[doc(hidden)]
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command that the process was started with.
///
/// # Examples
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use cluster_host::{cli, connectors, runner};
///
/// // All of a program that is `cluster-host`.
/// fn main() -> ExitCode {
///     runner::run_if_asked(&[connectors::plugin()]).unwrap_or_else(cli::main)
/// }
/// ```
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => dispatch(cli.command),
        Err(error) => {
            // Help goes to standard output, the rest to standard error; that either is closed is nobody's concern.
            let _printed = error.print();
            if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
        }
    }
}

fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => print(|out| check::check(&args, out)),
        Command::Plugins(args) => print(|out| plugins::plugins(&args, out)),
        Command::Strategies(args) => print(|out| strategies::strategies(&args, out)),
        Command::Discover(args) => print(|out| discover::discover(&args, out)),
        Command::Doctor(args) => print(|out| doctor::doctor(args, out)),
        Command::Completions(args) => print(|out| completions::run(&args, Cli::command(), out)),
        Command::ConfigReference(args) => print(|out| reference::reference(&args, out)),
        Command::Members(args) => ask(async |out| members::run(args, out).await).into(),
        Command::Events(args) => ask(async |out| events::run(args, out).await).into(),
        Command::Explain(args) => ask(async |out| explain::run(args, out).await).into(),
        Command::Topologies(args) => ask(async |out| topologies::run(args, out).await).into(),
        Command::Forget(args) => ask(async |out| forget::run(args, out).await).into(),
        Command::Hooks(args) => ask(async |out| hooks::run(args, out).await).into(),
        Command::Reload(args) => ask(async |out| reload::run(args, out).await).into(),
        Command::Wait(args) => ask(async |out| wait::run(args, out).await).into(),
        Command::Ready(args) => ask(async |out| ready::run(args, out).await).into(),
    }
}

/// Runs a command that needs no daemon.
fn print(command: impl FnOnce(&mut dyn Write) -> anyhow::Result<ExitCode>) -> ExitCode {
    let mut out = output::stdout();
    let printed = command(&mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    printed.unwrap_or_else(|error| {
        let closed = |cause: &(dyn std::error::Error + 'static)| {
            let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
            io.or(json) == Some(io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(closed) {
            return Exit::Done.into();
        }
        complain(&format!("{error:#}"));
        Exit::Usage.into()
    })
}

/// Runs a command that asks the daemon.
fn ask(question: impl AsyncFnOnce(&mut dyn Write) -> Result<Exit, Failure>) -> Exit {
    let mut out = output::stdout();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answered = match runtime {
        Ok(runtime) => runtime.block_on(question(&mut out)),
        Err(error) => Err(Failure::Output(error)),
    };
    answered.unwrap_or_else(|failure| {
        let exit = failure.exit();
        if exit != Exit::Done {
            complain(&failure);
        }
        exit
    })
}

/// Prints an answer of the daemon: as it came, or for people.
fn show(
    out: &mut dyn Write,
    body: &[u8],
    as_json: bool,
    print: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    if as_json {
        out.write_all(body)?;
        writeln!(out)?;
    } else {
        print(out)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Tells what went wrong.
pub(super) fn complain(error: &dyn std::fmt::Display) {
    eprintln!("cluster-host: {error}");
}

/// Why a command that asks the daemon has no answer to print.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Daemon(#[from] ClientError),
    #[error("cannot ask the daemon: {0}")]
    Credentials(#[from] AccessError),
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

// === impl Failure ===

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Daemon(ClientError::Refused { status, .. }) if status.as_u16() == 404 => Exit::NotSo,
            // Of the question, of the configuration that is to be read again.
            Self::Daemon(ClientError::Refused { status, .. })
                if matches!(status.as_u16(), 400 | 409 | 422) =>
            {
                Exit::Usage
            }
            Self::Daemon(ClientError::Refused { status, .. }) if matches!(status.as_u16(), 401 | 405) => {
                Exit::Usage
            }
            Self::Credentials(_) => Exit::Usage,
            Self::Daemon(_) => Exit::Unreachable,
            // Whoever read the output has read enough, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) => Exit::NotSo,
        }
    }
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests;
