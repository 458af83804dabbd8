//! Answers that are written piece by piece: the event stream, and lists of all members.
//!
//! A piece is made when the connection has room for it, so a reader that does not read costs one piece of memory,
//! and holds up nobody: its place in the log is a cursor. A list of 100,000 members is one piece at a time, too.

use std::{
    convert::Infallible,
    io::{self, Write as _},
    ops::Bound,
    time::Duration,
};

use axum::body::{Body, Bytes};
use cluster_core::{
    Batch, Cursor, Delivery, Epoch, Event, EventLog, Member, NodeName, Snapshot, Start, Subscription,
};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{json, routes::Stopping};
use crate::clock;

/// A piece is sent when it has this many bytes; the last member or event in it may exceed it.
const PIECE_BYTES: usize = 8 * 1024;

/// The events from a cursor on, as server-sent events.
pub(super) struct EventStream {
    subscription: Subscription<Event, Snapshot>,
    /// Of what was taken from the log last.
    epoch: Epoch,
    end: End,
    pending: Pending,
    /// What the next resync gives as its reason.
    resync_reason: Option<String>,
    /// Held as long as the stream lives.
    _place: OwnedSemaphorePermit,
}

/// When an [`EventStream`] ends.
pub(super) enum End {
    /// With the event of this revision: what there was when it began.
    At(u64),
    /// With the log or the server, whichever stops first.
    WhenStopping {
        /// The server's end.
        stopping: Stopping,
        /// A comment is sent after this long without an event.
        keep_alive_interval: Duration,
    },
}

/// What was taken from the log and is not sent yet.
enum Pending {
    Nothing,
    /// The batch, and how many of its events were sent.
    Events(Batch<Event>, usize),
    Resync(MemberList),
}

/// A snapshot's members between a head and a tail.
pub(super) struct MemberList {
    format: Format,
    head: Option<Vec<u8>>,
    snapshot: Snapshot,
    /// The last one that was written.
    last: Option<NodeName>,
    tail: String,
}

/// How a member is written.
#[derive(Debug, Clone, Copy)]
enum Format {
    /// An element of a list.
    Json,
    /// A line: its state and its name.
    Text,
}

// === impl EventStream ===

impl EventStream {
    /// A stream from `since` on; without it a resync comes first.
    pub(super) fn new(log: &EventLog, since: Option<Cursor>, end: End, place: OwnedSemaphorePermit) -> Self {
        Self {
            subscription: log.subscribe(since.map_or(Start::Snapshot, Start::After)),
            epoch: log.epoch(),
            end,
            pending: Pending::Nothing,
            resync_reason: since.map(|since| unknown(since, log)),
            _place: place,
        }
    }

    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, async |mut stream| {
            let piece = stream.next_piece().await?;
            Some((Ok::<_, Infallible>(piece), stream))
        }))
    }

    async fn next_piece(&mut self) -> Option<Bytes> {
        loop {
            let mut piece = Vec::new();
            self.write_pending(&mut piece);
            if !piece.is_empty() {
                return Some(piece.into());
            }
            let at = self.subscription.cursor();
            let delivery = match &mut self.end {
                // A cursor of another epoch is nowhere here, whatever its revision is.
                End::At(revision) if at == (Cursor { epoch: self.epoch, revision: *revision }) => {
                    return None;
                }
                End::At(_) => self.subscription.try_next()?,
                End::WhenStopping { stopping, keep_alive_interval } => tokio::select! {
                    biased;
                    _running_dropped = stopping.changed() => return None,
                    delivery = self.subscription.next() => delivery?,
                    () = tokio::time::sleep(*keep_alive_interval) => return Some(Bytes::from_static(b":\n\n")),
                },
            };
            let before = std::mem::replace(&mut self.epoch, self.subscription.cursor().epoch);
            if before != self.epoch {
                self.resync_reason = Some(format!("epoch {before} has ended"));
            }
            self.pending = match delivery {
                Delivery::Events(batch) => Pending::Events(batch, 0),
                Delivery::Resync { revision, snapshot } => self.resync(revision, snapshot),
            };
            // Whatever it was, the stream is in the log from here on.
            self.resync_reason = Some("the subscriber fell behind the retention".to_owned());
        }
    }

    fn resync(&mut self, revision: u64, snapshot: Snapshot) -> Pending {
        let cursor = Cursor { epoch: self.epoch, revision };
        let resync = Resync {
            epoch: cursor.epoch.to_string(),
            revision,
            cursor: cursor.to_string(),
            kind: "resync",
            node: (),
            members: [],
            topology: (),
            reason: self.resync_reason.take(),
            at: json::Time(clock::now().wall),
        };
        let mut list = MemberList::new(&resync, snapshot);
        if let Some(head) = &mut list.head {
            let mut frame = format!("id: {cursor}\nevent: resync\ndata: ").into_bytes();
            frame.append(head);
            *head = frame;
        }
        list.tail.push_str("\n\n");
        Pending::Resync(list)
    }

    /// Writes a piece of what is pending; nothing where nothing is.
    fn write_pending(&mut self, piece: &mut Vec<u8>) {
        let done = match &mut self.pending {
            Pending::Nothing => return,
            Pending::Resync(list) => list.write_piece(piece),
            Pending::Events(batch, sent) => {
                for (revision, event) in batch.iter().skip(*sent) {
                    if piece.len() >= PIECE_BYTES || matches!(self.end, End::At(last) if revision > last) {
                        break;
                    }
                    write_event(piece, Cursor { epoch: self.epoch, revision }, event);
                    *sent += 1;
                }
                *sent >= batch.len() || piece.is_empty()
            }
        };
        if done {
            self.pending = Pending::Nothing;
        }
    }
}

