//! The `cluster-host` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runner = cluster_host::runner::run_if_asked(&[cluster_host::connectors::plugin()]);
    runner.unwrap_or_else(cluster_host::cli::main)
}
