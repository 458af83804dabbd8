//! A process that writes, killed at random moments. `STATE_KILLS=10000` in the environment sets how often.
//!
//! The process is this test executable once more, with the one test [`writes`]. It says on its standard output what it
//! was told by the log, as any subscriber would be: what was said before the kill is what nobody may lose. Beside that it
//! has a hook, as a configuration names one, whose command writes down what it was given.

use std::{
    env,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use cluster_core::{Cursor, Start};
use serde_json::json;

use super::*;
use crate::{
    board::Board,
    config::Config,
    hooks::{HookInfo, Hooks},
};

const KILLS: &str = "STATE_KILLS";
const KILLS_DEFAULT: usize = 250;
const DIRECTORY: &str = "STATE_TEST_DIRECTORY";
const CURSOR: &str = "STATE_TEST_CURSOR";
/// Where the hook writes: beside the files of the state, which are told by their names.
const DELIVERED: &str = "delivered";
/// How long a process writes at most.
const LIFE_MAX: Duration = Duration::from_millis(30);
/// What a process says when it begins to write.
const BEGUN: &str = "begun";
/// Events that are on their way at most.
const AHEAD_MAX: u64 = 64;
/// Events after the cursor that the hook would have after a kill: fewer than are kept for it.
const LAG_MAX: u64 = 200;
/// So large that whoever resumes was never left behind.
const LIMITS: Limits = Limits {
    journal_events_max: 50,
    journal_bytes_max: 1 << 20,
    retention_events_max: 400,
    generations_max: 20,
};

/// Writes until it is killed, or so many events.
fn write(directory: &Path, cursor: Option<Cursor>, events_max: u64) {
    let mut random = fastrand::Rng::new();
    let opened = Opened::open(directory, identity(), LIMITS, Epoch(random.u64(..))).unwrap();
    let mut now = opened.snapshot.clone();
    std::io::stdout().lock().write_all(format!("\n{BEGUN}\n").as_bytes()).unwrap();
    let mut publisher = publisher(opened, PATIENT);
    let log = publisher.log().clone();
    let hook = Hook::start(directory, &log);
    let told = Arc::new(AtomicU64::new(now.revision));
    let subscription = log.subscribe(cursor.map_or(Start::Snapshot, Start::After));
    let teller = thread::spawn({
        let told = Arc::clone(&told);
        move || tell(subscription, &told)
    });
    let last = now.revision + events_max;
    while now.revision < last {
        let events: Vec<_> = (now.revision + 1..=now.revision + random.u64(1..6)).map(event).collect();
        events.iter().for_each(|event| now.fold(event));
        publisher.publish(events, now.clone());
        let is_behind = || hook.lag(&log, |hook| hook.saved.unwrap()).is_none_or(|lag| lag > LAG_MAX);
        while told.load(Ordering::Relaxed) + AHEAD_MAX < now.revision || is_behind() {
            thread::yield_now();
        }
    }
    // A stop gives a hook two seconds, which is not always enough here. What is not on disk yet is still to come.
    while log.revision() < now.revision || hook.lag(&log, |hook| hook.cursor) != Some(0) {
        thread::yield_now();
    }
    close(publisher);
    teller.join().unwrap();
    hook.end();
}

/// A hook on a runtime of its own.
struct Hook {
    board: Arc<Board>,
    works: thread::JoinHandle<()>,
}

// === impl Hook ===

impl Hook {
    /// One for each node that leaves, as its command takes longer than an event does.
    fn start(directory: &Path, log: &EventLog) -> Self {
        let file = directory.join(DELIVERED);
        let command = ["sh", "-c", r#"echo "$CLUSTER_ID" >> "$0""#, file.to_str().unwrap()];
        let config = Config::from_json(json!({
            "state": { "directory": directory },
            "on_event": [{ "name": "note", "command": command, "events": ["node_left"] }],
        }));
        let (config, log, board) = (config.unwrap(), log.clone(), Arc::new(Board::default()));
        let (begin, begun) = mpsc::channel();
        let works = thread::spawn({
            let board = Arc::clone(&board);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut hooks = Hooks::default();
                    hooks.apply(&config, &log, &board);
                    begin.send(()).unwrap();
                    let mut events = log.subscribe(Start::Now);
                    while events.next().await.is_some() {}
                    hooks.stop().await;
                });
            }
        });
        // Before anything is published.
        begun.recv().unwrap();
        Self { board, works }
    }

    /// How many events there are after a cursor of the hook.
    fn lag(&self, log: &EventLog, cursor: impl Fn(&HookInfo) -> Cursor) -> Option<u64> {
        let infos = self.board.hooks.infos(log);
        log.revision().checked_sub(cursor(infos.first()?).revision)
    }

    fn end(self) {
        self.works.join().unwrap();
    }
}

/// What the hook was given is each revision that is its own, in order, some of them once more after a kill, up to the
/// last one or nearly so.
#[track_caller]
fn check_delivered(directory: &Path, epoch: Epoch, to: u64) {
    let text = std::fs::read_to_string(directory.join(DELIVERED)).unwrap_or_default();
    let mut next = own_revision(1);
    for line in text.lines() {
        let at = Cursor::parse(line, FRESH).unwrap();
        assert_eq!(at.epoch, epoch);
        assert!(at.revision <= next, "{line} is given before {next}");
        if at.revision == next {
            next = own_revision(next + 1);
        }
    }
    assert!(next > to, "{next} was not given");
}

