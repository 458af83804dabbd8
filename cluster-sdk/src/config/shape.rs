//! What a JSON schema knows of a place in a config: its keys, its forms, what it is for, a value that might do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::repair::Step;

/// References and alternatives that are followed at most, so that a schema which contains itself ends.
const NESTING_MAX: usize = 16;

/// A place, as all the subschemas that apply to it: the alternatives of an enum are several.
#[derive(Debug, Clone)]
pub(super) struct Shape<'a> {
    root: &'a Value,
    schemas: Vec<&'a Value>,
}

// === impl Shape ===

impl<'a> Shape<'a> {
    /// The place at the end of `steps`.
    pub(super) fn at(root: &'a Value, steps: &[Step]) -> Self {
        let whole = Self { root, schemas: vec![root] }.expanded();
        steps.iter().fold(whole, |place, step| place.child(step))
    }

    fn child(&self, step: &Step) -> Self {
        let step_into = |schema: &'a Value| match step {
            Step::Key(key) => {
                let own = schema.get("properties").and_then(|properties| properties.get(key));
                own.or_else(|| schema.get("additionalProperties"))
            }
            Step::Index(index) => {
                let own = schema.get("prefixItems").and_then(|items| items.get(*index));
                own.or_else(|| schema.get("items"))
            }
        };
        Self { root: self.root, schemas: self.schemas.iter().copied().filter_map(step_into).collect() }
            .expanded()
    }

    /// With what is referred to and with all alternatives.
    fn expanded(&self) -> Self {
        let mut expanded = Vec::new();
        for schema in &self.schemas {
            self.expand(schema, NESTING_MAX, &mut expanded);
        }
        Self { root: self.root, schemas: expanded }
    }

    fn expand(&self, schema: &'a Value, nesting: usize, into: &mut Vec<&'a Value>) {
        let Some(nesting) = nesting.checked_sub(1) else {
            return;
        };
        into.push(schema);
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(target) = referred.and_then(|pointer| self.root.pointer(pointer)) {
            self.expand(target, nesting, into);
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            for alternative in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
                self.expand(alternative, nesting, into);
            }
        }
    }

    /// The keys that a table here may have.
    pub(super) fn keys(&self) -> BTreeSet<&'a str> {
        let properties = self.schemas.iter().filter_map(|schema| schema.get("properties")?.as_object());
        properties.flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// The first line of the author's documentation of this place (not of its type, which is seldom to the point).
    pub(super) fn description(&self) -> Option<&'a str> {
        let text = self.schemas.first()?.get("description")?.as_str()?;
        text.lines().next().filter(|line| !line.is_empty())
    }

    /// What may stand here, in words.
    pub(super) fn forms(&self) -> Vec<String> {
        let mut forms: BTreeMap<String, ()> = BTreeMap::new();
        for schema in &self.schemas {
            let constants = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
            let constants: Vec<String> = constants.chain(schema.get("const")).map(Value::to_string).collect();
            if !constants.is_empty() {
                forms.extend(constants.into_iter().map(|constant| (constant, ())));
                continue;
            }
            forms.extend(types(schema).filter_map(|name| Some((form(name, schema)?, ()))));
        }
        forms.into_keys().collect()
    }

    /// Values to put here in place of a wrong or missing one, the likeliest to be accepted first.
    pub(super) fn stand_ins(&self) -> Vec<Value> {
        let mut values: Vec<Value> = Vec::new();
        for schema in &self.schemas {
            let given = ["default", "const"].into_iter().filter_map(|word| schema.get(word));
            let lists = ["enum", "examples"].into_iter().filter_map(|word| schema.get(word)?.as_array());
            values.extend(given.chain(lists.filter_map(|list| list.first())).cloned());
            values.extend(types(schema).filter_map(|name| stand_in(name, schema)));
        }
        // For types that check more than their schema tells: names of nodes, addresses.
        values.extend([
            json!("a@b"),
            json!("0.0.0.0:0"),
            json!(1),
            json!(false),
            json!([]),
            json!({}),
            json!(""),
        ]);
        let mut seen = Vec::new();
        values.retain(|value| {
            !seen.contains(value) && {
                seen.push(value.clone());
                true
            }
        });
        values
    }
}

fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("type");
    let list = names.and_then(Value::as_array).into_iter().flatten();
    names.into_iter().chain(list).filter_map(Value::as_str)
}

fn form(name: &str, schema: &Value) -> Option<String> {
    Some(match name {
        "string" => "a string".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => "a list".to_owned(),
        "object" => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let keys: Vec<&str> = required.filter_map(Value::as_str).collect();
            if keys.is_empty() {
                "a table".to_owned()
            } else {
                format!("a table with `{}`", keys.join("`, `"))
            }
        }
        _ => return None,
    })
}

fn stand_in(name: &str, schema: &Value) -> Option<Value> {
    Some(match name {
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some("ipv4" | "ip") => json!("0.0.0.0"),
            Some("ipv6") => json!("::"),
            _ => json!("x"),
        },
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        "boolean" => json!(false),
        "array" => json!([]),
        "object" => json!({}),
        _ => return None,
    })
}
