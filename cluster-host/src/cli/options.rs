//! The options of a config, as a table made of its JSON schema.

use std::fmt;

use serde_json::{Map, Value};

/// References that are followed to find the type of one option.
const REFERENCES_MAX: usize = 8;

/// The options of a strategy or a connector.
#[derive(Debug)]
pub(super) struct Options(Vec<Row>);

#[derive(Debug)]
struct Row {
    name: String,
    type_name: String,
    default: String,
    description: String,
}

// === impl Options ===

impl Options {
    /// The options that a schema describes: its properties.
    pub(super) fn of(schema: &Value) -> Self {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let row = |(name, property): (&String, &Value)| Row {
            name: name.clone(),
            type_name: type_name(schema, property, REFERENCES_MAX),
            default: match property.get("default") {
                None | Some(Value::Null) if required.contains(&name.as_str()) => "required".to_owned(),
                None | Some(Value::Null) => "-".to_owned(),
                Some(default) => default.to_string(),
            },
            description: description(schema, property),
        };
        Self(properties.into_iter().flatten().map(row).collect())
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "It has no options.");
        }
        let head = ["OPTION", "TYPE", "DEFAULT"].map(str::to_owned);
        let cells = |row: &Row| [row.name.clone(), row.type_name.clone(), row.default.clone()];
        let width = |column: usize| {
            let width = |cells: [String; 3]| cells.get(column).map_or(0, |cell| cell.chars().count());
            self.0.iter().map(cells).chain([head.clone()]).map(width).max().unwrap_or(0)
        };
        let (name_width, type_width, default_width) = (width(0), width(1), width(2));
        let rows = self.0.iter().map(|row| (cells(row), row.description.as_str()));
        for ([name, type_name, default], description) in
            [(head.clone(), "DESCRIPTION")].into_iter().chain(rows)
        {
            let line = format!(
                "{name:<name_width$}  {type_name:<type_width$}  {default:<default_width$}  {description}"
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The first paragraph, on one line; where the option has none, that of its type.
fn description(schema: &Value, property: &Value) -> String {
    let text = |value: &Value| value.get("description").and_then(Value::as_str).map(str::to_owned);
    let text = text(property).or_else(|| referred(schema, property).and_then(text)).unwrap_or_default();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn type_name(schema: &Value, property: &Value, references: usize) -> String {
    if let Some(target) = referred(schema, property) {
        return match references.checked_sub(1) {
            Some(references) => type_name(schema, target, references),
            None => "any".to_owned(),
        };
    }
    if let Some(only) = property.get("const") {
        return only.to_string();
    }
    for (key, between) in [("enum", " | "), ("anyOf", " | "), ("oneOf", " | ")] {
        let Some(choices) = property.get(key).and_then(Value::as_array) else {
            continue;
        };
        let name = |choice: &Value| match key {
            "enum" => choice.to_string(),
            _ => type_name(schema, choice, references),
        };
        let mut names: Vec<String> = choices.iter().map(name).filter(|name| name != "null").collect();
        names.dedup();
        return names.join(between);
    }
    match property.get("type") {
        Some(Value::String(only)) => named(schema, property, only, references),
        Some(Value::Array(several)) => {
            let several = several.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            several.map(|name| named(schema, property, name, references)).collect::<Vec<_>>().join(" | ")
        }
        _ => "any".to_owned(),
    }
}

fn named(schema: &Value, property: &Value, name: &str, references: usize) -> String {
    let of = |key: &str| property.get(key).filter(|inner| inner.is_object());
    match name {
        "array" => match of("items") {
            Some(items) => format!("[{}]", type_name(schema, items, references)),
            None => "array".to_owned(),
        },
        "object" => match property.get("properties").and_then(Value::as_object) {
            Some(inner) => format!("{{ {} }}", keys(inner)),
            None => "table".to_owned(),
        },
        name => name.to_owned(),
    }
}

fn keys(properties: &Map<String, Value>) -> String {
    properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What `$ref` points at, in the same schema; an `allOf` of one is schemars' way to put a description beside it.
fn referred<'a>(schema: &'a Value, property: &'a Value) -> Option<&'a Value> {
    if let Some([only]) = property.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return Some(only);
    }
    let pointer = property.get("$ref")?.as_str()?.strip_prefix('#')?;
    schema.pointer(pointer)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    /// Each option is one line: name, type with references followed, default, first paragraph.
    #[test]
    fn table() {
        let schema = json!({
            "type": "object",
            "properties": {
                "port": { "type": "integer", "format": "uint16", "description": "Port\nto use.\n\nMore." },
                "wait": { "$ref": "#/$defs/Duration", "default": "10s" },
                "hosts": { "type": "array", "items": { "type": "string" }, "default": [] },
                "secret": { "anyOf": [{ "$ref": "#/$defs/Secret" }, { "type": "null" }], "description": "Key" },
                "mode": { "enum": ["fast", "slow"], "default": "fast" },
                "list": { "type": ["array", "null"], "items": { "type": "string" } },
                "loop": { "$ref": "#/$defs/Loop" },
            },
            "required": ["port"],
            "$defs": {
                "Duration": { "type": "string", "description": "a duration" },
                "Secret": { "oneOf": [
                    { "type": "string" },
                    { "type": "object", "properties": { "file": { "type": "string" } } },
                ]},
                "Loop": { "$ref": "#/$defs/Loop" },
            },
        });
        expect![[r#"
            OPTION  TYPE               DEFAULT   DESCRIPTION
            hosts   [string]           []
            list    [string]           -
            loop    any                -
            mode    "fast" | "slow"    "fast"
            port    integer            required  Port to use.
            secret  string | { file }  -         Key
            wait    string             "10s"     a duration
        "#]]
        .assert_eq(&Options::of(&schema).to_string());
        assert_eq!(Options::of(&Value::Null).to_string(), "It has no options.\n");
    }
}
