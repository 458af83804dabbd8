//! The event stream to 1,000 clients, beside one thread that writes the same bytes to 1,000 sockets of the same kind: how
//! long after it was published (or the writing began) each client has read the event. Both take turns, event by event,
//! and one thread reads for both, so that whatever else the machine does hits either.
//!
//! Then the same with another hundred clients that never read, and the list of 10,000 members.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use benches::{Memory, PATIENCE, ROUNDS, Table, median, ns_each, percentile, wall};
use cluster_core::{
    Epoch, Event, EventKind, EventLog, LinkState, LogOptions, Member, MemberState, NodeName, Snapshot,
    Vouched, membership::explain::Explanation,
};
use cluster_host::{
    HookInfo, Registry, ReloadError, Reloaded,
    api::{
        Activity, Answer, Forgotten, Limits, ListenAddress, Listener, PluginUse, Source, TopologyInfo, serve,
    },
    metrics::Meters,
    readiness::Readiness,
};
use rustix::{
    event::epoll,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::sync::mpsc as channel;

const CLIENTS: usize = 1_000;
/// Clients that never read, in the second part.
const STALLED: usize = 100;
/// Events that are published before, so that nothing more fits into what the kernel keeps for those,
const STALLING: usize = 400;
/// and the bytes of their reasons.
const STALLING_BYTES: usize = 7_500;
/// Events that the figures of one round are taken from.
const EVENTS: usize = 100;
const MEMBERS: usize = 10_000;
/// What the last bytes of an event are on the wire: the end of its data, and of its chunk.
const LAST: &[u8] = b"\n\n\r\n";
/// Descriptors that all of it takes.
const OPEN_FILES: u64 = 8_192;
/// Memory that clients which never read may cost, each.
const STALLED_KIB_MAX: u64 = 64;
/// How long all may be delayed by them.
const DELAY_FACTOR: f64 = 1.25;

fn main() -> ExitCode {
    let mut table = Table::new("sse");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum: limit.maximum })?;
    for kind in [Kind::Unix, Kind::Tcp] {
        fan_out(table, kind)?;
    }
    members(table)
}

// --- the fan-out ---

#[derive(Debug, Clone, Copy)]
enum Kind {
    Unix,
    Tcp,
}

/// Either end of a connection.
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// One who reads.
struct Client {
    socket: Socket,
    /// The last bytes that came.
    tail: Vec<u8>,
    /// Whether the event that is under way has come.
    has_read: bool,
}

/// Clients that are read by this thread.
struct Readers {
    poll: OwnedFd,
    clients: Vec<Client>,
    buffer: Vec<u8>,
}

fn fan_out(table: &mut Table, kind: Kind) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let host = Host::start(&kind.address(scratch.path()), 0)?;
    let mut ours = Readers::new(host.subscribe(CLIENTS)?)?;
    let bytes = ours.round(|| host.publish(0))?.1;
    let writer = Writer::start(kind, scratch.path(), bytes)?;
    let mut theirs = Readers::new(writer.clients()?)?;
    let rounds = |ours: &mut Readers, theirs: &mut Readers| -> Result<[f64; 2], Box<dyn Error>> {
        let mut figures = [Vec::new(), Vec::new()];
        for _round in 0..ROUNDS {
            let mut taken = [Vec::new(), Vec::new()];
            for _event in 0..EVENTS {
                taken[0].extend(ours.round(|| host.publish(0))?.0);
                taken[1].extend(theirs.round(|| writer.write())?.0);
            }
            for (figures, taken) in figures.iter_mut().zip(taken) {
                figures.push(percentile(taken, 99));
            }
        }
        Ok(figures.map(median))
    };
    let [without, rival] = rounds(&mut ours, &mut theirs)?;
    let ratio_without = without / rival;
    table.ratio(&format!("{kind:?}, {CLIENTS} clients, p99"), without, ("one thread's", rival), Some(3.0));

    let before = Memory::of(std::process::id())?.rss;
    let stalled = host.subscribe(STALLED)?;
    for _event in 0..STALLING {
        ours.round(|| host.publish(STALLING_BYTES))?;
    }
    let each = Memory::of(std::process::id())?.rss.saturating_sub(before) / (STALLED as u64);
    let [with, rival] = rounds(&mut ours, &mut theirs)?;
    table.ratio(
        &format!("{kind:?}, {CLIENTS} clients, p99 beside {STALLED} that never read"),
        with,
        ("one thread's", rival),
        Some(3.0),
    );
    // By the rival's figures of either time: the machine may do something else meanwhile.
    let factor = with / rival / ratio_without;
    table.check(
        &format!("   {factor:.3} times as long as without those (goal ≤ {DELAY_FACTOR})"),
        factor <= DELAY_FACTOR,
    );
    table.check(
        &format!("   {each} KiB for each that never reads (goal ≤ {STALLED_KIB_MAX})"),
        each <= STALLED_KIB_MAX,
    );
    drop(stalled);
    Ok(())
}

