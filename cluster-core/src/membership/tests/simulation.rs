//! A cluster in virtual time: hosts with a toy gossip and a toy connector, over a network that loses, delays and
//! reorders, between clocks that differ and drift, with crashes, partitions, moves and restarts. When the faults are
//! over, all who live agree on who lives.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    super::{
        ConnectorId, ConnectorSpec, Effect, LinkInput, Membership, MembershipOptions, OperationId, Outcome,
        PrunePolicy, TopologySpec,
    },
    world::{Members, topology},
};
use crate::{
    backoff::Backoff,
    member::MemberState,
    name::NodeName,
    node::Node,
    time::Now,
    view::{Changes, NodeList, Report, View},
};

const HOSTS: usize = 7;
const TCP: ConnectorId = ConnectorId(1);
const TTL: Duration = Duration::from_secs(8);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
const LOSS_NOTICED: Duration = Duration::from_secs(3);

/// What comes to pass at a moment. `life` is the incarnation of the host that it is meant for.
enum Happening {
    Beat { host: usize, life: u64 },
    Heard { host: usize, life: u64, changes: Changes },
    Due { host: usize, life: u64 },
    Dialled { host: usize, life: u64, operation: OperationId, other: usize },
    Broken { host: usize, life: u64, other: usize },
}

struct Host {
    membership: Membership,
    folded: Members,
    revision: u64,
    life: u64,
    address: String,
    is_alive: bool,
    links: BTreeSet<usize>,
    cancelled: BTreeSet<OperationId>,
    buried: BTreeMap<NodeName, u64>,
    /// How its clocks differ from the true time.
    skew: Duration,
    drift: f64,
}

struct Cluster {
    random: fastrand::Rng,
    begin: Instant,
    now: Duration,
    happenings: BTreeMap<(Duration, u64), Happening>,
    scheduled: u64,
    hosts: Vec<Host>,
    cuts: BTreeSet<(usize, usize)>,
    loss: f64,
    delay_max: Duration,
    lives: u64,
}

fn name(host: usize) -> NodeName {
    NodeName::try_new(&format!("n{host}@h")).unwrap()
}

fn host_of(name: &NodeName) -> usize {
    name.as_str().trim_start_matches('n').trim_end_matches("@h").parse().unwrap()
}

impl Host {
    fn clock(&self, begin: Instant, time: Duration) -> Now {
        let passed = self.skew + time.mul_f64(self.drift);
        Now { instant: begin + passed, wall: self.wall(passed) }
    }

    fn wall(&self, passed: Duration) -> SystemTime {
        // Whose monotonic clock is ahead has a wall clock that is behind.
        UNIX_EPOCH + Duration::from_secs(1_000_000) - self.skew * 3 + passed
    }

    /// The first moment in true time at which this host's clock shows an instant.
    fn true_time(&self, begin: Instant, instant: Instant) -> Duration {
        let passed = (instant - begin).saturating_sub(self.skew);
        passed.div_f64(self.drift) + Duration::from_micros(1)
    }

    fn node(&self, host: usize) -> Node {
        Node::new(name(host)).address(&self.address).with_incarnation(self.life)
    }
}

impl Cluster {
    #[expect(clippy::disallowed_methods, reason = "an instant cannot be had otherwise; it is not read again")]
    fn new(seed: u64) -> Self {
        let mut cluster = Self {
            random: fastrand::Rng::with_seed(seed),
            begin: Instant::now(),
            now: Duration::ZERO,
            happenings: BTreeMap::new(),
            scheduled: 0,
            hosts: Vec::new(),
            cuts: BTreeSet::new(),
            loss: 0.0,
            delay_max: Duration::from_millis(50),
            lives: 0,
        };
        for host in 0..HOSTS {
            let skew = Duration::from_secs(cluster.random.u64(0..3_600));
            let drift = 0.95 + 0.1 * cluster.random.f64();
            cluster.hosts.push(Host {
                membership: Membership::new(MembershipOptions::default(), now_at(cluster.begin)),
                folded: Members::new(),
                revision: 0,
                life: 0,
                address: format!("10.0.0.{host}"),
                is_alive: false,
                links: BTreeSet::new(),
                cancelled: BTreeSet::new(),
                buried: BTreeMap::new(),
                skew,
                drift,
            });
            cluster.start(host);
        }
        cluster
    }

