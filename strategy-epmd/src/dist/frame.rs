//! Frames of an established link: a length of four bytes, then nothing (a tick) or a control message with or without a
//! payload. Without an atom cache and fragments, which are not offered, each message begins with 112.

#[cfg(test)]
mod tests;

use super::{
    control::Control,
    term::{self, Term, TermError},
};
use crate::wire::Bytes;

/// Bytes of a frame at most. The names of 200,000 nodes are less.
pub(crate) const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A tick.
pub(crate) const TICK: [u8; 4] = [0; 4];
/// A message that is passed through, without a distribution header.
const PASS_THROUGH: u8 = 112;
/// Bytes that are kept for the next frames when a large one has gone.
const SPARE_BYTES: usize = 64 * 1024;

/// Cuts the bytes of a link into frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// How much of the buffer was taken already.
    taken: usize,
}

/// A frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    Tick,
    Message { control: Control, payload: Option<Payload> },
}

/// The message behind a control message, not decoded yet: most are for nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload(Vec<u8>);

/// Why a link's bytes cannot be gone on with. The link is ended; the other node is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes; at most {FRAME_BYTES_MAX} are taken")]
    TooLong(usize),
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a control message that is not understood: {0}")]
    Term(#[from] TermError),
    #[error("a control message of the wrong form")]
    Control,
}

// === impl Frames ===

impl Frames {
    /// Where more bytes are to be read into.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            if self.buffer.capacity() > SPARE_BYTES && self.buffer.len() < SPARE_BYTES {
                self.buffer.shrink_to(SPARE_BYTES);
            }
        }
        &mut self.buffer
    }

    /// The next whole frame; `None` until more bytes are there.
    ///
    /// # Errors
    /// [`FrameError`]; nothing after it makes sense.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let mut bytes = Bytes::new(self.buffer.get(self.taken..).unwrap_or_default());
        let Ok(length) = bytes.length() else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Ok(body) = bytes.take(length) else {
            return Ok(None);
        };
        let frame = Frame::decode(body);
        self.taken = self.taken.saturating_add(TICK.len()).saturating_add(length);
        frame.map(Some)
    }
}

// === impl Frame ===

impl Frame {
    fn decode(body: &[u8]) -> Result<Self, FrameError> {
        let Some((kind, message)) = body.split_first() else {
            return Ok(Self::Tick);
        };
        if *kind != PASS_THROUGH {
            return Err(FrameError::Kind(*kind));
        }
        let (control, payload) = term::decode(message)?;
        let control = Control::from_term(&control).ok_or(FrameError::Control)?;
        let payload = (!payload.is_empty()).then(|| Payload(payload.to_vec()));
        Ok(Self::Message { control, payload })
    }
}

/// The bytes of a message, to be written at once.
pub(crate) fn encode(control: &Term, payload: Option<&Term>) -> Vec<u8> {
    let mut bytes = TICK.to_vec();
    bytes.push(PASS_THROUGH);
    control.encode_versioned(&mut bytes);
    if let Some(payload) = payload {
        payload.encode_versioned(&mut bytes);
    }
    let length = u32::try_from(bytes.len().saturating_sub(TICK.len())).unwrap_or(u32::MAX);
    if let Some(head) = bytes.first_chunk_mut() {
        *head = length.to_be_bytes();
    }
    bytes
}

// === impl Payload ===

impl Payload {
    /// The term.
    ///
    /// # Errors
    /// [`TermError`].
    pub(crate) fn decode(&self) -> Result<Term, TermError> {
        term::decode(&self.0).map(|(term, _rest)| term)
    }
}
