//! Taking what is wrong out of a config, so that serde gets to see the rest.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::Value;

use super::{ConfigError, ERRORS_MAX, Fault, fault::Kind, key_path, nearest, shape::Shape};

/// Keys that one message lists at most.
const POSSIBLE_SHOWN_MAX: usize = 40;
const MISSING: &str = "missing: this key is required";

/// One step down into a config.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// One step as serde tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hint {
    Step(Step),
    /// Of an enum, not always with its name: a key where it is written as a table, otherwise no step at all.
    Variant(Option<String>),
}

/// A config under repair and what was found wrong so far.
pub(super) struct Repair {
    value: Value,
    schema: LazyCell<Value, fn() -> Value>,
    errors: Vec<ConfigError>,
    /// Places that were changed and how often: what serde dislikes there from now on is our doing, not the author's.
    touched: BTreeMap<Vec<Step>, usize>,
    /// Items taken out of a list, by their original index: later indices are moved by them.
    taken: BTreeMap<Vec<Step>, BTreeSet<usize>>,
    /// Keys that misspelt ones were meant to be: that they are missing is no second mistake.
    meant: BTreeSet<Vec<Step>>,
}

// === impl Repair ===

impl Repair {
    pub(super) fn new(value: Value, schema: fn() -> Value) -> Self {
        let schema = LazyCell::new(schema);
        let (touched, taken, meant) = Default::default();
        Self { value, schema, errors: Vec::new(), touched, taken, meant }
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    /// Notes keys that nobody reads. They do no harm and stay.
    pub(super) fn note_ignored(&mut self, ignored: &[Vec<Hint>]) {
        for hints in ignored {
            let place = self.existing(hints);
            if !self.is_our_doing(&self.original(&place), false) {
                let message = self.unknown_key(&place, hints, &[]);
                self.note(&place, message);
            }
        }
    }

    /// Notes a fault and changes the config so that the next try gets past it. False when nothing can be changed.
    pub(super) fn mend(&mut self, fault: &Fault) -> bool {
        let mut place = self.existing(&fault.place);
        let is_whole = matches!(fault.kind, Kind::Other(_) | Kind::NoForm);
        let message = match &fault.kind {
            Kind::UnknownKey { possible } => self.unknown_key(&place, &fault.place, possible),
            Kind::MissingKey(key) => {
                place.push(Step::Key(key.clone()));
                let purpose = Shape::at(&self.schema, &place).description().map(|text| format!(" ({text})"));
                format!("{MISSING}{}", purpose.unwrap_or_default())
            }
            Kind::UnknownVariant { found, possible } => {
                let possible: Vec<&str> = possible.iter().map(String::as_str).collect();
                format!("`{found}` is not possible here; {}", suggestion(found, &possible))
            }
            Kind::NoForm => match Shape::at(&self.schema, &place).forms() {
                forms if forms.is_empty() => "what stands here is not possible".to_owned(),
                forms => format!("expected {}", forms.join(" or ")),
            },
            Kind::Other(message) => message.clone(),
        };
        let original = self.original(&place);
        let is_misspelt = matches!(fault.kind, Kind::MissingKey(_)) && self.meant.contains(&original);
        if !is_misspelt && !self.is_our_doing(&original, is_whole) {
            self.note(&place, message);
        }
        if self.errors.len() >= ERRORS_MAX {
            return false;
        }
        match fault.kind {
            Kind::UnknownKey { .. } if is_key_at(&place, &fault.place) => self.take_out(&place),
            Kind::MissingKey(_) => self.stand_in(&place),
            Kind::UnknownKey { .. } | Kind::UnknownVariant { .. } | Kind::NoForm | Kind::Other(_) => {
                self.replace(&place)
            }
        }
    }

    fn note(&mut self, place: &[Step], message: String) {
        let error = ConfigError { path: render(&self.original(place)), message };
        let told = self.errors.iter().any(|other| other.path == error.path);
        if !told && self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    fn unknown_key(&mut self, place: &[Step], hints: &[Hint], possible: &[String]) -> String {
        let (Some(Hint::Step(Step::Key(key))), Some((_, mut table))) = (hints.last(), place.split_last())
        else {
            return "unknown key".to_owned();
        };
        // Inside of flattened tables serde loses its way: all it knows is the table.
        let is_lost = !is_key_at(place, hints);
        if is_lost {
            table = place;
        }
        let keys = Shape::at(&self.schema, table).keys();
        let possible: Vec<&str> = if keys.is_empty() {
            possible.iter().map(String::as_str).collect()
        } else {
            keys.into_iter().collect()
        };
        let name = if is_lost { format!(" `{key}`") } else { String::new() };
        if possible.is_empty() {
            return format!("unknown key{name}; none are possible here");
        }
        let message = format!("unknown key{name}; {}", suggestion(key, &possible));
        if let Some(meant) = nearest(key, possible).map(str::to_owned) {
            let mut meant_place = self.original(table);
            meant_place.push(Step::Key(meant));
            let path = render(&meant_place);
            self.errors.retain(|error| error.path != path || !error.message.starts_with(MISSING));
            self.meant.insert(meant_place);
        }
        message
    }

    /// Puts the next stand-in at the place, or gives up on the item, or on the table that it is in.
    fn stand_in(&mut self, place: &[Step]) -> bool {
        let Some((last, parent)) = place.split_last() else {
            return false;
        };
        let tries = self.touched.entry(self.original(place)).or_default();
        let stand_in = Shape::at(&self.schema, place).stand_ins().into_iter().nth(*tries);
        *tries += 1;
        match (stand_in, last) {
            (Some(value), _) => put(&mut self.value, parent, last, value),
            (None, Step::Index(_)) => self.take_out(place),
            (None, Step::Key(_)) => self.replace(parent),
        }
    }

    /// Gets rid of a wrong value. A key may not be needed, so it is taken out first; the items of a list must not
    /// become fewer where their count matters.
    fn replace(&mut self, place: &[Step]) -> bool {
        let original = self.original(place);
        match place.last() {
            None => false,
            Some(Step::Key(_)) if !self.touched.contains_key(&original) => {
                self.touched.insert(original, 0);
                self.take_out(place)
            }
            Some(_) => self.stand_in(place),
        }
    }

    fn take_out(&mut self, place: &[Step]) -> bool {
        let Some((last, parent)) = place.split_last() else {
            return false;
        };
        let (list, original) = (self.original(parent), self.original(place));
        match (find_mut(&mut self.value, parent), last) {
            (Some(Value::Object(table)), Step::Key(key)) => table.remove(key).is_some(),
            (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => {
                items.remove(*index);
                if let Some(Step::Index(index)) = original.last() {
                    self.taken.entry(list).or_default().insert(*index);
                }
                true
            }
            _ => false,
        }
    }

    /// Whether serde would not complain here if the config were as its author wrote it. A complaint about a `whole`
    /// may also come from a change further down.
    fn is_our_doing(&self, original: &[Step], whole: bool) -> bool {
        self.touched.keys().any(|place| original.starts_with(place) || (whole && place.starts_with(original)))
    }

    /// The steps as far as they lead somewhere, without the variants that are no key.
    fn existing(&self, hints: &[Hint]) -> Vec<Step> {
        let mut place = Vec::new();
        let mut value = &self.value;
        for hint in hints {
            let step = match hint {
                Hint::Step(step) => Some(step.clone()),
                Hint::Variant(Some(name)) => Some(Step::Key(name.clone())),
                Hint::Variant(None) => only_key(value).map(Step::Key),
            };
            match (step.as_ref().and_then(|step| child(value, step)), step, hint) {
                (Some(next), Some(step), _) => {
                    value = next;
                    place.push(step);
                }
                (None, _, Hint::Variant(_)) => {}
                // The variant of an enum, which is not always told.
                (None, Some(step), _) => match only_key(value) {
                    Some(variant)
                        if value.get(&variant).is_some_and(|inner| child(inner, &step).is_some()) =>
                    {
                        place.extend([Step::Key(variant), step]);
                        return place;
                    }
                    _ => break,
                },
                _ => break,
            }
        }
        place
    }

    /// A place of the config as it is now, as its author knows it.
    fn original(&self, place: &[Step]) -> Vec<Step> {
        let mut original: Vec<Step> = Vec::with_capacity(place.len());
        for step in place {
            original.push(match step {
                Step::Index(index) => {
                    let taken = self.taken.get(&original).into_iter().flatten();
                    Step::Index(
                        taken.fold(*index, |index, taken| if *taken <= index { index + 1 } else { index }),
                    )
                }
                Step::Key(_) => step.clone(),
            });
        }
        original
    }
}

/// The steps of a path as `serde_ignored` tells it.
pub(super) fn hints_of_ignored(path: &serde_ignored::Path<'_>, hints: &mut Vec<Hint>) {
    use serde_ignored::Path;
    let (parent, hint) = match path {
        Path::Root => return,
        Path::Seq { parent, index } => (parent, Some(Hint::Step(Step::Index(*index)))),
        Path::Map { parent, key } => (parent, Some(Hint::Step(Step::Key(key.clone())))),
        Path::NewtypeVariant { parent } => (parent, Some(Hint::Variant(None))),
        Path::Some { parent } | Path::NewtypeStruct { parent } => (parent, None),
    };
    hints_of_ignored(parent, hints);
    hints.extend(hint);
}

/// Whether all hints led somewhere, down to the key that the last one names.
fn is_key_at(place: &[Step], hints: &[Hint]) -> bool {
    matches!((place.last(), hints.last()), (Some(step), Some(Hint::Step(hint))) if step == hint)
}

fn only_key(value: &Value) -> Option<String> {
    let table = value.as_object().filter(|table| table.len() == 1)?;
    table.keys().next().cloned()
}

fn suggestion(word: &str, possible: &[&str]) -> String {
    let meant = nearest(word, possible.iter().copied());
    let meant = meant.map(|key| format!("did you mean `{key}`? ")).unwrap_or_default();
    let shown: Vec<&str> = possible.iter().copied().take(POSSIBLE_SHOWN_MAX).collect();
    let more = if possible.len() > shown.len() { ", …" } else { "" };
    format!("{meant}possible: `{}`{more}", shown.join("`, `"))
}

fn child<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => value.as_object()?.get(key),
        Step::Index(index) => value.as_array()?.get(*index),
    }
}

fn find_mut<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.as_object_mut()?.get_mut(key),
        Step::Index(index) => value.as_array_mut()?.get_mut(*index),
    })
}

fn put(value: &mut Value, parent: &[Step], last: &Step, new: Value) -> bool {
    match (find_mut(value, parent), last) {
        (Some(Value::Object(table)), Step::Key(key)) => {
            table.insert(key.clone(), new);
            true
        }
        (Some(Value::Array(items)), Step::Index(index)) => match items.get_mut(*index) {
            Some(item) => {
                *item = new;
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn render(place: &[Step]) -> String {
    place.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) => key_path(&path, key),
        Step::Index(index) => format!("{path}[{index}]"),
    })
}
