//! The daemon: gone, with an older configuration, of another node, with links that are down.

use std::fs;

use expect_test::expect;

use super::Patient;
use crate::{
    host::{FAULTY, Host, Launch, Plugins, free_tcp_port},
    lan::Lan,
};

const A: &str = "a@127.0.0.1";
const B: &str = "b@127.0.0.1";
const FAST: &str = "heartbeat_interval = \"500ms\"";

/// Where it runs what the file says, it says so; where it does not run, that is what is broken.
#[test]
fn not_running() {
    let lan = Lan::new();
    let config = lan.config(A, FAST);
    let hosts = [lan.start_with(config.clone()), lan.start(B, FAST)];
    hosts.iter().for_each(|host| host.wait_up(&[A, B]));
    let patient = Patient::new(&config, lan.plugins.path());
    patient.examine_with(&["--api", &hosts[0].api()]).check_well();
    hosts[0].terminate();
    let diagnosis = patient.examine_with(&["--api", &hosts[0].api()]);
    diagnosis.hide(&hosts[0].socket().display(), "SOCKET").check(&expect![[r#"
        fail daemon [] cannot reach the daemon at unix:SOCKET: there is no such socket
          fix: run 'cluster-host run --config DIR/host.toml', or say with --api where it listens
        broken at daemon: cannot reach the daemon at unix:SOCKET: there is no such socket; to mend it: run 'cluster-host run --config DIR/host.toml', or say with --api where it listens.
    "#]]);
}

/// Its file has changed since it was read; after a reload all is well.
#[test]
fn older_configuration() {
    let lan = Lan::new();
    let config = format!("{}[reload]\nwatch = false\n", lan.config(A, FAST));
    let hosts = [lan.start_with(config.clone()), lan.start(B, FAST)];
    hosts.iter().for_each(|host| host.wait_up(&[A, B]));
    let newer = config.replace("500ms", "400ms");
    fs::write(hosts[0].config_file(), &newer).unwrap();
    let patient = Patient::new(&newer, lan.plugins.path());
    let api = hosts[0].api();
    patient.examine_with(&["--api", &api]).hide(&hosts[0].socket().display(), "SOCKET").check(&expect![[r#"
        fail daemon [] the daemon at unix:SOCKET runs an older configuration than its file has (changed: lan)
          fix: run 'cluster-host reload'
        broken at daemon: the daemon at unix:SOCKET runs an older configuration than its file has (changed: lan); to mend it: run 'cluster-host reload'.
    "#]]);
    assert!(hosts[0].ask("reload").status.success());
    patient.examine_with(&["--api", &api]).check_well();
}

/// It runs beside another node than the configuration has: what it knows of itself is not taken for this node's.
#[test]
fn of_another_node() {
    let lan = Lan::new();
    let own = lan.start(A, FAST);
    // Of two that start in the same millisecond the incarnations are the same.
    own.wait_up(&[A]);
    let other = lan.start(B, FAST);
    [&own, &other].iter().for_each(|host| host.wait_up(&[A, B]));
    let patient = Patient::new(&lan.config(A, FAST), lan.plugins.path());
    let diagnosis = patient.examine_with(&["--api", &other.api()]);
    diagnosis.hide(&other.socket().display(), "SOCKET").check(&expect![[r#"
        fail daemon [] the daemon at unix:SOCKET runs beside b@127.0.0.1, not a@127.0.0.1
          fix: say with --api where the daemon of this configuration listens, or with --config what it runs
        broken at daemon: the daemon at unix:SOCKET runs beside b@127.0.0.1, not a@127.0.0.1; to mend it: say with --api where the daemon of this configuration listens, or with --config what it runs.
    "#]]);
}

/// A link is down because nobody listens: told by the connector itself, with and without the daemon, and for one node only if asked.
#[test]
fn nobody_listens() {
    let plugins = Plugins::with(&[FAULTY]);
    let port = free_tcp_port();
    let config = format!(
        "[node]\nname = \"{A}\"\n[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{B}\"] }}\nconnect = {{ tcp = {{ port = {port} }} }}\n"
    );
    let patient = Patient::new(&config, plugins.path());
    patient.examine().hide(&port, "PORT").check(&expect![[r#"
        fail tcp [t, b@127.0.0.1] 127.0.0.1:PORT: Connection refused (os error 111)
          fix: is the service of b@127.0.0.1 running there, does it listen at port PORT, and does the firewall let that through?
        broken at tcp (t, b@127.0.0.1): 127.0.0.1:PORT: Connection refused (os error 111); to mend it: is the service of b@127.0.0.1 running there, does it listen at port PORT, and does the firewall let that through?
    "#]]);
    let host = Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() });
    host.wait("a failure", |view| view.events_of("connect_failed", B).count() > 0);
    let api = host.api();
    patient.examine_with(&["--api", &api]).hide(&port, "PORT").check(&expect![[r#"
        fail tcp [t, b@127.0.0.1] 127.0.0.1:PORT: Connection refused (os error 111)
          fix: is the service of b@127.0.0.1 running there, does it listen at port PORT, and does the firewall let that through?
        broken at tcp (t, b@127.0.0.1): 127.0.0.1:PORT: Connection refused (os error 111); to mend it: is the service of b@127.0.0.1 running there, does it listen at port PORT, and does the firewall let that through?
    "#]]);
    let other = patient.examine_with(&["--api", &api, "--node", "c@127.0.0.1"]);
    other.hide(&port, "PORT").check(&expect![[r#"
        fail discovery [t, c@127.0.0.1] fixed does not name it, but at its host b@127.0.0.1
          fix: is c@127.0.0.1 the name that it has there, does it run, and does fixed select it?
        broken at discovery (t, c@127.0.0.1): fixed does not name it, but at its host b@127.0.0.1; to mend it: is c@127.0.0.1 the name that it has there, does it run, and does fixed select it?
    "#]]);

    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    patient.examine().check_well();
    drop(listener);
}
