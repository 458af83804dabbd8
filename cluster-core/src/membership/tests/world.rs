//! Runs scripts: owns virtual time, plays the connectors, tells what happens, and checks after every step what
//! must hold whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use imbl::OrdMap;

use super::{
    super::{
        ConnectorId, ConnectorSpec, Effect, LinkInput, Membership, MembershipOptions, OperationId,
        PrunePolicy, TopologySpec,
        explain::{LinkExplained, VouchExplained},
    },
    script::{self, ERL, Op, TCP, name, node, nodes, short},
};
use crate::{
    backoff::Backoff,
    event::{Event, EventKind},
    member::{Health, Member, MemberState, Snapshot, TopologyStatus},
    name::{NodeName, TopologyName},
    time::Now,
    view::{Changes, Completeness, Report, View},
};

/// Members that each topology of a script may have.
pub(super) const MEMBERS_MAX: usize = 12;
/// Dials and cuts that a connector of a script may have under way.
const DIALS_MAX: usize = 2;

pub(super) type Members = OrdMap<NodeName, Arc<Member>>;

/// A connector as the world plays it.
#[derive(Debug, Default)]
pub(super) struct Played {
    under_way: BTreeMap<OperationId, (NodeName, bool)>,
    /// The last operation for each node, and whether it was a dial.
    last: BTreeMap<NodeName, (OperationId, bool)>,
    asked: Option<OperationId>,
    answer: Option<Result<(), &'static str>>,
    /// Links that are really there.
    real: BTreeSet<NodeName>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) membership: Membership,
    pub(super) told: String,
    pub(super) events: Vec<Event>,
    /// What could be seen after each step.
    pub(super) snapshots: Vec<Snapshot>,
    /// Compares no list with the one before it, but each with all that is known.
    pub(super) is_forgetful: bool,
    /// Calls of `handle_timeout`.
    pub(super) timeouts: usize,
    begin: Instant,
    now: Instant,
    folded: Members,
    folded_topologies: BTreeMap<TopologyName, Arc<TopologyStatus>>,
    revision: u64,
    played: BTreeMap<ConnectorId, Played>,
    /// Operations to be answered at once, after the one that is under way.
    answers: VecDeque<(ConnectorId, LinkInput)>,
    buried: BTreeMap<(&'static str, NodeName), u64>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "an instant cannot be had otherwise; it is not read again")]
    pub(super) fn new() -> Self {
        let begin = Instant::now();
        let local = Some(node("me"));
        let options = MembershipOptions { local, revision: 100, seed: 7, ..MembershipOptions::default() };
        let mut world = Self {
            membership: Membership::new(options, clock(begin, begin)),
            told: String::new(),
            events: Vec::new(),
            snapshots: Vec::new(),
            is_forgetful: false,
            timeouts: 0,
            begin,
            now: begin,
            folded: Members::new(),
            folded_topologies: BTreeMap::new(),
            revision: 100,
            played: [TCP, ERL].map(|id| (id.unwrap(), Played::default())).into(),
            answers: VecDeque::new(),
            buried: BTreeMap::new(),
        };
        for id in [TCP, ERL] {
            world.membership.add_connector(ConnectorSpec {
                id: id.unwrap(),
                name: script::connector(id.unwrap()).into(),
                by_address: id == TCP,
                outlives: id == ERL,
                dials_max: DIALS_MAX,
                deadline: Duration::from_secs(5),
                retry: Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(8) },
                list_interval: (id == ERL).then_some(Duration::from_secs(30)),
            });
        }
        world.observe();
        world.told.clear();
        world
    }

    pub(super) fn run(&mut self, op: &Op) {
        writeln!(self.told, "{op}").unwrap();
        self.perform(op);
        self.observe();
        self.answer();
    }

    fn now(&self) -> Now {
        clock(self.begin, self.now)
    }

    fn perform(&mut self, op: &Op) {
        let now = self.now();
        match op {
            Op::Small(name) => {
                let spec = TopologySpec {
                    name: topology(name),
                    connector: None,
                    prune: PrunePolicy::default(),
                    members_max: 3,
                };
                self.membership.add_topology(spec, now);
            }
            Op::Topology(name, connector, prune) => {
                let spec = self.spec(name, *connector, *prune);
                self.membership.add_topology(spec, now);
                self.buried.retain(|(of, _), _| of != name);
            }
            Op::Change(name, connector, prune) => {
                let spec = self.spec(name, *connector, *prune);
                self.membership.change_topology(spec, now);
            }
            Op::Supersede(name) => {
                self.membership.supersede(&topology(name), now);
                self.buried.retain(|(of, _), _| of != name);
            }
            Op::Restart(without) => self.restart(without),
            Op::Remove(name) => {
                self.membership.remove_topology(&topology(name), now);
                self.buried.retain(|(of, _), _| of != name);
            }
            Op::Complete(name, text, ttl) => self.reset(name, text, *ttl, Completeness::Complete),
            Op::Partial(name, text, ttl) => self.reset(name, text, *ttl, Completeness::Partial),
            Op::Apply(name, upserts, removals, ttl) => {
                let changes = Changes {
                    ttl: ttl.map(Duration::from_secs),
                    upserts: nodes(upserts),
                    removals: nodes(removals),
                };
                if self.report(name, Report::Apply(changes)) {
                    for removal in nodes(removals).iter().map(|record| record.to_node().unwrap()) {
                        if let Some(incarnation) = removal.incarnation() {
                            let buried = self.buried.entry((name, removal.name().clone())).or_default();
                            *buried = incarnation.max(*buried);
                        }
                    }
                }
            }
            Op::Stop(name) => self.membership.strategy_stopped(&topology(name), now),
            Op::Start(name) => self.membership.strategy_started(&topology(name), now),
            Op::Forget(text) => {
                let names = self.membership.forget(&name(text), now);
                for topology in names {
                    writeln!(self.told, "    {topology} let it go").unwrap();
                }
                self.buried.retain(|(_, of), _| *of != name(text));
            }
            Op::Degraded(name, reason) => {
                self.membership.set_health(&topology(name), Health::Degraded, Some(reason), now);
            }
            Op::Explain(text) => self.explain(&name(text)),
            Op::Unclaimed(name) => self.tell_unclaimed(name),
            Op::RemoveConnector(id) => self.membership.remove_connector(*id, now),
            Op::Local(text) => self.membership.set_local(node(text), now),
            Op::Presence(presence) => self.membership.set_presence(presence.map_err(Into::into), now),
            Op::Wait(time) => self.pass(*time),
            Op::Obliging(id, answer) => self.oblige(*id, *answer),
            other => self.connector_says(other),
        }
    }

    /// Another membership with what was there, that remembers the members and nothing else.
    fn restart(&mut self, without: &[&str]) {
        let now = self.now();
        let before = &self.membership;
        let Snapshot { revision, members, .. } = before.snapshot();
        let options = MembershipOptions { revision, members, seed: 8, local: None };
        let mut membership = Membership::new(options, now);
        let mut running = Vec::new();
        for (id, connector) in &before.connectors {
            membership.add_connector(connector.spec.clone());
            running.extend(connector.running.then_some(*id));
        }
        let is_there = |name: &&TopologyName| !without.contains(&name.as_str());
        let names: Vec<_> = before.topologies.keys().filter(is_there).cloned().collect();
        for name in &names {
            membership.add_topology(before.topologies[name].spec.clone(), now);
        }
        membership.set_presence(before.absence.clone().map_or(Ok(()), Err), now);
        membership.set_local(before.local.clone().unwrap(), now);
        membership.recall(before.topologies.keys(), false, now);
        self.membership = membership;
        self.buried.clear();
        self.answers.clear();
        for (id, played) in &mut self.played {
            played.end(*id);
            // Operations are numbered anew, and nobody is left who would answer the old ones late.
            played.last.clear();
        }
        self.observe();
        for id in running {
            self.input(id, LinkInput::Started);
        }
        for name in &names {
            self.membership.strategy_started(name, now);
        }
    }

    /// A topology's, whose connector runs from when it is first used.
    fn spec(&mut self, name: &str, connector: Option<ConnectorId>, prune: PrunePolicy) -> TopologySpec {
        if let Some(id) = connector.filter(|id| !self.membership.connectors[id].running) {
            self.input(id, LinkInput::Started);
        }
        TopologySpec { name: topology(name), connector, prune, members_max: MEMBERS_MAX }
    }

    fn tell_unclaimed(&mut self, name: &str) {
        let snapshot = self.membership.snapshot();
        let unclaimed: Vec<_> = snapshot.topologies[&topology(name)].unclaimed.iter().map(short).collect();
        writeln!(self.told, "    {unclaimed:?}").unwrap();
    }

    fn explain(&mut self, name: &NodeName) {
        let Some(known) = self.membership.explain(name, self.now()) else {
            writeln!(self.told, "    nothing").unwrap();
            return;
        };
        let second = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        for vouch in &known.vouches {
            let VouchExplained { topology, node, since, renewed, expires, .. } = vouch;
            let VouchExplained { stale, absent_rounds, held_until, remembered, .. } = vouch;
            let [since, renewed] = [since, renewed].map(|at| second(*at));
            let [expires, held] = [expires, held_until].map(|at| at.map(second));
            writeln!(self.told, "    by {topology}: {node:?} since {since:.1} renewed {renewed:.1}").unwrap();
            writeln!(
                self.told,
                "        expires {expires:.1?} stale {stale} absent {absent_rounds} held {held:.1?}"
            )
            .unwrap();
            if *remembered {
                writeln!(self.told, "        remembered").unwrap();
            }
        }
        for link in &known.links {
            let next = link.next_attempt.map(second);
            let LinkExplained { connector, state, failures, kept, .. } = link;
            writeln!(self.told, "    {connector} {state}, {failures} failures, next {next:.1?}").unwrap();
            if let Some(reason) = kept {
                writeln!(self.told, "        kept: {reason}").unwrap();
            }
            for attempt in &link.attempts {
                writeln!(self.told, "        {:.1} {:?}", second(attempt.at), attempt.failure).unwrap();
            }
        }
        for (topology, incarnation) in &known.dead {
            writeln!(self.told, "    dead to {topology}: {incarnation}").unwrap();
        }
    }

    /// Forgets who is buried: for what happens beyond the limit of that memory.
    pub(super) fn unbury(&mut self) {
        self.buried.clear();
    }

    fn reset(&mut self, name: &'static str, text: &str, ttl: Option<u64>, completeness: Completeness) {
        let ttl = ttl.map(Duration::from_secs);
        let nodes = nodes(text);
        let view = View { completeness, ttl, nodes };
        self.report(name, Report::Reset(view));
    }

    fn report(&mut self, name: &str, report: Report) -> bool {
        if self.is_forgetful {
            self.membership.topologies.values_mut().for_each(super::super::Topology::forget_list);
        }
        let before = self.membership.snapshot().members;
        let outcome = self.membership.handle_report(&topology(name), report, self.now());
        if let Err(refused) = &outcome {
            writeln!(self.told, "    refused: {refused}").unwrap();
            assert_eq!(before, self.membership.snapshot().members, "a refused report changes nothing");
        }
        outcome.is_ok()
    }

    fn connector_says(&mut self, op: &Op) {
        match op {
            Op::Up(id, generation, text) => self.changed(*id, *generation, text, &Ok(())),
            Op::Down(id, generation, text) => self.changed(*id, *generation, text, &Err("it broke".into())),
            Op::Links(id, generation, text) => self.listed(*id, *generation, None, text),
            Op::List(id, generation, text) => {
                let asked = self.played.get_mut(id).unwrap().asked.take();
                // Without a question there is only a late answer to give.
                self.listed(*id, *generation, asked.or(Some(OperationId(0))), text);
            }
            Op::NoList(id, outcome) => {
                if let Some(operation) = self.played.get_mut(id).unwrap().asked.take() {
                    let outcome = script::outcome(*outcome);
                    self.input(*id, LinkInput::Completed { operation, outcome });
                }
            }
            Op::Answer(id, node, outcome) => {
                let played = self.played.get_mut(id).unwrap();
                if let Some((operation, dial)) = played.last.get(&name(node)).copied() {
                    played.under_way.remove(&operation);
                    if outcome.is_ok() {
                        played.really(&name(node), dial);
                    }
                    let outcome = script::outcome(*outcome);
                    self.input(*id, LinkInput::Completed { operation, outcome });
                }
            }
            Op::Started(id) => {
                self.played.get_mut(id).unwrap().end(*id);
                self.input(*id, LinkInput::Started);
            }
            Op::Stopped(id) => {
                self.played.get_mut(id).unwrap().end(*id);
                let reason = "it crashed".into();
                self.input(*id, LinkInput::Stopped { reason });
            }
            Op::Unavailable(id, reason) => self.input(*id, LinkInput::Availability(Err((*reason).into()))),
            Op::Available(id) => self.input(*id, LinkInput::Availability(Ok(()))),
            Op::Troubled(id, trouble) => {
                let trouble = trouble.map(|reason| (Health::Denied, reason.into()));
                self.input(*id, LinkInput::Health(trouble));
            }
            other => panic!("{other} is no word of a connector"),
        }
    }

    fn changed(&mut self, id: ConnectorId, generation: u64, text: &str, state: &Result<(), Arc<str>>) {
        for node in text.split_whitespace().map(name) {
            self.played.get_mut(&id).unwrap().really(&node, state.is_ok());
            let state = state.clone();
            self.input(id, LinkInput::Changed { generation, node, state });
        }
    }

    fn listed(&mut self, id: ConnectorId, generation: u64, operation: Option<OperationId>, text: &str) {
        let nodes: BTreeSet<_> = text.split_whitespace().map(name).collect();
        if operation != Some(OperationId(0)) {
            self.played.get_mut(&id).unwrap().real.clone_from(&nodes);
        }
        self.input(id, LinkInput::Listed { generation, operation, nodes });
    }

    fn input(&mut self, id: ConnectorId, input: LinkInput) {
        self.membership.handle_link(id, input, self.now());
    }

    /// A connector changes its ways; what it has not answered yet it answers now.
    fn oblige(&mut self, id: ConnectorId, answer: Option<Result<(), &'static str>>) {
        let played = self.played.get_mut(&id).unwrap();
        played.answer = answer;
        let waiting: Vec<_> = played.under_way.keys().copied().collect();
        for operation in waiting {
            self.will_answer(id, operation);
        }
    }

    fn will_answer(&mut self, id: ConnectorId, operation: OperationId) {
        let played = self.played.get_mut(&id).unwrap();
        let Some(outcome) = played.answer else { return };
        if let Some((node, dial)) = played.under_way.remove(&operation)
            && outcome.is_ok()
        {
            played.really(&node, dial);
        }
        let outcome = script::outcome(outcome);
        self.answers.push_back((id, LinkInput::Completed { operation, outcome }));
    }

    fn answer(&mut self) {
        while let Some((id, input)) = self.answers.pop_front() {
            self.input(id, input);
            self.observe();
        }
    }

    /// Lets time pass from one deadline to the next.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.membership.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "what was due has been done");
            self.now = due;
            self.membership.handle_timeout(self.now());
            self.timeouts += 1;
            let next = self.membership.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "after a timeout nothing is due");
            self.observe();
            self.answer();
        }
        self.now = end;
    }

    /// Takes what came out, tells it and checks it.
    fn observe(&mut self) {
        let events = self.membership.take_events();
        let effects = self.membership.take_effects();
        let second = (self.now - self.begin).as_secs_f64();
        for event in events {
            self.check_event(&event);
            writeln!(self.told, "    {second:.1} {}", event_text(&event)).unwrap();
            self.events.push(event);
        }
        for effect in effects {
            writeln!(self.told, "    {second:.1} {}", self.effect_text(&effect)).unwrap();
            self.check_effect(effect);
        }
        let snapshot = self.membership.snapshot();
        assert_eq!(self.folded, snapshot.members, "folding the events gives the snapshot");
        self.check_statuses(&snapshot);
        assert_eq!(self.revision, snapshot.revision, "a snapshot includes all events");
        self.check_buried();
        self.snapshots.push(snapshot);
    }

    fn check_event(&mut self, event: &Event) {
        self.revision += 1;
        assert_eq!(event.revision, self.revision, "revisions are consecutive");
        let Some(node) = &event.node else {
            assert_eq!(event.kind, EventKind::TopologyChanged);
            let topology = event.topology.clone().unwrap();
            match &event.status {
                Some(status) => self.folded_topologies.insert(topology, Arc::clone(status)),
                None => self.folded_topologies.remove(&topology),
            };
            return;
        };
        assert_eq!(event.status, None);
        let before = self.folded.get(node).cloned();
        if event.kind != EventKind::ConnectFailed {
            assert_ne!(before, event.member, "{event:?} without a change");
        }
        let was_up = before.as_deref().is_some_and(Member::is_linked);
        match event.kind {
            EventKind::NodeDiscovered => assert!(before.is_none()),
            EventKind::NodeUp | EventKind::NodeUpdated | EventKind::ConnectFailed => {
                assert!(before.is_some());
            }
            EventKind::NodeDown => assert!(was_up, "{event:?} of who was not up"),
            EventKind::NodeLeft => {
                assert!(event.member.is_none());
                let is_up = before.as_deref().is_some_and(|member| member.state == MemberState::Up);
                assert!(!is_up, "an up member that goes gets node_down first");
            }
            EventKind::TopologyChanged => panic!("a topology is no node"),
        }
        match &event.member {
            Some(member) => self.folded.insert(node.clone(), Arc::clone(member)),
            None => self.folded.remove(node),
        };
    }

    /// Of the topologies, too, but for what is unclaimed and who is only remembered, of which no event tells.
    fn check_statuses(&self, snapshot: &Snapshot) {
        let shown = |(name, status): (&TopologyName, &Arc<TopologyStatus>)| {
            let (unclaimed, remembered) = (Vec::new(), Vec::new());
            (name.clone(), TopologyStatus { unclaimed, remembered, ..TopologyStatus::clone(status) })
        };
        let folded: BTreeMap<_, _> = self.folded_topologies.iter().map(shown).collect();
        let expected: BTreeMap<_, _> = snapshot.topologies.iter().map(shown).collect();
        assert_eq!(folded, expected, "folding the events gives the topologies");
    }

    fn effect_text(&self, effect: &Effect) -> String {
        match effect {
            Effect::Connect { connector, node, .. } => {
                let mut text = format!("-> {} connect {}", script::connector(*connector), short(node.name()));
                for address in node.addresses() {
                    write!(text, ":{address}").unwrap();
                }
                text
            }
            Effect::Disconnect { connector, node, .. } => {
                format!("-> {} disconnect {}", script::connector(*connector), short(node))
            }
            Effect::List { connector, .. } => format!("-> {} list", script::connector(*connector)),
            Effect::Cancel { connector, operation } => {
                let node =
                    self.played[connector].under_way.get(operation).map_or("list", |(node, _)| short(node));
                format!("-> {} cancel {node}", script::connector(*connector))
            }
        }
    }

    fn check_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { connector, operation, node, .. } => {
                assert_ne!(Some(node.name()), self.membership.local_name(), "nobody dials itself");
                self.begin(connector, operation, node.name().clone(), true);
            }
            Effect::Disconnect { connector, operation, node, .. } => {
                assert_ne!(Some(&node), self.membership.local_name(), "nobody cuts itself off");
                let is_kept = self.membership.connectors[&connector].links()[&node].kept.is_some();
                assert!(!is_kept, "{node} is cut although its connector keeps it");
                let claims = |topology: &super::super::Topology| {
                    topology.spec.connector == Some(connector) && topology.vouches.contains(&node)
                };
                let is_claimed = self.membership.topologies.values().any(claims);
                assert!(!is_claimed || Some(connector) == TCP, "{node} is vouched for and cut");
                self.begin(connector, operation, node, false);
            }
            Effect::List { connector, operation, .. } => {
                let played = self.played.get_mut(&connector).unwrap();
                assert!(played.asked.replace(operation).is_none(), "two questions under way");
                if played.answer == Some(Ok(())) {
                    let nodes = played.real.clone();
                    played.asked = None;
                    let operation = Some(operation);
                    let generation = self.membership.connectors[&connector].generation;
                    let input = LinkInput::Listed { generation, operation, nodes };
                    self.answers.push_back((connector, input));
                }
            }
            Effect::Cancel { connector, operation } => {
                let played = self.played.get_mut(&connector).unwrap();
                if played.asked == Some(operation) {
                    played.asked = None;
                } else {
                    let known = played.under_way.remove(&operation).is_some();
                    // The answer was given at once and lies in the mail.
                    assert!(known || played.answer.is_some(), "what is not under way is cancelled");
                }
            }
        }
    }

    fn begin(&mut self, id: ConnectorId, operation: OperationId, node: NodeName, dial: bool) {
        let played = self.played.get_mut(&id).unwrap();
        let same = played.under_way.values().any(|(other, _)| *other == node);
        assert!(!same, "two operations under way for {node}");
        played.under_way.insert(operation, (node.clone(), dial));
        assert!(played.under_way.len() <= DIALS_MAX, "too many operations under way");
        played.last.insert(node, (operation, dial));
        self.will_answer(id, operation);
    }

    /// Folds all events after any snapshot into it, and gets the last one.
    pub(super) fn check_fold(&self, pick: proptest::sample::Index) {
        let fold = |mut members: Members, from: u64| {
            for event in self.events.iter().filter(|event| event.revision > from) {
                match (&event.node, &event.member) {
                    (Some(node), Some(member)) => drop(members.insert(node.clone(), Arc::clone(member))),
                    (Some(node), None) => drop(members.remove(node)),
                    (None, _) => {}
                }
            }
            members
        };
        let last = self.snapshots.last().unwrap();
        let picked = pick.get(&self.snapshots);
        assert_eq!(fold(picked.members.clone(), picked.revision), last.members);
    }

    /// Nobody is a member by the word of a source that has buried it, unless the prune policy holds it back.
    fn check_buried(&self) {
        for ((name, node), dead) in &self.buried {
            let vouches = self.membership.topologies.get(&topology(name)).map(|topology| &topology.vouches);
            let Some(vouch) = vouches.and_then(|vouches| vouches.get(node)) else {
                continue;
            };
            let is_alive = vouch.node.incarnation().is_none_or(|incarnation| incarnation > *dead);
            assert!(is_alive || vouch.is_held(), "{node} is dead to {name}");
        }
    }
}

