//! Real BEAM nodes that do not link.

use std::{fs, os::unix::fs::PermissionsExt as _};

use expect_test::expect;
use test_ports::lasting_port;

use super::{A, B, Beam, COOKIE, Site, by_epmd, tls::Certificates};
use crate::doctor::Patient;

/// The configuration of a host beside `a` that shall link `b`, and somebody who examines it.
fn patient(site: &Site, erlang: &str) -> Patient {
    patient_of(site, &by_epmd(&[A, B]), erlang)
}

fn patient_of(site: &Site, strategy: &str, erlang: &str) -> Patient {
    let config = format!(
        "[node]\nname = \"{A}\"\n[topologies.t]\n{strategy}\nconnect = {{ erlang = {{ {erlang} }} }}\n"
    );
    Patient::new(&config, site.plugins.path()).env("ERL_EPMD_PORT", &site.epmd.port().to_string())
}

fn pair(site: &Site) -> [Beam; 2] {
    let beams = [A, B].map(|node| site.beam(node, &[]));
    beams.iter().for_each(Beam::await_ready);
    beams
}

/// Where all is as it should be every rung is well, and no link is left behind: the nodes have seen nobody come or go.
#[test]
fn all_is_well() {
    let site = Site::new();
    let beams = pair(&site);
    patient(&site, &site.cookie_option()).examine().check_well();
    for beam in &beams {
        assert!(beam.nodes().is_empty() && beam.nodedowns().is_empty(), "{}", beam.log());
        beam.settle("no hidden link", || beam.hidden().is_empty());
    }
}

