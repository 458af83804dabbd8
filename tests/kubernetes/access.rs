//! Who a host is to the API server, and how it gets there.

use std::{net::TcpListener, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tempfile::TempDir;

use super::{A, B, C, Site, TOKEN, check_nobody_went, config, relay::Relay, wait_health};
use crate::host::private_directory;

/// A kubeconfig with two contexts: `good`, the current one, and `bad`, whose server does not exist.
pub(super) struct Kubeconfig {
    directory: TempDir,
    text: String,
}

// === impl Kubeconfig ===

impl Kubeconfig {
    pub(super) fn of(site: &Site) -> Self {
        let text = format!(
            r#"apiVersion: v1
kind: Config
clusters:
- name: good
  cluster:
    server: {}
    certificate-authority-data: {}
- name: bad
  cluster:
    server: https://127.0.0.1:1
contexts:
- name: good
  context: {{ cluster: good, user: me, namespace: demo }}
- name: bad
  context: {{ cluster: bad, user: me }}
current-context: good
users:
- name: me
  user:
    token: {TOKEN}
"#,
            site.served.url(),
            BASE64.encode(site.served.ca_pem()),
        );
        Self { directory: private_directory(), text }
    }

    pub(super) fn without_token(self) -> Self {
        self.with(&format!("    token: {TOKEN}\n"), "    {}\n")
    }

    /// With another text in the place of this one.
    pub(super) fn with(mut self, text: &str, other: &str) -> Self {
        assert!(self.text.contains(text), "{text} in {}", self.text);
        self.text = self.text.replace(text, other);
        self
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// The option that names it.
    pub(super) fn option(&self) -> String {
        std::fs::write(self.path(), &self.text).unwrap();
        format!("kubeconfig = {:?}\n", self.path())
    }
}

/// The token's file is read for each request: one that is replaced, with or without a newline at its end, is used from then
/// on, and none of the old ones is ever sent again.
#[test]
fn token_is_replaced() {
    let site = Site::new();
    site.account.write_token(&format!("{TOKEN}\n"));
    let host = site.start_with(&[A, B], "poll = true\npolling_interval = \"500ms\"\n");
    for token in ["second", "third\n", " fourth"] {
        site.account.write_token(token);
        site.api.wait_for("a request with the new token", crate::host::DEADLINE, |api| {
            api.requests().last().is_some_and(|request| request.has_token(token.trim()))
        });
        site.api.accept_tokens(&[token.trim()]);
        site.api.forget_requests();
        site.api.wait_for("requests", crate::host::DEADLINE, |api| api.requests().len() >= 2);
        assert_eq!(site.api.count(|request| request.status == Some(401)), 0);
    }
    check_nobody_went(&host);
}

/// A token that is not taken any more is told as what it is; the nodes stay, and with a good one it goes on.
#[test]
fn token_expires() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "");
    site.await_watch();
    site.api.accept_tokens(&["another"]);
    // A watch that is open goes on, as with a real server.
    site.publish([A, B, C]);
    host.wait_up(&[A, B, C]);
    wait_health(&host, "running", &[]);
    site.api.end_watches();
    let reason = wait_health(&host, "denied", &["does not take our token", "401", &site.served.url()]);
    assert!(!reason.contains('\n'), "{reason}");
    check_nobody_went(&host);
    site.account.write_token("another");
    wait_health(&host, "running", &[]);
    check_nobody_went(&host);
}

/// A token's file that is not there, or has no token, is told with its path.
#[test]
fn token_is_missing() {
    let site = Site::new();
    site.publish([A, B]);
    site.account.remove("token");
    let host = site.start("");
    wait_health(&host, "degraded", &["token", "automountServiceAccountToken"]);
    site.account.write_token("\n");
    wait_health(&host, "degraded", &["token", "empty"]);
    site.account.write_token(TOKEN);
    host.wait_up(&[A, B]);
    assert_eq!(site.api.count(|request| !request.has_token(TOKEN)), 0, "nothing was asked without one");
}

/// A kubeconfig has all that the service account has: the server, its authority, the token and the namespace.
#[test]
fn kubeconfig() {
    let site = Site::new();
    site.publish([A, B]);
    let kubeconfig = Kubeconfig::of(&site);
    let host = site.start_by("", &kubeconfig.option());
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
    assert_eq!(site.api.requests()[0].namespace(), Some("demo"));
    assert_eq!(site.api.count(|request| !request.has_token(TOKEN)), 0);
}

/// The context that is named counts, in place of the current one; one that is not there is told.
#[test]
fn context() {
    let site = Site::new();
    site.publish([A, B]);
    let other = Kubeconfig::of(&site).with("current-context: good", "current-context: bad");
    let host = site.start_by("", &format!("{}context = \"good\"\n", other.option()));
    host.wait_up(&[A, B]);
    let host = site.start_by("", &other.option());
    wait_health(&host, "degraded", &["https://127.0.0.1:1"]);
    let host = site.start_by("", &format!("{}context = \"none\"\n", other.option()));
    wait_health(&host, "degraded", &["kubeconfig", "none"]);
}

