//! The options of a config, as a table made of its JSON schema.

use std::fmt;

use serde_json::{Map, Value};

/// References that are followed to find the type of one option.
const REFERENCES_MAX: usize = 8;
/// Tables in tables whose options are listed.
const NESTING_MAX: usize = 4;

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
    /// The options that a schema describes: its properties, and those of the tables among them.
    pub(super) fn of(schema: &Value) -> Self {
        Self::of_table(schema, schema)
    }

    /// The options of one table in a schema.
    fn of_table(schema: &Value, table: &Value) -> Self {
        let mut rows = Vec::new();
        add_rows(schema, table, "", NESTING_MAX, &mut rows);
        Self(rows)
    }

    /// The same as a table of Markdown. `applied` says of each option what has a change of it count; without it there
    /// is no such column.
    pub(super) fn markdown(&self, applied: Option<&dyn Fn(&str) -> &'static str>) -> String {
        if self.0.is_empty() {
            return "It has no options.\n".to_owned();
        }
        let mut lines = match applied {
            Some(_) => "| option | type | default | a change counts | |\n|---|---|---|---|---|\n".to_owned(),
            None => "| option | type | default | |\n|---|---|---|---|\n".to_owned(),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        let code = |text: &str| format!("`{}`", cell(text));
        for Row { name, type_name, default, description } in &self.0 {
            let default = match default.as_str() {
                "required" | "-" => default.clone(),
                value => code(value),
            };
            let applied = applied.map_or_else(String::new, |applied| format!(" {} |", applied(name)));
            let (name, type_name) = (code(name), cell(type_name));
            lines
                .extend([format!("| {name} | {type_name} | {default} |{applied} {} |\n", cell(description))]);
        }
        lines
    }
}

/// A part of a configuration: the options at its top, or of one table in it.
pub(super) struct Section {
    /// Empty for the top.
    pub(super) key: String,
    /// As it stands in a configuration: `[node]`, `[topologies.NAME]`, `[[on_event]]`.
    pub(super) heading: String,
    /// All that is said of it.
    pub(super) description: String,
    pub(super) options: Options,
}

/// The parts of what a schema describes, the options that are in no table first.
pub(super) fn sections(schema: &Value) -> Vec<Section> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut top = Map::new();
    let mut sections = Vec::new();
    for (key, property) in properties.into_iter().flatten() {
        let Some((table, heading)) = section_table(schema, key, property, REFERENCES_MAX) else {
            top.insert(key.clone(), property.clone());
            continue;
        };
        let description = [property, table].iter().find_map(|value| value.get("description")?.as_str());
        let options = Options::of_table(schema, table);
        let description = description.unwrap_or_default().to_owned();
        sections.push(Section { key: key.clone(), heading, description, options });
    }
    let required = schema.get("required").cloned().unwrap_or_default();
    let top = serde_json::json!({ "properties": top, "required": required });
    let options = Options::of_table(schema, &top);
    let top = Section { key: String::new(), heading: String::new(), description: String::new(), options };
    std::iter::once(top).chain(sections).collect()
}

/// The table that a key at the top is, one of many by name, or a list of them.
fn section_table<'a>(
    schema: &'a Value,
    key: &str,
    property: &'a Value,
    references: usize,
) -> Option<(&'a Value, String)> {
    let named = property.get("additionalProperties").filter(|inner| inner.is_object());
    if let Some((table, "")) = named.and_then(|inner| inner_table(schema, inner, references)) {
        return Some((table, format!("[{key}.NAME]")));
    }
    inner_table(schema, property, references).map(|(table, sign)| match sign {
        "" => (table, format!("[{key}]")),
        _ => (table, format!("[[{key}]]")),
    })
}

fn add_rows(schema: &Value, table: &Value, path: &str, nesting: usize, rows: &mut Vec<Row>) {
    let Some(nesting) = nesting.checked_sub(1) else {
        return;
    };
    let required = table.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let properties = table.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let path = format!("{path}{name}");
        let inner = inner_table(schema, property, REFERENCES_MAX);
        rows.push(Row {
            name: path.clone(),
            type_name: match inner {
                Some((_, "")) => "table".to_owned(),
                Some(_) => "[table]".to_owned(),
                None => type_name(schema, property, REFERENCES_MAX),
            },
            default: match property.get("default") {
                None | Some(Value::Null) if required.contains(&name.as_str()) => "required".to_owned(),
                None | Some(Value::Null) => "-".to_owned(),
                Some(default) => default.to_string(),
            },
            description: description(schema, property),
        });
        let inner = inner.or_else(|| Some((table_among_forms(schema, property, REFERENCES_MAX)?, "")));
        if let Some((inner, sign)) = inner {
            add_rows(schema, inner, &format!("{path}{sign}."), nesting, rows);
        }
    }
}

