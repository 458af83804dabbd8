//! Looks at a plugin file without loading it: no code of the plugin runs.

use std::{
    fs::File,
    io::Seek as _,
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
    content::{self, ContentHash},
    elf,
    identity::Identity,
    machine::{self, GlibcVersion},
    pins::Standing,
    refusal::{Reason, Refusal},
    registry::Origin,
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
    /// The newest glibc of which it uses something.
    pub glibc_needed: Option<GlibcVersion>,
    /// The hash of its content, where all of it was looked at: then nothing else is loaded.
    pub content: Option<ContentHash>,
    /// Why it may be loaded.
    pub standing: Standing,
    /// The symbol by which it is entered.
    pub(super) symbol: String,
    /// What is expected at that symbol once the file is loaded.
    pub(super) handshake: [u8; HANDSHAKE_BYTES],
    /// Which file it is, whatever its name.
    pub(crate) stamp: Stamp,
}

/// Tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
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
/// # Examples
///
/// ```
/// use cluster_host::plugin::{Reason, inspect};
///
/// let directory = tempfile::tempdir()?;
/// let file = directory.path().join("libnotes.so");
/// std::fs::write(&file, "not a library")?;
/// let refusal = inspect(&file).unwrap_err();
/// assert!(matches!(refusal.reason, Reason::NotElf(_)));
/// assert!(refusal.to_string().starts_with(&format!("{}: not a shared library", file.display())));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// A [`Refusal`] with the first thing that speaks against loading it.
pub fn inspect(path: &Path) -> Result<Inspected, Refusal> {
    open_inspected(path).map(|(_, inspected)| inspected)
}

/// Looks at one file as [`inspect`] does, and at all of its content, of which it gives the hash.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::{Reason, inspect_content};
///
/// let directory = tempfile::tempdir()?;
/// let file = directory.path().join("libempty.so");
/// std::fs::write(&file, "")?;
/// // Where nothing speaks against it, `Inspected::content` is there.
/// let refusal = inspect_content(&file).unwrap_err();
/// assert!(matches!(refusal.reason, Reason::Empty));
/// assert_eq!(refusal.remedy().as_deref(), Some("copy or build it again"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// As [`inspect`].
pub fn inspect_content(path: &Path) -> Result<Inspected, Refusal> {
    in_directory(path, |directory| directory.inspect_content(path)).map(|(_, inspected)| inspected)
}

/// Looks at one file and keeps it open, so that what is loaded is what was looked at.
pub(super) fn open_inspected(path: &Path) -> Result<(File, Inspected), Refusal> {
    in_directory(path, |directory| directory.inspect(path))
}

/// The same with a copy of its content that nobody can change.
pub(super) fn open_content(path: &Path) -> Result<(File, Inspected), Refusal> {
    in_directory(path, |directory| directory.inspect_content(path))
}

/// Does something with the directory of a file, after having checked it and all above it.
pub(super) fn in_directory<T>(
    path: &Path,
    look: impl FnOnce(&Directory) -> Result<T, Reason>,
) -> Result<T, Refusal> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Directory::open(directory)
        .and_then(|directory| look(&directory))
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
        let inspected = inspect_open(&file, path)?;
        Ok((file, inspected))
    }

    /// Looks at a copy of its content that nobody can change, and gives it at its beginning.
    pub(super) fn inspect_content(&self, path: &Path) -> Result<(File, Inspected), Reason> {
        let mut copy = content::seal(&self.open_file(path)?)?;
        let mut inspected = inspect_open(&copy, path)?;
        inspected.content = Some(ContentHash::of(&copy).map_err(Reason::Unreadable)?);
        copy.rewind().map_err(Reason::Unreadable)?;
        Ok((copy, inspected))
    }

    /// Opens a file in the directory to which only root and we can write.
    pub(super) fn open_file(&self, path: &Path) -> Result<File, Reason> {
        let name = path
            .file_name()
            .ok_or_else(|| Reason::Unreadable(std::io::Error::other("the path names no file")))?;
        // Before opening, because merely opening a device or a FIFO can have effects.
        let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?;
        trust::check_file(&stat).map_err(|reason| with_target(reason, path))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::LOOP) => return Err(with_target(Reason::Symlink { target: None }, path)),
            Err(error) => return Err(unreadable(error)),
        };
        let stat = fstat(&file).map_err(unreadable)?;
        trust::check_file(&stat)?;
        match u64::try_from(stat.st_size) {
            Ok(bytes) if bytes > PLUGIN_BYTES_MAX => Err(Reason::TooLarge { bytes }),
            _ => Ok(file.into()),
        }
    }
}

/// Says what a symbolic link points at, for whoever has to put that in its place.
fn with_target(reason: Reason, path: &Path) -> Reason {
    match reason {
        Reason::Symlink { .. } => Reason::Symlink { target: path.canonicalize().ok() },
        other => other,
    }
}

/// Looks at an open file or at a copy of it.
pub(crate) fn inspect_open(file: &File, path: &Path) -> Result<Inspected, Reason> {
    let plugin = elf::read(&ReadCache::new(file))?;
    let identity = Identity::parse(&plugin.symbol, &plugin.handshake)?;
    check_machine(&identity, plugin.glibc_needed)?;
    Ok(Inspected {
        path: path.to_owned(),
        identity,
        glibc_needed: plugin.glibc_needed,
        content: None,
        standing: Standing::Unpinned,
        symbol: plugin.symbol,
        handshake: plugin.handshake,
        stamp: Stamp::of(&file.metadata().map_err(Reason::Unreadable)?),
    })
}

// === impl Inspected ===

impl Inspected {
    /// Tells it from what has taken its place since.
    pub(crate) fn origin(&self) -> Origin {
        self.content.map_or(Origin::File(self.stamp), Origin::Content)
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
fn check_machine(identity: &Identity, glibc_needed: Option<GlibcVersion>) -> Result<(), Reason> {
    let ours = machine::target();
    if identity.target != ours {
        return Err(Reason::OtherTarget { theirs: identity.target.clone(), ours: ours.to_owned() });
    }
    if let (Some(needed), Some(have)) = (glibc_needed, machine::glibc())
        && needed > have
    {
        return Err(Reason::GlibcTooOld { needed, have });
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
