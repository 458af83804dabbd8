//! Looks at a plugin file without loading it: no code of the plugin runs.

use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use cluster_sdk::abi::handshake::HANDSHAKE_BYTES;
use object::ReadCache;
use rustix::{
    fs::{AtFlags, Mode, OFlags, fstat, open, openat, statat},
    io::Errno,
};

use super::{
    elf,
    identity::Identity,
    machine,
    refusal::{Reason, Refusal},
    trust,
};

/// Bytes that a plugin file may have at most.
pub const PLUGIN_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A plugin file that may be loaded.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Who it is.
    pub identity: Identity,
    /// The symbol by which it is entered.
    pub(super) symbol: String,
    /// What is expected at that symbol once the file is loaded.
    pub(super) handshake: [u8; HANDSHAKE_BYTES],
    /// Which file it is, whatever its name.
    pub(super) stamp: Stamp,
}

/// Tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// A directory whose files only root and we can exchange.
#[derive(Debug)]
pub(super) struct Directory(File);

/// Looks at one file.
///
/// # Errors
/// A [`Refusal`] with the first thing that speaks against loading it.
pub fn inspect(path: &Path) -> Result<Inspected, Refusal> {
    open_inspected(path).map(|(_, inspected)| inspected)
}

/// Looks at one file and keeps it open, so that what is loaded is what was looked at.
pub(super) fn open_inspected(path: &Path) -> Result<(File, Inspected), Refusal> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Directory::open(directory)
        .and_then(|directory| directory.inspect(path))
        .map_err(|reason| Refusal { path: path.to_owned(), reason })
}

// === impl Directory ===

impl Directory {
    /// Opens a directory after having checked it and all above it.
    pub(super) fn open(path: &Path) -> Result<Self, Reason> {
        let path = trust::check_directory(path)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = open(&path, flags, Mode::empty()).map_err(unreadable)?;
        Ok(Self(descriptor.into()))
    }

    /// Looks at one file in the directory, named by the last part of `path`.
    pub(super) fn inspect(&self, path: &Path) -> Result<(File, Inspected), Reason> {
        let file = self.open_file(path)?;
        let metadata = file.metadata().map_err(Reason::Unreadable)?;
        if metadata.len() > PLUGIN_BYTES_MAX {
            return Err(Reason::TooLarge { bytes: metadata.len() });
        }
        let plugin = elf::read(&ReadCache::new(&file))?;
        let identity = Identity::parse(&plugin.symbol, &plugin.handshake)?;
        check_machine(&identity, plugin.glibc_needed)?;
        let inspected = Inspected {
            path: path.to_owned(),
            identity,
            symbol: plugin.symbol,
            handshake: plugin.handshake,
            stamp: Stamp::of(&metadata),
        };
        Ok((file, inspected))
    }

    fn open_file(&self, path: &Path) -> Result<File, Reason> {
        let name = path
            .file_name()
            .ok_or_else(|| Reason::Unreadable(std::io::Error::other("the path names no file")))?;
        // Before opening, because merely opening a device or a FIFO can have effects.
        trust::check_file(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::LOOP) => return Err(Reason::Symlink),
            Err(error) => return Err(unreadable(error)),
        };
        trust::check_file(&fstat(&file).map_err(unreadable)?)?;
        Ok(file.into())
    }
}

// === impl Stamp ===

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Whether the plugin can work on this machine and in this host.
fn check_machine(identity: &Identity, glibc_needed: Option<machine::GlibcVersion>) -> Result<(), Reason> {
    let ours = machine::target();
    if identity.target != ours {
        return Err(Reason::OtherTarget { theirs: identity.target.clone(), ours: ours.to_owned() });
    }
    if let (Some(needed), Some(have)) = (glibc_needed, machine::glibc())
        && needed > have
    {
        return Err(Reason::GlibcTooOld { needed, have });
    }
    if !identity.unwinds {
        return Err(Reason::PanicAborts);
    }
    if identity.features_needed != 0 {
        return Err(Reason::FeaturesMissing(identity.features_needed));
    }
    let lacking = machine::cpu_lacks(identity.cpu_features);
    if !lacking.is_empty() {
        return Err(Reason::CpuLacks(lacking));
    }
    Ok(())
}

fn unreadable(error: Errno) -> Reason {
    Reason::Unreadable(error.into())
}
