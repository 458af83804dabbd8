//! Nobody is shown a token or a password, whatever goes wrong and however much is logged.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use test_apiserver::{Kind, Verb};

use super::{A, B, C, Site, TOKEN, access::Kubeconfig, config, relay::Relay, told, wait_health};
use crate::host::{Host, http};

const PASSWORD: &str = "pr0xy-p4ssword";
const SECOND: &str = "t0ken-that-came-later";
const WRONG: &str = "t0ken-that-nobody-takes";

/// All that a host tells anybody who asks.
fn everything(host: &Host) -> String {
    let mut all = host.log();
    let body = |path: &str| {
        let mut text = String::new();
        http::open(&host.socket(), path).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    for path in
        ["/v1/topologies", "/v1/members", "/v1/events?since=0&follow=false", &format!("/v1/members/{B}")]
    {
        all += &body(path);
    }
    host.view().events.iter().for_each(|event| all += &event.to_string());
    for command in ["topologies", "members", "events --since 0", &format!("explain {B}")] {
        all += &told(host, command);
        all += &told(host, &format!("{command} --json"));
    }
    all
}

/// Nothing of this is anywhere, neither as it is nor as it is sent.
#[track_caller]
fn check_hidden(host: &Host, secrets: &[&str]) {
    let all = everything(host);
    assert!(all.contains("TRACE") && all.contains(B), "it does not log everything: {all}");
    let credentials = format!("user:{PASSWORD}");
    for secret in secrets.iter().copied().chain([credentials.as_str()]) {
        for form in [secret.to_owned(), BASE64.encode(secret), secret.replace('-', "%2D")] {
            let line = all.lines().find(|line| line.contains(&form));
            assert_eq!(line, None, "{form} is shown");
        }
    }
}

fn launch(site: &Site, options: &str) -> Host {
    let text = config(A, "connect = \"none\"", options);
    site.launch(text, &[("CLUSTER_HOST_LOG", "trace"), ("RUST_LOG", "trace")])
}

/// Lists, watches, refusals of each kind and a proxy with a password, with everything logged that there is.
#[test]
fn in_none_of_what_it_says() {
    let site = Site::new();
    site.publish([A, B]);
    let proxy = Relay::proxy();
    let options = format!("{}proxy_url = \"http://user:{PASSWORD}@{}\"\n", site.way(), proxy.address());
    let host = launch(&site, &options);
    host.wait_up(&[A, B]);
    let shown = format!("Basic {}", BASE64.encode(format!("user:{PASSWORD}")));
    assert!(proxy.heads().iter().any(|head| head.contains(&shown)), "it is used: {:?}", proxy.heads());
    assert!(site.api.requests().iter().all(|request| request.has_token(TOKEN)));

    site.await_watch();
    site.account.write_token(WRONG);
    site.api.end_watches();
    wait_health(&host, "denied", &["does not take our token"]);
    assert!(site.api.requests().iter().any(|request| request.has_token(WRONG)));
    site.api.accept_tokens(&[SECOND]);
    for kind in [Kind::EndpointSlice, Kind::Endpoints] {
        site.api.deny(kind, Verb::Watch);
        site.api.deny(kind, Verb::List);
    }
    site.api.compact();
    site.account.write_token(SECOND);
    site.publish([A, B, C]);
    site.api.compact();
    wait_health(&host, "denied", &["may not list"]);
    // Not the Endpoints: who asks in between would go over to them, of which this site has none.
    site.api.allow(Kind::EndpointSlice, Verb::Watch);
    site.api.allow(Kind::EndpointSlice, Verb::List);
    host.wait_up(&[A, B, C]);
    site.await_watch();
    site.served.rotate_ca();
    site.api.tear_watches();
    wait_health(&host, "degraded", &["certificate"]);
    site.served.stop();
    wait_health(&host, "degraded", &["cannot"]);
    check_requests_are_logged(&host, &site);
    check_hidden(&host, &[TOKEN, SECOND, WRONG, PASSWORD]);
}

/// The log is at level trace, and tells of requests: each passes the client's queue, which says so. More of them is not
/// logged, as what the client itself says is kept out.
#[track_caller]
fn check_requests_are_logged(host: &Host, site: &Site) {
    let log = host.log();
    let passed =
        log.lines().filter(|line| line.contains("DEBUG") && line.contains("processing request")).count();
    assert!(passed >= site.api.requests().len() / 2 && passed > 2, "{passed} requests are logged:\n{log}");
}

/// The same for a kubeconfig, which has the token in it, and its proxy; also where the file is broken.
#[test]
fn of_a_kubeconfig() {
    let site = Site::new();
    site.publish([A, B]);
    let proxy = Relay::proxy();
    let server = format!("server: {}", site.served.url());
    let proxied = format!("{server}\n    proxy-url: http://user:{PASSWORD}@{}", proxy.address());
    let good = Kubeconfig::of(&site).with(&server, &proxied);
    let host = launch(&site, &good.option());
    host.wait_up(&[A, B]);
    site.await_watch();
    site.api.accept_tokens(&[SECOND]);
    site.api.end_watches();
    wait_health(&host, "denied", &["does not take our token"]);
    check_hidden(&host, &[TOKEN, PASSWORD]);

    for (text, broken) in [
        ("    token: ", "    token: [5]\n    tok: "),
        ("proxy-url: http://", "proxy-url: socks5://"),
        ("proxy-url: http://user", "proxy-url: http:// user"),
        ("current-context: good", "current-context: good: bad"),
        ("    token: ", "\ttoken: "),
    ] {
        let kubeconfig = Kubeconfig::of(&site).with(&server, &proxied).with(text, broken);
        let host = launch(&site, &kubeconfig.option());
        host.settle("its trouble", || (host.topology("t")["health"] == "degraded").then_some(()));
        let told = everything_before_members(&host);
        assert!(!told.contains(TOKEN) && !told.contains(PASSWORD), "{told}");
    }
}

/// Where no other node is known.
fn everything_before_members(host: &Host) -> String {
    host.log()
        + &told(host, "topologies")
        + &told(host, "topologies --json")
        + &told(host, "events --since 0 --json")
}

/// Mistakes in a configuration do not show what it has of secrets.
#[test]
fn of_a_configuration_that_is_refused() {
    let site = Site::new();
    for option in [
        format!("proxy_url = \"socks5://user:{PASSWORD}@127.0.0.1:1\"\n"),
        format!("proxy_url = \"http://user:{PASSWORD}@ 127.0.0.1\"\n"),
        format!("proxy_url = [\"http://user:{PASSWORD}@127.0.0.1\"]\n"),
        format!("kubernetes_master = \"https://user:{PASSWORD}@127.0.0.1:1\"\n"),
    ] {
        let way = format!("kubernetes_service_account_path = {:?}\n", site.account.path());
        let host = launch(&site, &format!("{way}{option}"));
        assert!(!host.wait_end().success(), "{option}");
        let log = host.log();
        assert!(log.contains("host.toml:") && !log.contains(PASSWORD), "{log}");
    }
}
