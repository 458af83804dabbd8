//! A file as it was at one moment.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::reading::ReadError;

/// What a file has.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) bytes: Vec<u8>,
    pub(super) stamp: Stamp,
}

/// By what another file, or another content, is told without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    place: (u64, u64),
    length: u64,
    changed: [(i64, i64); 2],
}

/// Why a file is of no use. What was known stands.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It is not there.
    #[error("it does not exist; write an empty one where nobody is there")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is larger than was allowed.
    #[error("it has more than {0} bytes: raise file_bytes_max, or is it the right file?")]
    TooLarge(u64),
    /// It says something else than nodes.
    #[error("{0}")]
    Unread(#[from] ReadError),
    /// Some items are no nodes.
    #[error("{0}")]
    Items(String),
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Self, FileError> {
        let failed = |err: io::Error| match err.kind() {
            io::ErrorKind::NotFound => FileError::Missing,
            _ => FileError::Unreadable(err),
        };
        // Asked before opening: opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(FileError::NotAFile);
        }
        let mut file = File::open(path).map_err(failed)?;
        let stamp = Stamp::from(&file.metadata().map_err(failed)?);
        let mut bytes = Vec::new();
        file.by_ref().take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
            return Err(FileError::TooLarge(bytes_max));
        }
        Ok(Self { bytes, stamp })
    }
}

// === impl Stamp ===

impl Stamp {
    /// Of what is at a path now, if it can be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            place: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            changed: [(metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())],
        }
    }
}
