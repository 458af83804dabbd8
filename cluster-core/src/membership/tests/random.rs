//! Random scripts. The world checks after every step what must hold whatever happens; here is what must hold at
//! the end, and when the faults are over.

use std::{fmt, time::Duration};

use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest},
    sample::select,
};

use super::{
    super::{ConnectorId, PrunePolicy},
    script::{ERL, KEPT, Op, TCP, obliging, refusing, topology, wait},
    world::World,
};
use crate::member::{Member, MemberState};

const TOPOLOGIES: [&str; 4] = ["n", "t", "u", "v"];
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "me"];

#[derive(Clone)]
struct Script(Vec<Op>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|op| write!(f, "\n    {op}"))
    }
}

fn node() -> impl Strategy<Value = String> {
    let incarnation = prop_oneof![Just(""), Just("/1"), Just("/2"), Just("/3")];
    let address = prop_oneof![3 => Just(""), 1 => Just(":1.1"), 1 => Just(":1.2"), 1 => Just(":1.1:1.2")];
    let zone = prop_oneof![4 => Just(""), 1 => Just("~eu"), 1 => Just("~us")];
    let leaving = prop_oneof![9 => Just(""), 1 => Just("!")];
    (select(&NAMES[..]), incarnation, address, zone, leaving).prop_map(
        |(name, incarnation, address, zone, leaving)| [name, incarnation, address, zone, leaving].concat(),
    )
}

fn nodes() -> impl Strategy<Value = String> {
    let few = vec(node(), 0..8).prop_map(|nodes| nodes.join(" "));
    prop_oneof![
        6 => few,
        // Lists that come again and again.
        2 => select(vec!["a b c d e", "a b c d e f", "a b c d", "a/2 b:1.1 c!", ""]).prop_map(str::to_owned),
        1 => Just("a ? b".to_owned()),
        1 => Just("a b c d e f g ha hb hc hd he hf".to_owned()),
    ]
}

fn names() -> impl Strategy<Value = String> {
    vec(select(&NAMES[..]), 0..4).prop_map(|names| names.join(" "))
}

