//! What a plugin can do to its process, by name.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _};

use rustix::process::{Pid, Signal, kill_process};

use super::{STEADY, check_steady, children, start, wait_topology};
use crate::host::{FAULTY, Host, Launch, Plugins, built, cluster_host, outcome};

/// A fault, and a part of what is told of it.
const FAULTS: [(&str, &str); 17] = [
    ("panic", "panicked: boom"),
    ("error", "failed: the source is gone"),
    ("segv", "signal 11 (SIGSEGV)"),
    ("abort", "signal 6 (SIGABRT)"),
    ("double_free", "signal 6 (SIGABRT)"),
    ("stack_overflow", "signal "),
    ("oom", "signal 6 (SIGABRT); its last line was \"memory allocation of 1048576 bytes failed\""),
    ("spin", "no sign of life within 2s"),
    ("deadlock", "no sign of life within 2s"),
    ("thread_leak", "one thread more"),
    ("fd_leak", "one descriptor more"),
    ("exit", "ended by itself, with exit code 0"),
    ("large_frame", "it sent a frame of 1073741824 bytes where 1048576 are the most"),
    ("garbage", "it sent a frame that means nothing (tag 238)"),
    ("noise", "its last line was \"enough\""),
    ("fork", "signal 6 (SIGABRT)"),
    ("cut", "failed: said"),
];

/// A topology that breaks in this way 50 ms after it has reported a node of its own. What hangs is soon found out; the
/// others may take their time on a busy machine.
pub(super) fn broken(name: &str, how: &str, config: &str, opts: &str) -> String {
    let hang_after = if matches!(how, "spin" | "deadlock") { "2s" } else { "1m" };
    let nodes = format!("nodes = [\"{name}@10.1.0.1\"], after_ms = 50");
    format!(
        "[topologies.{name}]\nstrategy = \"breaks\"\nconnect = \"none\"\n\
         config = {{ how = \"{how}\", {nodes}{config} }}\n\
         opts = {{ isolation = {{ process = {{ hang_after = \"{hang_after}\", memory_mib_max = 128 }} }}, {opts} }}\n"
    )
}

