//! What crosses between a host and a runner: a length of four bytes, a tag, and a body of that length less one.
//!
//! ```text
//! u32 length | u8 tag | numbers, then texts: u32 length and bytes, the last one without a length
//! ```
//!
//! All numbers are little-endian. A body is what the [`Call`] or the [`Order`] has in it, in its order, records and JSON
//! as they are: nothing is written in another way than at the boundary of a plugin.

use std::ops::Range;

use cluster_sdk::abi::{
    host::Call,
    table::{
        Code, CompletenessCode, ExitCode, Flag, HealthCode, LevelCode, OperationCode, OutcomeCode,
        ReportCode, SectionCode, StopCode,
    },
};

/// Bytes of a frame of a runner at most, without its length.
pub(crate) const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an order at most: configurations can be large.
pub(super) const ORDER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes that an empty buffer keeps.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What a runner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// The instance calls its host.
    Call(Call<'a>),
    /// The answer to an order that has one.
    Answer { code: Code, answer: &'a [u8] },
}

/// What a runner is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// What it is for, a [`Setup`](super::setup::Setup); with it comes the plugin's file.
    Setup(&'a [u8]),
    /// What does the plugin offer?
    Describe,
    /// Is a config right? A [`Question`](super::setup::Question).
    Validate(&'a [u8]),
    /// Start the instance, a [`Launch`](super::setup::Launch).
    Start(&'a [u8]),
    /// The local node has changed.
    Update(&'a [u8]),
    /// The instance is to end.
    Stop { reason: StopCode, deadline_ms: u64 },
    /// Work for a connector.
    Submit { op: u64, kind: OperationCode, deadline_ms: u64, record: &'a [u8] },
    /// It is not wanted any more.
    Cancel { op: u64 },
    /// How the commit of a report went.
    Committed(Code),
}

/// Bytes that are no frame. The conversation is over; the plugin's author can mend it, who has written to a descriptor
/// that is not the plugin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {bytes} bytes where {bytes_max} are the most")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("a frame that means nothing (tag {0})")]
    Tag(u8),
    #[error("a frame that is cut off or too long (tag {0})")]
    Body(u8),
}

/// Bytes as they arrive, cut into frames. It grows by what is there, not by what is announced.
#[derive(Debug)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    start: usize,
    bytes_max: usize,
}

const ANSWER: u8 = 64;
const SETUP: u8 = 65;

// === impl Incoming ===

impl Incoming {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, bytes_max }
    }

    /// Where to read to: there is room at the end.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    /// The next frame, tag and body, if all of it is here.
    pub(super) fn next(&mut self) -> Result<Option<(u8, &[u8])>, FrameError> {
        let Some((tag, body)) = self.next_range()? else {
            return Ok(None);
        };
        Ok(Some((tag, self.bytes.get(body).unwrap_or_default())))
    }

    fn next_range(&mut self) -> Result<Option<(u8, Range<usize>)>, FrameError> {
        let here = self.bytes.get(self.start..).unwrap_or_default();
        let Some((length, rest)) = here.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if bytes > self.bytes_max {
            return Err(FrameError::TooLarge { bytes, bytes_max: self.bytes_max });
        }
        let Some(frame) = rest.get(..bytes) else {
            return Ok(None);
        };
        let Some(tag) = frame.first() else {
            return Err(FrameError::Body(0));
        };
        let body = self.start.saturating_add(5);
        self.start = self.start.saturating_add(4).saturating_add(bytes);
        Ok(Some((*tag, body..self.start)))
    }
}

// === impl Said ===

impl<'a> Said<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Call(call) => write_call(call, out),
            Self::Answer { code, answer } => Frame::begin(out, ANSWER).u32(code.0).rest(answer),
        }
    }

    pub(super) fn read(tag: u8, body: &'a [u8]) -> Result<Self, FrameError> {
        let mut fields = Fields { tag, body };
        let said = match tag {
            ANSWER => Self::Answer { code: Code(fields.u32()?), answer: fields.rest() },
            _ => Self::Call(read_call(&mut fields)?),
        };
        fields.end().map(|()| said)
    }
}

fn write_call(call: &Call<'_>, out: &mut Vec<u8>) {
    match *call {
        Call::Ping(value) => Frame::begin(out, 0).u64(value).rest(&[]),
        Call::Log { level, target, message } => Frame::begin(out, 1).u32(level.0).text(target).rest(message),
        Call::ReportBegin { kind, completeness, ttl_ms } => {
            Frame::begin(out, 2).u32(kind.0).u32(completeness.0).u64(ttl_ms).rest(&[]);
        }
        Call::ReportChunk { section, records } => Frame::begin(out, 3).u32(section.0).rest(records),
        Call::ReportCommit => Frame::begin(out, 4).rest(&[]),
        Call::Status { health, reason, counters } => {
            Frame::begin(out, 5).u32(health.0).text(reason).rest(counters);
        }
        Call::Completed { op, outcome, reason } => {
            Frame::begin(out, 6).u64(op).u32(outcome.0).rest(reason);
        }
        Call::Link { generation, node, up, reason } => {
            Frame::begin(out, 7).u64(generation).u32(up.0).text(node).rest(reason);
        }
        Call::LinksBegin { generation } => Frame::begin(out, 8).u64(generation).rest(&[]),
        Call::LinksChunk { records } => Frame::begin(out, 9).rest(records),
        Call::LinksCommit => Frame::begin(out, 10).rest(&[]),
        Call::Availability { available, reason } => Frame::begin(out, 11).u32(available.0).rest(reason),
        Call::Local { node } => Frame::begin(out, 12).rest(node),
        Call::Exited { kind, reason } => Frame::begin(out, 13).u32(kind.0).rest(reason),
    }
}

