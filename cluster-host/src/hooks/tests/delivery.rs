//! What is delivered, in which order, and what does not hold it up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cluster_core::EventKind;
use serde_json::Value;
use test_httpserver::{Asked, Authority, Reply, Server};

use super::{DEADLINE, LINES, Rig, life, revisions, up_to};
use crate::{clock, hooks::STOP_MAX};

/// A hook that posts to a server, tried again soon.
fn posting(name: &str, server: &Server, more: &str) -> String {
    let url = server.url("/events");
    format!(
        "[[on_event]]\nname = {name:?}\npost = {url:?}\nretry = {{ first = \"1ms\", cap = \"5ms\" }}\n{more}\n"
    )
}

fn posted(server: &Server) -> Vec<Value> {
    server.asked().iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
}

fn ids(documents: &[Value]) -> Vec<u64> {
    let id = |document: &Value| document["id"].as_str().unwrap().split(':').nth(1).unwrap().parse().unwrap();
    documents.iter().map(id).collect()
}

/// A command is run for each event, in order, with the document on its standard input; what was published before the
/// hook ran for the first time is not missed, as the host begins its hooks before anything happens.
#[test]
fn commands_in_order() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(&format!(
            "{LINES}[[on_event]]\nname = \"documents\"\ncommand = [\"sh\", \"-c\", \"cat >> DIR/documents; echo >> DIR/documents\"]\n"
        ));
        rig.publish(20);
        rig.wait_done("lines").await;
        rig.wait_done("documents").await;
        let lines = rig.lines("lines");
        assert_eq!(revisions(&lines), up_to(20));
        assert_eq!(lines[0], "0000000000000007:1 node_up n1@h");
        let documents: Vec<Value> =
            rig.lines("documents").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(ids(&documents), up_to(20));
        assert_eq!(documents[19]["data"]["member"]["name"], "n20@h");
        let info = rig.info("lines");
        assert_eq!((info.delivered, info.failed, info.given_up), (20, 0, 0));
    });
}

/// Documents are posted over TLS, in order, by one connection, with the type of `CloudEvents` and a secret of a file; an
/// answer that is no success is tried again, and the next one waits for it.
#[test]
fn posts_in_order() {
    life(async || {
        let mut rig = Rig::new();
        let authority = Authority::generate();
        std::fs::write(rig.path("ca.pem"), authority.pem()).unwrap();
        std::fs::write(rig.path("token"), "hunter2\n").unwrap();
        let tries = AtomicUsize::new(0);
        let server = Server::https(authority.server("127.0.0.1"), move |_: &Asked| {
            match tries.fetch_add(1, Ordering::Relaxed) {
                2 => Reply::new(503, "not now"),
                3 => Reply::new(404, "nor here"),
                _ => Reply::new(202, ""),
            }
        });
        rig.apply(&posting("post", &server, "ca_file = 'DIR/ca.pem'\nbearer.file = 'DIR/token'"));
        rig.publish(10);
        rig.wait_done("post").await;
        let (asked, documents) = (server.asked(), posted(&server));
        assert_eq!(ids(&documents), [1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(documents[2], documents[3], "the same document");
        for asked in &asked {
            assert_eq!(asked.line, "POST /events");
            assert_eq!(asked.headers["content-type"], "application/cloudevents+json");
            assert_eq!(asked.headers["authorization"], "Bearer hunter2");
            assert_eq!(asked.connection, 1);
        }
        let info = rig.info("post");
        assert_eq!((info.delivered, info.failed), (10, 2));
        let (_, reason) = info.last_failure.unwrap();
        assert!(reason.contains("404 Not Found") && reason.contains("nor here"), "{reason}");
    });
}

/// Of hooks that fail, hang, are not there, or answer nothing, none holds up another one.
#[test]
fn nobody_is_held_up() {
    life(async || {
        let mut rig = Rig::new();
        let silent = Server::raw(|stream| {
            // Held open, and never answered.
            std::io::copy(&mut &stream, &mut std::io::sink()).map(drop)
        });
        let hooks = [
            LINES.to_owned(),
            posting("silent", &silent, ""),
            "[[on_event]]\nname = 'fails'\nretry = { first = '1h', cap = '1h' }\ncommand = ['false']\n"
                .to_owned(),
            "[[on_event]]\nname = 'hangs'\ncommand = ['sleep', '1000']\n".to_owned(),
            "[[on_event]]\nname = 'missing'\ncommand = ['/does/not/exist']\n".to_owned(),
        ];
        rig.apply(&hooks.concat());
        rig.publish(50);
        rig.wait_done("lines").await;
        assert_eq!(revisions(&rig.lines("lines")), up_to(50));
        for name in ["silent", "fails", "hangs", "missing"] {
            assert_eq!(rig.info(name).lag, Some(50), "{name}");
        }
        rig.wait("their failures", |rig| rig.info("fails").failed == 1 && rig.info("missing").failed > 0)
            .await;
        let reason = |name| rig.info(name).last_failure.unwrap().1;
        assert_eq!(reason("fails"), "\"false\": exit code 1, and it printed nothing");
        assert!(
            reason("missing").starts_with("\"/does/not/exist\" cannot be started: No such file"),
            "{}",
            reason("missing")
        );
        assert!(rig.info("fails").next_try.is_some());
    });
}

/// A command that is not done in time is killed, with what it has started, and run again.
#[test]
fn timeout_kills() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(
            "[[on_event]]\nname = 'slow'\ntimeout = '300ms'\nretry = { first = '1ms', cap = '1ms' }\n\
             command = ['sh', '-c', 'test -e DIR/again && exit 0; touch DIR/again; sleep 1000 & echo $! > DIR/child; wait']\n",
        );
        rig.publish(1);
        rig.wait_done("slow").await;
        let info = rig.info("slow");
        assert_eq!((info.delivered, info.failed), (1, 1));
        let (_, reason) = info.last_failure.unwrap();
        assert_eq!(
            reason,
            "\"sh\" was not done within 300ms, and killed: raise timeout, or see what it waits for"
        );
        let child = rig.lines("child")[0].clone();
        rig.wait("the child's end", |_| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            // Whoever is to reap it may be slow.
            stat.is_empty() || stat.contains(") Z ")
        })
        .await;
    });
}

