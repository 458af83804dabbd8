//! A host that is a log and a few values, and a server of it, for the tests of the API, the client and the commands.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cluster_core::{
    Attributes, Cursor, Epoch, Event, EventKind, EventLog, Health, LinkState, LogOptions, Member,
    MemberState, Node, NodeName, Snapshot, TopologyStatus, Vouched,
    membership::explain::{Attempt, Explanation, LinkExplained, VouchExplained},
};
use cluster_sdk::OfferKind;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    AccessConfig, Activity, Answer, DiscoveryErrors, Forgotten, Limits, ListenAddress, Listener, PluginUse,
    Source, TopologyInfo, serve,
};
use crate::{
    Changes, HookChanges, HookInfo, Preview, Registry, ReloadError, Reloaded, connectors, metrics::Meters,
    readiness::Readiness,
};

pub(crate) const EPOCH: Epoch = Epoch(0x0192_a5c7_d1e8_f402);
/// Events that the log of a [`Fake`] keeps at most.
pub(crate) const RETENTION: usize = 4_096;

/// A point in time, so many milliseconds after a certain one.
pub(crate) fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600) + Duration::from_millis(milliseconds)
}

pub(crate) fn cursor(revision: u64) -> Cursor {
    Cursor { epoch: EPOCH, revision }
}

/// A member with all that a member can have.
pub(crate) fn member(name: &str) -> Member {
    let vouched = |name: &str, link, reason: Option<&str>| Vouched {
        name: name.parse().unwrap(),
        link,
        since: at(1_000),
        reason: reason.map(Into::into),
    };
    Member {
        name: name.parse().unwrap(),
        is_self: false,
        state: MemberState::Down,
        incarnation: Some(17),
        addresses: ["10.0.0.7:9000".to_owned(), "[fd00::7]:9000".to_owned()].into(),
        attributes: [("zone", "eu-1")].into_iter().collect(),
        topologies: [
            vouched("gossip", LinkState::None, None),
            vouched("mesh", LinkState::Down, Some("connection refused")),
        ]
        .into(),
        since: at(1_234),
        reason: Some("link lost: \"peer\" reset".into()),
    }
}

/// A member with as little as possible.
pub(crate) fn bare_member(name: &str, state: MemberState) -> Member {
    Member {
        name: name.parse().unwrap(),
        is_self: false,
        state,
        incarnation: None,
        addresses: [].into(),
        attributes: Attributes::default(),
        topologies: [].into(),
        since: at(0),
        reason: None,
    }
}

pub(crate) fn snapshot(revision: u64, members: impl IntoIterator<Item = Member>) -> Snapshot {
    let members = members.into_iter().map(|member| (member.name.clone(), Arc::new(member)));
    Snapshot { revision, members: members.collect(), ..Snapshot::default() }
}

pub(crate) fn event(revision: u64, kind: EventKind, member: Option<Member>) -> Event {
    Event {
        revision,
        kind,
        node: member.as_ref().map(|member| member.name.clone()),
        member: member.map(Arc::new),
        topology: None,
        status: None,
        reason: None,
        at: at(revision),
    }
}

pub(crate) fn topology() -> TopologyInfo {
    TopologyInfo {
        name: "gossip".parse().unwrap(),
        strategy: "gossip".to_owned(),
        plugin: Some("strategy-gossip".to_owned()),
        connector: "none".to_owned(),
        status: TopologyStatus {
            health: Health::Degraded,
            reason: Some("no route to host".into()),
            since: at(5_000),
            held: vec!["b@h".parse().unwrap()],
            remembered: vec!["d@h".parse().unwrap()],
            unclaimed: vec!["x@h".parse().unwrap()],
        },
        counters: [("datagrams_bad".to_owned(), 4)].into(),
        restarts: 1,
        last_report: Some(at(6_000)),
        last_view: Some(at(6_001)),
        errors: DiscoveryErrors { degraded: 3, denied: 1, refused: 0, ended: 2 },
    }
}

