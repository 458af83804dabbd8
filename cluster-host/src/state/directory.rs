//! The directory: whose it is, that one host alone writes there, and the names in it.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::geteuid,
};
use tracing::warn;

use super::{DAMAGED_MAX, StateError};
use crate::takeover;

const SNAPSHOT: &str = "snapshot";
const JOURNAL: &str = "journal";
const DAMAGED: &str = "damaged";
/// What a file is called until it is whole.
const NEW: &str = "new";
const LOCK: &str = "lock";
const DIRECTORY_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;
const OTHERS_WRITE: u32 = 0o022;
const PERMISSIONS: u32 = 0o7777;

/// The directory, as long as it is this host's.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Its lock, which the system gives back however the host ends.
    _lock: File,
}

// === impl Directory ===

impl Directory {
    /// Makes the directory if it is not there, and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, StateError> {
        let unusable = |path: &Path, error| StateError::Unusable { path: path.to_owned(), error };
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map_err(|error| unusable(path, error))?;
        let metadata = fs::metadata(path).map_err(|error| unusable(path, error))?;
        let (uid, euid, mode) = (metadata.uid(), geteuid().as_raw(), metadata.mode() & PERMISSIONS);
        if uid != euid && uid != 0 {
            return Err(StateError::Foreign { path: path.to_owned(), uid, euid });
        }
        if mode & OTHERS_WRITE != 0 {
            return Err(StateError::Writable { path: path.to_owned(), mode });
        }
        let file = path.join(LOCK);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let lock = options.open(&file).map_err(|error| unusable(&file, error))?;
        let attempt = || flock(&lock, FlockOperation::NonBlockingLockExclusive);
        match takeover::take(attempt, |error| *error == Errno::WOULDBLOCK) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(StateError::Locked { path: path.to_owned() }),
            Err(error) => Err(unusable(&file, error.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn snapshot(&self, generation: u64) -> PathBuf {
        self.path.join(format!("{generation:010}.{SNAPSHOT}"))
    }

    pub(super) fn journal(&self, generation: u64) -> PathBuf {
        self.path.join(format!("{generation:010}.{JOURNAL}"))
    }

    /// The generations of which there is a file, in their order. Files that never became whole are removed.
    pub(super) fn generations(&self) -> io::Result<BTreeSet<u64>> {
        let mut generations = BTreeSet::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            match (stem, extension) {
                (Some(stem), Some(SNAPSHOT | JOURNAL)) => generations.extend(stem.parse::<u64>().ok()),
                (Some(stem), Some(NEW)) if stem.ends_with(SNAPSHOT) => fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok(generations)
    }

    /// Removes what there is of a generation.
    pub(super) fn remove(&self, generation: u64) {
        for file in [self.snapshot(generation), self.journal(generation)] {
            if let Err(error) = fs::remove_file(&file)
                && error.kind() != io::ErrorKind::NotFound
            {
                warn!(file = %file.display(), err = %error, "a file of the state directory cannot be removed");
            }
        }
    }

    /// Gives a damaged file another name, so that it can be looked at. Gives that name.
    pub(super) fn set_aside(&self, file: &Path) -> PathBuf {
        let aside = file.with_added_extension(DAMAGED);
        if let Err(error) = fs::rename(file, &aside) {
            warn!(file = %file.display(), err = %error, "a damaged file of the state directory cannot be renamed");
        }
        self.limit_damaged();
        aside
    }

    fn limit_damaged(&self) {
        let files = fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_damaged = |path: &PathBuf| path.extension().is_some_and(|extension| extension == DAMAGED);
        // By number, which is by age.
        let damaged: BTreeSet<PathBuf> = files.filter(is_damaged).collect();
        for file in damaged.iter().take(damaged.len().saturating_sub(DAMAGED_MAX)) {
            let _there_is_time = fs::remove_file(file);
        }
    }

    /// Has the names in the directory on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