/// Who does not read what it is given, more than a pipe holds, is none the worse: neither one that ends at once, nor one
/// that runs on for a while.
#[test]
fn input_need_not_be_read() {
    life(async || {
        let mut rig = Rig::retaining(1);
        for index in 0..2_000 {
            rig.happen(EventKind::NodeUp, &format!("a-name-that-makes-it-long-{index}@10.0.0.1"));
        }
        std::fs::create_dir_all(rig.path("state/hooks")).unwrap();
        for name in ["true", "sleep"] {
            // Of another epoch: the first document is a resync, which is long.
            std::fs::write(rig.path(&format!("state/hooks/{name}.cursor")), "0000000000000001:5\n").unwrap();
        }
        rig.apply(
            "[[on_event]]\nname = 'true'\ncommand = ['true']\n\
             [[on_event]]\nname = 'sleep'\ncommand = ['sh', '-c', 'exec >&- 2>&-; sleep 0.2']\n",
        );
        for name in ["true", "sleep"] {
            rig.wait_done(name).await;
            assert_eq!((rig.info(name).delivered, rig.info(name).failed), (1, 0), "{name}");
        }
    });
}

/// What a command leaves running in the background, with its outputs and its input still open, does not hold up the next
/// event, and is not killed.
#[test]
fn background_children_live() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(
            "[[on_event]]\nname = 'forks'\ncommand = ['sh', '-c', 'sleep 1000 & echo $! >> DIR/children']\n",
        );
        rig.publish(3);
        rig.wait_done("forks").await;
        let children = rig.lines("children");
        assert_eq!((children.len(), rig.info("forks").failed), (3, 0));
        for child in children {
            let process = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it is alive");
        }
    });
}

/// The last lines of what a failed command has printed are told, without the values of its variables; its environment is
/// what it is given and what every command has.
#[test]
fn what_failures_say() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(
            "[[on_event]]\nname = 'noisy'\nenv.TOKEN = 'hunter2'\n\
             command = ['sh', '-c', 'env > DIR/env; echo ignored; seq 9 >&2; echo no $TOKEN >&2; exit 3']\n\
             [[on_event]]\nname = 'stdout'\ncommand = ['sh', '-c', 'echo said; kill -9 $$$$']\n",
        );
        rig.publish(1);
        rig.wait("failures", |rig| rig.info("noisy").failed > 0 && rig.info("stdout").failed > 0).await;
        let reason = |name| rig.info(name).last_failure.unwrap().1;
        assert_eq!(reason("noisy"), "\"sh\": exit code 3: 6 | 7 | 8 | 9 | no ***");
        assert_eq!(reason("stdout"), "\"sh\": killed by signal 9: said");
        let mut names: Vec<_> =
            rig.lines("env").iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        names.retain(|name| name.starts_with("CLUSTER_") || name.starts_with("CARGO") || name == "TOKEN");
        names.sort();
        assert_eq!(
            names,
            [
                "CLUSTER_EVENT",
                "CLUSTER_HOOK",
                "CLUSTER_ID",
                "CLUSTER_NAME",
                "CLUSTER_NODE",
                "CLUSTER_STATE",
                "CLUSTER_TIME",
                "TOKEN"
            ]
        );
    });
}