/// A hook that has worked once, and fails.
pub(crate) fn hook() -> HookInfo {
    HookInfo {
        name: "pager".to_owned(),
        action: "post https://pager.example/events".to_owned(),
        cursor: cursor(7),
        saved: Some(cursor(5)),
        save_failure: None,
        lag: Some(3),
        delivered: 7,
        failed: 2,
        given_up: 0,
        last_success: Some(at(1_000)),
        last_failure: Some((at(2_000), "503 Service Unavailable".to_owned())),
        next_try: Some(at(64_000)),
    }
}

pub(crate) fn explanation(name: &str) -> Explanation {
    let node =
        Node::try_new(name).unwrap().address("10.0.0.7:9000").with_incarnation(17).attribute("zone", "eu-1");
    let attempt = |milliseconds, failure: Option<&str>| Attempt {
        at: at(milliseconds),
        failure: failure.map(Into::into),
    };
    Explanation {
        name: name.parse().unwrap(),
        member: Some(Arc::new(member(name))),
        vouches: vec![VouchExplained {
            topology: "gossip".parse().unwrap(),
            node,
            since: at(0),
            renewed: at(57_000),
            expires: Some(at(87_000)),
            stale: false,
            absent_rounds: 1,
            held_until: Some(at(300_000)),
            remembered: true,
        }],
        links: vec![LinkExplained {
            connector: "tcp".into(),
            state: LinkState::Down,
            since: at(1_000),
            failures: 2,
            attempts: vec![
                attempt(500, None),
                attempt(2_000, Some("connection refused")),
                attempt(9_000, Some("no route to host")),
            ],
            next_attempt: Some(at(72_000)),
            kept: Some("it would cost others".into()),
        }],
        dead: vec![("gossip".parse().unwrap(), 16)],
    }
}

/// The host.
pub(crate) struct Fake {
    pub(crate) log: EventLog,
    pub(crate) activity: Arc<Activity>,
    node: NodeName,
    pub(crate) topologies: Vec<TopologyInfo>,
    pub(crate) readiness: Readiness,
    pub(crate) meters: Meters,
    /// Whether its owner answers at all, and what.
    pub(crate) alive: Option<bool>,
}

impl Fake {
    /// A host with these members at this revision.
    pub(crate) fn new(revision: u64, members: impl IntoIterator<Item = Member>) -> Self {
        let options = LogOptions { epoch: EPOCH, revision, retention_events_max: RETENTION };
        Self {
            log: EventLog::new(options, snapshot(revision, members)),
            activity: Arc::default(),
            node: "a@h".parse().unwrap(),
            topologies: vec![topology()],
            readiness: Readiness::default(),
            meters: Meters::new(at(0), "shop"),
            alive: Some(true),
        }
    }
}

impl Source for Fake {
    fn log(&self) -> &EventLog {
        &self.log
    }

    fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    fn node(&self) -> Option<NodeName> {
        Some(self.node.clone())
    }

    fn topologies(&self) -> Vec<TopologyInfo> {
        self.topologies.clone()
    }

    fn hooks(&self) -> Vec<HookInfo> {
        vec![hook()]
    }

