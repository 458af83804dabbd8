//! What the configuration says of which contents may be loaded: `[plugins]`, the lock file, and who must have signed.
//!
//! | what names or signs a plugin | its content may be loaded when |
//! |---|---|
//! | `sha256` or the lock file, by its name | it has one of the hashes there |
//! | neither, but there are trusted keys | one of them has signed the file |
//! | nothing | `allow_unpinned`, and nothing named offers what it offers |

use std::{
    fmt,
    fs::{self, File},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{
    content::{self, ContentHash},
    identity::Identity,
    inspect::{Directory, Inspected},
    keep::Keep,
    lock::{Lock, LockError},
    refusal::{Reason, Refusal},
    signature::{self, SignatureError, TrustedKey},
};
use crate::config::PluginsConfig;

/// Why a content may be loaded.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::Standing;
///
/// assert_eq!(Standing::default().to_string(), "unpinned");
/// assert_eq!(Standing::Locked { signed_by: None }.to_string(), "locked");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Standing {
    /// Nothing names it: only root and the host's user can have written it.
    #[default]
    Unpinned,
    /// The configuration has its hash.
    Pinned,
    /// The lock file has it.
    Locked {
        /// The trusted key that has signed the lock file.
        signed_by: Option<String>,
    },
    /// A trusted key has signed it.
    Signed {
        /// The key.
        by: String,
    },
}

/// Why it cannot be said which plugins may be loaded. None is; the operator can mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinsError {
    /// The lock file cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else could write to the lock file.
    #[error("the lock file {0}")]
    Unprotected(#[from] Refusal),
    /// The lock file must be signed, and nobody who is trusted has signed what is in it.
    #[error("the lock file {} is {error}; run {}", path.display(), sign_command(path))]
    Unsigned {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: SignatureError,
    },
}

/// Which contents may be loaded.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins {
    config: PluginsConfig,
    lock: Lock,
    lock_signed_by: Option<String>,
}

// === impl Pins ===

impl Pins {
    /// Reads the lock file that is configured, and checks its signature where keys are.
    pub(super) fn load(config: &PluginsConfig) -> Result<Self, PinsError> {
        let mut pins = Self { config: config.clone(), ..Self::default() };
        if let Some(path) = &config.lock {
            (pins.lock, pins.lock_signed_by) = match config.trusted_keys.as_slice() {
                [] => (protected_lock(path)?, None),
                keys => signed_lock(path, keys)?,
            };
        }
        Ok(pins)
    }

    /// What was configured.
    pub(super) fn config(&self) -> &PluginsConfig {
        &self.config
    }

