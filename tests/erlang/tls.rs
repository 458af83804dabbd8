//! Distribution by TLS, with certificates on both sides.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{A, ALL, B, C, Pair, Site, by_epmd, need, wait_formed, wait_refused};
use crate::host::private_directory;

/// Certificates, and the options that name them.
pub(super) struct Certificates(TempDir);

// === impl Certificates ===

impl Certificates {
    /// An authority of its own, and one certificate by it for all nodes of this machine.
    pub(super) fn make() -> Self {
        need("openssl", "openssl");
        let directory = private_directory();
        let at = directory.path();
        // As OTP 25 compares a node's host as a domain name, also where it is an address.
        fs::write(at.join("names"), "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1,IP:127.0.0.2,DNS:127.0.0.2\n")
            .unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(at, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
        openssl(at, &format!("req {key} -keyout node.key -out node.csr -subj /CN=node"));
        openssl(
            at,
            "x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out node.pem",
        );
        let certificates = Self(directory);
        let (ca, node, key) = certificates.files();
        let options = format!(
            "{{cacertfile, \"{ca}\"}}, {{certfile, \"{node}\"}}, {{keyfile, \"{key}\"}}, {{verify, verify_peer}}"
        );
        let both =
            format!("[{{server, [{options}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{options}]}}].\n");
        fs::write(certificates.0.path().join("dist.conf"), both).unwrap();
        certificates
    }

    /// The arguments of a node.
    pub(super) fn arguments(&self) -> [String; 4] {
        let options = self.0.path().join("dist.conf").to_str().unwrap().to_owned();
        ["-proto_dist", "inet_tls", "-ssl_dist_optfile", &options].map(str::to_owned)
    }

    /// The options of a host.
    pub(super) fn options(&self) -> String {
        let (ca, node, key) = self.files();
        format!(
            "tls = {{ cacertfile = \"{ca}\", certfile = \"{node}\", keyfile = \"{key}\", verify = \"verify_peer\" }}"
        )
    }

    fn files(&self) -> (String, String, String) {
        let file = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        (file("ca.pem"), file("node.pem"), file("node.key"))
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Fails with the name of the package when the nodes cannot do it.
fn need_ssl() {
    need("erl", "erlang-base");
    let probe = "halt(case code:which(ssl) of non_existing -> 1; _ -> 0 end).";
    let found = Command::new("erl").args(["-noshell", "-eval", probe]).status().unwrap();
    assert!(
        found.success(),
        "OTP's ssl is missing (package erlang-ssl); `make test` installs what can be installed"
    );
}

fn pair(site: &Site, node: &str, arguments: &[&str], certificates: &Certificates) -> Pair {
    let tls = certificates.arguments();
    let arguments: Vec<&str> = tls.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
    site.pair(node, &arguments, &by_epmd(&ALL), &certificates.options())
}

/// Nodes that speak TLS, each with a host that does: they form, lose one, and have it back.
#[test]
fn sidecars() {
    need_ssl();
    let (site, certificates) = (Site::new(), Certificates::make());
    let mut trio = ALL.map(|node| pair(&site, node, &[], &certificates));
    wait_formed(&trio);
    trio[2].beam.kill();
    trio[0].host.wait("c down", |view| view.state(C) == Some("down"));
    trio[2].beam.restart();
    wait_formed(&trio);
}

/// A host that is a node links by TLS what is listed, and is linked by TLS.
#[test]
fn mesh() {
    need_ssl();
    let (site, certificates) = (Site::new(), Certificates::make());
    let tls = certificates.arguments();
    let arguments: Vec<&str> = tls.iter().map(String::as_str).collect();
    let (a, b) = (site.beam(A, &arguments), site.beam(B, &arguments));
    let options = format!("mode = \"mesh\", {}", certificates.options());
    let host = site.host("m@127.0.0.1", &by_epmd(&[A]), &options);
    host.wait_up(&[A, "m@127.0.0.1"]);
    for beam in [&a, &b] {
        assert_eq!(beam.eval("net_adm:ping('m@127.0.0.1')."), "pong");
    }
}

/// Who speaks TLS and who does not are not linked, whichever of them dials: it is told, and nothing hangs.
#[test]
fn one_without() {
    need_ssl();
    let (site, certificates) = (Site::new(), Certificates::make());
    let a = pair(&site, A, &[], &certificates);
    let b = site.pair(B, &[], &by_epmd(&[A]), "");
    wait_refused(&a.host, B, &[]);
    wait_refused(&b.host, A, &[]);
    for host in [&a.host, &b.host] {
        host.wait("itself alone", |view| view.up().len() == 1);
    }
}

/// A certificate by another authority is refused in both directions: neither the host nor a node trusts it.
#[test]
fn another_authority() {
    need_ssl();
    let (site, ours, theirs) = (Site::new(), Certificates::make(), Certificates::make());
    let a = pair(&site, A, &[], &ours);
    let b = pair(&site, B, &[], &theirs);
    wait_refused(&a.host, B, &[]);
    wait_refused(&b.host, A, &[]);
    let stranger = site.host(A, &by_epmd(&[B]), &theirs.options());
    super::wait_degraded(&stranger, &["certificate"]);
    assert!(stranger.view().up().is_empty(), "{}", stranger.view());
}
