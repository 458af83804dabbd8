//! Machines of a network in one test: each host in a network namespace of its own, with an address 10.77.0.N, all at
//! one switch that can be cut into two halves.
//!
//! ```text
//!   n1 n2 …        … n50        network namespaces, eth0 = 10.77.0.N
//!    |  |           |  |
//!   [left ]==trunk==[right]     bridges; the trunk down is a partition
//! ```
//!
//! Such a test runs itself anew under `unshare`, as root of a user namespace of its own, so it needs no root and all that
//! it makes is gone with it. Loss is made by nftables where a host receives, since it is in every distribution's kernel
//! (netem is not), and it counts what it drops.

mod black_hole;
#[path = "doctor/lab.rs"]
mod doctor;
mod hosts;
mod loss;
mod partition;

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    net::Ipv4Addr,
    os::fd::AsFd as _,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::host::{GOSSIP, Host, Launch, Plugins};

/// Where the test that runs in the lab says that it came to its end.
const INSIDE: &str = "CLUSTER_E2E_LAB";
const SETUP: &str = "`make test` installs what can be installed";
/// The port that gossip uses by default.
pub(crate) const GOSSIP_PORT: u16 = 45_892;

/// The network, and the plugins of its hosts.
pub(crate) struct Lab {
    plugins: Plugins,
    hosts: usize,
}

/// Runs `body`, the whole of a test, in a lab with so many hosts.
pub(crate) fn run<F: FnOnce(&Lab)>(hosts: usize, body: F) {
    let Some(end) = env::var_os(INSIDE) else {
        return enter(std::any::type_name::<F>());
    };
    let lab = Lab::build(hosts);
    body(&lab);
    fs::write(end, "").unwrap();
}

/// Runs the test that a closure of this type is the body of in new namespaces, in this same program.
fn enter(closure: &str) {
    let test = closure.strip_suffix("::{{closure}}").and_then(|test| test.split_once("::"));
    let (_, test) = test.unwrap_or_else(|| panic!("{closure} is not directly in a test"));
    let namespaces = namespaces();
    let scratch = tempfile::tempdir().unwrap();
    let end = scratch.path().join("end");
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["--", "setpriv", "--pdeathsig", "KILL", "--"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(INSIDE, &end)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && end.exists(), "in the lab: {}\n{out}\n{errors}", output.status);
    print!("{out}");
}

/// The options of `unshare` that work here.
fn namespaces() -> &'static [&'static str] {
    for (tool, package) in
        [("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"), ("nft", "nftables")]
    {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\" >/dev/null", tool])
            .env("PATH", path())
            .status();
        assert!(found.is_ok_and(|found| found.success()), "{tool} is missing (package {package}); {SETUP}");
    }
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--net", "--mount"], &["--net", "--mount"]];
    let mut refusals = String::new();
    for way in ways {
        let tried = Command::new("unshare").args(way).args(["--", "true"]).output().unwrap();
        if tried.status.success() {
            return way;
        }
        let refusal = String::from_utf8_lossy(&tried.stderr);
        writeln!(refusals, "  unshare {}: {}", way.join(" "), refusal.trim()).unwrap();
    }
    panic!(
        "network namespaces cannot be made here:\n{refusals}Run the tests as root, or allow user namespaces to users \
         (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), in a \
         container with --privileged"
    );
}

/// Where root's tools are, too: users often have no /sbin in their path.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default())
}

// === impl Lab ===

