//! Printing for people: tables, ages, colour on a terminal.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal as _, StdoutLock, Write},
    time::{Duration, SystemTime},
};

use crate::api::json::Time;

/// Standard output of a command.
pub(super) fn stdout() -> StdoutLock<'static> {
    io::stdout().lock()
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Always,
    Never,
}

/// Columns that are as wide as their widest cell.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A text, and the word that decides its colour.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    paint: Option<Paint>,
}

#[derive(Debug, Clone, Copy)]
enum Paint {
    Green,
    Yellow,
    Red,
    Bold,
}

// === impl Colour ===

impl Colour {
    /// On a terminal, unless `NO_COLOR` says otherwise.
    pub(super) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        if wanted && io::stdout().is_terminal() { Self::Always } else { Self::Never }
    }

    /// The word of a state, a link, a health or an event, in its colour.
    pub(super) fn word(self, word: &str) -> String {
        self.paint(word, Paint::of(word))
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(text, Some(Paint::Bold))
    }

    fn paint(self, text: &str, paint: Option<Paint>) -> String {
        match (self, paint) {
            (Self::Always, Some(paint)) => format!("\x1b[{}m{text}\x1b[0m", paint.code()),
            (Self::Always, None) | (Self::Never, _) => text.to_owned(),
        }
    }
}

// === impl Paint ===

impl Paint {
    /// The colour of a word of the project's vocabulary.
    fn of(word: &str) -> Option<Self> {
        match word {
            "up" | "running" | "node_up" | "pass" => Some(Self::Green),
            "discovered" | "connecting" | "leaving" | "starting" | "unknown" | "connect_failed"
            | "degraded" | "warn" => Some(Self::Yellow),
            "down" | "denied" | "stopped" | "node_down" | "node_left" | "fail" => Some(Self::Red),
            _ => None,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::Bold => "1",
        }
    }
}

// === impl Cell ===

impl Cell {
    /// A cell in the colour of its word.
    pub(super) fn word(word: &str) -> Self {
        Self { text: word.to_owned(), paint: Paint::of(word) }
    }
}

impl From<String> for Cell {
    /// Nothing is shown as a dash, so that columns stay countable.
    fn from(text: String) -> Self {
        Self { text: if text.is_empty() { "-".to_owned() } else { text }, paint: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

// === impl Table ===

impl Table {
    /// A table with these titles.
    pub(super) fn new<const N: usize>(titles: [&str; N]) -> Self {
        let title = |title: &str| Cell { text: title.to_owned(), paint: Some(Paint::Bold) };
        Self { rows: vec![titles.map(title).into()] }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Prints it; the last column is not padded.
    pub(super) fn print(&self, out: &mut dyn Write, colour: Colour) -> io::Result<()> {
        self.lines(colour, None).iter().try_for_each(|line| writeln!(out, "{line}"))
    }

    /// Its lines, the titles first, cut where they are longer than that.
    pub(super) fn lines(&self, colour: Colour, width_max: Option<usize>) -> Vec<String> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.text.chars().count()).max().unwrap_or_default()
            })
            .collect();
        let line = |row: &Vec<Cell>| {
            let mut line = String::new();
            let mut room = width_max.unwrap_or(usize::MAX);
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let text = shortened(&cell.text, room);
                line.push_str(&colour.paint(&text, cell.paint));
                room = room.saturating_sub(width + 2);
                if room == 0 {
                    break;
                }
                if column + 1 < columns {
                    line.push_str(&" ".repeat(width.saturating_sub(text.chars().count()) + 2));
                }
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// The text, or its beginning and a sign that there is more.
fn shortened(text: &str, width: usize) -> Cow<'_, str> {
    match text.char_indices().nth(width) {
        None => text.into(),
        Some(_) if width == 0 => "".into(),
        Some(_) => format!("{}…", text.chars().take(width - 1).collect::<String>()).into(),
    }
}

/// How long ago, in one unit: `12s`, `5m`, `3h`, `2d`.
pub(super) fn age(since: Time, now: SystemTime) -> String {
    span(now.duration_since(since.0).unwrap_or_default())
}

/// How long until then; nothing where that is past.
pub(super) fn until(then: Time, now: SystemTime) -> Option<String> {
    then.0.duration_since(now).ok().map(span)
}

fn span(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        seconds if seconds < 2 * MINUTE => format!("{seconds}s"),
        seconds if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

/// `1 member`, `2 members`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `a=1 b=2`
pub(super) fn pairs<V: std::fmt::Display>(pairs: impl IntoIterator<Item = (impl AsRef<str>, V)>) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a text cannot fail.
        let _infallible = write!(text, "{space}{}={value}", key.as_ref());
    }
    text
}

/// Text from elsewhere, made harmless for a terminal: a reason may carry whatever a stranger's datagram had.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The first line of such a text, for a place that has room for one, and a sign that there are more.
pub(super) fn headline(text: &str) -> String {
    let mut lines = text.trim_end().lines();
    let first = plain(lines.next().unwrap_or_default());
    if lines.next().is_some() { format!("{first} …") } else { first }
}

/// All of such a text, line by line, where it has more than [`headline`] shows.
pub(super) fn all_lines(text: &str) -> Option<impl Iterator<Item = String>> {
    let lines = text.trim_end().lines();
    (lines.clone().count() > 1).then(|| lines.map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ages have one unit, of which there are always at least two, but for the shortest.
    #[test]
    fn ages() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let shown = |seconds| age(Time(now - Duration::from_secs(seconds)), now);
        assert_eq!(
            [0, 1, 59, 119, 120, 7_199, 7_200, 172_799, 172_800].map(shown),
            ["0ms", "1s", "59s", "119s", "2m", "119m", "2h", "47h", "2d"]
        );
        let future = Time(now + Duration::from_secs(5));
        assert_eq!(age(future, now), "0ms", "a clock that jumped back");
        assert_eq!(until(future, now).as_deref(), Some("5s"));
    }

    /// Of several lines the first is shown, with a sign, and all where there is room; what could steer a terminal is
    /// neutralised in each.
    #[test]
    fn texts_of_several_lines() {
        let lines = |text| all_lines(text).map(Iterator::collect::<Vec<_>>);
        for (text, first, all) in [
            ("", "", None),
            ("one", "one", None),
            ("one\n", "one", None),
            ("a\tb\x1b[2J", "a\u{fffd}b\u{fffd}[2J", None),
            ("one\n  two\x07\n\nthree\n", "one …", Some(vec!["one", "  two\u{fffd}", "", "three"])),
            ("one\r\ntwo\rx", "one …", Some(vec!["one", "two\u{fffd}x"])),
        ] {
            assert_eq!(headline(text), first, "{text:?}");
            assert_eq!(lines(text), all.map(|all| all.into_iter().map(str::to_owned).collect()), "{text:?}");
        }
    }

    /// Colours stand around the text and do not count as width; without colour there is no escape at all.
    #[test]
    fn tables() {
        let mut table = Table::new(["NAME", "STATE", "REASON"]);
        table.row(["ä@h".into(), Cell::word("up"), "".into()]);
        table.row(["long@host".into(), Cell::word("down"), "x".into()]);
        let print = |colour| {
            let mut out = Vec::new();
            table.print(&mut out, colour).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            print(Colour::Never),
            "NAME       STATE  REASON\nä@h        up     -\nlong@host  down   x\n"
        );
        assert_eq!(print(Colour::Always).lines().nth(1).unwrap(), "ä@h        \x1b[32mup\x1b[0m     -");
    }
}