/// What is wrong with a kubeconfig is told, and looked at again.
#[test]
fn broken_kubeconfig() {
    let site = Site::new();
    site.publish([A, B]);
    let good = Kubeconfig::of(&site);
    let option = good.option();
    std::fs::write(good.path(), "clusters: 5\n").unwrap();
    let host = site.start_by("", &option);
    wait_health(&host, "degraded", &["kubeconfig", good.path().to_str().unwrap(), "at line 1 column 11"]);
    std::fs::remove_file(good.path()).unwrap();
    wait_health(&host, "degraded", &["kubeconfig", "No such file"]);
    let certificate = Kubeconfig::of(&site).with(
        &format!("token: {TOKEN}"),
        &format!("client-certificate-data: {0}\n    client-key-data: {0}", BASE64.encode("neither")),
    );
    std::fs::write(good.path(), &certificate.text).unwrap();
    wait_health(&host, "degraded", &["identity"]);
    assert_eq!(good.option(), option);
    host.wait_up(&[A, B]);
}

/// A kubeconfig's server without TLS would be shown the token; that takes the same word as elsewhere.
#[test]
fn kubeconfig_without_tls() {
    let site = Site::new();
    site.publish([A, B]);
    let plain = site.api.serve_http();
    let kubeconfig = Kubeconfig::of(&site).with(&site.served.url(), &plain.url());
    let host = site.start_by("", &kubeconfig.option());
    wait_health(&host, "degraded", &["TLS", "insecure_skip_tls_verify"]);
    assert_eq!(site.api.requests().len(), 0);
    let host = site.start_by("", &format!("{}insecure_skip_tls_verify = true\n", kubeconfig.option()));
    host.wait_up(&[A, B]);
}

/// By a proxy, which is asked for the API server and shown the user and password of its address; TLS goes through it.
#[test]
fn proxy() {
    let site = Site::new();
    site.publish([A, B]);
    let proxy = Relay::proxy();
    for (credentials, expected) in [("", None), ("user:pa%40ss@", Some(BASE64.encode("user:pa@ss")))] {
        let host = site.start(&format!("proxy_url = \"http://{credentials}{}\"\n", proxy.address()));
        host.wait_up(&[A, B]);
        wait_health(&host, "running", &[]);
        let head = proxy.heads().pop().unwrap();
        assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", site.served.addr())), "{head}");
        let shown = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
        });
        assert_eq!(shown, expected.map(|expected| format!("Basic {expected}")), "{head}");
        assert!(!head.contains(TOKEN), "{head}");
    }
}

/// A kubeconfig names its proxy, and an option goes before that.
#[test]
fn proxy_of_the_kubeconfig() {
    let site = Site::new();
    site.publish([A, B]);
    let (first, second) = (Relay::proxy(), Relay::proxy());
    let server = format!("server: {}", site.served.url());
    let proxied = format!("{server}\n    proxy-url: http://{}", first.address());
    let kubeconfig = Kubeconfig::of(&site).with(&server, &proxied);
    let host = site.start_by("", &kubeconfig.option());
    host.wait_up(&[A, B]);
    assert_eq!((first.heads().is_empty(), second.heads().is_empty()), (false, true));
    let before = first.heads().len();
    let option = format!("{}proxy_url = \"http://{}\"\n", kubeconfig.option(), second.address());
    let host = site.start_by("", &option);
    host.wait_up(&[A, B]);
    assert_eq!((first.heads().len(), second.heads().is_empty()), (before, false));
}

/// The environment's proxy is that of other things; who means it writes so.
#[test]
fn proxy_of_the_environment() {
    let site = Site::new();
    site.publish([A, B]);
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}", trap.local_addr().unwrap());
    let variables =
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"].map(|name| (name, url.as_str()));
    let kubeconfig = Kubeconfig::of(&site);
    for way in [site.way(), kubeconfig.option()] {
        let host = site.launch(config(A, "connect = \"none\"", &way), &variables);
        host.wait_up(&[A, B]);
        assert!(trap.accept().is_err(), "{way}");
    }
    let proxy = Relay::proxy();
    let url = format!("http://{}", proxy.address());
    let way = format!("{}proxy_url = \"${{HTTPS_PROXY}}\"\n", site.way());
    let host = site.launch(config(A, "connect = \"none\"", &way), &[("HTTPS_PROXY", &url)]);
    host.wait_up(&[A, B]);
    assert!(!proxy.heads().is_empty());
}

/// A pod finds its API server by the variables that Kubernetes sets.
#[test]
fn address_of_the_environment() {
    let site = Site::new();
    site.publish([A, B]);
    let (host, port) = (site.served.addr().ip().to_string(), site.served.addr().port().to_string());
    let way = format!("kubernetes_service_account_path = {:?}\n", site.account.path());
    let variables = [("KUBERNETES_SERVICE_HOST", host.as_str()), ("KUBERNETES_SERVICE_PORT", port.as_str())];
    let host = site.launch(config(A, "connect = \"none\"", &way), &variables);
    host.wait_up(&[A, B]);
}
