//! Sources that do not answer, or name nobody.

use std::fs;

use expect_test::expect;
use test_ports::lasting_port;

use super::Patient;
use crate::host::{BASIC, EPMD, Plugins};

fn config(strategy: &str, options: &str) -> String {
    format!("[topologies.t]\nstrategy = \"{strategy}\"\nconnect = \"none\"\nconfig = {{ {options} }}\n")
}

/// The file of the strategy `file` is not there, and then names nobody.
#[test]
fn file() {
    let plugins = Plugins::with(&[BASIC]);
    let path = plugins.path().join("nodes");
    let patient = Patient::new(&config("file", &format!("path = {path:?}")), plugins.path());
    patient.examine().check(&expect![[r#"
        fail discovery [t] PLUGINS/nodes: it does not exist
          fix: write an empty one where nobody is there
        broken at discovery (t): PLUGINS/nodes: it does not exist; to mend it: write an empty one where nobody is there.
    "#]]);
    fs::write(&path, "").unwrap();
    patient.examine().check(&expect![[r#"
        fail discovery [t] file answers, and names nobody
          fix: make its config select your nodes; cluster-host strategies describe file
        broken at discovery (t): file answers, and names nobody; to mend it: make its config select your nodes; cluster-host strategies describe file.
    "#]]);
    fs::write(&path, "b@127.0.0.1\n").unwrap();
    patient.examine().check_well();
}

/// Nobody listens where the strategy `http` asks.
#[test]
fn http() {
    let plugins = Plugins::with(&[BASIC]);
    let port = lasting_port();
    let options = format!("url = \"http://127.0.0.1:{port}/nodes\", pointer = \"/nodes\"");
    let patient = Patient::new(&config("http", &options), plugins.path());
    patient.examine_with(&["--without-daemon"]).hide(&port, "PORT").check(&expect![[r#"
        fail discovery [t] GET http://127.0.0.1:PORT/nodes: cannot connect: 127.0.0.1:PORT: Connection refused (os error 111)
          fix: is it running, is the port right, does a firewall drop it? (3 tries)
        broken at discovery (t): GET http://127.0.0.1:PORT/nodes: cannot connect: 127.0.0.1:PORT: Connection refused (os error 111); to mend it: is it running, is the port right, does a firewall drop it? (3 tries).
    "#]]);
}

/// There is no `.hosts.erlang`.
#[test]
fn no_hosts_file() {
    let plugins = Plugins::with(&[EPMD]);
    let home = crate::host::private_directory();
    let options = format!("otp_root = {:?}", home.path().join("otp"));
    let patient = Patient::new(&config("erlang_hosts", &options), plugins.path());
    let patient = patient.env("HOME", home.path().to_str().unwrap());
    patient.examine().hide(&home.path().display(), "HOME").check(&expect![[r#"
        fail discovery [t] no .hosts.erlang: tried DIR/.hosts.erlang, HOME/.hosts.erlang, HOME/otp/.hosts.erlang
          fix: write one, with a line 'host.name'. for each host
        broken at discovery (t): no .hosts.erlang: tried DIR/.hosts.erlang, HOME/.hosts.erlang, HOME/otp/.hosts.erlang; to mend it: write one, with a line 'host.name'. for each host.
    "#]]);
}
