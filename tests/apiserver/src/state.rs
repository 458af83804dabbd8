//! All that the server knows, under one lock.

use std::collections::VecDeque;

use http::HeaderValue;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::access::Access;
use crate::fault::{Fault, Faults};
use crate::object::Key;
use crate::query::Target;
use crate::request::SeenRequest;
use crate::selector::Selector;
use crate::status::Status;
use crate::store::{Change, Store};
use crate::watch::{Interest, Signal, Watches};

/// Requests that are remembered; an older one is forgotten.
pub(crate) const REQUESTS_MAX: usize = 100_000;

/// What the server knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) watches: Watches,
    pub(crate) access: Access,
    pub(crate) faults: Faults,
    /// What it says that the time is; nothing: the machine's.
    pub(crate) date: Option<HeaderValue>,
    requests: VecDeque<SeenRequest>,
    /// Requests that are forgotten.
    forgotten: usize,
}

// === impl State ===

impl State {
    /// Creates or replaces an object and tells the watches.
    pub(crate) fn apply(&mut self, value: Value) -> Result<Change, String> {
        let change = self.store.apply(value)?;
        self.watches.tell(&change);
        Ok(change)
    }

    /// Takes an object away and tells the watches; nothing where there is none.
    pub(crate) fn delete(&mut self, key: &Key) -> Option<Change> {
        let change = self.store.delete(key)?;
        self.watches.tell(&change);
        Some(change)
    }

    /// Remembers a request; gives its number.
    pub(crate) fn record(&mut self, request: SeenRequest) -> usize {
        self.requests.push_back(request);
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
            self.forgotten += 1;
        }
        self.forgotten + self.requests.len() - 1
    }

    /// Remembers how the request with this number was answered.
    pub(crate) fn record_status(&mut self, number: usize, status: u16) {
        let index = number.checked_sub(self.forgotten);
        if let Some(request) = index.and_then(|index| self.requests.get_mut(index)) {
            request.status = Some(status);
        }
    }

    /// The requests that are remembered.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &SeenRequest> {
        self.requests.iter()
    }

    /// Forgets all requests.
    pub(crate) fn forget_requests(&mut self) {
        self.forgotten += self.requests.len();
        self.requests.clear();
    }

    /// Opens a watch; gives its id and what the client gets to hear.
    pub(crate) fn open_watch(
        &mut self,
        (request, target): (&SeenRequest, &Target),
        selector: Selector,
        fault: Option<Fault>,
    ) -> Result<(u64, UnboundedReceiver<Signal>), Status> {
        let query = &request.query;
        let version = query.version()?;
        let since = if version == 0 { self.store.version() } else { version };
        let takes_bookmarks = query.is("allowWatchBookmarks");
        let interest = Interest { kind: target.kind, selector, form: request.form(), takes_bookmarks, since };
        let is_initial = query.is("sendInitialEvents");
        let is_expired = version > 0 && version < self.store.compacted() && !is_initial;
        let mut lines = if is_expired {
            let status = Status::watch_expired(version, self.store.compacted());
            vec![Bytes::from(format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status.body))]
        } else if is_initial || version == 0 {
            interest.initial_lines(&self.store)
        } else {
            self.store.changes_after(version).filter_map(|change| interest.line(change)).collect()
        };
        let bookmarked = (is_initial && takes_bookmarks).then(|| self.store.version());
        lines.extend(bookmarked.map(|version| interest.bookmark(version, true)));
        match fault {
            Some(Fault::CloseWatches) => Ok(Watches::closed(Vec::new())),
            Some(Fault::TruncatedLine) => {
                let first = lines.into_iter().next().unwrap_or_else(|| interest.bookmark(since, false));
                Ok(Watches::closed(vec![first.slice(..first.len() / 2)]))
            }
            _ if is_expired => Ok(Watches::closed(lines)),
            _ => Ok(self.watches.open(interest, lines, bookmarked)),
        }
    }
}
