//! Real BEAM nodes, each with a host beside it: the connector `erlang` and the strategies that ask epmd, against what OTP
//! itself does. The nodes know nothing of us; what they see is asked of themselves.
//!
//! Every test has an epmd of its own, so that nodes of one name do not meet and nothing is left behind.

mod beam;
#[path = "doctor/erlang.rs"]
mod doctor;
mod epmd;
mod examples;
mod faults;
mod kubernetes;
mod leaving;
mod libcluster;
mod mesh;
mod refusals;
mod rolling;
mod sidecar;
mod tls;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use tempfile::TempDir;

use self::{beam::Beam, epmd::Epmd};
use crate::host::{EPMD, GOSSIP, Host, Launch, Plugins, free_udp_port, private_directory};

const A: &str = "a@127.0.0.1";
const B: &str = "b@127.0.0.1";
const C: &str = "c@127.0.0.1";
const ALL: [&str; 3] = [A, B, C];
/// What every node and host has that should meet.
const COOKIE: &str = "chocolate";
/// A node that does not let OTP take the rest of the cluster apart when one link is cut.
const LENIENT: &[&str] = &["-kernel", "prevent_overlapping_partitions", "false"];

/// What the nodes and hosts of one test share.
struct Site {
    epmd: Epmd,
    plugins: Plugins,
    gossip_port: u16,
    secrets: TempDir,
}

/// A node and its host.
struct Pair {
    beam: Beam,
    host: Host,
}

// === impl Site ===

impl Site {
    fn new() -> Self {
        let secrets = private_directory();
        let site = Self {
            epmd: Epmd::start(),
            plugins: Plugins::with(&[EPMD, GOSSIP]),
            gossip_port: free_udp_port(),
            secrets,
        };
        site.write_cookie("cookie", COOKIE);
        site
    }

    /// A file with a cookie, which nobody else can read.
    fn write_cookie(&self, name: &str, cookie: &str) -> PathBuf {
        let file = self.secrets.path().join(name);
        fs::write(&file, format!("{cookie}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    fn cookie_option(&self) -> String {
        format!("cookie_file = \"{}\"", self.secrets.path().join("cookie").display())
    }

    /// Starts a node, with these arguments more.
    fn beam(&self, node: &str, arguments: &[&str]) -> Beam {
        let named = [&["-name", node, "-setcookie", COOKIE], arguments].concat();
        Beam::start(&named, self.epmd.port())
    }

    /// Starts a host beside a node. `strategy` are lines of its topology `t`, `erlang` options of the connector beside
    /// the cookie.
    fn host(&self, node: &str, strategy: &str, erlang: &str) -> Host {
        let cookie = self.cookie_option();
        let erlang = if erlang.is_empty() { cookie } else { format!("{cookie}, {erlang}") };
        self.host_with(node, strategy, &erlang)
    }

    /// As [`Site::host`], with all options of the connector.
    fn host_with(&self, node: &str, strategy: &str, erlang: &str) -> Host {
        let config = format!(
            "[node]\nname = \"{node}\"\n[topologies.t]\n{strategy}\nconnect = {{ erlang = {{ {erlang} }} }}\n\
             opts = {{ retry = {{ first = \"100ms\", cap = \"1s\" }} }}\n"
        );
        self.launch(config)
    }

    fn launch(&self, config: String) -> Host {
        self.launch_with(config, &[])
    }

    /// Starts a host with this configuration and these variables beside the port of epmd.
    fn launch_with(&self, config: String, variables: &[(&str, &str)]) -> Host {
        let port = self.epmd.port().to_string();
        let all = [&[("ERL_EPMD_PORT", port.as_str())], variables].concat();
        Host::start(Launch {
            config,
            plugins: self.plugins.path().to_owned(),
            env: all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..Launch::default()
        })
    }

    /// A node and a host beside it, which attaches to it.
    fn pair(&self, node: &str, arguments: &[&str], strategy: &str, erlang: &str) -> Pair {
        Pair { beam: self.beam(node, arguments), host: self.host(node, strategy, erlang) }
    }

    /// Three nodes, each with a host, when they have formed.
    fn trio(&self, arguments: &[&str], strategy: &str, erlang: &str) -> [Pair; 3] {
        let trio = ALL.map(|node| self.pair(node, arguments, strategy, erlang));
        wait_formed(&trio);
        trio
    }

    fn by_gossip(&self) -> String {
        let port = self.gossip_port;
        format!(
            "strategy = \"gossip\"\nconfig = {{ port = {port}, multicast_if = \"127.0.0.1\", heartbeat_interval = \"500ms\" }}"
        )
    }
}

/// The lines of a topology whose nodes are listed.
fn by_epmd(nodes: &[&str]) -> String {
    format!("strategy = \"epmd\"\nconfig = {{ hosts = {nodes:?} }}")
}

/// Waits until each host says that exactly these nodes are up, and each of them sees the others.
#[track_caller]
fn wait_formed<'a>(pairs: impl IntoIterator<Item = &'a Pair>) {
    let pairs: Vec<&Pair> = pairs.into_iter().collect();
    let nodes: Vec<&str> = pairs.iter().map(|pair| pair.beam.node()).collect();
    for pair in &pairs {
        pair.host.wait_up(&nodes);
    }
    wait_linked(pairs.iter().map(|pair| &pair.beam));
}

/// Waits until each node is linked to exactly the others.
#[track_caller]
fn wait_linked<'a>(beams: impl IntoIterator<Item = &'a Beam>) {
    let beams: Vec<&Beam> = beams.into_iter().collect();
    for beam in &beams {
        let others = beams.iter().map(|other| other.node()).filter(|node| *node != beam.node());
        beam.wait_nodes(others);
    }
}

