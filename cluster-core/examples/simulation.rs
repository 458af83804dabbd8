//! A cluster in virtual time: three hosts that hear each other's heartbeats, of which one falls silent. An hour of it takes
//! no time, and the same seed gives the same run.
//!
//! ```text
//! cargo run --package cluster-core --example simulation
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]
#![expect(clippy::disallowed_methods, reason = "a program has a clock")]

use std::{
    error::Error,
    time::{Duration, Instant, SystemTime},
};

use cluster_core::{
    Changes, EventKind, Membership, Node, Now, Report, TopologyName, View,
    membership::{MembershipOptions, PrunePolicy, TopologySpec},
};

const HEARTBEAT_INTERVAL: u64 = 5;
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// The second in which the last host falls silent.
const SILENT_FROM: u64 = 600;

struct Host {
    node: Node,
    membership: Membership,
}

fn main() -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let at = |seconds: u64| {
        let passed = Duration::from_secs(seconds);
        Now { instant: begin + passed, wall: SystemTime::UNIX_EPOCH + passed }
    };
    let lan = TopologyName::try_new("lan")?;
    let mut hosts = Vec::new();
    for seed in 1..=3 {
        let node = Node::try_new(&format!("n{seed}@10.0.0.{seed}"))?;
        let options = MembershipOptions { local: Some(node.clone()), seed, ..MembershipOptions::default() };
        let mut membership = Membership::new(options, at(0));
        let (name, prune) = (lan.clone(), PrunePolicy::default());
        membership.add_topology(TopologySpec { name, connector: None, prune, members_max: 100 }, at(0));
        membership.strategy_started(&lan, at(0));
        // Nobody was heard yet, and that says nothing about anybody.
        membership.handle_report(&lan, Report::Reset(View::partial([])), at(0))?;
        hosts.push(Host { node, membership });
    }

    for second in 1..=3600 {
        for speaker in 0..hosts.len() {
            let is_silent = speaker == 2 && second >= SILENT_FROM;
            if second % HEARTBEAT_INTERVAL != 0 || is_silent {
                continue;
            }
            let heard = hosts.get(speaker).map(|host| host.node.clone());
            let listeners = hosts.iter_mut().enumerate().filter(|(listener, _)| *listener != speaker);
            for (_, host) in listeners {
                let (ttl, upserts) = (Some(HEARTBEAT_TIMEOUT), heard.iter().cloned().collect());
                let changes = Changes { ttl, upserts, ..Changes::default() };
                host.membership.handle_report(&lan, Report::Apply(changes), at(second))?;
            }
        }
        for host in &mut hosts {
            host.membership.handle_timeout(at(second));
            for event in host.membership.take_events() {
                if let (EventKind::NodeUp | EventKind::NodeDown, Some(node)) = (event.kind, event.node) {
                    println!("{second:>4} s, at {}: {} {node}", host.node.name(), event.kind);
                }
            }
        }
    }
    for host in &hosts {
        println!("{} sees {}", host.node.name(), host.membership.snapshot().up().count());
    }
    Ok(())
}