/// Why the log cannot go on after a cursor. Whether it cannot, the log decides.
fn unknown(since: Cursor, log: &EventLog) -> String {
    let Cursor { epoch, revision } = since;
    if epoch != log.epoch() {
        format!("epoch {epoch} is not this log's")
    } else if revision > log.revision() {
        format!("revision {revision} is ahead of this log")
    } else {
        format!("revision {revision} is beyond the retention")
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

/// The shape of a resync. [`json::Event`] reads it.
#[derive(Serialize)]
struct Resync {
    epoch: String,
    revision: u64,
    cursor: String,
    #[serde(rename = "type")]
    kind: &'static str,
    node: (),
    members: [(); 0],
    topology: (),
    reason: Option<String>,
    at: json::Time,
}

// === impl Format ===

impl Format {
    fn write(self, piece: &mut Vec<u8>, member: &Member, is_first: bool) -> io::Result<()> {
        match self {
            Self::Json => {
                if !is_first {
                    piece.push(b',');
                }
                serde_json::to_writer(piece, &json::Member::from(member)).map_err(Into::into)
            }
            Self::Text => writeln!(piece, "{} {}", member.state, member.name),
        }
    }
}

// === impl MemberList ===

impl MemberList {
    /// The answer of `/v1/members`.
    pub(super) fn of_log(log: &EventLog, this: Option<&NodeName>) -> Self {
        let (Cursor { epoch, revision }, snapshot) = log.latest();
        let shape = json::Members {
            epoch: epoch.to_string().into(),
            revision,
            this: this.map(|node| node.as_str().into()),
            members: Vec::new(),
        };
        Self::new(&shape, snapshot)
    }

    /// The answer as text: one line per member, its state and its name.
    pub(super) fn as_text(snapshot: Snapshot) -> Self {
        Self { format: Format::Text, head: None, snapshot, last: None, tail: String::new() }
    }

    /// The snapshot's members in place of the empty list `members` of the shape.
    fn new<T: Serialize>(shape: &T, snapshot: Snapshot) -> Self {
        const MEMBERS: &str = r#""members":["#;
        let text = serde_json::to_string(shape).unwrap_or_default();
        // Not within a text, where the quotes would be escaped.
        let (head, tail) = text.split_once(MEMBERS).unwrap_or((&text, ""));
        Self {
            format: Format::Json,
            head: Some([head, MEMBERS].concat().into_bytes()),
            snapshot,
            last: None,
            tail: tail.to_owned(),
        }
    }

    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(Some(self), async |list| {
            let mut list = list?;
            let mut piece = Vec::new();
            let done = list.write_piece(&mut piece);
            Some((Ok::<_, Infallible>(Bytes::from(piece)), if done { None } else { Some(list) }))
        }))
    }

    /// Writes the next piece. Says whether that was the last.
    fn write_piece(&mut self, piece: &mut Vec<u8>) -> bool {
        piece.extend_from_slice(&self.head.take().unwrap_or_default());
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (name, member) in self.snapshot.members.range::<_, NodeName>((after, Bound::Unbounded)) {
            if piece.len() >= PIECE_BYTES {
                self.last = last.or_else(|| self.last.take());
                return false;
            }
            let is_first = last.is_none() && self.last.is_none();
            if let Err(error) = self.format.write(piece, member, is_first) {
                tracing::error!(err = %error, "bug: a member cannot be written");
            }
            last = Some(NodeName::clone(name));
        }
        piece.extend_from_slice(self.tail.as_bytes());
        true
    }
}