impl Kind {
    fn address(self, directory: &Path) -> String {
        match self {
            Self::Unix => format!("unix:{}", directory.join("api.sock").display()),
            Self::Tcp => "127.0.0.1:0".to_owned(),
        }
    }
}

/// A server of a log, on a thread with a runtime like the daemon's.
struct Host {
    address: ListenAddress,
    log: EventLog,
    publish: channel::UnboundedSender<usize>,
    /// When the event under way was published.
    begun: mpsc::Receiver<Duration>,
}

/// The one thread that writes bytes to sockets.
struct Writer {
    kind: Kind,
    address: String,
    sockets: mpsc::Sender<Socket>,
    write: mpsc::Sender<()>,
    begun: mpsc::Receiver<Duration>,
}

impl Host {
    fn start(address: &str, members: usize) -> Result<Self, Box<dyn Error>> {
        let listener = Listener::bind(&address.parse()?)?;
        let address = listener.address().clone();
        let members: Result<Vec<_>, _> =
            (0..members).map(|number| member(&format!("app-{number}@10.0.0.7"))).collect();
        let members = members?.into_iter().map(|member| (member.name.clone(), Arc::new(member))).collect();
        // Each revision has as many digits as the next.
        let options = LogOptions { epoch: Epoch(1 << 60), revision: 1_000_000, retention_events_max: 16_384 };
        let snapshot = Snapshot { revision: options.revision, members, ..Snapshot::default() };
        let log = EventLog::new(options, snapshot.clone());
        let (publish, mut wanted) = channel::unbounded_channel();
        let (begin, begun) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let up = Arc::new(member("app-1@10.0.0.7")?);
        let served = log.clone();
        let publishing = log.clone();
        thread::spawn(move || {
            runtime.block_on(async move {
                let limits = Limits { keep_alive_interval: Duration::from_secs(3_600), ..Limits::default() };
                let server = tokio::spawn(serve(
                    listener,
                    Arc::new(Served {
                        log: served,
                        activity: Arc::default(),
                        readiness: Readiness::default(),
                        meters: Meters::new(SystemTime::UNIX_EPOCH, "bench"),
                    }),
                    limits,
                    std::future::pending(),
                ));
                while let Some(reason_bytes) = wanted.recv().await {
                    let event = Event {
                        revision: publishing.revision() + 1,
                        kind: EventKind::NodeUp,
                        node: Some(up.name.clone()),
                        member: Some(Arc::clone(&up)),
                        topology: None,
                        status: None,
                        reason: (reason_bytes > 0).then(|| "x".repeat(reason_bytes).into()),
                        at: SystemTime::UNIX_EPOCH,
                    };
                    let snapshot = snapshot.clone();
                    let _gone = begin.send(wall());
                    publishing.publish([event], snapshot);
                }
                server.abort();
            });
        });
        Ok(Self { address, log, publish, begun })
    }

    fn publish(&self, reason_bytes: usize) -> Result<Duration, Box<dyn Error>> {
        self.publish.send(reason_bytes)?;
        Ok(self.begun.recv_timeout(PATIENCE)?)
    }

    fn connect(&self) -> io::Result<Socket> {
        Ok(match &self.address {
            ListenAddress::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
            ListenAddress::Tcp(address) => Socket::Tcp(TcpStream::connect(address)?),
        })
    }