    fn start(&mut self, host: usize) {
        self.lives += 1;
        let (life, seed) = (self.lives, self.random.u64(..));
        let begin = self.begin;
        let here = &mut self.hosts[host];
        let now = here.clock(begin, self.now);
        here.life = life;
        here.is_alive = true;
        here.links.clear();
        here.buried.clear();
        let options =
            MembershipOptions { local: Some(here.node(host)), seed, ..MembershipOptions::default() };
        here.membership = Membership::new(options, now);
        (here.folded, here.revision) = (Members::new(), 0);
        here.membership.add_connector(ConnectorSpec {
            id: TCP,
            name: "tcp".into(),
            by_address: true,
            outlives: false,
            dials_max: 3,
            deadline: Duration::from_secs(2),
            retry: Backoff { first: Duration::from_millis(500), cap: Duration::from_secs(5) },
            list_interval: None,
        });
        let spec = TopologySpec {
            name: topology("g"),
            connector: Some(TCP),
            prune: PrunePolicy::default(),
            members_max: 100,
        };
        here.membership.add_topology(spec, now);
        here.membership.handle_link(TCP, LinkInput::Started, now);
        here.membership.strategy_started(&topology("g"), now);
        here.membership.handle_report(&topology("g"), Report::Reset(View::partial([])), now).unwrap();
        self.follow(host);
        self.schedule(Duration::ZERO, Happening::Beat { host, life });
    }

    fn schedule(&mut self, wait: Duration, happening: Happening) {
        self.scheduled += 1;
        self.happenings.insert((self.now + wait, self.scheduled), happening);
    }

    fn delay(&mut self) -> Duration {
        self.delay_max.mul_f64(self.random.f64())
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }

    /// Sends a word to all others, as far as the network carries it.
    fn cast(&mut self, host: usize, changes: &Changes) {
        for other in (0..HOSTS).filter(|other| *other != host) {
            let delay = self.delay();
            if !self.is_cut(host, other) && self.random.f64() >= self.loss {
                let life = self.hosts[other].life;
                self.schedule(delay, Happening::Heard { host: other, life, changes: changes.clone() });
            }
        }
    }

    /// Ends a host; one that stops in order says so.
    fn end(&mut self, host: usize, in_order: bool) {
        let here = &mut self.hosts[host];
        here.is_alive = false;
        here.links.clear();
        let goodbye = here.node(host);
        if in_order {
            let removals = [goodbye].into_iter().collect();
            self.cast(host, &Changes { ttl: None, upserts: NodeList::default(), removals });
        }
        for other in 0..HOSTS {
            self.break_link(other, host, LOSS_NOTICED);
        }
    }