    /// The copies of good contents, where they are kept.
    pub(super) fn keep(&self) -> Option<Keep<'_>> {
        self.config.keep.as_deref().map(Keep::new)
    }

    /// Takes a file of a directory, or says why not. Where anything is pinned it looks at a copy that nobody can change,
    /// and at all of it.
    pub(super) fn admit(&self, directory: &Directory, path: &Path) -> Result<Inspected, Reason> {
        if !self.config.pins_anything() && self.config.allows_unpinned() {
            return directory.inspect(path).map(|(_, inspected)| inspected);
        }
        let (file, mut inspected) = directory.inspect_content(path)?;
        inspected.standing = self.standing(&file, &inspected)?;
        Ok(inspected)
    }

    /// Takes a copy of an earlier content, which must be named still.
    pub(super) fn admit_kept(&self, directory: &Directory, path: &Path) -> Option<Inspected> {
        let (_, mut inspected) = directory.inspect_content(path).ok()?;
        inspected.standing = self.named(&inspected.identity, inspected.content?)?;
        Some(inspected)
    }

    /// Whether a plugin of any name may have this content.
    pub(super) fn has(&self, content: ContentHash) -> bool {
        let pinned = self.config.sha256.values().flat_map(|hashes| &hashes.0);
        pinned.chain(self.lock.contents.iter().map(|locked| &locked.sha256)).any(|other| *other == content)
    }

    /// The contents that a plugin may have, the newest first.
    pub(super) fn contents(&self, plugin: &str) -> impl Iterator<Item = ContentHash> {
        let pinned = self.config.sha256.get(plugin).into_iter().flat_map(|hashes| &hashes.0);
        let locked = self.lock.contents.iter().filter(move |locked| locked.name == plugin);
        pinned.copied().chain(locked.map(|locked| locked.sha256))
    }

    /// The command after which what is in a directory is in the lock file.
    pub(super) fn lock_command(&self, directory: &Path) -> String {
        let lock = self.config.lock.as_deref().unwrap_or_else(|| Path::new("plugins.lock"));
        let (directory, file) = (directory.display(), lock.display());
        let mut command = format!("cluster-host plugins lock --add --plugins {directory} --output {file}");
        if !self.config.trusted_keys.is_empty() {
            command.push_str(" && ");
            command.push_str(&sign_command(lock));
        }
        if self.config.lock.is_none() {
            command.push_str(", and set lock in [plugins]");
        }
        command
    }

    fn standing(&self, file: &File, inspected: &Inspected) -> Result<Standing, Reason> {
        let Inspected { identity, content, path, .. } = inspected;
        let command = || self.lock_command(path.parent().unwrap_or_else(|| Path::new(".")));
        let Some(content) = content else {
            return Err(Reason::Unpinned { command: command() });
        };
        if let Some(standing) = self.named(identity, *content) {
            return Ok(standing);
        }
        if self.contents(&identity.plugin).next().is_some() {
            let (plugin, content) = (identity.plugin.clone(), *content);
            return Err(Reason::OtherContent { plugin, content, command: command() });
        }
        if !self.config.trusted_keys.is_empty() {
            let read = |each: &mut dyn FnMut(&[u8])| content::read_chunks(file, each);
            match signature::signer(&self.config.trusted_keys, path, read) {
                Ok(key) => return Ok(Standing::Signed { by: key.to_string() }),
                Err(SignatureError::Missing(_)) if self.config.allows_unpinned() => {}
                Err(error) => return Err(Reason::Unsigned(error)),
            }
        }
        if !self.config.allows_unpinned() {
            return Err(Reason::Unpinned { command: command() });
        }
        match self.taken_offer(identity) {
            Some((offer, owner)) => Err(Reason::TakesOffer { offer, owner, command: command() }),
            None => Ok(Standing::Unpinned),
        }
    }

    fn named(&self, identity: &Identity, content: ContentHash) -> Option<Standing> {
        let is_pinned = |hashes: &crate::config::Hashes| hashes.0.contains(&content);
        if self.config.sha256.get(&identity.plugin).is_some_and(is_pinned) {
            return Some(Standing::Pinned);
        }
        let is_locked = self.contents(&identity.plugin).any(|other| other == content);
        is_locked.then(|| Standing::Locked { signed_by: self.lock_signed_by.clone() })
    }

    /// What a plugin offers although the lock file says that another one does, which it names.
    fn taken_offer(&self, identity: &Identity) -> Option<(String, String)> {
        let offers: Vec<_> = identity.offers.iter().map(|o| format!("{} {}", o.kind, o.name)).collect();
        self.lock.contents.iter().find_map(|locked| {
            let offer = locked.offers.iter().find(|offer| offers.contains(offer))?;
            Some((offer.clone(), locked.name.clone()))
        })
    }
}

/// A lock file that nobody has to have signed: as with plugins, only root and we may be able to write to it. A
/// symbolic link to it is followed first, as mounts of Kubernetes have it.
fn protected_lock(path: &Path) -> Result<Lock, PinsError> {
    let refused = |reason| Refusal { path: path.to_owned(), reason };
    let resolved = path.canonicalize().map_err(|error| unreadable(path, error))?;
    let directory = resolved.parent().unwrap_or_else(|| Path::new("/"));
    let file = Directory::open(directory).and_then(|directory| directory.open_file(&resolved));
    let text = Lock::text(&file.map_err(refused)?, path)?;
    Ok(Lock::parse(&text, path)?)
}

/// A lock file that counts by who has signed it, wherever it is.
fn signed_lock(path: &Path, keys: &[TrustedKey]) -> Result<(Lock, Option<String>), PinsError> {
    // Nothing waits for the writer of a FIFO.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let text = Lock::text(&file.map_err(|error| unreadable(path, error))?, path)?;
    let read = |each: &mut dyn FnMut(&[u8])| {
        each(text.as_bytes());
        Ok(())
    };
    let signer = signature::signer(keys, path, read)
        .map_err(|error| PinsError::Unsigned { path: path.to_owned(), error })?;
    Ok((Lock::parse(&text, path)?, Some(signer.to_string())))
}

fn unreadable(path: &Path, error: std::io::Error) -> LockError {
    LockError::Unreadable { path: path.to_owned(), error }
}

/// The command that signs a file.
pub(crate) fn sign_command(path: &Path) -> String {
    format!("minisign -S -m {}", path.display())
}

// === impl Standing ===

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpinned => f.write_str("unpinned"),
            Self::Pinned => f.write_str("pinned"),
            Self::Locked { signed_by: None } => f.write_str("locked"),
            Self::Locked { signed_by: Some(key) } => write!(f, "locked, signed by {key}"),
            Self::Signed { by } => write!(f, "signed by {by}"),
        }
    }
}

#[cfg(test)]
mod tests;
