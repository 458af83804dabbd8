use cluster_sdk::ConfigDuration;
use expect_test::expect;

use super::{super::*, check, check_warnings, lines, parse};

/// Hooks as they are written; nothing of them that may be secret is shown, and what is equal in writing is the same hook.
#[test]
fn good() {
    let text = r#"
        [[on_event]]
        name = "pager"
        post = "https://pager.example/events?key=hunter2"
        headers = { X-Token = "${SECRET}" }
        events = ["node_down", "node_left"]
        nodes = ["app@*"]
        [[on_event]]
        name = "script"
        command = ["on-event", "--token", "hunter2"]
        env = { TOKEN = "${SECRET}" }
        give_up_after = "1h"
        "#;
    let loaded = parse(text).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    let shown: String = loaded.config.on_event.iter().map(|hook| format!("{hook:?}\n")).collect();
    expect![[r#"
        HookConfig { name: "pager", written: {"events": "***", "headers": "***", "name": "***", "nodes": "***", "post": "***"}, .. }
        HookConfig { name: "script", written: {"command": "***", "env": "***", "give_up_after": "***", "name": "***"}, .. }
    "#]].assert_eq(&shown);
    let [pager, script] = &loaded.config.on_event[..] else { panic!("two") };
    assert_eq!(
        (pager.timeout, script.give_up_after),
        (ConfigDuration::from_secs(10), Some(ConfigDuration::from_secs(3_600)))
    );
    assert_eq!(loaded.config, parse(text).unwrap().config);
    let other = parse(&text.replace("1h", "2h")).unwrap().config;
    assert_eq!((pager == &other.on_event[0], script == &other.on_event[1]), (true, false));
}

/// What is wrong with hooks, all of it at once, beside what is wrong elsewhere.
#[test]
fn wrong() {
    check(
        r#"
        clutser = "shop"
        [[on_event]]
        name = "nothing"
        [[on_event]]
        name = "both"
        command = ["true"]
        post = "http://127.0.0.1:1/"
        [[on_event]]
        name = "both"
        command = []
        timeout = "1ms"
        give_up_after = 0
        events = []
        topologies = ["not good"]
        nodes = ["", "a@*"]
        bearer = "x"
        env = { CLUSTER_NODE = "a@h", LD_PRELOAD = "/x", "A=B" = "c" }
        pass_env = ["LD_*"]
        [[on_event]]
        command = ["true", "a\u0000b"]
        event = ["node_up"]
        [[on_event]]
        name = "../up"
        post = "pager.example"
        events = ["node_gone"]
        retry = { first = 0 }
        "#,
        &expect![[r#"
            host.toml:2: clutser: unknown key; did you mean `cluster`? possible: `api`, `cluster`, `node`, `on_event`, `plugins`, `ready`, `reload`, `state`, `topologies`
            host.toml:3: on_event[0]: does nothing: give it a `command` or an address to `post` to
            host.toml:8: on_event[1].post: is beside `command`: make two hooks of them
            host.toml:10: on_event[2].name: there is another hook "both"
            host.toml:11: on_event[2].command: names no program: write ["PROGRAM", "ARGUMENT"]
            host.toml:12: on_event[2].timeout: 1ms is not between 10ms and 600s
            host.toml:13: on_event[2].give_up_after: must be longer than nothing; without it nothing is given up
            host.toml:14: on_event[2].events: is empty, and would let nothing through: leave it out for all
            host.toml:15: on_event[2].topologies[0]: topology name "not good" is not of 1 to 64 letters, digits, '-', '_' or '.'
            host.toml:16: on_event[2].nodes[0]: is empty, and no name is like that
            host.toml:17: on_event[2].bearer: is for `post`, and this hook runs a command
            host.toml:18: on_event[2].env."A=B": is no variable of an environment
            host.toml:18: on_event[2].env.LD_PRELOAD: LD_* is never set
            host.toml:18: on_event[2].env.CLUSTER_NODE: CLUSTER_* tell of the event, and cannot be set
            host.toml:19: on_event[2].pass_env[0]: LD_* is never passed on
            host.toml:20: on_event[3].name: missing: this key is required (how it is called; how far it is is kept under this name)
            host.toml:22: on_event[3].event: unknown key; did you mean `events`? possible: `bearer`, `ca_file`, `client_cert`, `client_key`, `command`, `env`, `events`, `give_up_after`, `headers`, `name`, `nodes`, `pass_env`, `post`, `retry`, `timeout`, `topologies`
            host.toml:24: on_event[4].name: "../up" is not of 1 to 64 letters, digits, '-' or '_'
            host.toml:25: on_event[4].post: "pager.example" is not an address: write it whole, with http:// or https:// before it
            host.toml:26: on_event[4].events[0]: `node_gone` is not possible here; did you mean `node_down`? possible: `node_discovered`, `node_up`, `node_down`, `node_left`, `node_updated`, `connect_failed`, `topology_changed`
            host.toml:27: on_event[4].retry.first: must be longer than nothing
        "#]],
    );
}

/// What is wrong with a hook that posts.
#[test]
fn wrong_post() {
    check(
        r#"
        [[on_event]]
        name = "post"
        post = "http://127.0.0.1:1/"
        env = { A = "b" }
        pass_env = ["A"]
        headers = { Host = "x" }
        client_cert = "c.pem"
        timeout = "1h"
        "#,
        &expect![[r#"
            host.toml:2: on_event[0].client_key: is missing beside client_cert
            host.toml:5: on_event[0].env: is for `command`, and this hook posts
            host.toml:6: on_event[0].pass_env: is for `command`, and this hook posts
            host.toml:7: on_event[0].headers.Host: says how the message is sent, and cannot be set
            host.toml:9: on_event[0].timeout: 1h is not between 10ms and 600s
        "#]],
    );
}

/// What is wrong with all of them together.
#[test]
fn wrong_list() {
    check(
        "[on_event]\nname = 'x'\n",
        &expect![[r#"
        host.toml:1: on_event: is one table, and there may be several: write [[on_event]]
    "#]],
    );
    let hook = |index| format!("[[on_event]]\nname = 'n{index}'\ncommand = ['true']\n");
    check(
        &(0..=HOOKS_MAX).map(hook).collect::<String>(),
        &expect![[r#"
        host.toml:1: on_event: 65 hooks: at most 64 are possible
    "#]],
    );
}

/// Hooks that forget, and those that are never told of anything, give their author pause.
#[test]
fn warned() {
    let topology = "[topologies.a]\nstrategy = 'gossip'\nconnect = 'none'\n";
    let hook = "[[on_event]]\nname = 'x'\ncommand = ['true']\ntopologies = ['a', 'b']\n";
    check_warnings(
        &format!("{topology}{hook}"),
        &expect![[r#"
        host.toml:4: warning: on_event: without `directory` in [state] a restart of the host forgets what was not delivered yet
        host.toml:7: warning: on_event[0].topologies[1]: there is no topology "b"
    "#]],
    );
    let fine = format!("state.directory = 'state'\n{topology}{}", hook.replace(", 'b'", ""));
    check_warnings(&fine, &expect![[r#""#]]);
}

/// The guide's example is right, and the guide names each option and each event.
#[test]
fn documented() {
    let guide = include_str!("../../../../docs/hooks.md");
    let example = guide.split("```").find_map(|block| block.strip_prefix("toml\n")).unwrap();
    assert_eq!(parse(example).unwrap().config.on_event.len(), 2);
    let schema = serde_json::to_value(schemars::schema_for!(HookConfig)).unwrap();
    let options = schema["properties"].as_object().unwrap().keys();
    let events = schema["$defs"]["EventName"].to_string();
    let events = events.split('"').filter(|word| word.contains("node_") || word.contains("_changed"));
    let missing: Vec<_> = options
        .map(String::as_str)
        .chain(events)
        .filter(|word| !guide.contains(&format!("`{word}`")))
        .collect();
    assert_eq!(missing, [""; 0]);
}
