//! A `cluster-host` process under test. What happens in it is followed by its event stream, which is folded and checked
//! on the way: a wait is for a condition of that fold, never for time.

mod feed;
pub(crate) mod http;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::feed::View;
use self::feed::{Feed, Follower};

/// How long anything may take, on a machine that is busy with other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How often is looked again at what no event tells of.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How a host is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    /// The configuration's text.
    pub(crate) config: String,
    /// The plugin directory.
    pub(crate) plugins: PathBuf,
    /// Where its API listens in the place of the socket that it is followed by, which then is not.
    pub(crate) listen: Option<String>,
    /// The network namespace, by its name; none is that of the test.
    pub(crate) network: Option<String>,
    /// Variables of the environment.
    pub(crate) env: Vec<(String, String)>,
}

/// A host, ended at the latest when this is dropped or the test's thread ends.
pub(crate) struct Host {
    launch: Launch,
    scratch: TempDir,
    child: RefCell<Child>,
    follower: Follower,
}

/// A plugin directory with copies of what Cargo built.
pub(crate) struct Plugins(TempDir);

pub(crate) const BASIC: &str = "libstrategy_basic.so";
pub(crate) const DNS: &str = "libstrategy_dns.so";
pub(crate) const EPMD: &str = "libstrategy_epmd.so";
pub(crate) const GOSSIP: &str = "libstrategy_gossip.so";
pub(crate) const K8S: &str = "libstrategy_k8s.so";
pub(crate) const FAULTY: &str = "libplugin_faulty.so";
pub(crate) const TCP_CONNECTOR: &str = "libplugin_tcp_connector.so";

// === impl Plugins ===

impl Plugins {
    pub(crate) fn with(files: &[&str]) -> Self {
        let directory = private_directory();
        for file in files {
            copy(&built(file), &directory.path().join(file));
        }
        Self(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A `.so` of this workspace. Cargo leaves it beside the test's executable, as its crate is a dev-dependency.
pub(crate) fn built(file: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(file);
    assert!(path.exists(), "{} is missing: cargo test builds it", path.display());
    path
}

/// A copy that nobody else can write to, whatever the umask is.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o644)).unwrap();
}

pub(crate) fn private_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    directory
}

// === impl Host ===

impl Host {
    /// Starts a host. Whatever is asked of it waits until it answers.
    pub(crate) fn start(launch: Launch) -> Self {
        let scratch = private_directory();
        fs::write(scratch.path().join("host.toml"), &launch.config).unwrap();
        let child = spawn(&launch, scratch.path());
        let follower = Follower::start(scratch.path().join("api.sock"));
        Self { launch, scratch, child: RefCell::new(child), follower }
    }

    /// Starts it again with the same configuration, after its end.
    pub(crate) fn restart(&mut self) {
        assert!(self.ended().is_some(), "it is still running");
        *self.child.get_mut() = spawn(&self.launch, self.scratch.path());
        self.follower = Follower::start(self.socket());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.borrow().id()
    }

    /// KiB of memory that it has.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// How many descriptors it has open. Who is not root may not look at them, but newer kernels tell anybody how many
    /// there are.
    pub(crate) fn descriptors(&self) -> u64 {
        match fs::metadata(self.proc("fd")).unwrap().len() {
            0 => fs::read_dir(self.proc("fd")).unwrap().count() as u64,
            count => count,
        }
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(self.proc("task")).unwrap().count()
    }

    fn proc(&self, what: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(what)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.scratch.path().join("api.sock")
    }

    /// The value for `--api`.
    pub(crate) fn api(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.scratch.path().join("host.toml")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("host.log")).unwrap_or_default()
    }

    /// Runs a command that asks this host.
    pub(crate) fn ask(&self, command: &str) -> Output {
        let mut words: Vec<&str> = command.split(' ').collect();
        let api = self.api();
        words.extend(["--api", &api]);
        cluster_host(&words)
    }