impl Lab {
    fn build(hosts: usize) -> Self {
        // `ip netns` keeps its namespaces there.
        tool("mount", &["-t", "tmpfs", "tmpfs", "/run"], "");
        let mut links = String::from("link set lo up\n");
        for bridge in ["left", "right"] {
            // Nobody asks for groups here, so a bridge that waits to be asked would forward no multicast.
            writeln!(links, "link add name {bridge} type bridge mcast_snooping 0\nlink set {bridge} up")
                .unwrap();
        }
        links.push_str("link add name trunk type veth peer name trunk-end\n");
        links.push_str("link set trunk master left up\nlink set trunk-end master right up\n");
        let lab = Self { plugins: Plugins::with(&[GOSSIP]), hosts };
        for host in lab.all() {
            let bridge = if lab.is_left(host) { "left" } else { "right" };
            writeln!(links, "netns add n{host}").unwrap();
            writeln!(links, "link add name port{host} type veth peer name eth0 netns n{host}").unwrap();
            writeln!(links, "link set port{host} master {bridge} up").unwrap();
        }
        tool("ip", &["-batch", "-"], &links);
        for host in lab.all() {
            let address = lab.address(host);
            let inside = format!(
                "link set lo up\nlink set eth0 up\naddress add {address}/16 dev eth0\nroute add 224.0.0.0/4 dev eth0\n"
            );
            tool("ip", &["-netns", &format!("n{host}"), "-batch", "-"], &inside);
        }
        lab
    }

    pub(crate) fn plugins(&self) -> &Path {
        self.plugins.path()
    }

    /// The numbers of the hosts.
    pub(crate) fn all(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.hosts
    }

    /// Whether a host is in the half of the first one.
    pub(crate) fn is_left(&self, host: usize) -> bool {
        host <= self.hosts.div_ceil(2)
    }

    pub(crate) fn address(&self, host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, u8::try_from(host).expect("a host's number"))
    }

    pub(crate) fn node(&self, host: usize) -> String {
        format!("n{host}@{}", self.address(host))
    }

    /// The nodes of some hosts.
    pub(crate) fn nodes(&self, hosts: impl IntoIterator<Item = usize>) -> Vec<String> {
        hosts.into_iter().map(|host| self.node(host)).collect()
    }

    /// Starts a host whose topology `lan` has these options, and this line more.
    pub(crate) fn start(&self, host: usize, options: &str, line: &str) -> Host {
        let node = self.node(host);
        let config = format!(
            "[node]\nname = \"{node}\"\n[topologies.lan]\nstrategy = \"gossip\"\n{line}\n[topologies.lan.config]\n{options}\n"
        );
        let (plugins, network) = (self.plugins.path().to_owned(), Some(format!("n{host}")));
        Host::start(Launch { config, plugins, network, ..Launch::default() })
    }

    /// Starts all of them, which watch without linking.
    pub(crate) fn start_all(&self, options: &str) -> Vec<Host> {
        self.all().map(|host| self.start(host, options, "connect = \"none\"")).collect()
    }

    /// Parts the left half from the right.
    pub(crate) fn part(&self) {
        tool("ip", &["link", "set", "trunk", "down"], "");
    }

    pub(crate) fn heal(&self) {
        tool("ip", &["link", "set", "trunk", "up"], "");
    }

    /// Rules for what a host receives, in the place of those before.
    pub(crate) fn filter(&self, host: usize, rules: &str) {
        let table = format!(
            "table inet lab\ndelete table inet lab\ntable inet lab {{\nchain input {{\ntype filter hook input priority 0\n{rules}\n}}\n}}\n"
        );
        self.nft(host, &["-f", "-"], &table);
    }

    /// How many packets a host's rules have dropped.
    pub(crate) fn dropped(&self, host: usize) -> u64 {
        let rules = self.nft(host, &["list", "table", "inet", "lab"], "");
        let words: Vec<&str> = rules.split_whitespace().collect();
        words.windows(2).filter(|pair| pair[0] == "packets").map(|pair| pair[1].parse::<u64>().unwrap()).sum()
    }

    fn nft(&self, host: usize, arguments: &[&str], input: &str) -> String {
        let network = format!("--net=/run/netns/n{host}");
        let mut all = vec![network.as_str(), "--", "nft"];
        all.extend(arguments);
        tool("nsenter", &all, input)
    }

    /// Does something in a host's network, such as making sockets, which stay there.
    pub(crate) fn within<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        let network = File::open(Path::new("/run/netns").join(format!("n{host}"))).unwrap();
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            inside.join().unwrap()
        })
    }
}

/// Runs a tool, with this as its input, and returns what it prints.
fn tool(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PATH", path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; {SETUP}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {errors}{out}\ninput:\n{input}");
    out
}
