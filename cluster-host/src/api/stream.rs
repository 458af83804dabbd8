//! Answers that are written piece by piece: the event stream, and lists of all members.
//!
//! A piece is made when the connection has room for it, so a reader that does not read costs one piece of memory,
//! and holds up nobody: its place in the log is a cursor. A list of 100,000 members is one piece at a time, too.

use std::{
    borrow::Cow,
    convert::Infallible,
    io::{self, Write as _},
    ops::Bound,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes};
use cluster_core::{
    Batch, Cursor, Delivery, Epoch, Event, EventLog, Member, NodeName, Snapshot, Start, Subscription,
};
use futures_util::stream;
use hyper::body::{Body as HttpBody, Frame};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, Sleep, sleep};

use super::{activity::Follower, json, pieces::Pieces, routes::Stopping};
use crate::clock;

/// A piece is sent when it has this many bytes; the last member or event in it may exceed it.
pub(super) const PIECE_BYTES: usize = 8 * 1024;

/// The events from a cursor on, as server-sent events.
pub(super) struct EventStream {
    subscription: Subscription<Event, Snapshot>,
    /// Of what was taken from the log last.
    epoch: Epoch,
    end: End,
    pending: Pending,
    /// What the next resync gives as its reason.
    resync_reason: Option<Cow<'static, str>>,
    pieces: Arc<Pieces>,
    follower: Follower,
}

/// When an [`EventStream`] ends.
pub(super) enum End {
    /// With the event of this revision: what there was when it began.
    At(u64),
    /// With the log or the server, whichever stops first.
    WhenStopping {
        /// The server's end. It is looked at and not waited for: the connection does, and is woken by it.
        stopping: Stopping,
        keep_alive: KeepAlive,
    },
}

/// Sends a comment where there was nothing to send for so long.
pub(super) struct KeepAlive {
    interval: Duration,
    /// When something was sent last.
    sent: Instant,
    /// Ends when that was long ago, or before: it is set anew when it ends, not with each event.
    sleep: Pin<Box<Sleep>>,
}

/// What was taken from the log and is not sent yet.
enum Pending {
    Nothing,
    /// The events of the batch after this revision.
    Events(Batch<Event>, u64),
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
    pub(super) fn new(
        log: &EventLog,
        since: Option<Cursor>,
        end: End,
        pieces: &Arc<Pieces>,
        follower: Follower,
    ) -> Self {
        Self {
            subscription: log.subscribe(since.map_or(Start::Snapshot, Start::After)),
            epoch: log.epoch(),
            end,
            pending: Pending::Nothing,
            resync_reason: since.map(|since| unknown(since, log).into()),
            pieces: Arc::clone(pieces),
            follower,
        }
    }

