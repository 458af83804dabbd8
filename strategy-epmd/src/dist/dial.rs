//! Dialling a node: epmd tells its port, then TCP, TLS where it is configured, and the handshake.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use cluster_sdk::NodeName;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::{
    exchange::{HandshakeError, Hello, Length, Peer, initiate},
    link::Stream,
    tls::{self, TlsConfig, TlsError},
};
use crate::epmd::{Epmd, EpmdError};

/// Addresses of one node that are tried at most.
const ADDRESSES_MAX: usize = 8;

/// How nodes are reached.
#[derive(Debug, Clone)]
pub(crate) struct Dialler {
    pub(crate) epmd_port: u16,
    /// The port of every node, where there is no epmd.
    pub(crate) port: Option<u16>,
    pub(crate) tls: Option<TlsConfig>,
}

/// A link, its handshake done.
pub(crate) struct Dialled {
    pub(crate) peer: Peer,
    pub(crate) stream: Box<dyn Stream>,
}

/// Why a node was not reached. The texts are the same for each try that fails for the same reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{0}")]
    Epmd(#[from] EpmdError),
    #[error("cannot resolve {host}: {source}")]
    Unresolvable { host: String, source: io::Error },
    /// Registered, but nobody accepts.
    #[error("no connection to {at}: {}", .source.kind())]
    Refused { at: SocketAddr, source: io::Error },
    #[error("{at}: {source}")]
    Tls { at: SocketAddr, source: Box<TlsError> },
    #[error("{source}")]
    Handshake { at: SocketAddr, source: HandshakeError },
    #[error("no answer from {at} ({stage}): it is frozen, or something on the way drops it")]
    NoAnswer { at: String, stage: &'static str },
}

/// The node that is meant.
#[derive(Clone, Copy)]
struct Target<'a> {
    /// The host part of its name, which its certificate must have.
    host: &'a str,
    /// Its name; for none any will do.
    name: Option<&'a str>,
}

/// How far a dial is, for the text when its time is over.
struct Progress<'a> {
    target: Target<'a>,
    stage: Cell<(&'static str, Option<SocketAddr>)>,
}

// === impl Dialler ===

impl Dialler {
    /// Reaches a node.
    ///
    /// # Errors
    /// [`DialError`].
    pub(crate) async fn dial(
        &self,
        node: &NodeName,
        hello: Hello<'_>,
        within: Duration,
    ) -> Result<Dialled, DialError> {
        let progress = Progress {
            target: Target { host: node.host(), name: Some(node.as_str()) },
            stage: Cell::new(("looking it up", None)),
        };
        let work = async {
            let addresses = self.find(node, within).await?;
            let mut failure = None;
            for address in addresses {
                match self.reach(address, hello, &progress).await {
                    Ok(dialled) => return Ok(dialled),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            let host = node.host().to_owned();
            Err(failure.unwrap_or(DialError::Unresolvable { host, source: io::ErrorKind::NotFound.into() }))
        };
        let deadline = Instant::now() + within;
        timeout_at(deadline, work).await.unwrap_or_else(|_elapsed| Err(progress.too_late()))
    }

    /// Reaches whatever node listens there, as the one with an expected name or as any.
    ///
    /// # Errors
    /// [`DialError`].
    pub(crate) async fn dial_at(
        &self,
        address: SocketAddr,
        hello: Hello<'_>,
        within: Duration,
    ) -> Result<Dialled, DialError> {
        let host = address.ip().to_string();
        let stage = Cell::new(("connecting", Some(address)));
        let progress = Progress { target: Target { host: &host, name: None }, stage };
        let work = self.reach(address, hello, &progress);
        let deadline = Instant::now() + within;
        timeout_at(deadline, work).await.unwrap_or_else(|_elapsed| Err(progress.too_late()))
    }

    /// Where a node listens.
    async fn find(&self, node: &NodeName, within: Duration) -> Result<Vec<SocketAddr>, DialError> {
        let host = node.host();
        let Some(port) = self.port else {
            let epmd = Epmd { host: host.to_owned(), port: self.epmd_port };
            let found = epmd.lookup(alive(node), within).await?;
            return Ok(vec![SocketAddr::new(found.address, found.port)]);
        };
        let found = lookup_host((host, port)).await;
        let found = found.map_err(|source| DialError::Unresolvable { host: host.to_owned(), source })?;
        Ok(found.take(ADDRESSES_MAX).collect())
    }

    async fn reach(
        &self,
        at: SocketAddr,
        hello: Hello<'_>,
        progress: &Progress<'_>,
    ) -> Result<Dialled, DialError> {
        let Target { host, name } = progress.target;
        progress.at("connecting", at);
        let stream = TcpStream::connect(at).await.map_err(|source| DialError::Refused { at, source })?;
        stream.set_nodelay(true).map_err(|source| DialError::Refused { at, source })?;
        let Some(tls) = &self.tls else {
            progress.at("the handshake", at);
            let mut stream = stream;
            let peer = initiate(&mut stream, Length::Two, hello, name).await;
            let peer = peer.map_err(|source| DialError::Handshake { at, source })?;
            return Ok(Dialled { peer, stream: Box::new(stream) });
        };
        progress.at("the handshake of TLS, which a node without -proto_dist inet_tls does not answer", at);
        let connected = tls::connect(tls, stream, host).await;
        let mut stream = connected.map_err(|source| DialError::Tls { at, source: Box::new(source) })?;
        progress.at("the handshake", at);
        match initiate(&mut stream, Length::Four, hello, name).await {
            Ok(peer) => Ok(Dialled { peer, stream: Box::new(stream) }),
            Err(source) => Err(match &source {
                // Under TLS 1.3 a certificate is refused after the handshake of TLS.
                HandshakeError::Io(error) => match tls.explain(error) {
                    Some(source) => DialError::Tls { at, source: Box::new(source) },
                    None => DialError::Handshake { at, source },
                },
                _ => DialError::Handshake { at, source },
            }),
        }
    }
}

// === impl Progress ===

impl Progress<'_> {
    fn at(&self, stage: &'static str, address: SocketAddr) {
        self.stage.set((stage, Some(address)));
    }

    fn too_late(&self) -> DialError {
        let (stage, address) = self.stage.get();
        let at = address.map_or_else(|| self.target.host.to_owned(), |address| address.to_string());
        DialError::NoAnswer { at, stage }
    }
}

/// The part of a name before the `@`: what epmd knows.
pub(crate) fn alive(node: &NodeName) -> &str {
    node.as_str().split_once('@').map_or("", |(alive, _)| alive)
}

/// Whether two hosts are of one kind: Erlang's long names have a dot (or colons) in their host part, short ones have
/// none, and nodes of the two kinds never link.
pub(crate) fn is_long(host: &str) -> bool {
    host.contains(['.', ':'])
}

/// The address of this machine where nodes that are not bound to another one answer.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
