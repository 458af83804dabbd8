//! What is known of each hook. Written by the hooks, read by the API.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use cluster_core::{Cursor, EventLog};

/// How one hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookInfo {
    /// Its name.
    pub name: String,
    /// What it does: `command "PROGRAM"` or `post URL`.
    pub action: String,
    /// All up to it is done.
    pub cursor: Cursor,
    /// The cursor that a restart of the host would begin with; none where nothing is remembered.
    pub saved: Option<Cursor>,
    /// Why the cursor cannot be written.
    pub save_failure: Option<String>,
    /// Events that it is not done with yet; none where a resync takes the place of those.
    pub lag: Option<u64>,
    /// Documents that were delivered, since the host started, as are the next two.
    pub delivered: u64,
    /// Tries that have failed.
    pub failed: u64,
    /// Documents that were given up.
    pub given_up: u64,
    /// When a document was delivered last.
    pub last_success: Option<SystemTime>,
    /// When a try failed last, and why.
    pub last_failure: Option<(SystemTime, String)>,
    /// When a document that has failed is tried again.
    pub next_try: Option<SystemTime>,
}

/// How each hook does, by name.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<String, HookInfo>>);

// === impl Ledger ===

impl Ledger {
    /// The hooks as they are now, in the order of their names.
    pub(crate) fn infos(&self, log: &EventLog) -> Vec<HookInfo> {
        // No hook goes on meanwhile, so none is ahead of what the log says now.
        let hooks = self.lock();
        let (epoch, revision) = (log.epoch(), log.revision());
        let lag = |cursor: Cursor| revision.checked_sub(cursor.revision).filter(|_| cursor.epoch == epoch);
        hooks.values().cloned().map(|info| HookInfo { lag: lag(info.cursor), ..info }).collect()
    }

    /// A hook is new, or does something else from now on.
    pub(super) fn add(&self, name: &str, action: String, cursor: Cursor) {
        let mut hooks = self.lock();
        if let Some(known) = hooks.get_mut(name) {
            known.action = action;
            known.next_try = None;
            return;
        }
        let info = HookInfo {
            name: name.to_owned(),
            action,
            cursor,
            saved: None,
            save_failure: None,
            lag: None,
            delivered: 0,
            failed: 0,
            given_up: 0,
            last_success: None,
            last_failure: None,
            next_try: None,
        };
        hooks.insert(name.to_owned(), info);
    }

    /// A hook is gone.
    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    pub(super) fn with(&self, name: &str, change: impl FnOnce(&mut HookInfo)) {
        if let Some(info) = self.lock().get_mut(name) {
            change(info);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, HookInfo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
