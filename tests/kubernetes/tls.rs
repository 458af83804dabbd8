//! Whom a host takes for its API server.

use test_apiserver::ApiServer;

use super::{A, B, C, Site, check_nobody_went, reasons, relay::Relay, wait_health};

/// Whoever has a certificate by another authority is no API server: the reason names the certificate, and the token is not
/// sent there. [`authority_is_replaced`] shows how it goes on with the right authority in the file.
#[test]
fn another_authority() {
    let (site, foreign) = (Site::new(), ApiServer::new().serve_tls());
    site.publish([A, B]);
    site.account.write_ca(&foreign.ca_pem());
    let host = site.start("");
    let reason = wait_health(&host, "degraded", &["certificate", &site.served.url()]);
    assert_eq!(site.api.requests().len(), 0, "nothing is sent to whoever that is");
    assert!(reasons(&host).contains(&reason), "{:?}", reasons(&host));
}

/// Without `ca.crt` nobody is believed; the reason says what can be done. As soon as the file is there it goes on.
#[test]
fn no_authority() {
    let site = Site::new();
    site.publish([A, B]);
    site.account.remove("ca.crt");
    let host = site.start("");
    wait_health(&host, "degraded", &["ca.crt", "ca_file", "insecure_skip_tls_verify"]);
    assert_eq!(site.api.requests().len(), 0);
    site.account.write_ca("no certificate\n");
    wait_health(&host, "degraded", &["ca.crt", "certificate"]);
    site.account.write_ca(&site.served.ca_pem());
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
}

/// A file with certificates of one's own takes the place of the service account's.
#[test]
fn authority_of_ones_own() {
    let site = Site::new();
    site.publish([A, B]);
    site.account.remove("ca.crt");
    site.account.write("own.pem", &site.served.ca_pem());
    let host = site.start(&format!("ca_file = {:?}\n", site.account.path().join("own.pem")));
    host.wait_up(&[A, B]);
    wait_health(&host, "running", &[]);
}

/// Whoever asks for it trusts anybody, also without TLS; and nobody else does, which `check` says for "http://".
#[test]
fn insecure() {
    let site = Site::new();
    site.publish([A, B]);
    site.account.remove("ca.crt");
    let host = site.start("insecure_skip_tls_verify = true\n");
    host.wait_up(&[A, B]);

    let plain = site.api.serve_http();
    let way = format!(
        "kubernetes_service_account_path = {:?}\nkubernetes_master = \"{}\"\n",
        site.account.path(),
        plain.url()
    );
    let host = site.start_by(&way, "insecure_skip_tls_verify = true\n");
    host.wait_up(&[A, B]);
    let host = site.start_by(&way, "");
    assert!(!host.wait_end().success());
    let log = host.log();
    assert!(log.contains("kubernetes_master") && log.contains("without TLS"), "{log}");
}

/// A certificate is for the names that are in it.
#[test]
fn another_name() {
    let site = Site::new();
    site.publish([A, B]);
    let relay = Relay::at("127.0.0.2", site.served.addr());
    let way = format!(
        "kubernetes_service_account_path = {:?}\nkubernetes_master = \"{}\"\n",
        site.account.path(),
        relay.address()
    );
    let host = site.start_by(&way, "");
    wait_health(&host, "degraded", &["certificate", "127.0.0.2"]);
    assert_eq!(site.api.requests().len(), 0);
    assert!(!relay.heads().is_empty(), "it was dialled");
}

/// An authority that is replaced while hosts run, with the file that the kubelet replaces as well, is taken over; that is
/// looked at when the server's certificate is, at most once a minute. Nobody is lost meanwhile.
#[test]
fn authority_is_replaced() {
    let site = Site::new();
    let host = site.start_with(&[A, B], "");
    site.await_watch();
    site.served.rotate_ca();
    site.account.write_ca(&site.served.ca_pem());
    // Connections that are there stay; a new one is made.
    site.api.tear_watches();
    wait_health(&host, "degraded", &["certificate"]);
    check_nobody_went(&host);
    site.publish([A, B, C]);
    // It takes up to a minute, as the file was read at the start: half of it is waited for by the tries that fail.
    host.settle("the tries of half a minute", || {
        (host.topology("t")["counters"]["requests"].as_u64() >= Some(25)).then_some(())
    });
    host.wait_up(&[A, B, C]);
    wait_health(&host, "running", &[]);
    check_nobody_went(&host);
}