fn read_call<'a>(fields: &mut Fields<'a>) -> Result<Call<'a>, FrameError> {
    Ok(match fields.tag {
        0 => Call::Ping(fields.u64()?),
        1 => Call::Log { level: LevelCode(fields.u32()?), target: fields.text()?, message: fields.rest() },
        2 => Call::ReportBegin {
            kind: ReportCode(fields.u32()?),
            completeness: CompletenessCode(fields.u32()?),
            ttl_ms: fields.u64()?,
        },
        3 => Call::ReportChunk { section: SectionCode(fields.u32()?), records: fields.rest() },
        4 => Call::ReportCommit,
        5 => Call::Status {
            health: HealthCode(fields.u32()?),
            reason: fields.text()?,
            counters: fields.rest(),
        },
        6 => {
            Call::Completed { op: fields.u64()?, outcome: OutcomeCode(fields.u32()?), reason: fields.rest() }
        }
        7 => Call::Link {
            generation: fields.u64()?,
            up: Flag(fields.u32()?),
            node: fields.text()?,
            reason: fields.rest(),
        },
        8 => Call::LinksBegin { generation: fields.u64()? },
        9 => Call::LinksChunk { records: fields.rest() },
        10 => Call::LinksCommit,
        11 => Call::Availability { available: Flag(fields.u32()?), reason: fields.rest() },
        12 => Call::Local { node: fields.rest() },
        13 => Call::Exited { kind: ExitCode(fields.u32()?), reason: fields.rest() },
        tag => return Err(FrameError::Tag(tag)),
    })
}

// === impl Order ===

impl<'a> Order<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Setup(setup) => Frame::begin(out, SETUP).rest(setup),
            Self::Describe => Frame::begin(out, 66).rest(&[]),
            Self::Validate(question) => Frame::begin(out, 67).rest(question),
            Self::Start(launch) => Frame::begin(out, 68).rest(launch),
            Self::Update(local) => Frame::begin(out, 69).rest(local),
            Self::Stop { reason, deadline_ms } => {
                Frame::begin(out, 70).u32(reason.0).u64(deadline_ms).rest(&[]);
            }
            Self::Submit { op, kind, deadline_ms, record } => {
                Frame::begin(out, 71).u64(op).u32(kind.0).u64(deadline_ms).rest(record);
            }
            Self::Cancel { op } => Frame::begin(out, 72).u64(op).rest(&[]),
            Self::Committed(code) => Frame::begin(out, 73).u32(code.0).rest(&[]),
        }
    }

    pub(super) fn to_frame(self) -> Vec<u8> {
        let mut frame = Vec::new();
        self.write(&mut frame);
        frame
    }

    pub(super) fn read(tag: u8, body: &'a [u8]) -> Result<Self, FrameError> {
        let mut fields = Fields { tag, body };
        let order = match tag {
            SETUP => Self::Setup(fields.rest()),
            66 => Self::Describe,
            67 => Self::Validate(fields.rest()),
            68 => Self::Start(fields.rest()),
            69 => Self::Update(fields.rest()),
            70 => Self::Stop { reason: StopCode(fields.u32()?), deadline_ms: fields.u64()? },
            71 => Self::Submit {
                op: fields.u64()?,
                kind: OperationCode(fields.u32()?),
                deadline_ms: fields.u64()?,
                record: fields.rest(),
            },
            72 => Self::Cancel { op: fields.u64()? },
            73 => Self::Committed(Code(fields.u32()?)),
            tag => return Err(FrameError::Tag(tag)),
        };
        fields.end().map(|()| order)
    }
}

/// A frame that is being written; `rest` ends it.
struct Frame<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

// === impl Frame ===

impl<'a> Frame<'a> {
    fn begin(out: &'a mut Vec<u8>, tag: u8) -> Self {
        let start = out.len();
        out.extend([0, 0, 0, 0, tag]);
        Self { out, start }
    }

    fn u32(self, number: u32) -> Self {
        self.out.extend(number.to_le_bytes());
        self
    }

    fn u64(self, number: u64) -> Self {
        self.out.extend(number.to_le_bytes());
        self
    }

    fn text(self, text: &[u8]) -> Self {
        let frame = self.u32(length(text.len()));
        frame.out.extend_from_slice(text);
        frame
    }

    fn rest(self, rest: &[u8]) {
        self.out.extend_from_slice(rest);
        let written = length(self.out.len().saturating_sub(self.start).saturating_sub(4));
        if let Some(place) = self.out.get_mut(self.start..).and_then(<[u8]>::first_chunk_mut::<4>) {
            *place = written.to_le_bytes();
        }
    }
}

/// Of something so large the other side wants to hear nothing.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The body of a frame that is being read.
struct Fields<'a> {
    tag: u8,
    body: &'a [u8],
}

// === impl Fields ===

impl<'a> Fields<'a> {
    fn chunk<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], FrameError> {
        let (chunk, rest) = self.body.split_first_chunk().ok_or(FrameError::Body(self.tag))?;
        self.body = rest;
        Ok(*chunk)
    }

    fn u32(&mut self) -> Result<u32, FrameError> {
        self.chunk().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, FrameError> {
        self.chunk().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a [u8], FrameError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        let (text, rest) = self.body.split_at_checked(length).ok_or(FrameError::Body(self.tag))?;
        self.body = rest;
        Ok(text)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.body)
    }

    fn end(&self) -> Result<(), FrameError> {
        if self.body.is_empty() { Ok(()) } else { Err(FrameError::Body(self.tag)) }
    }
}

#[cfg(test)]
mod tests;
