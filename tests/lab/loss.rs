//! A network that loses every fifth packet.

use super::{GOSSIP_PORT, Lab, run};

/// The cluster forms, and nobody is thought to be gone over so many heartbeats of each host.
fn lossy(lab: &Lab, options: &str, heartbeats: u64) {
    for host in lab.all() {
        lab.filter(host, &format!("udp dport {GOSSIP_PORT} numgen random mod 100 < 20 counter drop"));
    }
    let all = lab.nodes(lab.all());
    let hosts = lab.start_all(options);
    for host in &hosts {
        host.wait_up(&all);
    }
    let others = hosts.len() as u64 - 1;
    let heard = |host: &crate::host::Host| host.counter("lan", "datagrams_accepted");
    let enough: Vec<u64> = hosts.iter().map(|host| heard(host) + heartbeats * others).collect();
    for (host, enough) in hosts.iter().zip(enough) {
        host.settle("so many heartbeats", || (heard(host) >= enough).then_some(()));
    }
    for (number, host) in lab.all().zip(&hosts) {
        host.wait_up(&all);
        let view = host.view();
        assert_eq!((view.count("node_down"), view.count("node_left")), (0, 0), "{view}");
        host.check_fold();
        let (dropped, heard) = (lab.dropped(number), heard(host));
        assert!(dropped * 10 > heard, "{dropped} lost, {heard} heard: that is less loss than was ordered");
    }
}

/// Three machines.
#[test]
fn three() {
    run(3, |lab| lossy(lab, "heartbeat_interval = \"200ms\"\nheartbeat_timeout = \"5s\"", 100));
}

/// Fifty machines.
#[test]
fn fifty() {
    run(50, |lab| lossy(lab, "heartbeat_interval = \"1s\"\nheartbeat_timeout = \"15s\"", 15));
}
