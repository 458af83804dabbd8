//! A fake clock that must not run away.

use std::sync::mpsc::{Sender, channel};

use tokio::task::spawn_blocking;

/// While this is there a paused clock stands. Else tokio would take it forward to the next timer, which is the timeout
/// of the request, as soon as nothing is left to do but to wait for the server.
#[derive(Debug)]
pub(super) struct Still {
    _until_dropped: Sender<()>,
}

// === impl Still ===

impl Still {
    /// tokio keeps a paused clock still while anything blocks, as it does here.
    pub(super) fn hold() -> Self {
        let (_until_dropped, dropped) = channel();
        drop(spawn_blocking(move || dropped.recv().unwrap_or_default()));
        Self { _until_dropped }
    }
}
