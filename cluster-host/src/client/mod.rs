//! Asking a daemon: HTTP over its Unix socket, or over TCP, with or without TLS.

mod address;
mod credentials;
mod sse;

use std::{
    error::Error, fmt, io, iter::successors, os::unix::fs::MetadataExt as _, path::Path, sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, TlsStream};

use self::credentials::Credentials;
pub(crate) use self::{address::ApiAddress, credentials::CredentialFiles, sse::SseEvent};
use crate::{
    api::{AccessError, ListenAddress, SERVICE_DIRECTORY, json},
    socket::Socket,
};

/// How long the daemon may take to accept the connection, and again to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the daemon may take to do something: it may have to ask every plugin.
const DONE_TIMEOUT: Duration = Duration::from_secs(60);
/// What an error's body may have.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// A daemon's address; each question is a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: ApiAddress,
    /// Whether someone named the address, rather than the rule for where it is.
    named: bool,
    credentials: Credentials,
}

/// Why there is no answer. Nothing changed in the daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No daemon answers there: the operator starts it or names the right place.
    #[error("cannot reach the daemon at {address}: {trouble}")]
    Unreachable { address: ApiAddress, trouble: Trouble },
    /// The daemon refuses the question.
    #[error("{detail}")]
    Refused { status: StatusCode, detail: String },
    /// The answer broke off.
    #[error("lost the daemon at {address}: {why}")]
    Lost { address: ApiAddress, why: String },
    /// What came is not what a daemon of this version answers.
    #[error("the answer of {address} is not understood: {why}; is it a cluster-host of another version?")]
    NotUnderstood { address: ApiAddress, why: String },
}

/// What kept us from the daemon, and what helps.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody listens there.
    NotRunning(io::Error),
    /// The socket is another user's.
    PermissionDenied {
        owner: Option<u32>,
    },
    /// The socket lies where anybody could have put it, and a stranger did.
    NotTrusted {
        owner: u32,
    },
    /// It accepts, and then says nothing.
    Silent,
    Other(String),
}

/// The stream of events.
#[derive(Debug)]
pub(crate) struct EventStream {
    address: ApiAddress,
    body: Incoming,
    parser: sse::Parser,
}

// === impl ClientError ===

impl ClientError {
    /// Whether it may pass by itself.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { trouble, .. } => {
                !matches!(trouble, Trouble::PermissionDenied { .. } | Trouble::NotTrusted { .. })
            }
            Self::Refused { status, .. } => status.is_server_error(),
            Self::Lost { .. } => true,
            Self::NotUnderstood { .. } => false,
        }
    }
}

// === impl Client ===

impl Client {
    /// A client of the named daemon, or of the one that listens where daemons of this user do.
    pub(crate) fn new(address: Option<ApiAddress>) -> Self {
        let named = address.is_some();
        let address = address.unwrap_or_else(|| ListenAddress::default().into());
        Self { address, named, credentials: Credentials::default() }
    }