/// The other node has another cookie; or the own one has.
#[test]
fn wrong_cookie() {
    let site = Site::new();
    let a = site.beam(A, &[]);
    let b = Beam::start(&["-name", B, "-setcookie", "vanilla"], site.epmd.port());
    [&a, &b].iter().for_each(|beam| beam.await_ready());
    let file = site.secrets.path().display().to_string();
    patient(&site, &site.cookie_option()).examine().hide(&file, "SECRETS").check(&expect![[r#"
        fail same cookie [t, b@127.0.0.1] b@127.0.0.1 has another cookie than SECRETS/cookie
          fix: write the cookie that erlang:get_cookie() shows on b@127.0.0.1 to SECRETS/cookie, or start b@127.0.0.1 with that one
        broken at same cookie (t, b@127.0.0.1): b@127.0.0.1 has another cookie than SECRETS/cookie; to mend it: write the cookie that erlang:get_cookie() shows on b@127.0.0.1 to SECRETS/cookie, or start b@127.0.0.1 with that one.
    "#]]);
    let wrong = site.write_cookie("wrong", "vanilla");
    let diagnosis = patient(&site, &format!("cookie_file = {wrong:?}")).examine().hide(&file, "SECRETS");
    diagnosis.check(&expect![[r#"
        fail same cookie [t] a@127.0.0.1 has another cookie than SECRETS/wrong
          fix: write the cookie that erlang:get_cookie() shows on a@127.0.0.1 to SECRETS/wrong, or start a@127.0.0.1 with that one
        broken at same cookie (t): a@127.0.0.1 has another cookie than SECRETS/wrong; to mend it: write the cookie that erlang:get_cookie() shows on a@127.0.0.1 to SECRETS/wrong, or start a@127.0.0.1 with that one.
    "#]]);
    assert!(!diagnosis.json.to_string().contains("vanilla"), "a cookie is never shown");
}

/// There is no file with the cookie, or everybody can read it.
#[test]
fn cookie_file() {
    let site = Site::new();
    let _beams = pair(&site);
    let secrets = site.secrets.path().display().to_string();
    let missing = site.secrets.path().join("missing");
    let diagnosis = patient(&site, &format!("cookie_file = {missing:?}")).examine();
    diagnosis.hide(&secrets, "SECRETS").check(&expect![[r#"
        fail cookie [t] cookie file "SECRETS/missing" cannot be read: No such file or directory (os error 2)
          fix: write the cookie of the cluster (erlang:get_cookie() on a node) to SECRETS/missing, mode 0400, for the host's user
        broken at cookie (t): cookie file "SECRETS/missing" cannot be read: No such file or directory (os error 2); to mend it: write the cookie of the cluster (erlang:get_cookie() on a node) to SECRETS/missing, mode 0400, for the host's user.
    "#]]);
    let open = site.write_cookie("open", COOKIE);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let diagnosis = patient(&site, &format!("cookie_file = {open:?}")).examine();
    diagnosis.hide(&secrets, "SECRETS").check_warned(&expect![[r#"
        warn cookie [t] SECRETS/open can be read by every user of this machine
          fix: run chmod 0400 SECRETS/open, or chmod 0440 SECRETS/open for a group
        nothing is broken, but look at cookie (t): SECRETS/open can be read by every user of this machine; to mend it: run chmod 0400 SECRETS/open, or chmod 0440 SECRETS/open for a group.
    "#]]);
}

/// There is no epmd; or it has another port than the connector's.
#[test]
fn no_epmd() {
    let mut site = Site::new();
    let beams = pair(&site);
    let (port, other) = (site.epmd.port(), lasting_port());
    let cookie = site.cookie_option();
    let diagnosis = patient(&site, &format!("{cookie}, epmd_port = {other}")).examine();
    diagnosis.hide(&port, "EPMD").hide(&other, "OTHER").check(&expect![[r#"
        fail epmd [t] no epmd answers on 127.0.0.1:OTHER (connection refused), but epmd on 127.0.0.1:EPMD has a
          fix: write epmd_port = EPMD in connect = { erlang = { … } }
        fail epmd [t, b@127.0.0.1] no epmd answers on 127.0.0.1:OTHER (connection refused), but epmd on 127.0.0.1:EPMD has b
          fix: write epmd_port = EPMD in connect = { erlang = { … } }
        broken at epmd (t): no epmd answers on 127.0.0.1:OTHER (connection refused), but epmd on 127.0.0.1:EPMD has a; to mend it: write epmd_port = EPMD in connect = { erlang = { … } }.
    "#]]);
    drop(beams);
    site.epmd.kill();
    patient(&site, &cookie).examine().hide(&port, "EPMD").check(&expect![[r#"
        fail epmd [t] no epmd answers on 127.0.0.1:EPMD (connection refused)
          fix: start a@127.0.0.1, which starts epmd; where its ERL_EPMD_PORT is not EPMD set epmd_port, and port where it runs without epmd
        fail epmd [t, b@127.0.0.1] no epmd answers on 127.0.0.1:EPMD (connection refused)
          fix: start b@127.0.0.1, which starts epmd; where its ERL_EPMD_PORT is not EPMD set epmd_port, and port where it runs without epmd
        broken at epmd (t): no epmd answers on 127.0.0.1:EPMD (connection refused); to mend it: start a@127.0.0.1, which starts epmd; where its ERL_EPMD_PORT is not EPMD set epmd_port, and port where it runs without epmd.
    "#]]);
}

/// The other node is not registered; or the own one is not there, and none is.
#[test]
fn not_registered() {
    let site = Site::new();
    let a = site.beam(A, &[]);
    a.await_ready();
    let cookie = site.cookie_option();
    patient(&site, &cookie).examine().hide(&site.epmd.port(), "EPMD").check(&expect![[r#"
        fail epmd [t, b@127.0.0.1] b is not registered at epmd on 127.0.0.1:EPMD; it knows a
          fix: start b@127.0.0.1 under that name (-name b@127.0.0.1)
        broken at epmd (t, b@127.0.0.1): b is not registered at epmd on 127.0.0.1:EPMD; it knows a; to mend it: start b@127.0.0.1 under that name (-name b@127.0.0.1).
    "#]]);
    a.kill();
    site.epmd.wait_names("nobody", std::collections::BTreeSet::is_empty);
    patient(&site, &cookie).examine().hide(&site.epmd.port(), "EPMD").check(&expect![[r#"
        fail epmd [t] a is not registered at epmd on 127.0.0.1:EPMD; it knows nobody
          fix: start a@127.0.0.1 under that name (-name a@127.0.0.1), or mend [node].name; without a BEAM node write connect = "none"
        fail epmd [t, b@127.0.0.1] b is not registered at epmd on 127.0.0.1:EPMD; it knows nobody
          fix: start b@127.0.0.1 under that name (-name b@127.0.0.1)
        broken at epmd (t): a is not registered at epmd on 127.0.0.1:EPMD; it knows nobody; to mend it: start a@127.0.0.1 under that name (-name a@127.0.0.1), or mend [node].name; without a BEAM node write connect = "none".
    "#]]);
}

/// A node that froze does not answer the handshake.
#[test]
fn frozen() {
    let site = Site::new();
    let [_a, b] = pair(&site);
    b.freeze();
    let diagnosis = patient(&site, &site.cookie_option()).examine();
    let verdict = diagnosis.json["verdict"].as_str().unwrap().to_owned();
    b.thaw();
    assert!(
        verdict.starts_with("broken at handshake (t, b@127.0.0.1): no answer from 127.0.0.1:"),
        "{verdict}"
    );
    assert!(verdict.contains("to mend it: look at b@127.0.0.1"), "{verdict}");
}

/// Nodes that use TLS, a host that does not, and the other way round.
#[test]
fn tls_against_plain() {
    let site = Site::new();
    let certificates = Certificates::make();
    let arguments = certificates.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let beams = [A, B].map(|node| site.beam(node, &arguments));
    beams.iter().for_each(Beam::await_ready);
    let cookie = site.cookie_option();
    let plain = patient(&site, &cookie).examine();
    plain.check(&expect![[r#"
        fail tls [t] it speaks TLS: give the connector the tls options of its cluster
          fix: give the connector its options: connect = { erlang = { tls = { cacertfile = "…", certfile = "…" } } }
        fail tls [t, b@127.0.0.1] it speaks TLS: give the connector the tls options of its cluster
          fix: give the connector its options: connect = { erlang = { tls = { cacertfile = "…", certfile = "…" } } }
        broken at tls (t): it speaks TLS: give the connector the tls options of its cluster; to mend it: give the connector its options: connect = { erlang = { tls = { cacertfile = "…", certfile = "…" } } }.
    "#]]);
    let both = format!("{cookie}, {}", certificates.options());
    patient(&site, &both).examine().check_well();
    drop(beams);
    let _beams = pair(&site);
    let diagnosis = patient(&site, &both).examine();
    let verdict = diagnosis.json["verdict"].as_str().unwrap();
    assert_eq!(diagnosis.code, Some(1));
    assert!(
        verdict.starts_with("broken at tls (t): ") && verdict.contains("-proto_dist inet_tls"),
        "{verdict}"
    );
}

/// Names of two kinds: refused by the configuration where that shows it, and told of a node that a source names.
#[test]
fn short_and_long_names() {
    let site = Site::new();
    let a = site.beam(A, &[]);
    a.await_ready();
    let cookie = site.cookie_option();
    patient_of(&site, &by_epmd(&["b@localhost"]), &cookie).examine().check(&expect![[r#"
        fail config [] DIR/host.toml:5: topologies.t.config.hosts[0]: the local node a@127.0.0.1 has a long name and host localhost makes a short one: Erlang never connects the two
          fix: start all nodes with -name and a host with a dot, or all with -sname
        broken at config: DIR/host.toml:5: topologies.t.config.hosts[0]: the local node a@127.0.0.1 has a long name and host localhost makes a short one: Erlang never connects the two; to mend it: start all nodes with -name and a host with a dot, or all with -sname.
    "#]]);
    let plugins = crate::host::Plugins::with(&[crate::host::EPMD, crate::host::FAULTY]);
    let config = format!(
        "[node]\nname = \"{A}\"\n[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"b@localhost\"] }}\nconnect = {{ erlang = {{ {cookie} }} }}\n"
    );
    let patient = Patient::new(&config, plugins.path()).env("ERL_EPMD_PORT", &site.epmd.port().to_string());
    patient.examine().check(&expect![[r#"
        fail name [t, b@localhost] b@localhost has a short name and a@127.0.0.1 a long one: Erlang nodes link only with nodes that are named as they are (-sname: no dot behind the @, -name: a full host name or an address)
          fix: start both with -name, or both with -sname; then mend [node].name and the source that names b@localhost
        broken at name (t, b@localhost): b@localhost has a short name and a@127.0.0.1 a long one: Erlang nodes link only with nodes that are named as they are (-sname: no dot behind the @, -name: a full host name or an address); to mend it: start both with -name, or both with -sname; then mend [node].name and the source that names b@localhost.
    "#]]);
}

/// Another node than the one that is named listens at its address.
#[test]
fn another_node_there() {
    let site = Site::new();
    let port = lasting_port();
    let port_text = port.to_string();
    let beam = site.beam(
        A,
        &["-kernel", "inet_dist_listen_min", &port_text, "-kernel", "inet_dist_listen_max", &port_text],
    );
    beam.await_ready();
    let options = format!("{}, port = {port}", site.cookie_option());
    patient(&site, &options).examine().hide(&port, "PORT").check(&expect![[r#"
        fail name [t, b@127.0.0.1] a@127.0.0.1 answers at 127.0.0.1:PORT in place of b@127.0.0.1
          fix: name it a@127.0.0.1 where b@127.0.0.1 is named, as it calls itself, or start it as b@127.0.0.1
        broken at name (t, b@127.0.0.1): a@127.0.0.1 answers at 127.0.0.1:PORT in place of b@127.0.0.1; to mend it: name it a@127.0.0.1 where b@127.0.0.1 is named, as it calls itself, or start it as b@127.0.0.1.
    "#]]);
}
