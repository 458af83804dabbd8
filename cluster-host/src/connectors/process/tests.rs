use std::{collections::BTreeMap, fs, path::Path, thread};

use tokio::time::{Instant, sleep};

use super::*;

/// Nothing that is set or passed on.
const PLAIN: Environment<'_> = Environment { env: &BTreeMap::new(), pass_env: &[] };

/// Runs a shell script as a connector does: on a current-thread runtime on a thread that is not the first.
fn run_script(script: &str, stdout_bytes_max: usize) -> io::Result<Finished> {
    on_a_thread(
        async move |script: String| run("sh", &["-c", &script, "sh", "a@b"], PLAIN, stdout_bytes_max).await,
        script,
    )
}

fn on_a_thread<T: Send>(work: impl AsyncFnOnce(String) -> T + Send, script: &str) -> T {
    let script = script.to_owned();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(script))
        });
        thread.join().unwrap()
    })
}

/// Success says nothing; a failure says its first line on standard error, else how the command ended.
#[test]
fn how_commands_end() {
    for (script, expected) in [
        ("exit 0", None),
        ("echo trouble >&2; exit 0", None),
        ("exit 3", Some("exit status: 3")),
        ("kill -9 $$", Some("signal: 9 (SIGKILL)")),
        ("echo >&2; echo '  no such node  ' >&2; echo second >&2; exit 1", Some("no such node")),
        ("printf 'a\\033[2Jb' >&2; exit 1", Some("a[2Jb")),
        ("echo \"$1 unknown\" >&2; exit 1", Some("a@b unknown")),
        ("cat; exit 0", None),
    ] {
        let finished = run_script(script, 0).unwrap();
        assert_eq!(finished.failure().as_deref(), expected, "{script}");
    }
    let missing = on_a_thread(async |_| run("/does/not/exist", &[], PLAIN, 0).await, "").unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

/// Output beyond the limit is read, so that the command ends, and noted, so that nobody takes a part for the whole.
#[test]
fn output_is_bounded() {
    let finished = run_script("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", 1000).unwrap();
    assert_eq!((finished.stdout.len(), finished.is_cut, finished.failure()), (1000, true, None));
    let finished = run_script("printf a@b", 3).unwrap();
    assert_eq!((finished.stdout.as_slice(), finished.is_cut), (b"a@b".as_slice(), false));
}

/// What a command leaves running in the background, with its output still open, neither delays its end nor dies.
#[test]
fn background_children_live() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let begun = Instant::now();
    let finished = run_script(&format!("sleep 1000 & echo $! > {}", file.display()), 100).unwrap();
    assert_eq!(finished.failure(), None);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let pid = pids(&file)[0];
    assert!(is_alive(pid));
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Who stops waiting kills the command and its children, and leaves no zombie.
#[test]
fn dropping_kills_the_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let script =
        format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; echo done >> {0}; wait", file.display());
    on_a_thread(
        async |script| {
            let mut running = Box::pin(async move { run("sh", &["-c", &script], PLAIN, 0).await });
            let deadline = Instant::now() + Duration::from_secs(20);
            while fs::read_to_string(&file).map_or(0, |text| text.lines().count()) < 3 {
                assert!(Instant::now() < deadline, "the command does not start");
                tokio::select! {
                    finished = &mut running => panic!("ended: {finished:?}"),
                    () = sleep(Duration::from_millis(5)) => {}
                }
            }
            drop(running);
            // The shell is this process's child: once it is reaped it does not even exist as a zombie.
            let [child, shell] = pids(&file)[..] else { panic!("two numbers") };
            while is_alive(child) || Path::new(&format!("/proc/{shell}")).exists() {
                assert!(Instant::now() < deadline, "still there");
                sleep(Duration::from_millis(5)).await;
            }
        },
        &script,
    );
}

fn pids(file: &Path) -> Vec<i32> {
    fs::read_to_string(file).unwrap().lines().map_while(|line| line.parse().ok()).collect()
}

/// Whether a process runs: who has adopted an orphan may reap it late.
fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
