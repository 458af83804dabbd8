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

    async fn discover(_: &PickyConfig, _: &Context) -> Result<View> {
        Ok(View::partial([]))
    }
}

mod picky {
    cluster_sdk::plugin!(discover: [super::Picky]);
}

/// Checks a file with what is built in, and a strategy that is.
fn run(text: &str) -> (ExitCode, String) {
    run_as(text, false)
}

fn run_as(text: &str, as_json: bool) -> (ExitCode, String) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("host.toml");
    fs::write(&path, text).unwrap();
    let registry = Registry::scan(&scratch.path().join("plugins"));
    let mut registry =
        registry.with_builtin(crate::connectors::plugin()).unwrap().with_builtin(picky::plugin()).unwrap();
    let mut out = Vec::new();
    let code = report(&path, &mut registry, as_json, &mut out).unwrap();
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
    check_text(
        text,
        ExitCode::SUCCESS,
        &expect![[r#"
        ok: 2 topologies, strategies: picky, connectors: tcp
    "#]],
    );
    check_text(
        "",
        ExitCode::SUCCESS,
        &expect![[r#"
        ok: 0 topologies
    "#]],
    );
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
    check_text(
        text,
        ExitCode::FAILURE,
        &expect![[r#"
            DIR/host.toml:2: clustre: unknown key; did you mean `cluster`? possible: `api`, `cluster`, `node`, `on_event`, `plugins`, `ready`, `reload`, `state`, `topologies`
            DIR/host.toml:5: topologies.one.config.hots: unknown key; did you mean `hosts`? possible: `hosts`, `interval`
            DIR/host.toml:6: topologies.one.config.interval: expected a whole number from 0 to 65535, found string "x"
            DIR/host.toml:7: topologies.one.connect.tcp.prot: unknown key; did you mean `port`? possible: `connect_timeout`, `dead_after`, `port`
            DIR/host.toml:9: topologies.two.strategy: no plugin offers a strategy "pickey"; did you mean "picky"?; the plugin directory DIR/plugins cannot be read: No such file or directory (os error 2); there is picky (plugin directory DIR/plugins)
            DIR/host.toml:10: topologies.two.connect: no plugin offers a connector "tpc"; did you mean "tcp"?; the plugin directory DIR/plugins cannot be read: No such file or directory (os error 2); there is exec, tcp (plugin directory DIR/plugins)
            DIR/host.toml:13: topologies.three.conect: unknown key; did you mean `connect`? possible: `config`, `connect`, `members_max`, `opts`, `prune`, `strategy`
            DIR/host.toml:16: topologies.four.config: needs the name of the node: set [node].name
            DIR/host.toml:18: topologies.four.config.hosts[1]: has no dot
            DIR/host.toml:20: topologies.four.connect.exec.connect: names no program
            DIR/host.toml:22: topologies.five.strategy: no plugin offers a strategy "tcp"; "tcp" is a connector; the plugin directory DIR/plugins cannot be read: No such file or directory (os error 2); there is picky (plugin directory DIR/plugins)
            DIR/host.toml:23: topologies.five.connect: no plugin offers a connector "erlang"; it is the default connector (plugin libstrategy_epmd.so): write connect = "none" to watch without linking; the plugin directory DIR/plugins cannot be read: No such file or directory (os error 2); there is exec, tcp (plugin directory DIR/plugins)
        "#]],
    );
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
    check_text(
        text,
        ExitCode::FAILURE,
        &expect![[r#"
        DIR/host.toml:3: node.name: node name "a" is not of the form name@host
    "#]],
    );
}

/// A section that was meant to say which plugins may be loaded keeps all of them from being asked.
#[test]
fn misspelt_plugins() {
    for (section, line) in [
        (
            "[plugin]",
            "2: plugin: unknown key; did you mean `plugins`? possible: `api`, `cluster`, `node`, `on_event`, `plugins`, `ready`, `reload`, `state`, `topologies`",
        ),
        (
            "[plugins]\nlok = 'x'",
            "3: plugins.lok: unknown key; did you mean `lock`? possible: `allow_unpinned`, `keep`, `lock`, `sha256`, `trusted_keys`",
        ),
        (
            "[plugins]\nlock = 'x'",
            "3: plugins.lock: the lock file DIR/x cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let (code, out) =
            run(&format!("\n{section}\n[topologies.one]\nstrategy = 'picky'\nconnect = 'none'\n"));
        assert_eq!(code, ExitCode::FAILURE);
        assert_eq!(out, format!("DIR/host.toml:{line}\n"));
    }
}

/// A file that is not there is one line.
#[test]
fn missing() {
    let mut out = Vec::new();
    let code = report(Path::new("/no/such.toml"), &mut Registry::new(), false, &mut out).unwrap();
    assert_eq!(code, ExitCode::FAILURE);
    expect![[r#"
        /no/such.toml: cannot be opened: No such file or directory (os error 2)
    "#]]
    .assert_eq(&String::from_utf8(out).unwrap());
}

#[track_caller]
fn check_json(text: &str, code: ExitCode, expected: &Expect) {
    let (ended, out) = run_as(text, true);
    let _object: serde_json::Value = serde_json::from_str(&out).unwrap();
    expected.assert_eq(&out);
    assert_eq!(ended, code);
}

/// Scripts get what a good configuration names, and what it warns of, in one object.
#[test]
fn good_as_json() {
    let text = "
        [topologies.one]
        strategy = 'picky'
        config = { hosts = [] }
        connect = { tcp = { port = 9000 } }
        [[on_event]]
        name = 'pager'
        topologies = ['two']
        post = 'http://127.0.0.1:9/'
        [node]
        name = 'a@127.0.0.1'
    ";
    check_json(
        text,
        ExitCode::SUCCESS,
        &expect![[r#"
        {
          "valid": true,
          "errors": [],
          "warnings": [
            {
              "file": "DIR/host.toml",
              "line": 6,
              "path": "on_event",
              "message": "without `directory` in [state] a restart of the host forgets what was not delivered yet"
            },
            {
              "file": "DIR/host.toml",
              "line": 8,
              "path": "on_event[0].topologies[0]",
              "message": "there is no topology \"two\""
            }
          ],
          "pending": [],
          "summary": {
            "topologies": [
              "one"
            ],
            "strategies": [
              "picky"
            ],
            "connectors": [
              "tcp"
            ],
            "hooks": [
              "pager"
            ]
          }
        }
    "#]],
    );
}

/// They get all that is wrong with a bad one, with file, line and key, as an object too.
#[test]
fn wrong_as_json() {
    let text = "
        clustre = 'x'
        [topologies.one]
        strategy = 'picky'
        config.hosts = ['a.b', 'c']
        connect = 'none'
    ";
    check_json(
        text,
        ExitCode::FAILURE,
        &expect![[r#"
        {
          "valid": false,
          "errors": [
            {
              "file": "DIR/host.toml",
              "line": 2,
              "path": "clustre",
              "message": "unknown key; did you mean `cluster`? possible: `api`, `cluster`, `node`, `on_event`, `plugins`, `ready`, `reload`, `state`, `topologies`"
            },
            {
              "file": "DIR/host.toml",
              "line": 5,
              "path": "topologies.one.config.hosts[1]",
              "message": "has no dot"
            },
            {
              "file": "DIR/host.toml",
              "line": 5,
              "path": "topologies.one.config",
              "message": "needs the name of the node: set [node].name"
            }
          ],
          "warnings": [],
          "pending": [],
          "summary": null
        }
    "#]],
    );
}

/// And of what is no TOML at all, or not there.
#[test]
fn unreadable_as_json() {
    check_json(
        "[node\n",
        ExitCode::FAILURE,
        &expect![[r#"
        {
          "valid": false,
          "errors": [
            {
              "file": "DIR/host.toml",
              "line": 1,
              "path": null,
              "message": "not TOML: unclosed table, expected `]`"
            }
          ],
          "warnings": [],
          "pending": [],
          "summary": null
        }
    "#]],
    );
    let mut out = Vec::new();
    let code = report(Path::new("/no/such.toml"), &mut Registry::new(), true, &mut out).unwrap();
    assert_eq!(code, ExitCode::FAILURE);
    expect![[r#"
        {
          "valid": false,
          "errors": [
            {
              "file": "/no/such.toml",
              "line": null,
              "path": null,
              "message": "cannot be opened: No such file or directory (os error 2)"
            }
          ],
          "warnings": [],
          "pending": [],
          "summary": null
        }
    "#]]
    .assert_eq(&String::from_utf8(out).unwrap());
}
