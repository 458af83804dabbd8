//! One name a line.

use cluster_sdk::{Node, NodeName, serde_json::Value};

use super::{Found, Mapping, ReadError, item::Item};

/// Reads names, passing over blank lines and what is behind a `#` at the beginning of a word. A line that is no name
/// fails the whole: what else would be taken for a name?
pub(super) fn read(text: &str, mapping: &Mapping) -> Result<Found, ReadError> {
    let mut found = Found::default();
    for (place, line) in text.lines().enumerate() {
        let words = without_comment(line);
        if words.is_empty() {
            continue;
        }
        let name = match &mapping.name {
            Some(template) => template.name(&Item(&Value::from(words))),
            None => NodeName::try_new(words).map_err(Into::into),
        };
        let name = name.map_err(|error| ReadError::Line { line: place.saturating_add(1), error })?;
        found.nodes.push(Node::new(name));
    }
    Ok(found)
}

fn without_comment(line: &str) -> &str {
    let mut after_space = true;
    let comment = line.char_indices().find(|(_, c)| {
        let begins = *c == '#' && after_space;
        after_space = c.is_whitespace();
        begins
    });
    let words = comment.and_then(|(place, _)| line.get(..place)).unwrap_or(line);
    words.trim()
}