/// The next one of these that the hook is for.
fn own_revision(mut revision: u64) -> u64 {
    while event(revision).kind != EventKind::NodeLeft {
        revision += 1;
    }
    revision
}

/// Says what it is told, until the log ends.
fn tell(mut subscription: Subscription<Event, Snapshot>, told: &AtomicU64) {
    block_on(async {
        while let Some(delivery) = subscription.next().await {
            let mut text = String::new();
            match delivery {
                Delivery::Resync { .. } => writeln!(text, "resync {}", subscription.cursor()).unwrap(),
                Delivery::Events(batch) => {
                    let epoch = subscription.cursor().epoch;
                    for (revision, event) in batch.iter() {
                        assert_eq!(*event, self::event(revision));
                        writeln!(text, "told {epoch}:{revision}").unwrap();
                    }
                }
            }
            std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
            told.store(subscription.cursor().revision, Ordering::Relaxed);
        }
    });
}

/// The process that is killed. By itself it writes some events and is not killed: then all of them are there.
#[test]
fn writes() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        let cursor = env::var(CURSOR).ok().map(|cursor| Cursor::parse(&cursor, FRESH).unwrap());
        write(Path::new(&directory), cursor, u64::MAX / 2);
    } else {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), None, 500);
        let opened = Opened::open(directory.path(), identity(), LIMITS, FRESH).unwrap();
        assert!(opened.snapshot.revision >= 500);
        check_delivered(directory.path(), opened.epoch, opened.snapshot.revision);
        check_is(&opened, opened.epoch, opened.snapshot.revision);
    }
}

fn start(directory: &Path, cursor: Option<Cursor>) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "state::tests::killed::writes", "--nocapture"]).env(DIRECTORY, directory);
    if let Some(cursor) = cursor {
        command.env(CURSOR, cursor.to_string());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills a process so long after it has begun to write, or after it was started, and gives what it has said.
fn kill(mut child: Child, life: Duration, is_early: bool) -> Vec<String> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let (begin, begun) = mpsc::channel::<()>();
    let killer = thread::spawn(move || {
        if !is_early {
            begun.recv().unwrap();
        }
        let (_never, ends) = mpsc::channel::<()>();
        let _over = ends.recv_timeout(life);
        child.kill().unwrap();
        child.wait().unwrap()
    });
    let mut lines = Vec::new();
    for line in output.lines().map_while(Result::ok) {
        if line == BEGUN {
            // One that is killed early does not wait for it.
            let _is_early = begin.send(());
        }
        lines.push(line);
    }
    drop(begin);
    killer.join().unwrap();
    lines
}

/// Whatever the moment in which the process is killed: what there is can be loaded, the epoch goes on, nothing that was
/// told is lost, whoever resumes sees each event once, and a hook each that is its own, in order.
#[test]
fn at_random_moments() {
    let kills = env::var(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::new();
    let mut cursor: Option<Cursor> = None;
    let mut members = Snapshot::default();
    let (mut beyond, mut in_vain) = (0_u64, 0_u64);
    for kill in 0..kills {
        let life = LIFE_MAX.mul_f64(random.f64());
        let is_early = kill % 8 == 0;
        let said = self::kill(start(directory.path(), cursor), life, is_early);
        let before = cursor;
        for line in said {
            match (line.split_once(' '), cursor) {
                (Some(("told", at)), Some(known)) => {
                    let next = Cursor { revision: known.revision + 1, ..known };
                    assert_eq!(at, next.to_string(), "after kill {kill}");
                    cursor = Some(next);
                }
                (Some(("resync", at)), None) => cursor = Some(Cursor::parse(at, FRESH).unwrap()),
                (Some(("told" | "resync", _)), _) => panic!("kill {kill}: {line:?} after {cursor:?}"),
                // The test harness has its say as well.
                _ => {}
            }
        }
        in_vain += u64::from(before == cursor);
        let opened = Opened::open(directory.path(), identity(), LIMITS, FRESH).unwrap();
        let revision = opened.snapshot.revision;
        if let Some(cursor) = cursor {
            assert_eq!(opened.epoch, cursor.epoch, "kill {kill}");
            assert!(revision >= cursor.revision, "kill {kill}: {revision} is before {cursor}");
            beyond += u64::from(revision > cursor.revision);
        }
        (members.revision + 1..=revision).for_each(|revision| members.fold(&event(revision)));
        assert_eq!(
            (opened.snapshot.revision, &opened.snapshot.members),
            (members.revision, &members.members)
        );
        assert!(opened.events.len() >= 300.min(usize::try_from(revision).unwrap()), "kill {kill}");
        check_events(&opened);
    }
    let revision = members.revision;
    // The last one is left alone, and all is delivered.
    write(directory.path(), cursor, 1);
    check_delivered(directory.path(), cursor.unwrap().epoch, revision);
    println!(
        "{kills} kills, {revision} events; {in_vain} before anything was told, {beyond} with events on disk that were not told"
    );
    assert!(revision > 0 && beyond > 0);
}
