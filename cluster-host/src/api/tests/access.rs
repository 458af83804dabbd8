//! Who is let in over a port: by a token, by a certificate, and from which site.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;
use test_httpserver::Authority;

use super::*;
use crate::{
    api::{AccessConfig, Listener, TlsConfig},
    client::{ApiAddress, CredentialFiles},
};

const TOKEN: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";

/// Files that say who may ask.
struct Files(TempDir);

// === impl Files ===

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file in place, as one should.
    fn put(&self, name: &str, mode: u32, text: &str) -> PathBuf {
        let (path, beside) = (self.path(name), self.path("new"));
        fs::write(&beside, text).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&beside, &path).unwrap();
        path
    }

    fn token(&self, text: &str) -> PathBuf {
        self.put("token", 0o400, text)
    }

    /// A certificate for localhost, and whose certificates are asked for.
    fn tls(&self, authority: &Authority, clients: Option<&Authority>) -> TlsConfig {
        let pem = authority.server_pem("localhost");
        TlsConfig {
            certificate: self.put("cert.pem", 0o444, &pem.certificate),
            key: self.put("key.pem", 0o400, &pem.key),
            client_ca: clients.map(|clients| self.put("clients.pem", 0o444, clients.pem())),
        }
    }

    /// What a client has, of a host with a certificate of this authority.
    fn client(&self, authority: &Authority, own: Option<&Authority>) -> CredentialFiles {
        let certificate = own.map(|own| {
            let pem = own.client();
            (self.put("client.pem", 0o444, &pem.certificate), self.put("client.key", 0o400, &pem.key))
        });
        CredentialFiles { token: None, ca: Some(self.put("ca.pem", 0o444, authority.pem())), certificate }
    }
}

fn port(server: &Server) -> u16 {
    let ListenAddress::Tcp(address) = &server.address else { panic!("{}", server.address) };
    address.port()
}

async fn asked(server: &Server, line: &str, headers: &[&str]) -> String {
    let host = format!("host: localhost:{}", port(server));
    let line = format!("{line} HTTP/1.0");
    raw(server, &[&[line.as_str(), &host], headers].concat()).await
}

