//! What TLS needs: authorities, and our own certificate. By ring; no other cryptography is linked.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::{Arc, OnceLock},
};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{error::Trouble, options::HttpOptions};

/// Bytes that a file for TLS may have at most.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A config for one connection. The files are small and connections are few, so that a renewed certificate counts
/// without a restart.
pub(super) fn config(options: &HttpOptions) -> Result<ClientConfig, Trouble> {
    let roots = match &options.ca_file {
        Some(path) => Arc::new(authorities(path)?),
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_root_certificates(roots);
    let mut config = match (&options.client_cert, &options.client_key) {
        (Some(cert), Some(key)) => {
            let chain = CertificateDer::pem_slice_iter(&read(cert)?)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|err| wrong(cert, &err))?;
            let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|err| wrong(key, &err))?;
            builder.with_client_auth_cert(chain, secret).map_err(|err| Trouble::File {
                path: cert.clone(),
                reason: format!("and {key:?} cannot be used together: {err}"),
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn authorities(path: &Path) -> Result<RootCertStore, Trouble> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
        roots.add(certificate.map_err(|err| wrong(path, &err))?).map_err(|err| wrong(path, &err))?;
    }
    if roots.is_empty() {
        return Err(wrong(path, &"it has no certificate"));
    }
    Ok(roots)
}

/// The authorities of the system, read once: there are many.
fn system_roots() -> Result<Arc<RootCertStore>, Trouble> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if reasons.is_empty() { "none found".to_owned() } else { reasons.join(", ") };
        return Err(Trouble::NoRoots(reason));
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    let failed =
        |err: io::Error| Trouble::File { path: path.to_owned(), reason: format!("cannot be read: {err}") };
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Trouble::File { path: path.to_owned(), reason: "is not a regular file".to_owned() });
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// The reasons of the PEM reader never show what is in the file.
fn wrong(path: &Path, reason: &dyn fmt::Display) -> Trouble {
    Trouble::File { path: path.to_owned(), reason: format!("is not the PEM file that is needed: {reason}") }
}

fn tls(err: tokio_rustls::rustls::Error) -> Trouble {
    Trouble::Tls(io::Error::other(err))
}
