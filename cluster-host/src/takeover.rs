//! Taking what the host before had: its lock, its socket, its port.
//!
//! A host that was killed while it began a command leaves its descriptors for a moment with the process that is to become
//! that command; so what is taken may come free without anybody's help.

use std::time::Duration;

use crate::clock;

/// How long it is waited,
const WAIT_MAX: Duration = Duration::from_secs(2);
/// and how often it is tried.
const INTERVAL: Duration = Duration::from_millis(20);

/// Tries until it is not taken any more, or for as long as a process may take to become another one.
pub(crate) fn take<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_taken: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let until = clock::now().instant + WAIT_MAX;
    loop {
        match attempt() {
            Err(error) if is_taken(&error) && clock::now().instant < until => {
                std::thread::park_timeout(INTERVAL);
            }
            taken => return taken,
        }
    }
}
