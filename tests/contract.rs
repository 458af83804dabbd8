//! What the API answers, held against its description `cluster-host/src/api/openapi.json`: every status, content type and
//! shape is one that is written there, and nothing is answered that is not.

use std::{collections::BTreeMap, sync::OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../cluster-host/src/api/openapi.json");

/// The description.
pub(crate) fn document() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| serde_json::from_str(DOCUMENT).unwrap())
}

/// Holds an answer with a body of JSON against the description of what was asked for. The page and the probes are not
/// described.
#[track_caller]
pub(crate) fn check_answer(method: &str, path: &str, status: u16, content_type: &str, body: &[u8]) {
    if !path.starts_with("/v1/") && status != 404 {
        return;
    }
    let what = format!("{method} {path}: {status} {content_type}");
    let content = described(method, path, status).unwrap_or_else(|| panic!("{what} is not described"));
    let content_type = content_type.split(';').next().unwrap();
    let schema = &content[content_type]["schema"];
    assert!(schema.is_object(), "{what}: there is only {content}");
    if content_type.ends_with("json") {
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{what}: {error}"));
        conforms(&what, schema, &body).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

/// Holds the data of a server-sent event against its shape, and says what is wrong with it.
pub(crate) fn check_event(event: &Value) -> Result<(), String> {
    let name = if event["type"] == "resync" { "Resync" } else { "Event" };
    conforms("an event", &json!({ "$ref": format!("#/components/schemas/{name}") }), event)
}

/// The content that is described for an answer; of a path that there is not, that of any problem.
fn described(method: &str, path: &str, status: u16) -> Option<&'static Value> {
    let path = path.split('?').next()?;
    let is_it = |template: &str| {
        let (mut here, mut there) = (path.split('/'), template.split('/'));
        loop {
            match (here.next(), there.next()) {
                (None, None) => return true,
                (Some(part), Some(wanted)) if part == wanted || wanted.starts_with('{') => {}
                _ => return false,
            }
        }
    };
    let paths = document()["paths"].as_object()?;
    // A path without variables is it before one with.
    let found =
        paths.get(path).or_else(|| paths.iter().find(|(template, _)| is_it(template)).map(|(_, item)| item));
    let operation = found.map(|item| &item[method.to_lowercase()]).filter(|operation| operation.is_object());
    let responses = match operation {
        Some(operation) => &operation["responses"],
        None if status == 404 || status == 405 || status == 403 || status == 401 => {
            &document()["paths"]["/v1/members"]["get"]["responses"]
        }
        None => return None,
    };
    let exact = &responses[status.to_string()];
    let response = if exact.is_object() || status < 400 { exact } else { &responses["default"] };
    Some(&response["content"]).filter(|content| content.is_object())
}

fn conforms(what: &str, schema: &Value, body: &Value) -> Result<(), String> {
    static VALIDATORS: OnceLock<std::sync::Mutex<BTreeMap<String, &'static Validator>>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(Default::default);
    let mut validators = validators.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = *validators.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = strict(&document()["components"]);
        Box::leak(Box::new(jsonschema::validator_for(&whole).unwrap()))
    });
    drop(validators);
    let wrong: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{what} is not as described: {}\n{body:#}", wrong.join("\n")))
    }
}

/// The same shapes, with no key that they do not name: clients are to take what they do not know, and a test is not.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<_, _> =
                fields.iter().map(|(key, value)| (key.clone(), strict(value))).collect();
            if fields.get("properties").is_some_and(Value::is_object) && fields.contains_key("type") {
                fields.entry("additionalProperties").or_insert(false.into());
            }
            fields.into()
        }
        Value::Array(items) => items.iter().map(strict).collect(),
        other => other.clone(),
    }
}
