//! The `cluster-host` command.

fn main() {}
