//! Ports for the servers of tests that end and come back where they were. They are handed out in one place, as two
//! places that count for themselves in one process would hand out the same ones.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that Linux gives out by itself (`net.ipv4.ip_local_port_range`).
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that nobody uses by UDP or TCP on loopback, and that nobody is given by chance while its server is down: the
/// kernel does not give it out, and this process does not again.
///
/// # Panics
///
/// Once all are taken.
pub fn lasting_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    loop {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        assert!(tried < COUNT, "no port is left between {FIRST} and {}", FIRST + COUNT);
        // Tests in other processes begin elsewhere.
        let number = process::id().wrapping_mul(101).wrapping_add(u32::from(tried)) % u32::from(COUNT);
        let Ok(number) = u16::try_from(number) else { continue };
        let address = (Ipv4Addr::LOCALHOST, FIRST + number);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return FIRST + number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    /// Threads that ask at once get different ports, of the range; then the next one is passed over where it is in use.
    #[test]
    fn different_and_free() {
        let threads = [(); 8].map(|()| thread::spawn(|| [(); 20].map(|()| lasting_port())));
        let ports: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert!(ports.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)), "{ports:?}");
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        let next = FIRST + (lasting_port() - FIRST + 1) % COUNT;
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, next)).unwrap();
        assert!((0..100).all(|_| lasting_port() != next));
    }
}
