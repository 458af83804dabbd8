//! A screen of the terminal's, beside that of the shell, which is as it was when this is left.

use std::io::{self, IsTerminal as _, Write};

use rustix::termios::tcgetwinsize;

/// The other screen, no cursor, and lines that are cut rather than wrapped.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Between these a terminal that can shows nothing half done.
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END: &str = "\x1b[J\x1b[?2026l";

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: u16,
    pub(super) columns: u16,
}

/// The terminal while it is drawn on.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
}

/// Whether standard output is a terminal that can be drawn on.
pub(super) fn is_possible() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

// === impl Size ===

impl Size {
    /// The terminal's; that of the oldest ones where it tells none.
    pub(super) fn of_stdout() -> Self {
        let size = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        size.map_or(Self { rows: 24, columns: 80 }, |size| Self { rows: size.ws_row, columns: size.ws_col })
    }
}

// === impl Screen ===

impl<'a> Screen<'a> {
    pub(super) fn enter(out: &'a mut dyn Write) -> io::Result<Self> {
        let screen = Self { out };
        screen.out.write_all(ENTER.as_bytes())?;
        screen.out.flush()?;
        Ok(screen)
    }

    /// Draws the lines from the top, over what was there, which does not flicker.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let text = lines.join("\x1b[K\r\n");
        write!(self.out, "{BEGIN}{text}\x1b[K{END}")?;
        self.out.flush()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _gone = self.out.write_all(LEAVE.as_bytes()).and_then(|()| self.out.flush());
    }
}