async fn status_of(server: &Server, line: &str, headers: &[&str]) -> u16 {
    asked(server, line, headers).await.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A client by TLS.
fn tls_client(server: &Server, files: &CredentialFiles) -> Client {
    let address: ApiAddress = format!("https://localhost:{}", port(server)).parse().unwrap();
    Client::new(Some(address)).with_credentials(files).unwrap()
}

/// With a token file only who sends one of its tokens is let in, to read. Another content counts at once; a file that
/// everybody can read, or that is gone, lets nobody in.
#[tokio::test]
async fn token() {
    let files = Files::new();
    let access = AccessConfig { token_file: Some(files.token(TOKEN)), ..AccessConfig::default() };
    let server = Server::start_guarded(fake(), &access);
    let (right, other) = (format!("authorization: Bearer {TOKEN}"), format!("authorization: bearer {OTHER}"));
    let status = async |headers: &[&str]| status_of(&server, "GET /v1/members", headers).await;
    let denied = asked(&server, "GET /v1/members", &[]).await;
    assert!(
        denied.starts_with("HTTP/1.0 401 ") && denied.contains("\r\nwww-authenticate: Bearer\r\n"),
        "{denied}"
    );
    assert!(!denied.contains("n2@h") && denied.contains(":unauthorized\""), "{denied}");
    assert_eq!(status(&[&right]).await, 200);
    assert_eq!(status(&[&other]).await, 401);
    for wrong in ["Bearer", "Bearer ", "Basic eDp5", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0"] {
        assert_eq!(status(&[&format!("authorization: {wrong}")]).await, 401, "{wrong}");
    }
    assert_eq!(status(&[&right, &other]).await, 403, "two of them are a trick");
    assert_eq!(status(&[&right, "origin: http://evil.example"]).await, 403);
    assert_eq!(status_of(&server, "POST /v1/reload?dry_run=true", &[&right]).await, 405);

    files.token(&format!("{OTHER}\n{TOKEN}\n"));
    assert_eq!((status(&[&right]).await, status(&[&other]).await), (200, 200));
    files.token(OTHER);
    assert_eq!((status(&[&right]).await, status(&[&other]).await), (401, 200));
    files.put("token", 0o644, OTHER);
    assert_eq!(status(&[&other]).await, 503);
    files.token(OTHER);
    assert_eq!(status(&[&other]).await, 200);
    fs::remove_file(files.path("token")).unwrap();
    assert_eq!(status(&[&other]).await, 503);
    let [(_, answered), (_, refused), (_, denied), (_, failed)] = server.activity.requests();
    assert_eq!((answered, refused, denied, failed), (5, 1, 10, 2));
}

/// Who has a token may change something only where that is allowed.
#[tokio::test]
async fn writes() {
    let files = Files::new();
    let token_file = Some(files.token(TOKEN));
    let access = AccessConfig { token_file, allow_writes: true, ..AccessConfig::default() };
    let server = Server::start_guarded(fake(), &access);
    let post = "POST /v1/reload?dry_run=true";
    assert_eq!(status_of(&server, post, &[&format!("authorization: Bearer {TOKEN}")]).await, 200);
    assert_eq!(status_of(&server, post, &[]).await, 401);
    let nobody = AccessConfig { allow_writes: true, ..AccessConfig::default() };
    let server = Server::start_guarded(fake(), &nobody);
    assert_eq!(status_of(&server, post, &[]).await, 405);
}

/// Each thing that keeps a host from listening where others can come, or from knowing who may ask, has one line.
#[test]
fn refusals() {
    let files = Files::new();
    let authority = Authority::generate();
    let token = |mode, text: &str| AccessConfig {
        token_file: Some(files.put("token", mode, text)),
        allow_plaintext: true,
        ..AccessConfig::default()
    };
    let refusal = |access: &AccessConfig| {
        let refused = Listener::bind_guarded(&"0.0.0.0:0".parse().unwrap(), access).map(|_listener| ());
        let line = refused.map_or_else(|error| error.to_string(), |()| "it listens".to_owned());
        line.replace(files.0.path().to_str().unwrap(), "DIR") + "\n"
    };
    let tls = || files.tls(&authority, None);
    let mut lines = refusal(&AccessConfig::default());
    lines += &refusal(&AccessConfig { tls: Some(tls()), ..AccessConfig::default() });
    lines += &refusal(&AccessConfig { allow_plaintext: false, ..token(0o400, TOKEN) });
    lines += &refusal(&token(0o400, TOKEN));
    lines += &refusal(&token(0o440, TOKEN));
    lines += &refusal(&token(0o604, TOKEN));
    lines += &refusal(&token(0o420, TOKEN));
    lines += &refusal(&token(0o400, "\n"));
    lines += &refusal(&token(0o400, "short"));
    lines += &refusal(&token(0o400, "0123456789 abcdef"));
    lines += &refusal(&token(0o400, &format!("{TOKEN}\n").repeat(9)));
    lines += &refusal(&AccessConfig { token_file: Some(files.path("none")), ..token(0o400, TOKEN) });
    lines += &refusal(&AccessConfig { token_file: Some(files.0.path().to_owned()), ..token(0o400, TOKEN) });
    let with = |change: &dyn Fn(&mut TlsConfig)| {
        let mut tls = tls();
        change(&mut tls);
        AccessConfig { tls: Some(tls), ..token(0o400, TOKEN) }
    };
    lines += &refusal(&with(&|tls| tls.key = files.put("key.pem", 0o444, &authority.client().key)));
    lines += &refusal(&with(&|tls| tls.key = files.put("key.pem", 0o400, &authority.client().key)));
    lines += &refusal(&with(&|tls| tls.key = files.put("key.pem", 0o400, "none")));
    lines += &refusal(&with(&|tls| tls.certificate = files.put("cert.pem", 0o444, "none")));
    lines += &refusal(&with(&|tls| tls.client_ca = Some(files.path("no.pem"))));
    lines += &refusal(&with(&|_tls| ()));
    expect![[r#"
        cannot listen on 0.0.0.0:0: others can reach it, and nothing says who may ask: set token_file and tls of [api], or client_ca of [api.tls] for client certificates (mTLS), or listen on loopback or on a Unix socket
        cannot listen on 0.0.0.0:0: others can reach it, and nothing says who may ask: set token_file and tls of [api], or client_ca of [api.tls] for client certificates (mTLS), or listen on loopback or on a Unix socket
        cannot listen on 0.0.0.0:0: others could read the token on its way: set certificate and key of [api.tls], or allow_plaintext of [api] where something else encrypts
        it listens
        it listens
        cannot listen on 0.0.0.0:0: DIR/token: its mode 0604 lets others read or change it: chmod 0400 or 0440
        cannot listen on 0.0.0.0:0: DIR/token: its mode 0420 lets others read or change it: chmod 0400 or 0440
        cannot listen on 0.0.0.0:0: DIR/token: there is no token in it: write one, as by openssl rand -hex 32
        cannot listen on 0.0.0.0:0: DIR/token: a token has at least 16 letters, digits or signs of ASCII, and no space
        cannot listen on 0.0.0.0:0: DIR/token: a token has at least 16 letters, digits or signs of ASCII, and no space
        cannot listen on 0.0.0.0:0: DIR/token: there are 9 tokens in it: at most 8 are possible, one a line
        cannot listen on 0.0.0.0:0: DIR/none: cannot be read: No such file or directory (os error 2)
        cannot listen on 0.0.0.0:0: DIR: is no regular file
        cannot listen on 0.0.0.0:0: DIR/key.pem: its mode 0444 lets others read or change it: chmod 0400 or 0440
        cannot listen on 0.0.0.0:0: DIR/cert.pem: does not go with the key: keys may not be consistent: KeyMismatch
        cannot listen on 0.0.0.0:0: DIR/key.pem: there is no private key in it that can be read without a password: no items found
        cannot listen on 0.0.0.0:0: DIR/cert.pem: there is no certificate in it
        cannot listen on 0.0.0.0:0: DIR/no.pem: cannot be read: No such file or directory (os error 2)
        it listens
    "#]].assert_eq(&lines);
}

/// By TLS a client is let in that knows the host by its CA, and has a token; what is not TLS gets no answer. Another
/// certificate counts for who comes next, and one that cannot be used leaves the one before.
#[tokio::test]
async fn tls_with_a_token() {
    let (files, authority) = (Files::new(), Authority::generate());
    let token_file = Some(files.token(TOKEN));
    let access =
        AccessConfig { token_file, tls: Some(files.tls(&authority, None)), ..AccessConfig::default() };
    let server = Server::start_guarded(fake(), &access);
    let with_token =
        |ca: &Authority| CredentialFiles { token: Some(files.path("token")), ..files.client(ca, None) };
    let members = async |files: &CredentialFiles| tls_client(&server, files).bytes("/v1/members").await;
    let body = members(&with_token(&authority)).await.unwrap();
    contract::check_answer("GET", "/v1/members", 200, "application/json", &body);
    let mut stream = tls_client(&server, &with_token(&authority)).events(None, true).await.unwrap();
    assert_eq!(next(&mut stream).await.kind, "resync");
    publish_up(&server);
    assert_eq!(next(&mut stream).await.kind, "node_up");
    let nobody = members(&files.client(&authority, None)).await.unwrap_err();
    assert_eq!(status(&nobody), 401);
    let stranger = members(&with_token(&Authority::generate())).await.unwrap_err().to_string();
    assert!(stranger.contains("invalid peer certificate: UnknownIssuer"), "{stranger}");
    let plain = connected(&server, "GET /v1/members HTTP/1.0\r\n\r\n").await;
    assert!(!read_all_bytes(plain).await.starts_with(b"HTTP"));

    let next_authority = Authority::generate();
    files.tls(&next_authority, None);
    assert!(members(&with_token(&authority)).await.is_err());
    members(&with_token(&next_authority)).await.unwrap();
    files.put("key.pem", 0o400, "none");
    members(&with_token(&next_authority)).await.unwrap();
    publish_up(&server);
    assert_eq!(next(&mut stream).await.kind, "node_up", "who is there stays");
}

/// With a CA of clients only who has a certificate of it is let in, needs no token, and no site's script but the host's
/// own is answered.
#[tokio::test]
async fn tls_with_certificates() {
    let (files, hosts, clients) = (Files::new(), Authority::generate(), Authority::generate());
    let access = AccessConfig { tls: Some(files.tls(&hosts, Some(&clients))), ..AccessConfig::default() };
    let server = Server::start_guarded(fake(), &access);
    let members = async |files: &CredentialFiles| tls_client(&server, files).bytes("/v1/members").await;
    members(&files.client(&hosts, Some(&clients))).await.unwrap();
    for own in [None, Some(&hosts)] {
        let refused = members(&files.client(&hosts, own)).await.unwrap_err();
        assert!(matches!(refused, ClientError::Unreachable { .. }), "{refused}");
    }
    let credentials = files.client(&hosts, Some(&clients));
    let refused = tls_client(&server, &credentials).post("/v1/reload?dry_run=true").await.unwrap_err();
    assert_eq!(status(&refused), 405);
}

/// What a client cannot use is told with the file.
#[test]
fn credentials() {
    let files = Files::new();
    let address: ApiAddress = "https://localhost:1".parse().unwrap();
    let refusal = |credentials: &CredentialFiles| {
        let refused =
            Client::new(Some(address.clone())).with_credentials(credentials).unwrap_err().to_string();
        refused.replace(files.0.path().to_str().unwrap(), "DIR") + "\n"
    };
    let authority = Authority::generate();
    let mut lines = refusal(&CredentialFiles { ca: Some(files.path("none")), ..CredentialFiles::default() });
    lines += &refusal(&CredentialFiles { token: Some(files.token("x")), ..files.client(&authority, None) });
    let pem = authority.client();
    let readable = (files.put("c.pem", 0o444, &pem.certificate), files.put("c.key", 0o444, &pem.key));
    lines += &refusal(&CredentialFiles { certificate: Some(readable), ..files.client(&authority, None) });
    expect![[r#"
        DIR/none: cannot be read: No such file or directory (os error 2)
        DIR/token: a token has at least 16 letters, digits or signs of ASCII, and no space
        DIR/c.key: its mode 0444 lets others read or change it: chmod 0400 or 0440
    "#]]
    .assert_eq(&lines);
    // A Unix socket asks for none of it.
    let unix: ApiAddress = "unix:x".parse().unwrap();
    let unused = CredentialFiles { token: Some(files.path("none")), ..CredentialFiles::default() };
    assert!(Client::new(Some(unix)).with_credentials(&unused).is_ok());
}
