//! A BEAM node that a test steers, by expressions that it evaluates.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::need;
use crate::host::{DEADLINE, now, pause, private_directory};

/// Many run on one machine.
const FRUGAL: &[&str] = &["+S", "1:1", "+sbwt", "none"];

/// A node, ended at the latest when this is dropped or the test's thread ends.
pub(super) struct Beam {
    node: String,
    command: Vec<String>,
    epmd_port: u16,
    home: TempDir,
    life: RefCell<Life>,
}

/// One run of it.
struct Life {
    child: Child,
    commands: ChildStdin,
    spoken: Arc<Spoken>,
}

/// What it has said, which a thread reads.
#[derive(Default)]
struct Spoken {
    words: Mutex<Words>,
    changed: Condvar,
}

#[derive(Default)]
struct Words {
    answers: VecDeque<Result<String, String>>,
    nodedowns: Vec<String>,
    log: Vec<String>,
    ended: bool,
}

// === impl Beam ===

impl Beam {
    /// Starts a node. Whatever is asked of it waits until it is there.
    pub(super) fn start(arguments: &[&str], epmd_port: u16) -> Self {
        need("erl", "erlang-base");
        let code = code().to_str().unwrap();
        let fixed = ["erl", "-noinput", "-start_epmd", "false", "-pa", code, "-s", "steered"];
        Self::run([&fixed, FRUGAL, arguments].concat(), epmd_port)
    }

    /// Starts a node by Elixir, one of whose arguments has to start what lets it be steered.
    pub(super) fn elixir(arguments: &[&str], epmd_port: u16) -> Self {
        let erl = format!("-noinput -start_epmd false -pa {} {}", code().display(), FRUGAL.join(" "));
        Self::run([&["elixir", "--no-halt", "--erl", &erl], arguments].concat(), epmd_port)
    }

    fn run(command: Vec<&str>, epmd_port: u16) -> Self {
        let named = command.iter().skip_while(|word| !matches!(**word, "-name" | "-sname" | "--name")).nth(1);
        let node = (*named.expect("the node's name")).to_owned();
        let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
        let home = private_directory();
        let life = RefCell::new(Life::begin(&command, epmd_port, home.path()));
        Self { node, command, epmd_port, home, life }
    }

    /// Starts it again, after its end.
    pub(super) fn restart(&mut self) {
        assert!(self.ended(), "{} is still running", self.node);
        *self.life.get_mut() = Life::begin(&self.command, self.epmd_port, self.home.path());
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// The value of an expression, which ends in a full stop.
    #[track_caller]
    pub(super) fn eval(&self, expression: &str) -> String {
        match self.try_eval(expression) {
            Ok(value) => value,
            Err(error) => panic!("{} cannot evaluate {expression}: {error}\n{}", self.node, self.log()),
        }
    }

    #[track_caller]
    fn try_eval(&self, expression: &str) -> Result<String, String> {
        self.command(expression);
        self.answer()
    }

    /// Has an expression evaluated while the test does something else; [`Beam::answer`] waits for its value.
    pub(super) fn command(&self, expression: &str) {
        self.await_ready();
        // Where the node has ended, the answer says so.
        let _written = writeln!(self.life.borrow_mut().commands, "{expression}");
    }

    #[track_caller]
    pub(super) fn answer(&self) -> Result<String, String> {
        let spoken = Arc::clone(&self.life.borrow().spoken);
        let answer = spoken.wait(|words| words.answers.pop_front());
        answer.unwrap_or_else(|hindrance| panic!("{}: {hindrance}\n{}", self.node, self.log()))
    }

    /// Waits until it is there, and others can reach it. The first word of a life comes unasked.
    #[track_caller]
    pub(super) fn await_ready(&self) {
        let spoken = Arc::clone(&self.life.borrow().spoken);
        if let Err(hindrance) = spoken.wait(|words| words.ready().then_some(())) {
            panic!("{} does not start: {hindrance}\n{}", self.node, self.log());
        }
    }

    /// The visible nodes that it is linked to.
    #[track_caller]
    pub(super) fn nodes(&self) -> BTreeSet<String> {
        names(&self.eval("nodes()."))
    }

    /// The hidden ones.
    #[track_caller]
    pub(super) fn hidden(&self) -> BTreeSet<String> {
        names(&self.eval("nodes(hidden)."))
    }

    /// Waits until it is linked to exactly these visible nodes.
    #[track_caller]
    pub(super) fn wait_nodes<T: AsRef<str>>(&self, nodes: impl IntoIterator<Item = T>) {
        let nodes: BTreeSet<String> = nodes.into_iter().map(|node| node.as_ref().to_owned()).collect();
        self.settle(&format!("links to {nodes:?}"), || self.nodes() == nodes);
    }

    /// Waits until something is so.
    #[track_caller]
    pub(super) fn settle(&self, what: &str, mut until: impl FnMut() -> bool) {
        let deadline = now() + DEADLINE;
        while !until() {
            if now() > deadline || self.ended() {
                let nodes = self.try_eval("nodes(connected).");
                panic!("{} waiting for {what}; it is linked to {nodes:?}\n{}", self.node, self.log());
            }
            pause();
        }
    }

    /// The visible nodes that it has seen go in this life, with the reasons.
    pub(super) fn nodedowns(&self) -> Vec<String> {
        self.life.borrow().spoken.lock().nodedowns.clone()
    }

    /// What it printed beside.
    pub(super) fn log(&self) -> String {
        let errors = fs::read_to_string(self.home.path().join("errors")).unwrap_or_default();
        let mut lines = self.life.borrow().spoken.lock().log.clone();
        lines.extend(errors.lines().map(str::to_owned));
        lines.join("\n")
    }

    /// Waits for a line that it prints beside.
    #[track_caller]
    pub(super) fn wait_line(&self, line: &str) {
        self.settle(&format!("{line:?}"), || self.log().lines().any(|printed| printed == line));
    }

    /// Ends it without giving it a chance to say so.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait_end();
    }

