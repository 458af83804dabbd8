//! What the erlang connector costs beside the BEAM node that it attaches to, against that BEAM in the same run. `make
//! bench` builds the host and the plugin in release first; `erl` and `epmd` come with the package erlang-base.
//!
//! ```text
//! member@ ◄──── distribution ────► x@ ◄──── attached ──── cluster-host ──── SSE ────► here
//!    │ kill -9                        └── its own nodedown, printed ───────────────────┘
//! ```
//!
//! The member dials `x@` itself each time it starts, so that no round waits for the host to dial again.

use std::{
    error::Error,
    fs,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use benches::{Lines, PATIENCE, Process, Table, median, ns_each, pause, percentile, wall};
use serde_json::Value;

/// Members that are killed.
const KILLS: usize = 25;
/// Bytes that go to and fro over TCP, and how often.
const ROUND_TRIP_BYTES: usize = 128;
const ROUND_TRIPS: usize = 5_000;
/// How often RPC and TCP take turns.
const TURNS: usize = 10;
/// Links that are made.
const ATTACHES: usize = 100;
/// How long nothing happens before memory is read,
const SETTLE: Duration = Duration::from_secs(10);
/// and how long CPU time is watched.
const WATCH: Duration = Duration::from_secs(10);

/// How often is looked for what nobody tells.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The node that the host attaches to, and the one that is killed.
const LOCAL: &str = "x@127.0.0.1";
const MEMBER: &str = "member@127.0.0.1";

fn main() -> ExitCode {
    let mut table = Table::new("erlang");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let lab = Lab::new(scratch.path())?;
    let (beam, beam_says) = lab.beam(LOCAL, PRINT_NODEDOWN)?;
    kills(table, &lab, &beam_says)?;
    footprint(table, &lab, &beam)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        attach(table, &lab).await?;
        round_trips(table, &lab).await
    })
}

// === what is measured ===

/// From just before `kill -9` of a member to its `node_down` in the event stream, beside the moment when the BEAM's
/// own monitor has printed it.
fn kills(table: &mut Table, lab: &Lab, beam_says: &Lines) -> Result<(), Box<dyn Error>> {
    let _host = lab.host()?;
    let events = lab.events()?;
    events.wait("the host attaches", is_event("node_up", LOCAL))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _kill in 0..KILLS {
        let (mut member, _says) = lab.beam(MEMBER, DIAL_LOCAL)?;
        events.wait("the member comes up", is_event("node_up", MEMBER))?;
        let begin = wall();
        member.0.kill()?;
        let shown = events.wait("the member goes down", is_event("node_down", MEMBER))?;
        let printed = beam_says.wait("the BEAM notices", |line| line == format!("down {MEMBER}"))?;
        ours.push(nanoseconds_between(begin, shown));
        theirs.push(nanoseconds_between(begin, printed));
        drop(member);
        lab.wait_forgotten(MEMBER)?;
    }
    let milliseconds = |figures: &[f64], percent| percentile(figures.to_vec(), percent) / 1e6;
    let spread = [50, 90, 100].map(|percent| milliseconds(&ours, percent));
    table.note(&format!("kill -9 to node_down, median, p90 and maximum of {KILLS}, ms: {spread:.2?}"));
    let (ours, theirs) = (median(ours), median(theirs));
    table.ratio("kill -9 to node_down", ours, ("the BEAM's own nodedown", theirs), None);
    let reached = ours <= 10e6;
    table.check(
        &format!("node_down {:.2} ms after kill -9, at the median (goal ≤ 10 ms)", ours / 1e6),
        reached,
    );
    Ok(())
}

/// What the host adds to a machine that runs the BEAM: memory and idle CPU, with a member linked and nobody who reads
/// events.
fn footprint(table: &mut Table, lab: &Lab, beam: &Process) -> Result<(), Box<dyn Error>> {
    let host = lab.host()?;
    let (_member, _says) = lab.beam(MEMBER, DIAL_LOCAL)?;
    pause(SETTLE);
    let (ours, theirs) = (host.memory()?, beam.memory()?);
    table.note(&format!("the host's memory, KiB: {ours:?}"));
    table.note(&format!("the BEAM's memory, KiB: {theirs:?}"));
    let private = ours.private;
    table.check(&format!("{private} KiB private memory of the host (goal ≤ 4096 KiB)"), private <= 4_096);
    let before = (host.cpu()?, beam.cpu()?);
    pause(WATCH);
    let ours = ns_each(host.cpu()?.saturating_sub(before.0), 1);
    let theirs = ns_each(beam.cpu()?.saturating_sub(before.1), 1);
    table.ratio(&format!("idle CPU in {WATCH:?}"), ours, ("the BEAM", theirs), None);
    let events = lab.events()?;
    events.wait("the host was attached", is_event("node_up", LOCAL))?;
    events.wait("the member was up", is_event("node_up", MEMBER))?;
    Ok(())
}

