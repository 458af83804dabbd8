//! A server that answers with recordings, byte for byte.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Service;

use crate::body::Body;
use crate::recordings::{Recording, Recordings};
use crate::request::SeenRequest;
use crate::status::Status;

/// A service that answers with recordings, in the order in which it was given them.
///
/// A recording is the answer to the next request that asks for the same: the same path, and both watch or neither does.
/// When none is left, a list is answered with the last one again, and a watch stays open and silent.
///
/// ```
/// use test_apiserver::Replay;
/// use test_apiserver::recordings::Recordings;
///
/// let recordings = Recordings::bundled();
/// let service = Replay::new(&recordings, &["pods-list.json", "watch-pods.jsonl"]);
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct Replay {
    shared: Arc<Mutex<Script>>,
}

#[derive(Debug)]
struct Script {
    steps: Vec<Step>,
    requests: Vec<SeenRequest>,
}

#[derive(Debug)]
struct Step {
    recording: Recording,
    is_done: bool,
}

// === impl Replay ===

impl Replay {
    /// Answers with these files.
    ///
    /// # Panics
    ///
    /// If there is no such recording.
    #[must_use]
    #[track_caller]
    pub fn new(recordings: &Recordings, files: &[&str]) -> Self {
        let step = |file: &&str| Step { recording: recordings.file(file).clone(), is_done: false };
        let script = Script { steps: files.iter().map(step).collect(), requests: Vec::new() };
        Self { shared: Arc::new(Mutex::new(script)) }
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }
}

impl<B> Service<Request<B>> for Replay {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut script = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        ready(Ok(script.answer(SeenRequest::new(&request.into_parts().0))))
    }
}

// === impl Script ===

impl Script {
    fn answer(&mut self, mut request: SeenRequest) -> Response<Body> {
        let response = self.next(&request);
        request.status = Some(response.status().as_u16());
        self.requests.push(request);
        response
    }

    fn next(&mut self, request: &SeenRequest) -> Response<Body> {
        let mut like = self.steps.iter_mut().filter(|step| step.recording.is_like(&request.uri));
        let mut last = None;
        if let Some(step) = like.find_map(|step| {
            if step.is_done {
                last = Some(&step.recording);
                None
            } else {
                Some(step)
            }
        }) {
            step.is_done = true;
            return step.recording.response(Body::whole(step.recording.body.clone()));
        }
        match last {
            Some(recording) if recording.is_watch() => recording.response(Body::silent()),
            Some(recording) => recording.response(Body::whole(recording.body.clone())),
            None => Status::unknown_path().response(),
        }
    }
}
