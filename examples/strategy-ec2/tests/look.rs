//! Runs the strategy alone with the config that is its argument, and prints each report and each change of its health as
//! a line of JSON, until its input ends.

use std::{io, process::ExitCode, sync::mpsc, thread, time::Duration};

use cluster_sdk::{
    Completeness, Report,
    serde_json::{self, Value, json},
    testing::TestHost,
};
use strategy_ec2::Ec2;

/// How often is looked for something new.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let config = std::env::args().nth(1).unwrap_or_default();
    let config: Value = serde_json::from_str(&config).expect("the argument is JSON");
    let host = match TestHost::discover::<Ec2>(config) {
        Ok(host) => host,
        Err(err) => {
            eprintln!("{err}");
            return ExitCode::FAILURE;
        }
    };
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(io::copy(&mut io::stdin(), &mut io::sink())));
    let mut seen = 0;
    while end.recv_timeout(LOOK_INTERVAL).is_err() {
        for report in host.reports() {
            println!("{}", shown(&report));
        }
        for status in host.statuses().iter().skip(seen) {
            seen += 1;
            println!("{}", json!({ "health": status.health.to_string(), "reason": status.reason }));
        }
    }
    ExitCode::SUCCESS
}

fn shown(report: &Report) -> Value {
    let Report::Reset(view) = report else { panic!("a look-up reports whole lists") };
    let node = |node: cluster_sdk::Node| {
        let address = node.addresses().next().map(str::to_owned);
        (node.name().to_string(), json!({ "address": address, "attributes": node.attribute_map() }))
    };
    let nodes: serde_json::Map<String, Value> =
        view.nodes.iter().map(|record| node(record.to_node().expect("a node"))).collect();
    json!({ "is_complete": view.completeness == Completeness::Complete, "nodes": nodes })
}
