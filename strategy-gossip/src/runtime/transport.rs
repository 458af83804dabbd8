//! The socket over its life, and where heartbeats go.

use std::{
    collections::BTreeSet,
    future, io,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use cluster_sdk::Backoff;

use super::{
    resolver::ADDRESSES_MAX,
    socket::{Open, SocketError},
};
use crate::{
    config::Config,
    health::{Health, Trouble},
};

/// Between tries to open the socket.
const RETRY: Backoff = Backoff { first: Duration::from_millis(500), cap: Duration::from_secs(30) };

/// Sends and receives where it can, and heals where it cannot: trouble is told, and tried again later.
#[derive(Debug)]
pub(super) struct Transport {
    open: Option<Open>,
    /// When the socket is to be opened (again).
    retry_at: Option<Instant>,
    failures: u32,
    group: SocketAddrV4,
    /// What each entry of `unicast` resolved to last.
    resolved: Vec<Vec<SocketAddrV4>>,
    /// The group first, then the resolved.
    destinations: Vec<SocketAddrV4>,
    random: fastrand::Rng,
}

/// How many copies of a datagram went out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    /// Taken by the kernel.
    pub(super) sent: u64,
    /// Not taken, because it had no room: as lost as on the network.
    pub(super) unsent: u64,
}

// === impl Transport ===

impl Transport {
    /// Nothing is open; it is to be opened now.
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let group = SocketAddrV4::new(config.multicast_addr, config.port.get());
        Self {
            open: None,
            retry_at: Some(now),
            failures: 0,
            group,
            resolved: vec![Vec::new(); config.unicast.len()],
            destinations: vec![group],
            random: fastrand::Rng::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn group(&self) -> SocketAddrV4 {
        self.group
    }

    /// When [`Transport::open`] is to be called.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Opens the socket, anew where it is open. Where the group cannot be joined it is used for unicast meanwhile.
    pub(super) fn open(&mut self, now: Instant, config: &Config, health: &mut Health) {
        // The old one would get its share of what comes.
        self.open = None;
        self.retry_at = None;
        match Open::try_new(config) {
            Ok(open) => {
                match &open.group_error {
                    None => health.clear(Trouble::Socket),
                    Some(err) => self.retry(now, Trouble::Socket, err, health),
                }
                self.open = Some(open);
            }
            Err(err) => self.retry(now, Trouble::Socket, &err, health),
        }
    }

    /// The socket failed to receive.
    pub(super) fn close(&mut self, now: Instant, source: io::Error, health: &mut Health) {
        self.open = None;
        self.retry(now, Trouble::Socket, &Open::receive_error(source), health);
    }

    /// Waits until there is something to receive; for ever while nothing is open.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.open {
            Some(open) => open.readable().await,
            None => future::pending().await,
        }
    }

    /// Receives one datagram, cut off at the end of the buffer. Nothing where none is waiting.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match &self.open {
            Some(open) => open.try_receive(buffer),
            None => Ok(None),
        }
    }

    /// An entry of `unicast` resolved to this. Whether heartbeats go elsewhere now.
    pub(super) fn set_resolved(&mut self, target: usize, addresses: Vec<SocketAddrV4>) -> bool {
        if let Some(resolved) = self.resolved.get_mut(target) {
            *resolved = addresses;
        }
        let unicast: BTreeSet<_> = self.resolved.iter().flatten().copied().collect();
        let destinations = std::iter::once(self.group).chain(unicast).take(1 + ADDRESSES_MAX).collect();
        std::mem::replace(&mut self.destinations, destinations) != self.destinations
    }

    /// Sends to all destinations.
    pub(super) fn send(&mut self, now: Instant, datagram: &[u8], health: &mut Health) -> Sent {
        let mut count = Sent::default();
        let Some(open) = &self.open else { return count };
        let (mut group_error, mut unicast_error) = (None, None);
        // Without the interface that was asked for the routing table would choose another: then nothing goes there.
        let has_group = open.group_error.is_none();
        for destination in self.destinations.iter().filter(|it| has_group || **it != self.group) {
            match open.try_send(datagram, *destination) {
                Ok(true) => count.sent += 1,
                Ok(false) => count.unsent += 1,
                Err(err) if *destination == self.group => group_error = Some(err),
                Err(err) => unicast_error = unicast_error.or(Some(err)),
            }
        }
        match (group_error, unicast_error) {
            // The interface may have gone and come back as another: a new socket finds it.
            (Some(err), _) => self.retry(now, Trouble::Send, &err, health),
            (None, Some(err)) => health.set(Trouble::Send, err.to_string()),
            (None, None) => health.clear(Trouble::Send),
        }
        if !health.has(Trouble::Send) && !health.has(Trouble::Socket) {
            self.failures = 0;
        }
        count
    }

    /// The socket is to be opened anew after a while.
    fn retry(&mut self, now: Instant, trouble: Trouble, err: &SocketError, health: &mut Health) {
        health.set(trouble, err.to_string());
        if self.retry_at.is_none() {
            self.failures = self.failures.saturating_add(1);
            self.retry_at = Some(now + RETRY.wait(self.failures, self.random.f64()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Where the interface of `multicast_if` is not there, nothing goes to the group by another one; unicast goes out.
    #[tokio::test]
    async fn no_other_interface() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = receiver.local_addr().unwrap().port();
        let config = Config {
            port: std::net::UdpSocket::bind("0.0.0.0:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
                .try_into()
                .unwrap(),
            multicast_if: Some(Ipv4Addr::new(192, 0, 2, 1)),
            unicast: vec![format!("127.0.0.1:{port}").parse().unwrap()],
            ..Config::default()
        };
        let (now, mut health) = (super::super::now(), Health::default());
        let mut transport = Transport::new(&config, now);
        transport.open(now, &config, &mut health);
        assert!(health.has(Trouble::Socket));
        assert_eq!(transport.send(now, b"hello", &mut health).sent, 0);
        transport.set_resolved(0, vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)]);
        assert_eq!(transport.send(now, b"hello", &mut health).sent, 1);
        let mut buffer = [0; 16];
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 5);
    }
}