/// The table that an option is, or a list of it, or nothing; not one of several forms, which its type shows.
fn inner_table<'a>(
    schema: &'a Value,
    property: &'a Value,
    references: usize,
) -> Option<(&'a Value, &'static str)> {
    let references = references.checked_sub(1)?;
    if let Some(target) = referred(schema, property) {
        return inner_table(schema, target, references);
    }
    if let Some(forms) = property.get("anyOf").and_then(Value::as_array) {
        let mut forms = forms.iter().filter(|form| form.get("type").is_none_or(|name| name != "null"));
        let (only, None) = (forms.next()?, forms.next()) else {
            return None;
        };
        return inner_table(schema, only, references);
    }
    if let Some(items) = property.get("items") {
        return inner_table(schema, items, references).map(|(table, _)| (table, "[]"));
    }
    property.get("properties").is_some().then_some((property, ""))
}

/// The only table among the forms that an option may have, as in `"never"` or a table.
fn table_among_forms<'a>(schema: &'a Value, property: &'a Value, references: usize) -> Option<&'a Value> {
    let references = references.checked_sub(1)?;
    if let Some(target) = referred(schema, property) {
        return table_among_forms(schema, target, references);
    }
    let forms = ["anyOf", "oneOf"].iter().find_map(|key| property.get(*key)?.as_array())?;
    let table = |form| inner_table(schema, form, references).filter(|(_, sign)| sign.is_empty());
    let mut tables = forms.iter().filter_map(table);
    let (only, None) = (tables.next()?, tables.next()) else {
        return None;
    };
    Some(only.0)
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

/// The first paragraph, on one line; where the option has none, that of its type. Behind it what each choice means.
fn description(schema: &Value, property: &Value) -> String {
    let own = paragraph(property).or_else(|| referred(schema, property).and_then(paragraph));
    let choices = choices(schema, property, REFERENCES_MAX);
    let choices = if choices.is_empty() { None } else { Some(format!("({})", choices.join("; "))) };
    [own, choices].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn paragraph(value: &Value) -> Option<String> {
    let text = value.get("description")?.as_str()?;
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    Some(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The choices of which something is said.
fn choices(schema: &Value, property: &Value, references: usize) -> Vec<String> {
    let Some(references) = references.checked_sub(1) else {
        return Vec::new();
    };
    if let Some(target) = referred(schema, property) {
        return choices(schema, target, references);
    }
    let forms = |key| property.get(key).and_then(Value::as_array).into_iter().flatten();
    forms("oneOf")
        .chain(forms("anyOf"))
        .flat_map(|form| match (form.get("const"), paragraph(form)) {
            (Some(choice), Some(meaning)) => vec![format!("{choice}: {}", meaning.trim_end_matches('.'))],
            (Some(_), None) => Vec::new(),
            (None, _) => choices(schema, form, references),
        })
        .collect()
}

fn type_name(schema: &Value, property: &Value, references: usize) -> String {
    if let Some(target) = referred(schema, property) {
        return match references.checked_sub(1) {
            Some(references) => type_name(schema, target, references),
            None => "any".to_owned(),
        };
    }
    if let Some(title) = property.get("title").and_then(Value::as_str) {
        return title.to_owned();
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

    /// What schemars makes of a struct is shown whole: tables in it with their own options, what choices mean, the types
    /// of the SDK by their names.
    #[test]
    fn nested() {
        use cluster_sdk::{ConfigDuration, NameTemplate, Placeholders, Secret};

        /// Options.
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only described")]
        struct Config {
            /// Where to look
            regions: Vec<Region>,
            /// Which address
            #[serde(default = "private")]
            address: Address,
            tls: Option<Tls>,
            /// How nodes are named
            name: NameTemplate<Named>,
            timeout: Option<ConfigDuration>,
            /// To log in
            token: Secret,
        }
        /// One region
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only described")]
        struct Region {
            /// Its name
            name: String,
            #[serde(default)]
            tags: Vec<String>,
        }
        #[derive(schemars::JsonSchema, serde::Serialize)]
        #[serde(rename_all = "lowercase")]
        #[expect(dead_code, reason = "only described")]
        enum Address {
            /// The private one.
            Private,
            /// The public one.
            Public,
            Both,
        }
        /// Encryption
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only described")]
        struct Tls {
            /// File of the authority
            ca: Option<String>,
            inner: Option<Box<Self>>,
        }
        struct Named;
        impl Placeholders for Named {
            const POSSIBLE: &'static [&'static str] = &["ip", "tag."];
        }
        fn private() -> Address {
            Address::Private
        }
        let schema = schemars::schema_for!(Config);
        expect![[r#"
            OPTION                 TYPE                           DEFAULT    DESCRIPTION
            address                "both" | "private" | "public"  "private"  Which address ("private": The private one; "public": The public one)
            name                   template of {ip} {tag.NAME}    required   How nodes are named
            regions                [table]                        required   Where to look
            regions[].name         string                         required   Its name
            regions[].tags         [string]                       []
            timeout                duration                       -
            tls                    table                          -
            tls.ca                 string                         -          File of the authority
            tls.inner              table                          -
            tls.inner.ca           string                         -          File of the authority
            tls.inner.inner        table                          -
            tls.inner.inner.ca     string                         -          File of the authority
            tls.inner.inner.inner  table                          -
            token                  string | { file } | { env }    required   To log in
        "#]].assert_eq(&Options::of(schema.as_value()).to_string());
    }

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
