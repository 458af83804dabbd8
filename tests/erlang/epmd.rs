//! An epmd of a test's own.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use test_ports::lasting_port;

use super::need;
use crate::host::{DEADLINE, now, pause};

/// It ends at the latest when this is dropped or the test's thread ends.
pub(super) struct Epmd {
    port: u16,
    child: Child,
}

// === impl Epmd ===

impl Epmd {
    /// Starts one on a port that nobody uses.
    pub(super) fn start() -> Self {
        let port = lasting_port();
        Self { port, child: spawn(port) }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it, and it forgets whoever registered.
    pub(super) fn kill(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Starts it again on the same port.
    pub(super) fn restart(&mut self) {
        self.child = spawn(self.port);
    }

    /// The names that are registered, without their hosts.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(&[0, 1, b'n']).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        // Behind epmd's port: `name N at port P` for each.
        let text = String::from_utf8_lossy(&answer[4..]).into_owned();
        text.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
    }

    #[track_caller]
    pub(super) fn wait_names(&self, what: &str, until: impl Fn(&BTreeSet<String>) -> bool) {
        let deadline = now() + DEADLINE;
        loop {
            let names = self.names();
            if until(&names) {
                return;
            }
            assert!(now() < deadline, "waiting for {what}: epmd has {names:?}");
            pause();
        }
    }
}

impl Drop for Epmd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One that answers.
fn spawn(port: u16) -> Child {
    need("epmd", "erlang-base");
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "epmd", "-address", "127.0.0.1", "-port", &port.to_string()])
        .env_remove("ERL_EPMD_ADDRESS")
        .env_remove("ERL_EPMD_RELAXED_COMMAND_CHECK")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = now() + DEADLINE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("epmd on port {port} ended with {status}");
        }
        assert!(now() < deadline, "epmd does not listen on port {port}");
        pause();
    }
    child
}
