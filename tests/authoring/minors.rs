//! Plugins and hosts of different minor versions of the ABI, built from this very source: the later one has a function more
//! in each table (`abi-next` of the SDK), as versions to come will have.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{command, run};
use crate::host::{FAULTY, GOSSIP, Host, Launch, Plugins, copy, outcome, private_directory};

/// The crates as a later minor version, built into a directory. Intermediate files are kept apart from those of this
/// version: a plugin that is a dependency of tests has the same name in both.
fn build(directory: &Path, package: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let apart = Path::new(env!("CARGO_BIN_EXE_cluster-host")).parent().unwrap().with_file_name("later");
    let built = command(workspace, "cargo")
        .args(["build", "--package", package, "--features", "cluster-sdk/abi-next"])
        .env("CARGO_TARGET_DIR", directory)
        .env("CARGO_BUILD_BUILD_DIR", apart)
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    directory.join("debug")
}

/// The ABI versions of the plugins in a directory.
fn versions(plugins: &Plugins) -> Vec<String> {
    let arguments = ["plugins", "--json", "--plugins", plugins.path().to_str().unwrap()];
    let listing: Value = serde_json::from_str(&run(plugins.path(), "cluster-host", &arguments)).unwrap();
    let rows = listing["plugins"].as_array().unwrap().iter();
    rows.filter(|row| row["file"].is_string()).map(|row| row["abi"].as_str().unwrap().to_owned()).collect()
}

/// A plugin of a later minor runs in this host, on its threads and in a process, beside one of its own version.
#[test]
fn later_plugin() {
    let later = private_directory();
    let file = build(later.path(), "plugin-faulty").join(FAULTY);
    let plugins = Plugins::with(&[GOSSIP]);
    copy(&file, &plugins.path().join(FAULTY));
    assert_eq!(versions(&plugins), ["1.1", "1.0"]);
    let topology = |name: &str, isolation: &str| {
        format!(
            "[topologies.{name}]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = {{ nodes = [\"{name}@127.0.0.1\"] }}\nopts = {{ isolation = \"{isolation}\" }}\n"
        )
    };
    let config = topology("thread", "in-process") + &topology("process", "process");
    let host = Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() });
    host.wait_up(&["process@127.0.0.1", "thread@127.0.0.1"]);
}

/// A plugin of this version runs in a host of a later minor: one that is run on its threads, and one that is not.
#[test]
fn earlier_plugin() {
    let later = private_directory();
    let host = build(later.path(), "cluster-host").join("cluster-host");
    let plugins = Plugins::with(&[FAULTY, GOSSIP]);
    let ask = |arguments: &[&str]| {
        let directory = ["--plugins", plugins.path().to_str().unwrap()];
        outcome(
            &command(later.path(), host.to_str().unwrap()).args(arguments).args(directory).output().unwrap(),
        )
    };
    let (code, text, errors) = ask(&["discover", "fixed", "--config", "{ nodes = ['a@127.0.0.1'] }"]);
    assert!(code == Some(0) && text.contains("a@127.0.0.1"), "{text}{errors}");
    let (code, text, errors) = ask(&["strategies", "describe", "gossip"]);
    assert!(code == Some(0) && text.contains("multicast_addr"), "{text}{errors}");
    let (_, listing, _) = ask(&["plugins", "--json"]);
    let listing: Value = serde_json::from_str(&listing).unwrap();
    let versions: Vec<_> = listing["plugins"].as_array().unwrap().iter().map(|row| &row["abi"]).collect();
    assert_eq!(versions, ["1.1", "1.0", "1.0"], "its own first");
}
