//! `docs/configuration.md` is what the program makes of its schemas.

use std::{fs, process::Command};

use expect_test::expect_file;

use super::repository;
use crate::host::{BASIC, DNS, EPMD, GOSSIP, K8S, Plugins, outcome};

/// The page is not stale. `make reference` writes it anew.
#[test]
fn configuration() {
    let plugins = Plugins::with(&[BASIC, DNS, EPMD, GOSSIP, K8S]);
    let arguments = ["config-reference", "--plugins", plugins.path().to_str().unwrap()];
    let made = Command::new(env!("CARGO_BIN_EXE_cluster-host")).args(arguments).output().unwrap();
    let (code, page, errors) = outcome(&made);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{page}");
    expect_file![repository().join("docs/configuration.md")].assert_eq(&page);
    // It can be wrong as a whole only together with what it is made of: some keys that are sure to be in it.
    for key in
        ["`[topologies.NAME]`", "`opts.retry.first`", "`prune.max_fraction`", "### `gossip`", "### `tcp`"]
    {
        assert!(
            fs::read_to_string(repository().join("docs/configuration.md")).unwrap().contains(key),
            "{key}"
        );
    }
}
