use std::{fs, path::Path};

use cluster_sdk::{ConfigError, Context, Discover, LocalNode, View, schemars, serde};
use expect_test::{Expect, expect};

use super::*;

/// Looks at its config and at the node that it runs beside, and finds nobody.
struct Picky;

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed")]
struct PickyConfig {
    hosts: Vec<String>,
    #[serde(default)]
    interval: u16,
}

impl Discover for Picky {
    const NAME: &'static str = "picky";
    type Config = PickyConfig;

    fn validate(config: &PickyConfig, local: &LocalNode) -> Vec<ConfigError> {
        let wrong = config.hosts.iter().enumerate().filter(|(_, host)| !host.contains('.'));
        let mut errors: Vec<_> =
            wrong.map(|(index, _)| ConfigError::new(format!("hosts[{index}]"), "has no dot")).collect();
        if local.name.is_none() {
            errors.push(ConfigError::new("", "needs the name of the node: set [node].name"));
        }
        errors
    }

    async fn discover(_: &PickyConfig, _: &Context) -> cluster_sdk::Result<View> {
        Ok(View::partial([]))
    }
}

mod picky {
    cluster_sdk::plugin!(discover: [super::Picky]);
}

/// Checks a file with what is built in, and a strategy that is.
fn run(text: &str) -> (ExitCode, String) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("host.toml");
    fs::write(&path, text).unwrap();
    let registry = Registry::scan(&scratch.path().join("plugins"));
    let registry = registry.with_builtin(connectors::plugin()).unwrap().with_builtin(picky::plugin()).unwrap();
    let mut out = Vec::new();
    let code = report(&path, &registry, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    (code, out.replace(&scratch.path().display().to_string(), "DIR"))
}

#[track_caller]
fn check_text(text: &str, code: ExitCode, expected: &Expect) {
    let (ended, out) = run(text);
    expected.assert_eq(&out);
    assert_eq!(ended, code);
}

/// A configuration that everybody likes is told in one line.
#[test]
fn good() {
    let text = "
        [node]
        name = 'a@127.0.0.1'
        [topologies.one]
        strategy = 'picky'
        config = { hosts = ['a.b'] }
        connect = { tcp = { port = 9000 } }
        [topologies.two]
        strategy = 'picky'
        config = { hosts = [] }
        connect = 'none'
    ";
    check_text(text, ExitCode::SUCCESS, &expect![""]);
    check_text("", ExitCode::SUCCESS, &expect![""]);
}

/// What plugins say has lines too, and comes together with what is wrong elsewhere in the file.
#[test]
fn wrong() {
    let text = "
        clustre = 'x'
        [topologies.one]
        strategy = 'picky'
        config = { hots = ['a'],
                   interval = 'x' }
        connect = { tcp = { prot = 9000 } }
        [topologies.two]
        strategy = 'pickey'
        connect = 'tpc'
        [topologies.three]
        strategy = 'picky'
        conect = 'none'
        [topologies.four]
        strategy = 'picky'
        config.hosts = [
            'a.b',
            'c',
        ]
        connect = { exec = { connect = [] } }
        [topologies.five]
        strategy = 'tcp'
        connect = 'erlang'
    ";
    check_text(text, ExitCode::FAILURE, &expect![""]);
}

/// Where it is not known which node this is, no plugin is asked: its complaints would be beside the point.
#[test]
fn without_node() {
    let text = "
        [node]
        name = 'a'
        [topologies.one]
        strategy = 'picky'
        config.hosts = ['a']
        connect = 'none'
    ";
    check_text(text, ExitCode::FAILURE, &expect![""]);
}

/// A file that is not there is one line.
#[test]
fn missing() {
    let mut out = Vec::new();
    let code = report(Path::new("/no/such.toml"), &Registry::new(), &mut out).unwrap();
    assert_eq!(code, ExitCode::FAILURE);
    expect![""].assert_eq(&String::from_utf8(out).unwrap());
}
