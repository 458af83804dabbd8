//! What each request passes: it is given the token, is bounded in time, and its outcome is noted.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER},
    request::Parts,
};
use kube::client::Body;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tower::{BoxError, Service, ServiceExt as _};

use super::token::TokenFile;

/// How long the API server may take to begin an answer. It begins that of a watch at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Time between the starts of two watches: a server or proxy that ends each one at once is not to be asked without end.
const WATCH_INTERVAL_MIN: Duration = Duration::from_millis(500);

/// A service that requests go through.
#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    token: Option<Arc<TokenFile>>,
    journal: Journal,
    last_watch: Arc<Mutex<Option<Instant>>>,
}

/// Where the outcome of each request is told.
pub(crate) type Journal = mpsc::UnboundedSender<Answer>;

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) is_watch: bool,
    /// None where there was none.
    pub(crate) status: Option<StatusCode>,
    /// How long it asks not to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

/// The API server took the request, and then said nothing.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {ANSWER_WITHIN:?}")]
pub(crate) struct NoAnswer;

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, token: Option<TokenFile>, journal: Journal) -> Self {
        Self { inner, token: token.map(Arc::new), journal, last_watch: Arc::default() }
    }
}

impl<S, B> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, _no_body) = request.into_parts();
        let is_watch =
            parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let gate = self.clone();
        Box::pin(async move {
            if is_watch {
                pace(&gate.last_watch).await;
            }
            let journal = gate.journal.clone();
            let outcome = gate.send(parts).await;
            let headers = outcome.as_ref().ok().map(Response::headers);
            let retry_after =
                headers.and_then(|headers| headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok());
            let answer = Answer {
                is_watch,
                status: outcome.as_ref().ok().map(Response::status),
                retry_after: retry_after.map(Duration::from_secs),
            };
            // Nobody listens any more when the strategy ends.
            journal.send(answer).unwrap_or_default();
            outcome
        })
    }
}

impl<S, B> Gate<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    /// Sends a request, none of which has a body. Where its token is refused and the file has another one by now, once
    /// more.
    async fn send(self, mut parts: Parts) -> Result<Response<B>, BoxError> {
        let Some(token) = self.token else {
            return try_once(self.inner, parts).await;
        };
        let first = token.header()?;
        parts.headers.insert(AUTHORIZATION, first.clone());
        let response = try_once(self.inner.clone(), parts.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let second = token.header()?;
            if second != first {
                parts.headers.insert(AUTHORIZATION, second);
                return try_once(self.inner, parts).await;
            }
        }
        Ok(response)
    }
}

async fn try_once<S, B>(service: S, parts: Parts) -> Result<Response<B>, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    let request = Request::from_parts(parts, Body::empty());
    match timeout(ANSWER_WITHIN, service.oneshot(request)).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_elapsed) => Err(NoAnswer.into()),
    }
}

async fn pace(last_watch: &Mutex<Option<Instant>>) {
    let earliest = {
        let mut last = last_watch.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earliest = last.map_or(now, |last| now.max(last + WATCH_INTERVAL_MIN));
        *last = Some(earliest);
        earliest
    };
    sleep_until(earliest).await;
}
