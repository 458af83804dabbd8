//! The server as a service, without a socket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::DATE;
use http::{Request, Response};
use hyper::body::Body as HttpBody;
use tower::Service;

use crate::answer::answer;
use crate::body::{Body, BoxError};
use crate::server::ApiServer;

/// The server as a service, as `kube::Client::new` takes it. It does no I/O and knows tokio's time only, so it also
/// works while the clock is paused.
#[derive(Clone)]
pub struct ApiService {
    server: ApiServer,
}

// === impl ApiService ===

impl ApiService {
    pub(crate) const fn new(server: ApiServer) -> Self {
        Self { server }
    }
}

impl fmt::Debug for ApiService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiService").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = self.server.clone();
        Box::pin(async move {
            let mut response = answer(server.clone(), request).await?;
            let date = server.state().date.clone();
            if let Some(date) = date {
                response.headers_mut().insert(DATE, date);
            }
            Ok(response)
        })
    }
}
