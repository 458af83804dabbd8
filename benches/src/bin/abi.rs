//! The boundary: a scalar call in each direction, with all guards, beside a call through a plain function pointer; and
//! what it takes to hand over a report of 100,000 nodes, until the host has it parsed.
//!
//! The plugin is a real one, loaded from its file by the host's own loader. Calls to the host are measured inside of it
//! and told by its counters. The host keeps each report until the next, as the membership does.

use std::{
    collections::BTreeMap,
    error::Error,
    hint::black_box,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use benches::{Table, cpu_ns_each, rounds};
use cluster_core::Report;
use cluster_host::plugin;
use cluster_sdk::{
    LocalNode,
    abi::host::{
        Exit, HostInterface, InstanceStatus, LoadedPlugin, LogRecord, OfferKind, Refused, Start, StopReason,
    },
};
// For its `.so`, which Cargo then puts beside this program.
use plugin_faulty as _;

/// Calls that one figure is taken from.
const CALLS: usize = 5_000_000;
/// Nodes of the report.
const NODES: usize = 100_000;
/// How long the plugin may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut table = Table::new("abi");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let plugin = load()?;
    let pointer = black_box(plain as extern "C" fn(u64) -> u64);
    let [ping, direct] = rounds(|| {
        [each(|number| _ = black_box(plugin.ping(number))), each(|number| _ = black_box(pointer(number)))]
    });
    table.ratio("call of the plugin", ping, ("plain function pointer", direct), Some(3.0));

    let counters = measured_inside(plugin)?;
    let ns = |name: &str, unit: f64| {
        let figure = counters.get(name).copied().unwrap_or(u64::MAX);
        Duration::from_nanos(figure).as_secs_f64() * 1e9 / unit
    };
    let plain_ns = ns("plain_ps", 1e3);
    table.ratio("call of the host", ns("ping_ps", 1e3), ("plain function pointer", plain_ns), Some(3.0));
    let (median, first) = (ns("report_median_ns", 1e6), ns("report_first_ns", 1e6));
    table.note(&format!("first report of {NODES} nodes with three attributes: {first:.2} ms"));
    table.check(
        &format!("report of {NODES} nodes with three attributes crosses in {median:.2} ms (goal ≤ 5 ms)"),
        median <= 5.0,
    );
    Ok(())
}

/// CPU nanoseconds of one call.
fn each(call: impl Fn(u64)) -> f64 {
    cpu_ns_each(CALLS, || (0..CALLS as u64).for_each(call))
}

extern "C" fn plain(value: u64) -> u64 {
    value
}

fn load() -> Result<LoadedPlugin, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let directory = program.parent().ok_or("this program is in no directory")?.join("deps");
    let file = plugin::inspect(&directory.join("libplugin_faulty.so"))?;
    Ok(plugin::load(plugin::Source::File(&file))?)
}

/// Lets the plugin measure what calls to the host cost.
fn measured_inside(plugin: LoadedPlugin) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let (told, heard) = mpsc::channel();
    let start = Start {
        kind: OfferKind::Strategy,
        name: "measures".to_owned(),
        config: serde_json::json!({ "calls": CALLS, "nodes": NODES, "rounds": 15 }),
        topology: "bench".to_owned(),
        local: LocalNode::default(),
        log_level: tracing::level_filters::LevelFilter::WARN,
        diagnose: None,
    };
    let running = plugin.start(&start, Arc::new(Ear { told, last: Mutex::new(None) }))?;
    let counters = loop {
        match heard.recv_timeout(PATIENCE)? {
            Ok(counters) if counters.contains_key("measured") => break counters,
            Ok(_) => {}
            Err(exit) => return Err(exit.into()),
        }
    };
    running.stop(StopReason::Restart, Duration::from_secs(2));
    Ok(counters)
}

/// A host that only listens.
struct Ear {
    told: mpsc::Sender<Result<BTreeMap<String, u64>, String>>,
    last: Mutex<Option<Report>>,
}

impl HostInterface for Ear {
    fn log(&self, record: &LogRecord<'_>) {
        record.emit("bench");
    }

    fn report(&self, report: Report) -> Result<(), Refused> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        Ok(())
    }

    fn status(&self, status: InstanceStatus) {
        // Nobody listens any more once the figures are there.
        self.told.send(Ok(status.counters)).unwrap_or_default();
    }

    fn exited(&self, exit: Exit) {
        self.told.send(Err(exit.to_string())).unwrap_or_default();
    }
}