    /// The same, with what it shows over a port, and whom it takes for the daemon.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn with_credentials(mut self, files: &CredentialFiles) -> Result<Self, AccessError> {
        let is_tls = match self.address {
            ApiAddress::Unix(_) => return Ok(self),
            ApiAddress::Http(_) => false,
            ApiAddress::Https(_) => true,
        };
        self.credentials = Credentials::read(files, is_tls)?;
        Ok(self)
    }

    /// Where it asks.
    pub(crate) const fn address(&self) -> &ApiAddress {
        &self.address
    }

    /// The body of an answer.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        let body = self.ask(path).await?.into_body();
        let body = body.collect().await.map_err(|error| lost(&self.address, &error))?;
        Ok(body.to_bytes())
    }

    /// The body of an answer to a request for something to be done, which may take its time.
    pub(crate) async fn post(&self, path: &str) -> Result<Bytes, ClientError> {
        let answer = self.request(Method::POST, path, DONE_TIMEOUT).await?;
        let body = answer.into_body().collect().await.map_err(|error| lost(&self.address, &error))?;
        Ok(body.to_bytes())
    }

    /// Reads a body as one of the shapes.
    pub(crate) fn read<'a, T: serde::Deserialize<'a>>(&self, body: &'a [u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| ClientError::NotUnderstood {
            address: self.address.clone(),
            why: error.to_string(),
        })
    }

    /// The events from a cursor on.
    pub(crate) async fn events(&self, since: Option<&str>, follow: bool) -> Result<EventStream, ClientError> {
        let since = since.map(|since| format!("&since={}", encode(since))).unwrap_or_default();
        let answer = self.ask(&format!("/v1/events?follow={follow}{since}")).await?;
        Ok(EventStream {
            address: self.address.clone(),
            body: answer.into_body(),
            parser: sse::Parser::default(),
        })
    }

    /// It has not answered, and is not waited for any longer.
    pub(crate) fn silent(&self) -> ClientError {
        self.unreachable(Trouble::Other("it gives no answer; does it hang?".to_owned()))
    }

    /// It ended an answer that was to go on.
    pub(crate) fn stopped(&self) -> ClientError {
        ClientError::Lost { address: self.address.clone(), why: "it stopped".to_owned() }
    }

    async fn ask(&self, path: &str) -> Result<Response<Incoming>, ClientError> {
        self.request(Method::GET, path, ANSWER_TIMEOUT).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        within: Duration,
    ) -> Result<Response<Incoming>, ClientError> {
        let silent = |_elapsed| self.unreachable(Trouble::Silent);
        let socket = tokio::time::timeout(ANSWER_TIMEOUT, self.connect()).await.map_err(silent)??;
        let exchange = self.exchange(socket, method, path);
        let answer = tokio::time::timeout(within, exchange).await.map_err(silent)??;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let body = http_body_util::Limited::new(answer.into_body(), PROBLEM_BYTES_MAX).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let detail = serde_json::from_slice(&body).map_or_else(
            |_no_problem| format!("the daemon answers {status}"),
            |p: json::Problem<'_>| p.detail.into(),
        );
        Err(ClientError::Refused { status, detail })
    }

    async fn exchange(
        &self,
        socket: Socket,
        method: Method,
        path: &str,
    ) -> Result<Response<Incoming>, ClientError> {
        let other = |error: hyper::Error| self.unreachable(Trouble::Other(causes(&error)));
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(other)?;
        // Ends when both the sender and the body are gone.
        tokio::spawn(connection);
        let host = match &self.address {
            ApiAddress::Unix(_) => "localhost",
            ApiAddress::Http(authority) | ApiAddress::Https(authority) => authority,
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if let Some(authorization) = &self.credentials.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|error| self.unreachable(Trouble::Other(error.to_string())))?;
        sender.send_request(request).await.map_err(other)
    }

    async fn connect(&self) -> Result<Socket, ClientError> {
        let connected = match &self.address {
            ApiAddress::Unix(path) => {
                if let Some(owner) = self.stranger(path) {
                    return Err(self.unreachable(Trouble::NotTrusted { owner }));
                }
                UnixStream::connect(path).await.map(Socket::Unix)
            }
            ApiAddress::Http(authority) => TcpStream::connect(authority.as_str()).await.map(Socket::Tcp),
            ApiAddress::Https(authority) => self.connect_tls(authority).await,
        };
        connected.map_err(|error| {
            self.unreachable(match (error.kind(), &self.address) {
                (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, _) => Trouble::NotRunning(error),
                (io::ErrorKind::PermissionDenied, ApiAddress::Unix(path)) => {
                    Trouble::PermissionDenied { owner: owner(path) }
                }
                _ => Trouble::Other(error.to_string()),
            })
        })
    }

    async fn connect_tls(&self, authority: &str) -> io::Result<Socket> {
        let Some(config) = &self.credentials.tls else {
            return Err(io::Error::other("bug: no credentials were read for TLS"));
        };
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let socket = TcpStream::connect(authority).await?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await?;
        Ok(Socket::Tls(Box::new(TlsStream::Client(stream))))
    }

    /// The owner of a socket that nobody named and that is neither ours nor root's: whoever put it there would tell
    /// us about a cluster of their own. The service runs as a user of its own, where root has put it.
    fn stranger(&self, path: &Path) -> Option<u32> {
        let us = rustix::process::geteuid().as_raw();
        owner(path).filter(|owner| {
            !self.named && *owner != us && *owner != 0 && !path.starts_with(SERVICE_DIRECTORY)
        })
    }

    fn unreachable(&self, trouble: Trouble) -> ClientError {
        ClientError::Unreachable { address: self.address.clone(), trouble }
    }
}

// === impl EventStream ===

impl EventStream {
    /// The next event; `None` when the daemon ended the stream.
    pub(crate) async fn next_event(&mut self) -> Result<Option<SseEvent>, ClientError> {
        loop {
            if let Some(event) = self.parser.next_event() {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(lost(&self.address, &error)),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.push(bytes);
                    }
                }
            }
        }
    }
}

// === impl Trouble ===

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(error) => write!(
                f,
                "{}; is it running? Start it with 'cluster-host run --config FILE', or say where it listens with \
                 --api or CLUSTER_HOST_API",
                if error.kind() == io::ErrorKind::NotFound {
                    "there is no such socket"
                } else {
                    "nobody listens there"
                }
            ),
            Self::PermissionDenied { owner } => {
                f.write_str("permission denied: only the user that runs the daemon may ask it")?;
                owner.map_or(Ok(()), |owner| write!(f, " (user id {owner})"))
            }
            Self::NotTrusted { owner } => write!(
                f,
                "the socket belongs to user id {owner}, who is neither you nor root; if you trust it, name it with --api"
            ),
            Self::Silent => {
                write!(f, "it does not answer within {} s; is that a cluster-host?", ANSWER_TIMEOUT.as_secs())
            }
            Self::Other(why) => f.write_str(why),
        }
    }
}

fn owner(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| metadata.uid())
}

fn lost(address: &ApiAddress, error: &hyper::Error) -> ClientError {
    let why =
        if is_broken_off(error) { "it ended in the middle of an answer".to_owned() } else { causes(error) };
    ClientError::Lost { address: address.clone(), why }
}

/// A daemon that is killed says no last word.
fn is_broken_off(error: &hyper::Error) -> bool {
    let is_end = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
    };
    error.is_incomplete_message() || chain(error).any(|error| error.downcast_ref().is_some_and(is_end))
}

/// The error and what is behind it, in one line.
fn causes(error: &hyper::Error) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn chain(error: &hyper::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(Some(error as &(dyn Error + 'static)), |error| (*error).source())
}

/// Percent-encodes what is not unreserved in a URL.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' => {
                encoded.push(byte.into());
            }
            _ => {
                encoded.push('%');
                for digit in [byte >> 4, byte & 0xf] {
                    let digit = char::from_digit(digit.into(), 16).unwrap_or_default();
                    encoded.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