    /// Clients that follow from now on.
    fn subscribe(&self, count: usize) -> Result<Vec<Socket>, Box<dyn Error>> {
        let request =
            format!("GET /v1/events?since={} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.log.revision());
        let subscribed = self.log.subscribers() + count;
        let mut clients = Vec::new();
        for _client in 0..count {
            let mut socket = self.connect()?;
            socket.write_all(request.as_bytes())?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte)?;
                head.extend(byte);
            }
            if !head.starts_with(b"HTTP/1.1 200 ") {
                return Err(String::from_utf8_lossy(&head).into());
            }
            clients.push(socket);
        }
        if self.log.subscribers() == subscribed { Ok(clients) } else { Err("not all have subscribed".into()) }
    }
}

impl Writer {
    fn start(kind: Kind, directory: &Path, bytes: Vec<u8>) -> Result<Self, Box<dyn Error>> {
        let (sockets, connected) = mpsc::channel::<Socket>();
        let (write, wanted) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        thread::spawn(move || {
            let mut sockets: Vec<Socket> = Vec::new();
            for () in wanted {
                sockets.extend(connected.try_iter());
                let _gone = begin.send(wall());
                for socket in &mut sockets {
                    socket.write_all(&bytes).unwrap_or_default();
                }
            }
        });
        let address = directory.join("rival.sock").display().to_string();
        Ok(Self { kind, address, sockets, write, begun })
    }

    /// The other ends of the sockets that it writes to.
    fn clients(&self) -> Result<Vec<Socket>, Box<dyn Error>> {
        let mut clients = Vec::new();
        match self.kind {
            Kind::Unix => {
                let listener = UnixListener::bind(&self.address)?;
                for _client in 0..CLIENTS {
                    clients.push(Socket::Unix(UnixStream::connect(&self.address)?));
                    self.sockets.send(Socket::Unix(listener.accept()?.0))?;
                }
            }
            Kind::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                for _client in 0..CLIENTS {
                    clients.push(Socket::Tcp(TcpStream::connect(listener.local_addr()?)?));
                    let accepted = listener.accept()?.0;
                    accepted.set_nodelay(true)?;
                    self.sockets.send(Socket::Tcp(accepted))?;
                }
            }
        }
        Ok(clients)
    }

    fn write(&self) -> Result<Duration, Box<dyn Error>> {
        self.write.send(())?;
        Ok(self.begun.recv_timeout(PATIENCE)?)
    }
}

impl Readers {
    fn new(sockets: Vec<Socket>) -> Result<Self, Box<dyn Error>> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::new();
        for socket in sockets {
            socket.set_nonblocking()?;
            let data = epoll::EventData::new_u64(clients.len() as u64);
            epoll::add(&poll, &socket, data, epoll::EventFlags::IN)?;
            clients.push(Client { socket, tail: Vec::new(), has_read: false });
        }
        Ok(Self { poll, clients, buffer: vec![0; 64 * 1024] })
    }

    /// Has one event sent, and gives how long each client waited for it, in nanoseconds, and what the last one got.
    fn round(
        &mut self,
        send: impl FnOnce() -> Result<Duration, Box<dyn Error>>,
    ) -> Result<(Vec<f64>, Vec<u8>), Box<dyn Error>> {
        self.clients.iter_mut().for_each(|client| client.has_read = false);
        let begun = send()?;
        let mut events = Vec::with_capacity(CLIENTS);
        let (mut taken, mut last) = (Vec::with_capacity(self.clients.len()), Vec::new());
        while taken.len() < self.clients.len() {
            let timeout = rustix::time::Timespec { tv_sec: 60, tv_nsec: 0 };
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
            if events.is_empty() {
                return Err("an event did not arrive".into());
            }
            for event in events.drain(..) {
                let index = usize::try_from(event.data.u64())?;
                let Some(client) = self.clients.get_mut(index) else { continue };
                let read = client.socket.read(&mut self.buffer)?;
                let bytes = self.buffer.get(..read).unwrap_or_default();
                if bytes.is_empty() {
                    return Err("a connection ended".into());
                }
                client
                    .tail
                    .extend_from_slice(bytes.get(read.saturating_sub(LAST.len())..).unwrap_or_default());
                let surplus = client.tail.len().saturating_sub(LAST.len());
                client.tail.drain(..surplus);
                if client.tail == LAST && !std::mem::replace(&mut client.has_read, true) {
                    taken.push(ns_each(wall().saturating_sub(begun), 1));
                    last = bytes.to_vec();
                }
            }
        }
        Ok((taken, last))
    }
}

