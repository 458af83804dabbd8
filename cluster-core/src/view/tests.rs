//! Lists: what is parsed, sorted, refused, and how they are compared.

use std::collections::BTreeMap;

use proptest::{
    collection::{btree_map, vec},
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest},
};

use super::{LIST_BYTES_MAX, NodeList};
use crate::node::{NODE_BYTES_MAX, Node};

fn node(name: &str, zone: &str) -> Node {
    Node::try_new(&format!("{name}@h")).unwrap().attribute("zone", zone)
}

fn encoded<'a>(nodes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    nodes.into_iter().for_each(|(name, zone)| node(name, zone).encode(&mut bytes));
    bytes
}

fn contents(list: &NodeList) -> Vec<Node> {
    list.iter().map(|record| record.to_node().unwrap()).collect()
}

/// A list is in the order of names, and of equal names the last record counts, however they were given.
#[test]
fn sorted_and_last_of_equals() {
    let given = [("b", "1"), ("a", "1"), ("b", "2"), ("a", "2"), ("c", "1")];
    let expected = [node("a", "2"), node("b", "2"), node("c", "1")];
    assert_eq!(contents(&NodeList::parse(encoded(given)).unwrap()), expected);
    let collected: NodeList = given.iter().map(|(name, zone)| node(name, zone)).collect();
    assert_eq!(contents(&collected), expected);
    assert_eq!(collected, NodeList::parse(encoded([("a", "2"), ("b", "2"), ("c", "1")])).unwrap());
}

/// A node that is over a limit does not make the others disappear: the report that names it is refused.
#[test]
fn one_too_large_is_not_an_empty_list() {
    let large = node("b", &"x".repeat(NODE_BYTES_MAX));
    let list: NodeList = [node("a", "1"), large, node("c", "1")].into_iter().collect();
    assert_eq!(list.len(), 3);
    let refused: Vec<_> = list.iter().filter_map(|record| record.to_node().err()).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let parsed = NodeList::parse(list.as_bytes().to_vec()).unwrap_err();
    assert_eq!(parsed.to_string(), "record at byte 18 has 16397 bytes: at most 16384 are possible");
}

/// What is too long, cut off or no text is refused with a reason.
#[test]
fn refused() {
    let whole = encoded([("a", "1"), ("b", "2")]);
    let cut = whole.get(..whole.len() - 1).unwrap().to_vec();
    assert_eq!(
        NodeList::parse(cut).unwrap_err().to_string(),
        "record at byte 18 is cut off or has a wrong length"
    );
    let long = NodeList::parse(vec![0; LIST_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(long.to_string(), "list of 1073741825 bytes: at most 1073741824 are possible");
    let no_text = NodeList::parse(vec![7, 0, 0, 0, 5, 0, b'a', b'@', 0xff, b'h', b'h']).unwrap();
    assert_eq!(
        no_text.iter().next().unwrap().to_node().unwrap_err().to_string(),
        "node name \"a@\u{fffd}hh\" has white space or a control character"
    );
}

/// The changes between two lists, found name by name.
fn changes(new: &NodeList, old: &NodeList) -> (Vec<Node>, Vec<Node>) {
    let by_name = |list: &NodeList| -> BTreeMap<_, _> {
        contents(list).into_iter().map(|node| (node.name().clone(), node)).collect()
    };
    let (new, old) = (by_name(new), by_name(old));
    let named = new.iter().filter(|(name, node)| old.get(*name) != Some(node)).map(|(_, node)| node.clone());
    let unnamed = old.iter().filter(|(name, _)| !new.contains_key(*name)).map(|(_, node)| node.clone());
    (named.collect(), unnamed.collect())
}

fn lists() -> impl Strategy<Value = (NodeList, NodeList)> {
    // Long and short values shift the records, equal ones make equal bytes in different places.
    let zone = || prop_oneof![Just("x".to_owned()), Just("xx".to_owned()), Just("y".repeat(700))];
    let nodes = btree_map("[ab]{1,3}", zone(), 0..14);
    let edits = vec((any::<proptest::sample::Index>(), "[ab]{1,3}", zone(), any::<bool>()), 0..4);
    (nodes, edits, any::<(bool, bool)>()).prop_map(|(nodes, edits, (shuffle_old, shuffle_new))| {
        let mut new = nodes.clone();
        for (pick, name, zone, add) in edits {
            if add || new.is_empty() {
                new.insert(name, zone);
            } else {
                let name = pick.get(&new.keys().cloned().collect::<Vec<_>>()).clone();
                new.remove(&name);
            }
        }
        let list = |nodes: &BTreeMap<String, String>, shuffle: bool| {
            let mut nodes: Vec<_> = nodes.iter().map(|(name, zone)| (name.as_str(), zone.as_str())).collect();
            if shuffle {
                nodes.reverse();
            }
            NodeList::parse(encoded(nodes)).unwrap()
        };
        (list(&new, shuffle_new), list(&nodes, shuffle_old))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Comparing lists byte by byte finds what comparing them name by name does, and equal are those without a
    /// difference, however they lie in the bytes.
    #[test]
    fn compared((new, old) in lists()) {
        let found = new.changes_since(&old);
        let nodes = |records: &[crate::node::NodeRef<'_>]| -> Vec<_> {
            records.iter().map(|record| record.to_node().unwrap()).collect()
        };
        assert_eq!((nodes(&found.named), nodes(&found.unnamed)), changes(&new, &old));
        assert_eq!(new == old, found.named.is_empty() && found.unnamed.is_empty());
    }

    /// Junk is refused or read, and never a panic.
    #[test]
    fn junk(mut bytes in vec(any::<u8>(), 0..64), flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3)) {
        drop(NodeList::parse(bytes.clone()));
        bytes = encoded([("a", "1"), ("b", "2"), ("c", "")]);
        for (place, byte) in flips {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Ok(list) = NodeList::parse(bytes) {
            list.iter().for_each(|record| drop(record.to_node()));
            let same = NodeList::parse(list.as_bytes().to_vec()).unwrap();
            assert_eq!(same, list);
            assert!(same.changes_since(&list).named.is_empty());
        }
    }
}