/// An event that has failed for as long as was allowed is given up, told and counted, and the next one has its turn.
#[test]
fn given_up() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(
            "[[on_event]]\nname = 'picky'\nretry = { first = '1ms', cap = '10ms' }\ngive_up_after = '50ms'\n\
             command = ['sh', '-c', 'test $CLUSTER_NODE != n2@h && echo $CLUSTER_ID >> DIR/lines']\n",
        );
        rig.publish(3);
        rig.wait_done("picky").await;
        assert_eq!(revisions(&rig.lines("lines")), [1, 3]);
        let info = rig.info("picky");
        assert_eq!((info.delivered, info.given_up), (2, 1));
        assert!(info.failed >= 2, "it was tried again: {info:?}");
    });
}

/// Who falls behind the retention is given what it has in the hand, one document with all members, and what follows.
/// Nothing of what it has missed was kept for it.
#[test]
fn beyond_the_retention() {
    life(async || {
        let mut rig = Rig::retaining(64);
        let is_open = Arc::new(AtomicUsize::new(0));
        let gate = Arc::clone(&is_open);
        let server = Server::http(move |_: &Asked| match gate.load(Ordering::Relaxed) {
            0 => Reply::new(500, ""),
            _ => Reply::ok(""),
        });
        rig.apply(&posting("post", &server, "events = ['node_up']"));
        rig.publish(1);
        rig.wait("a failure", |rig| rig.info("post").failed > 0).await;
        rig.publish(500);
        assert_eq!(rig.info("post").lag, Some(501));
        is_open.store(1, Ordering::Relaxed);
        rig.wait_done("post").await;
        rig.publish(2);
        rig.wait_done("post").await;
        let documents = posted(&server);
        let mut shown: Vec<_> =
            documents.iter().map(|document| (document["type"].as_str().unwrap(), &document["id"])).collect();
        shown.dedup();
        let shown: Vec<_> =
            shown.iter().map(|(kind, id)| format!("{kind} {}", id.as_str().unwrap())).collect();
        assert_eq!(
            shown,
            [
                "libcluster.node_up 0000000000000007:1",
                "libcluster.resync 0000000000000007:501:resync",
                "libcluster.node_up 0000000000000007:502",
                "libcluster.node_up 0000000000000007:503",
            ]
        );
        let resync = documents.iter().find(|document| document["type"] == "libcluster.resync").unwrap();
        assert_eq!(resync["data"]["members"].as_array().unwrap().len(), 501);
        assert_eq!(resync["data"]["reason"], "what followed revision 1 is beyond the retention");
    });
}

/// A hook that waits for an event when the log ends still gets the last ones.
#[test]
fn the_last_events() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply("[[on_event]]\nname = 'note'\ncommand = ['sh', '-c', 'echo $CLUSTER_ID >> DIR/note']\n");
        rig.publish(1);
        rig.wait_done("note").await;
        rig.publish(2);
        rig.log.close();
        rig.hooks.stop().await;
        assert_eq!(revisions(&rig.lines("note")), [1, 2, 3]);
    });
}

/// When the log ends, what is under way and what waits is delivered; what fails is not tried again, and what hangs is
/// ended after [`STOP_MAX`].
#[test]
fn stop() {
    life(async || {
        let mut rig = Rig::new();
        let slow = "[[on_event]]\nname = 'slow'\ncommand = ['sh', '-c', 'sleep 0.1; echo $CLUSTER_ID >> DIR/slow']\n";
        let fails = "[[on_event]]\nname = 'fails'\nretry = { first = '1h', cap = '1h' }\ncommand = ['sh', '-c', 'echo >> DIR/fails; exit 1']\n";
        rig.apply(&format!("{slow}{fails}"));
        rig.publish(3);
        rig.wait("a failure", |rig| rig.info("fails").failed == 1).await;
        rig.log.close();
        let before = clock::now().instant;
        rig.hooks.stop().await;
        assert!(clock::now().instant - before < DEADLINE);
        assert_eq!(revisions(&rig.lines("slow")), [1, 2, 3]);
        assert_eq!(rig.lines("fails").len(), 1);
        let saved = |name: &str| rig.lines(&format!("state/hooks/{name}.cursor"));
        assert_eq!(saved("slow"), ["0000000000000007:3"]);
        assert_eq!(saved("fails"), ["0000000000000007:0"]);

        let mut rig = Rig::new();
        rig.apply(
            "[[on_event]]\nname = 'hangs'\ncommand = ['sh', '-c', 'echo $$$$ > DIR/process; sleep 1000']\n",
        );
        rig.publish(1);
        rig.wait("its process", |rig| rig.lines("process").len() == 1).await;
        rig.log.close();
        let before = clock::now().instant;
        rig.hooks.stop().await;
        assert!(clock::now().instant - before >= STOP_MAX, "it had its time");
        let process = rig.lines("process")[0].clone();
        rig.wait("its end", |_| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
        .await;
        assert_eq!(rig.lines("state/hooks/hangs.cursor"), ["0000000000000007:0"]);
    });
}