impl Socket {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_nonblocking(true),
            Self::Tcp(socket) => socket.set_nonblocking(true),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(buffer),
            Self::Tcp(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(bytes),
            Self::Tcp(socket) => socket.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
        }
    }
}

// --- the members ---

fn members(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let host = Host::start(&Kind::Unix.address(scratch.path()), MEMBERS)?;
    let (mut answers, mut commands, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _round in 0..ROUNDS {
        let begun = wall();
        let mut socket = host.connect()?;
        socket.write_all(b"GET /v1/members HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        answers.push(milliseconds(begun));
        bytes = answer.len();
        let begun = wall();
        let mut command = Command::new(std::env::current_exe()?.with_file_name("cluster-host"));
        command.args(["members", "--api", &host.address.to_string()]).stdin(Stdio::null());
        let output = command.output()?;
        commands.push(milliseconds(begun));
        let lines = output.stdout.split(|byte| *byte == b'\n').count();
        if lines != MEMBERS + 2 {
            return Err(format!("{lines} lines: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
    }
    let (answer, command) = (median(answers), median(commands));
    table.check(
        &format!("/v1/members of {MEMBERS}: {bytes} bytes in {answer:.1} ms (goal ≤ 100 ms)"),
        answer <= 100.0,
    );
    table.check(
        &format!("cluster-host members of {MEMBERS}: {command:.1} ms (goal ≤ 100 ms)"),
        command <= 100.0,
    );
    Ok(())
}

fn milliseconds(begun: Duration) -> f64 {
    wall().saturating_sub(begun).as_secs_f64() * 1e3
}

fn member(name: &str) -> Result<Member, Box<dyn Error>> {
    Ok(Member {
        name: name.parse()?,
        is_self: false,
        state: MemberState::Up,
        incarnation: Some(1_767_225_600),
        addresses: ["10.0.0.7:9000".to_owned()].into(),
        attributes: [("role", "api"), ("zone", "eu-1")].into_iter().collect(),
        topologies: [Vouched {
            name: "office".parse()?,
            link: LinkState::Up,
            since: SystemTime::UNIX_EPOCH,
            reason: None,
        }]
        .into(),
        since: SystemTime::UNIX_EPOCH,
        reason: None,
    })
}

/// A host that is a log.
struct Served {
    log: EventLog,
    activity: Arc<Activity>,
    readiness: Readiness,
    meters: Meters,
}

impl Source for Served {
    fn log(&self) -> &EventLog {
        &self.log
    }
    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
    fn node(&self) -> Option<NodeName> {
        None
    }
    fn topologies(&self) -> Vec<TopologyInfo> {
        Vec::new()
    }
    fn explain(&self, _name: NodeName) -> Answer<'_, Option<Explanation>> {
        Box::pin(async { None })
    }
    fn forget(&self, _name: NodeName) -> Answer<'_, Option<Forgotten>> {
        Box::pin(async { None })
    }
    fn plugins(&self) -> Answer<'_, (Arc<Registry>, Vec<PluginUse>)> {
        Box::pin(async { (Arc::default(), Vec::new()) })
    }
    fn hooks(&self) -> Vec<HookInfo> {
        Vec::new()
    }
    fn alive(&self) -> Answer<'_, bool> {
        Box::pin(async { true })
    }
    fn readiness(&self) -> &Readiness {
        &self.readiness
    }
    fn meters(&self) -> &Meters {
        &self.meters
    }
    fn reload(&self, _dry_run: bool) -> Answer<'_, Result<Reloaded, ReloadError>> {
        Box::pin(async { Err(ReloadError::NoFile) })
    }
}
