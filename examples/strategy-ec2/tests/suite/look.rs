//! The strategy in a process of its own, with an environment of its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take, on a machine that is busy with other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The strategy, running until this is dropped.
pub(crate) struct Look {
    child: Child,
    /// Its end ends the program.
    _input: Option<ChildStdin>,
    lines: Receiver<Value>,
    others: RefCell<Vec<Value>>,
    _home: TempDir,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) is_complete: bool,
    pub(crate) nodes: BTreeMap<String, Value>,
}

/// What is set for who has credentials: those that moto takes without asking.
pub(crate) const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "secret")];

impl Look {
    /// Starts it with an empty home and nothing in its environment but this.
    pub(crate) fn start(config: &Value, environment: &[(&str, &str)]) -> Self {
        Self::with_home(tempfile::tempdir().unwrap(), config, environment)
    }

    /// Starts it with this home.
    pub(crate) fn with_home(home: TempDir, config: &Value, environment: &[(&str, &str)]) -> Self {
        assert_isolated();
        let mut child = Command::new(built("examples/look"))
            .arg(config.to_string())
            .env_clear()
            .env("HOME", home.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (output, input) = (child.stdout.take().unwrap(), child.stdin.take());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|err| panic!("{line}: {err}"));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, _input: input, lines, others: RefCell::default(), _home: home }
    }

    /// The next report.
    pub(crate) fn view(&self) -> View {
        self.next(|line| {
            let nodes = line.get("nodes")?.as_object()?.clone().into_iter().collect();
            Some(View { is_complete: line["is_complete"].as_bool()?, nodes })
        })
    }

    /// Waits for a report that is as wanted.
    pub(crate) fn view_where(&self, is_wanted: impl Fn(&View) -> bool) -> View {
        loop {
            let view = self.view();
            if is_wanted(&view) {
                return view;
            }
        }
    }

    /// Waits for that health, and gives its reason.
    pub(crate) fn health(&self, health: &str) -> String {
        self.next(|line| {
            (line.get("health")? == health).then(|| line["reason"].as_str().unwrap_or("").to_owned())
        })
    }

    /// The first line of that kind that was not yet taken. Others stay for who asks for them: what is said of the health may
    /// come before the report that it belongs to.
    fn next<T>(&self, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let mut others = self.others.borrow_mut();
        if let Some((at, found)) = others.iter().enumerate().find_map(|(at, line)| Some((at, wanted(line)?)))
        {
            others.remove(at);
            return found;
        }
        let end = Instant::now() + DEADLINE;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|err| panic!("{err}; there came {others:#?}"));
            match wanted(&line) {
                Some(found) => return found,
                None => others.push(line),
            }
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl View {
    pub(crate) fn names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }
}

/// A config that is refused: what is said of it.
pub(crate) fn refused(config: &Value) -> String {
    let mut child =
        Command::new(built("examples/look")).arg(config.to_string()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!child.wait().unwrap().success());
    said
}

/// What Cargo has built beside the tests.
pub(crate) fn built(file: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.ancestors().nth(2).unwrap().join(file);
    assert!(path.exists(), "{} is missing: cargo test builds it", path.display());
    path
}

/// Nothing here may reach Amazon, or the metadata service of this machine.
#[track_caller]
pub(crate) fn assert_isolated() {
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap();
    let others = devices.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:")).count();
    let routes = fs::read_to_string("/proc/self/net/route").unwrap().lines().count();
    assert!(routes <= 1, "there is more network than loopback ({others} devices): run it by `make ec2`");
}
