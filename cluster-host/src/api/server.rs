//! Accepting connections and serving them, within limits.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header::CONNECTION},
    middleware,
    response::IntoResponse,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch},
    task::JoinSet,
};

use super::{
    guard::{self, Guard},
    listen::{Listener, ListeningSocket},
    page, probes,
    problem::{Kind, Problem},
    routes::{self, Shared, Stopping},
    source::Source,
    tls::Tls,
};
use crate::socket::Socket;

/// How long to wait after a failed `accept` (most often: no file descriptor is left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a connection buffers at most, each way; also the longest request head.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Connections beyond [`Limits::connections_max`] that are told so; those beyond both are dropped.
const REFUSALS_MAX: usize = 16;

/// What the API allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Event streams at once. One more is answered 503.
    pub subscribers_max: usize,
    /// Connections at once, those of event streams included. One more is answered 503.
    pub connections_max: usize,
    /// How long a request's head may take, also between two requests of one connection.
    pub header_read_timeout: Duration,
    /// How long an event stream is silent at most: then a comment is sent, by which either side notices that the
    /// other is gone.
    pub keep_alive_interval: Duration,
    /// How long answers under way may take once the server stops.
    pub drain_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            subscribers_max: 4_096,
            connections_max: 4_096 + 256,
            header_read_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(15),
            drain_max: Duration::from_secs(1),
        }
    }
}

/// Serves the API until `shutdown` is ready: then the place is given free, event streams end, and answers under
/// way have [`Limits::drain_max`] to finish.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use cluster_host::{Config, Host, Registry, api::{Limits, Listener, serve}};
/// use tokio::{io::{AsyncReadExt as _, AsyncWriteExt as _}, net::TcpStream, sync::oneshot};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `HostBuilder::listen` serves one place. This one is beside it, with limits of its own.
/// let host = Host::builder(Config::default(), Registry::new()).start()?;
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?)?;
/// let address = listener.address().to_string();
/// let limits = Limits { subscribers_max: 10, ..Limits::default() };
/// let (stop, stopped) = oneshot::channel::<()>();
/// let shutdown = async { drop(stopped.await) };
/// let server = tokio::spawn(serve(listener, Arc::new(host.handle().clone()), limits, shutdown));
///
/// let mut client = TcpStream::connect(&address).await?;
/// let request = format!("GET /v1/members HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
/// client.write_all(request.as_bytes()).await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""members":[]"#));
///
/// drop(stop);
/// server.await??;
/// host.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the listener cannot be used at all. What goes wrong with a connection ends that connection.
pub async fn serve(
    listener: Listener,
    source: Arc<dyn Source>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let guard = match listener.socket {
        ListeningSocket::Tcp(_) => {
            let is_loopback = !listener.address().is_open();
            Some(Guard { access: listener.access.clone(), is_loopback })
        }
        ListeningSocket::Unix(_) => None,
    };
    let router = |stopping: &Stopping| {
        let activity = Arc::clone(source.activity());
        let shared = Shared {
            source,
            subscribers: Arc::new(Semaphore::new(limits.subscribers_max)),
            pieces: Arc::default(),
            stopping: stopping.clone(),
            keep_alive_interval: limits.keep_alive_interval,
        };
        // The page and the probes have nothing that needs a token.
        let open = page::router().merge(probes::router(Arc::clone(&shared.source)));
        let open = open.method_not_allowed_fallback(routes::method_not_allowed);
        let router = routes::router(Arc::new(shared));
        let router = match guard {
            Some(guard) => {
                let router = router.layer(middleware::from_fn_with_state(guard.clone(), guard::entitled));
                router.merge(open).layer(middleware::from_fn_with_state(guard, guard::meant))
            }
            None => router.merge(open),
        };
        routes::finished(router, &activity)
    };
    serve_router(listener, router, limits, shutdown).await
}

