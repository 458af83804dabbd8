//! Plugin files: told apart without running anything of them, and loaded when the configuration names them.
//!
//! ```text
//! directory --scan--> Registry --find(kind, name)--> Source --load--> LoadedPlugin
//!             |                                        |
//!          inspect: rights, ELF, handshake          dlopen of the very file, layout check
//! ```
//!
//! Everything that can be known of a file without running it is known before it is loaded, so that a wrong file is
//! one line for the operator and not a crash: see [`Reason`]. None of it makes a plugin harmless: whoever may
//! write the file runs code as this user.

mod elf;
mod identity;
mod inspect;
mod loader;
mod machine;
mod refusal;
mod registry;
mod trust;

pub use identity::{Identity, Offer};
pub use inspect::{Inspected, PLUGIN_BYTES_MAX, inspect};
pub use loader::{Isolation, LoadError, load};
pub use machine::GlibcVersion;
pub use refusal::{Reason, Refusal};
pub use registry::{
    Builtin, CONNECTOR_DEFAULT, DirectoryError, LookupError, PLUGIN_FILES_MAX, PluginFile, Registry, Source,
};