    pub(super) fn into_body(self) -> Body {
        Body::new(self)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.pending_piece() {
                if let End::WhenStopping { keep_alive, .. } = &mut self.end {
                    keep_alive.sent = Instant::now();
                }
                return Poll::Ready(Some(piece));
            }
            let at = self.subscription.cursor();
            let delivery = match &mut self.end {
                // A cursor of another epoch is nowhere here, whatever its revision is.
                End::At(revision) if at == (Cursor { epoch: self.epoch, revision: *revision }) => None,
                End::At(_) => self.subscription.try_next(),
                End::WhenStopping { stopping, .. } if stopping.has_changed().is_err() => None,
                End::WhenStopping { keep_alive, .. } => match self.subscription.poll_next(cx) {
                    Poll::Ready(delivery) => delivery,
                    Poll::Pending => {
                        ready!(keep_alive.poll(cx));
                        return Poll::Ready(Some(Bytes::from_static(b":\n\n")));
                    }
                },
            };
            let before = std::mem::replace(&mut self.epoch, self.subscription.cursor().epoch);
            if before != self.epoch {
                self.resync_reason = Some(format!("epoch {before} has ended").into());
            }
            self.pending = match delivery {
                None => return Poll::Ready(None),
                Some(Delivery::Events(batch)) => {
                    let after = batch.last().saturating_sub(batch.len() as u64);
                    Pending::Events(batch, after)
                }
                Some(Delivery::Resync { revision, snapshot }) => self.resync(revision, snapshot),
            };
            // Whatever it was, the stream is in the log from here on.
            self.resync_reason = Some("the subscriber fell behind the retention".into());
        }
    }

    fn resync(&mut self, revision: u64, snapshot: Snapshot) -> Pending {
        let cursor = Cursor { epoch: self.epoch, revision };
        let mut list = MemberList::new(&Resync::new(cursor, self.resync_reason.take()), snapshot);
        if let Some(head) = &mut list.head {
            let mut frame = format!("id: {cursor}\nevent: resync\ndata: ").into_bytes();
            frame.append(head);
            *head = frame;
        }
        list.tail.push_str("\n\n");
        Pending::Resync(list)
    }

    /// A piece of what is pending; nothing where nothing is.
    fn pending_piece(&mut self) -> Option<Bytes> {
        match &mut self.pending {
            Pending::Nothing => None,
            Pending::Resync(list) => {
                let mut piece = Vec::new();
                if list.write_piece(&mut piece) {
                    self.follower.sent(list.snapshot.revision);
                    self.pending = Pending::Nothing;
                }
                Some(piece.into())
            }
            Pending::Events(batch, after) => {
                let until = if let End::At(last) = self.end { last } else { u64::MAX };
                let cursor = Cursor { epoch: self.epoch, revision: *after };
                let piece = self.pieces.next(batch, cursor, until, self.follower.has_company());
                if let Some(piece) = &piece {
                    *after = piece.last;
                    self.follower.sent(piece.last);
                }
                if piece.is_none() || *after == batch.last() {
                    self.pending = Pending::Nothing;
                }
                piece.map(|piece| piece.bytes)
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if !self.follower.leaves_company() {
            self.pieces.clear();
        }
    }
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_piece(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

// === impl KeepAlive ===

impl KeepAlive {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, sent: Instant::now(), sleep: Box::pin(sleep(interval)) }
    }

    /// Ready when it is time for a comment.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            let is_due = now.saturating_duration_since(self.sent) >= self.interval;
            if is_due {
                self.sent = now;
            }
            self.sleep.as_mut().reset(self.sent + self.interval);
            if is_due {
                return Poll::Ready(());
            }
        }
    }
}

/// Why the log cannot go on after a cursor. Whether it cannot, the log decides.
pub(super) fn unknown(since: Cursor, log: &EventLog) -> String {
    let Cursor { epoch, revision } = since;
    if epoch != log.epoch() {
        format!("epoch {epoch} is not this log's")
    } else if revision > log.revision() {
        format!("revision {revision} is ahead of this log")
    } else {
        format!("revision {revision} is beyond the retention")
    }
}

/// All members, in place of events. [`json::Event`] reads it, too.
#[derive(Serialize, JsonSchema)]
pub(super) struct Resync {
    /// The epoch of the log.
    epoch: String,
    /// The revision of the last event that the list includes.
    revision: u64,
    /// `EPOCH:REVISION`: where to go on.
    cursor: String,
    /// `resync`
    #[serde(rename = "type")]
    kind: &'static str,
    node: (),
    /// The members in the order of their names, which are written piece by piece.
    #[schemars(with = "Vec<json::Member<'_>>")]
    members: [(); 0],
    topology: (),
    /// Why there are no events.
    reason: Option<Cow<'static, str>>,
    /// When.
    at: json::Time,
}

// === impl Resync ===

impl Resync {
    pub(super) fn new(cursor: Cursor, reason: Option<Cow<'static, str>>) -> Self {
        Self {
            epoch: cursor.epoch.to_string(),
            revision: cursor.revision,
            cursor: cursor.to_string(),
            kind: "resync",
            node: (),
            members: [],
            topology: (),
            reason,
            at: json::Time(clock::now().wall),
        }
    }
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
    pub(super) fn new<T: Serialize>(shape: &T, snapshot: Snapshot) -> Self {
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