impl Played {
    fn really(&mut self, node: &NodeName, is_up: bool) {
        if is_up {
            self.real.insert(node.clone());
        } else {
            self.real.remove(node);
        }
    }

    /// The instance is gone, with its operations, and maybe with its links.
    fn end(&mut self, id: ConnectorId) {
        self.under_way.clear();
        self.asked = None;
        if Some(id) == TCP {
            self.real.clear();
        }
    }
}

pub(super) fn topology(name: &str) -> TopologyName {
    TopologyName::try_new(name).unwrap()
}

/// The clocks of a script: the wall clock begins with the epoch.
fn clock(begin: Instant, instant: Instant) -> Now {
    Now { instant, wall: UNIX_EPOCH + (instant - begin) }
}

fn event_text(event: &Event) -> String {
    let mut text = event.kind.to_string();
    match (&event.node, &event.member, &event.topology) {
        (Some(node), None, _) => write!(text, " {}", short(node)).unwrap(),
        (_, Some(member), _) => write!(text, " {}", member_text(member)).unwrap(),
        (None, None, Some(topology)) => write!(text, " {topology}").unwrap(),
        (None, None, None) => {}
    }
    if let Some(reason) = &event.reason {
        write!(text, ": {reason}").unwrap();
    }
    text
}

pub(super) fn member_text(member: &Member) -> String {
    let mut text = short(&member.name).to_owned();
    if let Some(incarnation) = member.incarnation {
        write!(text, "/{incarnation}").unwrap();
    }
    for address in member.addresses.iter() {
        write!(text, ":{address}").unwrap();
    }
    for (_, zone) in member.attributes.iter() {
        write!(text, "~{zone}").unwrap();
    }
    write!(text, " {}", member.state).unwrap();
    for vouched in member.topologies.iter() {
        write!(text, " {}={}", vouched.name, vouched.link).unwrap();
    }
    text
}
