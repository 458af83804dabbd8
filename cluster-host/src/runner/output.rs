//! What a plugin's process prints, as lines of the host's log: cut, and not more than a reader would take.

use std::time::{Duration, Instant};

/// Bytes of a line at most; the rest is cut off.
const LINE_BYTES_MAX: usize = 1024;
/// Lines that are told within [`WINDOW`]; more are counted.
const LINES_MAX: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// Cuts output into lines.
#[derive(Debug, Default)]
pub(super) struct Output {
    line: Vec<u8>,
    /// When the current window has begun, and the lines told in it.
    window: Option<Instant>,
    told: u32,
    dropped: u64,
    last: String,
}

// === impl Output ===

impl Output {
    /// Takes what was printed.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant, tell: &mut dyn FnMut(&str)) {
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line(now, tell);
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(*byte);
            }
        }
    }

    /// The end of the output: what is not a whole line is one now.
    pub(super) fn end(&mut self, now: Instant, tell: &mut dyn FnMut(&str)) {
        self.end_line(now, tell);
        if self.dropped > 0 {
            tell(&format!("{} lines more were dropped", self.dropped));
        }
    }

    /// The last line, which often says why a process has ended.
    pub(super) fn last(&self) -> Option<&str> {
        Some(self.last.as_str()).filter(|last| !last.is_empty())
    }

    fn end_line(&mut self, now: Instant, tell: &mut dyn FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text: String = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.line.clear();
        if text.is_empty() {
            return;
        }
        if self.window.is_none_or(|start| now.saturating_duration_since(start) >= WINDOW) {
            if self.dropped > 0 {
                tell(&format!("{} lines more were dropped", self.dropped));
            }
            (self.window, self.told, self.dropped) = (Some(now), 0, 0);
        }
        if self.told < LINES_MAX {
            self.told = self.told.saturating_add(1);
            tell(&text);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
        // How to be told more by Rust's runtime is no reason.
        if !text.starts_with("note: ") {
            self.last = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let (mut output, now) = (Output::default(), crate::clock::now().instant);
        let mut lines = Vec::new();
        for part in parts {
            output.take(part, now, &mut |line| lines.push(line.to_owned()));
        }
        output.end(now, &mut |line| lines.push(line.to_owned()));
        lines
    }

    /// Lines come out whole, wherever they were cut on the way, also the last one without its end; control characters
    /// do not come out at all.
    #[test]
    fn whole_lines() {
        assert_eq!(
            lines(&[b"one\ntw", b"o\r\n\n", b"\x1b[1mthree\xff"]),
            ["one", "two", " [1mthree\u{fffd}"]
        );
    }

    /// A long line is cut, and of many lines some are told and the rest is counted; the next window tells again.
    #[test]
    fn limits() {
        assert_eq!(lines(&[&[b'x'; 5_000]])[0].len(), LINE_BYTES_MAX);
        let (mut output, now) = (Output::default(), crate::clock::now().instant);
        let mut told = Vec::new();
        output.take(&b"noise\n".repeat(1_000), now, &mut |line| told.push(line.to_owned()));
        assert_eq!(told.len(), 50);
        output.take(b"later\n", now + WINDOW, &mut |line| told.push(line.to_owned()));
        assert_eq!(told[50..], ["950 lines more were dropped", "later"]);
        assert_eq!(output.last(), Some("later"));
    }
}
