//! A real name server for tests: Knot DNS on loopback, with a port, zones and a directory of its own.

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use test_ports::lasting_port;
use tokio::time::Instant;

/// How long anything may take, on a machine that is busy with other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A server process, ended at the latest when this is dropped or the test's thread ends.
pub(crate) struct Knot {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

// === impl Knot ===

impl Knot {
    /// Starts one with these zones: a name with its full stop, and records beside those of the zone itself.
    pub(crate) fn start(zones: &[(&str, &str)]) -> Self {
        let mut knot = Self { directory: tempfile::tempdir().unwrap(), port: lasting_port(), child: None };
        for (zone, records) in zones {
            knot.write_zone(zone, records);
        }
        let names: Vec<_> = zones.iter().map(|(zone, _)| *zone).collect();
        knot.write_config(&names);
        knot.restart();
        knot
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address, as configs write it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file of a zone; it counts after [`Knot::reload`].
    pub(crate) fn write_zone(&self, zone: &str, records: &str) {
        let text = format!(
            "$ORIGIN {zone}\n@ 60 SOA ns admin 1 3600 600 86400 5\n@ 60 NS ns\nns 60 A 127.0.0.1\n{records}\n"
        );
        self.write_file(zone, &text);
    }

    /// The file of a zone as it is, right or wrong.
    pub(crate) fn write_file(&self, zone: &str, text: &str) {
        fs::write(self.directory.path().join(format!("{zone}zone")), text).unwrap();
    }

    /// Which zones there are; it counts after [`Knot::reload`].
    pub(crate) fn write_config(&self, zones: &[&str]) {
        let (directory, port) = (self.directory.path().display(), self.port);
        let zones: String = zones.iter().map(|zone| format!("  - domain: {zone}\n")).collect();
        let config = format!(
            "server:\n    rundir: \"{directory}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n\
             database:\n    storage: \"{directory}\"\nlog:\n  - target: stderr\n    any: info\n\
             mod-stats:\n  - id: all\n    query-type: on\n\
             template:\n  - id: default\n    global-module: mod-stats/all\n    storage: \"{directory}\"\n    \
             file: \"%s.zone\"\n    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\nzone:\n{zones}"
        );
        fs::write(self.config(), config).unwrap();
    }

    /// Changes records of a zone at once: each a name below the zone, a TTL, a type and data.
    #[track_caller]
    pub(crate) fn change(&self, zone: &str, remove: &[&str], add: &[&str]) {
        self.control(&["zone-begin", zone]);
        for (verb, records) in [("zone-unset", remove), ("zone-set", add)] {
            for record in records {
                let words: Vec<_> = [verb, zone].into_iter().chain(record.splitn(4, ' ')).collect();
                self.control(&words);
            }
        }
        self.control(&["zone-commit", zone]);
    }

    /// Reads its configuration and its zones again.
    #[track_caller]
    pub(crate) fn reload(&self) {
        self.control(&["reload"]);
        self.control(&["zone-reload"]);
    }

    /// Questions that it has had since its start.
    pub(crate) fn questions(&self) -> u64 {
        let output = self.control(&["stats", "mod-stats.server-operation"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = text.lines().find_map(|line| line.strip_prefix("mod-stats.server-operation[query] = "));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Stops the process where it is: it answers nothing, and refuses nothing.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Ends it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended before; then there is nothing to kill and no harm done.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }

    /// Starts it again with the same port and files.
    pub(crate) fn restart(&mut self) {
        need("knotd", "knot");
        need("knotc", "knot");
        self.kill();
        let log = fs::File::create(self.log()).unwrap();
        let mut command = program("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "knotd", "--config", &self.config()]);
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + DEADLINE;
        while !self.try_control(&["status"]).status.success() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "knotd does not run ({ended:?})\n{}",
                fs::read_to_string(self.log()).unwrap_or_default()
            );
            rest();
        }
    }

    #[track_caller]
    fn control(&self, words: &[&str]) -> Output {
        let output = self.try_control(words);
        assert!(output.status.success(), "knotc {words:?}: {output:?}");
        output
    }

    fn try_control(&self, words: &[&str]) -> Output {
        program("knotc")
            .args(["--config", &self.config(), "--force", "--blocking"])
            .args(words)
            .output()
            .unwrap()
    }

    fn config(&self) -> String {
        self.directory.path().join("knot.conf").display().to_string()
    }

    fn log(&self) -> String {
        self.directory.path().join("knot.log").display().to_string()
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A short rest between two looks at something that tells nobody of its changes.
pub(crate) fn rest() {
    thread::park_timeout(Duration::from_millis(20));
}

/// Fails with the name of the package when a program is missing.
fn need(name: &str, package: &str) {
    let found = program("sh").args(["-c", "command -v \"$0\" >/dev/null", name]).status();
    assert!(
        found.is_ok_and(|found| found.success()),
        "{name} is missing (package {package}); `make test` installs what can be installed"
    );
}

/// Debian has servers in folders that are not on the path of users.
fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    command
}