    /// Reads from its API.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.settle("an answer of the API", || http::get(&self.socket(), path).ok())
    }

    pub(crate) fn members(&self) -> Value {
        self.get("/v1/members")
    }

    /// The status of a topology.
    pub(crate) fn topology(&self, name: &str) -> Value {
        let answer = self.get("/v1/topologies");
        let topologies = answer["topologies"].as_array().expect("topologies");
        topologies
            .iter()
            .find(|topology| topology["name"] == name)
            .unwrap_or_else(|| panic!("no topology {name} in {answer}"))
            .clone()
    }

    /// A counter of a topology; one that has not counted yet is absent, which is 0.
    pub(crate) fn counter(&self, topology: &str, counter: &str) -> u64 {
        self.topology(topology)["counters"][counter].as_u64().unwrap_or_default()
    }

    /// Waits until the view, as the event stream makes it, is so.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut until: impl FnMut(&View) -> bool) {
        let deadline = now() + DEADLINE;
        let feed = self.feed();
        let mut view = feed.lock();
        while !until(&view) {
            let left = deadline.saturating_duration_since(now());
            let hindrance = match (&view.broken, self.ended()) {
                (Some(broken), _) => Some(broken.clone()),
                (None, Some(status)) => Some(format!("the host ended with {status}")),
                (None, None) => left.is_zero().then(|| format!("not within {DEADLINE:?}")),
            };
            if let Some(hindrance) = hindrance {
                panic!("waiting for {what}: {hindrance}\n{}", self.report(&view));
            }
            view = feed.wait(view, left.min(Duration::from_secs(1)));
        }
    }

    /// Waits until something is so that no event tells of.
    #[track_caller]
    pub(crate) fn settle<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = now() + DEADLINE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            let ended = self.ended();
            if ended.is_some() || now() > deadline {
                let end =
                    ended.map_or_else(|| "it runs".to_owned(), |status| format!("it ended with {status}"));
                panic!("waiting for {what}, {end}\n{}", self.report(&self.told()));
            }
            pause();
        }
    }

    /// Waits until it says of exactly these nodes that they are up.
    #[track_caller]
    pub(crate) fn wait_up<T: AsRef<str>>(&self, nodes: &[T]) {
        let nodes: BTreeSet<&str> = nodes.iter().map(AsRef::as_ref).collect();
        let what = format!("up: {nodes:?}");
        self.wait(&what, |view| view.members.len() == nodes.len() && view.up() == nodes);
    }

    /// The view as it is now: with each event that the API shows the outcome of, while it answers. So what an answer told
    /// before is in it.
    pub(crate) fn view(&self) -> View {
        let answer = http::get(&self.socket(), "/v1/members").ok();
        let shown = answer.and_then(|answer| answer["revision"].as_u64()).unwrap_or_default();
        let deadline = now() + DEADLINE;
        let mut view = self.feed().lock();
        while view.revision < shown && !view.ended && view.broken.is_none() && now() < deadline {
            view = self.feed().wait(view, Duration::from_secs(1));
        }
        view.clone()
    }

    /// The view as far as it is told yet.
    fn told(&self) -> View {
        self.feed().lock().clone()
    }

    /// The folded events are what the API shows, as soon as both are of one revision.
    #[track_caller]
    pub(crate) fn check_fold(&self) {
        self.settle("the fold of the events to be the snapshot", || {
            let answer = self.members();
            let view = self.view();
            if answer["revision"] != view.revision || answer["epoch"] != *view.epoch {
                return None;
            }
            let members: Vec<&Value> = view.members.values().collect();
            let shown: Vec<&Value> = answer["members"].as_array().expect("members").iter().collect();
            assert_eq!(members, shown, "at revision {}", view.revision);
            Some(())
        });
    }

    /// Ends it as an operator does, and waits.
    pub(crate) fn terminate(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end()
    }

    /// Ends it without giving it a chance to say so.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait_end();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    #[track_caller]
    pub(crate) fn wait_end(&self) -> ExitStatus {
        let deadline = now() + DEADLINE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(now() < deadline, "it does not end\n{}", self.report(&self.told()));
            pause();
        }
    }

    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().unwrap()
    }

    fn feed(&self) -> &Feed {
        self.follower.feed()
    }

    fn report(&self, view: &View) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(60)..].join("\n");
        format!("--- config ---\n{}\n--- log ---\n{log}\n--- as followed ---\n{view}", self.launch.config)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended before; then there is nothing to kill and no harm done.
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

fn spawn(launch: &Launch, scratch: &Path) -> Child {
    // Whatever becomes of this process, no host outlives the test.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    if let Some(network) = &launch.network {
        command.arg("nsenter").arg(format!("--net=/run/netns/{network}")).arg("--");
    }
    let log = File::options().create(true).append(true).open(scratch.join("host.log")).unwrap();
    command
        .arg(env!("CARGO_BIN_EXE_cluster-host"))
        .args(["run", "--config"])
        .arg(scratch.join("host.toml"))
        .arg("--plugins")
        .arg(&launch.plugins)
        .arg("--listen")
        .arg(launch.listen.clone().unwrap_or_else(|| format!("unix:{}", scratch.join("api.sock").display())))
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("setpriv (package util-linux) cannot be run: {error}"))
}

/// Runs a command of the host's program to its end.
pub(crate) fn cluster_host(arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60", env!("CARGO_BIN_EXE_cluster-host")]).args(arguments);
    command.env_remove("CLUSTER_HOST_API").env("NO_COLOR", "1").stdin(Stdio::null()).output().unwrap()
}

/// A command's output and its exit code, to be compared at once.
pub(crate) fn outcome(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A UDP port that nobody uses now.
pub(crate) fn free_udp_port() -> u16 {
    std::net::UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

/// A TCP port that nobody uses now.
pub(crate) fn free_tcp_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[expect(clippy::disallowed_methods, reason = "the deadline of a test is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A short rest between two looks at something that tells nobody of its changes.
pub(crate) fn pause() {
    let (_sender, never) = mpsc::channel::<()>();
    let _timeout = never.recv_timeout(LOOK_INTERVAL);
}
