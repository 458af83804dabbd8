//! The UDP socket, opened as libcluster opens it.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket as StdUdpSocket},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;

use crate::config::Config;

/// Asked of the kernel, which grants as much as it is set up to: room for a burst of several thousand heartbeats.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// An open socket.
#[derive(Debug)]
pub(super) struct Open {
    receiver: UdpSocket,
    /// The same socket. Sending never waits: what the kernel does not take at once is as lost as on the network, and
    /// tokio would make it wait for the first event.
    sender: StdUdpSocket,
    /// Why the group is not joined, where it is not. Unicast works all the same.
    pub(super) group_error: Option<SocketError>,
}

/// What could not be done, why, and what an operator can do about it. Nothing is left open.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}; {remedy}")]
pub(super) struct SocketError {
    action: String,
    pub(super) remedy: &'static str,
    source: io::Error,
}

const OTHER_INTERFACE: &str = "set multicast_if to the address of an interface that carries multicast, or list the \
                               nodes in unicast";

// === impl SocketError ===

impl SocketError {
    /// What went wrong, without what to do about it.
    pub(super) fn cause(&self) -> String {
        format!("cannot {}: {}", self.action, self.source)
    }
}

// === impl Open ===

impl Open {
    /// Opens, binds and joins.
    pub(super) fn try_new(config: &Config) -> Result<Self, SocketError> {
        let failed =
            |source| error("open a UDP socket", source, |_| "check the limits on open files and sockets");
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        // Several nodes on one machine share the port: of multicast and broadcast each gets a copy. Not SO_REUSEPORT,
        // with which libcluster's sockets could not be bound beside ours, and which deals unicast out among all.
        socket.set_reuse_address(true).map_err(failed)?;
        socket.set_broadcast(true).map_err(failed)?;
        // As much as there is; with less, bursts lose heartbeats that will be repeated.
        if let Err(err) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
            tracing::debug!(%err, "receive buffer keeps its size");
        }
        let address = SocketAddrV4::new(config.if_addr, config.port.get());
        socket
            .bind(&SockAddr::from(address))
            .map_err(|source| error(format!("bind {address}"), source, bind_remedy))?;
        let group_error = if config.broadcast_only { None } else { join(&socket, config).err() };
        let receiver: StdUdpSocket = socket.into();
        let sender = receiver.try_clone().map_err(failed)?;
        let receiver = UdpSocket::from_std(receiver).map_err(failed)?;
        Ok(Self { receiver, sender, group_error })
    }

    /// Waits until there is something to receive.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.receiver.readable().await
    }

    /// Receives one datagram, cut off at the end of the buffer. Nothing where none is waiting.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.receiver.try_recv(buffer) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Receives one datagram, and says of whom.
    pub(super) fn try_receive_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, IpAddr)>> {
        loop {
            match self.receiver.try_recv_from(buffer) {
                Ok((bytes, from)) => return Ok(Some((bytes, from.ip()))),
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Sends one datagram. `false` where the kernel has no room at the moment.
    pub(super) fn try_send(&self, datagram: &[u8], to: SocketAddrV4) -> Result<bool, SocketError> {
        match self.sender.send_to(datagram, to) {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(source) => Err(error(format!("send to {to}"), source, send_remedy)),
        }
    }

    /// The error for a socket that does not receive any more.
    pub(super) fn receive_error(source: io::Error) -> SocketError {
        error("receive", source, |_| "the socket is opened anew")
    }
}

fn join(socket: &Socket, config: &Config) -> Result<(), SocketError> {
    let (group, interface) = (config.multicast_addr, config.multicast_if.unwrap_or(Ipv4Addr::UNSPECIFIED));
    let at = |action: fmt::Arguments<'_>| format!("{action} on {interface}");
    let failed = |action: String| move |source| error(action, source, |_| OTHER_INTERFACE);
    socket.set_multicast_loop_v4(true).map_err(failed(at(format_args!("loop multicast back"))))?;
    socket
        .set_multicast_ttl_v4(u32::from(config.multicast_ttl))
        .map_err(failed(at(format_args!("set multicast_ttl {}", config.multicast_ttl))))?;
    // Linux would deliver what comes for groups that other programs joined, and groups separate clusters.
    #[cfg(target_os = "linux")]
    socket.set_multicast_all_v4(false).map_err(failed(at(format_args!("leave other groups out"))))?;
    if config.multicast_if.is_some() {
        socket.set_multicast_if_v4(&interface).map_err(failed(at(format_args!("send multicast"))))?;
    }
    socket.join_multicast_v4(&group, &interface).map_err(failed(at(format_args!("join {group}"))))
}

fn error(action: impl Into<String>, source: io::Error, remedy: fn(ErrorKind) -> &'static str) -> SocketError {
    SocketError { action: action.into(), remedy: remedy(source.kind()), source }
}

fn bind_remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AddrInUse => {
            "another program holds the port and does not share it: stop it, or set another port"
        }
        ErrorKind::AddrNotAvailable => "no interface of this machine has this address: set if_addr",
        ErrorKind::PermissionDenied => "ports below 1024 need rights: set another port",
        _ => "set if_addr and port",
    }
}

