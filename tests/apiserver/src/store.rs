//! The objects, and what happened to them.
//!
//! Every change takes the next version, one count for all kinds. The store keeps the changes of the recent past, so
//! that a watch can begin there and a list can be had as it was.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::kind::Kind;
use crate::object::{Key, Object};

/// Changes that are kept; an older one is compacted.
pub(crate) const HISTORY_CHANGES_MAX: usize = 20_000;

/// Objects and their recent past.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Object>>,
    history: VecDeque<Change>,
    /// The version of the last change.
    version: u64,
    /// What was before this version is not known any more.
    compacted: u64,
    /// For each kind, the version up to which its watches know that they know all.
    progress: BTreeMap<Kind, u64>,
    /// Objects that were ever made; the next one's `uid`.
    made: u64,
}

/// An object before and after a version.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Object>>,
    pub(crate) after: Option<Arc<Object>>,
}

// === impl Store ===

impl Store {
    /// The version of the last change.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Says that the last change had this version.
    pub(crate) const fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// Versions before this one are not known any more.
    pub(crate) const fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Forgets what was before this version.
    pub(crate) fn compact(&mut self, version: u64) {
        self.compacted = self.compacted.max(version);
        self.history.retain(|change| change.version > version);
    }

    /// The version that a bookmark for this kind says.
    pub(crate) fn progress(&self, kind: Kind) -> u64 {
        self.progress.get(&kind).copied().unwrap_or_default()
    }

    /// All watches know that they know all up to now.
    pub(crate) fn make_progress(&mut self) {
        for kind in Kind::ALL {
            self.progress.insert(kind, self.version);
        }
    }

    /// Puts an object that has a version already, without a change.
    pub(crate) fn load(&mut self, value: Value) -> Result<(), String> {
        let key = Key::of(&value)?;
        self.objects.insert(key.clone(), Arc::new(Object::new(key, value)));
        Ok(())
    }

    /// Creates or replaces an object.
    pub(crate) fn apply(&mut self, mut value: Value) -> Result<Change, String> {
        let key = Key::of(&value)?;
        let before = self.objects.get(&key).cloned();
        let version = self.next_version(key.kind);
        let metadata = &mut value["metadata"];
        metadata["resourceVersion"] = version.to_string().into();
        if metadata["uid"].is_null() {
            metadata["uid"] = match before.as_ref().and_then(|object| object.text("/metadata/uid")) {
                Some(uid) => uid.into(),
                None => self.next_uid().into(),
            };
        }
        let after = Arc::new(Object::new(key.clone(), value));
        self.objects.insert(key.clone(), Arc::clone(&after));
        Ok(self.remember(Change { version, key, before, after: Some(after) }))
    }

    /// Takes an object away; nothing where there is none.
    pub(crate) fn delete(&mut self, key: &Key) -> Option<Change> {
        let before = self.objects.remove(key)?;
        let version = self.next_version(key.kind);
        Some(self.remember(Change { version, key: key.clone(), before: Some(before), after: None }))
    }

    /// The object that is there now.
    pub(crate) fn object(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// The objects of a kind that are there now, in the order of lists.
    pub(crate) fn objects(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values().filter(move |object| object.key.kind == kind)
    }

    /// The objects of a kind as they were at `version`; nothing if that is not known any more.
    pub(crate) fn objects_at(&self, kind: Kind, version: u64) -> Option<Vec<Arc<Object>>> {
        if version < self.compacted {
            return None;
        }
        if version >= self.version {
            return Some(self.objects(kind).cloned().collect());
        }
        let mut then: BTreeMap<_, _> = self.objects(kind).map(|object| (&object.key, object)).collect();
        for change in self.history.iter().rev().take_while(|change| change.version > version) {
            if change.key.kind == kind {
                match &change.before {
                    Some(before) => then.insert(&change.key, before),
                    None => then.remove(&change.key),
                };
            }
        }
        Some(then.into_values().cloned().collect())
    }

    /// What changed after `version`.
    pub(crate) fn changes_after(&self, version: u64) -> impl Iterator<Item = &Change> {
        let first = self.history.partition_point(|change| change.version <= version);
        self.history.range(first..)
    }

    fn next_version(&mut self, kind: Kind) -> u64 {
        self.version += 1;
        self.progress.insert(kind, self.version);
        self.version
    }

    fn next_uid(&mut self) -> String {
        self.made += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.made)
    }

    fn remember(&mut self, change: Change) -> Change {
        self.history.push_back(change.clone());
        while self.history.len() > HISTORY_CHANGES_MAX {
            if let Some(oldest) = self.history.pop_front() {
                self.compacted = oldest.version;
            }
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::pod;

    /// The past that is kept is bounded: what falls out of it is compacted, and what is in it is whole.
    #[test]
    fn the_past_is_bounded() {
        let mut store = Store::default();
        for _ in 0..HISTORY_CHANGES_MAX + 2 {
            store.apply(pod("demo", "a").into()).unwrap();
        }
        assert_eq!(store.compacted(), 2);
        assert_eq!(store.changes_after(2).count(), HISTORY_CHANGES_MAX);
        assert!(store.objects_at(Kind::Pod, 1).is_none());
        let then = store.objects_at(Kind::Pod, 2).unwrap();
        assert_eq!(then[0].text("/metadata/resourceVersion"), Some("2"));
        assert_eq!(
            then[0].text("/metadata/uid"),
            store.objects(Kind::Pod).next().unwrap().text("/metadata/uid")
        );
    }
}
