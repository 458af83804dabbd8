//! What may stand between a host and an API server: a relay that only passes on, and a proxy that is told where to go.

use std::{
    io::{BufRead as _, BufReader, Write as _, copy},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// It listens on loopback as long as the test's process is there.
pub(super) struct Relay {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What is done with a connection.
#[derive(Clone, Copy)]
enum Way {
    /// It goes there.
    Fixed(SocketAddr),
    /// It goes where it asks for by CONNECT.
    Asked,
}

// === impl Relay ===

impl Relay {
    /// One at this address that goes to that one.
    pub(super) fn at(address: &str, to: SocketAddr) -> Self {
        Self::start(address, Way::Fixed(to))
    }

    /// A proxy.
    pub(super) fn proxy() -> Self {
        Self::start("127.0.0.1", Way::Asked)
    }

    fn start(address: &str, way: Way) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let this = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = Arc::clone(&this.heads);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&heads);
                // A connection that fails is what the host has to cope with.
                thread::spawn(move || pass_on(stream, way, &heads).unwrap_or_default());
            }
        });
        this
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked, one text for each connection.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn pass_on(mut client: TcpStream, way: Way, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut target) = (String::new(), None);
    if matches!(way, Way::Asked) {
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
        target = head.split(' ').nth(1).and_then(|target| target.parse().ok());
    }
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    let target: Option<SocketAddr> = match way {
        Way::Fixed(to) => Some(to),
        Way::Asked => target,
    };
    let Some(target) = target.filter(|target| target.ip().is_loopback()) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
    };
    let mut server = TcpStream::connect(target)?;
    if matches!(way, Way::Asked) {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    }
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        copy(&mut answers, &mut back).unwrap_or_default();
        back.shutdown(Shutdown::Both).unwrap_or_default();
    });
    copy(&mut reader, &mut server)?;
    server.shutdown(Shutdown::Both)
}
