//! The config of one strategy, given outside of a configuration file.

use serde_json::Value;

use super::{document::Document, file};

/// Reads the config of a strategy: JSON, TOML as it stands behind `config =` in a configuration, or `@FILE` with either.
/// In TOML `${VAR}` is replaced as in a configuration.
///
/// # Errors
/// One line: what is wrong with the text, or with the file.
pub(crate) fn inline(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Value, String> {
    let Some(path) = text.strip_prefix('@') else {
        return parse(text, env).map_err(|reason| format!("--config: {reason}"));
    };
    let read = file::read(path.as_ref()).and_then(|text| parse(&text, env));
    read.map_err(|reason| format!("{path}: {reason}"))
}

fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Value, String> {
    let text = text.trim();
    let not_json = match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => return Ok(value),
        Ok(_) => return Err("is no table: write { key = \"value\" } or {\"key\": \"value\"}".to_owned()),
        Err(error) => error,
    };
    let inner = text.strip_prefix('{').map(str::trim_start);
    let parsed = match inner {
        // Only JSON has all its keys in quotes.
        Some(inner) if inner.starts_with('"') => return Err(format!("not JSON: {not_json}")),
        Some(_) => Document::parse(&format!("config = {text}"), env),
        None => Document::parse(text, env),
    };
    let mut document = parsed.map_err(|(line, reason)| format!("line {line}: {reason}"))?;
    if let Some(error) = document.errors.first() {
        return Err(error.to_string());
    }
    Ok(match document.value.get_mut("config") {
        Some(config) if inner.is_some() => config.take(),
        _ => document.value,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn read_inline(text: &str) -> Result<Value, String> {
        inline(text, &|name| (name == "PORT").then(|| "9000".to_owned()))
    }

    /// The same config in all of its forms, from the command line and from a file.
    #[test]
    fn forms() {
        let expected = json!({ "hosts": ["a@h"], "port": "9000", "tls": { "ca": "x" } });
        let directory = tempfile::tempdir().unwrap();
        for text in [
            r#"{ "hosts": ["a@h"], "port": "9000", "tls": { "ca": "x" } }"#,
            r#" { hosts = ["a@h"], port = "${PORT}", tls = { ca = "x" } } "#,
            "hosts = ['a@h']\nport = \"${PORT}\"\n[tls]\nca = 'x'\n",
        ] {
            assert_eq!(read_inline(text), Ok(expected.clone()), "{text}");
            let file = directory.path().join("config");
            fs::write(&file, text).unwrap();
            assert_eq!(read_inline(&format!("@{}", file.display())), Ok(expected.clone()));
        }
        assert_eq!(read_inline("{}"), Ok(json!({})));
        assert_eq!(read_inline(""), Ok(json!({})));
    }

    /// What is wrong is told in one line, with its place.
    #[test]
    fn wrong() {
        for (text, reason) in [
            ("[1]", "--config: is no table: write { key = \"value\" } or {\"key\": \"value\"}"),
            (r#"{"a": }"#, "--config: not JSON: expected value at line 1 column 7"),
            ("{ a = }", "--config: line 1: not TOML: "),
            ("a = 1\nb", "--config: line 2: not TOML: "),
            ("a = '${NONE}'", "--config: a: "),
            ("@/nowhere/config", "/nowhere/config: cannot be opened: No such file or directory"),
        ] {
            let error = read_inline(text).unwrap_err();
            assert!(error.starts_with(reason) && !error.contains('\n'), "{error}");
        }
    }
}
