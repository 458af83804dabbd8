use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::{runtime::now, verdict::Tally};

const TIMEOUT: Duration = Duration::from_secs(30);

fn listener(networks: Option<&[&str]>, secret: Option<&str>) -> Listener {
    let local = LocalNode {
        cluster: "blue".to_owned(),
        name: Some("me@10.0.0.1".parse().unwrap()),
        incarnation: 100,
        ..LocalNode::default()
    };
    let networks = networks.map(|list| list.iter().map(|network| network.parse().unwrap()).collect());
    let mut listener = Listener::new(local, Allow::new(networks), Roster::new(TIMEOUT));
    listener.set_envelope(
        secret.map_or(Envelope::Plain, |secret| Envelope::Sealed(Box::new(Cipher::new(secret)))),
    );
    listener
}

fn alive(name: &str, cluster: Option<&str>, incarnation: Option<u64>) -> Vec<u8> {
    Heartbeat { subject: Subject::Alive(name.into()), cluster, incarnation, record: &[] }.encode()
}

fn goodbye(name: &str, cluster: Option<&str>, incarnation: Option<u64>) -> Vec<u8> {
    Heartbeat { subject: Subject::Leaving(name), cluster, incarnation, record: &[] }.encode()
}

/// One datagram of each kind, for a node `me@10.0.0.1` of incarnation 100 in cluster `blue` that allows 10.0.0.0/8.
fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    let bad_record = Heartbeat {
        subject: Subject::Alive("r@10.0.0.9".into()),
        cluster: None,
        incarnation: None,
        record: b"junk",
    };
    vec![
        ("newcomer", alive("a@10.0.0.2", Some("blue"), Some(5))),
        ("again", alive("a@10.0.0.2", Some("blue"), Some(5))),
        ("restarted", alive("a@10.0.0.2", Some("blue"), Some(6))),
        ("late", alive("a@10.0.0.2", Some("blue"), Some(5))),
        ("libcluster", alive("b@10.0.0.3", None, None)),
        ("own", alive("me@10.0.0.1", Some("blue"), Some(100))),
        ("own, of an earlier life", alive("me@10.0.0.1", Some("blue"), Some(99))),
        ("own, from libcluster", alive("me@10.0.0.1", None, None)),
        ("own, not ours", alive("me@10.0.0.1", Some("blue"), Some(101))),
        ("own, goodbye", goodbye("me@10.0.0.1", Some("blue"), Some(100))),
        ("other cluster", alive("c@10.0.0.4", Some("green"), Some(1))),
        ("other cluster, own name", alive("me@10.0.0.1", Some("green"), Some(101))),
        ("not distributed", alive("nonode@nohost", None, None)),
        ("no @", alive("nohost", None, None)),
        ("atom nil", alive("nil", None, None)),
        ("outside", alive("d@11.0.0.1", Some("blue"), Some(1))),
        ("outside, leaving", goodbye("d@11.0.0.1", Some("blue"), Some(1))),
        ("host name", alive("d@db.example", Some("blue"), Some(1))),
        ("goodbye", goodbye("a@10.0.0.2", Some("blue"), Some(6))),
        ("goodbye again", goodbye("a@10.0.0.2", Some("blue"), Some(6))),
        ("after the goodbye", alive("a@10.0.0.2", Some("blue"), Some(6))),
        ("goodbye of other cluster", goodbye("b@10.0.0.3", Some("green"), Some(6))),
        ("goodbye without incarnation", goodbye("b@10.0.0.3", Some("blue"), None)),
        ("bad record", bad_record.encode()),
        ("junk", b"junk".to_vec()),
        ("nothing", Vec::new()),
        ("sealed", Cipher::new("s").seal(&alive("a@10.0.0.2", None, None), [7; 16])),
        ("too large", vec![0; DATAGRAM_READ_BYTES_MAX + 1]),
    ]
}

