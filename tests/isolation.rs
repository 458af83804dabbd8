//! Plugins in processes of their own: whatever happens to those, the host stays up and nobody else notices.

mod confinement;
mod connectors;
mod faults;
mod thousand;

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    faults::{SELF, STEADY, check_steady},
    host::{FAULTY, Host, Launch, Plugins},
};

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

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
