//! The connector `tcp`: a link is a TCP connection that stays open.
//!
//! It only dials. What listens at the other end is the user's: a service that accepts connections and keeps them
//! open. Nothing is sent, so any such service will do; what it sends is read and dropped. The connection ends when
//! the other side closes it, resets it, or answers no keepalive for `dead_after`.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use cluster_sdk::{
    ConfigDuration, ConfigError, Connector, ConnectorContext, Links, LocalNode, Node, NodeName, Outcome,
    Result, Rung,
};
use schemars::JsonSchema;
use serde::Deserialize;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, lookup_host},
    task::{JoinHandle, spawn_local},
    time::timeout,
};

/// Addresses of one node that are tried at most.
const ADDRESSES_MAX: usize = 8;
/// Bytes that are read at once, to be dropped.
const READ_BYTES: usize = 512;
/// Keepalives within `dead_after`; the last of them unanswered ends the connection.
const KEEPALIVES: u32 = 3;
/// The kernel counts keepalives in whole seconds.
const DEAD_AFTER_MIN: Duration = Duration::from_secs(1);
/// The kernel takes at most this many seconds for a keepalive.
const DEAD_AFTER_MAX: Duration = Duration::from_secs(32_767);

/// A link is a TCP connection to the node that stays open.
///
/// The connector only dials: at the other end a service of yours accepts connections and keeps them open.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpConfig {
    /// Port at which each node listens. An address of a node that names a port of its own counts instead.
    port: u16,
    /// How long a silent node is believed in: without an answer to a keepalive for so long, the link is down.
    #[serde(default = "default_dead_after")]
    dead_after: ConfigDuration,
    /// How long each address of a node is tried.
    #[serde(default = "default_connect_timeout")]
    connect_timeout: ConfigDuration,
}

/// The connector `tcp`.
///
/// # Examples
///
/// ```
/// use std::net::TcpListener;
///
/// use cluster_host::connectors::Tcp;
/// use cluster_sdk::{Node, Operation, abi::host::OperationOutcome, testing::TestHost};
/// use serde_json::json;
///
/// let service = TcpListener::bind("127.0.0.1:0")?;
/// let host = TestHost::connector::<Tcp>(json!({ "port": service.local_addr()?.port() }))?;
/// let node = Node::try_new("app@127.0.0.1")?;
/// assert_eq!(host.perform(&Operation::Connect(node))?, OperationOutcome::Done);
/// // The link is down when the service closes the connection.
/// let (connection, _) = service.accept()?;
/// drop(connection);
/// assert!(!host.next_link()?.up);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tcp {
    config: TcpConfig,
    ctx: ConnectorContext,
    links: Rc<RefCell<BTreeMap<NodeName, Link>>>,
}

/// An open connection: it is closed when this is dropped.
struct Link {
    remote: SocketAddr,
    reader: JoinHandle<()>,
}

fn default_dead_after() -> ConfigDuration {
    ConfigDuration::from_secs(10)
}

fn default_connect_timeout() -> ConfigDuration {
    ConfigDuration::from_secs(5)
}

// === impl Tcp ===

impl Connector for Tcp {
    const NAME: &'static str = "tcp";
    type Config = TcpConfig;
    const LINKS: Links = Links::Own;
    const BY_ADDRESS: bool = true;

    fn validate(config: &TcpConfig, _local: &LocalNode) -> Vec<ConfigError> {
        let wrong = |path: &str, message: String| ConfigError { path: path.to_owned(), message };
        let mut errors = Vec::new();
        if config.port == 0 {
            errors.push(wrong("port", "0 is no port to connect to".to_owned()));
        }
        if !(DEAD_AFTER_MIN..=DEAD_AFTER_MAX).contains(&config.dead_after.get()) {
            let (min, max) = (DEAD_AFTER_MIN.as_secs(), DEAD_AFTER_MAX.as_secs());
            errors
                .push(wrong("dead_after", format!("{} is not between {min}s and {max}s", config.dead_after)));
        }
        if config.connect_timeout.get().is_zero() {
            errors.push(wrong("connect_timeout", "must be more than nothing".to_owned()));
        }
        errors
    }

    async fn start(config: TcpConfig, ctx: ConnectorContext) -> Result<Self> {
        Ok(Self { config, ctx, links: Rc::default() })
    }

    async fn connect(&self, node: &Node) -> Outcome {
        let addresses = match self.config.resolve(node).await {
            Ok(addresses) => addresses,
            Err(reason) => return Outcome::Unreachable(reason),
        };
        let linked = self.links.borrow().get(node.name()).map(|link| link.remote);
        if linked.is_some_and(|remote| addresses.contains(&remote)) {
            return Outcome::Done;
        }
        // A link to an address that the node does not have any more is none.
        drop(self.links.borrow_mut().remove(node.name()));
        match self.config.dial(&addresses).await {
            Ok((stream, remote)) => {
                self.keep(node.name().clone(), stream, remote);
                Outcome::Done
            }
            Err(reason) => Outcome::Unreachable(reason),
        }
    }