/// Each fault ends one process: its topology tells how, its nodes stay, the others notice nothing, and nothing of it is
/// left, not even what it has started.
#[test]
fn each_by_name() {
    let topologies =
        FAULTS.map(|(fault, _)| broken(fault, fault, ", bytes = 9999", "restart = \"temporary\""));
    let host = start(&topologies.concat());
    for (fault, told) in FAULTS {
        let topology = wait_topology(&host, fault, "its end", |topology| topology["health"] == "stopped");
        let reason = topology["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(told), "{fault}: {reason}");
    }
    host.wait("all nodes", |view| {
        FAULTS
            .iter()
            .all(|(fault, _)| *fault == "cut" || view.state(&format!("{fault}@10.1.0.1")) == Some("up"))
            && STEADY.iter().all(|node| view.state(node) == Some("up"))
    });
    check_steady(&host);
    host.settle("one child, that of steady", || (children(&host).len() == 1).then_some(()));
    host.settle("what was started to be gone", || (!is_running("98765")).then_some(()));
    let log = host.log();
    let noise = log.lines().filter(|line| line.contains("noise ")).collect::<Vec<_>>();
    assert!(!noise.is_empty() && noise.len() < 100, "{} lines", noise.len());
    assert!(
        noise.iter().all(|line| line.contains("topology=\"noise\"") || line.contains("noise")),
        "{noise:?}"
    );
    assert!(log.contains("lines more were dropped"), "{log}");
}

/// Whether a process has this argument.
fn is_running(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

/// Wherever in its conversation a runner dies, between messages or in the middle of one, it is one more end of a process.
#[test]
fn death_at_each_message() {
    let mut topologies = String::new();
    let cuts: Vec<usize> = (0..=24).map(|part| part * 13).collect();
    for bytes in &cuts {
        let name = format!("cut{bytes}");
        let cut = broken(&name, "cut", &format!(", bytes = {bytes}"), "restart = \"temporary\"");
        write!(topologies, "{cut}").unwrap();
    }
    let host = start(&topologies);
    for bytes in cuts {
        let name = format!("cut{bytes}");
        let topology = wait_topology(&host, &name, "its end", |topology| topology["health"] == "stopped");
        let reason = topology["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("signal 6 (SIGABRT)") || reason.contains("failed: said"), "{name}: {reason}");
    }
    check_steady(&host);
}

/// A plugin that dies when it is asked about its config is a mistake in the configuration, not the end of who asks.
#[test]
fn death_when_asked() {
    let plugins = Plugins::with(&[FAULTY]);
    let file = plugins.path().join("host.toml");
    let directory = plugins.path().to_str().unwrap();
    for (how, told) in
        [("segv", "signal 11 (SIGSEGV)"), ("exit", "with exit code 0"), ("garbage", "means nothing")]
    {
        fs::write(&file, broken("t", how, ", when_asked = true", "")).unwrap();
        let words = ["check", "--config", file.to_str().unwrap(), "--plugins", directory];
        let (code, out, errors) = outcome(&cluster_host(&words));
        assert_eq!(code, Some(1), "{out}{errors}");
        assert!(out.contains("host.toml:2: ") && out.contains(told), "{how}: {out}{errors}");
    }
}

/// A plugin whose panics abort, by its own word, is refused on a thread of the host and runs in a process.
#[test]
fn panics_that_abort() {
    let plugins = Plugins::with(&[]);
    let mut bytes = fs::read(built(FAULTY)).unwrap();
    let mark = b"libcluster-rs\0\x01\n";
    let handshake = bytes.windows(mark.len()).position(|window| window == mark).unwrap();
    bytes[handshake + 32..][..4].fill(0);
    fs::write(plugins.path().join(FAULTY), bytes).unwrap();
    fs::set_permissions(plugins.path().join(FAULTY), fs::Permissions::from_mode(0o644)).unwrap();
    for (isolation, runs) in [("in-process", false), ("process", true)] {
        let config = format!(
            "[topologies.t]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = {{ nodes = [\"a@h\"] }}\n\
             opts.isolation = \"{isolation}\"\n"
        );
        if runs {
            let plugins = plugins.path().to_owned();
            Host::start(Launch { config, plugins, ..Launch::default() }).wait_up(&["a@h"]);
        } else {
            let file = plugins.path().join("host.toml");
            fs::write(&file, config).unwrap();
            let (file, plugins) = (file.to_str().unwrap(), plugins.path().to_str().unwrap());
            let (code, out, _) = outcome(&cluster_host(&["check", "--config", file, "--plugins", plugins]));
            assert!(code == Some(1) && out.contains("or run it with isolation = \"process\""), "{out}");
        }
    }
}

/// Who awaits something for long is not taken for hung, beside one that hangs again and again.
#[test]
fn sleeping_is_not_hanging() {
    let host = start(&format!(
        "{}[topologies.sleeping]\nstrategy = \"slow\"\nconnect = \"none\"\n\
         opts.isolation.process.hang_after = \"2s\"\n",
        broken("spin", "spin", "", "")
    ));
    let hung = |topology: &serde_json::Value| topology["restarts"].as_u64() >= Some(2);
    wait_topology(&host, "spin", "two restarts", hung);
    assert_eq!(host.topology("sleeping")["restarts"], 0);
    check_steady(&host);
}

/// A process that is frozen gives no sign of life either: it is killed, and another one takes its place.
#[test]
fn frozen() {
    let sleeping = "[topologies.sleeping]\nstrategy = \"fixed\"\nconnect = \"none\"\n\
                    config = { nodes = [\"s@10.1.0.1\"] }\n\
                    opts.isolation.process.hang_after = \"1s\"\n";
    let host = start(sleeping);
    // The first sign of life comes before the report.
    host.wait("its node", |view| view.state("s@10.1.0.1") == Some("up"));
    let sleeper = *children(&host).iter().find(|pid| is_called(**pid, "cluster-host: sleeping")).unwrap();
    kill_process(Pid::from_raw(i32::try_from(sleeper).unwrap()).unwrap(), Signal::STOP).unwrap();
    let topology = wait_topology(&host, "sleeping", "a restart", |topology| topology["restarts"] == 1);
    assert!(topology["reason"].as_str().is_some_and(|reason| reason.contains("no sign of life within 1s")));
    host.settle("another process", || {
        children(&host)
            .iter()
            .any(|pid| *pid != sleeper && is_called(*pid, "cluster-host: sleeping"))
            .then_some(())
    });
    check_steady(&host);
}

/// Whether this is what a process is called.
fn is_called(pid: u32, name: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).next() == Some(name.as_bytes())
}

/// When the host is gone, its runners go too, those that hang as well.
#[test]
fn runners_end_with_their_host() {
    let hang = broken("spin", "spin", "", "").replace("2s", "1h");
    let host = start(&hang);
    host.wait("its node", |view| view.state("spin@10.1.0.1") == Some("up"));
    let runners = children(&host);
    assert_eq!(runners.len(), 2);
    host.kill();
    host_gone(&runners);
    let host = start(&hang);
    host.wait("its node", |view| view.state("spin@10.1.0.1") == Some("up"));
    let runners = children(&host);
    assert!(host.terminate().success(), "{}", host.log());
    host_gone(&runners);
}

/// Waits until none of these processes is there.
fn host_gone(runners: &[u32]) {
    let deadline = crate::host::now() + crate::host::DEADLINE;
    while runners.iter().any(|pid| super::is_alive(*pid)) {
        assert!(crate::host::now() < deadline, "{runners:?} are still there");
        crate::host::pause();
    }
}
