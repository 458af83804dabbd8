//! Plugins in processes of their own, which may crash, hang, leak and babble alone.
//!
//! ```text
//! host process                                            runner: the same program, re-executed
//! Apart --Order--> conversation ====socket pair==== child loop --> LoadedPlugin, Running
//! Receiver <--Call-- conversation ==(descriptor 3)== Wire <------- HostTable
//! log <---- lines of its output ======pipe========= stdout, stderr
//! ```
//!
//! The host starts [the program it was given](crate::Registry::with_runner) with one hidden argument, a cleaned environment and one
//! end of a socket pair, and sends what it is for together with the open file of the plugin. The runner takes its rights
//! away first and loads the plugin then, by the same loader. From there on both sides say what crosses the boundary of
//! a plugin in any case, as frames (`frame.rs`), so neither the plugin nor the supervision notices a difference. Each
//! instance has a runner of its own; a question (what is offered, is this config right) has one for its duration.
//!
//! **This isolates faults and is no security boundary**: see `docs/isolation.md`.

mod apart;
mod child;
mod confine;
mod conversation;
mod descriptors;
mod ending;
mod frame;
mod instance;
mod output;
mod question;
mod setup;
mod user;
mod wire;

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use cluster_sdk::abi::PluginEntry;

pub(crate) use self::{apart::Apart, instance::Instance};
use crate::plugin::{self, Inspected, LoadError, Origin};

/// The argument that makes a program a runner.
const ARGUMENT: &str = "__runner";

/// The program that is started for each plugin.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    program: PathBuf,
    /// Plugins that are kept open: one descriptor each, however many topologies use it.
    files: Arc<Mutex<HashMap<Origin, Weak<File>>>>,
}

/// Where this process was started as a runner, runs the plugin until its host has no use for it any more. Call it
/// before anything else in `main`: memory and descriptors of a runner are what is there by then. `builtins` are the
/// plugins that are linked into this program.
///
/// # Examples
///
/// ```
/// use std::process::ExitCode;
///
/// use cluster_host::{connectors, runner};
///
/// fn main() -> ExitCode {
///     if let Some(code) = runner::run_if_asked(&[connectors::plugin()]) {
///         return code;
///     }
///     // Nobody asked: what the program is for comes here, with `Registry::with_runner`.
///     ExitCode::SUCCESS
/// }
/// ```
#[must_use]
pub fn run_if_asked(builtins: &[&'static PluginEntry]) -> Option<ExitCode> {
    let is_asked = std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT);
    is_asked.then(|| child::main(builtins))
}

// === impl Runner ===

impl Runner {
    pub(crate) fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), files: Arc::default() }
    }

    /// The open file of a plugin. What is loaded is what was looked at, at each start of a runner.
    fn open(&self, seen: &Inspected) -> Result<Arc<File>, LoadError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |files: &HashMap<_, Weak<File>>, origin| files.get(&origin).and_then(Weak::upgrade);
        // What is pinned is a copy in memory: one is enough.
        if let (Some(_), Some(open)) = (seen.content, known(&files, seen.origin())) {
            return Ok(open);
        }
        let (file, inspected) = plugin::open(seen)?;
        if let Some(open) = known(&files, inspected.origin()) {
            return Ok(open);
        }
        files.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(file);
        files.insert(inspected.origin(), Arc::downgrade(&file));
        Ok(file)
    }
}
