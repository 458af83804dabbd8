//! What a service manager hears of a host: a real process with a real `NOTIFY_SOCKET`.

use std::{fs, io, os::unix::net::UnixDatagram, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::host::{DEADLINE, GOSSIP, Host, Launch, Plugins, private_directory};

/// The watchdog of these tests.
const WATCHDOG: Duration = Duration::from_millis(200);

/// A service manager's end.
struct Manager {
    directory: TempDir,
    socket: UnixDatagram,
}

// === impl Manager ===

impl Manager {
    fn new() -> Self {
        let directory = private_directory();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        Self { directory, socket }
    }

    /// Starts a host as a service manager does that watches it.
    fn start(&self, plugins: &Plugins, config: &str) -> Host {
        let socket = self.directory.path().join("notify").to_str().unwrap().to_owned();
        let env = vec![
            ("NOTIFY_SOCKET".to_owned(), socket),
            ("WATCHDOG_USEC".to_owned(), WATCHDOG.as_micros().to_string()),
        ];
        let plugins = plugins.path().to_owned();
        Host::start(Launch { config: config.to_owned(), plugins, env, ..Launch::default() })
    }

    /// The next message; none when nothing comes for so long.
    fn next(&self, wait: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut bytes = [0; 4096];
        match self.socket.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8(bytes[..length].to_vec()).unwrap()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message that begins so.
    #[track_caller]
    fn wait(&self, beginning: &str) -> String {
        loop {
            let message = self.next(DEADLINE).unwrap_or_else(|| panic!("no {beginning}"));
            if message.starts_with(beginning) {
                return message;
            }
        }
    }
}

fn config(topology: &str, port: u16) -> String {
    format!(
        "reload = {{ watch = false }}\n[node]\nname = \"a@127.0.0.1\"\n[topologies.{topology}]\nstrategy = \"gossip\"\n\
         config = {{ multicast_if = \"127.0.0.1\", port = {port} }}\nconnect = \"none\"\n"
    )
}

/// It is ready when its API answers, tells of a reload and how it came out, goes on to say that it lives, and at last that
/// it stops.
#[test]
fn from_ready_to_stopping() {
    let (manager, plugins) = (Manager::new(), Plugins::with(&[GOSSIP]));
    let port = crate::host::free_udp_port();
    let host = manager.start(&plugins, &config("office", port));
    let ready = manager.wait("READY=1\nSTATUS=");
    assert!(host.ask("members").status.success(), "ready, and the API does not answer\n{}", host.log());
    assert!(ready.contains(" members up"), "{ready}");
    manager.wait("STATUS=1 of 1 members up");

    fs::write(host.config_file(), config("other", port)).unwrap();
    host.signal(Signal::HUP);
    let reloading = manager.wait("RELOADING=1\nMONOTONIC_USEC=");
    let (_, micros) = reloading.rsplit_once('=').unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0, "{reloading}");
    let reloaded = manager.wait("READY=1\n");
    assert!(!reloaded.contains("refused"), "{reloaded}");
    assert_eq!(host.topology("other")["name"], "other", "the reload is over when it is said to be");

    fs::write(host.config_file(), "nonsense = 1\n").unwrap();
    host.signal(Signal::HUP);
    manager.wait("RELOADING=1\n");
    let refused = manager.wait("READY=1\n");
    assert!(refused.contains("STATUS=reload refused, runs as before: "), "{refused}");

    for _ in 0..3 {
        manager.wait("WATCHDOG=1");
    }
    host.signal(Signal::TERM);
    manager.wait("STOPPING=1\n");
    assert!(host.wait_end().success());
}

/// A host that stands still gives no sign of life; one that goes on does again.
#[test]
fn a_stopped_process_is_silent() {
    let (manager, plugins) = (Manager::new(), Plugins::with(&[]));
    let host = manager.start(&plugins, "[topologies]\n");
    manager.wait("WATCHDOG=1");
    host.signal(Signal::STOP);
    host.settle("it to stand still", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", host.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T').then_some(())
    });
    // What was sent before.
    while manager.next(Duration::from_millis(1)).is_some() {}
    assert_eq!(manager.next(WATCHDOG * 3), None);
    host.signal(Signal::CONT);
    manager.wait("WATCHDOG=1");
}
