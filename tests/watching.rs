//! `members --watch`, on a terminal and in a pipe.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::{
    host::{DEADLINE, Host, cluster_host, now, pause},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";
const CAROL: &str = "carol@127.0.0.1";
const BRISK: &str = "heartbeat_interval = \"200ms\"\nheartbeat_timeout = \"5s\"";

/// A command that is running, and what it has printed.
struct Watching {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
}

// === impl Watching ===

impl Watching {
    /// On a terminal of so many rows and columns, which is `script`'s.
    fn on_terminal(host: &Host, rows: u16, columns: u16) -> Self {
        let program = env!("CARGO_BIN_EXE_cluster-host");
        let line =
            format!("stty rows {rows} cols {columns}; exec {program} members --watch --api {}", host.api());
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"])
            .env("TERM", "xterm");
        Self::start(command)
    }

    fn in_pipe(host: &Host, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-host"));
        command.args(["members", "--watch", "--api", &host.api()]).args(more);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .env_remove("NO_COLOR")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let keep = |mut from: Box<dyn std::io::Read + Send>| {
            let printed = Arc::clone(&printed);
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                    printed.extend_from_slice(&bytes[..count]);
                }
            });
        };
        keep(Box::new(child.stdout.take().unwrap()));
        keep(Box::new(child.stderr.take().unwrap()));
        Self { child, printed }
    }

    fn printed(&self) -> String {
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// What was drawn last, where that is whole.
    fn screen(&self) -> Option<String> {
        let printed = self.printed();
        let (drawn, _) = printed.rsplit_once("\x1b[J\x1b[?2026l")?;
        let (_, screen) = drawn.rsplit_once("\x1b[?2026h\x1b[H")?;
        Some(screen.to_owned())
    }

    #[track_caller]
    fn wait(&self, what: &str, mut until: impl FnMut(&str) -> bool) {
        let deadline = now() + DEADLINE;
        while !until(&self.printed()) {
            assert!(now() < deadline, "waiting for {what}:\n{}", self.printed());
            pause();
        }
    }

    #[track_caller]
    fn wait_screen(&self, what: &str, mut until: impl FnMut(&str) -> bool) {
        self.wait(what, |_| self.screen().is_some_and(|screen| until(&screen)));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// On a terminal the table fits, follows what happens, says that the daemon is lost and finds it again; Ctrl-C gives the
/// terminal back as it was.
#[test]
fn on_a_terminal() {
    let lan = Lan::new();
    let mut alice = lan.start(ALICE, BRISK);
    alice.wait_up(&[ALICE]);
    let mut watching = Watching::on_terminal(&alice, 6, 60);
    watching.wait_screen("alice", |screen| {
        screen.contains("1 member") && screen.contains("lan \x1b[32mrunning") && screen.contains(ALICE)
    });
    let bob = lan.start(BOB, BRISK);
    watching.wait_screen("bob", |screen| screen.contains("2 members") && screen.contains(BOB));
    let _carol = lan.start(CAROL, BRISK);
    let _others = ["dave@127.0.0.1", "eve@127.0.0.1"].map(|node| lan.start(node, BRISK));
    watching.wait_screen("no room for all", |screen| {
        screen.contains("5 members") && screen.contains("… and 3 more") && screen.lines().count() == 6
    });
    bob.kill();
    watching.wait_screen("bob's end", |screen| screen.contains("4 members"));
    alice.kill();
    watching.wait_screen("the daemon's end", |screen| screen.contains("this is as of"));
    assert!(watching.screen().unwrap().contains("4 members"), "what was known stands");
    alice.restart();
    watching.wait_screen("the daemon", |screen| !screen.contains("as of") && screen.contains("4 members"));
    watching.child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let status = watching.child.wait().unwrap();
    assert!(status.success(), "{status}\n{}", watching.printed());
    watching.wait("the shell's screen", |printed| printed.contains("\x1b[?7h\x1b[?25h\x1b[?1049l"));
}

/// In a pipe there is the table, then a line for each event, without colours; as JSON an object for each. A lost daemon is
/// told on standard error, and followed again.
#[test]
fn in_a_pipe() {
    let lan = Lan::new();
    let mut alice = lan.start(ALICE, BRISK);
    alice.wait_up(&[ALICE]);
    let (plain, json) = (Watching::in_pipe(&alice, &[]), Watching::in_pipe(&alice, &["--json"]));
    plain.wait("the table", |printed| printed.contains("NAME") && printed.contains(ALICE));
    let _bob = lan.start(BOB, BRISK);
    plain.wait("bob", |printed| printed.contains("node_up") && printed.contains(BOB));
    alice.kill();
    plain.wait("the daemon's end", |printed| printed.contains("it is tried again"));
    alice.restart();
    plain.wait("the daemon", |printed| printed.contains("resync"));
    assert!(!plain.printed().contains('\x1b'), "{}", plain.printed());
    json.wait("the daemon", |printed| printed.matches("\"type\":\"resync\"").count() == 2);
    let printed = json.printed();
    for line in printed.lines().filter(|line| !line.starts_with("cluster-host: ")) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["cursor"].is_string(), "{line}");
    }
}

/// Where no daemon is the command ends at once and says so, as without `--watch`.
#[test]
fn no_daemon() {
    let output = cluster_host(&["members", "--watch", "--api", "unix:/nonexistent/api.sock"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no such socket"));
}
