//! Gossip on a network where something is wrong.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};

use expect_test::expect;
use socket2::SockRef;

use super::Patient;
use crate::{
    host::{Host, pause},
    lan::Lan,
};

const A: &str = "a@127.0.0.1";
const B: &str = "b@127.0.0.1";
const FAST: &str = "heartbeat_interval = \"500ms\"";

/// A node `a` that is not running, on a network on which `b` is.
fn patient(lan: &Lan, options: &str) -> Patient {
    Patient::new(&lan.config(A, &format!("{FAST}\n{options}")), lan.plugins.path())
}

/// A host that is up.
fn up(lan: &Lan, config: String) -> Host {
    let host = lan.start_with(config);
    host.settle("its heartbeats", || (host.counter("lan", "datagrams_own") > 0).then_some(()));
    host
}

fn beside(lan: &Lan, options: &str) -> Host {
    up(lan, lan.config(B, &format!("{FAST}\n{options}")))
}

/// Where all is as it should be, every rung is well: with a secret too.
#[test]
fn all_is_well() {
    let lan = Lan::new();
    let secret = "secret = \"same\"";
    let _b = beside(&lan, secret);
    patient(&lan, secret).examine().check_well();
}

/// Others of this network belong to another cluster.
#[test]
fn other_cluster() {
    let lan = Lan::new();
    let _b = up(&lan, lan.config(B, FAST).replace("\"test\"", "\"shop\""));
    patient(&lan, "").examine().hide(&lan.port, "PORT").check(&expect![[r#"
        fail cluster [lan] 127.0.0.1 is of cluster "shop", and this is cluster "test"
          fix: write cluster = "shop" here, or "test" there, if they belong together
        broken at cluster (lan): 127.0.0.1 is of cluster "shop", and this is cluster "test"; to mend it: write cluster = "shop" here, or "test" there, if they belong together.
    "#]]);
}

/// Others have another secret, this node has none, or the others have none.
#[test]
fn other_secret() {
    let lan = Lan::new();
    let b = beside(&lan, "secret = \"vanilla\"");
    patient(&lan, "secret = \"chocolate\"").examine().check(&expect![[r#"
        fail secret [lan] datagrams of 127.0.0.1 cannot be read with this topology's secret
          fix: give all nodes the same config.secret: compare the files, their ends of line too
        broken at secret (lan): datagrams of 127.0.0.1 cannot be read with this topology's secret; to mend it: give all nodes the same config.secret: compare the files, their ends of line too.
    "#]]);
    patient(&lan, "").examine().check(&expect![[r#"
        fail secret [lan] datagrams of 127.0.0.1 are encrypted, and this topology has no secret
          fix: set config.secret to theirs
        broken at secret (lan): datagrams of 127.0.0.1 are encrypted, and this topology has no secret; to mend it: set config.secret to theirs.
    "#]]);
    drop(b);
    let _b = beside(&lan, "");
    patient(&lan, "secret = \"chocolate\"").examine().check(&expect![[r#"
        fail secret [lan] heartbeats of 127.0.0.1 are not encrypted, and this topology has a secret
          fix: give all nodes the same config.secret
        broken at secret (lan): heartbeats of 127.0.0.1 are not encrypted, and this topology has a secret; to mend it: give all nodes the same config.secret.
    "#]]);
}

/// The file of the secret is not there.
#[test]
fn secret_cannot_be_read() {
    let lan = Lan::new();
    patient(&lan, "secret = { file = \"/nowhere/secret\" }").examine().check(&expect![[r#"
        fail secret [lan] secret file "/nowhere/secret" cannot be read: No such file or directory (os error 2)
          fix: write the file or set the variable that 'secret' names, readable for the host's user
        broken at secret (lan): secret file "/nowhere/secret" cannot be read: No such file or directory (os error 2); to mend it: write the file or set the variable that 'secret' names, readable for the host's user.
    "#]]);
}

/// Another program has the port to itself.
#[test]
fn port_in_use() {
    let mut lan = Lan::new();
    let greedy = UdpSocket::bind("0.0.0.0:0").unwrap();
    lan.port = greedy.local_addr().unwrap().port();
    patient(&lan, "").examine().hide(&lan.port, "PORT").check(&expect![[r#"
        fail socket [lan] cannot bind 0.0.0.0:PORT: Address already in use (os error 98)
          fix: another program holds the port and does not share it: stop it, or set another port
        broken at socket (lan): cannot bind 0.0.0.0:PORT: Address already in use (os error 98); to mend it: another program holds the port and does not share it: stop it, or set another port.
    "#]]);
}

/// The address in `multicast_if` is of no interface, or the one in `if_addr` is, or is one where no multicast is heard.
#[test]
fn wrong_interface() {
    let lan = Lan::new();
    let with = |from: &str, to: &str| {
        let config = lan.config(A, FAST).replace(from, to);
        Patient::new(&config, lan.plugins.path()).examine().hide(&lan.port, "PORT")
    };
    let interface = "multicast_if = \"127.0.0.1\"";
    with(interface, "multicast_if = \"192.0.2.9\"").check(&expect![[r#"
        fail multicast [lan] cannot send multicast on 192.0.2.9: Cannot assign requested address (os error 99)
          fix: set multicast_if to the address of an interface that carries multicast, or list the nodes in unicast
        broken at multicast (lan): cannot send multicast on 192.0.2.9: Cannot assign requested address (os error 99); to mend it: set multicast_if to the address of an interface that carries multicast, or list the nodes in unicast.
    "#]]);
    with(interface, "if_addr = \"192.0.2.9\"").check(&expect![[r#"
        fail socket [lan] cannot bind 192.0.2.9:PORT: Cannot assign requested address (os error 99)
          fix: no interface of this machine has this address: set if_addr
        broken at socket (lan): cannot bind 192.0.2.9:PORT: Cannot assign requested address (os error 99); to mend it: no interface of this machine has this address: set if_addr.
    "#]]);
    with(interface, "if_addr = \"127.0.0.1\"\nmulticast_if = \"127.0.0.1\"").check(&expect![[r#"
        fail multicast [lan] a socket bound to if_addr 127.0.0.1 hears no multicast on Linux
          fix: write multicast_if = "127.0.0.1" in place of if_addr
        broken at multicast (lan): a socket bound to if_addr 127.0.0.1 hears no multicast on Linux; to mend it: write multicast_if = "127.0.0.1" in place of if_addr.
    "#]]);
}

/// The others are in the group that libcluster has by default since 3.3.
#[test]
fn libclusters_new_group() {
    let lan = Lan::new();
    let _b = beside(&lan, "multicast_addr = \"233.252.1.32\"");
    patient(&lan, "").examine().check(&expect![[r#"
        fail group [lan] 127.0.0.1 sends heartbeats to 233.252.1.32, libcluster's default since 3.3; this topology is in 230.1.1.251
          fix: write multicast_addr = "233.252.1.32" in config, or set theirs
        broken at group (lan): 127.0.0.1 sends heartbeats to 233.252.1.32, libcluster's default since 3.3; this topology is in 230.1.1.251; to mend it: write multicast_addr = "233.252.1.32" in config, or set theirs.
    "#]]);
    patient(&lan, "multicast_addr = \"233.252.1.32\"").examine().check_well();
}

/// Two nodes have the name of this one.
#[test]
fn same_name() {
    let lan = Lan::new();
    let _hosts = [beside(&lan, ""), beside(&lan, "")];
    let config = lan.config(B, FAST);
    Patient::new(&config, lan.plugins.path()).examine().check(&expect![[r#"
        fail same name [lan] 2 nodes announce the name b@127.0.0.1, from 127.0.0.1
          fix: give each node a name of its own in [node]
        broken at same name (lan): 2 nodes announce the name b@127.0.0.1, from 127.0.0.1; to mend it: give each node a name of its own in [node].
    "#]]);
}

/// A node whose clock is an hour ahead, as it says itself by the time of its start. Sent again and again until it is dropped.
struct Ahead(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Ahead {
    fn start(lan: &Lan) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a clock is what is tested")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let start = u64::try_from(now).unwrap() + 3_600_000;
        let mut datagram = b"heartbeat::\x83\x74\0\0\0\x02\x77\x04node\x77\x0bc@127.0.0.1".to_vec();
        datagram.extend_from_slice(b"\x77\x0bincarnation\x6d\0\0\0\x08");
        datagram.extend_from_slice(&start.to_be_bytes());
        let ended = Arc::new(AtomicBool::new(false));
        let (flag, port) = (Arc::clone(&ended), lan.port);
        let thread = thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
            while !flag.load(Ordering::SeqCst) {
                socket.send_to(&datagram, (Ipv4Addr::new(230, 1, 1, 251), port)).unwrap();
                pause();
            }
        });
        Self(ended, Some(thread))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.take().unwrap().join().unwrap();
    }
}

/// The clock of another node is ahead.
#[test]
fn clock_is_off() {
    let lan = Lan::new();
    let _b = beside(&lan, "");
    let _c = Ahead::start(&lan);
    patient(&lan, "").examine().check(&expect![[r#"
        fail clocks [lan] c@127.0.0.1 started N s from now by its clock: its clock is ahead, or this one behind
          fix: set both clocks by NTP: 'timedatectl set-ntp true', or 'chronyc makestep'
        broken at clocks (lan): c@127.0.0.1 started N s from now by its clock: its clock is ahead, or this one behind; to mend it: set both clocks by NTP: 'timedatectl set-ntp true', or 'chronyc makestep'.
    "#]]);
}

/// The name of this node is that of another machine, or is one that only this machine reaches while the others are elsewhere.
#[test]
fn name_of_another_machine() {
    let lan = Lan::new();
    let _b = beside(&lan, "");
    let config = lan.config("a@192.0.2.9", FAST);
    let diagnosis = Patient::new(&config, lan.plugins.path()).examine();
    let evidence = diagnosis.json["verdict"].as_str().unwrap();
    assert_eq!(diagnosis.code, Some(1));
    assert!(
        evidence.starts_with("broken at name: a@192.0.2.9 is not this machine: 192.0.2.9 is "),
        "{evidence}"
    );
    assert!(
        evidence.contains("; to mend it: in line 3 of ") && evidence.contains("write name = \"a@"),
        "{evidence}"
    );

    let nodes = lan.plugins.path().join("nodes");
    fs::write(&nodes, "b@192.0.2.7\n").unwrap();
    let plugins = crate::host::Plugins::with(&[crate::host::BASIC]);
    let config = format!(
        "[node]\nname = \"{A}\"\n[topologies.t]\nstrategy = \"file\"\nconnect = \"none\"\nconfig = {{ path = {nodes:?} }}\n"
    );
    let diagnosis = Patient::new(&config, plugins.path()).examine();
    let evidence = diagnosis.json["verdict"].as_str().unwrap();
    let expected = "broken at name: a@127.0.0.1 is at 127.0.0.1, where only this machine reaches it, and others are at 192.0.2.7";
    assert!(evidence.starts_with(expected), "{evidence}");
}
