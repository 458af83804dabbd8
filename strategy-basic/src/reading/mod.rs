//! What is printed, written or answered, as nodes: one name a line, or JSON.
//!
//! ```text
//!  lines                         JSON
//!  # the first rack              ["app@10.0.0.7", "app@10.0.0.8"]
//!  app@10.0.0.7                  [{ "name": "app@10.0.0.7", "addresses": ["10.0.0.7:9000"], "attributes": { "zone": "a" } }]
//!  app@10.0.0.8  # the second    { "nodes": [ … ], "partial": true }
//! ```

mod field;
mod item;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cluster_sdk::{
    NameTemplate, Node, UnnamedError, View,
    serde_json::{self, Value},
};

pub use self::field::{Field, FieldError, Pointer, PointerError, Port};
use self::item::ItemError;

/// Items that cannot be read of which the reason is told.
const FAULTS_TOLD_MAX: usize = 3;

/// What is read of an item, where the config says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    pub(crate) pointer: Option<Pointer>,
    pub(crate) name: Option<NameTemplate>,
    pub(crate) addresses: Option<Vec<Field>>,
    pub(crate) port: Option<Port>,
    pub(crate) attributes: Option<BTreeMap<String, Field>>,
}

/// What was found, from one answer or from several pages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) nodes: Vec<Node>,
    /// The source says itself that there are more.
    pub(crate) is_partial: bool,
    /// Why items could not be read; the first few.
    faults: Vec<String>,
    fault_count: usize,
}

/// Why an answer cannot be read at all. Nothing is known; whoever wrote the config or the answer can mend it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not text.
    #[error("line {0} is not UTF-8: is it a binary file?")]
    NotText(usize),
    /// A line is no name.
    #[error("line {line}: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Why.
        error: UnnamedError,
    },
    /// It begins as JSON, and is not.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The list is not where it should be.
    #[error("it has no list at {0:?}, but {1}: set pointer to where the list is")]
    NoList(String, &'static str),
}

// === impl Found ===

impl Found {
    /// Takes what another page has.
    pub(crate) fn extend(&mut self, page: Self) {
        self.nodes.extend(page.nodes);
        self.is_partial |= page.is_partial;
        self.fault_count += page.fault_count;
        let room = FAULTS_TOLD_MAX.saturating_sub(self.faults.len());
        self.faults.extend(page.faults.into_iter().take(room));
    }

    fn fault(&mut self, place: usize, error: &ItemError) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(format!("item {}: {error}", place.saturating_add(1)));
        }
    }

    /// What could not be read.
    pub(crate) fn trouble(&self) -> Option<String> {
        let more = self.fault_count.saturating_sub(self.faults.len());
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        (self.fault_count > 0).then(|| format!("{}{more}", self.faults.join("; ")))
    }

    /// Whether nobody is missing.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_partial && self.fault_count == 0
    }

    /// The view: nobody is gone because an item could not be read.
    pub(crate) fn view(self) -> View {
        if self.is_whole() { View::complete(self.nodes) } else { View::partial(self.nodes) }
    }
}

/// Reads names or JSON, whichever it is.
pub(crate) fn read(bytes: &[u8], mapping: &Mapping) -> Result<Found, ReadError> {
    let text = str::from_utf8(bytes).map_err(|err| {
        let before = bytes.get(..err.valid_up_to()).unwrap_or_default();
        ReadError::NotText(before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['[', '{']) {
        read_json(&serde_json::from_str(text)?, mapping)
    } else {
        lines::read(text, mapping)
    }
}

fn read_json(whole: &Value, mapping: &Mapping) -> Result<Found, ReadError> {
    let list = match &mapping.pointer {
        Some(pointer) => list_at(whole, pointer.as_str())?,
        None if whole.is_array() => list_at(whole, "")?,
        None => list_at(whole, "/nodes")?,
    };
    let mut found =
        Found { is_partial: whole.get("partial") == Some(&Value::Bool(true)), ..Found::default() };
    found.nodes.reserve(list.len());
    for (place, item) in list.iter().enumerate() {
        match item::read(item, mapping) {
            Ok(node) => found.nodes.push(node),
            Err(error) => found.fault(place, &error),
        }
    }
    Ok(found)
}

fn list_at<'a>(whole: &'a Value, pointer: &str) -> Result<&'a Vec<Value>, ReadError> {
    let found = whole.pointer(pointer);
    found.and_then(Value::as_array).ok_or_else(|| ReadError::NoList(pointer.to_owned(), kind(found)))
}

/// What a value is, for people.
fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "true or false",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}
