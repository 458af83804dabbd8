//! Watches: who is told of changes, and what they are told.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Sleep;

use crate::kind::Kind;
use crate::object::{Form, Object};
use crate::selector::Selector;
use crate::server::ApiServer;
use crate::store::{Change, Store};

/// What a client watches.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) kind: Kind,
    pub(crate) selector: Selector,
    pub(crate) form: Form,
    /// Whether it may be told of versions alone.
    pub(crate) takes_bookmarks: bool,
    /// The version at which it began.
    pub(crate) since: u64,
}

/// The open watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    open: Vec<Watch>,
    opened: u64,
}

#[derive(Debug)]
struct Watch {
    id: u64,
    interest: Interest,
    signals: UnboundedSender<Signal>,
    is_mute: bool,
    /// The version of the bookmark that was said last, if nothing was said after it.
    bookmarked: Option<u64>,
}

/// What happens to an open watch.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A line, with its end.
    Line(Bytes),
    /// It ends as it should.
    End,
    /// Its connection is torn.
    Tear,
    /// Nothing more happens, and it does not end.
    Mute,
}

/// The client's end of a watch. It is open until this is dropped.
#[derive(Debug)]
pub(crate) struct Lines {
    signals: UnboundedReceiver<Signal>,
    end: Pin<Box<Sleep>>,
    /// How it goes on.
    state: LinesState,
    server: ApiServer,
    id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinesState {
    /// Left at the end, by a signal or when its time is over.
    Open,
    /// Never left: half a connection.
    Mute,
    /// All was said.
    Ended,
}

// === impl Interest ===

impl Interest {
    /// What is told of a change, if it is of interest. An object that leaves the selector is told as it was before.
    pub(crate) fn line(&self, change: &Change) -> Option<Bytes> {
        if change.key.kind != self.kind {
            return None;
        }
        let before = change.before.as_ref().filter(|object| self.selector.matches(object));
        let after = change.after.as_ref().filter(|object| self.selector.matches(object));
        match (before, after) {
            (None, Some(after)) => Some(self.event("ADDED", after)),
            (Some(_), Some(after)) => Some(self.event("MODIFIED", after)),
            (Some(before), None) => Some(self.event("DELETED", &before.with_version(change.version))),
            (None, None) => None,
        }
    }

    /// What is told of the objects that are there at the beginning.
    pub(crate) fn initial_lines(&self, store: &Store) -> Vec<Bytes> {
        let objects = store.objects(self.kind).filter(|object| self.selector.matches(object));
        objects.map(|object| self.event("ADDED", object)).collect()
    }

