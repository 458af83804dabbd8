//! What an author of plugins does, outside of this repository: `plugins new` for each kind of plugin. Cargo runs as it
//! does for a stranger, but that it shares what is built already, and needs no network.

mod guide;
mod minors;
mod new;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::host::outcome;

/// How long a command may take at most, with all that it has to build.
const SECONDS_MAX: &str = "900";

/// A command in a directory, where `cluster-host` is on the PATH.
fn command(directory: &Path, program: &str) -> Command {
    let host = Path::new(env!("CARGO_BIN_EXE_cluster-host"));
    let mut path = host.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", SECONDS_MAX, program]).current_dir(directory);
    command
        .env("PATH", path)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1");
    // Intermediate files beside those of this workspace; what is made stays in the author's own `target`.
    let shared: PathBuf = host.ancestors().nth(2).unwrap().into();
    command.env("CARGO_BUILD_BUILD_DIR", shared);
    for inherited in ["CARGO_TARGET_DIR", "CLUSTER_HOST_API", "CLUSTER_HOST_LOG"] {
        command.env_remove(inherited);
    }
    command
}

/// Runs a command that must succeed, and gives what it printed.
#[track_caller]
fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = command(directory, program).args(arguments).output().unwrap();
    let (code, out, errors) = outcome(&output);
    assert_eq!(code, Some(0), "{program} {arguments:?}:\n{out}\n{errors}");
    out
}

/// Runs a command of the host, whatever becomes of it.
fn host(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, "cluster-host").args(arguments).output().unwrap()
}
