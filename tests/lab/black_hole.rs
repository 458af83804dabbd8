//! Heartbeats that name addresses where nobody answers. In libcluster each costs the sender's heartbeats seconds.

use std::net::{TcpListener, UdpSocket};

use super::{GOSSIP_PORT, run};
use crate::gossip_wire::heartbeat;

const LINKS: &str = "connect = { tcp = { port = 9000 } }";

/// While links to many dead addresses are being tried, heartbeats go out as before and the living are linked.
#[test]
fn dead_addresses_delay_nobody() {
    run(3, |lab| {
        // The living answer on the port of their links; the third drops all that comes there without an answer.
        let _answering: Vec<TcpListener> =
            [1, 2].map(|host| lab.within(host, || TcpListener::bind("0.0.0.0:9000").unwrap())).into();
        lab.filter(3, "tcp dport 9000 counter drop");
        let options = "heartbeat_interval = \"500ms\"\nheartbeat_timeout = \"20s\"";
        let first = lab.start(1, options, LINKS);
        first.wait("itself", |view| view.members.len() == 1);

        // A stranger names forty nodes: half where nobody is at all, half where packets vanish.
        let dead: Vec<String> = (0..40)
            .map(|number| {
                if number % 2 == 0 {
                    format!("dead{number}@10.77.9.{number}")
                } else {
                    format!("dead{number}@10.77.0.3")
                }
            })
            .collect();
        let stranger = lab.within(3, || UdpSocket::bind("0.0.0.0:0").unwrap());
        let name_all = || {
            for node in &dead {
                stranger.send_to(&heartbeat(node), (lab.address(1), GOSSIP_PORT)).unwrap();
            }
        };
        first.settle("the dead to be known", || {
            name_all();
            let view = first.view();
            dead.iter().all(|node| view.members.contains_key(node)).then_some(())
        });

        // A newcomer's link is made while those tries are under way, and its heartbeats are heard all the time.
        let second = lab.start(2, options, LINKS);
        let living = [lab.node(1), lab.node(2)];
        for (host, other) in [(&first, &living[1]), (&second, &living[0])] {
            host.wait("a link between the living", |view| view.state(other) == Some("up"));
        }
        let heard = || second.counter("lan", "datagrams_accepted");
        let before = heard();
        second.settle("twenty more heartbeats of the first", || {
            name_all();
            (heard() >= before + 20).then_some(())
        });
        let view = second.view();
        assert_eq!(view.events_of("node_down", &living[0]).count(), 0, "{view}");
        let view = first.view();
        assert_eq!(view.events_of("node_down", &living[1]).count(), 0, "{view}");
        assert!(dead.iter().all(|node| view.state(node) == Some("discovered")), "{view}");
        assert!(lab.dropped(3) > 0, "the links were tried");
        first.wait("the failures to be told", |view| view.count("connect_failed") > 0);
    });
}
