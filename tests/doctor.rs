//! `cluster-host doctor` in broken set-ups: it names the cause and the fix, and where nothing is broken it says so. What
//! needs a BEAM, namespaces, a name server or an API server is with those tests, in `doctor/*`.

mod daemon;
mod network;
mod plugins;
mod source;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use expect_test::Expect;
use serde_json::Value;
use tempfile::TempDir;

use crate::host::{outcome, private_directory};

/// Somebody who runs the doctor: a configuration, plugins, an environment.
pub(crate) struct Patient {
    scratch: TempDir,
    plugins: PathBuf,
    env: Vec<(String, String)>,
    network: Option<String>,
}

/// What the doctor said.
pub(crate) struct Diagnosis {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    /// What differs from run to run, and what stands for it in the texts.
    hidden: Vec<(String, String)>,
}

// === impl Patient ===

impl Patient {
    pub(crate) fn new(config: &str, plugins: &Path) -> Self {
        let scratch = private_directory();
        fs::write(scratch.path().join("host.toml"), config).unwrap();
        Self { scratch, plugins: plugins.to_owned(), env: Vec::new(), network: None }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In this network namespace.
    pub(crate) fn network(mut self, name: &str) -> Self {
        self.network = Some(name.to_owned());
        self
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.scratch.path().join("host.toml")
    }

    /// Exit code, standard output and standard error.
    pub(crate) fn run(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let mut words = vec!["--signal=KILL".to_owned(), "60".to_owned()];
        if let Some(network) = &self.network {
            words.extend(["nsenter".to_owned(), format!("--net=/run/netns/{network}"), "--".to_owned()]);
        }
        let mut command = Command::new("timeout");
        command.args(words).arg(env!("CARGO_BIN_EXE_cluster-host")).args(["doctor", "--config"]);
        command
            .current_dir(self.scratch.path())
            .arg(self.file())
            .arg("--plugins")
            .arg(&self.plugins)
            .args(more);
        command.env_remove("CLUSTER_HOST_API").env_remove("ERL_EPMD_PORT").env("NO_COLOR", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        outcome(&command.output().unwrap())
    }

    /// What it says of a host that does not run.
    #[track_caller]
    pub(crate) fn examine(&self) -> Diagnosis {
        self.examine_with(&["--without-daemon"])
    }

    #[track_caller]
    pub(crate) fn examine_with(&self, more: &[&str]) -> Diagnosis {
        let (code, out, errors) = self.run(&[more, &["--json"]].concat());
        let json = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}\n{errors}"));
        let hidden = [(self.scratch.path(), "DIR"), (&*self.plugins, "PLUGINS")];
        let hidden = hidden.map(|(path, sign)| (path.display().to_string(), sign.to_owned()));
        Diagnosis { code, json, hidden: hidden.into() }
    }
}

// === impl Diagnosis ===

impl Diagnosis {
    /// Something that differs from run to run.
    pub(crate) fn hide(mut self, text: &dyn std::fmt::Display, sign: &str) -> Self {
        self.hidden.push((text.to_string(), sign.to_owned()));
        self
    }

    /// Something is broken; these are the rungs that are not well, each with its fix, and the verdict.
    #[track_caller]
    pub(crate) fn check(&self, expected: &Expect) {
        expected.assert_eq(&self.text());
        assert_eq!((self.code, &self.json["healthy"]), (Some(1), &Value::Bool(false)), "{}", self.json);
    }

    /// Nothing is broken, but this is worth a look.
    #[track_caller]
    pub(crate) fn check_warned(&self, expected: &Expect) {
        expected.assert_eq(&self.text());
        assert_eq!((self.code, &self.json["healthy"]), (Some(0), &Value::Bool(true)), "{}", self.json);
    }

    /// All rungs are well.
    #[track_caller]
    pub(crate) fn check_well(&self) {
        let verdict = self.json["verdict"].as_str().unwrap();
        assert!(self.code == Some(0) && verdict.starts_with("all is well: "), "{:#}", self.json);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for rung in self.json["rungs"].as_array().unwrap() {
            let word = |key: &str| rung[key].as_str().unwrap_or_default();
            if !matches!(word("verdict"), "fail" | "warn") {
                continue;
            }
            let place: Vec<&str> =
                [word("topology"), word("node")].into_iter().filter(|part| !part.is_empty()).collect();
            let (verdict, name, evidence) = (word("verdict"), word("rung"), word("evidence"));
            writeln!(text, "{verdict} {name} [{}] {evidence}\n  fix: {}", place.join(", "), word("fix"))
                .unwrap();
        }
        writeln!(text, "{}", self.json["verdict"].as_str().unwrap()).unwrap();
        for (hidden, sign) in &self.hidden {
            text = text.replace(hidden, sign);
        }
        without_times(&text)
    }
}

/// `in 12 ms` is `in N ms`, and so on: only the numbers in front of a unit of time go.
fn without_times(text: &str) -> String {
    let units = ["ms", "s"];
    let words: Vec<&str> = text.split(' ').collect();
    let is_time = |at: usize| {
        let unit = words.get(at + 1).map(|unit| unit.trim_end_matches([',', '.', ':', ';']));
        unit.is_some_and(|unit| units.contains(&unit)) && words[at].bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = words.iter().enumerate().map(|(at, word)| if is_time(at) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// For people: the rungs, what mends those that are not well, and as the last line the verdict. No escapes where nobody looks at
/// a terminal.
#[test]
fn for_people() {
    let plugins = crate::host::Plugins::with(&[crate::host::BASIC]);
    let config =
        "[topologies.t]\nstrategy = \"file\"\nconnect = \"none\"\nconfig = { path = \"/nowhere/nodes\" }\n";
    let patient = Patient::new(config, plugins.path());
    let (code, out, errors) = patient.run(&["--without-daemon"]);
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("RUNG") && lines[1].starts_with("config"), "{out}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("broken at ") && last.contains("/nowhere/nodes"), "{out}");
    assert!(!out.contains('\x1b'), "{out:?}");
}

/// A topology that is not there is usage, and those that are there are told.
#[test]
fn no_such_topology() {
    let plugins = crate::host::Plugins::with(&[crate::host::GOSSIP]);
    let config = "[topologies.lan]\nstrategy = \"gossip\"\nconnect = \"none\"\n";
    let patient = Patient::new(config, plugins.path());
    let (code, _, errors) = patient.run(&["--without-daemon", "--topology", "lane"]);
    assert!(code == Some(2) && errors.contains("no topology \"lane\"") && errors.contains("lan"), "{errors}");
}
