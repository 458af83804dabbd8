//! The plugin files of a directory: of each, what is loaded for it, or why nothing is.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    inspect::{Directory, Inspected, in_directory},
    pins::Pins,
    refusal::Refusal,
};

/// Plugin files that a directory may hold at most; more are not looked at.
pub const PLUGIN_FILES_MAX: usize = 256;

/// A file of the plugin directory.
#[derive(Debug)]
pub struct PluginFile {
    /// The directory as it was named, and the file's name.
    pub path: PathBuf,
    /// What is loaded for it, or why it is not loaded.
    pub result: Result<Inspected, Refusal>,
    /// Why the file itself is not loaded, but what was kept of it from before.
    pub pending: Option<Refusal>,
}

/// What is wrong with the directory as a whole. The operator can mend it; what is linked in works without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It does not exist or cannot be read.
    #[error("the plugin directory {} cannot be read: {error}", directory.display())]
    Unreadable {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The first [`PLUGIN_FILES_MAX`] by name were looked at.
    #[error("the plugin directory {} has {files} plugin files: only the first {PLUGIN_FILES_MAX} are looked at", directory.display())]
    TooMany {
        /// The directory.
        directory: PathBuf,
        /// How many there are.
        files: usize,
    },
}

/// Looks at all plugin files of a directory, running none of their code.
pub(super) fn list(directory: &Path, pins: &Pins) -> (Vec<PluginFile>, Option<DirectoryError>) {
    let mut names = match plugin_names(directory) {
        Ok(names) => names,
        Err(error) => {
            return (Vec::new(), Some(DirectoryError::Unreadable { directory: directory.to_owned(), error }));
        }
    };
    let files = names.len();
    let too_many = files > PLUGIN_FILES_MAX;
    names.truncate(PLUGIN_FILES_MAX);
    let problem = too_many.then(|| DirectoryError::TooMany { directory: directory.to_owned(), files });
    // What is wrong with the directory is told of each file: that is where an operator looks.
    let opened = Directory::open(directory);
    let file = |name: OsString| {
        let path = directory.join(name);
        let admit = |directory: &Directory| pins.admit(directory, &path);
        let result = match &opened {
            Ok(opened) => admit(opened).map_err(|reason| Refusal { path: path.clone(), reason }),
            Err(_) => in_directory(&path, admit),
        };
        PluginFile::of(path, result, pins)
    };
    (names.into_iter().map(file).collect(), problem)
}

// === impl PluginFile ===

impl PluginFile {
    fn of(path: PathBuf, result: Result<Inspected, Refusal>, pins: &Pins) -> Self {
        let kept = || pins.keep()?.last_good(path.file_name()?, pins);
        match result {
            Ok(inspected) => Self { path, result: Ok(inspected), pending: None },
            Err(refusal) => match kept() {
                Some(kept) => Self { path, result: Ok(kept), pending: Some(refusal) },
                None => Self { path, result: Err(refusal), pending: None },
            },
        }
    }
}

/// Names of the files in a directory that may be plugins, sorted.
fn plugin_names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if Path::new(&name).extension() == Some(OsStr::new("so")) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