/// From the beginning of the TCP connect to the answer of the first RPC, a link each time.
async fn attach(table: &mut Table, lab: &Lab) -> Result<(), Box<dyn Error>> {
    let (node, at) = (LOCAL.parse()?, lab.address(LOCAL)?);
    let mut figures = Vec::with_capacity(ATTACHES);
    for _attach in 0..ATTACHES {
        let begin = wall();
        let attached = strategy_epmd::measure::attach(&node, at, COOKIE).await?;
        attached.call().await?;
        figures.push(nanoseconds_between(begin, wall()));
    }
    let spread = [50, 90, 100].map(|percent| percentile(figures.clone(), percent) / 1e6);
    table.note(&format!("attach and first RPC, median, p90 and maximum of {ATTACHES}, ms: {spread:.2?}"));
    let median = median(figures) / 1e6;
    table.check(
        &format!("attach and first RPC {median:.2} ms after the TCP connect (goal ≤ 2 ms)"),
        median <= 2.0,
    );
    Ok(())
}

/// RPC beside a raw TCP round trip on loopback, in turn, so that both have the same machine.
async fn round_trips(table: &mut Table, lab: &Lab) -> Result<(), Box<dyn Error>> {
    let attached = strategy_epmd::measure::attach(&LOCAL.parse()?, lab.address(LOCAL)?, COOKIE).await?;
    let (mut rpc, mut tcp) = (Vec::new(), Vec::new());
    for _turn in 0..TURNS {
        for _trip in 0..ROUND_TRIPS / TURNS {
            let begin = wall();
            attached.call().await?;
            rpc.push(nanoseconds_between(begin, wall()));
        }
        tcp.push(loopback_round_trip()?);
    }
    let (rpc, tcp) = (median(rpc), median(tcp));
    table.ratio("RPC", rpc, ("a raw TCP round trip", tcp), Some(3.0));
    Ok(())
}

/// Nanoseconds of the median round trip between two threads.
fn loopback_round_trip() -> Result<f64, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    thread::spawn(move || {
        let mut bytes = [0; ROUND_TRIP_BYTES];
        while far.read_exact(&mut bytes).is_ok() && far.write_all(&bytes).is_ok() {}
    });
    let mut bytes = [0; ROUND_TRIP_BYTES];
    let mut figures = Vec::with_capacity(ROUND_TRIPS / TURNS);
    for _trip in 0..ROUND_TRIPS / TURNS {
        let begin = wall();
        near.write_all(&bytes)?;
        near.read_exact(&mut bytes)?;
        figures.push(nanoseconds_between(begin, wall()));
    }
    Ok(median(figures))
}

fn nanoseconds_between(begin: Duration, end: Duration) -> f64 {
    ns_each(end.saturating_sub(begin), 1)
}

// === where it is measured ===

/// Prints which nodes go down, by the monitor that any Erlang program would use.
const PRINT_NODEDOWN: &str = r#"spawn(fun() -> net_kernel:monitor_nodes(true), Print = fun(Print) ->
    receive {nodedown, Node} -> io:format("down ~s~n", [Node]); _ -> ok end, Print(Print) end, Print(Print) end)."#;
/// Dials the node that the host attaches to.
const DIAL_LOCAL: &str = "net_kernel:connect_node('x@127.0.0.1').";
const COOKIE: &str = "benchmark";

/// An epmd of its own, and what the nodes and the host need.
struct Lab {
    scratch: PathBuf,
    plugins: PathBuf,
    program: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    epmd_port: u16,
    _epmd: Process,
}

// === impl Lab ===

