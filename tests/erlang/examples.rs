//! The examples of this repository, run as their READMEs say, with what they leave as it is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{COOKIE, Site, need};
use crate::host::{Host, Launch, private_directory};

const NODES: [&str; 3] = ["one@127.0.0.1", "two@127.0.0.1", "three@127.0.0.1"];

/// A copy of an example, with a home directory that has the cookie.
struct Example {
    site: Site,
    directory: TempDir,
}

/// An instance of it, ended at the latest when this is dropped or the test's thread ends.
struct Instance {
    child: Child,
    log: PathBuf,
}

// === impl Example ===

impl Example {
    fn copy(name: &str) -> Self {
        let (site, directory) = (Site::new(), private_directory());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        let copied = Command::new("cp").arg("-r").arg(source).arg(directory.path().join("example")).status();
        assert!(copied.unwrap().success());
        let cookie = site.write_cookie(".erlang.cookie", COOKIE);
        fs::copy(cookie, directory.path().join(".erlang.cookie")).unwrap();
        Self { site, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("example")
    }

    /// A command in the example, with the variables of its README.
    fn command(&self, program: &str, node: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).current_dir(self.path());
        command.envs(self.variables(node)).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        // Several nodes share two processors, and the epmd is the test's.
        command.env("ERL_FLAGS", "-start_epmd false +S 1:1 +sbwt none");
        command.env_remove("ERL_AFLAGS").env_remove("ERL_ZFLAGS");
        command
    }

    fn variables(&self, node: &str) -> Vec<(String, String)> {
        let variables = [
            ("HOME", self.directory.path().to_str().unwrap()),
            ("NODE", node),
            ("RELEASE_NODE", node),
            ("RELEASE_COOKIE", COOKIE),
            ("MIX_ENV", "prod"),
            ("ERL_EPMD_PORT", &self.site.epmd.port().to_string()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn start(&self, program: &str, arguments: &[&str], node: &str) -> Instance {
        let log = self.directory.path().join(format!("{node}.log"));
        let out = File::create(&log).unwrap();
        let mut command = self.command(program, node);
        let child = command.args(arguments).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        Instance { child, log }
    }

    /// The host with the configuration of the example, in which the port alone is the test's own.
    fn host(&self, node: &str) -> Host {
        let config = fs::read_to_string(self.path().join("cluster-host.toml")).unwrap();
        assert!(config.contains("port = 45892"), "{config}");
        let config = config.replace("port = 45892", &format!("port = {}", self.site.gossip_port));
        let plugins = self.site.plugins.path().to_owned();
        Host::start(Launch { config, plugins, env: self.variables(node), ..Launch::default() })
    }

    /// Waits until the hosts say that all nodes are up, and each instance has said hello to each other one.
    #[track_caller]
    fn check(&self, nodes: &[&str], instances: &[Instance]) {
        let hosts: Vec<Host> = nodes.iter().map(|node| self.host(node)).collect();
        for host in &hosts {
            host.wait_up(nodes);
            host.check_fold();
        }
        for (instance, node) in instances.iter().zip(nodes) {
            for other in nodes.iter().filter(|other| *other != node) {
                let line = format!("{node}: hello {other}");
                hosts[0].settle(&line, || instance.log().contains(&line).then_some(()));
            }
        }
        for host in &hosts {
            assert!(host.terminate().success(), "{}", host.log());
        }
        for instance in instances {
            assert!(!instance.log().contains("goodbye"), "{}", instance.log());
        }
    }
}

// === impl Instance ===

impl Instance {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Three plain Erlang nodes with a host each.
#[test]
fn sidecar_erlang() {
    need("erl", "erlang-base");
    let example = Example::copy("sidecar-erlang");
    let compiled = example.command("erlc", NODES[0]).arg("hello.erl").status().unwrap();
    assert!(compiled.success());
    let instances = NODES.map(|node| example.start("./node.sh", &[], node));
    example.check(&NODES, &instances);
}

/// Two instances of an Elixir release that has no dependency, with a host each.
#[test]
fn sidecar_elixir() {
    need("mix", "elixir");
    let example = Example::copy("sidecar-elixir");
    let built = example.command("mix", NODES[0]).args(["release", "--quiet"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(built.status.success(), "{}{}", text(&built.stdout), text(&built.stderr));
    let release = "_build/prod/rel/hello/bin/hello";
    let instances = [NODES[0], NODES[1]].map(|node| example.start(release, &["start"], node));
    example.check(&NODES[..2], &instances);
}
