use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use cluster_sdk::config;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

mod beam;

/// A CA and what it issues, in files of a directory of their own.
struct Pki {
    scratch: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

// === impl Pki ===

impl Pki {
    fn new() -> Self {
        Self::named("ca")
    }

    fn named(name: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(scratch.path().join("ca.pem"), ca.pem()).unwrap();
        Self { scratch, ca }
    }

    fn path(&self, file: &str) -> String {
        self.scratch.path().join(file).to_str().unwrap().to_owned()
    }

    /// A certificate for these names, with its key in the same file.
    fn issue(&self, file: &str, names: &[&str]) -> String {
        self.issue_with(file, names, |_params| ())
    }

    fn issue_with(&self, file: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> String {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let path = self.path(file);
        fs::write(&path, certificate.pem() + &key.serialize_pem()).unwrap();
        path
    }

    /// Trusts this CA and shows the certificate in that file.
    fn with(&self, certfile: &str) -> Value {
        json!({ "cacertfile": self.path("ca.pem"), "certfile": certfile })
    }
}

fn parse(value: Value) -> TlsConfig {
    config::parse(value).unwrap()
}

fn set(mut config: Value, key: &str, value: Value) -> Value {
    config[key] = value;
    config
}

/// What both sides say to each other, and to a byte each way where the handshake succeeded: the refusal of a client's
/// certificate comes with the first read.
async fn meet(client: Value, server: Value, node_host: &str) -> (Result<(), TlsError>, Result<(), TlsError>) {
    let (client, server) = (parse(client), parse(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async {
        let mut stream = accept(&server, listener.accept().await.unwrap().0).await?;
        exchange(&mut stream).await.map_err(|err| server.handshake_error(err))
    };
    let connecting = async {
        let mut stream = connect(&client, TcpStream::connect(address).await.unwrap(), node_host).await?;
        exchange(&mut stream).await.map_err(|err| client.handshake_error(err))
    };
    let both = Box::pin(async { tokio::join!(connecting, accepting) });
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap()
}

async fn exchange(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_all(b"x").await?;
    stream.flush().await?;
    assert_eq!(stream.read_u8().await?, b'x');
    Ok(())
}

#[track_caller]
fn says(result: Result<(), TlsError>, expected: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

fn both_versions() -> [Value; 2] {
    [json!(["tlsv1.2"]), json!(["tlsv1.3"])]
}

/// Both sides show a certificate and check the other's: by a DNS name, by an IPv4 and an IPv6 address, and by a name
/// that the config gives instead.
#[tokio::test]
async fn good() {
    let pki = Pki::new();
    let dns = pki.with(&pki.issue("dns.pem", &["node.example"]));
    let ip = pki.with(&pki.issue("ip.pem", &["10.0.0.7", "fd00::7"]));
    for versions in both_versions() {
        let client = set(dns.clone(), "versions", versions);
        for (client, server, host) in [
            (&client, &dns, "node.example"),
            (&client, &ip, "10.0.0.7"),
            (&client, &ip, "fd00::7"),
            (&set(client.clone(), "server_name_indication", json!("node.example")), &dns, "other"),
            (&set(client.clone(), "server_name_indication", json!(false)), &ip, "no name, no address"),
        ] {
            let (connected, accepted) = meet(client.clone(), server.clone(), host).await;
            connected.unwrap();
            accepted.unwrap();
        }
    }
}

/// A certificate for another name is refused, by the side that dials alone, and the error says what was there.
#[tokio::test]
async fn wrong_name() {
    let pki = Pki::new();
    let node = pki.with(&pki.issue("node.pem", &["node.example", "10.0.0.7"]));
    for host in ["other.example", "10.0.0.8"] {
        let (connected, accepted) = meet(node.clone(), node.clone(), host).await;
        says(connected, &format!("the node's certificate is not for {host} but for "));
        says(accepted, "refuses the certificate in");
    }
    let dns = pki.issue_with("dns.pem", &[], |params| {
        let name = "10.0.0.7".to_owned().try_into().unwrap();
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    });
    says(meet(node.clone(), pki.with(&dns), "10.0.0.7").await.0, "an IP address as IP:, not DNS:");
    says(
        meet(node.clone(), node, "no name").await.0,
        "say by server_name_indication what the certificate has",
    );
}

/// A certificate of another CA is refused by each side, and the other is told.
#[tokio::test]
async fn wrong_ca() {
    let (pki, stranger, namesake) = (Pki::new(), Pki::named("stranger"), Pki::new());
    let node = pki.with(&pki.issue("node.pem", &["node"]));
    let strange = set(node.clone(), "certfile", json!(stranger.issue("node.pem", &["node"])));
    for versions in both_versions() {
        let node = set(node.clone(), "versions", versions);
        let unknown = format!("is signed by no CA in cacertfile {:?}", pki.path("ca.pem"));
        let (connected, accepted) = meet(node.clone(), strange.clone(), "node").await;
        says(connected, &unknown);
        says(accepted, "its cacertfile does not have the CA");
        let (connected, accepted) = meet(strange.clone(), node.clone(), "node").await;
        says(connected, "its cacertfile does not have the CA");
        says(accepted, &unknown);
    }
    let forged = set(node.clone(), "certfile", json!(namesake.issue("node.pem", &["node"])));
    says(meet(node, forged, "node").await.0, "is signed by no CA");
}

/// What has run out, is for later, is a CA's or is not for a server is refused, with the reason.
#[tokio::test]
async fn unusable_certificates() {
    let pki = Pki::new();
    let node = pki.with(&pki.issue("node.pem", &["node"]));
    let check = async |certfile: String, reason: &str| {
        says(meet(node.clone(), pki.with(&certfile), "node").await.0, reason);
    };
    let expired = pki.issue_with("a.pem", &["node"], |params| params.not_after = date_time_ymd(2020, 1, 1));
    check(expired, "the node's certificate expired ").await;
    let later = pki.issue_with("b.pem", &["node"], |params| params.not_before = date_time_ymd(2200, 1, 1));
    check(later, "is not valid yet: compare the clocks").await;
    let ca =
        pki.issue_with("c.pem", &["node"], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    check(ca, "it is a CA's (CA:TRUE): issue one with CA:FALSE").await;
    let client = pki.issue_with("d.pem", &["node"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    check(client, "extended key usage").await;
}

/// Who has no certificate to show is refused where one is wanted, and let in where the config says so.
#[tokio::test]
async fn client_without_certificate() {
    let pki = Pki::new();
    let server = pki.with(&pki.issue("node.pem", &["node"]));
    let client = json!({ "cacertfile": pki.path("ca.pem") });
    for versions in both_versions() {
        let client = set(client.clone(), "versions", versions);
        let (connected, accepted) = meet(client, server.clone(), "node").await;
        says(
            connected,
            "the node wants a certificate (fail_if_no_peer_cert) and there is no certfile to show",
        );
        says(accepted, "the node showed no certificate");
    }
    let lenient = set(server, "fail_if_no_peer_cert", json!(false));
    let (connected, accepted) = meet(client, lenient, "node").await;
    connected.unwrap();
    accepted.unwrap();
}

/// With `verify_none` a dialled node may be anybody; without a check of the name it still needs a certificate of a CA
/// that is trusted.
#[tokio::test]
async fn verify_none() {
    let (pki, stranger) = (Pki::new(), Pki::named("stranger"));
    let strange = stranger.issue("node.pem", &["other"]);
    let server = json!({ "certfile": strange, "verify": "verify_none" });
    for versions in both_versions() {
        let client = json!({ "verify": "verify_none", "versions": versions });
        for host in ["node", "10.0.0.7", "no name"] {
            let (connected, accepted) = meet(client.clone(), server.clone(), host).await;
            connected.unwrap();
            accepted.unwrap();
        }
        let nameless = json!({
            "cacertfile": pki.path("ca.pem"), "server_name_indication": false, "versions": versions
        });
        says(meet(nameless, server.clone(), "node").await.0, "is signed by no CA");
    }
}

/// Sides without a version in common say so.
#[tokio::test]
async fn no_common_version() {
    let pki = Pki::new();
    let node = pki.with(&pki.issue("node.pem", &["node"]));
    let [older, newer] = both_versions().map(|versions| set(node.clone(), "versions", versions));
    let (connected, accepted) = meet(older, newer, "node").await;
    says(connected, "speak no common TLS");
    says(accepted, "speak no common TLS");
}

/// A peer that speaks the distribution without TLS, one that hangs up and one that sends anything: an error, from
/// both sides.
#[tokio::test]
async fn peer_without_tls() {
    let pki = Pki::new();
    let config = parse(pki.with(&pki.issue("node.pem", &["node"])));
    for (sent, reason) in [
        (&b"\x00\x03sok"[..], "the node speaks no TLS"),
        (b"\x00\x1cN\x00\x00\x00\x0d\x07\xdf\x7f\xbdk\x03", "the node speaks no TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the node speaks no TLS"),
        (b"", "closed the connection in the TLS handshake"),
        (b"\x16\x03\x03\x00\x05", "closed the connection in the TLS handshake"),
    ] {
        for dials in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            peer.write_all(sent).await.unwrap();
            peer.shutdown().await.unwrap();
            let secured =
                if dials { connect(&config, stream, "node").await } else { accept(&config, stream).await };
            says(secured.map(drop), reason);
        }
    }
}

/// The files are read at each connection, and an error names the file and what is wrong with it.
#[tokio::test]
async fn files() {
    let pki = Pki::new();
    let node = pki.issue("node.pem", &["node"]);
    let good = fs::read_to_string(&node).unwrap();
    let (certificate, key) = good.split_at(good.find("-----BEGIN PRIVATE").unwrap());
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let config = parse(pki.with(&node));
    for (content, reason) in [
        (good.clone(), None),
        (String::new(), Some("has no certificate")),
        (key.to_owned(), Some("has no certificate")),
        (certificate.to_owned(), Some("has no private key")),
        (certificate.to_owned() + &other_key, Some("is not that of the first certificate")),
        (certificate.to_owned() + &encrypted, Some("is encrypted")),
        (good.replace("-----END CERTIFICATE", "-----END"), Some("is damaged")),
        (" ".repeat(1024 * 1024 + 1), Some("cannot be read")),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned() + key,
            Some("cannot be used"),
        ),
        (good.clone(), None),
    ] {
        fs::write(&node, content).unwrap();
        for result in [config.client().map(drop), config.server().map(drop)] {
            match reason {
                None => result.unwrap(),
                Some(reason) => {
                    let error = result.unwrap_err().to_string();
                    assert!(
                        error.contains(reason) && error.contains(&node),
                        "{error:?} does not say {reason:?}"
                    );
                }
            }
        }
    }
    let ca = pki.path("ca.pem");
    fs::write(&ca, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    says(config.client().map(drop), "certificate number 1 in cacertfile");
    fs::remove_file(&ca).unwrap();
    says(config.client().map(drop), "cacertfile");
    fs::create_dir(&ca).unwrap();
    says(config.client().map(drop), "cannot be read");
}

/// What contradicts itself is refused, with the key and a remedy.
#[test]
fn validation() {
    let paths = |value: Value| -> Vec<String> {
        parse(value).validate_to_accept().into_iter().map(|error| error.path).collect()
    };
    assert_eq!(paths(json!({})), ["cacertfile", "certfile"]);
    assert_eq!(paths(json!({ "verify": "verify_none", "keyfile": "k" })), ["certfile"]);
    assert_eq!(paths(json!({ "certfile": "c", "cacertfile": "a" })), [""; 0]);
    let wrong = json!({
        "certfile": "c", "verify": "verify_none", "fail_if_no_peer_cert": true, "versions": [], "password": "p",
        "server_name_indication": "no name",
    });
    assert_eq!(paths(wrong), ["fail_if_no_peer_cert", "versions", "server_name_indication", "password"]);
    assert!(parse(json!({ "verify": "verify_none" })).validate().is_empty());

    let errors = config::parse::<TlsConfig>(json!({
        "verify": "verify_pear", "server_name_indication": true, "secure_renegotiate": true,
    }));
    let errors = errors.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for word in ["verify_peer", "a name in quotes, or false to check none", "secure_renegotiate: unknown key"]
    {
        assert!(errors.contains(word), "{errors}");
    }
}

/// A key that others can read or change is warned of, through symbolic links as Kubernetes makes them.
#[test]
fn exposed_keys() {
    let pki = Pki::new();
    let node = pki.issue("node.pem", &["node"]);
    let link = pki.path("link.pem");
    std::os::unix::fs::symlink(&node, &link).unwrap();
    let config = parse(json!({ "certfile": node, "keyfile": link, "verify": "verify_none" }));
    for (mode, warning) in [
        (0o400, None),
        (0o600, None),
        (0o640, None),
        (0o644, Some("mode 0644 lets others read it")),
        (0o660, Some("mode 0660 lets others change it")),
        (0o602, Some("mode 0602 lets others change it")),
    ] {
        fs::set_permissions(&node, fs::Permissions::from_mode(mode)).unwrap();
        let said = config.keyfile_exposed();
        assert_eq!(said.is_some(), warning.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(warning.unwrap_or_default()));
    }
    assert_eq!(parse(json!({ "verify": "verify_none" })).keyfile_exposed(), None);
}
