//! Lines that somebody else writes, each with the moment when it was here.

use std::{
    error::Error,
    io::{BufRead, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{PATIENCE, wall};

/// Lines as they come.
#[derive(Debug)]
pub struct Lines(mpsc::Receiver<(Duration, String)>);

// === impl Lines ===

impl Lines {
    /// What a thread of its own reads.
    pub fn of(mut source: impl BufRead + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            while matches!(source.read_line(&mut line), Ok(bytes) if bytes > 0) {
                // The moment before the work with it.
                let here = wall();
                if sender.send((here, line.trim_end().to_owned())).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self(receiver)
    }

    /// What somebody else timed.
    #[must_use]
    pub fn timed(lines: mpsc::Receiver<(Duration, String)>) -> Self {
        Self(lines)
    }

    /// The events of a host, from its start on, by the socket of its API.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn events(socket: &Path) -> Result<Self, Box<dyn Error>> {
        let mut stream = UnixStream::connect(socket)?;
        // Version 1.0, in which an answer is not cut into chunks.
        write!(stream, "GET /v1/events?since=0 HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        Ok(Self::of(BufReader::new(stream)))
    }

    /// Waits for a line; with the moment when it was here.
    ///
    /// # Errors
    /// It did not come.
    pub fn wait(&self, what: &str, mut is_it: impl FnMut(&str) -> bool) -> Result<Duration, Box<dyn Error>> {
        let deadline = wall() + PATIENCE;
        loop {
            let left = deadline.saturating_sub(wall());
            let received =
                self.0.recv_timeout(left).map_err(|error| format!("waiting until {what}: {error}"));
            let (here, line) = received?;
            if is_it(&line) {
                return Ok(here);
            }
        }
    }
}
