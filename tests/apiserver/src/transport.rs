//! The server on a socket: a thread and a runtime of its own, so that it can be stopped like a process.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

use crate::certificate::Identity;
use crate::service::ApiService;

/// The server on 127.0.0.1, until this is dropped. Stopping and pausing are what a signal does to a real one.
pub struct Served {
    service: ApiService,
    addr: SocketAddr,
    /// Nothing: plain HTTP.
    identity: Option<Arc<Mutex<Identity>>>,
    /// Nothing: it is stopped.
    process: Mutex<Option<Process>>,
}

/// What runs.
struct Process {
    orders: UnboundedSender<Order>,
    thread: JoinHandle<()>,
    /// While it is paused; dropped, it goes on.
    pause: Option<Sender<()>>,
}

enum Order {
    /// Say that nothing runs any more, and let nothing run until the receiver's sender is dropped.
    Pause(Sender<()>, Receiver<()>),
    Stop,
}

// === impl Served ===

impl Served {
    pub(crate) fn tls(service: ApiService) -> Self {
        Self::serve(service, Some(Arc::new(Mutex::new(Identity::generate()))))
    }

    pub(crate) fn tls_as(service: ApiService, certificate: &str, key: &str, authority: &str) -> Self {
        Self::serve(service, Some(Arc::new(Mutex::new(Identity::of_pem(certificate, key, authority)))))
    }

    pub(crate) fn http(service: ApiService) -> Self {
        Self::serve(service, None)
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// The certificate of who vouches for it; the empty text without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.identity.as_ref().map(|identity| lock(identity).ca_pem.clone()).unwrap_or_default()
    }

    /// Has another authority and another certificate, for connections from now on.
    pub fn rotate_ca(&self) {
        if let Some(identity) = &self.identity {
            *lock(identity) = Identity::generate();
        }
    }

    /// Stops it, as `kill -9` does: the port is closed, and what is open is torn. The objects stay.
    pub fn stop(&self) {
        let Some(process) = lock(&self.process).take() else { return };
        drop(process.pause);
        drop(process.orders.send(Order::Stop));
        // Its panics were printed by its thread.
        drop(process.thread.join());
    }

    /// Starts it again, with the same port, authority and objects.
    ///
    /// # Panics
    ///
    /// If somebody else has the port now.
    pub fn restart(&self) {
        self.stop();
        *lock(&self.process) = Some(Process::start(self.addr, self.service.clone(), self.identity.clone()).1);
    }

    /// Stops its clock, as `SIGSTOP` does: the kernel still takes connections, but nothing is answered, and open
    /// watches are silent.
    pub fn pause(&self) {
        let mut process = lock(&self.process);
        let Some(process) = process.as_mut().filter(|process| process.pause.is_none()) else { return };
        let ((say_paused, is_paused), (pause, until)) = (channel(), channel());
        drop(process.orders.send(Order::Pause(say_paused, until)));
        _ = is_paused.recv();
        process.pause = Some(pause);
    }

    /// Lets it go on, as `SIGCONT` does.
    pub fn resume(&self) {
        if let Some(process) = lock(&self.process).as_mut() {
            process.pause = None;
        }
    }

    fn serve(service: ApiService, identity: Option<Arc<Mutex<Identity>>>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (addr, process) = Process::start(any, service.clone(), identity.clone());
        Self { service, addr, identity, process: Mutex::new(Some(process)) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("addr", &self.addr).finish_non_exhaustive()
    }
}

// === impl Process ===

impl Process {
    /// Listens at `addr`; gives the port that it got.
    fn start(
        addr: SocketAddr,
        service: ApiService,
        identity: Option<Arc<Mutex<Identity>>>,
    ) -> (SocketAddr, Self) {
        let (orders, received) = unbounded_channel();
        let (say_addr, bound) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be made");
            runtime.block_on(async move {
                let listener = TcpListener::bind(addr).await;
                let listener =
                    listener.unwrap_or_else(|problem| panic!("cannot listen at {addr}: {problem}"));
                _ = say_addr.send(listener.local_addr().expect("a listener has an address"));
                run(listener, service, identity, received).await;
            });
            // Dropped with the runtime are the connections, as they are: none is closed in an orderly way.
        });
        let addr = bound.recv().unwrap_or_else(|_| panic!("the server at {addr} did not start"));
        (addr, Self { orders, thread, pause: None })
    }
}

/// Takes connections until it is told to stop.
async fn run(
    listener: TcpListener,
    service: ApiService,
    identity: Option<Arc<Mutex<Identity>>>,
    mut orders: UnboundedReceiver<Order>,
) {
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Pause(paused, until)) => {
                    _ = paused.send(());
                    // Blocks the one thread that there is: nothing runs. It ends when the sender is dropped.
                    _ = until.recv();
                }
                Some(Order::Stop) | None => return,
            },
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                drop(stream.set_nodelay(true));
                let config = identity.as_ref().map(|identity| Arc::clone(&lock(identity).config));
                tokio::spawn(connection(stream, service.clone(), config.map(TlsAcceptor::from)));
            }
        }
    }
}

/// Serves a connection to its end, whatever that is: clients are torn from it on purpose.
async fn connection(stream: TcpStream, service: ApiService, acceptor: Option<TlsAcceptor>) {
    match acceptor {
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                requests(stream, service).await;
            }
        }
        None => requests(stream, service).await,
    }
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, service: ApiService) {
    let service = TowerToHyperService::new(service);
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