    /// Ends it as its supervisor does.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
        self.wait_end();
    }

    /// It does nothing any more, and does not know.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.life.borrow().child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    #[track_caller]
    fn wait_end(&self) {
        let deadline = now() + DEADLINE;
        while !self.ended() {
            assert!(now() < deadline, "{} does not end\n{}", self.node, self.log());
            pause();
        }
    }

    fn ended(&self) -> bool {
        self.life.borrow_mut().child.try_wait().unwrap().is_some()
    }
}

// === impl Life ===

impl Life {
    fn begin(command: &[String], epmd_port: u16, home: &Path) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(command)
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .env("HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("ERL_FLAGS")
            .env_remove("ERL_AFLAGS")
            .env_remove("ERL_ZFLAGS")
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(home.join("errors")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv (package util-linux) cannot be run: {error}"));
        let commands = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        let spoken = Arc::new(Spoken::default());
        let reader = Arc::clone(&spoken);
        thread::spawn(move || reader.read(output));
        Self { child, commands, spoken }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill and no harm done.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

// === impl Spoken ===

impl Spoken {
    fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, output: ChildStdout) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            self.lock().hear(line);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for something in what it says, or for what makes that impossible.
    fn wait<T>(&self, mut look: impl FnMut(&mut Words) -> Option<T>) -> Result<T, &'static str> {
        let deadline = now() + DEADLINE;
        let mut words = self.lock();
        loop {
            if let Some(found) = look(&mut words) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(now());
            if words.ended {
                return Err("it has ended");
            } else if left.is_zero() {
                return Err("it says nothing");
            }
            words = self.changed.wait_timeout(words, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

// === impl Words ===

impl Words {
    /// Whether it is there: the line that says so is kept in the log.
    fn ready(&self) -> bool {
        self.log.first().is_some_and(|line| line == "ready")
    }

    fn hear(&mut self, line: String) {
        match line.split_once(' ') {
            Some(("=", "ready")) => self.log.insert(0, "ready".to_owned()),
            Some(("=", value)) => self.answers.push_back(Ok(value.to_owned())),
            Some(("!", error)) => self.answers.push_back(Err(error.to_owned())),
            Some(("-", node)) => {
                if let Some(visible) = node.strip_prefix("visible ") {
                    self.nodedowns.push(visible.to_owned());
                }
                self.log.push(line);
            }
            _ => self.log.push(line),
        }
    }
}

/// The atoms of a list.
fn names(list: &str) -> BTreeSet<String> {
    let atoms = list.trim_matches(['[', ']']).split(',').map(|atom| atom.trim_matches('\''));
    atoms.filter(|atom| !atom.is_empty()).map(str::to_owned).collect()
}

/// The directory with the compiled module that lets a node be steered.
fn code() -> &'static Path {
    static CODE: OnceLock<PathBuf> = OnceLock::new();
    CODE.get_or_init(|| {
        need("erlc", "erlang-base");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steered");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/erlang/steered.erl");
        fs::create_dir_all(&directory).unwrap();
        let scratch = tempfile::tempdir_in(&directory).unwrap();
        let compiled = Command::new("erlc").arg("-o").arg(scratch.path()).arg(source).output().unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
        // Other tests that run now load the one that is there.
        fs::rename(scratch.path().join("steered.beam"), directory.join("steered.beam")).unwrap();
        directory
    })
}