fn reports() -> impl Strategy<Value = Op> {
    let topology = || select(&TOPOLOGIES[..]);
    let ttl = || prop_oneof![2 => Just(None), 1 => (1_u64..40).prop_map(Some)];
    prop_oneof![
        (topology(), nodes(), ttl()).prop_map(|(name, nodes, ttl)| Op::Complete(name, nodes, ttl)),
        (topology(), nodes(), ttl()).prop_map(|(name, nodes, ttl)| Op::Partial(name, nodes, ttl)),
        (topology(), nodes(), nodes(), ttl())
            .prop_map(|(name, ups, downs, ttl)| Op::Apply(name, ups, downs, ttl)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let topology = || select(&TOPOLOGIES[..]);
    let connector = || select(vec![TCP.unwrap(), ERL.unwrap()]);
    let generation = || prop_oneof![4 => Just(1_u64), 1 => 2_u64..4];
    let outcome = || prop_oneof![2 => Just(Ok(())), 1 => Just(Err("refused")), 1 => Just(Err("no route")), 1 => Just(Err(KEPT))];
    let links = prop_oneof![
        3 => (connector(), generation(), names()).prop_map(|(id, number, names)| Op::Up(id, number, names)),
        3 => (connector(), generation(), names()).prop_map(|(id, number, names)| Op::Down(id, number, names)),
        1 => (connector(), generation(), names()).prop_map(|(id, number, names)| Op::Links(id, number, names)),
        2 => (connector(), generation(), names()).prop_map(|(id, number, names)| Op::List(id, number, names)),
        1 => (connector(), outcome()).prop_map(|(id, how)| Op::NoList(id, how)),
        6 => (connector(), select(&NAMES[..]), outcome()).prop_map(|(id, node, how)| Op::Answer(id, node, how)),
        3 => (connector(), outcome()).prop_map(|(id, how)| Op::Obliging(id, Some(how))),
        2 => connector().prop_map(|id| Op::Obliging(id, None)),
    ];
    let faults = prop_oneof![
        connector().prop_map(Op::Started),
        connector().prop_map(Op::Stopped),
        connector().prop_map(|id| Op::Unavailable(id, "no BEAM node yet")),
        connector().prop_map(Op::Available),
        (connector(), select(vec![None, Some("cookie is readable by others")]))
            .prop_map(|(id, trouble)| Op::Troubled(id, trouble)),
        topology().prop_map(Op::Stop),
        topology().prop_map(Op::Start),
        topology().prop_map(|name| Op::Degraded(name, "403")),
        topology().prop_map(Op::Remove),
        topology().prop_map(Op::Supersede),
        prop_oneof![3 => Just(&[][..]), 1 => Just(&["t"][..])].prop_map(Op::Restart),
        (topology(), select(vec![None, TCP, ERL])).prop_map(changed),
        topology().prop_map(added),
        select(&NAMES[..]).prop_map(Op::Forget),
        prop_oneof![Just("me/2"), Just("me/3~eu"), Just("a"), Just("b:1.1")]
            .prop_map(|node| Op::Local(node.into())),
        select(vec![Ok(()), Err("not attached"), Err("connection closed")]).prop_map(Op::Presence),
    ];
    let time = prop_oneof![
        4 => (0_u64..12_000).prop_map(Duration::from_millis),
        1 => (0_u64..400).prop_map(Duration::from_secs),
    ];
    prop_oneof![8 => reports(), 8 => links, 3 => faults, 5 => time.prop_map(Op::Wait)]
}

/// Linked in another way than it was added, or held by another policy.
fn changed((name, connector): (&'static str, Option<ConnectorId>)) -> Op {
    let prune = PrunePolicy { after: Duration::from_secs(3), ..PrunePolicy::default() };
    Op::Change(name, connector, prune)
}

/// One without a connector, two that share one, one with another.
fn added(name: &'static str) -> Op {
    match name {
        "n" => topology(name, None),
        "v" => topology(name, ERL),
        // One of those that share lets everybody go at once.
        "u" => {
            Op::Topology(name, TCP, PrunePolicy { rounds: 1, max_fraction: 1.0, ..PrunePolicy::default() })
        }
        _ => topology(name, TCP),
    }
}

/// Everybody who is wanted is linked, and nobody is who was and is not.
fn check_links(world: &World) {
    let membership = &world.membership;
    let is_leaving = |node| {
        let vouches = membership.topologies.values().filter_map(|topology| topology.vouches.get(node));
        vouches.into_iter().any(|vouch| vouch.node.is_leaving())
    };
    for topology in membership.topologies.values() {
        let Some(id) = topology.spec.connector else { continue };
        let links = membership.connectors[&id].links();
        for node in topology.vouches.names().filter(|node| !is_leaving(node)) {
            assert!(links.get(node).is_some_and(|link| link.is_up()), "{node} is wanted and not linked");
            assert_eq!(membership.members[node].state, MemberState::Up);
        }
    }
    for (id, connector) in &membership.connectors {
        let topologies =
            || membership.topologies.values().filter(|topology| topology.spec.connector == Some(*id));
        for (node, link) in connector.links() {
            let is_wanted = topologies().any(|topology| topology.vouches.contains(node));
            assert!(is_wanted || !link.ours, "{node} is not wanted and still linked or dialled");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, the invariants hold; folding the events after any cursor gives the snapshot at the end;
    /// when connectors work again everybody who is wanted gets linked; and time never runs in circles.
    #[test]
    fn scripts(script in vec(op(), 1..60).prop_map(Script), pick in any::<proptest::sample::Index>()) {
        let mut world = World::new();
        for name in TOPOLOGIES {
            world.run(&added(name));
        }
        for op in &script.0 {
            world.run(op);
        }
        for id in [TCP, ERL] {
            world.run(&Op::Available(id.unwrap()));
            world.run(&obliging(id));
            world.run(&Op::Started(id.unwrap()));
        }
        for name in TOPOLOGIES {
            world.run(&Op::Start(name));
        }
        // By then every hold is over; at the end of one a node may be dialled anew, at another address.
        world.run(&wait(400));
        check_links(&world);
        for id in [TCP, ERL] {
            world.run(&refusing(id, "refused"));
            world.run(&Op::Stopped(id.unwrap()));
            world.run(&Op::Started(id.unwrap()));
        }
        let timeouts = world.timeouts;
        world.run(&wait(600));
        // At least 4 s are between two tries of one of eight nodes by one of two connectors, after the first few.
        let timeouts = world.timeouts - timeouts;
        assert!(timeouts < 3_000, "{timeouts} timeouts in ten minutes");
        world.check_fold(pick);
    }

    /// A restart changes nobody whose links outlive the host, whatever was before it.
    #[test]
    fn restart(script in vec(op(), 1..60).prop_map(Script)) {
        let mut world = World::new();
        for op in TOPOLOGIES.map(added).iter().chain(&script.0) {
            world.run(op);
        }
        for id in [TCP, ERL] {
            world.run(&Op::Obliging(id.unwrap(), None));
        }
        let before = world.membership.snapshot().members;
        world.run(&Op::Restart(&[]));
        let after = world.membership.snapshot().members;
        assert!(before.keys().eq(after.keys()), "{before:?} {after:?}");
        let is_own = |name| world.membership.topologies[name].spec.connector == TCP;
        for (old, new) in before.values().zip(after.values()) {
            if !old.topologies.iter().any(|vouched| is_own(&vouched.name)) {
                let plain = |member: &Member| {
                    let Member { state, incarnation, addresses, attributes, .. } = member.clone();
                    (state, incarnation, addresses, attributes)
                };
                assert_eq!(plain(old), plain(new), "{}", old.name);
            }
        }
    }

    /// It makes no difference whether a list is compared with the one before it or with all that is known.
    #[test]
    fn lists_compared_either_way(script in vec(prop_oneof![3 => reports(), 1 => op()], 1..40).prop_map(Script)) {
        let (mut world, mut other) = (World::new(), World::new());
        other.is_forgetful = true;
        for op in TOPOLOGIES.map(added).iter().chain(&script.0) {
            world.run(op);
            other.run(op);
            let plain = |world: &World| {
                let snapshot = world.snapshots.last().unwrap().clone();
                (snapshot.revision, snapshot.members, snapshot.topologies)
            };
            assert_eq!(plain(&world), plain(&other));
        }
    }
}
