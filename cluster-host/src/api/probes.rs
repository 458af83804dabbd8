//! For whoever watches over the host: `/healthz`, `/ready` and `/metrics`. What is answered names no node and no address,
//! so that it needs no token, and it may have a listener of its own that others can reach.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the host works: whoever owns the membership answers. So before a BEAM node or a view is there |
//! | `/ready` | 200, or 503 with what is waited for, as a problem ([`json::Problem`](super::json::Problem)) |
//! | `/metrics` | Prometheus' text format: see [`metrics`](crate::metrics) |

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{
        HeaderValue, Method, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    Limits, Listener,
    problem::{Kind, Problem},
    server::serve_router,
    source::Source,
};
use crate::{metrics, readiness::Seen};

/// How long whoever owns the membership may take to answer. It is never busy for so long.
const OWNER_ANSWER_MAX: Duration = Duration::from_secs(2);
/// Connections of probes at once.
const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take, and how long a connection may be idle: others can reach it.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers probes, and nothing else, until `shutdown` is ready.
///
/// # Examples
///
/// ```
/// use std::{future::pending, sync::Arc};
///
/// use cluster_host::{Config, Host, Registry, api::{Listener, serve_probes}};
/// use tokio::{io::{AsyncReadExt as _, AsyncWriteExt as _}, net::TcpStream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::builder(Config::default(), Registry::new()).start()?;
/// let listener = Listener::bind_probes(&"127.0.0.1:0".parse()?)?;
/// let address = listener.address().to_string();
/// let server = tokio::spawn(serve_probes(listener, Arc::new(host.handle().clone()), pending()));
///
/// for (path, status) in [("/healthz", "HTTP/1.1 200"), ("/v1/members", "HTTP/1.1 404")] {
///     let mut client = TcpStream::connect(&address).await?;
///     let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
///     client.write_all(request.as_bytes()).await?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer).await?;
///     assert!(answer.starts_with(status), "{answer}");
/// }
/// server.abort();
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
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
    let line = is_ready(&*source).map_err(|why| Problem::of(Kind::NotReady, why))?;
    Ok(answer(TEXT, line + "\n"))
}

async fn exposition(State(source): State<Arc<dyn Source>>) -> Result<Response, Problem> {
    let text = metrics::exposition(&*source);
    let text = text.map_err(|error| Problem::of(Kind::Bug, format!("bug: {error}")))?;
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
    Problem::of(Kind::Unavailable, detail)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!("there is no {} here: ask for /healthz, /ready or /metrics", uri.path());
    Problem::of(Kind::UnknownPath, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::of(Kind::MethodNotAllowed, format!("{method} is not possible on {}", uri.path()))
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