    async fn disconnect(&self, node: &NodeName) -> Outcome {
        let link = self.links.borrow_mut().remove(node);
        drop(link);
        Outcome::Done
    }

    async fn list(&self) -> Result<Option<Vec<NodeName>>> {
        Ok(Some(self.links.borrow().keys().cloned().collect()))
    }

    async fn diagnose(config: &TcpConfig, node: Option<&Node>, _local: &LocalNode) -> Vec<Rung> {
        let Some(node) = node else {
            return Vec::new();
        };
        let addresses = match config.resolve(node).await {
            Ok(addresses) => addresses,
            Err(reason) => {
                let fix = format!("add it to DNS or /etc/hosts, or give [node].addresses on {}", node.name());
                return vec![Rung::fail("resolution", reason, fix)];
            }
        };
        // Closed at once: whatever listens there sees a connection that says nothing.
        match config.dial(&addresses).await {
            Ok((_stream, remote)) => vec![Rung::pass("tcp", format!("{remote} accepts"))],
            Err(reason) => {
                let fix = format!(
                    "is the service of {} running there, does it listen at port {}, and does the firewall let that through?",
                    node.name(),
                    config.port
                );
                vec![Rung::fail("tcp", reason, fix)]
            }
        }
    }

    async fn stop(&self) {
        self.links.borrow_mut().clear();
    }
}

// === impl TcpConfig ===

impl TcpConfig {
    /// Where the node may be, in the order of its source's preference.
    async fn resolve(&self, node: &Node) -> Result<Vec<SocketAddr>, String> {
        let mut texts: Vec<&str> = node.addresses().collect();
        if texts.is_empty() {
            texts.push(node.name().host());
        }
        let mut addresses = Vec::new();
        let mut failed = None;
        for text in texts.into_iter().take(ADDRESSES_MAX) {
            match endpoint(text, self.port) {
                Endpoint::Address(address) => addresses.push(address),
                Endpoint::Name(host, port) => match lookup_host((host, port)).await {
                    Ok(found) => addresses.extend(found),
                    Err(error) => failed = Some(format!("{host} cannot be resolved: {error}")),
                },
            }
        }
        let mut distinct = Vec::new();
        for address in addresses {
            if !distinct.contains(&address) && distinct.len() < ADDRESSES_MAX {
                distinct.push(address);
            }
        }
        if distinct.is_empty() {
            return Err(failed.unwrap_or_else(|| format!("{} has no address", node.name())));
        }
        Ok(distinct)
    }

    /// The first address that answers, or why none of them does.
    async fn dial(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), String> {
        let mut reasons = Vec::new();
        for address in addresses {
            let reason = match timeout(self.connect_timeout.get(), TcpStream::connect(address)).await {
                Ok(Ok(stream)) if is_to_itself(&stream) => "reached itself".to_owned(),
                Ok(Ok(stream)) => match watch_for_death(&stream, self.dead_after.get()) {
                    Ok(()) => return Ok((stream, *address)),
                    Err(error) => error.to_string(),
                },
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => format!("no answer within {}", self.connect_timeout),
            };
            reasons.push(format!("{address}: {reason}"));
        }
        Err(reasons.join("; "))
    }
}

impl Tcp {
    fn keep(&self, name: NodeName, mut stream: TcpStream, remote: SocketAddr) {
        let (links, ctx) = (Rc::clone(&self.links), self.ctx.clone());
        let reader = spawn_local({
            let name = name.clone();
            async move {
                let reason = drain(&mut stream).await;
                // Whoever replaces or cuts a link aborts its reader, so this is the node's link still.
                drop(links.borrow_mut().remove(&name));
                ctx.link_down(&name, &format!("{remote}: {reason}"));
            }
        });
        let replaced = self.links.borrow_mut().insert(name, Link { remote, reader });
        drop(replaced);
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("config", &self.config)
            .field("links", &self.links.borrow().len())
            .finish()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// An address as a source writes it.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

/// Reads `ip`, `ip:port`, `[ip]:port`, `host` or `host:port`.
fn endpoint(text: &str, port: u16) -> Endpoint<'_> {
    if let Ok(address) = text.parse() {
        return Endpoint::Address(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Endpoint::Address(SocketAddr::new(ip, port));
    }
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => Endpoint::Name(host, port),
        _ => Endpoint::Name(text, port),
    }
}

/// A port that nobody listens at can be given to the very connection that is being made to it.
fn is_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// Has the kernel end the connection when the other side has been silent for too long. `TCP_USER_TIMEOUT` sets the
/// limit, also where something is unacknowledged; the keepalives are what makes the other side say anything.
fn watch_for_death(stream: &TcpStream, dead_after: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let interval = (dead_after / KEEPALIVES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(interval).with_interval(interval).with_retries(KEEPALIVES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(dead_after))
}

/// Reads until the end and says why it came.
async fn drain(stream: &mut TcpStream) -> String {
    let mut buffer = [0; READ_BYTES];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return "closed by the other side".to_owned(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::TimedOut => return "no answer any more".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
