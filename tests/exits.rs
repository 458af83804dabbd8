//! Exit codes, and how mistakes in a configuration are told.

use std::fs;

use serde_json::{Value, json};

use crate::host::{FAULTY, GOSSIP, Plugins, cluster_host, outcome, private_directory};

/// Runs a command on a configuration with this text: its exit code, and its output with the file called FILE.
fn with_config(command: &str, config: &str) -> (Option<i32>, String) {
    let plugins = Plugins::with(&[GOSSIP, FAULTY]);
    let file = plugins.path().join("host.toml");
    fs::write(&file, config).unwrap();
    let (file, plugins) = (file.to_str().unwrap(), plugins.path().to_str().unwrap());
    let listen = format!("unix:{plugins}/api.sock");
    let mut words: Vec<&str> = command.split(' ').collect();
    words.extend(["--config", file, "--plugins", plugins]);
    if command == "run" {
        words.extend(["--listen", &listen]);
    }
    let (code, out, errors) = outcome(&cluster_host(&words));
    (code, (out + &errors).replace(file, "FILE").replace(plugins, "DIR"))
}

const GOOD: &str = r#"
[node]
name = "app@127.0.0.1"
[topologies.lan]
strategy = "gossip"
connect = "none"
"#;

/// Every mistake has a line of its own, which begins with file and line number; where a key is not known the nearest one
/// is told.
#[test]
fn check_tells_all_mistakes() {
    let config = r#"cluser = "test"
[node]
name = "app"

[topologies.lan]
strategy = "gossip"
connect = "none"
config = { prot = 45892, multicast_ttl = 1000 }

[topologies.other]
strategy = "gosip"
connect = "none"

[topologies.third]
strategy = "fixed"
config = { nodes = ["a@h", "b"] }
connect = { tpc = { port = 9000 } }
opts = { restart = "sometimes" }
"#;
    let (code, text) = with_config("check", config);
    assert_eq!(code, Some(1), "{text}");
    for line in text.lines() {
        let number =
            line.strip_prefix("FILE:").and_then(|rest| rest.split_once(": ")).map(|(number, _)| number);
        assert!(number.is_some_and(|number| number.parse::<usize>().is_ok()), "{line}\n{text}");
    }
    for (number, part) in [(1, "cluster"), (3, "\"app\""), (18, "sometimes")] {
        let found =
            text.lines().any(|line| line.starts_with(&format!("FILE:{number}: ")) && line.contains(part));
        assert!(found, "line {number} with {part} in\n{text}");
    }

    // What only plugins can tell comes once the file itself is right.
    let mended =
        config.replace("cluser", "cluster").replace("\"app\"", "\"app@h\"").replace("sometimes", "never");
    let (code, text) = with_config("check", &mended.replace("\"never\"", "\"permanent\""));
    assert_eq!(code, Some(1), "{text}");
    for (number, part) in [(8, "port"), (8, "multicast_ttl"), (11, "gossip"), (16, "nodes[1]"), (17, "tcp")] {
        let found =
            text.lines().any(|line| line.starts_with(&format!("FILE:{number}: ")) && line.contains(part));
        assert!(found, "line {number} with {part} in\n{text}");
    }
}

/// A topology must say what links its nodes until the default exists, and the error says how.
#[test]
fn connect_must_be_named() {
    let (code, text) = with_config("check", &GOOD.replace("connect = \"none\"\n", ""));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("FILE:4: ") && text.contains("connect = \"none\""), "{text}");
}

/// A configuration without mistakes is silent; one that lets strangers make the node dial out is warned of.
#[test]
fn check_of_good_ones() {
    assert_eq!(with_config("check", GOOD).0, Some(0));
    let tcp = GOOD.replace("\"none\"", "{ tcp = { port = 9000 } }");
    let (code, text) = with_config("check", &tcp);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("FILE:") && text.contains("warning") && text.contains("secret"), "{text}");
    let (code, text) = with_config("check", &format!("{tcp}config = {{ secret = \"x\" }}\n"));
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("warning"), "{text}");
}

/// With `--json` all is one object and nothing else is printed, of a file that is no TOML as well; the exit codes are those
/// without.
#[test]
fn check_as_json() {
    let json = |config: &str| -> (Option<i32>, Value) {
        let (code, text) = with_config("check --json", config);
        assert_eq!(code, with_config("check", config).0);
        (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    };
    let (code, told) = json(&GOOD.replace("\"none\"", "{ tcp = { port = 9000 } }"));
    assert_eq!(
        (code, &told["valid"], &told["summary"]["topologies"]),
        (Some(0), &true.into(), &json!(["lan"]))
    );
    assert_eq!((&told["warnings"][0]["line"], &told["warnings"][0]["file"]), (&6.into(), &"FILE".into()));
    let (code, told) = json(&format!("{GOOD}config = {{ prot = 1 }}\n"));
    assert_eq!((code, &told["valid"]), (Some(1), &false.into()));
    assert_eq!(
        (&told["errors"][0]["line"], &told["errors"][0]["path"]),
        (&7.into(), &"topologies.lan.config.prot".into())
    );
    let (code, told) = json(&format!("{GOOD}config = {{\n"));
    assert_eq!(
        (code, &told["valid"], told["errors"].as_array().map(Vec::len)),
        (Some(1), &false.into(), Some(1))
    );
}

/// A secret is in no line that is printed, wherever the mistake is.
#[test]
fn secrets_are_not_printed() {
    for option in [
        "secret = \"hunter2\", prot = 1",
        "secret = \"hunter2\", port = \"hunter\"",
        "secret = [\"hunter2\"]",
    ] {
        let (code, text) = with_config("check", &format!("{GOOD}config = {{ {option} }}\n"));
        assert_eq!(code, Some(1), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let (code, text) = with_config("check --json", &format!("{GOOD}config = {{ {option} }}\n"));
        assert_eq!(code, Some(1), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// `run` refuses what `check` refuses, as a mistake in the configuration.
#[test]
fn run_refuses_mistakes() {
    for (config, part) in [
        ("nonsense", "FILE:1: "),
        (&GOOD.replace("gossip", "gosip"), "FILE:5: "),
        (&GOOD.replace("app@127.0.0.1", "app"), "FILE:3: "),
    ] {
        let (code, text) = with_config("run", config);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(part), "{text}");
    }
}

/// The four exit codes.
#[test]
fn exit_codes() {
    let scratch = private_directory();
    let nowhere = format!("unix:{}/none.sock", scratch.path().display());
    let plugins = scratch.path().to_str().unwrap();
    for (words, expected) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["plugins", "--plugins", plugins], 0),
        (&[], 2),
        (&["fly"], 2),
        (&["members", "--fast"], 2),
        (&["members", "--api", "gopher://x"], 2),
        (&["run", "--config", "/nonexistent.toml"], 2),
        (&["members", "--api", &nowhere], 3),
        (&["events", "--api", &nowhere], 3),
        (&["explain", "a@h", "--api", &nowhere], 3),
    ] {
        let (code, out, errors) = outcome(&cluster_host(words));
        assert_eq!(code, Some(expected), "{words:?}: {out}{errors}");
        assert!(expected == 0 || !errors.is_empty(), "{words:?} says nothing");
    }
}