/// The verdict on each kind of datagram, and whether it is answered.
#[test]
fn verdicts() {
    let mut listener = listener(Some(&["10.0.0.0/8"]), None);
    let now = now();
    let verdicts = datagrams().into_iter().map(|(what, mut datagram)| {
        let verdict = listener.handle_datagram(now, &mut datagram);
        let answer = if listener.take_wants_answer() { ", answer" } else { "" };
        format!("{what}: {}{answer}\n", verdict.counter())
    });
    let table: String = verdicts.collect();
    expect![[r#"
        newcomer: datagrams_accepted, answer
        again: datagrams_accepted
        restarted: datagrams_accepted, answer
        late: datagrams_stale
        libcluster: datagrams_accepted, answer
        own: datagrams_own
        own, of an earlier life: datagrams_own
        own, from libcluster: datagrams_own
        own, not ours: datagrams_namesake
        own, goodbye: datagrams_own
        other cluster: datagrams_other_cluster
        other cluster, own name: datagrams_other_cluster
        not distributed: datagrams_nameless
        no @: datagrams_bad_name
        atom nil: datagrams_bad_name
        outside: datagrams_not_allowed
        outside, leaving: datagrams_not_allowed
        host name: datagrams_not_allowed
        goodbye: datagrams_goodbye
        goodbye again: datagrams_goodbye
        after the goodbye: datagrams_stale
        goodbye of other cluster: datagrams_other_cluster
        goodbye without incarnation: datagrams_malformed
        bad record: datagrams_malformed
        junk: datagrams_malformed
        nothing: datagrams_malformed
        sealed: datagrams_undecipherable
        too large: datagrams_too_large
    "#]]
    .assert_eq(&table);
    let changes = listener.poll_changes(now).unwrap();
    assert_eq!(changes.ttl, Some(TIMEOUT));
    assert_eq!(
        format!("{:?} {:?}", changes.upserts, changes.removals),
        r#"[Ok(b@10.0.0.3{})] [Ok(a@10.0.0.2{".incarnation": "6"})]"#
    );
}

/// With a secret only what is sealed with it is understood; before the secret could be read nothing is.
#[test]
fn envelopes() {
    let now = now();
    let plain = alive("a@10.0.0.2", Some("blue"), Some(5));
    let mut sealed = listener(None, Some("s"));
    let verdict =
        |listener: &mut Listener, datagram: &[u8]| listener.handle_datagram(now, &mut datagram.to_vec());
    assert_eq!(verdict(&mut sealed, &plain), Verdict::Undecipherable);
    assert_eq!(verdict(&mut sealed, &Cipher::new("other").seal(&plain, [7; 16])), Verdict::Undecipherable);
    assert_eq!(verdict(&mut sealed, &Cipher::new("s").seal(&plain, [7; 16])), Verdict::Accepted);
    sealed.set_envelope(Envelope::Locked);
    assert_eq!(verdict(&mut sealed, &Cipher::new("s").seal(&plain, [7; 16])), Verdict::Undecipherable);
}

/// The set of clusters that were warned of is bounded, whatever is made up.
#[test]
fn other_clusters_are_bounded() {
    let mut listener = listener(None, None);
    let now = now();
    for n in 0..1_000 {
        let mut datagram = alive("a@10.0.0.2", Some(&format!("green{n}")), Some(1));
        assert_eq!(listener.handle_datagram(now, &mut datagram), Verdict::OtherCluster);
    }
    assert_eq!(listener.other_clusters.len(), OTHER_CLUSTERS_MAX);
    assert!(listener.poll_changes(now).is_none());
}

/// A million datagrams of junk, cut-off and damaged heartbeats change nothing but counters.
#[test]
fn a_million_bad_datagrams_change_nothing() {
    const FLOOD: u64 = 1_000_000;
    let mut random = fastrand::Rng::with_seed(1);
    for secret in [None, Some("s")] {
        let mut listener = listener(Some(&["10.0.0.0/8"]), secret);
        let start = now();
        let known = alive("a@10.0.0.2", Some("blue"), Some(5));
        let known = match secret {
            Some(secret) => Cipher::new(secret).seal(&known, [7; 16]),
            None => known,
        };
        assert_eq!(listener.handle_datagram(start, &mut known.clone()), Verdict::Accepted);
        assert!(listener.take_wants_answer());
        let before = format!("{:?}", listener.poll_changes(start).unwrap());

        // Damage is done to heartbeats of names that `allow` refuses, so that no luck makes them acceptable.
        let template = alive("x@192.0.2.1", Some("blue"), Some(7));
        let mut tally = Tally::default();
        let mut datagram = Vec::new();
        for n in 0..FLOOD / 2 {
            datagram.clear();
            datagram.extend_from_slice(&template);
            match n % 4 {
                0 => datagram.truncate(random.usize(..template.len())),
                1 => {
                    let at = random.usize(..template.len());
                    datagram[at] ^= random.u8(1..);
                }
                2 => {
                    datagram.truncate(random.usize(..64));
                    random.fill(&mut datagram);
                }
                _ => {
                    datagram.truncate(random.usize(12..template.len()));
                    datagram.resize(random.usize(20..120), 0xff);
                }
            }
            tally.add(listener.handle_datagram(start, &mut datagram));
        }
        assert_eq!(tally.total(), FLOOD / 2);
        let bad = [
            Verdict::Malformed,
            Verdict::Undecipherable,
            Verdict::NotAllowed,
            Verdict::OtherCluster,
            Verdict::BadName,
        ];
        assert!(tally.iter().all(|(verdict, _)| bad.contains(&verdict)), "{tally:?}");
        assert!(!listener.take_wants_answer());
        assert!(listener.poll_changes(start + TIMEOUT / 2).is_none());

        assert_eq!(listener.handle_datagram(start, &mut known.clone()), Verdict::Accepted);
        assert_eq!(format!("{:?}", listener.poll_changes(start + TIMEOUT / 2).unwrap()), before);
    }
}

proptest! {
    /// Whatever comes, there is a verdict and no panic; cut-off and damaged heartbeats too.
    #[test]
    fn junk_never_panics(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        prefixed: bool,
        at in 0_usize..80,
        bits in any::<u8>(),
        cut in 0_usize..80,
    ) {
        let now = now();
        let mut damaged = alive("a@10.0.0.2", Some("blue"), Some(5));
        if let Some(byte) = damaged.get_mut(at) {
            *byte ^= bits;
        }
        damaged.truncate(damaged.len().saturating_sub(cut));
        let junk = if prefixed { [b"heartbeat::\x83", &*junk].concat() } else { junk };
        for secret in [None, Some("s")] {
            let mut listener = listener(None, secret);
            for datagram in [&junk, &damaged] {
                listener.handle_datagram(now, &mut datagram.clone());
                let mut sealed = Cipher::new("s").seal(datagram, [7; 16]);
                listener.handle_datagram(now, &mut sealed);
            }
        }
    }
}
