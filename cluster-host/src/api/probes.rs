//! For whoever watches over the host: `/healthz`, `/ready` and `/metrics`. What is answered names no node and no address,
//! so that it needs no token, and it may have a listener of its own that others can reach.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the host works: whoever owns the membership answers. So before a BEAM node or a view is there |
//! | `/ready` | 200, or 503 with what is waited for, as a problem ([`json::Problem`](super::json::Problem)) |
//! | `/metrics` | Prometheus' text format: see [`metrics`](crate::metrics) |

use std::{fmt, io, str::FromStr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    Limits, ListenAddress, ListenError, Listener, problem::Problem, server::serve_router, source::Source,
};
use crate::{metrics, readiness::Seen};

/// How long whoever owns the membership may take to answer. It is never busy for so long.
const OWNER_ANSWER_MAX: Duration = Duration::from_secs(2);
/// Connections of probes at once.
const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take, and how long a connection may be idle: others can reach it.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";

/// Where probes are answered: as [`ListenAddress`], or on any other address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAddress(pub(super) ListenAddress);

// === impl ProbeAddress ===

impl FromStr for ProbeAddress {
    type Err = ListenError;
    fn from_str(text: &str) -> Result<Self, ListenError> {
        match ListenAddress::parse(text) {
            Err(ListenError::NotLoopback(address)) => Ok(Self(ListenAddress::Tcp(address))),
            parsed => parsed.map(Self),
        }
    }
}

impl fmt::Display for ProbeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Answers probes, and nothing else, until `shutdown` is ready.
///
/// # Errors
/// When the listener cannot be used at all.
pub async fn serve_probes(
    listener: Listener,
    source: Arc<dyn Source>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        header_read_timeout: HEADER_READ_TIMEOUT,
        ..Limits::default()
    };
    let router = router(source).fallback(unknown_path).method_not_allowed_fallback(method_not_allowed);
    serve_router(listener, |_stopping| router, limits, shutdown).await
}

/// The three paths, for the API as well.
pub(super) fn router<S: Clone + Send + Sync + 'static>(source: Arc<dyn Source>) -> Router<S> {
    let router = Router::new().route("/healthz", get(healthz));
    router.route("/ready", get(ready)).route("/metrics", get(exposition)).with_state(source)
}

async fn healthz(State(source): State<Arc<dyn Source>>) -> Result<Response, Problem> {
    works(&*source, OWNER_ANSWER_MAX).await?;
    Ok(answer(TEXT, "ok\n".to_owned()))
}

async fn ready(State(source): State<Arc<dyn Source>>) -> Result<Response, Problem> {
    works(&*source, OWNER_ANSWER_MAX).await?;
    let line = is_ready(&*source).map_err(unavailable)?;
    Ok(answer(TEXT, line + "\n"))
}

async fn exposition(State(source): State<Arc<dyn Source>>) -> Result<Response, Problem> {
    let text = metrics::exposition(&*source);
    let text =
        text.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("bug: {error}")))?;
    Ok(answer(metrics::CONTENT_TYPE, text))
}

/// Whether the host is ready, in one line.
pub(crate) fn is_ready(source: &dyn Source) -> Result<String, String> {
    let (_, snapshot) = source.log().snapshot();
    let (node, topologies) = (source.node(), source.topologies());
    let seen = Seen { snapshot: &snapshot, node: node.as_ref(), topologies: &topologies };
    source.readiness().judge(seen)
}

async fn works(source: &dyn Source, within: Duration) -> Result<(), Problem> {
    match tokio::time::timeout(within, source.alive()).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(unavailable("the host stops, or has ended by a mistake of its own: see its log")),
        Err(_elapsed) => Err(unavailable(format!(
            "the host hangs: its membership gives no answer within {} s",
            within.as_secs()
        ))),
    }
}

fn unavailable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!("there is no {} here: ask for /healthz, /ready or /metrics", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not possible on {}", uri.path()))
}

fn answer(content_type: &'static str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests;
