use std::{fs, path::Path, time::Duration};

use cluster_sdk::{
    Completeness,
    serde_json::{Value, json},
    testing::TestHost,
};
use tokio::time::Instant;

use super::*;
use crate::testing::{check_config, check_failure, names, view, wait_healthy, wait_names, wait_reason, with};

/// How long anything may take, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(20);

/// The strategy with a shell script as its command.
fn script(script: &str, options: Value) -> TestHost {
    let config = json!({ "command": ["sh", "-c", script], "interval": "100ms" });
    TestHost::strategy::<Exec>(with(config, options)).unwrap()
}

fn numbers(file: &Path) -> Vec<i32> {
    fs::read_to_string(file).unwrap_or_default().lines().map_while(|line| line.parse().ok()).collect()
}

/// Waits until none of these processes is there, not even as a zombie of ours. What another has adopted, it may reap
/// late.
#[track_caller]
fn wait_gone(processes: &[i32]) {
    let deadline = Instant::now() + DEADLINE;
    let is_there = |process: &i32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let (_, state) = stat.rsplit_once(") ").unwrap_or_default();
        let is_ours = state.split(' ').nth(1) == Some(&std::process::id().to_string());
        !stat.is_empty() && (is_ours || !state.starts_with('Z'))
    };
    while processes.iter().any(is_there) {
        assert!(Instant::now() < deadline, "still there: {processes:?}");
        std::thread::yield_now();
    }
}

/// Waits until a file has so many numbers of processes.
#[track_caller]
fn wait_numbers(file: &Path, count: usize) -> Vec<i32> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = numbers(file);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        std::thread::yield_now();
    }
}

/// Names or JSON, again and again; the source may say that it is partial.
#[test]
fn prints() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    fs::write(&list, "a@h\nb@h # two\n").unwrap();
    let host = script(&format!("cat {}", list.display()), json!({}));
    assert_eq!(names(&view(&host)), ["a@h", "b@h"]);
    let replaced = directory.path().join("new");
    fs::write(&replaced, r#"{ "nodes": [{ "name": "c@h" }], "partial": true }"#).unwrap();
    fs::rename(&replaced, &list).unwrap();
    assert_eq!(wait_names(&host, &["c@h"]).completeness, Completeness::Partial);
    assert_eq!(wait_reason(&host), "the list says that it is partial: nobody goes by it");
    fs::write(&replaced, "[]").unwrap();
    fs::rename(&replaced, &list).unwrap();
    assert_eq!(wait_names(&host, &[]).completeness, Completeness::Complete);
    wait_healthy(&host);
}

/// What fails, or prints what cannot be read, is an error that says why, and no list.
#[test]
fn failures() {
    for (text, begin, end) in [
        (
            "echo a@h; echo >&2 first; echo >&2 '  no such host  '; exit 1",
            "\"sh\": no such host (exit code 1)",
            "",
        ),
        ("echo a@h; exit 3", "\"sh\": exit code 3, and nothing on its standard error", ""),
        ("kill -9 $$", "\"sh\": killed by signal 9", ""),
        ("printf 'a\\033[2Jb' >&2; exit 1", "\"sh\": a[2Jb (exit code 1)", ""),
        ("true", "\"sh\" has printed nothing: where nobody is there, have it print []", ""),
        ("echo '  '", "\"sh\" has printed nothing", ""),
        ("false | cat", "\"sh\" has printed nothing", ""),
        (
            "echo a@h; echo Segmentation fault",
            "what \"sh\" has printed: line 2: node name \"Segmentation fault\"",
            "",
        ),
        ("echo '{\"a\": 1'", "what \"sh\" has printed: it is no JSON: EOF", ""),
        ("head -c 900 /dev/urandom; printf '\\377'", "what \"sh\" has printed: line ", ""),
        ("echo [5]", "item 1: it is a number: nodes are texts or objects", ""),
        (
            "exec 2>&-; yes a@h",
            "\"sh\": has printed more than 1000 bytes, and was killed",
            "have it print less",
        ),
        ("sleep 1000", "\"sh\": not done within 2000ms, and killed", "see what it waits for"),
    ] {
        let host = script(text, json!({ "output_bytes_max": 1000, "timeout": "2s" }));
        check_failure(&host, begin, end);
    }
    let host = TestHost::strategy::<Exec>(json!({ "command": ["/does/not/exist"] })).unwrap();
    check_failure(
        &host,
        "\"/does/not/exist\": cannot be started: No such file",
        "is it installed, executable and in PATH?",
    );
}

/// After a failure what was known stands, and when it is over all is well again.
#[test]
fn recovers() {
    let directory = tempfile::tempdir().unwrap();
    let flag = directory.path().join("fail");
    let host = script(&format!("test ! -e {} && echo a@h", flag.display()), json!({}));
    assert_eq!(names(&view(&host)), ["a@h"]);
    fs::write(&flag, "").unwrap();
    assert!(wait_reason(&host).contains("exit code 1"));
    fs::remove_file(&flag).unwrap();
    wait_healthy(&host);
    assert_eq!(names(&view(&host)), ["a@h"]);
    let counters =
        host.wait_for_status(|status| status.counters.contains_key("failed_rounds")).unwrap().counters;
    assert!(counters["rounds"] > counters["failed_rounds"]);
}

