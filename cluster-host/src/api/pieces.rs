//! Events as they are sent, written once and not for each who reads them: a thousand streams that go on from the same
//! revision share the same bytes.

use std::{
    collections::VecDeque,
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::body::Bytes;
use cluster_core::{Batch, Cursor, Event};

use super::{json, stream::PIECE_BYTES};

/// Bytes that are kept for others to come: a burst that one stream takes in one go is there for the next one.
const PIECES_BYTES_MAX: usize = 256 * 1024;

/// The pieces that were written last.
#[derive(Debug, Default)]
pub(super) struct Pieces(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

/// Events that follow each other, as server-sent events.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The cursor before the first of them.
    after: Cursor,
    /// The revision of the last one.
    pub(super) last: u64,
    pub(super) bytes: Bytes,
}

// === impl Pieces ===

impl Pieces {
    /// The next piece of a batch, after a cursor, with no event that comes after the revision `until`; `None` where there
    /// is none. It is kept for others where others read.
    pub(super) fn next(
        &self,
        batch: &Batch<Event>,
        after: Cursor,
        until: u64,
        is_shared: bool,
    ) -> Option<Piece> {
        let until = until.min(batch.last());
        // The newest is asked for most.
        let is_it = |piece: &&Piece| piece.after == after && piece.last <= until;
        if let Some(piece) = self.lock().pieces.iter().rev().find(is_it) {
            return Some(piece.clone());
        }
        let piece = Piece::write(batch, after, until)?;
        if is_shared {
            self.lock().keep(piece.clone());
        }
        Some(piece)
    }

    /// Nobody else is expected.
    pub(super) fn clear(&self) {
        *self.lock() = Recent::default();
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Recent ===

impl Recent {
    fn keep(&mut self, piece: Piece) {
        self.bytes = self.bytes.saturating_add(piece.bytes.len());
        self.pieces.push_back(piece);
        while self.bytes > PIECES_BYTES_MAX {
            let Some(oldest) = self.pieces.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes.len());
        }
    }
}

// === impl Piece ===

impl Piece {
    fn write(batch: &Batch<Event>, after: Cursor, until: u64) -> Option<Self> {
        let (mut bytes, mut last) = (Vec::new(), after.revision);
        for (revision, event) in batch.iter() {
            if revision <= after.revision {
                continue;
            }
            if revision > until || bytes.len() >= PIECE_BYTES {
                break;
            }
            write_event(&mut bytes, Cursor { epoch: after.epoch, revision }, event);
            last = revision;
        }
        // A piece may be kept for long, and then not what a vector has in reserve.
        bytes.shrink_to_fit();
        (last > after.revision).then(|| Self { after, last, bytes: bytes.into() })
    }
}

fn write_event(piece: &mut Vec<u8>, cursor: Cursor, event: &Event) {
    let shape = json::Event::new(cursor, event);
    let written = write!(piece, "id: {cursor}\nevent: {}\ndata: ", event.kind)
        .and_then(|()| serde_json::to_writer(&mut *piece, &shape).map_err(Into::into));
    piece.extend_from_slice(b"\n\n");
    if let Err(error) = written {
        tracing::error!(err = %error, "bug: an event cannot be written as JSON");
    }
}

#[cfg(test)]
mod tests {
    use cluster_core::{Delivery, EventKind, Start};

    use super::*;
    use crate::api::testing::{Fake, cursor, event, member, snapshot};

    /// Two who go on from the same cursor are given the same bytes, where both are to have all that is in them; together
    /// the pieces are the events, each once. What is kept has a limit, and alone nothing is kept.
    #[test]
    fn shared_where_it_fits() {
        const EVENTS: u64 = 200;
        let log = Fake::new(7, []).log;
        let events = (8..8 + EVENTS).map(|revision| event(revision, EventKind::NodeUp, Some(member("n1@h"))));
        log.publish(events, snapshot(7 + EVENTS, []));
        let Some(Delivery::Events(batch)) = log.subscribe(Start::After(cursor(7))).try_next() else {
            panic!("events")
        };
        let pieces = Pieces::default();
        let (mut after, mut ids) = (7, Vec::new());
        while let Some(piece) = pieces.next(&batch, cursor(after), u64::MAX, true) {
            let again = pieces.next(&batch, cursor(after), u64::MAX, true).unwrap();
            assert_eq!(again.bytes.as_ptr(), piece.bytes.as_ptr());
            assert!(piece.bytes.len() < 2 * PIECE_BYTES);
            let text = str::from_utf8(&piece.bytes).unwrap();
            ids.extend(text.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned));
            after = piece.last;
        }
        assert_eq!(ids, (8..8 + EVENTS).map(|revision| cursor(revision).to_string()).collect::<Vec<_>>());

        let shorter = pieces.next(&batch, cursor(7), 9, true).unwrap();
        assert_eq!(shorter.last, 9);
        assert!(pieces.next(&batch, cursor(9), 9, true).is_none());
        for until in 8..8 + EVENTS {
            let _kept = pieces.next(&batch, cursor(until - 1), until, true);
        }
        let recent = pieces.lock();
        assert_eq!(recent.bytes, recent.pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>());
        assert!(recent.bytes <= PIECES_BYTES_MAX);
        drop(recent);
        pieces.clear();
        let _piece = pieces.next(&batch, cursor(7), u64::MAX, false).unwrap();
        assert!(pieces.lock().pieces.is_empty());
    }
}
