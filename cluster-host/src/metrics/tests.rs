use std::{collections::BTreeSet, path::Path};

use cluster_core::{MemberState, Vouched, membership::Dials};
use expect_test::expect_file;

use super::*;
use crate::{
    Registry,
    api::testing::{Fake, at, bare_member, event, member, snapshot, topology},
};

/// A host of which everything is told that can be told.
fn full() -> Fake {
    let mut this = bare_member("a@h", MemberState::Up);
    this.is_self = true;
    let mut fake = Fake::new(7, [this, member("n1@10.0.0.7"), bare_member("n2@h", MemberState::Up)]);
    // Another strategy may call its counters as gossip does, or as nobody may.
    let mut office =
        TopologyInfo { name: "office".parse().unwrap(), strategy: "watch".to_owned(), ..topology() };
    office.last_view = None;
    office.counters.insert("N1 up".to_owned(), 1);
    fake.topologies.push(office);
    fake.meters.published(&[
        event(8, cluster_core::EventKind::NodeUp, None),
        event(9, cluster_core::EventKind::NodeUp, None),
        event(10, cluster_core::EventKind::NodeLeft, None),
    ]);
    fake.meters.dialled(Dials { connected: 5, failed: 6 });
    fake.meters.connector_restarted("tcp");
    fake.meters.reloaded(true);
    fake.meters.reloaded(false);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("libx.so"), "").unwrap();
    fake.meters.plugins(&Registry::scan(directory.path()));
    fake
}

fn told(fake: &Fake) -> String {
    let resident = format!("process_resident_memory_bytes {}", resident_bytes().unwrap());
    let text = exposition(fake).unwrap();
    let lines = text.lines().map(|line| {
        let is_memory = line.starts_with("process_resident_memory_bytes ");
        assert!(!is_memory || resident.len().abs_diff(line.len()) < 3, "{line}, and not about {resident}");
        if is_memory { "process_resident_memory_bytes BYTES\n".to_owned() } else { format!("{line}\n") }
    });
    lines.collect::<String>().replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// The names of all families.
fn names() -> BTreeSet<String> {
    let text = told(&full());
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// Every name, type, help and label: what dashboards and alerts of others rely on.
#[test]
fn golden() {
    expect_file!["exposition.txt"].assert_eq(&told(&full()));
}

/// Nothing tells who the members are, or where.
#[test]
fn names_nobody() {
    let text = told(&full());
    for secret in ["@", "n1", "n2", "10.0.0.7", "9000", "no route", "eu-1"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// A plugin cannot make up labels that are no names.
#[test]
fn counter_names() {
    for good in ["a", "datagrams_bad", "x9", &"a".repeat(64)] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "A", "a b", "a@h", "10.0.0.7", "a\"} 1\nevil 1", "\u{e4}", &"a".repeat(65)] {
        assert!(!is_name(bad), "{bad}");
    }
}

/// The view's number is the beginning of the SHA-256 of the names that are up there, as `sha256sum` tells it.
#[test]
fn view_hash() {
    let mesh = [TopologyInfo { name: "mesh".parse().unwrap(), ..topology() }];
    let hash = |members: Vec<cluster_core::Member>| {
        let (_, view) = View::all(&snapshot(1, members), &mesh).pop_first().unwrap();
        view.hash()
    };
    let linked = |name: &str, state, link| {
        let vouched = Vouched { name: "mesh".parse().unwrap(), link, since: at(0), reason: None };
        cluster_core::Member { topologies: [vouched].into(), ..bare_member(name, state) }
    };
    let mut this = bare_member("a@h", MemberState::Up);
    this.is_self = true;
    let other = |link| linked("b@h", MemberState::Up, link);
    // printf 'a@h\nb@h\n' | sha256sum | cut -c 1-12
    let expected = 0x833a_e797_09c7;
    for link in [cluster_core::LinkState::Up, cluster_core::LinkState::None] {
        assert_eq!(hash(vec![this.clone(), other(link)]), expected);
    }
    let lost = linked("c@h", MemberState::Down, cluster_core::LinkState::Down);
    assert_eq!(hash(vec![lost, this.clone(), other(cluster_core::LinkState::Up)]), expected);
    let elsewhere = bare_member("d@h", MemberState::Up);
    assert_eq!(hash(vec![elsewhere, this.clone(), other(cluster_core::LinkState::Up)]), expected);
    assert_ne!(hash(vec![this, other(cluster_core::LinkState::Down)]), expected);
    assert!(expected < 1 << 48, "a float has 53 bits");
}

/// What looks like one of our metrics in a text.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_ours = |word: &&str| word.starts_with("cluster_") || word.starts_with("process_");
    words.filter(is_ours).map(str::to_owned).collect()
}

fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The rules, their tests and the dashboard ask for metrics that there are, and the documentation has all of them.
#[test]
fn contributions() {
    let names = names();
    for file in ["contrib/prometheus/cluster-host.rules.yml", "contrib/grafana/cluster-host.json"] {
        let used = named_in(&repository(file));
        assert!(used.len() > 10, "{file} uses {used:?}");
        assert!(used.is_subset(&names), "{file} has {:?}", used.difference(&names));
    }
    let documented = named_in(&repository("docs/monitoring.md"));
    assert!(documented.is_superset(&names), "missing: {:?}", names.difference(&documented));
    assert!(documented.is_subset(&names), "there is no {:?}", documented.difference(&names));
}