/// None of these nodes has seen another one go.
#[track_caller]
fn check_no_nodedown<'a>(beams: impl IntoIterator<Item = &'a Beam>) {
    let beams: Vec<&Beam> = beams.into_iter().collect();
    if beams.iter().any(|beam| !beam.nodedowns().is_empty()) {
        let seen = beams
            .iter()
            .map(|beam| format!("{} saw {:?} go\n{}\n", beam.node(), beam.nodedowns(), beam.log()));
        panic!("{}", seen.collect::<String>());
    }
}

/// The reasons of a host's events of a type about a node.
fn reasons(host: &Host, kind: &str, node: &str) -> Vec<String> {
    let view = host.view();
    view.events_of(kind, node).map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until connecting to a node fails for a reason that has all of these in it.
#[track_caller]
fn wait_refused(host: &Host, node: &str, parts: &[&str]) {
    host.wait(&format!("a refusal of {node} with {parts:?}"), |view| {
        view.events_of("connect_failed", node).any(|event| has_all(&event["reason"], parts))
    });
}

/// Waits until the topology is degraded for a reason that has all of these in it.
#[track_caller]
fn wait_degraded(host: &Host, parts: &[&str]) {
    host.wait(&format!("a degraded topology with {parts:?}"), |view| {
        let mut changes = view.events.iter().filter(|event| event["type"] == "topology_changed");
        changes.any(|event| has_all(&event["reason"], parts))
    });
    host.settle("its health", || (host.topology("t")["health"] == "degraded").then_some(()));
}

fn has_all(reason: &serde_json::Value, parts: &[&str]) -> bool {
    reason.as_str().is_some_and(|reason| parts.iter().all(|part| reason.contains(part)))
}

fn set<'a>(nodes: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    nodes.into_iter().map(str::to_owned).collect()
}

/// Fails with the name of the package when a program is missing.
fn need(program: &str, package: &str) {
    let found = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
    assert!(
        found.is_ok_and(|found| found.success()),
        "{program} is missing (package {package}); `make test` installs what can be installed"
    );
}