    /// A bookmark of `version`; `is_initial`: the one that ends the initial objects.
    pub(crate) fn bookmark(&self, version: u64, is_initial: bool) -> Bytes {
        let (name, api_version, stub) = match self.form {
            Form::Full => (self.kind.name(), self.kind.api_version(), self.kind.stub()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1", ""),
        };
        let mut line = format!(
            r#"{{"type":"BOOKMARK","object":{{"kind":"{name}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}""#
        );
        if is_initial {
            line += r#","annotations":{"k8s.io/initial-events-end":"true"}"#;
        }
        _ = writeln!(line, "}}{stub}}}}}");
        Bytes::from(line)
    }

    fn event(&self, event: &str, object: &Object) -> Bytes {
        let mut line = format!(r#"{{"type":"{event}","object":"#).into_bytes();
        object.write(self.form, &mut line);
        line.extend_from_slice(b"}\n");
        Bytes::from(line)
    }
}

// === impl Watches ===

impl Watches {
    /// Opens a watch that begins with `lines`; gives its id and the client's end.
    pub(crate) fn open(
        &mut self,
        interest: Interest,
        lines: Vec<Bytes>,
        bookmarked: Option<u64>,
    ) -> (u64, UnboundedReceiver<Signal>) {
        let (signals, receiver) = unbounded_channel();
        for line in lines {
            drop(signals.send(Signal::Line(line)));
        }
        self.opened += 1;
        let id = self.opened;
        self.open.push(Watch { id, interest, signals, is_mute: false, bookmarked });
        (id, receiver)
    }

    /// A watch that says `lines` and ends; nobody is told of it.
    pub(crate) fn closed(lines: Vec<Bytes>) -> (u64, UnboundedReceiver<Signal>) {
        let (signals, receiver) = unbounded_channel();
        for line in lines {
            drop(signals.send(Signal::Line(line)));
        }
        (0, receiver)
    }

    /// Forgets a watch whose client is gone.
    pub(crate) fn close(&mut self, id: u64) {
        self.open.retain(|watch| watch.id != id);
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.open.len()
    }

    /// The bookmark that a watch ends with, if it takes any and was not told the same last.
    pub(crate) fn last_bookmark(&self, id: u64, store: &Store) -> Option<Bytes> {
        let watch = self.open.iter().find(|watch| watch.id == id && watch.interest.takes_bookmarks)?;
        let version = store.progress(watch.interest.kind).max(watch.interest.since);
        (watch.bookmarked != Some(version)).then(|| watch.interest.bookmark(version, false))
    }

    /// Tells all who want to know.
    pub(crate) fn tell(&mut self, change: &Change) {
        for watch in &mut self.open {
            if let Some(line) = watch.interest.line(change) {
                watch.bookmarked = None;
                watch.send(Signal::Line(line));
            }
        }
    }

    /// Tells all who take bookmarks how far they have come.
    pub(crate) fn bookmark(&mut self, version: u64) {
        for watch in self.open.iter_mut().filter(|watch| watch.interest.takes_bookmarks) {
            let version = version.max(watch.interest.since);
            watch.bookmarked = Some(version);
            watch.send(Signal::Line(watch.interest.bookmark(version, false)));
        }
    }

    /// Sends the same to all.
    pub(crate) fn send_all(&self, signal: impl Fn() -> Signal) {
        for watch in &self.open {
            watch.send(signal());
        }
    }

    /// Says nothing more to those that are open now.
    pub(crate) fn mute(&mut self) {
        self.send_all(|| Signal::Mute);
        for watch in &mut self.open {
            watch.is_mute = true;
        }
    }
}

// === impl Watch ===

impl Watch {
    fn send(&self, signal: Signal) {
        if !self.is_mute {
            // Who is gone is forgotten when its `Lines` are dropped.
            drop(self.signals.send(signal));
        }
    }
}

// === impl Lines ===

impl Lines {
    /// The client's end of the watch `id`, which ends when `end` is over.
    pub(crate) fn new(
        server: ApiServer,
        (id, signals): (u64, UnboundedReceiver<Signal>),
        end: Sleep,
    ) -> Self {
        Self { signals, end: Box::pin(end), state: LinesState::Open, server, id }
    }

    /// The next line; nothing at the end; an error when the connection is torn.
    pub(crate) fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Torn>>> {
        match self.state {
            LinesState::Open => {}
            LinesState::Mute => return Poll::Pending,
            LinesState::Ended => return Poll::Ready(None),
        }
        match self.signals.poll_recv(cx) {
            Poll::Ready(Some(Signal::Line(line))) => return Poll::Ready(Some(Ok(line))),
            Poll::Ready(Some(Signal::Mute)) => {
                self.state = LinesState::Mute;
                return Poll::Pending;
            }
            Poll::Ready(Some(Signal::Tear)) => {
                self.state = LinesState::Ended;
                return Poll::Ready(Some(Err(Torn)));
            }
            Poll::Ready(Some(Signal::End) | None) => {
                self.state = LinesState::Ended;
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        std::task::ready!(self.end.as_mut().poll(cx));
        self.state = LinesState::Ended;
        Poll::Ready(self.server.last_bookmark(self.id).map(Ok))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.server.close_watch(self.id);
    }
}

/// The connection is torn, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Torn;

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was torn by the test's server")
    }
}

impl std::error::Error for Torn {}
