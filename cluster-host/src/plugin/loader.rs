//! Loads plugins into this process, be it a host or a runner. The place of the host for `unsafe` code, but for the
//! descriptors of a runner.
//!
//! What is loaded is the very file that was looked at: it stays open, and the dynamic loader is given its
//! descriptor's name in `/proc`. That descriptor is never closed: glibc knows libraries by the names they were
//! opened by, and with a reused number it would silently give back the library of before. Where the content was
//! hashed, the descriptor is that of a sealed copy of it. Nothing is ever
//! unloaded either, because threads and thread-local destructors of a plugin may outlive its last use.

#![allow(unsafe_code, reason = "loading a shared library runs foreign code, whatever one does")]

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    os::fd::{AsRawFd as _, IntoRawFd as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use cluster_sdk::abi::{PluginEntry, entry_from_symbol, host::LoadedPlugin};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::{
    content::ContentHash,
    identity,
    inspect::{Inspected, Stamp, open_content, open_inspected},
    refusal::{Reason, Refusal},
    registry::Source,
};

/// `RTLD_NODELETE` of Linux, which libloading does not name: not even `dlclose` unloads.
const RTLD_NODELETE: i32 = 0x1000;

/// Why a plugin was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nothing was loaded; the operator can mend the file.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was loaded; looking at the directory again helps.
    #[error("{}: changed since it was looked at; reload", .0.display())]
    Changed(PathBuf),
    /// Nothing was loaded; whoever wrote the program can give it a runner, the operator can change the configuration.
    #[error(
        "{source_name}: isolation = \"process\" needs a runner, and this program has none (Registry::with_runner); \
         take isolation = \"in-process\""
    )]
    NoRunner {
        /// What was to be loaded.
        source_name: String,
    },
    /// Nothing was loaded; the operator can change the configuration.
    #[error("{source_name}: user {user:?}: {message}")]
    User {
        /// What was to be loaded.
        source_name: String,
        /// The user it was to run as.
        user: String,
        /// Why it cannot.
        message: String,
    },
    /// The dynamic loader refused, for instance because a library is missing. The operator can mend it.
    #[error("{}: cannot be loaded: {message}", path.display())]
    Dlopen {
        /// The file.
        path: PathBuf,
        /// What the dynamic loader says.
        message: String,
    },
    /// The file is loaded, but not used: in memory it is not what it is in the file.
    #[error("{}: its handshake in memory differs from the one in the file", .0.display())]
    OtherInMemory(PathBuf),
    /// The file is loaded, but not used: its tables are not those of this host.
    #[error("{source_name}: {message}; build it with the SDK of this host")]
    Layout {
        /// What was loaded.
        source_name: String,
        /// The first difference.
        message: String,
    },
}

/// Loads a plugin into this process, or gives what was loaded of it before.
///
/// # Examples
///
/// ```
/// use cluster_host::{Registry, connectors, plugin};
/// use cluster_sdk::OfferKind;
///
/// let registry = Registry::new().with_builtin(connectors::plugin())?;
/// let loaded = plugin::load(registry.find(OfferKind::Connector, "tcp")?)?;
/// let offers = loaded.describe()?;
/// assert!(offers.iter().any(|offer| offer.name == "tcp" && offer.by_address));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LoadError`]; other plugins are as they were.
pub fn load(source: Source<'_>) -> Result<LoadedPlugin, LoadError> {
    match source {
        Source::Builtin(builtin) => checked(builtin.entry, &source),
        Source::File(seen) if !seen.identity.unwinds => {
            Err(Refusal { path: seen.path.clone(), reason: Reason::PanicAborts }.into())
        }
        // A content is the same whatever has become of its file.
        Source::File(seen) => {
            match seen.content.and_then(|content| loaded().get(&Loaded::Content(content)).copied()) {
                Some(plugin) => Ok(plugin),
                None => open(seen).and_then(|(file, inspected)| load_open(file, &inspected)),
            }
        }
    }
}

/// Opens a plugin that was looked at before, to be loaded into this process or another. Behind the descriptor is what
/// was looked at, and where its content was hashed nobody can change it: not the file, but a sealed copy.
///
/// # Errors
/// [`LoadError::Refused`] and [`LoadError::Changed`].
pub(crate) fn open(seen: &Inspected) -> Result<(File, Inspected), LoadError> {
    let (file, inspected) = match seen.content {
        Some(_) => open_content(&seen.path)?,
        None => open_inspected(&seen.path)?,
    };
    if inspected.handshake != seen.handshake || inspected.content != seen.content {
        return Err(LoadError::Changed(seen.path.clone()));
    }
    Ok((file, inspected))
}

/// What is loaded. There is one set of libraries in a process, however many hosts are in it.
static LOADED: OnceLock<Mutex<HashMap<Loaded, LoadedPlugin>>> = OnceLock::new();

/// By what a library is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Loaded {
    File(Stamp),
    /// Whatever file it came from.
    Content(ContentHash),
}

/// Loads an open file, of which `inspected` tells. That its panics may end this process is the caller's affair.
pub(crate) fn load_open(file: File, inspected: &Inspected) -> Result<LoadedPlugin, LoadError> {
    let mut loaded = loaded();
    let known = inspected.content.map_or(Loaded::File(inspected.stamp), Loaded::Content);
    if let Some(plugin) = loaded.get(&known) {
        return Ok(*plugin);
    }
    let entry = open_library(file, inspected)?;
    let plugin = checked(entry, &Source::File(inspected))?;
    loaded.insert(known, plugin);
    Ok(plugin)
}

fn loaded() -> MutexGuard<'static, HashMap<Loaded, LoadedPlugin>> {
    LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn checked(entry: &'static PluginEntry, source: &Source<'_>) -> Result<LoadedPlugin, LoadError> {
    LoadedPlugin::from_entry(entry)
        .map_err(|error| LoadError::Layout { source_name: source.to_string(), message: error.to_string() })
}

fn open_library(file: File, inspected: &Inspected) -> Result<&'static PluginEntry, LoadError> {
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    let failed = |error: &dyn fmt::Display| LoadError::Dlopen {
        path: inspected.path.clone(),
        message: error.to_string().replace(&name, &display(&inspected.path)),
    };
    // SAFETY: the library's initialisers run. The file is a plugin by its handshake, only root and the user of
    // this process can have written it, and the configuration names it: that it does no harm is the operator's word.
    let library = unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = library.map_err(|error| failed(&error))?;
    let _never_closed = file.into_raw_fd();
    // SAFETY: only the address is taken; what is there is looked at below.
    let symbol = unsafe { library.get::<*const ()>(inspected.symbol.as_bytes()) };
    let symbol = symbol.map_err(|error| failed(&error))?.as_raw_ptr();
    let _never_unloaded = library.into_raw();
    // SAFETY: the symbol has a plugin's name, the file's handshake was read and accepted, nothing is unloaded.
    let entry = unsafe { entry_from_symbol(symbol) };
    if identity::encode(entry.handshake()) != inspected.handshake {
        return Err(LoadError::OtherInMemory(inspected.path.clone()));
    }
    Ok(entry)
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
