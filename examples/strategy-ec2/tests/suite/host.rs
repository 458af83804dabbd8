//! The whole path: the shared library, dropped into the plugin directory of a real `cluster-host`.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cloud::Cloud,
    look::{DEADLINE, KEYS, assert_isolated, built},
};

/// How often is looked again.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A host with the plugin, until it is dropped.
struct Host {
    child: Child,
    scratch: TempDir,
}

impl Host {
    fn start(config: &str) -> Self {
        assert_isolated();
        let scratch = tempfile::tempdir().unwrap();
        let plugins = scratch.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        let plugin = plugins.join("libstrategy_ec2.so");
        fs::copy(built("deps/libstrategy_ec2.so"), &plugin).unwrap();
        for path in [scratch.path(), &plugins, &plugin] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(scratch.path().join("host.toml"), config).unwrap();
        let log = File::create(scratch.path().join("host.log")).unwrap();
        let child = Command::new(program())
            .current_dir(scratch.path())
            .args(["run", "--config", "host.toml", "--plugins", "plugins", "--listen", "unix:api.sock"])
            .envs(KEYS)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, scratch }
    }

    /// Asks it by a command; nothing where it does not answer yet.
    fn ask(&self, words: &[&str]) -> Option<Value> {
        let mut command = Command::new(program());
        let output =
            command.current_dir(self.scratch.path()).args(words).args(["--json", "--api", "unix:api.sock"]);
        serde_json::from_slice(&output.output().unwrap().stdout).ok()
    }

    /// Waits until exactly these instances are members that are up.
    #[track_caller]
    fn wait_up<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        let wanted: BTreeSet<String> = ids.into_iter().cloned().collect();
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = self.ask(&["members"]).unwrap_or_default();
            let members = answer["members"].as_array().cloned().unwrap_or_default();
            let up = members.iter().filter(|member| member["state"] == "up");
            let id = |member: &Value| member["attributes"]["id"].as_str().unwrap_or("").to_owned();
            if up.map(id).collect::<BTreeSet<_>>() == wanted && members.len() == wanted.len() {
                return;
            }
            let log = || fs::read_to_string(self.scratch.path().join("host.log")).unwrap();
            assert!(Instant::now() < end, "waited for {wanted:?}, there are {answer:#}\n{}", log());
            thread::sleep(LOOK_INTERVAL);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn program() -> PathBuf {
    std::env::var_os("CLUSTER_HOST").expect("CLUSTER_HOST: run it by `make ec2`").into()
}

/// Instances become members, one that starts joins them, one that is terminated leaves.
#[test]
fn members_come_and_go() {
    let (cloud, region) = (Cloud::shared(), "ap-south-1");
    let mut ids = cloud.run_tagged(region, 3, &[("cluster", "shop"), ("role", "web")]);
    let host = Host::start(&format!(
        r#"
        [topologies.shop]
        strategy = "ec2"
        connect = "none"
        opts = {{ isolation = {{ process = {{ pass_env = ["AWS_*"] }} }} }}

        [topologies.shop.config]
        filters = {{ "tag:cluster" = ["shop"] }}
        name = "{{tag.role}}-{{id}}@{{ip}}"
        regions = ["{region}"]
        endpoint = "{}"
        polling_interval = "100ms"
        "#,
        cloud.url()
    ));
    host.wait_up(&ids);
    let member = host.ask(&["members"]).unwrap()["members"][0].clone();
    assert!(member["name"].as_str().unwrap().starts_with("web-i-"), "{member:#}");
    assert_eq!(member["attributes"]["tag.role"], "web");

    ids.extend(cloud.run_tagged(region, 1, &[("cluster", "shop"), ("role", "web")]));
    host.wait_up(&ids);
    cloud.change(region, "TerminateInstances", &ids[..1]);
    host.wait_up(&ids[1..]);
    let topology = host.ask(&["topologies"]).unwrap();
    assert!(topology.to_string().contains("running"), "{topology:#}");
}