    /// A host will notice that its link to another is broken.
    fn break_link(&mut self, host: usize, other: usize, within: Duration) {
        if self.hosts[host].links.remove(&other) {
            let wait = within.mul_f64(self.random.f64());
            let life = self.hosts[host].life;
            self.schedule(wait, Happening::Broken { host, life, other });
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        self.cuts.insert((a.min(b), a.max(b)));
        self.break_link(a, b, LOSS_NOTICED);
        self.break_link(b, a, LOSS_NOTICED);
    }

    fn run_until(&mut self, end: Duration) {
        while let Some(entry) = self.happenings.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Beat { host, life } if self.lives_on(host, life) => {
                let upserts = [self.hosts[host].node(host)].into_iter().collect();
                self.cast(host, &Changes { ttl: Some(TTL), upserts, removals: NodeList::default() });
                self.schedule(HEARTBEAT_INTERVAL, Happening::Beat { host, life });
            }
            Happening::Heard { host, life, changes } if self.lives_on(host, life) => {
                let now = self.hosts[host].clock(self.begin, self.now);
                for removal in changes.removals.iter().map(|record| record.to_node().unwrap()) {
                    let buried = self.hosts[host].buried.entry(removal.name().clone()).or_default();
                    *buried = removal.incarnation().unwrap().max(*buried);
                }
                let report = Report::Apply(changes);
                self.hosts[host].membership.handle_report(&topology("g"), report, now).unwrap();
                self.follow(host);
            }
            Happening::Due { host, life } if self.lives_on(host, life) => {
                let now = self.hosts[host].clock(self.begin, self.now);
                self.hosts[host].membership.handle_timeout(now);
                self.follow(host);
            }
            Happening::Dialled { host, life, operation, other }
                if self.lives_on(host, life) && !self.hosts[host].cancelled.remove(&operation) =>
            {
                self.dialled(host, operation, other);
            }
            // A link that has been made again meanwhile is told as made after this.
            Happening::Broken { host, life, other }
                if self.lives_on(host, life) && !self.hosts[host].links.contains(&other) =>
            {
                self.say_link(host, other, Err("it broke".into()));
            }
            _ => {}
        }
    }

    fn lives_on(&self, host: usize, life: u64) -> bool {
        self.hosts[host].is_alive && self.hosts[host].life == life
    }

    fn dialled(&mut self, host: usize, operation: OperationId, other: usize) {
        let is_there = self.hosts[other].is_alive && !self.is_cut(host, other);
        let outcome = if is_there { Outcome::Done } else { Outcome::Failed("unreachable".into()) };
        if is_there {
            self.hosts[host].links.insert(other);
        }
        self.say(host, LinkInput::Completed { operation, outcome });
        if is_there && self.hosts[other].links.insert(host) {
            self.say_link(other, host, Ok(()));
        }
    }

    fn say_link(&mut self, host: usize, other: usize, state: Result<(), Arc<str>>) {
        self.say(host, LinkInput::Changed { generation: 1, node: name(other), state });
    }

    fn say(&mut self, host: usize, input: LinkInput) {
        let now = self.hosts[host].clock(self.begin, self.now);
        self.hosts[host].membership.handle_link(TCP, input, now);
        self.follow(host);
    }

    /// Does what a host wants done after an input, and checks what it tells.
    fn follow(&mut self, host: usize) {
        for effect in self.hosts[host].membership.take_effects() {
            let life = self.hosts[host].life;
            match effect {
                Effect::Connect { operation, node, .. } => {
                    let other = host_of(node.name());
                    assert_ne!(other, host, "nobody dials itself");
                    let is_right = node.addresses().any(|address| address == self.hosts[other].address);
                    let is_there = is_right && self.hosts[other].is_alive && !self.is_cut(host, other);
                    let wait = if is_there { self.delay() } else { Duration::from_millis(1_500) };
                    self.schedule(wait, Happening::Dialled { host, life, operation, other });
                }
                Effect::Disconnect { operation, node, .. } => {
                    let other = host_of(&node);
                    self.hosts[host].links.remove(&other);
                    self.break_link(other, host, Duration::from_millis(100));
                    self.say(host, LinkInput::Completed { operation, outcome: Outcome::Done });
                }
                Effect::Cancel { operation, .. } => drop(self.hosts[host].cancelled.insert(operation)),
                Effect::List { .. } => panic!("nobody asked for lists"),
            }
        }
        self.check_told(host);
        let here = &self.hosts[host];
        if let Some(due) = here.membership.poll_timeout() {
            let wait = here.true_time(self.begin, due).saturating_sub(self.now);
            let life = here.life;
            self.schedule(wait, Happening::Due { host, life });
        }
    }

