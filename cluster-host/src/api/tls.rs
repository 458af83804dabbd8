//! TLS where the API listens on a port. Nothing here is touched where none is configured.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::access::{AccessError, Stamp, TlsConfig, read_private, read_public};

/// What the application protocol is called.
const HTTP1: &[u8] = b"http/1.1";

/// The server's side, with the files as they were when they were read last.
pub(super) struct Tls {
    config: TlsConfig,
    known: Mutex<Known>,
}

struct Known {
    stamps: [Option<Stamp>; 3],
    server: Arc<ServerConfig>,
}

// === impl Tls ===

impl Tls {
    /// Reads the files.
    pub(super) fn load(config: TlsConfig) -> Result<Self, AccessError> {
        let stamps = stamps(&config);
        let server = Arc::new(server(&config)?);
        Ok(Self { config, known: Mutex::new(Known { stamps, server }) })
    }

    pub(super) fn asks_for_certificates(&self) -> bool {
        self.config.client_ca.is_some()
    }

    /// Speaks TLS with who has connected, by the files as they are now. One that cannot be used leaves those before in
    /// use, and is told of.
    pub(super) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let server = self.server();
        Ok(TlsStream::Server(TlsAcceptor::from(server).accept(socket).await?))
    }

    fn server(&self) -> Arc<ServerConfig> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.config);
        if known.stamps != now {
            known.stamps = now;
            match server(&self.config) {
                Ok(server) => known.server = Arc::new(server),
                Err(error) => {
                    tracing::warn!(err = %error, "the API goes on with the certificate that it had");
                }
            }
        }
        Arc::clone(&known.server)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

fn stamps(config: &TlsConfig) -> [Option<Stamp>; 3] {
    [Some(&config.certificate), Some(&config.key), config.client_ca.as_ref()].map(|path| Stamp::of(path?))
}

fn server(config: &TlsConfig) -> Result<ServerConfig, AccessError> {
    let wrong =
        |path: &Path, why: &dyn fmt::Display| AccessError { path: path.to_owned(), why: why.to_string() };
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&config.certificate, &error))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(path, &error))?)
        }
    };
    let (chain, key) = (certificates(&config.certificate)?, private_key(&config.key)?);
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&config.certificate, &format_args!("does not go with the key: {error}")))?;
    // Whoever comes again is checked again, by the CAs of then.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    server.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(server)
}

/// The CAs of a file.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(AccessError {
            path: path.to_owned(),
            why: "no certificate in it can be a CA's".to_owned(),
        });
    }
    Ok(roots)
}

/// The certificates of a file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let wrong = |why: String| AccessError { path: path.to_owned(), why };
    let bytes = read_public(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|error| wrong(format!("is not PEM: {error}")))?;
    if certificates.is_empty() {
        Err(wrong("there is no certificate in it".to_owned()))
    } else {
        Ok(certificates)
    }
}

/// The private key of a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, AccessError> {
    let bytes = read_private(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let why = format!("there is no private key in it that can be read without a password: {error}");
        AccessError { path: path.to_owned(), why }
    })
}