impl Lab {
    fn new(scratch: &Path) -> Result<Self, Box<dyn Error>> {
        let target = std::env::current_exe()?.parent().ok_or("this program is in no directory")?.to_owned();
        let plugins = scratch.join("plugins");
        fs::create_dir(&plugins)?;
        fs::set_permissions(&plugins, fs::Permissions::from_mode(0o755))?;
        let plugin = plugins.join("libstrategy_epmd.so");
        fs::copy(benches::plugin("libstrategy_epmd.so"), &plugin)
            .map_err(|error| format!("libstrategy_epmd.so, which `make plugins` builds: {error}"))?;
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))?;
        let cookie = scratch.join("cookie");
        fs::write(&cookie, COOKIE)?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        let epmd_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = scratch.join("host.toml");
        fs::write(
            &config,
            format!(
                "[node]\nname = {LOCAL:?}\n[topologies.bench]\nstrategy = \"epmd\"\nconfig = {{ hosts = \
                 [{MEMBER:?}] }}\nconnect = {{ erlang = {{ cookie_file = {cookie:?}, epmd_port = {epmd_port} }} }}\n"
            ),
        )?;
        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("epmd, of the package erlang-base: {error}"))?;
        Ok(Self {
            scratch: scratch.to_owned(),
            plugins,
            program: target.join("cluster-host"),
            config,
            socket: scratch.join("api.sock"),
            epmd_port,
            _epmd: Process(epmd),
        })
    }

    /// Starts a node that evaluates an expression; with the lines that it prints. It is at epmd.
    fn beam(&self, name: &str, expression: &str) -> Result<(Process, Lines), Box<dyn Error>> {
        let mut child = Command::new("erl")
            .args(["-noshell", "-noinput", "-start_epmd", "false", "-setcookie", COOKIE, "-name", name])
            .args(["-eval", expression])
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("HOME", &self.scratch)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("erl, of the package erlang-base: {error}"))?;
        let out = child.stdout.take().ok_or("no output of erl")?;
        let (beam, says) = (Process(child), Lines::of(BufReader::new(out)));
        self.wait_listed(name, true)?;
        Ok((beam, says))
    }

    /// Waits until epmd has forgotten a node: its name is taken until then.
    fn wait_forgotten(&self, name: &str) -> Result<(), Box<dyn Error>> {
        self.wait_listed(name, false)
    }

    fn wait_listed(&self, name: &str, listed: bool) -> Result<(), Box<dyn Error>> {
        let name = name.split('@').next().unwrap_or(name);
        wait(&format!("epmd to list {name}: {listed}"), || {
            let names = Command::new("epmd").args(["-port", &self.epmd_port.to_string(), "-names"]).output();
            let names = String::from_utf8(names?.stdout)?;
            Ok(names.lines().any(|line| line.starts_with(&format!("name {name} at"))) == listed)
        })
    }

    /// Where a node listens.
    fn address(&self, name: &str) -> Result<SocketAddr, Box<dyn Error>> {
        let name = name.split('@').next().unwrap_or(name);
        let names = Command::new("epmd").args(["-port", &self.epmd_port.to_string(), "-names"]).output()?;
        let names = String::from_utf8(names.stdout)?;
        let port = names.lines().find_map(|line| line.strip_prefix(&format!("name {name} at port ")));
        Ok(SocketAddr::from(([127, 0, 0, 1], port.ok_or("epmd does not list it")?.trim().parse()?)))
    }

    /// Starts the host. Its API answers.
    fn host(&self) -> Result<Process, Box<dyn Error>> {
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(&self.config)
            .arg("--plugins")
            .arg(&self.plugins)
            .args(["--listen", &format!("unix:{}", self.socket.display()), "--log-level", "error"])
            .stdin(Stdio::null())
            .spawn()?;
        let mut host = Process(child);
        wait("the host's API", || match host.0.try_wait()? {
            Some(status) => Err(format!("the host ended: {status}").into()),
            None => Ok(UnixStream::connect(&self.socket).is_ok()),
        })?;
        Ok(host)
    }

    /// The host's events, from its start on.
    fn events(&self) -> Result<Lines, Box<dyn Error>> {
        Lines::events(&self.socket)
    }
}

/// Whether a line of the stream is an event of that kind about a node.
fn is_event(kind: &str, node: &str) -> impl Fn(&str) -> bool {
    move |line| {
        let Some(event) = line.strip_prefix("data: ") else { return false };
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        event.get("type").is_some_and(|it| it == kind) && event.get("node").is_some_and(|it| it == node)
    }
}

/// Looks until something holds.
fn wait(what: &str, mut holds: impl FnMut() -> Result<bool, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let deadline = wall() + PATIENCE;
    while !holds()? {
        if wall() > deadline {
            return Err(format!("waited for {what}").into());
        }
        pause(LOOK_INTERVAL);
    }
    Ok(())
}
