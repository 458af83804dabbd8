//! A host that others can reach: by TLS, for who has a token or a certificate.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;
use test_httpserver::Authority;

use crate::{
    host::{Host, Launch, cluster_host, free_tcp_port, outcome, private_directory},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn put(directory: &Path, name: &str, mode: u32, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A host that listens on all addresses, as its `[api]` says; and its port.
fn start(lan: &Lan, api: &str) -> (Host, u16) {
    let port = free_tcp_port();
    let config = format!("{}\n[api]\n{api}\n", lan.config(ALICE, ""));
    let (plugins, listen) = (lan.plugins.path().to_owned(), Some(format!("0.0.0.0:{port}")));
    (Host::start(Launch { config, plugins, listen, ..Launch::default() }), port)
}

/// What the commands of a client come to, once the host listens.
fn ask(host: &Host, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
    host.settle("an answer, or a refusal", || {
        let words: Vec<&str> = command.split(' ').chain(more.iter().copied()).collect();
        let (code, out, errors) = outcome(&cluster_host(&words));
        (!errors.contains("nobody listens")).then_some((code, out, errors))
    })
}

struct Pki {
    scratch: TempDir,
    authority: Authority,
    clients: Authority,
}

impl Pki {
    fn new() -> Self {
        Self {
            scratch: private_directory(),
            authority: Authority::generate(),
            clients: Authority::generate(),
        }
    }

    fn put(&self, name: &str, mode: u32, text: &str) -> String {
        put(self.scratch.path(), name, mode, text)
    }

    /// `[api] tls` of a host for localhost.
    fn tls(&self, more: &str) -> String {
        let pem = self.authority.server_pem("localhost");
        let (certificate, key) =
            (self.put("cert.pem", 0o444, &pem.certificate), self.put("key.pem", 0o400, &pem.key));
        format!("tls = {{ certificate = {certificate:?}, key = {key:?}{more} }}")
    }
}

/// By TLS and a token the commands work as by the socket; without either they say what is missing. Who may not change
/// anything is told so.
#[test]
fn token() {
    let (lan, pki) = (Lan::new(), Pki::new());
    let (token, ca) = (pki.put("token", 0o400, TOKEN), pki.put("ca.pem", 0o444, pki.authority.pem()));
    let (alice, port) = start(&lan, &format!("token_file = {token:?}\n{}", pki.tls("")));
    let url = format!("https://localhost:{port}");
    let all = ["--api", &url, "--ca", &ca, "--token-file", &token];
    for command in ["members --json", "topologies --json"] {
        let (code, out, errors) = ask(&alice, command, &all);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{command}");
        assert!(out.contains(if command.starts_with('m') { ALICE } else { "gossip" }), "{out}");
    }
    let (code, _, errors) = ask(&alice, "members", &all[..4]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("a token is needed"), "{errors}");
    let wrong = pki.put("wrong", 0o400, &TOKEN.replace('0', "1"));
    let (code, _, errors) = ask(&alice, "members", &["--api", &url, "--ca", &ca, "--token-file", &wrong]);
    assert_eq!((code, errors.contains("not one of this host's")), (Some(2), true), "{errors}");
    let (code, _, errors) = ask(&alice, "members", &["--api", &url, "--token-file", &token]);
    assert_eq!((code, errors.contains("UnknownIssuer")), (Some(3), true), "{errors}");
    let (code, _, errors) = ask(&alice, "reload", &all);
    assert_eq!((code, errors.contains("allow_writes")), (Some(2), true), "{errors}");
    assert!(!alice.log().contains(TOKEN));
}

/// With certificates of a CA of clients no token is needed, and without one nobody is let in.
#[test]
fn certificates() {
    let (lan, pki) = (Lan::new(), Pki::new());
    let (own, clients) = (pki.clients.client(), pki.put("clients.pem", 0o444, pki.clients.pem()));
    let ca = pki.put("ca.pem", 0o444, pki.authority.pem());
    let api = format!("allow_writes = true\n{}", pki.tls(&format!(", client_ca = {clients:?}")));
    let (alice, port) = start(&lan, &api);
    let url = format!("https://localhost:{port}");
    let (cert, key) = (pki.put("own.pem", 0o444, &own.certificate), pki.put("own.key", 0o400, &own.key));
    let all = ["--api", &url, "--ca", &ca, "--cert", &cert, "--key", &key];
    for command in ["members", "reload"] {
        let (code, _, errors) = ask(&alice, command, &all);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{command}");
    }
    let (code, out, _) = ask(&alice, "members", &all[..4]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
}

/// Without anything that says who may ask a host does not listen where others can come, and says both ways to it; nor
/// does `check` find that in order.
#[test]
fn others_are_kept_out() {
    let lan = Lan::new();
    let (host, _) = start(&lan, "");
    assert_eq!(host.wait_end().code(), Some(2), "{}", host.log());
    for part in ["token_file", "client_ca", "loopback", "Unix socket"] {
        assert!(host.log().contains(part), "{}", host.log());
    }
    let scratch = private_directory();
    let config = format!("{}[api]\nlisten = \"[::]:4444\"\nallow_writes = true\n", lan.config(ALICE, ""));
    let config = put(scratch.path(), "host.toml", 0o600, &config);
    let plugins = lan.plugins.path().to_str().unwrap();
    let (code, out, errors) = outcome(&cluster_host(&["check", "--config", &config, "--plugins", plugins]));
    let told = out + &errors;
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("api.listen: cannot listen on [::]:4444") && told.contains("api.allow_writes"),
        "{told}"
    );
}
