//! Detached signatures of minisign: `FILE.minisig` beside a plugin file or a lock file.

use std::{
    ffi::OsString,
    fmt, fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use minisign_verify::{Error, PublicKey, Signature};
use rustix::fs::OFlags;
use serde::{Deserialize, Deserializer, de::Error as _};

/// Bytes that a signature's file may have at most: four lines, two of which are comments of anybody's.
const SIGNATURE_BYTES_MAX: u64 = 16 * 1024;

/// A public key of minisign, whose signatures count: the second line of `minisign.pub`.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::TrustedKey;
///
/// let line = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
/// assert_eq!(line.parse::<TrustedKey>()?.to_string(), line);
/// assert!("untrusted comment: minisign public key".parse::<TrustedKey>().is_err());
/// # Ok::<(), cluster_host::plugin::NotAKey>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedKey {
    text: String,
    key: PublicKey,
}

/// Not a public key of minisign.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no public key of minisign: take the second line of minisign.pub")]
pub struct NotAKey(String);

/// Why nobody who is trusted has signed a content. Signing it mends all of these.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("not signed: there is no {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read, or is none.
    #[error("has a signature that cannot be used: {}: {message}", path.display())]
    Unusable {
        /// The signature's file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Somebody else has signed it.
    #[error("signed by a key that is not among plugins.trusted_keys")]
    OtherKey,
    /// What was signed is another content.
    #[error("not what was signed: its signature is of another content")]
    OtherContent,
}

/// Where the signature of a file is: beside it, with `.minisig` appended to its name.
#[must_use]
pub(crate) fn path_of(signed: &Path) -> PathBuf {
    let mut path = OsString::from(signed);
    path.push(".minisig");
    path.into()
}

/// Which of the keys has signed a content, which `read` gives piece by piece; `path` is only where its signature is
/// looked for.
pub(super) fn signer<'a>(
    keys: &'a [TrustedKey],
    path: &Path,
    read: impl Fn(&mut dyn FnMut(&[u8])) -> io::Result<()>,
) -> Result<&'a TrustedKey, SignatureError> {
    let path = path_of(path);
    let unusable = |error: &dyn fmt::Display| SignatureError::Unusable {
        path: path.clone(),
        message: error.to_string(),
    };
    let text = match read_signature(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SignatureError::Missing(path)),
        text => text.map_err(|error| unusable(&error))?,
    };
    let signature = Signature::decode(&text).map_err(|error| unusable(&error))?;
    for key in keys {
        let mut verifier = match key.key.verify_stream(&signature) {
            Ok(verifier) => verifier,
            Err(Error::UnexpectedKeyId) => continue,
            Err(Error::UnsupportedLegacyMode) => {
                return Err(unusable(
                    &"it is of the legacy kind: sign without -l, by minisign 0.11 or newer",
                ));
            }
            Err(error) => return Err(unusable(&error)),
        };
        read(&mut |bytes| verifier.update(bytes)).map_err(|error| unusable(&error))?;
        return verifier.finalize().map(|()| key).map_err(|_error| SignatureError::OtherContent);
    }
    Err(SignatureError::OtherKey)
}

fn read_signature(path: &Path) -> io::Result<String> {
    // Nothing waits for the writer of a FIFO.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let mut text = String::new();
    let read = file.take(SIGNATURE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > SIGNATURE_BYTES_MAX) {
        return Err(io::Error::other(format!("it has more than {SIGNATURE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

// === impl TrustedKey ===

impl FromStr for TrustedKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let key = PublicKey::from_base64(text.trim()).map_err(|_error| NotAKey(text.to_owned()))?;
        Ok(Self { text: text.trim().to_owned(), key })
    }
}

impl<'de> Deserialize<'de> for TrustedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
