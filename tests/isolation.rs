//! Plugins in processes of their own: whatever happens to those, the host stays up and nobody else notices.

mod confinement;
mod connectors;
mod faults;
mod thousand;

use std::{fs, path::Path};

use serde_json::Value;

use crate::host::{FAULTY, Host, Launch, Plugins};

const SELF: &str = "self@127.0.0.1";
const STEADY: [&str; 2] = ["x@10.0.0.1", "y@10.0.0.2"];

/// A host with a topology `steady` that does as it should, and what is written here.
fn start(topologies: &str) -> Host {
    start_with(topologies, &[])
}

fn start_with(topologies: &str, env: &[(&str, &str)]) -> Host {
    let plugins = Plugins::with(&[FAULTY]);
    let config = format!(
        r#"
[node]
name = "{SELF}"
[topologies.steady]
strategy = "fixed"
connect = "none"
config = {{ nodes = {STEADY:?} }}
{topologies}
"#
    );
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let launch = Launch { config, plugins: plugins.path().to_owned(), env, ..Launch::default() };
    let host = Host::start(launch);
    host.wait("the steady ones", |view| STEADY.iter().all(|node| view.state(node) == Some("up")));
    host
}

/// Nothing of what happened was noticed in `steady`.
#[track_caller]
fn check_steady(host: &Host) {
    let begun = || Some(host.topology("steady")).filter(|steady| steady["health"] != "starting");
    let steady = host.settle("steady to begin", begun);
    assert_eq!((&steady["health"], &steady["restarts"]), (&Value::from("running"), &Value::from(0)));
    let view = host.view();
    for node in STEADY {
        assert_eq!(view.state(node), Some("up"), "{node}");
        assert_eq!(view.events_of("node_down", node).count(), 0, "{node}");
    }
    host.check_fold();
}

/// Waits until a topology is so.
#[track_caller]
fn wait_topology(host: &Host, name: &str, what: &str, until: impl Fn(&Value) -> bool) -> Value {
    host.settle(&format!("{name}: {what}"), || Some(host.topology(name)).filter(&until))
}

/// The processes that a host has started and not reaped.
fn children(host: &Host) -> Vec<u32> {
    let pid = host.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// How many descriptors a host has open. Who is not root may not look at them, but newer kernels tell anybody how many
/// there are.
fn descriptors(host: &Host) -> u64 {
    let directory = format!("/proc/{}/fd", host.pid());
    match fs::metadata(&directory).unwrap().len() {
        0 => fs::read_dir(&directory).unwrap().count() as u64,
        count => count,
    }
}

/// KiB of memory that a host has.
fn memory_kib(host: &Host) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
