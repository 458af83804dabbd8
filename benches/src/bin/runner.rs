//! A plugin in a process of its own: how soon its view is there, what a report costs beside a bare round trip through a
//! socket pair, and what memory the process has for itself. `make bench` builds the host in release first, which is the
//! runner.

use std::{
    error::Error,
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use benches::{Memory, PATIENCE, Table, ns_each, pause, percentile, rounds, wall};
use cluster_host::{Config, Host, Registry, api::Source as _};
// For its `.so`, which Cargo then puts beside this program.
use plugin_faulty as _;

/// Starts that the time to the view is taken from.
const STARTS: usize = 21;
/// Reports, and bare round trips, that one figure is the median of.
const REPORTS: usize = 2_000;
/// Bytes of a bare message: about those of a small report.
const MESSAGE_BYTES: usize = 64;

fn main() -> ExitCode {
    let mut table = Table::new("runner");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let place = Place::new(scratch.path())?;
    let fixed = "strategy = \"fixed\"\nconfig = { nodes = [\"a@127.0.0.1\"] }";
    let mut starts = Vec::new();
    for _start in 0..STARTS {
        let begin = wall();
        let running = place.start(fixed)?;
        running.wait("the view", |running| !running.host.members().members.is_empty())?;
        starts.push(wall().saturating_sub(begin).as_secs_f64() * 1e3);
    }
    let median = percentile(starts.clone(), 50);
    table.note(&format!("starts, ms: {starts:.1?}"));
    table.check(
        &format!("spawn to view applied {median:.1} ms, at the median (goal ≤ 12 ms)"),
        median <= 12.0,
    );

    let running = place.start(fixed)?;
    running.wait("the view", |running| !running.host.members().members.is_empty())?;
    pause(Duration::from_secs(1));
    let Memory { dirty, rss, .. } = Memory::of(child()?)?;
    table.check(&format!("Private_Dirty {dirty} KiB, of RSS {rss} KiB (goal ≤ 1024 KiB)"), dirty <= 1_024);
    drop(running);

    let mut failed = Ok(());
    let [report, bare] = rounds(|| {
        let report = place.report_ns().unwrap_or_else(|error| {
            failed = Err(error);
            f64::NAN
        });
        [report, round_trip_ns().unwrap_or(f64::NAN)]
    });
    failed?;
    table.ratio("report of one node", report, ("bare round trip", bare), Some(4.0));
    Ok(())
}

/// Where hosts run.
struct Place {
    runner: PathBuf,
    plugins: PathBuf,
}

/// A host in this process, with its runtime.
struct Running {
    runtime: tokio::runtime::Runtime,
    host: Host,
}

// === impl Place ===

impl Place {
    fn new(scratch: &Path) -> Result<Self, Box<dyn Error>> {
        let target = std::env::current_exe()?.parent().ok_or("this program is in no directory")?.to_owned();
        fs::set_permissions(scratch, fs::Permissions::from_mode(0o755))?;
        let plugin = scratch.join("libplugin_faulty.so");
        fs::copy(target.join("deps/libplugin_faulty.so"), &plugin)?;
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o644))?;
        let runner = target.join("cluster-host");
        // What is not on the disk yet counts as written to by whoever has mapped it.
        for file in [&plugin, &runner] {
            fs::File::open(file)?.sync_all()?;
        }
        Ok(Self { runner, plugins: scratch.to_owned() })
    }

    fn start(&self, topology: &str) -> Result<Running, Box<dyn Error>> {
        let config = format!(
            "[topologies.bench]\nconnect = \"none\"\nopts = {{ isolation = \"process\" }}\n{topology}\n"
        );
        let told = |problems: Vec<_>| format!("{problems:?}");
        let loaded = Config::parse(Path::new("bench.toml"), &config, &|_| None).map_err(told)?;
        let registry = Registry::scan(&self.plugins).with_runner(&self.runner);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let host = runtime.block_on(async { Host::builder(loaded.config, registry).start() })?;
        Ok(Running { runtime, host })
    }

    /// The median of what a report takes until the plugin has its answer, measured by the plugin.
    fn report_ns(&self) -> Result<f64, Box<dyn Error>> {
        let measures =
            format!("strategy = \"measures\"\nconfig = {{ calls = 1, nodes = 1, rounds = {REPORTS} }}");
        let running = self.start(&measures)?;
        let counter = |running: &Running, name: &str| {
            running
                .host
                .handle()
                .topologies()
                .into_iter()
                .find_map(|topology| topology.counters.get(name).copied())
        };
        running.wait("its figures", |running| counter(running, "measured").is_some())?;
        let median = counter(&running, "report_median_ns").ok_or("no figure")?;
        Ok(ns_each(Duration::from_nanos(median), 1))
    }
}

// === impl Running ===

impl Running {
    /// Lets the host work until something is so.
    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), Box<dyn Error>> {
        let mut changes = self.host.subscribe();
        let deadline = wall() + PATIENCE;
        while !is_so(self) {
            if wall() > deadline {
                return Err(format!("waiting for {what}: {:?}", self.host.handle().topologies()).into());
            }
            // What no event tells of is looked at again after a while.
            self.runtime.block_on(async {
                let wait = tokio::time::timeout(Duration::from_millis(20), changes.next());
                drop(wait.await);
            });
        }
        Ok(())
    }
}

/// The one process that this one has started.
fn child() -> Result<u32, Box<dyn Error>> {
    let mut children = String::new();
    for task in fs::read_dir("/proc/self/task")? {
        children += &fs::read_to_string(task?.path().join("children"))?;
    }
    // Those of the hosts before may not be reaped yet; theirs end by themselves.
    Ok(children.split_whitespace().last().ok_or("there is no child")?.parse()?)
}

/// The median of a message to another thread and back.
fn round_trip_ns() -> Result<f64, Box<dyn Error>> {
    let (mut here, mut there) = UnixStream::pair()?;
    let echo = thread::spawn(move || {
        let mut message = [0; MESSAGE_BYTES];
        while there.read_exact(&mut message).is_ok() && there.write_all(&message).is_ok() {}
    });
    let mut figures = Vec::with_capacity(REPORTS);
    let mut message = [7; MESSAGE_BYTES];
    for _trip in 0..REPORTS {
        let begin = wall();
        here.write_all(&message)?;
        here.read_exact(&mut message)?;
        figures.push(ns_each(wall().saturating_sub(begin), 1));
    }
    drop(here);
    echo.join().map_err(|_panic| "the echo panicked")?;
    Ok(percentile(figures, 50))
}