/// Bad items are told, and the good ones count, as a part.
#[test]
fn items() {
    let host = script(r#"echo '["a@h", "b"]'"#, json!({}));
    let found = view(&host);
    assert_eq!((names(&found), found.completeness), (vec!["a@h".to_owned()], Completeness::Partial));
    let reason = wait_reason(&host);
    assert!(reason.starts_with("item 2: node name \"b\" is not of the form"), "{reason}");
}

/// A part with nobody in it is no list.
#[test]
fn empty_part() {
    let host = script(r#"echo '{ "nodes": [], "partial": true }'"#, json!({}));
    check_failure(&host, "the list says that it is partial: nobody goes by it", "");
}

/// The command has no more of the host's environment than it needs, and what the config gives it; it reads nothing.
#[test]
fn environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "hunter2\n").unwrap();
    let text =
        "cat; env | sed -n 's/=.*//p' | sed 's/.*/&@h/'; test \"$HANDED\" = \"$PATH\" && echo $TOKEN@handed";
    let env = json!({ "TOKEN": { "file": file }, "HANDED": { "env": "PATH" } });
    let found = names(&view(&script(text, json!({ "env": env }))));
    // Those with small letters and with _ are the shell's own.
    let own = ["PWD@h", "OLDPWD@h", "SHLVL@h", "_@h"];
    let mut found: Vec<_> = found.iter().map(String::as_str).filter(|name| !own.contains(name)).collect();
    let kept = ["HOME@h", "LANG@h", "TZ@h", "TMPDIR@h", "SSL_CERT_FILE@h", "SSL_CERT_DIR@h"];
    found.retain(|name| !kept.contains(name) && !name.starts_with("LC_"));
    assert_eq!(found, ["HANDED@h", "PATH@h", "TOKEN@h", "hunter2@handed"]);
    let host = script("echo $TOKEN is wrong >&2; exit 1", json!({ "env": { "TOKEN": { "file": file } } }));
    check_failure(&host, "\"sh\": *** is wrong (exit code 1)", "");
    let host = script("echo a@h", json!({ "env": { "A": { "env": "SURELY_NOT_SET" } } }));
    check_failure(
        &host,
        "\"sh\": its variable A: environment variable \"SURELY_NOT_SET\" of a secret is not set",
        "",
    );
}

/// A command that hangs is killed with its children; nothing is left, not even a zombie.
#[test]
fn hangs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("numbers");
    let text = format!("sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait", file.display());
    let host = script(&text, json!({ "timeout": "500ms" }));
    check_failure(&host, "\"sh\": not done within 500ms, and killed", "");
    wait_gone(wait_numbers(&file, 2).get(..2).unwrap());
}

/// What it leaves running, holding its output open, does not delay the list, and is ended; so it does not pile up.
#[test]
fn leaves_children() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("numbers");
    let host =
        script(&format!("sleep 1000 & echo $! >> {}; echo a@h", file.display()), json!({ "interval": "1h" }));
    assert_eq!(names(&view(&host)), ["a@h"]);
    wait_gone(&wait_numbers(&file, 1));
    // One that has left the group cannot be ended, but keeps nobody waiting.
    let text = format!(
        "setsid sleep 1000 & echo $! >> {}; until grep -q sleep /proc/$!/comm; do :; done; echo b@h",
        file.display()
    );
    let host = script(&text, json!({ "interval": "1h" }));
    check_failure(&host, "\"sh\": something that it has started holds its output open", "");
    let escaped = numbers(&file)[1];
    kill_process(escaped);
    wait_gone(&[escaped]);
}

fn kill_process(process: i32) {
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
}

/// A topology that stops kills the command that runs, with its children.
#[test]
fn stops() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("numbers");
    let text = format!("sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait", file.display());
    let host = script(&text, json!({ "timeout": "1h" }));
    let running = wait_numbers(&file, 2);
    host.stop().unwrap();
    wait_gone(&running);
}

/// What makes no sense is told with its place.
#[test]
fn options() {
    check_config::<Exec>(
        json!({ "command": ["a"], "name_template": "app@{ip}", "port": 1, "pointer": "" }),
        &[],
    );
    check_config::<Exec>(json!({ "command": [] }), &["command: names no program"]);
    check_config::<Exec>(json!({ "command": ["a", "b\0"] }), &["command[1]: has a NUL byte"]);
    check_config::<Exec>(json!({ "comand": ["a"] }), &["comand: unknown key; did you mean `command`?"]);
    check_config::<Exec>(
        json!({ "command": ["a"], "env": { "A=B": "c" } }),
        &["env.\"A=B\": is not the name of a variable"],
    );
    check_config::<Exec>(
        json!({ "command": ["a"], "interval": 1, "timeout": 0, "output_bytes_max": 0 }),
        &["interval: 1ms is not between", "timeout: 0s is not between", "output_bytes_max: 0 is not between"],
    );
    check_config::<Exec>(
        json!({ "command": ["a"], "pointer": "a", "name_template": "app", "port": 0, "addresses": [""] }),
        &[
            "addresses[0]: names no field: write one as",
            "name_template: \"app\" has no placeholder",
            "pointer: \"a\" is not a JSON pointer: it begins with a slash",
            "port: a port is from 1 to 65535",
        ],
    );
}