fn send_remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
            OTHER_INTERFACE
        }
        ErrorKind::PermissionDenied => "a firewall on this machine forbids it",
        _ => "it is tried again with each heartbeat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free_port() -> std::num::NonZeroU16 {
        let socket = StdUdpSocket::bind("0.0.0.0:0").unwrap();
        socket.local_addr().unwrap().port().try_into().unwrap()
    }

    fn loopback() -> Config {
        Config { port: free_port(), multicast_if: Some(Ipv4Addr::LOCALHOST), ..Config::default() }
    }

    /// Two sockets share the port on one machine and both hear the group; a third in another group does not.
    #[tokio::test]
    async fn share_the_port() {
        let config = loopback();
        let other = Config { multicast_addr: Ipv4Addr::new(230, 1, 1, 252), ..config.clone() };
        let [a, b, c] = [&config, &config, &other].map(|config| Open::try_new(config).unwrap());
        assert!([&a, &b, &c].iter().all(|open| open.group_error.is_none()));
        let group = |config: &Config| SocketAddrV4::new(config.multicast_addr, config.port.get());
        assert!(a.try_send(b"hello", group(&config)).unwrap());
        assert!(a.try_send(b"other", group(&other)).unwrap());
        for (open, heard) in [(&a, "hello"), (&b, "hello"), (&c, "other")] {
            let mut buffer = [0; 16];
            open.readable().await.unwrap();
            let bytes = open.try_receive(&mut buffer).unwrap().unwrap();
            assert_eq!(str::from_utf8(&buffer[..bytes]).unwrap(), heard);
            assert_eq!(open.try_receive(&mut buffer).unwrap(), None);
        }
    }

    /// Errors name the option and what to do.
    #[tokio::test]
    async fn errors_have_a_remedy() {
        let greedy = StdUdpSocket::bind("0.0.0.0:0").unwrap();
        let config =
            Config { port: greedy.local_addr().unwrap().port().try_into().unwrap(), ..Config::default() };
        let err = Open::try_new(&config).unwrap_err().to_string();
        assert!(err.starts_with(&format!("cannot bind 0.0.0.0:{}: ", config.port)), "{err}");
        assert!(err.ends_with("stop it, or set another port"), "{err}");

        let nowhere = Ipv4Addr::new(192, 0, 2, 1);
        let err = Open::try_new(&Config { if_addr: nowhere, ..loopback() }).unwrap_err().to_string();
        assert!(err.ends_with("no interface of this machine has this address: set if_addr"), "{err}");

        let open = Open::try_new(&Config { multicast_if: Some(nowhere), ..loopback() }).unwrap();
        let err = open.group_error.unwrap().to_string();
        assert!(err.contains(" on 192.0.2.1: ") && err.contains("set multicast_if"), "{err}");
    }
}