    fn check_told(&mut self, host: usize) {
        let here = &mut self.hosts[host];
        for event in here.membership.take_events() {
            here.revision += 1;
            assert_eq!(event.revision, here.revision);
            match (event.node, event.member) {
                (Some(node), Some(member)) => drop(here.folded.insert(node, member)),
                (Some(node), None) => drop(here.folded.remove(&node)),
                (None, _) => {}
            }
        }
        assert_eq!(here.folded, here.membership.snapshot().members);
        for (node, dead) in &here.buried {
            let topology = &here.membership.topologies[&topology("g")];
            if let Some(vouch) = topology.vouches.get(node) {
                assert!(vouch.is_held() || vouch.node.incarnation() > Some(*dead), "the dead stay dead");
            }
        }
    }

    /// One random fault, or the end of one.
    fn fault(&mut self) {
        let host = self.random.usize(..HOSTS);
        let other = self.random.usize(..HOSTS);
        match self.random.u8(..9) {
            0 if self.hosts[host].is_alive => self.end(host, false),
            1 if self.hosts[host].is_alive => self.end(host, true),
            0..=3 if !self.hosts[host].is_alive => self.start(host),
            4 if host != other => self.cut(host, other),
            5 => {
                // A partition: this one and those after it against the rest.
                for a in 0..host {
                    (host..HOSTS).for_each(|b| self.cut(a, b));
                }
            }
            6 => self.cuts.clear(),
            7 => {
                self.loss = 0.4 * self.random.f64();
                self.delay_max = Duration::from_millis(1_500).mul_f64(self.random.f64());
            }
            8 => {
                // It moves: who dialled its old address has lost it.
                self.hosts[host].address.push('1');
                (0..HOSTS).for_each(|other| self.break_link(other, host, LOSS_NOTICED));
                (0..HOSTS).for_each(|other| self.break_link(host, other, LOSS_NOTICED));
                let here = &mut self.hosts[host];
                if here.is_alive {
                    let now = here.clock(self.begin, self.now);
                    here.membership.set_local(here.node(host), now);
                    self.follow(host);
                }
            }
            _ => {}
        }
    }

    /// Who sees whom, and as what.
    fn views(&self) -> String {
        let mut text = String::new();
        for (host, here) in self.hosts.iter().enumerate().filter(|(_, here)| here.is_alive) {
            write!(text, "\n{}/{}:", name(host), here.life).unwrap();
            for (node, member) in &here.folded {
                write!(text, " {node}/{} {}", member.incarnation.unwrap_or(0), member.state).unwrap();
            }
        }
        text
    }

    fn agree(&self) -> bool {
        let alive = || self.hosts.iter().enumerate().filter(|(_, here)| here.is_alive);
        alive().all(|(_, here)| {
            here.folded.len() == alive().count()
                && alive().all(|(other, there)| {
                    here.folded.get(&name(other)).is_some_and(|member| {
                        let address = member.addresses.first();
                        member.state == MemberState::Up
                            && member.incarnation == Some(there.life)
                            && address == Some(&there.address)
                    })
                })
        })
    }
}

fn now_at(begin: Instant) -> Now {
    Now { instant: begin, wall: UNIX_EPOCH }
}

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}", self.0);
        }
    }
}

/// Whatever went wrong for two minutes, within one more all who live see all who live as up, as they are now, and
/// nobody else.
#[test]
fn agreement_after_faults() {
    for seed in 0..12 {
        let _shown = Seed(seed);
        let mut cluster = Cluster::new(seed);
        for second in 0..120 {
            cluster.run_until(Duration::from_secs(second));
            if cluster.random.u8(..3) == 0 {
                cluster.fault();
            }
        }
        cluster.cuts.clear();
        (cluster.loss, cluster.delay_max) = (0.0, Duration::from_millis(100));
        cluster.run_until(Duration::from_secs(180));
        assert!(cluster.agree(), "no agreement:{}", cluster.views());
    }
}

/// Without faults they agree as soon as they have heard of each other and dialled once.
#[test]
fn agreement_at_once() {
    let mut cluster = Cluster::new(1);
    cluster.run_until(Duration::from_millis(500));
    assert!(cluster.agree(), "no agreement:{}", cluster.views());
}
