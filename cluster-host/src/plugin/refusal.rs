//! Why a file is not loaded: one line that says the file, the reason and the remedy.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use cluster_sdk::abi::handshake::{ABI_MAJOR, ABI_MINOR};

use super::{content::ContentHash, machine::GlibcVersion, pins, signature::SignatureError};

/// A file that is not loaded. Nothing of it has run and the other plugins are as they were.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::{Reason, Refusal};
///
/// let refusal = Refusal { path: "plugins/libnotes.so".into(), reason: Reason::Writable { mode: 0o666 } };
/// assert_eq!(refusal.remedy().as_deref(), Some("run chmod go-w plugins/libnotes.so"));
/// assert!(refusal.to_string().ends_with("; run chmod go-w plugins/libnotes.so"));
/// ```
#[derive(Debug)]
pub struct Refusal {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a file. Nothing changed; the operator can mend each of these, mostly as [`Reason::remedy`]
/// says.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::Reason;
///
/// let reason = Reason::SearchPath("/opt/lib".to_owned());
/// assert_eq!(reason.to_string(), r#"has a library search path of its own ("/opt/lib")"#);
/// assert_eq!(reason.remedy("libnotes.so".as_ref()).as_deref(), Some("run patchelf --remove-rpath libnotes.so"));
/// assert_eq!(reason.word(), "search_path");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The system does not let us open or read it.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// What it points at could be exchanged between the check and the loading.
    #[error("a symbolic link{}", Target(target.as_deref()))]
    Symlink {
        /// What it points at in the end, where there is anything.
        target: Option<PathBuf>,
    },
    /// A FIFO, a device, a socket or a directory.
    #[error("{0}, not a regular file")]
    NotRegular(&'static str),
    /// Its owner could put other code into it.
    #[error("belongs to uid {uid}, but this host runs as uid {euid}")]
    ForeignOwner {
        /// Who owns it.
        uid: u32,
        /// Who we are.
        euid: u32,
    },
    /// Others could put other code into it.
    #[error("{}-writable (mode {mode:04o})", who(*mode))]
    Writable {
        /// Its permission bits.
        mode: u32,
    },
    /// The owner of a directory above it could exchange it.
    #[error("the directory {} belongs to uid {uid}, but this host runs as uid {euid}", directory.display())]
    ForeignDirectory {
        /// The directory.
        directory: PathBuf,
        /// Who owns it.
        uid: u32,
        /// Who we are.
        euid: u32,
    },
    /// Others could exchange it.
    #[error("the directory {} is {}-writable (mode {mode:04o})", directory.display(), who(*mode))]
    WritableDirectory {
        /// The directory.
        directory: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing is in it.
    #[error("empty")]
    Empty,
    /// More than [`PLUGIN_BYTES_MAX`](super::inspect::PLUGIN_BYTES_MAX).
    #[error("{bytes} bytes large: at most {} are read", super::inspect::PLUGIN_BYTES_MAX)]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// No ELF file at all.
    #[error("not a shared library: it starts with {0:?}")]
    NotElf(String),
    /// A part of it lies beyond its end. Loading it would end the process by SIGBUS.
    #[error("cut off: {part} ends at byte {end}, the file at {bytes}")]
    CutOff {
        /// The part.
        part: &'static str,
        /// Where the part ends.
        end: u64,
        /// Where the file ends.
        bytes: u64,
    },
    /// The ELF structures contradict themselves.
    #[error("damaged ELF file: {0}")]
    Damaged(String),
    /// For another word size.
    #[error("a {theirs}-bit library, this host has {} bits", u64::BITS)]
    OtherClass {
        /// Bits of its pointers.
        theirs: u32,
    },
    /// For another byte order.
    #[error("a library of the other byte order")]
    OtherByteOrder,
    /// For another processor.
    #[error("built for {theirs}, this host is {}", std::env::consts::ARCH)]
    OtherArchitecture {
        /// Its processor.
        theirs: String,
    },
    /// An executable, an object file, a core dump.
    #[error("{0}, not a shared library")]
    NotSharedLibrary(&'static str),
    /// A library of something else.
    #[error("a valid shared library, but not a cluster-host plugin")]
    NotPlugin,
    /// Which of them counts?
    #[error("exports several plugins: {}", .0.join(", "))]
    SeveralPlugins(Vec<String>),
    /// Built for another generation of hosts.
    #[error("{plugin} needs ABI {major}.x, this host has {ABI_MAJOR}.{ABI_MINOR}")]
    OtherAbi {
        /// The plugin, as its symbol or its handshake names it.
        plugin: String,
        /// The major version it needs.
        major: String,
    },
    /// It would bring in libraries from a place of its own.
    #[error("has a library search path of its own ({0:?})")]
    SearchPath(String),
    /// Its code would have to be made writable.
    #[error("has relocations in its code (TEXTREL)")]
    TextRelocations,
    /// Built on a newer system.
    #[error("needs glibc {needed}, this machine has {have}")]
    GlibcTooOld {
        /// What it needs.
        needed: GlibcVersion,
        /// What there is.
        have: GlibcVersion,
    },
    /// What identifies it is not what the SDK writes.
    #[error("has no valid handshake: {0}")]
    BadHandshake(String),
    /// Another target triple of the same architecture, musl for instance.
    #[error("built for {theirs}, this host for {ours}")]
    OtherTarget {
        /// Its target triple.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The tables behind the handshake are of a kind that this host cannot read.
    #[error("has interface {0}, which this host does not know")]
    OtherInterface(u32),
    /// Its panics would end the host.
    #[error("built with panic=abort: a panic of it would end this host")]
    PanicAborts,
    /// It cannot work without something that this host lacks.
    #[error("needs features of the host that this one lacks (bits {0:#x})")]
    FeaturesMissing(u32),
    /// It must not be able to change between the check and the loading, and here it cannot be kept from that.
    #[error("cannot be copied to where nobody changes it (memfd_create): {0}")]
    NoPrivateCopy(#[source] std::io::Error),
    /// Its plugin is pinned, with another content.
    #[error("not a content that is pinned for {plugin}: its SHA-256 is {content}")]
    OtherContent {
        /// The plugin's name.
        plugin: String,
        /// The hash of what is in the file.
        content: ContentHash,
        /// What would pin it.
        command: String,
    },
    /// Nobody who is trusted has signed it.
    #[error("{0}")]
    Unsigned(#[source] SignatureError),
    /// Nothing names it, and that is what the configuration asks for.
    #[error("not pinned")]
    Unpinned {
        /// What would pin it.
        command: String,
    },
    /// Nothing names it, and it offers what a plugin offers that is named.
    #[error("not pinned, but it offers the {offer} of {owner}, which is")]
    TakesOffer {
        /// What it offers.
        offer: String,
        /// The plugin that is pinned.
        owner: String,
        /// What would pin it.
        command: String,
    },
    /// Its instructions would be illegal here.
    #[error("compiled for a processor with {}, which this one lacks", .0.join(", "))]
    CpuLacks(Vec<&'static str>),
}

// === impl Refusal ===

impl Refusal {
    /// What would mend it, where that can be said.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        self.reason.remedy(&self.path)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

// === impl Reason ===

impl Reason {
    /// What would mend it, where that can be said.
    #[must_use]
    pub fn remedy(&self, path: &Path) -> Option<String> {
        let (file, path) = (path, path.display());
        Some(match self {
            Self::Unreadable(_) => return None,
            Self::Symlink { target: Some(target) } => {
                format!("run cp --remove-destination {} {path}", target.display())
            }
            Self::Symlink { target: None } => format!("run rm {path}"),
            Self::NotRegular(_) | Self::NotElf(_) | Self::NotSharedLibrary(_) | Self::NotPlugin => {
                "remove it from the plugin directory".to_owned()
            }
            Self::ForeignOwner { euid, .. } => format!("run chown {euid} {path}, if you trust it"),
            Self::Writable { mode } => format!("run chmod {} {path}", chmod(*mode)),
            Self::ForeignDirectory { .. } => "keep plugins in a directory of your own".to_owned(),
            Self::WritableDirectory { directory, mode } => {
                format!("run chmod {} {}", chmod(*mode), directory.display())
            }
            Self::Empty | Self::CutOff { .. } | Self::Damaged(_) => "copy or build it again".to_owned(),
            Self::TooLarge { .. } => "build it in release mode and strip it".to_owned(),
            Self::OtherClass { .. }
            | Self::OtherByteOrder
            | Self::OtherArchitecture { .. }
            | Self::OtherTarget { .. } => "build it for this machine".to_owned(),
            Self::SeveralPlugins(_) => "call export_plugin! once".to_owned(),
            Self::OtherAbi { .. } => "take the plugin's version for this host".to_owned(),
            Self::SearchPath(_) => format!("run patchelf --remove-rpath {path}"),
            Self::TextRelocations => "build it as position-independent code".to_owned(),
            Self::GlibcTooOld { have, .. } => format!("build it on a system with glibc {have} or older"),
            Self::BadHandshake(_) => "build it with cluster-sdk's export_plugin!".to_owned(),
            Self::OtherInterface(_) | Self::FeaturesMissing(_) => "take a newer cluster-host".to_owned(),
            Self::PanicAborts => {
                "build it with panic=unwind, or run it with isolation = \"process\"".to_owned()
            }
            Self::CpuLacks(_) => "build it without target-cpu=native".to_owned(),
            Self::NoPrivateCopy(_) => "allow memfd_create to this process, in its seccomp filter".to_owned(),
            Self::OtherContent { command, .. }
            | Self::Unpinned { command }
            | Self::TakesOffer { command, .. } => format!("if you trust it, run {command}"),
            Self::Unsigned(_) => format!("if you trust it, run {}", pins::sign_command(file)),
        })
    }
}

impl Reason {
    /// One word for it, in metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Symlink { .. } => "symlink",
            Self::NotRegular(_) => "not_regular",
            Self::ForeignOwner { .. } | Self::ForeignDirectory { .. } => "foreign_owner",
            Self::Writable { .. } | Self::WritableDirectory { .. } => "writable",
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::NotElf(_) | Self::NotSharedLibrary(_) | Self::NotPlugin => "not_plugin",
            Self::CutOff { .. } | Self::Damaged(_) => "damaged",
            Self::OtherClass { .. }
            | Self::OtherByteOrder
            | Self::OtherArchitecture { .. }
            | Self::OtherTarget { .. } => "other_target",
            Self::SeveralPlugins(_) => "several_plugins",
            Self::OtherAbi { .. } | Self::OtherInterface(_) => "other_abi",
            Self::SearchPath(_) => "search_path",
            Self::TextRelocations => "text_relocations",
            Self::GlibcTooOld { .. } => "glibc_too_old",
            Self::BadHandshake(_) => "bad_handshake",
            Self::PanicAborts => "panic_aborts",
            Self::FeaturesMissing(_) => "features_missing",
            Self::NoPrivateCopy(_) => "no_private_copy",
            Self::OtherContent { .. } => "other_content",
            Self::Unsigned(_) => "unsigned",
            Self::Unpinned { .. } => "unpinned",
            Self::TakesOffer { .. } => "takes_offer",
            Self::CpuLacks(_) => "cpu_lacks",
        }
    }
}

struct Target<'a>(Option<&'a Path>);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(target) => write!(f, " to {}", target.display()),
            None => f.write_str(" to nothing"),
        }
    }
}

fn who(mode: u32) -> &'static str {
    if mode & 0o002 == 0 { "group" } else { "world" }
}

fn chmod(mode: u32) -> &'static str {
    if mode & 0o002 == 0 { "g-w" } else { "go-w" }
}
