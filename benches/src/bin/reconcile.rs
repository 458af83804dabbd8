//! Reconciling: a complete report against the membership, beside building a `HashSet` of its names and taking the
//! two differences (libcluster's way, with a faster set).
//!
//! Ours includes parsing the bytes of the report, and deriving the members, their events and a snapshot; the
//! rival's is the bare set of borrowed names.

use std::{
    collections::HashSet,
    error::Error,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use benches::{Table, cpu_ns_each, ns_each, rounds, thread_cpu};
use cluster_core::{
    Changes, Membership, NameError, Node, NodeList, Now, Report, TopologyName, View,
    membership::{MembershipOptions, PrunePolicy, TopologySpec},
};

/// Reports that one figure is taken from. Even, so that a round ends with the list it began with.
const REPORTS: usize = 20;

/// Repetitions of what takes little.
const REPETITIONS: u32 = 20_000;

fn main() -> ExitCode {
    let mut table = Table::new("reconcile");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    for (nodes, order, goal) in [
        (1_000, Order::ByName, None),
        (10_000, Order::ByName, None),
        (100_000, Order::ByName, Some(0.1)),
        (100_000, Order::ByAddress, None),
    ] {
        let lists = [node_list(nodes, 0, order)?, node_list(nodes, 1, order)?];
        let names = [names(nodes, 0), names(nodes, 1)];
        let mut cluster = Cluster::new(&lists[0])?;
        let [replaced, unchanged, sets] = rounds(|| {
            let replaced = cluster.resets(&[&lists[1], &lists[0]], |events| events >= 2);
            let unchanged = cluster.resets(&[&lists[0]], |events| events == 0);
            [replaced, unchanged, sets(&names)]
        });
        let rival = ("HashSet", sets);
        let case = match order {
            Order::ByName => format!("reset of {nodes} nodes"),
            Order::ByAddress => format!("reset of {nodes} nodes not in the order of names"),
        };
        table.ratio(&format!("{case}, one replaced"), replaced, rival, goal);
        table.ratio(&format!("{case}, unchanged"), unchanged, rival, goal);
        table.check("unchanged is cheaper than one replaced", unchanged < replaced);
    }

    let (few, many) = (1_000, 100_000);
    let mut small = Cluster::new(&node_list(few, 0, Order::ByName)?)?;
    let mut large = Cluster::new(&node_list(many, 0, Order::ByName)?)?;
    let [at_many, at_few] = rounds(|| [large.applies(many), small.applies(few)]);
    // Not one: the larger tree is a little deeper and does not fit into the caches.
    table.ratio("apply of one node, 100000 members", at_many, ("1000 members", at_few), Some(3.0));
    let [at_many, at_few] = rounds(|| [large.snapshots(), small.snapshots()]);
    table.ratio("snapshot, 100000 members", at_many, ("1000 members", at_few), Some(1.5));
    Ok(())
}

fn name(number: u32, generation: u32) -> String {
    let [_, high, middle, low] = number.to_be_bytes();
    format!("app{generation}@10.{high}.{middle}.{low}")
}

fn node(number: u32, generation: u32, zone: &str) -> Result<Node, NameError> {
    let name = name(number, generation);
    let address = format!("{}:9000", name.split('@').next_back().unwrap_or_default());
    Ok(Node::try_new(&name)?.address(&address).attribute("zone", zone))
}

/// So many nodes; the one in the middle is another one in another generation.
fn generations(nodes: u32, generation: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..nodes).map(move |number| (number, if number == nodes / 2 { generation } else { 0 }))
}

fn names(nodes: u32, generation: u32) -> Vec<String> {
    generations(nodes, generation).map(|(number, generation)| name(number, generation)).collect()
}

/// The order of a report's records. Only one that is not by name has to be sorted when it arrives.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    ByName,
    ByAddress,
}

fn node_list(nodes: u32, generation: u32, order: Order) -> Result<NodeList, NameError> {
    let nodes = generations(nodes, generation).map(|(number, generation)| node(number, generation, "eu-1"));
    let mut nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    if order == Order::ByName {
        nodes.sort_by(|one, other| one.name().cmp(other.name()));
    }
    let mut bytes = Vec::new();
    for node in nodes {
        node.encode(&mut bytes);
    }
    Ok(NodeList::parse(bytes).unwrap_or_default())
}

