//! Needs `prometheus` and `promtool` (Debian's package prometheus).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    host::{DEADLINE, Host, Launch, free_tcp_port, now, outcome, pause, private_directory},
    lan::Lan,
    probes::{probe, probes},
};

fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib").join(path)
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(contrib("prometheus"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("promtool (package prometheus) cannot be run: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Prometheus reads what a host tells, and has nothing to say against its names, types and help.
#[test]
fn exposition() {
    let lan = Lan::new();
    let (port, line) = probes();
    let alice = lan.start_with(line + &lan.config("alice@127.0.0.1", ""));
    alice.settle("a datagram", || (alice.counter("lan", "datagrams_own") > 0).then_some(()));
    let (status, text) = probe(port, "/metrics", DEADLINE).unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("cluster_gossip_datagrams_total{topology=\"lan\",verdict=\"own\"}"), "{text}");
    let checked = outcome(&promtool(&["check", "metrics"], &text));
    assert_eq!(checked, (Some(0), String::new(), String::new()), "{text}");
}

/// The alert rules are right, fire when they should, and not before.
#[test]
fn rules() {
    for arguments in
        [["check", "rules", "cluster-host.rules.yml"], ["test", "rules", "cluster-host.test.yml"]]
    {
        let (code, out, errors) = outcome(&promtool(&arguments, ""));
        assert_eq!(code, Some(0), "{out}{errors}");
        assert!(out.contains("SUCCESS"), "{out}{errors}");
    }
}

/// Prometheus takes every expression of the dashboard.
#[test]
fn dashboard() {
    let text = fs::read_to_string(contrib("grafana/cluster-host.json")).unwrap();
    let mut found = Vec::new();
    expressions(&serde_json::from_str(&text).unwrap(), &mut found);
    assert!(found.len() > 20, "{found:?}");
    let rules = found.iter().enumerate().map(|(index, expression)| {
        let expression = expression.replace("$__rate_interval", "1m");
        format!("  - record: r{index}\n    expr: {}\n", Value::from(expression))
    });
    let scratch = private_directory();
    let file = scratch.path().join("dashboard.yml");
    fs::write(&file, format!("groups:\n- name: dashboard\n  rules:\n{}", rules.collect::<String>())).unwrap();
    let (code, out, errors) = outcome(&promtool(&["check", "rules", file.to_str().unwrap()], ""));
    assert_eq!(code, Some(0), "{out}{errors}");
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// A Prometheus of the test's own, ended with it.
struct Prometheus {
    child: Child,
    port: u16,
    scratch: TempDir,
}

impl Prometheus {
    /// Scrapes what this list of `scrape_configs` says, often, and evaluates our rules without their delays.
    fn start(scrapes: &str) -> Self {
        let scratch = private_directory();
        let rules = fs::read_to_string(contrib("prometheus/cluster-host.rules.yml")).unwrap();
        let at_once = |line: &str| match line.trim().strip_prefix("for: ") {
            Some(_) => "        for: 0s\n".to_owned(),
            None => format!("{line}\n"),
        };
        fs::write(scratch.path().join("rules.yml"), rules.lines().map(at_once).collect::<String>()).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: [rules.yml]\n{scrapes}"
        );
        let file = scratch.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let port = free_tcp_port();
        let log = fs::File::create(scratch.path().join("log")).unwrap();
        // Whatever becomes of this process, it does not outlive the test.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "prometheus"]);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", scratch.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        Self { child, port, scratch }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// The values of an expression by their instances, sorted.
    fn instances(&self, expression: &str) -> Option<Vec<(String, f64)>> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}"))?;
        let samples = answer["data"]["result"].as_array()?;
        let mut instances: Vec<(String, f64)> = samples
            .iter()
            .map(|sample| {
                let instance = sample["metric"]["instance"].as_str().unwrap_or_default();
                (instance.to_owned(), sample["value"][1].as_str().unwrap().parse().unwrap())
            })
            .collect();
        instances.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Some(instances)
    }

    /// The values of an expression, sorted.
    fn query(&self, expression: &str) -> Option<Vec<f64>> {
        let mut values: Vec<f64> = self.instances(expression)?.into_iter().map(|(_, value)| value).collect();
        values.sort_by(f64::total_cmp);
        Some(values)
    }

    /// The names of the alerts that fire, with what they are about.
    fn firing(&self) -> Option<Vec<(String, String)>> {
        let answer = self.get("/api/v1/alerts")?;
        let alerts = answer["data"]["alerts"].as_array()?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let text =
            |alert: &Value, label: &str| alert["labels"][label].as_str().unwrap_or_default().to_owned();
        Some(firing.map(|alert| (text(alert, "alertname"), text(alert, "instance"))).collect())
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = now() + DEADLINE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let log = || fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
            assert!(now() < deadline, "waiting for {what}; alerts {:?}\n{}", self.firing(), log());
            pause();
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A real Prometheus scrapes three hosts that see one view, and nothing fires. One is killed: the alert about that fires,
/// and the others come to one view again.
#[test]
fn an_alert_fires() {
    let lan = Lan::new();
    let quick = "heartbeat_interval = \"200ms\"\nheartbeat_timeout = \"2s\"\n";
    let names = ["alice", "bob", "carol"].map(|name| format!("{name}@127.0.0.1"));
    let hosts: Vec<(u16, Host)> = names
        .iter()
        .map(|name| {
            let (port, line) = probes();
            (port, lan.start_with(line + &lan.config(name, quick)))
        })
        .collect();
    for (_, host) in &hosts {
        host.wait_up(&names);
    }
    let targets: Vec<_> = hosts.iter().map(|(port, _)| format!("\"127.0.0.1:{port}\"")).collect();
    let prometheus = Prometheus::start(&format!(
        "scrape_configs:\n- job_name: cluster-host\n  static_configs:\n  - targets: [{}]\n",
        targets.join(", ")
    ));
    prometheus.wait("three targets", |it| (it.query("up")? == [1.0; 3]).then_some(()));
    let one_view = "count(count_values(\"view\", cluster_view_hash{topology=\"lan\"}))";
    let view = prometheus.wait("one view of three hosts", |it| {
        let views = it.query("cluster_view_hash")?;
        (views.len() == 3 && it.query(one_view)? == [1.0]).then(|| views[0])
    });
    assert_eq!(prometheus.query("cluster_members{state=\"up\"}").unwrap(), [3.0; 3]);
    let rules = prometheus.wait("an evaluation of the rules", |it| {
        let groups = it.get("/api/v1/rules")?;
        let rules = groups["data"]["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    });
    assert!(rules.len() > 10, "{rules:?}");
    prometheus.wait("nothing to fire", |it| it.firing()?.is_empty().then_some(()));
    let (port, carol) = &hosts[2];
    carol.kill();
    let expected = ("ClusterHostDown".to_owned(), format!("127.0.0.1:{port}"));
    prometheus.wait("the alert", |it| it.firing()?.contains(&expected).then_some(()));
    prometheus.wait("another view, the same of both", |it| {
        let views = it.query("cluster_view_hash")?;
        (views.len() == 2 && views[0] == views[1] && views[0] != view).then_some(())
    });
    prometheus.wait("nothing else to fire", |it| (it.firing()? == [expected.clone()]).then_some(()));
}

/// The configuration of the guide in which a host names the targets, with the ports of this test.
fn discovery(api: u16, probes: u16) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring.md");
    let page = fs::read_to_string(page).unwrap();
    let mut blocks = page.split("```").filter_map(|block| block.strip_prefix("yaml\n"));
    let block = blocks.find(|block| block.contains("http_sd_configs:")).unwrap();
    let url = "url: http://127.0.0.1:4444/v1/prometheus/targets?port=4445&state=any\n";
    assert!(block.contains(url), "{block}");
    let here = url.replace("4444", &api.to_string()).replace("4445", &probes.to_string());
    block.replace(url, &format!("{here}        refresh_interval: 500ms\n"))
}

/// A real Prometheus asks one host for its targets: who comes is scraped, under the name of its node, and who has left is not.
/// While nobody tells the targets, those of before are scraped, so that the alert about the host that was asked fires.
#[test]
fn a_host_names_the_targets() {
    let lan = Lan::new();
    let quick = "heartbeat_interval = \"200ms\"\nheartbeat_timeout = \"2s\"\n";
    let (api, port) = (free_tcp_port(), free_tcp_port());
    // Targets are the hosts of the nodes' names at one port.
    let start = |node: &str, listen: Option<String>| {
        let ip = node.split_once('@').unwrap().1;
        let line = format!("api.probe_listen = \"{ip}:{port}\"\n");
        let config = line + &lan.config(node, quick);
        let plugins = lan.plugins.path().to_owned();
        Host::start(Launch { config, plugins, listen, ..Launch::default() })
    };
    let [alice, bob, carol] = ["alice@127.0.0.1", "bob@127.0.0.2", "carol@127.0.0.3"];
    let asked = start(alice, Some(format!("127.0.0.1:{api}")));
    let _bob = start(bob, None);
    let prometheus = Prometheus::start(&discovery(api, port));
    let wait = |what: &str, expected: &[(&str, f64)]| {
        let expected: Vec<_> = expected.iter().map(|(node, is_up)| ((*node).to_owned(), *is_up)).collect();
        prometheus.wait(what, |it| (it.instances("up")? == expected).then_some(()));
    };
    wait("two targets", &[(alice, 1.0), (bob, 1.0)]);
    let third = start(carol, None);
    wait("a third one", &[(alice, 1.0), (bob, 1.0), (carol, 1.0)]);
    assert!(third.terminate().success());
    wait("the third one to be gone", &[(alice, 1.0), (bob, 1.0)]);
    asked.kill();
    wait("the others to be scraped", &[(alice, 0.0), (bob, 1.0)]);
    let expected = ("ClusterHostDown".to_owned(), alice.to_owned());
    prometheus.wait("the alert", |it| it.firing()?.contains(&expected).then_some(()));
}
