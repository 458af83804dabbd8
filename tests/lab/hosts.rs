//! Hosts that each have a machine of their own find each other, and notice who goes and comes back.

use super::{Lab, run};

/// The silence after which a host is given up: long enough that a busy machine does not pretend it.
struct Patience {
    options: &'static str,
}

const FEW: Patience = Patience { options: "heartbeat_interval = \"500ms\"\nheartbeat_timeout = \"5s\"" };
const MANY: Patience = Patience { options: "heartbeat_interval = \"2s\"\nheartbeat_timeout = \"15s\"" };

/// Formation, a kill, a return and a clean stop, as all hosts see them.
fn comings_and_goings(lab: &Lab, Patience { options }: &Patience) {
    let all = lab.nodes(lab.all());
    let mut hosts = lab.start_all(options);
    for host in &hosts {
        host.wait_up(&all);
    }
    let victim = hosts.len() / 2;
    let name = all[victim].clone();
    let rest: Vec<String> = all.iter().filter(|node| **node != name).cloned().collect();
    let first = hosts[0].view().incarnation(&name).expect("an incarnation");

    hosts[victim].kill();
    for (_, host) in hosts.iter().enumerate().filter(|(index, _)| *index != victim) {
        host.wait_up(&rest);
        assert_eq!(host.view().count("node_left"), 1, "nobody else was given up");
    }
    hosts[victim].restart();
    for host in &hosts {
        host.wait_up(&all);
        host.wait("a later incarnation", |view| view.incarnation(&name) > Some(first));
        host.check_fold();
    }
    // Told and not guessed from silence: the reason says so.
    assert!(hosts[victim].terminate().success());
    for (_, host) in hosts.iter().enumerate().filter(|(index, _)| *index != victim) {
        host.wait_up(&rest);
        let view = host.view();
        let reasons: Vec<_> =
            view.events_of("node_left", &name).map(|event| event["reason"].clone()).collect();
        assert_eq!(reasons.len(), 2);
        assert_ne!(reasons[0], reasons[1], "killed and stopped");
    }
}

/// Three machines.
#[test]
fn three() {
    run(3, |lab| comings_and_goings(lab, &FEW));
}

/// Fifty machines.
#[test]
fn fifty() {
    run(50, |lab| comings_and_goings(lab, &MANY));
}

/// A node that stops cleanly is gone at once: the silent are not given up within this test.
#[test]
fn clean_stop_needs_no_timeout() {
    run(3, |lab| {
        let all = lab.nodes(lab.all());
        let hosts = lab.start_all("heartbeat_timeout = \"1h\"");
        for host in &hosts {
            host.wait_up(&all);
        }
        assert!(hosts[2].terminate().success());
        for host in &hosts[..2] {
            host.wait_up(&all[..2]);
        }
    });
}