    /// Nothing is known of who is no member; of one named `forgotten` there is an empty explanation.
    fn explain(&self, name: NodeName) -> Answer<'_, Option<Explanation>> {
        let (_, snapshot) = self.log.snapshot();
        let empty = |name: &NodeName| Explanation {
            name: name.clone(),
            member: None,
            vouches: Vec::new(),
            links: Vec::new(),
            dead: Vec::new(),
        };
        let known = snapshot.members.contains_key(&name).then(|| explanation(name.as_str()));
        let known = known.or_else(|| name.as_str().starts_with("forgotten").then(|| empty(&name)));
        Box::pin(async move { known })
    }

    /// Of one named `held` its topology lets go; who is a member else is still named; `a@h` is the host's own.
    fn forget(&self, name: NodeName) -> Answer<'_, Option<Forgotten>> {
        let topologies = || vec!["gossip".parse().unwrap()];
        let (_, snapshot) = self.log.snapshot();
        let forgotten = if name == self.node {
            Some(Forgotten { is_self: true, ..Forgotten::default() })
        } else if name.as_str().starts_with("held") {
            let dead = vec![("gossip".parse().unwrap(), 16)];
            let named_by = vec!["mesh".parse().unwrap()];
            Some(Forgotten { topologies: topologies(), dead, named_by, ..Forgotten::default() })
        } else {
            let named = || Forgotten { named_by: topologies(), ..Forgotten::default() };
            snapshot.members.contains_key(&name).then(named)
        };
        Box::pin(async move { forgotten })
    }

    /// What is linked in.
    fn plugins(&self) -> Answer<'_, (Arc<Registry>, Vec<PluginUse>)> {
        let registry = Registry::new().with_builtin(connectors::plugin()).unwrap();
        let uses = ["none", "tcp"].map(|name| PluginUse {
            topology: "gossip".parse().unwrap(),
            kind: OfferKind::Connector,
            name: name.to_owned(),
        });
        Box::pin(async move { (Arc::new(registry), uses.into()) })
    }

    /// A dry run finds something; the rest is refused.
    fn reload(&self, dry_run: bool) -> Answer<'_, Result<Reloaded, ReloadError>> {
        let name = || "office".parse().unwrap();
        let preview = Preview { joins: vec!["b@h".parse().unwrap()], ..Preview::default() };
        let reloaded = Reloaded {
            changes: Changes {
                added: vec![name()],
                hooks: HookChanges { added: vec!["pager".to_owned()], ..HookChanges::default() },
                ..Changes::default()
            },
            warnings: vec!["cluster.toml:3: seldom meant".to_owned()],
            previews: [(name(), Ok(preview))].into(),
        };
        Box::pin(
            async move { if dry_run { Ok(reloaded) } else { Err(ReloadError::Fixed(vec!["node.name"])) } },
        )
    }

    fn alive(&self) -> Answer<'_, bool> {
        let alive = self.alive;
        Box::pin(async move {
            match alive {
                Some(alive) => alive,
                None => std::future::pending().await,
            }
        })
    }

    fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    fn meters(&self) -> &Meters {
        &self.meters
    }
}

/// A server of a fake host.
pub(crate) struct Server {
    pub(crate) address: ListenAddress,
    pub(crate) log: EventLog,
    pub(crate) activity: Arc<Activity>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
    _scratch: TempDir,
}

impl Server {
    /// On a Unix socket.
    pub(crate) fn start(fake: Fake, limits: Limits) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let address = ListenAddress::Unix(scratch.path().join("api.sock"));
        Self::on(scratch, &address, fake, limits)
    }

    /// On a free port of loopback.
    pub(crate) fn start_tcp(fake: Fake, limits: Limits) -> Self {
        let address = ListenAddress::parse("127.0.0.1:0").unwrap();
        Self::on(tempfile::tempdir().unwrap(), &address, fake, limits)
    }

    /// On a free port of loopback, for whom the configuration says.
    pub(crate) fn start_guarded(fake: Fake, access: &AccessConfig) -> Self {
        let address = ListenAddress::parse("127.0.0.1:0").unwrap();
        let listener = Listener::bind_guarded(&address, access).unwrap();
        Self::listening(tempfile::tempdir().unwrap(), listener, fake, Limits::default())
    }

    fn on(scratch: TempDir, address: &ListenAddress, fake: Fake, limits: Limits) -> Self {
        Self::listening(scratch, Listener::bind(address).unwrap(), fake, limits)
    }

    fn listening(scratch: TempDir, listener: Listener, fake: Fake, limits: Limits) -> Self {
        let address = listener.address().clone();
        let (log, activity) = (fake.log.clone(), Arc::clone(&fake.activity));
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Dropped or used, either ends the server.
            let _stopped = stopped.await;
        };
        let served = tokio::spawn(serve(listener, Arc::new(fake), limits, shutdown));
        Self { address, log, activity, stop, served, _scratch: scratch }
    }

    /// Publishes events that lead to a snapshot.
    pub(crate) fn publish(
        &self,
        events: impl IntoIterator<Item = Event>,
        members: impl IntoIterator<Item = Member>,
    ) {
        let events: Vec<Event> = events.into_iter().collect();
        let revision = self.log.revision() + u64::try_from(events.len()).unwrap();
        self.log.publish(events, snapshot(revision, members));
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.served.await.unwrap().unwrap();
    }
}
