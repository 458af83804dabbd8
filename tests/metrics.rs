//! What a host counts, and what Prometheus makes of it, by Prometheus' own programs.

mod prometheus;

use std::fs;

use crate::{
    host::{DEADLINE, FAULTY, Host, Launch, Plugins},
    probes::{probe, probes},
};

/// A name with labels, and whether a value is as wanted.
type Sample = (&'static str, fn(f64) -> bool);

/// Waits until each of these samples is there, with a value that is as wanted.
#[track_caller]
fn wait_samples(host: &Host, port: u16, samples: &[Sample]) {
    for (sample, is_right) in samples {
        host.settle(sample, || {
            let (_, text) = probe(port, "/metrics", DEADLINE)?;
            let value =
                text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?.to_owned();
            is_right(value.parse().unwrap()).then_some(())
        });
    }
}

/// What goes wrong in a host is counted where it happens: tries to connect, failures to find nodes, restarts, reloads and
/// plugin files.
#[test]
fn counted() {
    let plugins = Plugins::with(&[FAULTY]);
    let (port, line) = probes();
    let topology = |name: &str, strategy: &str, more: &str| {
        format!("[topologies.{name}]\nstrategy = \"{strategy}\"\n{more}\n")
    };
    let linked = |node: &str, program: &str| {
        format!("config = {{ nodes = [\"{node}\"] }}\nconnect = {{ exec = {{ connect = [\"{program}\"] }} }}")
    };
    let config = [
        line,
        topology("failing", "fails", "connect = \"none\""),
        topology(
            "large",
            "fixed",
            "connect = \"none\"\nmembers_max = 1\nconfig = { nodes = [\"a@h\", \"b@h\"] }",
        ),
        topology("linked", "fixed", &linked("x@h", "true")),
        topology("refused", "fixed", &linked("y@h", "false")),
    ];
    let config = config.concat();
    let host = Host::start(Launch {
        config: config.clone(),
        plugins: plugins.path().to_owned(),
        ..Launch::default()
    });
    let some: fn(f64) -> bool = |value| value >= 1.0;
    let none: fn(f64) -> bool = |value| value == 0.0;
    let samples = [
        ("cluster_connect_attempts_total{result=\"connected\"}", some),
        ("cluster_connect_attempts_total{result=\"failed\"}", some),
        ("cluster_discovery_errors_total{topology=\"failing\",kind=\"ended\"}", some),
        ("cluster_discovery_errors_total{topology=\"large\",kind=\"refused\"}", some),
        ("cluster_discovery_errors_total{topology=\"linked\",kind=\"refused\"}", none),
        ("cluster_restarts_total{unit=\"strategy\",name=\"failing\"}", some),
        ("cluster_restarts_total{unit=\"strategy\",name=\"linked\"}", none),
        ("cluster_topology_members{topology=\"linked\",state=\"up\"}", some),
        ("cluster_topology_members{topology=\"refused\",state=\"discovered\"}", some),
        ("cluster_events_total{type=\"connect_failed\"}", some),
        ("cluster_subscribers", some),
        ("cluster_plugin_files{state=\"usable\"}", some),
        ("cluster_plugin_files{state=\"refused\"}", none),
        ("cluster_reload_refused", none),
        ("process_resident_memory_bytes", |bytes| bytes > 1e6),
    ];
    wait_samples(&host, port, &samples);
    fs::write(plugins.path().join("libempty.so"), "").unwrap();
    fs::write(host.config_file(), format!("{config}\nnonsense = 1\n")).unwrap();
    wait_samples(
        &host,
        port,
        &[
            ("cluster_reloads_total{result=\"refused\"}", some),
            ("cluster_reload_refused", some),
            ("cluster_plugin_files{state=\"refused\"}", some),
            ("cluster_plugin_refusals{reason=\"empty\"}", some),
        ],
    );
    fs::write(host.config_file(), &config).unwrap();
    wait_samples(
        &host,
        port,
        &[("cluster_reloads_total{result=\"applied\"}", some), ("cluster_reload_refused", none)],
    );
}

/// What is waited for may be changed while the host runs, and then counts anew.
#[test]
fn readiness_is_reloaded() {
    let plugins = Plugins::with(&[FAULTY]);
    let (port, line) = probes();
    let config = line
        + "[topologies.fixed]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = { nodes = [\"a@h\"] }\n";
    let host = Host::start(Launch {
        config: config.clone(),
        plugins: plugins.path().to_owned(),
        ..Launch::default()
    });
    let ready: [Sample; 1] = [("cluster_ready", |value| value == 1.0)];
    wait_samples(&host, port, &ready);
    fs::write(host.config_file(), format!("ready.min_members = 2\n{config}")).unwrap();
    wait_samples(&host, port, &[("cluster_ready", |value| value == 0.0)]);
    fs::write(host.config_file(), &config).unwrap();
    wait_samples(&host, port, &ready);
}
