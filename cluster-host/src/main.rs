//! The `cluster-host` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cluster_host::cli::main()
}
