//! Plugin files: told apart without running anything of them, and loaded when the configuration names them.
//!
//! ```text
//! directory --scan--> Registry --find(kind, name)--> Source --load--> LoadedPlugin
//!             |          ^                             |
//!             |         pin: hash, lock, signature   dlopen of the very file, or of the very bytes; layout check
//!          inspect: rights, ELF, handshake
//! ```
//!
//! Everything that can be known of a file without running it is known before it is loaded, so that a wrong file is
//! one line for the operator and not a crash: see [`Reason`]. None of it makes a plugin harmless: whoever may
//! write the file runs code as this user.

mod content;
mod elf;
mod identity;
mod inspect;
mod keep;
mod listing;
mod loader;
mod lock;
mod machine;
mod pins;
mod refusal;
mod registry;
mod rollback;
mod signature;
mod trust;

pub use content::{ContentHash, NotAHash};
pub use identity::{Identity, Offer};
pub(crate) use inspect::inspect_open;
pub use inspect::{Inspected, PLUGIN_BYTES_MAX, inspect, inspect_content};
pub use keep::{KEPT_BYTES_MAX, KEPT_CONTENTS_MAX};
pub use listing::{DirectoryError, PLUGIN_FILES_MAX, PluginFile};
pub use loader::{LoadError, load};
pub(crate) use loader::{load_open, open};
pub use lock::{LOCKED_CONTENTS_MAX, Lock, LockError, LockedContent};
pub use machine::GlibcVersion;
pub(crate) use pins::sign_command;
pub use pins::{PinsError, Standing};
pub use refusal::{Reason, Refusal};
pub(crate) use registry::Origin;
pub use registry::{Builtin, CONNECTOR_DEFAULT, LookupError, Registry, Source};
pub use rollback::{RollbackError, RolledBack, roll_back};
pub(crate) use signature::path_of as signature_path;
pub use signature::{NotAKey, SignatureError, TrustedKey};