/// CPU nanoseconds for one set of names and its two differences to the set before.
fn sets(names: &[Vec<String>; 2]) -> f64 {
    let mut current: HashSet<&str> = names[0].iter().map(String::as_str).collect();
    cpu_ns_each(REPORTS, || {
        for names in names.iter().rev().cycle().take(REPORTS) {
            let next: HashSet<&str> = names.iter().map(String::as_str).collect();
            assert_eq!(next.difference(&current).count(), 1, "one came");
            assert_eq!(current.difference(&next).count(), 1, "one went");
            current = next;
        }
    })
}

struct Cluster {
    membership: Membership,
    topology: TopologyName,
    now: Now,
    changes: u32,
}

impl Cluster {
    #[expect(clippy::disallowed_methods, reason = "time begins here; afterwards it is counted by hand")]
    fn new(list: &NodeList) -> Result<Self, Box<dyn Error>> {
        let now = Now { instant: Instant::now(), wall: SystemTime::now() };
        let topology: TopologyName = "bench".parse()?;
        let mut membership = Membership::new(MembershipOptions::default(), now);
        let spec = TopologySpec {
            name: topology.clone(),
            connector: None,
            // A node that is not named is gone at once: no report without its two events.
            prune: PrunePolicy { rounds: 1, ..PrunePolicy::default() },
            members_max: list.len() * 2,
        };
        membership.add_topology(spec, now);
        membership.strategy_started(&topology, now);
        let mut cluster = Self { membership, topology, now, changes: 0 };
        cluster.report(reset(list.as_bytes().to_vec()));
        assert_eq!(cluster.membership.snapshot().members.len(), list.len(), "all are members");
        Ok(cluster)
    }

    /// Hands in a report and takes what comes of it; says how many events that was.
    fn report(&mut self, report: Report) -> usize {
        let taken = self.membership.handle_report(&self.topology, report, self.now);
        assert!(taken.is_ok(), "{taken:?}");
        black_box(self.membership.take_effects());
        black_box(self.membership.snapshot());
        self.membership.take_events().len()
    }

    /// CPU nanoseconds for each of many whole views, taken in turn. Their bytes are as they come from a plugin:
    /// making them is the plugin's business, parsing them is ours.
    fn resets(&mut self, lists: &[&NodeList], expected: impl Fn(usize) -> bool) -> f64 {
        let mut spent = Duration::ZERO;
        for list in lists.iter().cycle().take(REPORTS) {
            let bytes = list.as_bytes().to_vec();
            self.now.instant += Duration::from_secs(5);
            let start = thread_cpu();
            let events = self.report(reset(bytes));
            spent += thread_cpu().saturating_sub(start);
            assert!(expected(events), "{events} events");
        }
        ns_each(spent, REPORTS)
    }

    /// CPU nanoseconds for each of many changes of one node out of `nodes`.
    fn applies(&mut self, nodes: u32) -> f64 {
        let first = self.changes;
        self.changes += REPETITIONS;
        let change = |change: u32| {
            // Scattered over the nodes; two changes of one node are never the same.
            let number = change.wrapping_mul(7_919) % nodes;
            let changed = node(number, 0, &format!("eu-{change}"));
            Report::Apply(Changes { upserts: changed.into_iter().collect(), ..Changes::default() })
        };
        let mut changes = (first..self.changes).map(change).collect::<Vec<_>>().into_iter();
        // The first one after a whole view throws that list away.
        let mut events = changes.next().map_or(0, |change| self.report(change));
        let each = cpu_ns_each(changes.len(), || {
            for change in changes {
                self.now.instant += Duration::from_millis(1);
                events += self.report(change);
            }
        });
        assert!(events + 2 >= REPETITIONS as usize, "each change is an event");
        each
    }

    /// CPU nanoseconds for a snapshot.
    fn snapshots(&self) -> f64 {
        cpu_ns_each(REPETITIONS as usize, || {
            for _repetition in 0..REPETITIONS {
                black_box(self.membership.snapshot());
            }
        })
    }
}

fn reset(bytes: Vec<u8>) -> Report {
    Report::Reset(View { nodes: NodeList::parse(bytes).unwrap_or_default(), ..View::complete([]) })
}
