//! How far a hook is, in a file: `NAME.cursor`, one line.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cluster_core::{Cursor, Epoch};

use crate::{clock, durable};

/// The directory of the files, within that of the state.
const DIRECTORY: &str = "hooks";
/// Time between two times that it is written, at least: what was delivered since is delivered again after a crash.
pub(super) const SAVE_INTERVAL: Duration = Duration::from_millis(200);
/// The same after it could not be written.
const SAVE_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Events that are passed over, as they are none of the hook's, before that is written down.
const PASSED_MAX: u64 = 1_024;
/// Bytes that such a file has at most.
const FILE_BYTES_MAX: u64 = 64;

/// Where it is written down how far a hook is.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// None where nothing is to be remembered.
    file: Option<PathBuf>,
    saved: Option<Cursor>,
    /// Not before this is it written again.
    next: Option<Instant>,
    /// Something was delivered since.
    has_delivered: bool,
}

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The hook is new.
    Nothing,
    At(Cursor),
    /// It was somewhere.
    Unreadable(String),
}

// === impl Place ===

impl Place {
    /// That of a hook, within the directory of the state, if there is one.
    pub(super) fn new(state: Option<&Path>, name: &str) -> Self {
        let file = state.map(|state| state.join(DIRECTORY).join(format!("{name}.cursor")));
        Self { file, ..Self::default() }
    }

    /// Looks how far the hook is.
    pub(super) fn find(&mut self) -> Found {
        let Some(file) = &self.file else {
            return Found::Nothing;
        };
        match read(file) {
            Ok(cursor) => {
                self.saved = Some(cursor);
                Found::At(cursor)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => Found::Unreadable(format!("{} cannot be read: {error}", file.display())),
        }
    }

    /// Writes the first cursor of a hook: before anything happens that it must not miss.
    pub(super) fn begin(&mut self, cursor: Cursor) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let directory = file.parent().unwrap_or(file);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        let written = made.and_then(|()| write(file, cursor)).map_err(|err| told(file, &err));
        self.note(cursor, written)
    }

    /// Something was delivered: the cursor is worth writing.
    pub(super) fn delivered(&mut self) {
        self.has_delivered = true;
    }

    pub(super) fn saved(&self) -> Option<Cursor> {
        self.saved
    }

    /// When the cursor is to be written, if it is.
    pub(super) fn due(&self, cursor: Cursor) -> Option<Instant> {
        let is_worth_it = match self.saved {
            Some(saved) if saved == cursor => false,
            Some(saved) if saved.epoch == cursor.epoch && !self.has_delivered => {
                cursor.revision.saturating_sub(saved.revision) >= PASSED_MAX
            }
            Some(_) | None => true,
        };
        (self.file.is_some() && is_worth_it).then(|| self.next.unwrap_or_else(|| clock::now().instant))
    }

    /// Writes the cursor, off the host's thread. An error leaves the file as it was.
    pub(super) async fn save(&mut self, cursor: Cursor) -> Result<(), String> {
        let Some(file) = self.file.clone().filter(|_| self.saved != Some(cursor)) else {
            return Ok(());
        };
        let write = move || write(&file, cursor).map_err(|err| told(&file, &err));
        let written = tokio::task::spawn_blocking(write).await;
        self.note(cursor, written.unwrap_or_else(|err| Err(format!("bug: {err}"))))
    }

    fn note(&mut self, cursor: Cursor, written: Result<(), String>) -> Result<(), String> {
        let wait = if written.is_ok() { SAVE_INTERVAL } else { SAVE_RETRY_INTERVAL };
        self.next = Some(clock::now().instant + wait);
        if written.is_ok() {
            self.saved = Some(cursor);
            self.has_delivered = false;
        }
        written
    }
}

fn write(file: &Path, cursor: Cursor) -> io::Result<()> {
    durable::write_whole(format!("{cursor}\n").as_bytes(), file, 0o600)
}

fn told(file: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}", file.display())
}

fn read(file: &Path) -> io::Result<Cursor> {
    let mut text = String::new();
    File::open(file)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    let line = text.strip_suffix('\n').filter(|line| line.contains(':'));
    let line =
        line.ok_or_else(|| io::Error::other(format!("{text:?} is not a whole line EPOCH:REVISION")))?;
    // No cursor is without its epoch here.
    Cursor::parse(line, Epoch(0)).map_err(io::Error::other)
}
