use std::{fs, path::Path, time::Duration};

use cluster_sdk::{Operation, abi::host::OperationOutcome, testing::TestHost};
use serde_json::{Value, json};

use super::*;

fn script(text: &str) -> Value {
    json!(["sh", "-c", text, "sh"])
}

fn host(config: Value) -> TestHost {
    TestHost::connector::<Exec>(config).unwrap()
}

fn connect(host: &TestHost, name: &str) -> OperationOutcome {
    host.perform(&Operation::Connect(Node::try_new(name).unwrap())).unwrap()
}

/// Commands get the node's name as their last argument; exit code 0 is a link, and `list` says which there are.
#[test]
fn links_are_what_commands_say() {
    let directory = tempfile::tempdir().unwrap();
    let links = directory.path().join("links");
    let links = links.display();
    let host = host(json!({
        "connect": script(&format!("echo \"$1\" >> {links}")),
        "disconnect": script(&format!("sed -i \"/$1/d\" {links}")),
        "list": ["cat", links.to_string()],
    }));
    for name in ["a@h", "b@h"] {
        assert_eq!(connect(&host, name), OperationOutcome::Done);
    }
    assert_eq!(host.perform(&Operation::List).unwrap(), OperationOutcome::Done);
    host.wait_for_links(|up| up.iter().map(NodeName::as_str).eq(["a@h", "b@h"])).unwrap();
    let cut = host.perform(&Operation::Disconnect("a@h".parse().unwrap())).unwrap();
    assert_eq!(cut, OperationOutcome::Done);
    assert_eq!(host.perform(&Operation::List).unwrap(), OperationOutcome::Done);
    host.wait_for_links(|up| up.iter().map(NodeName::as_str).eq(["b@h"])).unwrap();
    host.stop().unwrap();
    assert!(
        fs::read_to_string(directory.path().join("links")).unwrap().contains("b@h"),
        "links outlive the host"
    );
}

/// A command has the variables that every program needs, what is set for it and what is passed on by name; of the others
/// that this process has, and Cargo sets many, it has none.
#[test]
fn environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("env");
    let host = host(json!({
        "connect": script(&format!("env > {}", file.display())),
        "env": { "REGION": "eu-1" },
        "pass_env": ["CARGO_PKG_*"],
    }));
    assert_eq!(connect(&host, "a@h"), OperationOutcome::Done);
    let text = fs::read_to_string(&file).unwrap();
    let names: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    assert!(
        names.contains(&("REGION", "eu-1")) && names.contains(&("CARGO_PKG_NAME", "cluster-host")),
        "{text}"
    );
    assert!(names.iter().any(|(name, _)| *name == "PATH"), "{text}");
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    assert!(!names.iter().any(|(name, _)| *name == "CARGO_MANIFEST_DIR"), "{text}");
    let faults = TestHost::connector::<Exec>(json!({ "connect": ["true"], "env": { "LD_PRELOAD": "x" } }));
    assert!(faults.unwrap_err().to_string().contains("env.LD_PRELOAD"));
}

/// A failure is unreachable, with what the command says or how it ended.
#[test]
fn failures() {
    let outcome = |command: Value, name: &str| connect(&host(json!({ "connect": command })), name);
    let unreachable = |reason: &str| OperationOutcome::Unreachable(reason.to_owned());
    assert_eq!(outcome(script("echo \"no route to $1\" >&2; exit 1"), "a@h"), unreachable("no route to a@h"));
    assert_eq!(outcome(script("exit 7"), "a@h"), unreachable("exit status: 7"));
    assert_eq!(
        outcome(json!(["/does/not/exist"]), "a@h"),
        unreachable(r#"running "/does/not/exist": No such file or directory (os error 2)"#)
    );
    let OperationOutcome::NotPartOfNetwork(reason) = outcome(json!(["true"]), "--help@h") else {
        panic!("a name that looks like an option must not reach a command");
    };
    assert!(reason.contains("begins with '-'"));
}

/// Without `disconnect` a link is forgotten, without `list` nobody is asked.
#[test]
fn optional_commands() {
    let host = host(json!({ "connect": ["true"] }));
    let cut = host.perform(&Operation::Disconnect("a@h".parse().unwrap())).unwrap();
    assert_eq!(cut, OperationOutcome::Done);
    assert_eq!(host.perform(&Operation::List).unwrap(), OperationOutcome::Unsupported);
}

/// A list that is wrong in any way is no list: nobody is declared lost because of it.
#[test]
fn bad_lists() {
    for (list, expected) in [
        (
            "echo a@h; echo nonsense",
            r#"output of "sh": line 2: node name "nonsense" is not of the form name@host"#,
        ),
        ("echo a@h; echo broken >&2; exit 1", r#""sh": broken"#),
        ("printf '\\377'", r#"output of "sh": not UTF-8: "#),
        ("yes a@h | head -c 9000000", r#""sh" printed more than 8388608 bytes"#),
    ] {
        let host = host(json!({ "connect": ["true"], "list": script(list) }));
        match host.perform(&Operation::List).unwrap() {
            OperationOutcome::Unreachable(reason) => assert!(reason.starts_with(expected), "{reason}"),
            other => panic!("{list}: {other:?}"),
        }
    }
}

/// A command that outlasts its deadline is killed, and so is one that nobody wants any more.
#[test]
fn deadline_and_cancel() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let command = script(&format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 1000; true", pid.display()));
    let host = host(json!({ "connect": command }));
    let connect = Operation::Connect(Node::try_new("a@h").unwrap());
    let op = host.submit(&connect, Duration::from_millis(300)).unwrap();
    let OperationOutcome::Unreachable(reason) = host.outcome(op).unwrap() else { panic!("deadline") };
    assert!(reason.contains("300ms"), "{reason}");
    if pid.exists() {
        wait_until_gone(&pid);
        fs::remove_file(&pid).unwrap();
    }
    let op = host.submit(&connect, Duration::from_secs(600)).unwrap();
    wait(|| pid.exists());
    host.cancel(op);
    wait_until_gone(&pid);
}

fn wait_until_gone(pid: &Path) {
    let pid = fs::read_to_string(pid).unwrap();
    wait(|| !Path::new(&format!("/proc/{}", pid.trim())).exists());
}

fn wait(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "condition did not come true");
        std::thread::yield_now();
    }
}

/// What a config can have wrong beyond its types.
#[test]
fn validation() {
    let errors = |config: Value| {
        let config = cluster_sdk::config::parse::<ExecConfig>(config).unwrap();
        let errors = Exec::validate(&config, &LocalNode::default());
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(errors(json!({ "connect": ["true"] })).is_empty());
    assert_eq!(
        errors(json!({ "connect": [], "disconnect": [""], "list": ["x", "a\0b"] })),
        ["connect: names no program", "disconnect: names no program", "list[1]: has a NUL byte"]
    );
}
