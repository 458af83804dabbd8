//! Hooks that come, go and change while the host runs.

use super::{Rig, life, revisions};
use crate::hooks::{HookChanges, STOP_MAX};

const WAITS: &str = "retry = { first = '1h', cap = '1h' }";

fn hook(name: &str, script: &str, more: &str) -> String {
    format!("[[on_event]]\nname = {name:?}\ncommand = ['sh', '-c', '{script}']\n{more}\n")
}

/// A change counts at once for what waits to be tried again, and goes on with the same event; a hook that is not changed
/// runs on and is not tried anew.
#[test]
fn changed() {
    life(async || {
        let mut rig = Rig::new();
        let other = hook("other", "echo >> DIR/other; exit 1", WAITS);
        rig.apply(&format!("{}{other}", hook("hook", "exit 1", WAITS)));
        rig.publish(2);
        rig.wait("failures", |rig| rig.info("hook").failed == 1 && rig.info("other").failed == 1).await;
        rig.apply(&format!("{}{other}", hook("hook", "echo $CLUSTER_ID >> DIR/lines", "")));
        rig.wait_done("hook").await;
        assert_eq!(revisions(&rig.lines("lines")), [1, 2]);
        assert_eq!((rig.info("other").failed, rig.lines("other").len()), (1, 1));
    });
}

/// A filter that is changed counts for the event that fails, too: so one can be let go.
#[test]
fn filtered_out() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(&hook("hook", "exit 1", WAITS));
        rig.publish(2);
        rig.wait("a failure", |rig| rig.info("hook").failed == 1).await;
        rig.apply(&hook("hook", "echo $CLUSTER_ID >> DIR/lines", "nodes = [\"n2@h\"]"));
        rig.wait_done("hook").await;
        assert_eq!(revisions(&rig.lines("lines")), [2]);
    });
}

/// A hook that is removed and comes back while something is under way goes on after that, and never does two things at
/// once.
#[test]
fn removed_and_back() {
    life(async || {
        let mut rig = Rig::new();
        let slow = hook(
            "hook",
            "echo begin $CLUSTER_ID >> DIR/lines; sleep 0.3; echo end $CLUSTER_ID >> DIR/lines",
            "",
        );
        rig.apply(&slow);
        rig.publish(2);
        rig.wait("the first", |rig| rig.lines("lines").len() == 1).await;
        rig.apply("");
        assert!(rig.board.hooks.infos(&rig.log).is_empty());
        rig.apply(&slow);
        rig.wait("the second", |rig| rig.lines("lines").len() == 4).await;
        let first = "0000000000000007:1";
        let second = "0000000000000007:2";
        assert_eq!(
            rig.lines("lines"),
            [
                format!("begin {first}"),
                format!("end {first}"),
                format!("begin {second}"),
                format!("end {second}")
            ]
        );
    });
}

/// A hook that is removed while it hangs is ended.
#[test]
fn removed_while_it_hangs() {
    life(async || {
        let mut rig = Rig::new();
        rig.apply(&hook("hook", "echo $$$$ > DIR/process; exec sleep 1000", ""));
        rig.publish(1);
        rig.wait("its process", |rig| rig.lines("process").len() == 1).await;
        let before = crate::clock::now().instant;
        rig.apply("");
        let process = rig.lines("process")[0].clone();
        rig.wait("its end", |_| !std::path::Path::new(&format!("/proc/{process}")).exists()).await;
        assert!(before.elapsed() >= STOP_MAX, "it had its time");
    });
}

/// What is told of a reload.
#[test]
fn changes() {
    let rig = Rig::new();
    let config = |hooks: &[(&str, &str)]| {
        let hooks: String = hooks.iter().map(|(name, script)| hook(name, script, "")).collect();
        rig.config(&hooks).on_event
    };
    let old = config(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let new = config(&[("d", "4"), ("b", "5"), ("a", "1")]);
    let changes = HookChanges::between(&old, &new);
    assert_eq!(
        (changes.added, changes.changed, changes.removed),
        (vec!["d".into()], vec!["b".into()], vec!["c".into()])
    );
    assert!(HookChanges::between(&old, &old).is_empty());
}
