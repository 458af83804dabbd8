//! Tells the handshake which compiler and target a plugin is built with: Cargo does not pass these to crates.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    // "rustc 1.95.0 (hash date)" without the word and the hash: it is shown to people.
    let version = version.split_whitespace().nth(1).unwrap_or("unknown");
    println!("cargo::rustc-env=CLUSTER_SDK_RUSTC={version}");
    println!("cargo::rustc-env=CLUSTER_SDK_TARGET={}", env::var("TARGET").unwrap_or_default());
}
