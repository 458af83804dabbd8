//! Copies of the contents that were loaded last, so that they survive the file they came from.
//!
//! ```text
//! DIR/                         mode 0700
//!   libstrategy_ec2.so/        a file of the plugin directory
//!     9f86d0….so               a content of it, by its SHA-256
//! ```
//!
//! Whoever puts a new file into the plugin directory takes away the old one, and the new one may come before the lock
//! file that names it. Then the copy is loaded, after the same checks as any file; it must be named still.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

use super::{
    content::ContentHash,
    inspect::{Directory, Inspected},
    loader,
    pins::Pins,
};
use crate::durable;

/// Contents of one plugin file that are kept at most, the one in use among them.
pub const KEPT_CONTENTS_MAX: usize = 4;
/// Bytes that are kept of all plugin files together, unless the one in use has more alone.
pub const KEPT_BYTES_MAX: u64 = 512 * 1024 * 1024;

const DIRECTORY_MODE: u32 = 0o700;
const MODE: u32 = 0o600;

/// The directory of kept contents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep<'a>(&'a Path);

/// A kept content.
struct Kept {
    path: PathBuf,
    content: ContentHash,
    bytes: u64,
    used: SystemTime,
}

// === impl Keep ===

impl<'a> Keep<'a> {
    pub(super) const fn new(directory: &'a Path) -> Self {
        Self(directory)
    }

    /// The content of a plugin file that was used last, of those that are named still.
    pub(super) fn last_good(self, file: &OsStr, pins: &Pins) -> Option<Inspected> {
        let mut kept = contents(&self.0.join(file)).ok()?;
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        kept.iter().filter(|kept| pins.has(kept.content)).find_map(|kept| admitted(kept, pins))
    }

    /// A certain content of a plugin file, where it is kept and named still.
    pub(super) fn content(self, file: &OsStr, content: ContentHash, pins: &Pins) -> Option<Inspected> {
        let kept = contents(&self.0.join(file)).ok()?;
        admitted(kept.iter().find(|kept| kept.content == content)?, pins)
    }

    /// Keeps a content that is in use, and lets go of the oldest ones beyond the limits.
    pub(super) fn store(self, inspected: &Inspected, content: ContentHash) -> io::Result<()> {
        let copy = format!("{content}.so");
        let is_copy = inspected.path.parent().and_then(Path::parent) == Some(self.0);
        if is_copy && inspected.path.ends_with(&copy) {
            return touch(&inspected.path);
        }
        let name = inspected.path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let directory = self.0.join(name);
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&directory)?;
        let path = directory.join(copy);
        if path.exists() {
            touch(&path)?;
        } else {
            let (file, _) = loader::open(inspected).map_err(io::Error::other)?;
            durable::write_whole(&file, &path, MODE)?;
        }
        self.prune(&directory, &path)
    }

    fn prune(self, directory: &Path, in_use: &Path) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            // A copy that the end of a host kept from being made.
            if path.extension() == Some(OsStr::new("new")) {
                fs::remove_file(path)?;
            }
        }
        let old_first = |mut kept: Vec<Kept>| {
            kept.retain(|kept| kept.path != in_use);
            kept.sort_by_key(|kept| kept.used);
            kept
        };
        let of_file = old_first(contents(directory)?);
        let beyond = (of_file.len() + 1).saturating_sub(KEPT_CONTENTS_MAX);
        for kept in of_file.iter().take(beyond) {
            fs::remove_file(&kept.path)?;
        }
        let mut all = Vec::new();
        for entry in fs::read_dir(self.0)? {
            all.extend(contents(&entry?.path()).unwrap_or_default());
        }
        let mut bytes: u64 = all.iter().map(|kept| kept.bytes).sum();
        for kept in old_first(all) {
            if bytes <= KEPT_BYTES_MAX {
                break;
            }
            fs::remove_file(&kept.path)?;
            bytes = bytes.saturating_sub(kept.bytes);
        }
        Ok(())
    }
}

fn admitted(kept: &Kept, pins: &Pins) -> Option<Inspected> {
    let directory = Directory::open(kept.path.parent()?).ok()?;
    // A copy that is not what its name says is none.
    pins.admit_kept(&directory, &kept.path).filter(|inspected| inspected.content == Some(kept.content))
}

/// What is kept of one plugin file.
fn contents(directory: &Path) -> io::Result<Vec<Kept>> {
    let mut contents = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".so"));
        let Some(Ok(content)) = name.map(str::parse) else { continue };
        let metadata = entry.metadata()?;
        contents.push(Kept { path, content, bytes: metadata.len(), used: metadata.modified()? });
    }
    Ok(contents)
}

/// Says that a content is in use now.
fn touch(path: &Path) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(futimens(File::open(path)?, &Timestamps { last_access: now, last_modification: now })?)
}
