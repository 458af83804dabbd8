//! Firewalls between machines.

use std::net::TcpListener;

use expect_test::expect;

use super::{GOSSIP_PORT, run};
use crate::{
    doctor::Patient,
    host::{FAULTY, Plugins},
};

const FAST: &str = "heartbeat_interval = \"500ms\"";

/// Multicast is dropped where this node receives; without the rule all is well.
#[test]
fn multicast_is_blocked() {
    run(2, |lab| {
        let config = format!(
            "[node]\nname = \"{}\"\n[topologies.lan]\nstrategy = \"gossip\"\nconnect = \"none\"\n[topologies.lan.config]\n{FAST}\n",
            lab.node(1)
        );
        let other = lab.start(2, FAST, "connect = \"none\"");
        other.settle("its heartbeats", || (other.counter("lan", "datagrams_own") > 0).then_some(()));
        let patient = Patient::new(&config, lab.plugins()).network("n1");
        patient.examine().check_well();
        lab.filter(1, &format!("udp dport {GOSSIP_PORT} counter drop"));
        patient.examine().check(&expect![[r#"
            fail multicast [lan] nothing that is sent to 230.1.1.251:45892 comes back, not even this machine's own: multicast is blocked
              fix: allow UDP port 45892 to 230.1.1.251 in this machine's firewall ('nft list ruleset' shows it), set multicast_if to the address of an interface that carries it, or list the nodes in unicast
            broken at multicast (lan): nothing that is sent to 230.1.1.251:45892 comes back, not even this machine's own: multicast is blocked; to mend it: allow UDP port 45892 to 230.1.1.251 in this machine's firewall ('nft list ruleset' shows it), set multicast_if to the address of an interface that carries it, or list the nodes in unicast.
        "#]]);
        assert!(lab.dropped(1) > 0);
    });
}

/// The port of the nodes is dropped by the other machine's firewall; without the rule all is well.
#[test]
fn port_is_firewalled() {
    run(2, |lab| {
        let plugins = Plugins::with(&[FAULTY]);
        let listener = lab.within(2, || TcpListener::bind("0.0.0.0:9000").unwrap());
        let config = format!(
            "[node]\nname = \"{}\"\n[topologies.t]\nstrategy = \"fixed\"\nconfig = {{ nodes = [\"{}\"] }}\n\
             connect = {{ tcp = {{ port = 9000, connect_timeout = \"1s\" }} }}\n",
            lab.node(1),
            lab.node(2)
        );
        let patient = Patient::new(&config, plugins.path()).network("n1");
        patient.examine().check_well();
        lab.filter(2, "tcp dport 9000 counter drop");
        patient.examine().check(&expect![[r#"
            fail tcp [t, n2@10.77.0.2] 10.77.0.2:9000: no answer within 1s
              fix: is the service of n2@10.77.0.2 running there, does it listen at port 9000, and does the firewall let that through?
            broken at tcp (t, n2@10.77.0.2): 10.77.0.2:9000: no answer within 1s; to mend it: is the service of n2@10.77.0.2 running there, does it listen at port 9000, and does the firewall let that through?
        "#]]);
        assert!(lab.dropped(2) > 0);
        drop(listener);
    });
}
