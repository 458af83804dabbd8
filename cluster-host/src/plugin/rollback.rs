//! Going back to the content that a plugin file had before.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use super::{
    content::ContentHash,
    inspect::Inspected,
    listing::PluginFile,
    loader::{self, LoadError},
    registry::Registry,
};
use crate::durable::write_whole;

/// Whoever runs the host reads it, and nobody but its owner writes it.
const MODE: u32 = 0o644;

/// A plugin file that has an earlier content again.
#[derive(Debug)]
pub struct RolledBack {
    /// The file.
    pub path: PathBuf,
    /// What is in it now.
    pub content: ContentHash,
    /// The version of the plugin that this is.
    pub version: String,
}

/// Why a plugin file has the content that it had. The operator can mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// There is no `keep` in `[plugins]`.
    #[error("nothing is kept to go back to: set keep = \"DIR\" in [plugins], and run the host with it")]
    KeepsNothing,
    /// No file in the plugin directory is that plugin's.
    #[error("there is no plugin {name:?} in the plugin directory; there is {}", Known(known))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The plugins that there are.
        known: Vec<String>,
    },
    /// Its file may be loaded, but nothing names its content, and such are not kept.
    #[error("{} is {standing}: only what the lock file or sha256 name is kept", path.display())]
    NotPinned {
        /// The file.
        path: PathBuf,
        /// What its content counts by.
        standing: String,
    },
    /// Nothing is kept, or all that is kept is not named any more.
    #[error(
        "no earlier content of {} is both kept and pinned: kept is what was loaded, pinned what `plugins lock --add` left in the lock file",
        path.display()
    )]
    NothingBefore {
        /// The file.
        path: PathBuf,
    },
    /// What is kept cannot be read any more.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The file cannot be written; it is as it was.
    #[error("{}: cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

struct Known<'a>(&'a [String]);

/// Puts into a plugin's file what it had before: of a pending file what is loaded in its place, else the next of the
/// contents that the lock file names after that of the file, if it is kept. `name` is the plugin's or the file's. A
/// running host goes on as it is, until it looks at its files again.
///
/// # Examples
///
/// ```
/// use cluster_host::{Registry, plugin::{RollbackError, roll_back}};
///
/// // Only what `[plugins] keep` has kept can come back.
/// let registry = Registry::scan("/nonexistent".as_ref());
/// assert!(matches!(roll_back(&registry, "notes"), Err(RollbackError::KeepsNothing)));
/// ```
///
/// # Errors
/// [`RollbackError`]; then the file is as it was.
pub fn roll_back(registry: &Registry, name: &str) -> Result<RolledBack, RollbackError> {
    if registry.pinned_by().keep.is_none() {
        return Err(RollbackError::KeepsNothing);
    }
    let is_meant = |file: &&PluginFile| {
        let plugin = file.result.as_ref().ok().map(|inspected| inspected.identity.plugin.as_str());
        plugin == Some(name) || file.path.file_name().is_some_and(|file| file == name)
    };
    let file = registry.files().iter().find(is_meant).ok_or_else(|| RollbackError::Unknown {
        name: name.to_owned(),
        known: registry.files().iter().map(named).collect(),
    })?;
    let earlier = match (&file.result, &file.pending) {
        (Ok(kept), Some(_)) => kept.clone(),
        (Ok(current), None) => before(registry, file, current)?,
        (Err(_), _) => return Err(RollbackError::NothingBefore { path: file.path.clone() }),
    };
    let (content, inspected) = loader::open(&earlier)?;
    let written = write_whole(&content, &file.path, MODE)
        .and_then(|()| fs::set_permissions(&file.path, Permissions::from_mode(MODE)));
    written.map_err(|error| RollbackError::Write { path: file.path.clone(), error })?;
    let Inspected { identity, content: Some(content), .. } = inspected else {
        return Err(RollbackError::NothingBefore { path: file.path.clone() });
    };
    Ok(RolledBack { path: file.path.clone(), content, version: identity.version })
}

fn before(registry: &Registry, file: &PluginFile, current: &Inspected) -> Result<Inspected, RollbackError> {
    let pins = registry.pins();
    let mut contents = pins.contents(&current.identity.plugin);
    if !contents.any(|content| Some(content) == current.content) {
        let standing = current.standing.to_string();
        return Err(RollbackError::NotPinned { path: file.path.clone(), standing });
    }
    let (keep, name) = (pins.keep(), file.path.file_name());
    contents
        .find_map(|content| keep?.content(name?, content, pins))
        .ok_or_else(|| RollbackError::NothingBefore { path: file.path.clone() })
}

fn named(file: &PluginFile) -> String {
    match &file.result {
        Ok(inspected) => inspected.identity.plugin.clone(),
        Err(_) => file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

impl std::fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "" })?;
        f.write_str(&self.0.join(", "))
    }
}
