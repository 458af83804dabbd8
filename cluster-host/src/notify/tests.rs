//! What the service manager is told, read from the socket that it would listen on.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use cluster_core::{NodeName, TopologyName, TopologyStatus};
use tokio::sync::mpsc;

use super::*;
use crate::{
    Config, Host, Registry,
    api::testing::{at, bare_member, snapshot},
    owner::Command,
};

/// How long anything may take, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(30);

/// A service manager's end, and the environment that leads to it.
struct Manager {
    socket: tokio::net::UnixDatagram,
    environment: BTreeMap<&'static str, OsString>,
}

// === impl Manager ===

impl Manager {
    fn new(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
        Self { socket, environment: BTreeMap::from([("NOTIFY_SOCKET", path.into())]) }
    }

    fn notifier(&self) -> Notifier {
        Notifier::new(&|name| self.environment.get(name).cloned(), 7)
    }

    async fn message(&self) -> String {
        let mut bytes = [0; 4096];
        let received = tokio::time::timeout(DEADLINE, self.socket.recv(&mut bytes)).await;
        let length = received.expect("no message").unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Nothing has come.
    fn is_silent(&self) -> bool {
        self.socket.try_recv(&mut [0; 16]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A host without anything, whose configuration is in this file.
fn host(file: &Path) -> Host {
    let loaded = Config::parse(file, "", &|_| None).unwrap();
    Host::builder(loaded.config, Registry::scan("/nowhere".as_ref())).reload_from(file).start().unwrap()
}

/// Members that are up are counted, and topologies that are not well are named, the first of them.
#[test]
fn status_lines() {
    let members =
        [("a@h", MemberState::Up), ("b@h", MemberState::Down)].map(|(name, state)| bare_member(name, state));
    let mut shown = snapshot(1, members);
    assert_eq!(line(&shown), "1 of 2 members up");
    let all = [Health::Degraded, Health::Running, Health::Denied, Health::Stopped, Health::Starting];
    for (index, health) in all.into_iter().enumerate() {
        let name: TopologyName = format!("t{index}").parse().unwrap();
        let status = TopologyStatus {
            health,
            reason: None,
            since: at(0),
            held: Vec::<NodeName>::new(),
            unclaimed: Vec::new(),
            remembered: Vec::new(),
        };
        shown.topologies.insert(name, Arc::new(status));
    }
    assert_eq!(line(&shown), "1 of 2 members up; t0 is degraded, t2 is denied, t3 has stopped, 1 more");
}

/// The watchdog counts where it is meant for this process, and without a socket there is nobody to speak to.
#[test]
fn environments() {
    let notifier = |variables: &[(&str, &str)]| {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let made = Notifier::new(&find, 7);
        (made.socket.is_some(), made.watchdog.map(|watchdog| watchdog.as_millis()))
    };
    let socket = ("NOTIFY_SOCKET", "/run/systemd/notify");
    let usec = ("WATCHDOG_USEC", "30000000");
    assert_eq!(notifier(&[]), (false, None));
    assert_eq!(notifier(&[usec]), (false, None));
    assert_eq!(notifier(&[("NOTIFY_SOCKET", ""), usec]), (false, None));
    assert_eq!(notifier(&[socket]), (true, None));
    assert_eq!(notifier(&[("NOTIFY_SOCKET", "@abstract"), usec]), (true, Some(30_000)));
    assert_eq!(notifier(&[socket, usec, ("WATCHDOG_PID", "7")]), (true, Some(30_000)));
    assert_eq!(notifier(&[socket, usec, ("WATCHDOG_PID", "8")]), (true, None));
    assert_eq!(notifier(&[socket, usec, ("WATCHDOG_PID", "me")]), (true, None));
    assert_eq!(notifier(&[socket, ("WATCHDOG_USEC", "0")]), (true, None));
    assert_eq!(notifier(&[("NOTIFY_SOCKET", &"/x".repeat(200))]), (false, None));
}

/// An address in the abstract namespace is reached too.
#[tokio::test]
async fn abstract_address() {
    let name = format!("cluster-host-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::UnixDatagram::from_std(socket).unwrap();
    let environment = BTreeMap::from([("NOTIFY_SOCKET", format!("@{name}").into())]);
    let manager = Manager { socket, environment };
    manager.notifier().stopping().await;
    assert_eq!(manager.message().await, "STOPPING=1\nSTATUS=stopping");
}

/// A reload says when it began, by the monotonic clock, and one that was refused shows until another is not.
#[tokio::test]
async fn a_life() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::new(directory.path());
    let file = directory.path().join("cluster.toml");
    let (notifier, host) = (manager.notifier(), host(&file));
    notifier.ready(host.handle()).await;
    assert_eq!(manager.message().await, "READY=1\nSTATUS=0 of 0 members up");
    let micros = || u64::try_from(clock_gettime(ClockId::Monotonic).tv_sec).unwrap() * 1_000_000;
    let before = micros();
    notifier.reloading().await;
    let message = manager.message().await;
    let began: u64 = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!((before..=micros() + 1_000_000).contains(&began), "{message}");
    fs::write(&file, "nonsense = 1\n").unwrap();
    host.handle().reload().await.unwrap_err();
    notifier.ready(host.handle()).await;
    let refused = "READY=1\nSTATUS=reload refused, runs as before: 0 of 0 members up";
    assert_eq!(manager.message().await, refused);
    fs::write(&file, "").unwrap();
    host.handle().reload().await.unwrap();
    notifier.ready(host.handle()).await;
    assert_eq!(manager.message().await, "READY=1\nSTATUS=0 of 0 members up");
    let handle = host.handle().clone();
    host.stop().await;
    notifier.ready(&handle).await;
    assert!(manager.is_silent(), "one that has stopped is not ready");
}

/// A sign of life follows an answer of the owner, and nothing else.
#[tokio::test]
async fn an_owner_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let mut manager = Manager::new(directory.path());
    manager.environment.insert("WATCHDOG_USEC", "20000".into());
    let (commands, mut asked) = mpsc::channel(1);
    let handle = HostHandle::asking(commands);
    let notifier = manager.notifier();
    let following = tokio::spawn(async move { notifier.follow(&handle).await });
    assert_eq!(manager.message().await, "STATUS=0 of 0 members up");
    for _ in 0..3 {
        let Some(Command::Ping(answer)) = asked.recv().await else { panic!("something else is asked") };
        tokio::task::yield_now().await;
        assert!(manager.is_silent(), "nobody has answered yet");
        answer.send(()).unwrap();
        assert_eq!(manager.message().await, "WATCHDOG=1");
    }
    following.abort();
}

/// A reload that is refused shows, whoever asked for it.
#[tokio::test]
async fn a_refused_reload() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::new(directory.path());
    let file = directory.path().join("cluster.toml");
    let host = host(&file);
    let (notifier, handle) = (manager.notifier(), host.handle().clone());
    let following = tokio::spawn(async move { notifier.follow(&handle).await });
    assert_eq!(manager.message().await, "STATUS=0 of 0 members up");
    host.handle().reload().await.unwrap_err();
    assert_eq!(manager.message().await, "STATUS=reload refused, runs as before: 0 of 0 members up");
    host.stop().await;
    following.await.unwrap();
}

/// What happens in the cluster becomes the status.
#[tokio::test]
async fn status_follows() {
    let directory = tempfile::tempdir().unwrap();
    let manager = Manager::new(directory.path());
    let (commands, _asked) = mpsc::channel(1);
    let handle = HostHandle::asking(commands);
    let (notifier, log) = (manager.notifier(), handle.log().clone());
    let following = tokio::spawn(async move { notifier.follow(&handle).await });
    assert_eq!(manager.message().await, "STATUS=0 of 0 members up");
    let member = bare_member("a@h", MemberState::Up);
    let event = crate::api::testing::event(1, cluster_core::EventKind::NodeUp, Some(member.clone()));
    log.publish(vec![event], snapshot(1, [member]));
    assert_eq!(manager.message().await, "STATUS=1 of 1 members up");
    log.close();
    following.await.unwrap();
}
