//! Lists: which objects, of which version, which part of them.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::body::Bytes;

use crate::object::{Form, Object};
use crate::query::{Continue, Query, Target};
use crate::selector::Selector;
use crate::status::Status;
use crate::store::Store;

/// A list that was asked for.
#[derive(Debug)]
pub(crate) struct List<'a> {
    pub(crate) target: &'a Target,
    pub(crate) query: &'a Query,
    pub(crate) selector: &'a Selector,
    pub(crate) form: Form,
    /// Whether the server says that there is nothing.
    pub(crate) is_emptied: bool,
}

/// What is asked for by version.
struct Edition {
    objects: Vec<Arc<Object>>,
    version: u64,
}

// === impl List ===

impl List<'_> {
    /// The list as it is served.
    pub(crate) fn answer(&self, store: &Store) -> Result<Bytes, Status> {
        let (mut edition, after) = self.edition(store)?;
        edition.objects.retain(|object| {
            !self.is_emptied
                && after.as_ref().is_none_or(|after| self.position(object) > *after)
                && self.selector.matches(object)
        });
        let rest = match self.limit() {
            Some(limit) if limit < edition.objects.len() => edition.objects.split_off(limit).len(),
            _ => 0,
        };
        Ok(self.write(&edition, rest))
    }

    /// The objects of the version that is asked for, and behind which of them the list begins.
    fn edition(&self, store: &Store) -> Result<(Edition, Option<String>), Status> {
        let kind = self.target.kind;
        let now = || store.objects(kind).cloned().collect();
        let token = self.query.text("continue");
        if !token.is_empty() {
            let place = Continue::parse(token)
                .ok_or_else(|| Status::bad_request("continue key is not valid: illegal base64 data"))?;
            let version = place.version.unwrap_or_else(|| store.version());
            let Some(objects) = store.objects_at(kind, version) else {
                let fresh = Continue { version: None, after: place.after };
                return Err(Status::continue_expired(&fresh.token()));
            };
            return Ok((Edition { objects, version }, Some(place.after)));
        }
        let version = self.query.version()?;
        if version > store.version() {
            return Err(Status::future_version(version, store.version()));
        }
        if version > 0 && self.query.text("resourceVersionMatch") == "Exact" {
            let objects = store.objects_at(kind, version).ok_or_else(Status::list_expired)?;
            return Ok((Edition { objects, version }, None));
        }
        Ok((Edition { objects: now(), version: store.version() }, None))
    }

    /// Objects that are wanted at most. A list of any version comes whole, as from the cache of a real server.
    fn limit(&self) -> Option<usize> {
        let is_any = self.query.text("resourceVersion") == "0" && self.query.text("continue").is_empty();
        let limit = self.query.number("limit").filter(|_| !is_any)?;
        usize::try_from(limit).ok()
    }

    /// Where an object stands in the list.
    fn position(&self, object: &Object) -> String {
        match self.target.namespace {
            Some(_) => object.key.name.clone(),
            None => format!("{}/{}", object.key.namespace, object.key.name),
        }
    }

    fn write(&self, edition: &Edition, rest: usize) -> Bytes {
        let (name, api_version) = match self.form {
            Form::Full => (self.target.kind.name(), self.target.kind.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1"),
        };
        let mut head = format!(
            r#"{{"kind":"{name}List","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{}""#,
            edition.version
        );
        if let Some(last) = edition.objects.last().filter(|_| rest > 0) {
            let next = Continue { version: Some(edition.version), after: self.position(last) };
            _ = write!(head, r#","continue":"{}""#, next.token());
            // With a selector a real server does not count what it has not read.
            if self.selector.is_empty() {
                _ = write!(head, r#","remainingItemCount":{rest}"#);
            }
        }
        head += r#"},"items":["#;
        let mut body = head.into_bytes();
        for (index, object) in edition.objects.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            object.write_item(self.form, &mut body);
        }
        body.extend_from_slice(b"]}\n");
        Bytes::from(body)
    }
}
