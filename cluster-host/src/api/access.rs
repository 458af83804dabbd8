//! Who may ask over TCP: whoever is on this machine, or shows a token, or a certificate.
//!
//! | listens on | reads | writes |
//! |---|---|---|
//! | a Unix socket | its owner | its owner |
//! | loopback | every user of the machine; with a token or `client_ca` only who has one | with one of them and `allow_writes` |
//! | beyond | TLS with a token or `client_ca`; a token alone only with `allow_plaintext` | the same, and `allow_writes` |
//!
//! The files are read again when they change. One that cannot be used any more lets nobody in (a token's), or leaves the
//! one before in use (a certificate's).

use std::{
    fmt, fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::tls::Tls;

/// Tokens that one file may have: more than one while they are exchanged.
const TOKENS_MAX: usize = 8;
/// What a token has at least: less can be guessed.
const TOKEN_BYTES_MIN: usize = 16;
/// What one of the files may have.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// `[api.tls]`: TLS for the API where it listens on a port. The files are PEM, and are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The certificate, followed by those of the intermediate CAs.
    pub certificate: PathBuf,
    /// Its private key, not encrypted, in a file that others cannot read.
    pub key: PathBuf,
    /// CAs: whoever connects must show a certificate of one of them. Without it everybody may connect, and must show a
    /// token.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// What says who may ask, of `[api]`.
///
/// # Examples
///
/// ```
/// use cluster_host::api::AccessConfig;
///
/// let nothing = AccessConfig::default();
/// assert!(!nothing.is_given() && nothing.refusal().is_some());
/// // A token that can be read on its way keeps nobody out …
/// let token = AccessConfig { token_file: Some("token".into()), ..nothing };
/// assert!(token.is_given() && token.refusal().is_some());
/// // … unless something else encrypts.
/// let behind_a_proxy = AccessConfig { allow_plaintext: true, ..token };
/// assert_eq!(behind_a_proxy.refusal(), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessConfig {
    /// The file with the tokens, one a line.
    pub token_file: Option<PathBuf>,
    /// TLS.
    pub tls: Option<TlsConfig>,
    /// Whether who may ask may also change something.
    pub allow_writes: bool,
    /// Whether the token may be sent without TLS to a place that others can reach.
    pub allow_plaintext: bool,
}

/// Why a file that says who may ask cannot be used. Nothing has changed; the operator can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct AccessError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what helps.
    pub why: String,
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    pub(super) token: Option<Arc<TokenFile>>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) allow_writes: bool,
}

/// A file with tokens, and what was in it when it was read last.
pub(super) struct TokenFile {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    stamp: Option<Stamp>,
    tokens: Result<Vec<Hash>, AccessError>,
}

/// Of equal length whatever the token is, so that comparing takes equally long.
type Hash = [u8; 32];

/// Tells one content of a file from the next, by what the system says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64, u64, u64, i64, i64);

// === impl AccessConfig ===

impl AccessConfig {
    /// Whether it says who may ask.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.token_file.is_some() || self.has_client_ca()
    }

    fn has_client_ca(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// What speaks against listening where others can come, if anything does: a clause.
    #[must_use]
    pub fn refusal(&self) -> Option<&'static str> {
        if !self.is_given() {
            Some(
                "others can reach it, and nothing says who may ask: set token_file and tls of [api], or client_ca of \
                 [api.tls] for client certificates (mTLS), or listen on loopback or on a Unix socket",
            )
        } else if self.tls.is_none() && !self.allow_plaintext {
            Some(
                "others could read the token on its way: set certificate and key of [api.tls], or allow_plaintext of \
                 [api] where something else encrypts",
            )
        } else {
            None
        }
    }

    /// Reads the files.
    pub(super) fn load(&self) -> Result<Access, AccessError> {
        Ok(Access {
            token: self.token_file.as_deref().map(TokenFile::load).transpose()?.map(Arc::new),
            tls: self.tls.clone().map(Tls::load).transpose()?.map(Arc::new),
            allow_writes: self.allow_writes && self.is_given(),
        })
    }
}

// === impl Access ===

impl Access {
    /// Whether who asks has to be somebody.
    pub(super) fn is_given(&self) -> bool {
        self.token.is_some() || self.tls.as_ref().is_some_and(|tls| tls.asks_for_certificates())
    }
}