/// Serves what a router answers, within the limits, as [`serve`] does. The router is made with what tells of the end.
pub(super) async fn serve_router(
    listener: Listener,
    router: impl FnOnce(&Stopping) -> Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let Listener { socket, place, access } = listener;
    let acceptor = Acceptor::new(socket)?;
    let (running, stopping) = watch::channel(());
    let mut connections = Connections {
        router: router(&stopping),
        stopping,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        limits,
        tls: access.tls,
        tasks: JoinSet::new(),
    };
    connections.accept_until(&acceptor, shutdown).await;
    drop((acceptor, place, running));
    connections.drain().await;
    Ok(())
}

enum Acceptor {
    Unix(UnixListener),
    Tcp(TcpListener),
}

struct Connections {
    router: Router,
    stopping: Stopping,
    /// One permit per connection.
    places: Arc<Semaphore>,
    /// One permit per connection beyond those.
    refusals: Arc<Semaphore>,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    tasks: JoinSet<()>,
}

/// What serves one connection.
struct Connection {
    router: Router,
    limits: Limits,
    stopping: Stopping,
    _place: OwnedSemaphorePermit,
}

// === impl Acceptor ===

impl Acceptor {
    fn new(socket: ListeningSocket) -> io::Result<Self> {
        match socket {
            ListeningSocket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
            ListeningSocket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
        }
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                // An event is to arrive now, not when more of them make a full packet.
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }
}

// === impl Connections ===

impl Connections {
    async fn accept_until(&mut self, acceptor: &Acceptor, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut failure = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
                Some(_ended) = self.tasks.join_next() => continue,
                accepted = acceptor.accept() => accepted,
            };
            match accepted {
                Ok(socket) => {
                    failure = None;
                    self.admit(socket);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let kind = (error.kind(), error.raw_os_error());
                    if failure.replace(kind) != Some(kind) {
                        tracing::warn!(err = %error, "the API cannot accept connections");
                    }
                    tokio::select! { () = &mut shutdown => return, () = tokio::time::sleep(ACCEPT_PAUSE) => {} }
                }
            }
        }
    }

    fn admit(&mut self, socket: Socket) {
        let admitted = Arc::clone(&self.places).try_acquire_owned().map(|place| (place, self.router.clone()));
        let admitted = admitted.or_else(|_none_left| {
            let place = Arc::clone(&self.refusals).try_acquire_owned()?;
            Ok::<_, TryAcquireError>((place, Router::new().fallback(too_many)))
        });
        if let Ok((place, router)) = admitted {
            let stopping = self.stopping.clone();
            let connection = Connection { router, limits: self.limits, stopping, _place: place };
            match (&self.tls, socket) {
                (Some(tls), Socket::Tcp(socket)) => {
                    self.tasks.spawn(connection.serve_tls(Arc::clone(tls), socket))
                }
                (_, socket) => self.tasks.spawn(connection.serve(socket)),
            };
        }
    }

    async fn drain(mut self) {
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain_max, drained).await.is_err() {
            tracing::debug!(connections = self.tasks.len(), "API connections are cut off");
        }
        self.tasks.shutdown().await;
    }
}

// === impl Connection ===

impl Connection {
    async fn serve(mut self, socket: Socket) {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read_timeout)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(socket), TowerToHyperService::new(self.router));
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            _running_dropped = self.stopping.changed() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            // Most often a client that went away: nothing that an operator can act on.
            tracing::debug!(err = %error, "an API connection ended");
        }
    }

    async fn serve_tls(self, tls: Arc<Tls>, socket: TcpStream) {
        let accepted = tokio::time::timeout(self.limits.header_read_timeout, tls.accept(socket)).await;
        match accepted.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(stream) => self.serve(Socket::Tls(Box::new(stream))).await,
            Err(error) => tracing::debug!(err = %error, "no TLS with an API connection"),
        }
    }
}

async fn too_many() -> impl IntoResponse {
    let detail = "too many connections: try again when others have gone";
    let close = [(CONNECTION, HeaderValue::from_static("close"))];
    (close, Problem::of(Kind::TooManyConnections, detail))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected)
}
