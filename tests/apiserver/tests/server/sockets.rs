//! The server on a socket, and what may happen to its process.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use test_apiserver::objects::{pod, slices_of};
use test_apiserver::{ApiServer, Fault, Served, ServiceAccount};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{PODS, SLICES};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Asks on a connection of its own, over TLS if there is a certificate.
async fn ask(served: &Served, ca_pem: &str, uri: &str) -> Result<http::Response<Incoming>, BoxError> {
    let stream = TcpStream::connect(served.addr()).await?;
    if ca_pem.is_empty() {
        return send(stream, uri).await;
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("kubernetes.default.svc")?;
    send(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, uri).await
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &str,
) -> Result<http::Response<Incoming>, BoxError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(uri).header("Host", "localhost").body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?)
}

/// Bytes up to the end of a line.
async fn line(response: &mut http::Response<Incoming>) -> Result<Vec<u8>, BoxError> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        match tokio::time::timeout(DEADLINE, response.frame()).await? {
            Some(frame) => line.extend_from_slice(frame?.data_ref().unwrap()),
            None => return Err("it ended".into()),
        }
    }
    Ok(line)
}

/// Whether the connection breaks before the answer has come to its end.
async fn is_torn(response: &mut http::Response<Incoming>) -> bool {
    let frame = tokio::time::timeout(DEADLINE, response.frame()).await;
    matches!(frame, Ok(Some(Err(_))))
}

/// Over both transports short answers have a length, long ones and watches come in chunks, and the headers of a watch
/// come before there is anything to tell.
#[tokio::test]
async fn it_is_served_with_and_without_tls() {
    let server = ApiServer::new();
    for served in [server.serve_tls(), server.serve_http()] {
        let ca_pem = served.ca_pem();
        assert_eq!(served.url().starts_with("https:"), !ca_pem.is_empty());
        let version = ask(&served, &ca_pem, "/version").await.unwrap();
        assert_eq!(version.headers()["Content-Length"], "379");
        let watch_uri = format!("{SLICES}?watch=true&resourceVersion={}", server.version());
        let mut watch = ask(&served, &ca_pem, &watch_uri).await.unwrap();
        slices_of("demo", "myapp", 300).into_iter().for_each(|slice| _ = server.apply(slice));
        for _ in 0..3 {
            assert!(line(&mut watch).await.unwrap().starts_with(b"{\"type\":"));
        }
        let list = ask(&served, &ca_pem, SLICES).await.unwrap();
        assert_eq!(list.headers()["Transfer-Encoding"], "chunked");
        let body = list.into_body().collect().await.unwrap().to_bytes();
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
    }
}

/// A server that stops tears its watches and has no port; it comes back with its port, authority and objects.
#[tokio::test]
async fn it_stops_and_comes_back() {
    let server = ApiServer::new();
    let served = server.serve_tls();
    let ca_pem = served.ca_pem();
    let mut watch = ask(&served, &ca_pem, &format!("{PODS}?watch=true")).await.unwrap();
    served.stop();
    assert!(is_torn(&mut watch).await);
    assert_eq!(server.watches(), 0);
    assert!(ask(&served, &ca_pem, PODS).await.is_err());
    server.apply(pod("demo", "a"));
    served.restart();
    let mut watch = ask(&served, &ca_pem, &format!("{PODS}?watch=true")).await.unwrap();
    assert!(line(&mut watch).await.is_ok());
}

/// A server that is paused takes connections and says nothing, until it goes on.
#[tokio::test]
async fn it_pauses_and_goes_on() {
    let server = ApiServer::new();
    let served = server.serve_http();
    let mut watch = ask(&served, "", &format!("{PODS}?watch=true")).await.unwrap();
    served.pause();
    served.pause();
    server.apply(pod("demo", "a"));
    let stream = TcpStream::connect(served.addr()).await.unwrap();
    let asked = tokio::spawn(send(stream, PODS));
    // That nothing happens takes a while to be seen. It cannot fail for want of time.
    let nothing = tokio::time::timeout(Duration::from_millis(100), line(&mut watch)).await;
    assert!(nothing.is_err() && !asked.is_finished());
    assert_eq!(server.requests().len(), 1);
    served.resume();
    assert!(line(&mut watch).await.is_ok());
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    // A paused server can be stopped.
    served.pause();
    served.stop();
    served.stop();
}

/// Faults of the connection are seen as such.
#[tokio::test]
async fn connections_are_torn() {
    let server = ApiServer::new();
    let served = server.serve_tls();
    let ca_pem = served.ca_pem();
    let mut watch = ask(&served, &ca_pem, &format!("{PODS}?watch=true")).await.unwrap();
    server.tear_watches();
    assert!(is_torn(&mut watch).await);
    server.fail(Fault::Reset);
    assert!(ask(&served, &ca_pem, PODS).await.is_err());
}

/// After another authority took over, only its certificate is good.
#[tokio::test]
async fn the_authority_is_rotated() {
    let served = ApiServer::new().serve_tls();
    let old = served.ca_pem();
    let account = ServiceAccount::new(&served, "demo", "token");
    served.rotate_ca();
    assert!(ask(&served, &old, PODS).await.is_err());
    assert_eq!(fs::read_to_string(account.path().join("ca.crt")).unwrap(), old);
    account.write_ca(&served.ca_pem());
    account.write_token("other");
    let new = fs::read_to_string(account.path().join("ca.crt")).unwrap();
    assert_eq!(ask(&served, &new, PODS).await.unwrap().status(), 200);
    assert_eq!(fs::read_to_string(account.path().join("token")).unwrap(), "other");
    assert_eq!(fs::read_to_string(account.path().join("namespace")).unwrap(), "demo");
}
