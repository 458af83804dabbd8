//! TLS: who vouches for the server, and for us.

use std::{fs, path::Path};

use cluster_sdk::serde_json::{Value, json};
use test_httpserver::{Authority, Pem, Reply, Server};

use super::{check, client};

async fn get(server: &Server, options: Value) -> Result<(), String> {
    let answer = client(options).get(server.url("/")).send().await;
    answer.map(|_| ()).map_err(|err| err.to_string())
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The authority of the server must be known, and the name right; the file is read anew, so that it can be mended.
#[tokio::test]
async fn authorities() {
    let directory = tempfile::tempdir().unwrap();
    let [authority, other] = [(); 2].map(|()| Authority::generate());
    let server = Server::https(authority.server("127.0.0.1"), |_| Reply::ok("{}"));
    let misnamed = Server::https(authority.server("api.example"), |_| Reply::ok("{}"));
    let ca = write(directory.path(), "ca.pem", other.pem());
    let http = client(json!({ "ca_file": ca, "retries": 0 }));
    let err = http.get(server.url("/")).send().await.unwrap_err();
    check(
        &err,
        &format!("GET {}: TLS: invalid peer certificate: UnknownIssuer; set ca_file", server.url("/")),
        "certificate",
    );
    assert!(!err.is_temporary());
    write(directory.path(), "ca.pem", &format!("{}{}", other.pem(), authority.pem()));
    http.get(server.url("/")).send().await.unwrap();
    let err = http.get(misnamed.url("/")).send().await.unwrap_err();
    check(&err, "", "; write a name that is in its certificate");
}

/// A server that asks for a certificate gets ours; without one, or with a stranger's, it refuses and we say so.
#[tokio::test]
async fn certificates() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::generate();
    let server = Server::https(authority.server_for_clients("127.0.0.1"), |_| Reply::ok("{}"));
    let file = |name: &str, text: &str| write(directory.path(), name, text);
    let ca = file("ca.pem", authority.pem());
    let files = |pem: &Pem| (file("cert.pem", &pem.certificate), file("key.pem", &pem.key));
    let (cert, key) = files(&Authority::generate().client());
    let options = json!({ "ca_file": ca, "client_cert": cert, "client_key": key, "retries": 0 });
    let err = get(&server, options.clone()).await.unwrap_err();
    assert!(err.contains("TLS: received fatal alert") && err.contains("client_cert"), "{err}");
    let err = get(&server, json!({ "ca_file": ca, "retries": 0 })).await.unwrap_err();
    assert!(err.ends_with("CertificateRequired; set client_cert and client_key"), "{err}");
    files(&authority.client());
    get(&server, options.clone()).await.unwrap();
    file("key.pem", &authority.client().key);
    let err = get(&server, options).await.unwrap_err();
    assert!(err.contains("cannot be used together"), "{err}");
}

/// A file that is missing or is something else is named; what is in it is not shown.
#[tokio::test]
async fn files() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::https(Authority::generate().server("127.0.0.1"), |_| Reply::ok("{}"));
    let junk = write(directory.path(), "junk", "hunter2");
    for (file, reason) in [
        (
            "/does/not/exist",
            "\"/does/not/exist\" cannot be read: No such file or directory (os error 2)".to_owned(),
        ),
        ("/dev/null", "\"/dev/null\" is not a regular file".to_owned()),
        (&junk, format!("{junk:?} is not the PEM file that is needed: it has no certificate")),
    ] {
        let err = get(&server, json!({ "ca_file": file })).await.unwrap_err();
        assert_eq!(err, format!("GET {}: {reason}", server.url("/")));
    }
    let err = get(&server, json!({ "client_cert": junk, "client_key": junk })).await.unwrap_err();
    assert!(err.contains(&junk) && !err.contains("hunter2"), "{err}");
}

/// Plain HTTP where TLS is spoken, and the other way round.
#[tokio::test]
async fn mistaken() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::generate();
    let ca = write(directory.path(), "ca.pem", authority.pem());
    let http = client(json!({ "ca_file": ca, "retries": 0 }));
    let plain = Server::http(|_| Reply::ok("{}"));
    let err = http.get(plain.url("/").replace("http:", "https:")).send().await.unwrap_err();
    check(&err, "GET https://", "it does not speak TLS there: is it http://, or another port?");
    let tls = Server::https(authority.server("127.0.0.1"), |_| Reply::ok("{}"));
    let err = http.get(tls.url("/").replace("https:", "http:")).send().await.unwrap_err();
    check(&err, "GET http://", "");
}
