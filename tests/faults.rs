//! Strategies that misbehave, in a host with others that do not.

use serde_json::{Value, json};

use crate::{
    host::{FAULTY, GOSSIP, Host, Launch, Plugins},
    lan::Lan,
};

pub(crate) const SELF: &str = "self@127.0.0.1";
pub(crate) const STEADY: [&str; 2] = ["x@10.0.0.1", "y@10.0.0.2"];
const NODES: [&str; 4] = ["a@10.0.0.1", "b@10.0.0.2", "c@10.0.0.3", "d@10.0.0.4"];

/// Where plugins run: what a strategy does is one thing to its host, wherever it does it.
const EVERYWHERE: [&str; 2] = ["in-process", "process"];

/// A host with a topology `steady` that does as it should, and one called `faulty` on a thread of the host.
fn host(plugins: &Plugins, faulty: &str) -> Host {
    isolated(plugins, "in-process", faulty)
}

/// The same with `faulty` in another place.
fn isolated(plugins: &Plugins, isolation: &str, faulty: &str) -> Host {
    let config = format!(
        r#"
[node]
name = "{SELF}"
[topologies.steady]
strategy = "fixed"
connect = "none"
config = {{ nodes = {STEADY:?} }}
[topologies.faulty]
connect = "none"
opts.isolation = "{isolation}"
{faulty}
"#
    );
    Host::start(Launch { config, plugins: plugins.path().to_owned(), ..Launch::default() })
}

/// Each of these, in each place.
fn everywhere<T: Copy>(cases: &[T]) -> impl Iterator<Item = (T, &'static str)> {
    cases.iter().flat_map(|case| EVERYWHERE.map(|isolation| (*case, isolation)))
}

/// Nothing of what happens to others is noticed in `steady`.
#[track_caller]
pub(crate) fn check_steady(host: &Host) {
    let begun = || Some(host.topology("steady")).filter(|steady| steady["health"] != "starting");
    let steady = host.settle("steady to begin", begun);
    assert_eq!((&steady["health"], &steady["restarts"]), (&json!("running"), &json!(0)));
    host.wait("its nodes", |view| STEADY.iter().all(|node| view.state(node) == Some("up")));
    let view = host.view();
    for node in STEADY {
        assert_eq!(view.state(node), Some("up"), "{node}");
        assert_eq!(view.events_of("node_down", node).count(), 0, "{node}");
    }
    host.check_fold();
}

/// Waits until the topology is so.
#[track_caller]
fn wait_faulty(host: &Host, what: &str, until: impl Fn(&Value) -> bool) -> Value {
    host.settle(what, || Some(host.topology("faulty")).filter(&until))
}

/// A strategy that panics, fails, or lies that nobody is there, disconnects nobody: neither its own nodes nor others'.
#[test]
fn nobody_is_disconnected() {
    let plugins = Plugins::with(&[FAULTY]);
    let strategies = [("panics", "restarts"), ("fails", "restarts"), ("lies_empty", "held")];
    for ((strategy, misbehaved), isolation) in everywhere(&strategies) {
        let host = isolated(
            &plugins,
            isolation,
            &format!("strategy = \"{strategy}\"\nconfig = {{ nodes = {NODES:?}, after_ms = 100 }}"),
        );
        let all: Vec<&str> = STEADY.iter().chain(&NODES).copied().chain([SELF]).collect();
        host.wait_up(&all);
        wait_faulty(&host, strategy, |topology| match &topology[misbehaved] {
            Value::Array(held) => held.len() == NODES.len(),
            restarts => restarts.as_u64() >= Some(2),
        });
        host.wait_up(&all);
        let view = host.view();
        assert_eq!((view.count("node_down"), view.count("node_left")), (0, 0), "{strategy}: {view}");
        check_steady(&host);
    }
}

