//! Real logs, real commands, a real HTTP server. A wait is for a condition, never for time.

mod delivery;
mod documents;
mod places;
mod steering;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use cluster_core::{Epoch, Event, EventKind, EventLog, LogOptions, Member, MemberState};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::sleep};

use super::*;
use crate::api::testing::{bare_member, event, snapshot};

const EPOCH: Epoch = Epoch(7);
/// How long anything may take, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(60);

/// Hooks of a log, as a host has them.
struct Rig {
    log: EventLog,
    board: Arc<Board>,
    hooks: Hooks,
    scratch: TempDir,
    members: Vec<Member>,
}

impl Rig {
    fn new() -> Self {
        Self::retaining(1_000)
    }

    fn retaining(retention_events_max: usize) -> Self {
        let options = LogOptions { epoch: EPOCH, revision: 0, retention_events_max };
        Self {
            log: EventLog::new(options, snapshot(0, [])),
            board: Arc::default(),
            hooks: Hooks::default(),
            scratch: tempfile::tempdir().unwrap(),
            members: Vec::new(),
        }
    }

    /// A configuration with a state directory; `DIR` stands for the scratch directory.
    fn config(&self, hooks: &str) -> Config {
        let text = format!("cluster = \"shop\"\nstate.directory = \"DIR/state\"\n{hooks}");
        let text = text.replace("DIR", &self.scratch.path().display().to_string());
        let loaded = Config::parse("host.toml".as_ref(), &text, &|_| None);
        loaded.unwrap_or_else(|problems| panic!("{problems:?}")).config
    }

    fn apply(&mut self, hooks: &str) {
        let config = self.config(hooks);
        self.hooks.apply(&config, &self.log, &self.board);
    }

    /// So many nodes more come up: an event each.
    fn publish(&mut self, count: u64) {
        for _ in 0..count {
            let name = format!("n{}@h", self.log.revision() + 1);
            self.happen(EventKind::NodeUp, &name);
        }
    }

    fn happen(&mut self, kind: EventKind, name: &str) {
        let revision = self.log.revision() + 1;
        let member = bare_member(name, MemberState::Up);
        self.members.push(member.clone());
        let event: Event = event(revision, kind, Some(member));
        self.log.publish([event], snapshot(revision, self.members.iter().cloned()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The lines of a file.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn find(&self, name: &str) -> Option<HookInfo> {
        self.board.hooks.infos(&self.log).into_iter().find(|info| info.name == name)
    }

    fn info(&self, name: &str) -> HookInfo {
        self.find(name).unwrap_or_else(|| panic!("no hook {name}"))
    }

    /// Waits until something is so.
    #[track_caller]
    fn wait(&self, what: &str, mut until: impl FnMut(&Self) -> bool) -> impl Future<Output = ()> {
        let deadline = clock::now().instant + DEADLINE;
        async move {
            while !until(self) {
                let infos = self.board.hooks.infos(&self.log);
                assert!(clock::now().instant < deadline, "waiting for {what}: {infos:#?}");
                sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Waits until a hook has nothing left to do, and its place is written.
    async fn wait_done(&self, name: &str) {
        self.wait("all to be delivered and saved", |rig| {
            // One that was removed may have to end before it is there again.
            rig.find(name).is_some_and(|info| info.lag == Some(0) && info.saved == Some(info.cursor))
        })
        .await;
    }
}

/// A life of a host, which ends as by `kill -9`: nothing of it is waited for.
fn life<T>(work: impl AsyncFnOnce() -> T) -> T {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(work());
    runtime.shutdown_background();
    result
}

/// The revisions that are told in lines `EPOCH:REVISION …`.
fn revisions(lines: &[String]) -> Vec<u64> {
    let revision = |line: &String| line.split([':', ' ']).nth(1).unwrap().parse().unwrap();
    lines.iter().map(revision).collect()
}

fn up_to(revision: u64) -> Vec<u64> {
    (1..=revision).collect()
}

/// A hook that writes a line `ID EVENT NODE` for each event. (In a configuration `$$` is one `$`.)
const LINES: &str = r#"
[[on_event]]
name = "lines"
command = ["sh", "-c", "echo $CLUSTER_ID $CLUSTER_EVENT $CLUSTER_NODE >> DIR/lines"]
"#;
