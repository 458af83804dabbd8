//! Strategies that need no plugin to be written: nodes are what a command prints, what a file has, or what a server
//! answers.
//!
//! ```text
//!  exec: command --+
//!  http: pages   --+--> poll: again and again ---+--> reading: bytes to nodes --> host
//!  file: watch   ------> read when it changed ---+
//! ```
//!
//! **Invariant:** nobody is gone because something failed. A command that fails, a file that is missing or half written
//! and a page that does not come are errors; a list of which a part cannot be read is partial.
//! What reads bytes (`reading`) is values without a clock or a file.

mod exec;
mod file;
mod http;
mod options;
mod poll;
mod reading;
#[cfg(test)]
mod testing;

pub use exec::{Exec, ExecConfig};
pub use file::{File, FileConfig};
pub use http::{Http, HttpConfig, NextPage};
pub use reading::{Field, FieldError, Pointer, PointerError, Port};

cluster_sdk::export_plugin!(strategies: [Exec, File, Http]);
