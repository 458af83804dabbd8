//! The local node takes part when a connector says so.

use std::{fs, path::PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    host::{FAULTY, GOSSIP, Host, Plugins, private_directory},
    lan::Lan,
};

const ALICE: &str = "alice@127.0.0.1";
const BOB: &str = "bob@127.0.0.1";
const CAROL: &str = "carol@127.0.0.1";

/// What the connector `attaching` is told of its node.
struct Word {
    file: PathBuf,
    _directory: TempDir,
}

impl Word {
    fn new(word: &str) -> Self {
        let directory = private_directory();
        let this = Self { file: directory.path().join("word"), _directory: directory };
        this.say(word);
        this
    }

    fn say(&self, word: &str) {
        fs::write(&self.file, word).unwrap();
    }

    fn connect(&self) -> String {
        format!(
            "connect = {{ attaching = {{ file = {:?}, trouble = \"cookie is readable by others\" }} }}",
            self.file
        )
    }
}

fn incarnation(host: &Host, node: &str) -> u64 {
    host.view().members[node]["incarnation"].as_u64().unwrap()
}

/// A node is up, and announced, only while its connector is attached to it; silence in between is no departure, and
/// another life of it is another incarnation. When the host stops nobody is told that the node leaves: it lives on.
#[test]
fn while_attached() {
    let lan = Lan::with(Plugins::with(&[GOSSIP, FAULTY]));
    let word = Word::new("no node answers");
    let alice = lan.start_with(lan.config(ALICE, "").replace("connect = \"none\"", &word.connect()));
    let bob = lan.start(BOB, "");
    alice.wait("bob", |view| view.state(BOB) == Some("up"));
    alice.wait("the reason", |view| {
        let reason = view.members.get(ALICE).map(|member| member["reason"].clone());
        view.state(ALICE) == Some("discovered") && reason == Some(json!("no node answers"))
    });
    let topology = alice.settle("the trouble", || {
        Some(alice.topology("lan")).filter(|topology| topology["health"] == "degraded")
    });
    assert_eq!(topology["reason"], "connector attaching: cookie is readable by others");
    bob.wait_up(&[BOB]);

    word.say(&format!("up {ALICE} 7"));
    alice.wait_up(&[ALICE, BOB]);
    bob.wait_up(&[ALICE, BOB]);
    let first = incarnation(&bob, ALICE);

    word.say("connection closed");
    alice.wait("its absence", |view| view.state(ALICE) == Some("down"));
    word.say(&format!("up {ALICE} 8"));
    alice.wait_up(&[ALICE, BOB]);
    bob.wait("the next life", |view| {
        view.members.get(ALICE).is_some_and(|member| member["incarnation"].as_u64() > Some(first))
    });
    alice.check_fold();

    assert!(alice.terminate().success());
    let carol = lan.start(CAROL, "");
    bob.wait_up(&[ALICE, BOB, CAROL]);
    assert!(carol.terminate().success());
    bob.wait("carol's goodbye", |view| view.events_of("node_left", CAROL).count() == 1);
    let view = bob.view();
    assert_eq!(view.events_of("node_left", ALICE).count(), 0, "{view}");
    assert_eq!(view.events_of("node_down", ALICE).count(), 0, "{view}");
}

/// A host that is not told the name of its node learns it from its connector, and shows it.
#[test]
fn name_learned() {
    let lan = Lan::with(Plugins::with(&[GOSSIP, FAULTY]));
    let word = Word::new("no node answers");
    let config = lan.config(ALICE, "").replace("connect = \"none\"", &word.connect());
    let alice = lan.start_with(config.replace(&format!("[node]\nname = \"{ALICE}\"\n"), ""));
    let bob = lan.start(BOB, "");
    alice.wait_up(&[BOB]);
    assert_eq!(alice.members()["self"], json!(null));
    word.say(&format!("up {ALICE} 7"));
    alice.wait_up(&[ALICE, BOB]);
    bob.wait_up(&[ALICE, BOB]);
    assert_eq!(alice.members()["self"], ALICE);
    assert_eq!(alice.view().members[ALICE]["self"], true);
}

/// A link that the connector keeps is no member's any more; it is listed, and why is told.
#[test]
fn kept() {
    let lan = Lan::with(Plugins::with(&[GOSSIP, FAULTY]));
    let word = Word::new(&format!("up {ALICE} 7"));
    let alice = lan.start_with(lan.config(ALICE, "").replace("connect = \"none\"", &word.connect()));
    let bob = lan.start(BOB, "");
    alice.wait_up(&[ALICE, BOB]);
    assert!(bob.terminate().success());
    alice.wait("bob gone", |view| view.events_of("node_left", BOB).count() == 1);
    alice.settle("the unclaimed link", || {
        Some(()).filter(|()| alice.topology("lan")["unclaimed"] == json!([BOB]))
    });
    let (_, text, _) = crate::host::outcome(&alice.ask(&format!("explain {BOB}")));
    assert!(text.contains("kept by its connector: it would cost the others their links"), "{text}");
}
