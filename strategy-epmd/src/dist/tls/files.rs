//! The PEM files that the options name.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

use super::TlsError;

/// Bytes that a file may have at most: a bundle of all public CAs has a quarter of it.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// This side's certificate, those of the CAs between, and the key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) refused: Refused,
}

/// The files to name where rustls does not take what is in them.
pub(super) struct Refused {
    certfile: PathBuf,
    keyfile: PathBuf,
}

// === impl Identity ===

impl Identity {
    /// Reads both files; `key` is the option that names the key's, and its file.
    pub(super) fn read(certfile: &Path, key: (&'static str, &Path)) -> Result<Self, TlsError> {
        let chain = certificates("certfile", certfile)?;
        let refused = Refused { certfile: certfile.to_owned(), keyfile: key.1.to_owned() };
        Ok(Self { chain, key: private_key(key)?, refused })
    }
}

// === impl Refused ===

impl Refused {
    pub(super) fn because(self, error: rustls::Error) -> TlsError {
        let Self { certfile, keyfile } = self;
        match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch { certfile, keyfile },
            source => TlsError::Identity { certfile, keyfile, source },
        }
    }
}

/// The CAs that are trusted.
pub(super) fn roots(cacertfile: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates("cacertfile", cacertfile)?) {
        let path = || cacertfile.to_owned();
        roots.add(certificate).map_err(|source| TlsError::Ca { path: path(), number, source })?;
    }
    Ok(roots)
}

/// The permissions of a file, of the one that a symbolic link leads to.
pub(super) fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|file| file.permissions().mode())
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(option, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates =
        certificates.map_err(|source| TlsError::Pem { option, path: path.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { option, path: path.to_owned() });
    }
    Ok(certificates)
}

fn private_key((option, path): (&'static str, &Path)) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(option, path)?;
    let path = path.to_owned();
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        // Both ways of encrypting a key say it in these words.
        Err(_) if pem.windows(9).any(|window| window == b"ENCRYPTED") => {
            Err(TlsError::EncryptedKey { option, path })
        }
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { option, path }),
        Err(source) => Err(TlsError::Pem { option, path, source }),
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    read_regular(path).map_err(|source| TlsError::File { option, path: path.to_owned(), source })
}

fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