// === impl TokenFile ===

impl TokenFile {
    fn load(path: &Path) -> Result<Self, AccessError> {
        let stamp = Stamp::of(path);
        let tokens = read_tokens(path)?;
        Ok(Self { path: path.to_owned(), known: Mutex::new(Known { stamp, tokens: Ok(tokens) }) })
    }

    /// Whether this is one of the tokens that are in the file now.
    pub(super) fn has(&self, token: &str) -> Result<bool, AccessError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.path);
        if stamp.is_none() || known.stamp != stamp {
            let tokens = read_tokens(&self.path);
            if let Err(error) = &tokens
                && known.tokens.as_ref().err() != Some(error)
            {
                tracing::warn!(err = %error, "the API lets nobody in: its token file cannot be used");
            }
            *known = Known { stamp, tokens };
        }
        let shown = hash(token.as_bytes());
        let tokens = known.tokens.as_ref().map_err(Clone::clone)?;
        // All are compared, so that it tells nobody which one was nearly right.
        let is_one = tokens.iter().fold(Choice::from(0), |is_one, token| is_one | token.ct_eq(&shown));
        Ok(is_one.into())
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The first token of a file: the one to be shown.
pub(crate) fn first_token(path: &Path) -> Result<String, AccessError> {
    parse_tokens(path, |tokens| tokens.first().copied().unwrap_or_default().to_owned())
}

fn read_tokens(path: &Path) -> Result<Vec<Hash>, AccessError> {
    parse_tokens(path, |tokens| tokens.iter().map(|token| hash(token.as_bytes())).collect())
}

fn parse_tokens<T>(path: &Path, take: impl FnOnce(&[&str]) -> T) -> Result<T, AccessError> {
    let wrong = |why: &str| AccessError { path: path.to_owned(), why: why.to_owned() };
    let bytes = read_private(path)?;
    let text = str::from_utf8(&bytes).map_err(|_error| wrong("a token is text"))?;
    let tokens: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_token =
        |token: &&str| token.len() >= TOKEN_BYTES_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if tokens.is_empty() {
        Err(wrong("there is no token in it: write one, as by openssl rand -hex 32"))
    } else if tokens.len() > TOKENS_MAX {
        Err(wrong(&format!(
            "there are {} tokens in it: at most {TOKENS_MAX} are possible, one a line",
            tokens.len()
        )))
    } else if !tokens.iter().all(is_token) {
        Err(wrong(&format!(
            "a token has at least {TOKEN_BYTES_MIN} letters, digits or signs of ASCII, and no space"
        )))
    } else {
        Ok(take(&tokens))
    }
}

/// A file that only its owner and its group can read, and only its owner can change.
pub(super) fn read_private(path: &Path) -> Result<Vec<u8>, AccessError> {
    read(path, |mode| {
        let shared = mode & 0o027;
        (shared != 0).then(|| {
            format!("its mode {:04o} lets others read or change it: chmod 0400 or 0440", mode & 0o7777)
        })
    })
}

/// A file that everybody may read.
pub(super) fn read_public(path: &Path) -> Result<Vec<u8>, AccessError> {
    read(path, |_mode| None)
}

fn read(path: &Path, refused: impl FnOnce(u32) -> Option<String>) -> Result<Vec<u8>, AccessError> {
    let wrong = |why: String| AccessError { path: path.to_owned(), why };
    let unreadable = |error: std::io::Error| wrong(format!("cannot be read: {error}"));
    // What is looked at first is what cannot be opened without waiting.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(wrong("is no regular file".to_owned()));
    }
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if let Some(why) = refused(about.mode()) {
        return Err(wrong(why));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(wrong(format!("has {} bytes: at most {FILE_BYTES_MAX} are read", about.len())));
    }
    let mut bytes = Vec::new();
    (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

// === impl Stamp ===

impl Stamp {
    /// Of what the path leads to now.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        let mode = u64::from(about.mode());
        Some(Self(
            about.ino() ^ mode.rotate_left(48),
            about.dev(),
            about.len(),
            about.ctime(),
            about.ctime_nsec(),
        ))
    }
}
