//! The membership alone: reports and outcomes of links go in with the time, effects and events come out. There is no clock, no
//! socket and no thread in it, so the program that drives it decides what these are.
//!
//! ```text
//! cargo run --package cluster-core --example membership
//! ```
#![expect(clippy::print_stdout, reason = "this is what an example is for")]
#![expect(clippy::disallowed_methods, reason = "a program has a clock")]

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use cluster_core::{
    Backoff, Membership, Node, Now, Report, TopologyName, View,
    membership::{
        ConnectorId, ConnectorSpec, Effect, LinkInput, MembershipOptions, Outcome, PrunePolicy, TopologySpec,
    },
};

const TCP: ConnectorId = ConnectorId(1);

fn print_events(membership: &mut Membership) {
    for event in membership.take_events() {
        let node = event.node.map(|node| node.to_string()).unwrap_or_default();
        let reason = event.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        println!("{:>2} {} {node}{reason}", event.revision, event.kind);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A program has real ones; here time is what we say.
    let begin = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    let at = |seconds: u64| {
        let passed = Duration::from_secs(seconds);
        Now { instant: begin.instant + passed, wall: begin.wall + passed }
    };

    let local = Some(Node::try_new("me@10.0.0.1")?);
    let mut membership = Membership::new(MembershipOptions { local, ..MembershipOptions::default() }, at(0));
    membership.add_connector(ConnectorSpec {
        id: TCP,
        name: "tcp".into(),
        by_address: true,
        outlives: false,
        dials_max: 16,
        deadline: Duration::from_secs(5),
        retry: Backoff::default(),
        list_interval: None,
    });
    membership.handle_link(TCP, LinkInput::Started, at(0));
    let shop = TopologyName::try_new("shop")?;
    let (connector, prune) = (Some(TCP), PrunePolicy::default());
    membership.add_topology(TopologySpec { name: shop.clone(), connector, prune, members_max: 1000 }, at(0));
    membership.strategy_started(&shop, at(0));

    // A source names two nodes: links to both are wanted.
    let nodes = [Node::try_new("a@10.0.0.2")?, Node::try_new("b@10.0.0.3")?];
    membership.handle_report(&shop, Report::Reset(View::complete(nodes)), at(1))?;
    for effect in membership.take_effects() {
        if let Effect::Connect { operation, node, .. } = effect {
            println!("dial {}", node.name());
            let outcome = match node.name().as_str() {
                "a@10.0.0.2" => Outcome::Done,
                _ => Outcome::Failed("connection refused".into()),
            };
            membership.handle_link(TCP, LinkInput::Completed { operation, outcome }, at(2));
        }
    }
    print_events(&mut membership);

    // It says when it wants to be asked again: it dials the other one once more.
    let due = membership.poll_timeout().ok_or("it waits for nothing")?;
    membership.handle_timeout(Now { instant: due, wall: SystemTime::UNIX_EPOCH });
    let again = membership.take_effects();
    println!("again: {}", again.iter().filter(|effect| matches!(effect, Effect::Connect { .. })).count());

    // A link is lost: down, and wanted all the same.
    let (node, state) = ("a@10.0.0.2", Err(Arc::from("connection reset")));
    let node = Node::try_new(node)?.name().clone();
    membership.handle_link(TCP, LinkInput::Changed { generation: 0, node, state }, at(9));
    print_events(&mut membership);
    Ok(())
}
