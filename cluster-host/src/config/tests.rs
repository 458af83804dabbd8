mod hooks;

use std::collections::HashMap;

use cluster_core::membership::PrunePolicy;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Loaded, Vec<Problem>> {
    let env = HashMap::from([("POD_IP", "10.0.0.7"), ("SECRET", "hunter2")]);
    Config::parse(Path::new("host.toml"), text, &|name| env.get(name).map(|value| (*value).to_owned()))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&lines(&parse(text).err().unwrap_or_default()));
}

#[track_caller]
fn check_warnings(text: &str, expected: &Expect) {
    expected.assert_eq(&lines(&warnings(&parse(text).unwrap())));
}

/// What the file says is what the configuration has, and what it leaves out is as documented.
#[test]
fn good() {
    let loaded = parse(
        r#"
        cluster = "shop"
        [node]
        name = "app@${POD_IP:-127.0.0.1}"
        attributes = { zone = "eu-1", "app.kubernetes.io/name" = "api" }
        addresses = ["${POD_IP}:9000"]
        [api]
        listen = "127.0.0.1:4444"
        [topologies.full]
        strategy = "gossip"
        config = { port = 45892, secret = "${SECRET}", at = 2026-01-01T00:00:00Z }
        connect = { tcp = { port = 9000, isolation = "process" } }
        opts = { restart = "transient", max_restarts = 5, max_seconds = 10, isolation = { process = { env = { A = "b" }, pass_env = ["AWS_*"], user = "nobody" } }, deadline = "2s" }
        prune = { after = "30s", max_fraction = 1 }
        members_max = 1_000
        [topologies."a.b"]
        strategy = "dns"
        connect = "none"
        prune = "never"
        opts.retry.first = 100
        [topologies.c]
        strategy = "epmd"
        connect = "erlang"
        "#,
    );
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    assert_eq!(loaded.line_of("topologies.full.config.port"), Some(11));
    assert_eq!(loaded.line_of("topologies.full.config.hosts[1]"), Some(11));
    assert_eq!(loaded.line_of("topologies.\"a.b\".config"), Some(16));
    assert_eq!(loaded.line_of("nothing"), None);
    let config = &loaded.config;
    let topologies = config.topologies.iter().map(|(name, topology)| format!("{name}: {topology:?}\n"));
    let shown = format!("{} {:?}\n{:?}\n", config.cluster, config.api, config.node);
    expect![[r#"
        shop ApiConfig { listen: Some(Tcp(127.0.0.1:4444)), probe_listen: None, token_file: None, tls: None, allow_writes: false, allow_plaintext: false }
        Some(NodeConfig { name: app@10.0.0.7, attributes: {"app.kubernetes.io/name": "api", "zone": "eu-1"}, addresses: ["10.0.0.7:9000"] })
        a.b: TopologyConfig { strategy: "dns", config: {}, connect: None, opts: Options { restart: Permanent, max_restarts: 3, max_seconds: 5, isolation: ByPlugin, retry: Retry { first: 100ms, cap: 30s }, dials_max: 16, deadline: 5s }, prune: Prune(PrunePolicy { never: true, rounds: 2, after: 10s, max_fraction: 0.5, hold: 300s }), members_max: 100000 }
        c: TopologyConfig { strategy: "epmd", config: {}, connect: Connector(ConnectorConfig { name: "erlang", config: {}, isolation: ByPlugin }), opts: Options { restart: Permanent, max_restarts: 3, max_seconds: 5, isolation: ByPlugin, retry: Retry { first: 500ms, cap: 30s }, dials_max: 16, deadline: 5s }, prune: Prune(PrunePolicy { never: false, rounds: 2, after: 10s, max_fraction: 0.5, hold: 300s }), members_max: 100000 }
        full: TopologyConfig { strategy: "gossip", config: {"at": "***", "port": "***", "secret": "***"}, connect: Connector(ConnectorConfig { name: "tcp", config: {"port": "***"}, isolation: Process(ProcessConfig { env: {}, pass_env: [], read: [], write: [], user: None, memory_mib_max: 512, hang_after: 10s }) }), opts: Options { restart: Transient, max_restarts: 5, max_seconds: 10, isolation: Process(ProcessConfig { env: {"A": "***"}, pass_env: ["AWS_*"], read: [], write: [], user: Some("nobody"), memory_mib_max: 512, hang_after: 10s }), retry: Retry { first: 500ms, cap: 30s }, dials_max: 16, deadline: 2s }, prune: Prune(PrunePolicy { never: false, rounds: 2, after: 30s, max_fraction: 1.0, hold: 300s }), members_max: 1000 }
    "#]].assert_eq(&topologies.fold(shown, |shown, topology| shown + &topology));
    let prune = |name: &str| config.topologies[&name.parse::<TopologyName>().unwrap()].prune.policy();
    assert_eq!(prune("a.b"), PrunePolicy { never: true, ..PrunePolicy::default() });
    assert_eq!(prune("c"), PrunePolicy::default());
}

/// Neither the configuration nor a complaint about it shows what may be a secret.
#[test]
fn secrets_stay_secret() {
    let text = "[topologies.a]\nstrategy = 'gossip'\nconnect = { tcp = { token = '${SECRET}' } }\nconfig = { secret = '${SECRET}' }\n";
    let loaded = parse(text).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert_eq!(loaded.config.topologies.values().next().unwrap().config.to_value()["secret"], "hunter2");
    let problems = parse(&format!("{text}opst = {{}}\n")).unwrap_err();
    assert!(!lines(&problems).contains("hunter2"));
}

/// An unknown key, a wrong type, a missing key, a value out of range, an unset variable: all in one go.
#[test]
fn all_at_once() {
    check(
        r#"
        clutser = "shop"
        [node]
        name = "app"
        atributes = {}
        addresses = ["10.0.0.1:9000", "two words", ""]
        [api]
        listen = "0.0.0.0:80"
        [topologies.one]
        strategy = 5
        conect = "none"
        opts = { restart = "sometimes", max_restart = 3, max_seconds = 0, isolation = { proces = {} }, dials_max = "4" }
        prune = { rounds = 0, after = "soon", max_fraction = 2, holt = 1 }
        [topologies.two]
        strategy = "${STRATEGY}"
        connect = { tcp = { isolation = { process = { hang_after = 0, memory = 1 } } } }
        opts.retry = { first = "0s", last = "1m" }
        opts.deadline = -5
        members_max = 0
        [topologies.three]
        config = ["a"]
        connect = { tcp = {}, exec = {} }
        prune = "always"
        [topologies."not good"]
        strategy = "x"
        connect = "none"
        [plugin]
        "#,
        &expect![[r#"
            host.toml:2: clutser: unknown key; did you mean `cluster`? possible: `api`, `cluster`, `node`, `on_event`, `plugins`, `ready`, `reload`, `state`, `topologies`
            host.toml:4: node.name: node name "app" is not of the form name@host
            host.toml:5: node.atributes: unknown key; did you mean `attributes`? possible: `addresses`, `attributes`, `name`
            host.toml:6: node.addresses[1]: "two words" is no address: write ip:port, host:port or a host
            host.toml:6: node.addresses[2]: "" is no address: write ip:port, host:port or a host
            host.toml:8: api.listen: cannot listen on 0.0.0.0:80: others can reach it, and nothing says who may ask: set token_file and tls of [api], or client_ca of [api.tls] for client certificates (mTLS), or listen on loopback or on a Unix socket
            host.toml:10: topologies.one.strategy: expected a string, found 5
            host.toml:11: topologies.one.conect: unknown key; did you mean `connect`? possible: `config`, `connect`, `members_max`, `opts`, `prune`, `strategy`
            host.toml:12: topologies.one.opts.dials_max: expected a whole number from 1, found string "4": write it without quotes
            host.toml:12: topologies.one.opts.isolation.proces: unknown key; did you mean `process`? possible: `process`
            host.toml:12: topologies.one.opts.max_restart: unknown key; did you mean `max_restarts`? possible: `deadline`, `dials_max`, `isolation`, `max_restarts`, `max_seconds`, `restart`, `retry`
            host.toml:12: topologies.one.opts.max_seconds: expected a whole number from 1 to 4294967295, found 0
            host.toml:12: topologies.one.opts.restart: `sometimes` is not possible here; possible: `permanent`, `transient`, `temporary`
            host.toml:13: topologies.one.prune.after: "soon" is not a duration: write "500ms", "30s", "5m", "1h" or a number of milliseconds
            host.toml:13: topologies.one.prune.holt: unknown key; did you mean `hold`? possible: `after`, `hold`, `max_fraction`, `rounds`
            host.toml:13: topologies.one.prune.max_fraction: must be from 0.0 to 1.0
            host.toml:13: topologies.one.prune.rounds: expected a whole number from 1 to 4294967295, found 0
            host.toml:15: topologies.two.strategy: environment variable STRATEGY is not set: set it, or write `${STRATEGY:-default}`
            host.toml:16: topologies.two.connect.tcp.isolation.process.hang_after: must be at least 100ms
            host.toml:16: topologies.two.connect.tcp.isolation.process.memory: unknown key; did you mean `memory_mib_max`? possible: `env`, `pass_env`, `read`, `write`, `user`, `memory_mib_max`, `hang_after`
            host.toml:17: topologies.two.opts.retry.first: must be longer than nothing
            host.toml:17: topologies.two.opts.retry.last: unknown key; possible: `cap`, `first`
            host.toml:18: topologies.two.opts.deadline: expected a duration such as "30s" or a number of milliseconds, found -5
            host.toml:19: topologies.two.members_max: expected a whole number from 1, found 0
            host.toml:20: topologies.three.strategy: missing: this key is required (the name of a strategy that a plugin offers)
            host.toml:21: topologies.three.config: expected a table, found a list
            host.toml:22: topologies.three.connect: names two connectors, `exec` and `tcp`: a topology has one
            host.toml:23: topologies.three.prune: expected "never" or a table such as { after = "10s" }, found string "always"
            host.toml:24: topologies."not good": topology name "not good" is not of 1 to 64 letters, digits, '-', '_' or '.'
            host.toml:27: plugin: unknown key; did you mean `plugins`? possible: `api`, `cluster`, `node`, `on_event`, `plugins`, `ready`, `reload`, `state`, `topologies`
        "#]],
    );
}

/// A topology that does not say how it connects does as in libcluster; what is said where nobody offers that.
#[test]
fn connect_default() {
    let loaded = parse("[topologies.a]\nstrategy = 'gossip'\n").unwrap();
    let written = parse("[topologies.a]\nstrategy = 'gossip'\nconnect = 'erlang'\n").unwrap();
    assert_eq!(loaded.config.topologies, written.config.topologies);
    let registry = Registry::new().with_builtin(crate::connectors::plugin()).unwrap();
    let told = lines(&validate(&loaded, &registry));
    expect![[r#"
        host.toml:2: topologies.a.strategy: no plugin offers a strategy "gossip"; there is no strategy at all (no plugin directory)
        host.toml:1: topologies.a.connect: no plugin offers a connector "erlang"; it is the default connector (plugin libstrategy_epmd.so): write connect = "none" to watch without linking; there is exec, tcp (no plugin directory)
    "#]].assert_eq(&told);
}

/// What is said of a `connect` that is none.
#[test]
fn connect() {
    for (connect, expected) in [
        ("", expect![""]),
        (
            "connect = 5",
            expect![[r#"
            host.toml:3: topologies.a.connect: expected "none", the name of a connector, or a table such as { tcp = { port = 9000 } }, found 5
        "#]],
        ),
        (
            "connect = ''",
            expect![[r#"
            host.toml:3: topologies.a.connect: expected "none", the name of a connector, or a table such as { tcp = { port = 9000 } }, found string ""
        "#]],
        ),
        (
            "connect = {}",
            expect![[r#"
            host.toml:3: topologies.a.connect: names no connector: expected "none", the name of a connector, or a table such as { tcp = { port = 9000 } }
        "#]],
        ),
        (
            "connect = { none = {} }",
            expect![[r#"
            host.toml:3: topologies.a.connect: write connect = "none"
        "#]],
        ),
        (
            "connect = { tcp = 9000 }",
            expect![[r#"
            host.toml:3: topologies.a.connect.tcp: expected a table with the connector's config, found 9000
        "#]],
        ),
        (
            "connect = { tcp = { isolation = 'container' } }",
            expect![[r#"
                host.toml:3: topologies.a.connect.tcp.isolation: expected "in-process", "process" or a table { process = { … } }, found string "container"
            "#]],
        ),
        (
            "connect = ['tcp']",
            expect![[r#"
            host.toml:3: topologies.a.connect: expected "none", the name of a connector, or a table such as { tcp = { port = 9000 } }, found a list
        "#]],
        ),
        ("connect = 'tcp'", expect![""]),
    ] {
        check(&format!("[topologies.a]\nstrategy = 'gossip'\n{connect}\n"), &expected);
    }
}

/// Text that is not TOML, and values that have no counterpart in JSON, are told with their lines.
#[test]
fn not_toml() {
    for (text, expected) in [
        (
            "a = 1\nb = \n",
            expect![[r#"
            host.toml:2: not TOML: string values must be quoted, expected literal string
        "#]],
        ),
        (
            "[node\n",
            expect![[r#"
            host.toml:1: not TOML: unclosed table, expected `]`
        "#]],
        ),
        (
            "\n\nstray words\n",
            expect![[r#"
            host.toml:3: not TOML: key with no value, expected `=`
        "#]],
        ),
        (
            "cluster = 'a'\ncluster = 'b'\n",
            expect![[r#"
            host.toml:2: not TOML: duplicate key
        "#]],
        ),
        (
            "cluster = \"a\nb\"\n",
            expect![[r#"
            host.toml:2: not TOML: key with no value, expected `=`
        "#]],
        ),
        (
            "[node]\nname = 99999999999999999999\n",
            expect![[r#"
            host.toml:2: node.name: is too large a number
        "#]],
        ),
        (
            "[topologies.a]\nstrategy = 'x'\nconnect = 'none'\nconfig = { a = nan, b = [1, inf] }\n",
            expect![[r#"
            host.toml:4: topologies.a.config.a: is no finite number
            host.toml:4: topologies.a.config.b[1]: is no finite number
        "#]],
        ),
        (
            "cluster = '''\n${ONE}\n${TWO}'''\n[node]\nname = '${THREE}'\n",
            expect![[r#"
            host.toml:1: cluster: environment variable ONE is not set: set it, or write `${ONE:-default}`
            host.toml:5: node.name: environment variable THREE is not set: set it, or write `${THREE:-default}`
        "#]],
        ),
    ] {
        check(text, &expected);
    }
}

/// Files that cannot be read say why, once.
#[test]
fn files() {
    let scratch = tempfile::tempdir().unwrap();
    let load = |name: &str, content: Option<&[u8]>| {
        let path = scratch.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let problems = Config::load(&path, &|_| None).err().unwrap_or_default();
        lines(&problems).replace(&scratch.path().display().to_string(), "DIR")
    };
    expect![[r#"
        DIR/missing.toml: cannot be opened: No such file or directory (os error 2)
    "#]]
    .assert_eq(&load("missing.toml", None));
    expect![[r#"
        DIR/: is a directory: name a file
    "#]]
    .assert_eq(&load("", None));
    expect![[r#"
        DIR/large.toml: has more than 1048576 bytes: this is no configuration
    "#]]
    .assert_eq(&load("large.toml", Some(&vec![b'\n'; 1024 * 1024 + 1])));
    expect![[r#"
        DIR/latin.toml: is not UTF-8: see line 2
    "#]]
    .assert_eq(&load("latin.toml", Some(b"# one\ncluster = '\xe9'\n")));
    assert_eq!(load("good.toml", Some(b"cluster = 'a'\n")), "");
    assert_eq!(load("full.toml", Some(&vec![b'\n'; 1024 * 1024])), "");
}

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// What may be loaded: paths begin where the file is, one hash or several, and unpinned plugins are allowed only where
/// nothing is pinned, or where it is said.
#[test]
fn plugins_section() {
    let parse = |text: &str| {
        let loaded = Config::parse(Path::new("/etc/host.toml"), text, &|_| None);
        loaded.unwrap_or_else(|problems| panic!("{}", lines(&problems))).config.plugins
    };
    assert!(parse("").allows_unpinned());
    assert!(parse("[plugins]\nkeep = '/var/lib/host'\n").allows_unpinned());
    assert!(!parse("[plugins]\nallow_unpinned = false\n").allows_unpinned());
    let plugins = parse(&format!(
        "[plugins]\nlock = 'plugins.lock'\nkeep = '/var/lib/host'\ntrusted_keys = ['{KEY}']\n\
         [plugins.sha256]\nstrategy-a = '{HASH}'\nstrategy-b = ['{HASH}', '{}']\n",
        HASH.replace("9f", "00")
    ));
    assert!(!plugins.allows_unpinned());
    expect![[r#"
        PluginsConfig {
            sha256: {
                "strategy-a": Hashes(
                    [
                        9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,
                    ],
                ),
                "strategy-b": Hashes(
                    [
                        9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,
                        0086d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,
                    ],
                ),
            },
            lock: Some(
                "/etc/plugins.lock",
            ),
            trusted_keys: [
                RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3,
            ],
            allow_unpinned: None,
            keep: Some(
                "/var/lib/host",
            ),
        }
    "#]]
    .assert_debug_eq(&plugins);
    for pins in ["lock = 'x'".to_owned(), format!("sha256.a = '{HASH}'"), format!("trusted_keys = ['{KEY}']")]
    {
        assert!(!parse(&format!("[plugins]\n{pins}\n")).allows_unpinned(), "{pins}");
        assert!(parse(&format!("[plugins]\n{pins}\nallow_unpinned = true\n")).allows_unpinned(), "{pins}");
    }
}

/// Each mistake in it has its line and says what is possible.
#[test]
fn plugins_section_mistakes() {
    check(
        &format!(
            "[plugins]\nlok = 'plugins.lock'\nkeep = 5\nallow_unpinned = 'no'\ntrusted_keys = ['{KEY}', 'RWQ']\n\
             [plugins.sha256]\na = 'abc'\nb = ['{HASH}', '{}']\nc = 7\n",
            HASH.replace("9f", "zf")
        ),
        &expect![[r#"
            host.toml:2: plugins.lok: unknown key; did you mean `lock`? possible: `allow_unpinned`, `keep`, `lock`, `sha256`, `trusted_keys`
            host.toml:3: plugins.keep: expected path string, found 5
            host.toml:4: plugins.allow_unpinned: expected true or false, found string "no"
            host.toml:5: plugins.trusted_keys[1]: "RWQ" is no public key of minisign: take the second line of minisign.pub
            host.toml:7: plugins.sha256.a: "abc" is no SHA-256: write its 64 hexadecimal digits
            host.toml:8: plugins.sha256.b[1]: "zf86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" is no SHA-256: write its 64 hexadecimal digits
            host.toml:9: plugins.sha256.c: expected the 64 hexadecimal digits of a SHA-256, or a list of such, found 7
        "#]],
    );
}

/// What is allowed and seldom meant.
#[test]
fn seldom_meant() {
    check_warnings(
        "",
        &expect![[r#"
        host.toml:1: warning: topologies: there are none: no node will be found
    "#]],
    );
    check_warnings(
        "[plugins]\nkeep = 'kept'\n[topologies.a]\nstrategy = 'dns'\nconnect = 'none'\n",
        &expect![[r#"
            host.toml:2: warning: plugins.keep: nothing is kept where neither `lock` nor `sha256` names a content
        "#]],
    );
    let gossip = |config: &str, connect: &str| {
        format!("[topologies.a]\nstrategy = 'gossip'\nconnect = {connect}\nconfig = {config}\n")
    };
    check_warnings(
        &gossip("{}", "{ tcp = { port = 1 } }"),
        &expect![[r#"
        host.toml:3: warning: topologies.a.connect: without `secret` and `allow` anyone on the network can make this node dial any address; set one of them in `config`
    "#]],
    );
    for quiet in [
        gossip("{}", "'none'"),
        gossip("{ secret = 'x' }", "{ tcp = { port = 1 } }"),
        gossip("{ allow = ['10.0.0.0/8'] }", "{ tcp = { port = 1 } }"),
    ] {
        check_warnings(&quiet, &expect![""]);
    }
    check_warnings(
        r#"
        [topologies.a]
        strategy = "dns"
        connect = { tcp = { port = 1 } }
        [topologies.b]
        strategy = "dns"
        connect = { tcp = { port = 1 } }
        opts.dials_max = 1
        [topologies.c]
        strategy = "dns"
        connect = { tcp = { port = 2 } }
        opts.dials_max = 1
        "#,
        &expect![[r#"
            host.toml:8: warning: topologies.b.opts: `connect` is that of topology a, but `retry`, `dials_max` or `deadline` differ: each gets a connector of its own, and members of both two links
        "#]],
    );
}

/// Whatever a plugin says stays on one line.
#[test]
fn one_line() {
    let loaded = parse("[topologies.a]\nstrategy = 'x'\nconnect = 'none'\n").unwrap();
    let problem = loaded.problem("topologies.a.config", "first\n\tsecond\r\n");
    assert_eq!(problem.to_string(), "host.toml:1: topologies.a.config: first second");
}

/// When the host counts as ready, and where it tells.
#[test]
fn ready_section() {
    let of = |text: &str| parse(text).unwrap_or_else(|problems| panic!("{}", lines(&problems))).config;
    assert_eq!(of("").ready, ReadyConfig { min_members: 0, topologies: None, once: true });
    let config = of(r#"
        ready = { min_members = 3, topologies = ["a"], once = false }
        [api]
        probe_listen = "0.0.0.0:4445"
        [topologies.a]
        strategy = "epmd"
        "#);
    let topologies = Some(vec!["a".parse().unwrap()]);
    assert_eq!(config.ready, ReadyConfig { min_members: 3, topologies, once: false });
    assert_eq!(config.api.probe_listen.unwrap().to_string(), "0.0.0.0:4445");
    check(
        "ready = { topologies = [\"ofice\", \"\"] }\n[topologies.office]\nstrategy = \"epmd\"\n",
        &expect![[r#"
            host.toml:1: ready.topologies: topology name "" is not of 1 to 64 letters, digits, '-', '_' or '.'
        "#]],
    );
    check(
        "ready = { topologies = [\"office\", \"ofice\", \"x\"] }\n[topologies.office]\nstrategy = \"epmd\"\n",
        &expect![[r#"
            host.toml:1: ready.topologies[1]: there is no topology ofice; did you mean office?
            host.toml:1: ready.topologies[2]: there is no topology x
        "#]],
    );
    check(
        "[api]\nprobe_listen = \":4445\"\n[ready]\nmin_members = -1\nonce = \"yes\"\nafter = \"5s\"\n",
        &expect![[r#"
            host.toml:2: api.probe_listen: ":4445" is no address to listen on: write unix:PATH or ADDR:PORT, as unix:/run/cluster-host.sock or 127.0.0.1:4444
            host.toml:4: ready.min_members: expected a whole number from 0 to 4294967295, found -1
            host.toml:5: ready.once: expected true or false, found string "yes"
            host.toml:6: ready.after: unknown key; possible: `min_members`, `once`, `topologies`
        "#]],
    );
}

/// Where each would wait for the others to be ready first, that is told; where nobody asks for readiness, or nobody waits,
/// it is not.
#[test]
fn waiting_for_each_other() {
    let topology = |strategy: &str, config: &str| {
        format!("[topologies.t]\nstrategy = \"{strategy}\"\nconfig = {{ {config} }}\n")
    };
    let three = "ready.min_members = 3\n";
    check_warnings(
        &format!("{three}{}", topology("kubernetes", "")),
        &expect![[r#"
            host.toml:2: warning: topologies.t: `ready.min_members` is 3 and this topology takes only pods that are ready: each may wait for the others for ever; set `include = "all"` in `config`, or give the Service `publishNotReadyAddresses: true`
        "#]],
    );
    check_warnings(
        &format!("{three}{}", topology("dns", "")),
        &expect![[r#"
            host.toml:2: warning: topologies.t: `ready.min_members` is 3: a headless Service without `publishNotReadyAddresses: true` has an address in the DNS only for pods that are ready, and each may wait for the others for ever; set that at the Service if this is one's name
        "#]],
    );
    let probes = "api.probe_listen = \"0.0.0.0:4445\"\n";
    check_warnings(
        &format!("{probes}{}", topology("kubernetes_dns", "")),
        &expect![[r#"
            host.toml:2: warning: topologies.t: readiness waits for this topology: a headless Service without `publishNotReadyAddresses: true` has an address in the DNS only for pods that are ready, and none would ever be; set that at the Service, or leave the topology out of `ready.topologies` and `ready.min_members` at 1
        "#]],
    );
    let warns = |text: &str| !warnings(&parse(text).unwrap()).is_empty();
    for (head, strategy, config, expected) in [
        (three, "kubernetes", "include = \"serving\"", true),
        (three, "kubernetes", "include = \"ready\", kubernetes_ip_lookup_mode = \"pods\"", true),
        (three, "kubernetes", "include = \"all\"", false),
        (three, "kubernetes", "kubernetes_ip_lookup_mode = \"pods\"", false),
        ("ready.min_members = 1\n", "kubernetes", "", false),
        (probes, "kubernetes", "", false),
        (probes, "dns", "", false),
        (three, "kubernetes_dns_srv", "", true),
        ("ready.once = false\n", "kubernetes_dns_srv", "", true),
        ("ready.topologies = []\n", "kubernetes_dns_srv", "", false),
        ("", "kubernetes_dns_srv", "", false),
        (three, "epmd", "", false),
    ] {
        assert_eq!(
            warns(&format!("{head}{}", topology(strategy, config))),
            expected,
            "{head}{strategy} {config}"
        );
    }
}

proptest! {
    /// No text makes it panic, and what is refused has a reason.
    #[test]
    fn junk(text in junk_toml()) {
        match parse(&text) {
            Ok(loaded) => drop(warnings(&loaded)),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}

fn junk_toml() -> impl Strategy<Value = String> {
    let key = "(cluster|node|name|topologies|a|strategy|config|connect|opts|retry|first|prune|api|listen|log|[a-z\"'.é]{0,4})";
    let leaf = prop_oneof![
        "\"[^\"\\\\\n]{0,8}\"",
        "'[$a-z{}:-]{0,12}'",
        "-?[0-9a-fx_.]{1,6}",
        "(true|inf|nan|1979-05-27|\"none\"|'never'|[\\[\\]{},]{1,5})",
        "\\PC{0,6}",
    ];
    let value = leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((key, inner), 0..3).prop_map(|pairs| {
                let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", pairs.join(", "))
            }),
        ]
    });
    let line = prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        2 => prop::collection::vec(key, 1..4).prop_map(|keys| format!("[{}]", keys.join("."))),
        1 => "\\PC{0,20}".boxed(),
    ];
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}
