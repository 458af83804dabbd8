//! The lines of the files, and what is in them.
//!
//! ```text
//! 5d41402a {"format":1,"kind":"snapshot","cluster":"shop","node":"app@h","epoch":"…","revision":17,"members":2,…}
//! 7e3f09bc {"name":"a@h","self":false,"state":"up",…}
//! ```
//!
//! A line is whole if it ends and its CRC-32 is right. An append that was cut short leaves the beginning of a line without
//! its end: that was told to nobody. Anything else is damage.

use std::{borrow::Cow, collections::BTreeMap, io::Write as _};

use serde::{Deserialize, Serialize};

use crate::api::json::Time;

/// The format that is written, and the latest that is read. It grows by added keys; this number grows with anything else.
pub(crate) const FORMAT: u32 = 1;

/// Of the checksum: eight digits and a space.
const PREFIX_BYTES: usize = 9;

/// The first line of each file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header<'a> {
    pub(super) format: u32,
    pub(super) kind: Kind,
    pub(super) cluster: Cow<'a, str>,
    /// As it is configured.
    pub(super) node: Option<Cow<'a, str>>,
    pub(super) epoch: Cow<'a, str>,
    /// Of the snapshot; of a journal, the one before its first event.
    pub(super) revision: u64,
    /// How many members follow; none in a journal.
    #[serde(default)]
    pub(super) members: u64,
    /// What each topology asked, by fingerprint.
    #[serde(default)]
    pub(super) sources: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// When it was begun.
    pub(super) at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Snapshot,
    Journal,
}

/// How the lines of a file end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the last line.
    Whole,
    /// With the beginning of a line.
    Torn,
    /// At a line that is not what was written.
    Damaged,
}

/// The whole lines of a file, up to the first that is not.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    /// Bytes before `rest`.
    pub(super) read: usize,
    pub(super) end: End,
}

/// Appends a record as a line.
pub(super) fn write(buffer: &mut Vec<u8>, record: &impl Serialize) -> serde_json::Result<()> {
    let begin = buffer.len();
    buffer.extend_from_slice(b"00000000 ");
    let text = begin + PREFIX_BYTES;
    if let Err(error) = serde_json::to_writer(&mut *buffer, record) {
        buffer.truncate(begin);
        return Err(error);
    }
    let checksum = crc32fast::hash(buffer.get(text..).unwrap_or_default());
    if let Some(mut prefix) = buffer.get_mut(begin..text) {
        // It fits.
        let _written = write!(prefix, "{checksum:08x}");
    }
    buffer.push(b'\n');
    Ok(())
}

fn check(line: &[u8]) -> Option<&[u8]> {
    let (checksum, text) = (line.get(..8)?, line.get(PREFIX_BYTES..)?);
    let checksum = u32::from_str_radix(str::from_utf8(checksum).ok()?, 16).ok()?;
    // Digits of the other case or another space would be read as well: they are not what was written.
    let is_written = line.get(..PREFIX_BYTES)? == format!("{checksum:08x} ").as_bytes();
    (is_written && crc32fast::hash(text) == checksum).then_some(text)
}

// === impl Lines ===

impl<'a> Lines<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, read: 0, end: End::Whole }
    }

    /// What follows is not to be read: it is no record of its kind.
    pub(super) fn damaged(&mut self) {
        self.end = End::Damaged;
        self.rest = &[];
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, bytes) = match end {
            Some(end) => (self.rest.get(..end)?, end + 1),
            None => (self.rest, self.rest.len()),
        };
        let text = match (end, check(line)) {
            (Some(_), Some(text)) => Some(text),
            (Some(_), None) => {
                self.end = End::Damaged;
                None
            }
            // All of a line but its end is no torn line if there is something in the place of its end.
            (None, whole) => {
                let with_end = line.split_last().is_some_and(|(_, line)| check(line).is_some());
                self.end = if whole.is_none() && with_end { End::Damaged } else { End::Torn };
                None
            }
        };
        if text.is_some() {
            self.read += bytes;
            self.rest = self.rest.get(bytes..).unwrap_or_default();
        } else {
            self.rest = &[];
        }
        text
    }
}
