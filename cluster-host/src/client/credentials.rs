//! What a client shows to a daemon that listens on a port, and whom it takes for that daemon.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::header::HeaderValue;
use rustls::{ClientConfig, crypto::ring};

use crate::api::{
    AccessError, first_token,
    tls::{certificates, private_key, roots},
};

/// Where the CAs are that a system trusts.
const SYSTEM_CAS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The files of a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct CredentialFiles {
    pub(crate) token: Option<PathBuf>,
    /// The CAs of the daemon's certificate; by default the system's.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate, and its key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
}

/// What is in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    /// The value of the header `authorization`.
    pub(super) authorization: Option<HeaderValue>,
    /// Only for a daemon that speaks TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

// === impl Credentials ===

impl Credentials {
    /// Reads the files that are needed.
    pub(super) fn read(files: &CredentialFiles, is_tls: bool) -> Result<Self, AccessError> {
        let authorization = files.token.as_deref().map(authorization).transpose()?;
        let tls = is_tls.then(|| tls(files)).transpose()?;
        Ok(Self { authorization, tls: tls.map(Arc::new) })
    }
}

fn authorization(path: &Path) -> Result<HeaderValue, AccessError> {
    let mut value = HeaderValue::try_from(["Bearer ", &first_token(path)?].concat())
        .map_err(|error| AccessError { path: path.to_owned(), why: error.to_string() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn tls(files: &CredentialFiles) -> Result<ClientConfig, AccessError> {
    let system = || SYSTEM_CAS.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned);
    let ca = files.ca.clone().or_else(system).ok_or_else(|| AccessError {
        path: SYSTEM_CAS[0].into(),
        why: "is not there: say by --ca whose certificate the daemon has".to_owned(),
    })?;
    let wrong =
        |path: &Path, error: rustls::Error| AccessError { path: path.to_owned(), why: error.to_string() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&ca, error))?
        .with_root_certificates(roots(&ca)?);
    match &files.certificate {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| wrong(certificate, error)),
    }
}
