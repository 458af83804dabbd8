//! What serde says, sorted and put into words for whoever writes a config.

use serde_path_to_error::{Path, Segment};

use super::repair::{Hint, Step};

/// Characters of a found value that are shown at most.
const FOUND_CHARS_MAX: usize = 60;

/// One thing that serde did not like.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where, as far as serde knows.
    pub(super) place: Vec<Hint>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// The key at `place`, which has these siblings.
    UnknownKey { possible: Vec<String> },
    /// A key of the table at `place`.
    MissingKey(String),
    /// None of these words.
    UnknownVariant { found: String, possible: Vec<String> },
    /// An untagged enum has no such form.
    NoForm,
    /// Anything else, ready to be shown.
    Other(String),
}

// === impl Fault ===

impl Fault {
    /// Serde's texts are all there is to go by; what is not recognised is shown as it is.
    pub(super) fn new(text: &str, path: &Path) -> Self {
        let mut place: Vec<Hint> = path.iter().map_while(hint).collect();
        let first = quoted(text).next().unwrap_or_default().to_owned();
        let others = || quoted(text).skip(1).map(str::to_owned).collect();
        let kind = if text.starts_with("unknown field `") {
            let key = Hint::Step(Step::Key(first));
            if place.last() != Some(&key) {
                place.push(key);
            }
            Kind::UnknownKey { possible: others() }
        } else if text.starts_with("missing field `") {
            Kind::MissingKey(first)
        } else if text.starts_with("unknown variant `") {
            Kind::UnknownVariant { found: first, possible: others() }
        } else if text.starts_with("data did not match any variant of untagged enum") {
            Kind::NoForm
        } else {
            Kind::Other(in_words(text))
        };
        Self { place, kind }
    }
}

fn hint(segment: &Segment) -> Option<Hint> {
    match segment {
        Segment::Seq { index } => Some(Hint::Step(Step::Index(*index))),
        Segment::Map { key } => Some(Hint::Step(Step::Key(key.clone()))),
        Segment::Enum { variant } => Some(Hint::Variant(Some(variant.clone()))),
        Segment::Unknown => None,
    }
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `invalid type: string "x", expected u16` as `expected a whole number from 0 to 65535, found "x"`.
fn in_words(text: &str) -> String {
    let Some((what, expected)) = text.rsplit_once(", expected ") else {
        return text.to_owned();
    };
    let Some(found) = ["invalid type: ", "invalid value: "].iter().find_map(|start| what.strip_prefix(start))
    else {
        // A list in place of a table is read as its fields in their order, and complains about their count.
        let is_table = expected.starts_with("struct ") && what.starts_with("invalid length ");
        return if is_table { "expected a table, found a list".to_owned() } else { text.to_owned() };
    };
    let expected = expected_in_words(expected);
    let hint = if is_quoted_needlessly(found, &expected) { ": write it without quotes" } else { "" };
    format!("expected {expected}, found {}{hint}", found_in_words(found))
}

fn found_in_words(found: &str) -> String {
    let words = match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" | "Option value" => "nothing".to_owned(),
        _ => match found.split_once('`').and_then(|(_, rest)| rest.strip_suffix('`')) {
            Some(literal) => literal.to_owned(),
            None => found.to_owned(),
        },
    };
    match words.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words,
    }
}

fn expected_in_words(expected: &str) -> String {
    let (lowest, number) = match expected.strip_prefix("a nonzero ") {
        Some(number) => (1_u8, number),
        None => (0, expected),
    };
    let up_to = |highest: u64| format!("a whole number from {lowest} to {highest}");
    match number {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" | "u128" | "usize" => format!("a whole number from {lowest}"),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "string or map" => "a string or a table".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        _ => expected.to_owned(),
    }
}

fn is_quoted_needlessly(found: &str, expected: &str) -> bool {
    let Some(text) = found.strip_prefix("string \"").and_then(|text| text.strip_suffix('"')) else {
        return false;
    };
    match expected {
        "true or false" => matches!(text, "true" | "false"),
        "a number" => text.parse::<f64>().is_ok(),
        _ => expected.starts_with("a whole number") && text.parse::<i64>().is_ok(),
    }
}
