//! The body of an answer: bytes that are there, or the lines of a watch as they come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::watch::Lines;

/// Bytes up to which an answer has a length; a longer one goes in chunks, as from a real server.
const SIZED_BYTES_MAX: usize = 2_048;

/// What may become of an answer.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
#[derive(Debug)]
pub struct Body {
    source: Source,
    /// How slowly it goes.
    drip: Option<Drip>,
}

#[derive(Debug)]
enum Source {
    /// All that there is.
    Whole(Bytes),
    /// The lines of a watch, as they come.
    Lines(Box<Lines>),
    /// Nothing, for ever.
    Silence,
}

/// Some bytes at a time.
#[derive(Debug)]
struct Drip {
    bytes: usize,
    every: Duration,
    held: Bytes,
    pause: Pin<Box<Sleep>>,
}

// === impl Body ===

impl Body {
    /// These bytes.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Whole(bytes.into()), drip: None }
    }

    /// The lines of a watch.
    pub(crate) fn lines(lines: Lines) -> Self {
        Self { source: Source::Lines(Box::new(lines)), drip: None }
    }

    /// Nothing, without an end.
    pub(crate) const fn silent() -> Self {
        Self { source: Source::Silence, drip: None }
    }

    /// The same, some bytes at a time.
    pub(crate) fn slowly(self, bytes: usize, every: Duration) -> Self {
        let drip = Drip { bytes: bytes.max(1), every, held: Bytes::new(), pause: Box::pin(sleep(every)) };
        Self { drip: Some(drip), ..self }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { source, drip } = self.get_mut();
        let next = match drip {
            Some(drip) => ready!(drip.poll(source, cx)),
            None => ready!(source.poll(cx)),
        };
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.source, Source::Whole(bytes) if bytes.is_empty())
            && self.drip.as_ref().is_none_or(|drip| drip.held.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) if bytes.len() <= SIZED_BYTES_MAX && self.drip.is_none() => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or_default())
            }
            Source::Whole(_) | Source::Lines(_) | Source::Silence => SizeHint::default(),
        }
    }
}

// === impl Source ===

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(take(bytes).map(Ok)),
            Self::Lines(lines) => lines.poll_line(cx).map_err(Into::into),
            Self::Silence => Poll::Pending,
        }
    }
}

// === impl Drip ===

impl Drip {
    fn poll(&mut self, source: &mut Source, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if self.held.is_empty() {
            match ready!(source.poll(cx)) {
                Some(Ok(bytes)) => self.held = bytes,
                end => return Poll::Ready(end),
            }
        }
        ready!(self.pause.as_mut().poll(cx));
        self.pause = Box::pin(sleep(self.every));
        let bytes = self.bytes.min(self.held.len());
        Poll::Ready(Some(Ok(self.held.split_to(bytes))))
    }
}

/// An answer as all answers are.
pub(crate) fn json(code: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn take(bytes: &mut Bytes) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| std::mem::take(bytes))
}