/// Why a strategy ended is told with its topology and in the log, a panic's message included.
#[test]
fn ends_are_told() {
    let plugins = Plugins::with(&[FAULTY]);
    for ((strategy, reason), isolation) in
        everywhere(&[("panics", "boom after 0 ms"), ("fails", "the source is gone")])
    {
        let faulty = format!("strategy = \"{strategy}\"\nopts.restart = \"temporary\"");
        let host = isolated(&plugins, isolation, &faulty);
        let topology = wait_faulty(&host, "its end", |topology| topology["health"] == "stopped");
        let told = topology["reason"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{strategy}: {told}");
        host.settle("its line in the log", || host.log().contains(reason).then_some(()));
        host.wait("the event", |view| {
            let mut changes = view.events.iter().filter(|event| event["type"] == "topology_changed");
            changes.any(|event| {
                event["topology"] == "faulty"
                    && event["reason"].as_str().is_some_and(|text| text.contains(reason))
            })
        });
        check_steady(&host);
    }
}

/// The three restart types against the ways to end, and the limit on restarts.
#[test]
fn restart_types() {
    let plugins = Plugins::with(&[FAULTY]);
    let finishes = format!("strategy = \"finishes\"\nconfig = {{ nodes = {NODES:?} }}");
    let fails = format!("strategy = \"fails\"\nconfig = {{ nodes = {NODES:?} }}");
    for (strategy, opts, restarted) in [
        (&finishes, "opts.restart = \"permanent\"", true),
        (&finishes, "opts.restart = \"transient\"", false),
        (&finishes, "opts.restart = \"temporary\"", false),
        (&fails, "opts.restart = \"transient\"", true),
        (&fails, "opts.restart = \"temporary\"", false),
        (&fails, "opts.restart = \"permanent\"\nopts.max_restarts = 0", false),
    ] {
        let host = host(&plugins, &format!("{strategy}\n{opts}"));
        if restarted {
            wait_faulty(&host, opts, |topology| topology["restarts"].as_u64() >= Some(2));
        } else {
            let topology = wait_faulty(&host, opts, |topology| topology["health"] == "stopped");
            assert_eq!(topology["restarts"], 0, "{strategy} {opts}");
        }
        // What it had reported stands, whatever became of it.
        host.wait("its nodes", |view| NODES.iter().all(|node| view.state(node) == Some("up")));
        check_steady(&host);
    }
}

/// Too many restarts within a time are the end of it, and of it alone.
#[test]
fn restarts_are_limited() {
    let plugins = Plugins::with(&[FAULTY]);
    let host = host(&plugins, "strategy = \"fails\"\nopts.max_restarts = 2\nopts.max_seconds = 600");
    let topology = wait_faulty(&host, "its end", |topology| topology["health"] == "stopped");
    assert_eq!(topology["restarts"], 2);
    check_steady(&host);
}

/// A stop is not held up by a strategy that blocks its thread, nor by one that just waits.
#[test]
fn stop_waits_for_nobody() {
    let plugins = Plugins::with(&[FAULTY]);
    for (strategy, isolation) in everywhere(&["stuck", "slow"]) {
        let host = isolated(&plugins, isolation, &format!("strategy = \"{strategy}\""));
        host.wait("the steady ones", |view| STEADY.iter().all(|node| view.state(node) == Some("up")));
        check_steady(&host);
        let status = host.terminate();
        assert!(status.success(), "{strategy}: {status}\n{}", host.log());
    }
}

/// A report above the limit is refused whole and told, and it is told of the topology that made it alone.
#[test]
fn too_many_members() {
    let plugins = Plugins::with(&[FAULTY]);
    let faulty = "strategy = \"too_many\"\nconfig = { count = 6 }\nmembers_max = 5";
    for isolation in EVERYWHERE {
        let host = isolated(&plugins, isolation, faulty);
        let topology = wait_faulty(&host, "degraded", |topology| topology["health"] == "degraded");
        let told = topology["reason"].as_str().unwrap_or_default();
        assert!(told.contains('6') && told.contains("members_max"), "{told}");
        host.settle("its strategy to know", || host.log().contains("report was not taken").then_some(()));
        host.wait("the steady ones", |view| STEADY.iter().all(|node| view.state(node) == Some("up")));
        let view = host.view();
        assert!(!view.members.keys().any(|name| name.starts_with('n')), "{view}");
        check_steady(&host);
    }
}

/// What a plugin logs is in the host's log with its topology, and what it counts is shown with it.
#[test]
fn logs_and_counters_are_forwarded() {
    let plugins = Plugins::with(&[FAULTY]);
    for isolation in EVERYWHERE {
        let host = isolated(&plugins, isolation, "strategy = \"noisy\"\nconfig = { times = 3 }");
        let topology = wait_faulty(&host, "its counters", |topology| topology["counters"]["rounds"] == 3);
        assert_eq!(topology["counters"]["noises"], 15);
        wait_faulty(&host, "its health", |topology| topology["health"] == "degraded");
        let log = host.settle("its lines", || Some(host.log()).filter(|log| log.contains("a warning")));
        let line = log.lines().find(|line| line.contains("a warning")).unwrap();
        assert!(line.contains("WARN") && line.contains("faulty"), "{line}");
        assert!(!log.contains("a trifle"), "below the level");
    }
}

/// A plugin of one topology fails again and again; the gossip of another goes on as if nothing was.
#[test]
fn gossip_beside_failures() {
    let lan = Lan::with(Plugins::with(&[GOSSIP, FAULTY]));
    let faulty = "[topologies.panics]\nstrategy = \"panics\"\nconnect = \"none\"\n[topologies.stuck]\nstrategy = \"stuck\"\nconnect = \"none\"\n";
    let node = ["alice@127.0.0.1", "bob@127.0.0.1"];
    let hosts = node.map(|node| lan.start_with(lan.config(node, "heartbeat_interval = \"200ms\"") + faulty));
    for host in &hosts {
        host.wait_up(&node);
        let heard = host.counter("lan", "datagrams_accepted");
        host.settle("heartbeats beside restarts", || {
            let restarted = host.topology("panics")["restarts"].as_u64() >= Some(2);
            (restarted && host.counter("lan", "datagrams_accepted") > heard + 5).then_some(())
        });
        host.wait_up(&node);
        assert_eq!(host.view().count("node_left"), 0);
        assert_eq!(host.topology("lan")["restarts"], 0);
    }
    for host in &hosts {
        assert!(host.terminate().success(), "{}", host.log());
    }
}
