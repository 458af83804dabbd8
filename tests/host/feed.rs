//! The event stream of a host, folded into the members as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::BufRead as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{http, pause};
use crate::contract;

/// What the events so far make of the cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// The members by name.
    pub(crate) members: BTreeMap<String, Value>,
    /// All events, from the first of the host's life on.
    pub(crate) events: Vec<Value>,
    pub(crate) epoch: String,
    pub(crate) revision: u64,
    /// How the stream broke its promise.
    pub(crate) broken: Option<String>,
    /// The stream has ended.
    pub(crate) ended: bool,
}

/// A view that a thread keeps up to date.
#[derive(Default)]
pub(crate) struct Feed {
    view: Mutex<View>,
    changed: Condvar,
}

/// Keeps a feed alive; its thread ends with the stream, or when this is dropped.
pub(crate) struct Follower(Arc<Feed>);

// === impl Follower ===

impl Follower {
    /// Follows the host at a socket, which need not exist yet.
    pub(crate) fn start(socket: PathBuf) -> Self {
        let feed = Arc::new(Feed::default());
        let weak = Arc::downgrade(&feed);
        thread::spawn(move || follow(&socket, &weak));
        Self(feed)
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.0
    }
}

fn follow(socket: &Path, feed: &Weak<Feed>) {
    let mut stream = loop {
        match http::open(socket, "/v1/events?since=0") {
            Ok(stream) => break stream,
            // Not there yet, or the socket of a predecessor.
            Err(_) if feed.strong_count() > 0 => pause(),
            Err(_) => return,
        }
    };
    let mut line = String::new();
    loop {
        line.clear();
        let more = matches!(stream.read_line(&mut line), Ok(bytes) if bytes > 0);
        let Some(feed) = feed.upgrade() else { return };
        let mut view = feed.lock();
        if !more {
            view.ended = true;
        } else if let Some(data) = line.strip_prefix("data: ") {
            view.fold(data);
        }
        drop(view);
        feed.changed.notify_all();
        if !more {
            return;
        }
    }
}

// === impl Feed ===

impl Feed {
    pub(crate) fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, or for as long.
    pub(crate) fn wait<'a>(&self, view: MutexGuard<'a, View>, timeout: Duration) -> MutexGuard<'a, View> {
        self.changed.wait_timeout(view, timeout).unwrap_or_else(PoisonError::into_inner).0
    }
}

// === impl View ===

impl View {
    /// The names of the members that are up.
    pub(crate) fn up(&self) -> BTreeSet<&str> {
        let up = self.members.values().filter(|member| member["state"] == "up");
        up.filter_map(|member| member["name"].as_str()).collect()
    }

    pub(crate) fn state(&self, node: &str) -> Option<&str> {
        self.members.get(node)?["state"].as_str()
    }

    pub(crate) fn incarnation(&self, node: &str) -> Option<u64> {
        self.members.get(node)?["incarnation"].as_u64()
    }

    /// The events of a type about a node.
    pub(crate) fn events_of<'a>(&'a self, kind: &'a str, node: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["type"] == kind && event["node"] == node)
    }

    /// The events of a type.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event["type"] == kind).count()
    }

    fn fold(&mut self, data: &str) {
        if let Err(broken) = self.try_fold(data) {
            self.broken.get_or_insert(broken);
        }
    }

    fn try_fold(&mut self, data: &str) -> Result<(), String> {
        let event: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
        contract::check_event(&event)?;
        let revision = event["revision"].as_u64().ok_or_else(|| format!("no revision: {data}"))?;
        let epoch = event["epoch"].as_str().ok_or_else(|| format!("no epoch: {data}"))?;
        if self.events.is_empty() {
            self.epoch = epoch.to_owned();
        }
        if event["type"] == "resync" {
            let members = event["members"].as_array().ok_or_else(|| format!("no members: {data}"))?;
            let named = |member: &Value| Some((member["name"].as_str()?.to_owned(), member.clone()));
            self.members = members.iter().filter_map(named).collect();
            self.epoch = epoch.to_owned();
        } else if revision != self.revision + 1 || epoch != self.epoch {
            return Err(format!("after revision {} of {} came {data}", self.revision, self.epoch));
        } else if let Some(node) = event["node"].as_str() {
            match &event["member"] {
                Value::Null => self.members.remove(node),
                member => self.members.insert(node.to_owned(), member.clone()),
            };
        }
        self.revision = revision;
        self.events.push(event);
        Ok(())
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.events.len().saturating_sub(40);
        for event in &self.events[skipped..] {
            writeln!(f, "{event}")?;
        }
        writeln!(f, "{} events, revision {}", self.events.len(), self.revision)?;
        for member in self.members.values() {
            writeln!(f, "{member}")?;
        }
        Ok(())
    }
}
