//! A real HTTP server on loopback for tests: it answers as it is told, over TLS too, and remembers what it was asked.
//! [`Server::raw`] is for one that misbehaves below HTTP.

#![allow(clippy::expect_used, reason = "a test that asks for nonsense is to fail at once")]

mod certificates;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime,
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

pub use self::certificates::{Authority, Pem};

/// A connection that does nothing is closed after this.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As `GET /v1/nodes?page=2`.
    pub line: String,
    /// The headers, by names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// Which connection it came by, counted from 1.
    pub connection: usize,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The server, until it is dropped.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Dropped, it ends the server.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

type Handler = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

// === impl Reply ===

impl Reply {
    /// A status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

// === impl Server ===

impl Server {
    /// A server without TLS.
    pub fn http(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(handler))
    }

    /// A server with TLS, as [`Authority::server`] gives it.
    pub fn https(acceptor: TlsAcceptor, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Some(acceptor), Arc::new(handler))
    }

    /// A server that does with each connection as it is told, in a thread of its own.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub fn raw(handler: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        let address = listener.local_addr().expect("a listener has an address");
        let handler = Arc::new(handler);
        // It ends with the process: nothing wakes a thread that accepts.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let handler = Arc::clone(&handler);
                thread::spawn(move || drop(handler(stream)));
            }
        });
        Self { address, scheme: "http", asked: Arc::default(), stop: None, thread: None }
    }

    /// Its address and a path as a URL.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// All that it was asked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    fn start(acceptor: Option<TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        listener.set_nonblocking(true).expect("a listener can be polled");
        let address = listener.local_addr().expect("a listener has an address");
        let (stop, stopped) = oneshot::channel();
        let asked = Arc::default();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let answering = Answering { handler, asked: Arc::clone(&asked), connection: 0 };
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, acceptor, answering) => {}
                }
            });
        });
        Self { address, scheme, asked, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panics were printed by its thread.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Answering {
    handler: Handler,
    asked: Arc<Mutex<Vec<Asked>>>,
    connection: usize,
}

// === impl Answering ===

impl Answering {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let asked = Asked {
            line: format!("{} {}", parts.method, parts.uri),
            headers: headers.collect(),
            body: text(&body),
            connection: self.connection,
        };
        lock(&self.asked).push(asked.clone());
        let reply = (self.handler)(&asked);
        let mut answer = Response::builder().status(reply.status);
        for (name, value) in &reply.headers {
            answer = answer.header(name, value);
        }
        Ok(answer.body(Full::new(reply.body.into())).expect("a test's reply can be sent"))
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, mut answering: Answering) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener can be polled");
    while let Ok((stream, _)) = listener.accept().await {
        answering.connection += 1;
        let (acceptor, answering) = (acceptor.clone(), answering.clone());
        tokio::spawn(async move {
            match acceptor {
                // Clients are refused on purpose.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, answering).await;
                    }
                }
                None => serve(stream, answering).await,
            }
        });
    }
}

fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, answering: Answering) -> impl Future<Output = ()> {
    let service = service_fn(move |request| answering.clone().answer(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    async move { drop(timeout(IDLE_MAX, connection).await) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
