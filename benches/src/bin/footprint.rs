//! The daemon as it ships: how soon it is ready, what memory it has with 100 members, and what CPU it takes when nothing
//! happens. `make bench` builds the host and the gossip plugin in release first.
//!
//! The members are heartbeats in libcluster's form, sent once each to the port of gossip. No client connects before the
//! figures are taken; at the end one asks whether the members were really there.

use std::{
    error::Error,
    fs,
    net::UdpSocket,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use benches::{Memory, PATIENCE, Process, Table, pause, percentile, wall};

/// Members that are announced.
const MEMBERS: usize = 100;
/// Starts that the time to readiness is taken from.
const STARTS: usize = 11;
/// How long nothing happens before memory is read,
const SETTLE: Duration = Duration::from_secs(10);
/// and how long CPU time is watched.
const WATCH: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut table = Table::new("footprint");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let setup = Setup::new(scratch.path())?;
    let mut starts = Vec::new();
    for _start in 0..STARTS {
        let (daemon, ready) = setup.start()?;
        starts.push(ready.as_secs_f64() * 1e3);
        drop(daemon);
    }
    let ready = percentile(starts.clone(), 50);
    table.note(&format!("starts, ms: {starts:.1?}"));
    table.check(&format!("ready {ready:.1} ms after exec, at the median (goal ≤ 15 ms)"), ready <= 15.0);

    let (daemon, _) = setup.start()?;
    setup.announce()?;
    pause(SETTLE);
    let Memory { rss, anonymous, dirty, .. } = daemon.memory()?;
    table.check(&format!("RSS {rss} KiB with {MEMBERS} members (goal ≤ 6144 KiB)"), rss <= 6_144);
    table.note(&format!(
        "of which written to {dirty} KiB, no file's {anonymous} KiB: the rest is the program's text"
    ));
    let before = daemon.cpu()?;
    pause(WATCH);
    let share = (daemon.cpu()?.saturating_sub(before)).as_secs_f64() / WATCH.as_secs_f64() * 100.0;
    table.check(&format!("idle CPU {share:.4} % (goal < 0.05 %)"), share < 0.05);
    let members = setup.members()?;
    table.check(&format!("{members} members were there, and the local node"), members == MEMBERS + 1);
    drop(daemon);
    remembering(table, &setup, rss)
}

/// The same with a state directory, and after a restart with what is remembered.
fn remembering(table: &mut Table, setup: &Setup, rss: u64) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(&setup.config)?;
    fs::write(&setup.config, format!("[state]\ndirectory = \"state\"\n{text}"))?;
    let (daemon, _) = setup.start()?;
    setup.announce()?;
    pause(SETTLE);
    let first = daemon.memory()?.rss;
    drop(daemon);
    let (daemon, ready) = setup.start()?;
    pause(SETTLE);
    let again = daemon.memory()?.rss;
    table.note(&format!(
        "RSS with a state directory {first} KiB, without {rss} KiB; after a restart {again} KiB"
    ));
    let milliseconds = ready.as_secs_f64() * 1e3;
    table.note(&format!("ready with what is remembered after {milliseconds:.1} ms"));
    let members = setup.members()?;
    table.check(&format!("{members} members are remembered"), members == MEMBERS + 1);
    Ok(())
}

/// Where the daemon runs.
struct Setup {
    program: PathBuf,
    plugins: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    port: u16,
}

impl Setup {
    fn new(scratch: &Path) -> Result<Self, Box<dyn Error>> {
        let target = std::env::current_exe()?.parent().ok_or("this program is in no directory")?.to_owned();
        let plugins = scratch.join("plugins");
        fs::create_dir(&plugins)?;
        fs::set_permissions(&plugins, fs::Permissions::from_mode(0o755))?;
        let plugin = plugins.join("libstrategy_gossip.so");
        fs::copy(benches::plugin("libstrategy_gossip.so"), &plugin)?;
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))?;
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = scratch.join("host.toml");
        fs::write(
            &config,
            format!(
                "[node]\nname = \"host@127.0.0.1\"\n[topologies.bench]\nstrategy = \"gossip\"\nconnect = \"none\"\n\
                 config = {{ port = {port}, multicast_if = \"127.0.0.1\", heartbeat_timeout = \"5m\" }}\n"
            ),
        )?;
        let program = target.join("cluster-host");
        Ok(Self { program, plugins, config, socket: scratch.join("api.sock"), port })
    }

    /// Starts the daemon; with the time until its API answers.
    fn start(&self) -> Result<(Process, Duration), Box<dyn Error>> {
        let listen = format!("unix:{}", self.socket.display());
        let begin = wall();
        let child = Command::new(&self.program)
            .args(["run", "--config"])
            .arg(&self.config)
            .arg("--plugins")
            .arg(&self.plugins)
            .args(["--listen", &listen, "--log-level", "error"])
            .stdin(Stdio::null())
            .spawn()?;
        let daemon = Process(child);
        while UnixStream::connect(&self.socket).is_err() {
            if wall().saturating_sub(begin) > PATIENCE {
                return Err("the daemon does not answer".into());
            }
            thread::yield_now();
        }
        Ok((daemon, wall().saturating_sub(begin)))
    }

    /// Sends a heartbeat of each member, as libcluster on OTP 26 writes it, once somebody is there to hear it: the API is
    /// there before the topologies are.
    fn announce(&self) -> Result<(), Box<dyn Error>> {
        let begin = wall();
        let bound = format!(":{:04X} 00000000:0000 ", self.port);
        while !fs::read_to_string("/proc/net/udp")?.contains(&bound) {
            if wall().saturating_sub(begin) > PATIENCE {
                return Err("gossip binds no socket".into());
            }
            pause(Duration::from_millis(1));
        }
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        for number in 0..MEMBERS {
            let name = format!("app{number}@10.0.{}.{}", number / 250, number % 250);
            let mut datagram = b"heartbeat::\x83\x74\x00\x00\x00\x01\x77\x04node\x77".to_vec();
            datagram.push(u8::try_from(name.len())?);
            datagram.extend_from_slice(name.as_bytes());
            socket.send_to(&datagram, ("127.0.0.1", self.port))?;
        }
        Ok(())
    }

    /// How many members the daemon knows.
    fn members(&self) -> Result<usize, Box<dyn Error>> {
        let api = format!("unix:{}", self.socket.display());
        let answer = Command::new(&self.program).args(["members", "--json", "--api", &api]).output()?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
        Ok(answer.get("members").and_then(serde_json::Value::as_array).map_or(0, Vec::len))
    }
}
