//! The network falls into two halves and comes together again.

use super::{Lab, run};

/// Each half sees the other go and itself stay; healed, all agree again, and the incarnations are those from before,
/// since nobody was started anew.
fn part_and_heal(lab: &Lab, options: &str) {
    let all = lab.nodes(lab.all());
    let (left, right): (Vec<usize>, Vec<usize>) = lab.all().partition(|host| lab.is_left(*host));
    let halves = [lab.nodes(left), lab.nodes(right)];
    let hosts = lab.start_all(options);
    for host in &hosts {
        host.wait_up(&all);
    }
    let incarnations = |host: &crate::host::Host| {
        let view = host.view();
        all.iter().map(|node| view.incarnation(node)).collect::<Vec<_>>()
    };
    let before = incarnations(&hosts[0]);

    lab.part();
    for (number, host) in lab.all().zip(&hosts) {
        let [near, far] = if lab.is_left(number) { [0, 1] } else { [1, 0] };
        host.wait_up(&halves[near]);
        let view = host.view();
        for node in &halves[far] {
            assert_eq!(view.events_of("node_left", node).count(), 1, "{node}");
        }
        for node in &halves[near] {
            assert_eq!(view.events_of("node_down", node).count(), 0, "{node} is on the same side");
        }
    }
    lab.heal();
    for host in &hosts {
        host.wait_up(&all);
        host.check_fold();
        assert_eq!(incarnations(host), before);
    }
}

/// Three machines: two and one.
#[test]
fn three() {
    run(3, |lab| part_and_heal(lab, "heartbeat_interval = \"500ms\"\nheartbeat_timeout = \"5s\""));
}

/// Fifty machines: half and half.
#[test]
fn fifty() {
    run(50, |lab| part_and_heal(lab, "heartbeat_interval = \"2s\"\nheartbeat_timeout = \"15s\""));
}
