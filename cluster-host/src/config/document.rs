//! TOML as a JSON value, with the line of each key.

use cluster_sdk::config::{ConfigError, key_path};
use serde_json::{Map, Number, Value};
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::{expand::Expander, problem::Lines};

/// A file that is TOML, and what is wrong with single values of it.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) lines: Lines,
    pub(super) errors: Vec<ConfigError>,
}

struct Reader<'a> {
    expander: Expander<'a>,
    /// Offsets at which lines begin.
    starts: Vec<usize>,
    lines: Lines,
    errors: Vec<ConfigError>,
}

// === impl Document ===

impl Document {
    /// Parses TOML; text that is none gives the line where it ceases to be, and why.
    pub(super) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, (usize, String)> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (lines, errors) = (Lines::default(), Vec::new());
        let mut reader = Reader { expander: Expander::new(env), starts, lines, errors };
        let table = DeTable::parse(text).map_err(|err| {
            let line = err.span().map_or(1, |span| reader.line(span.start));
            (line, format!("not TOML: {}", err.message()))
        })?;
        let value = reader.table(table.get_ref(), "");
        Ok(Self { value, lines: reader.lines, errors: reader.errors })
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let path = key_path(path, key.get_ref());
            let line = self.line(key.span().start);
            self.lines.insert(path.clone(), line);
            let value = self.value(value.get_ref(), &path);
            map.insert(key.get_ref().clone().into_owned(), value);
        }
        Value::Object(map)
    }

    fn value(&mut self, value: &DeValue<'_>, path: &str) -> Value {
        match value {
            DeValue::String(text) => match self.expander.expand(text) {
                Ok(text) => Value::String(text),
                Err(message) => {
                    self.errors.push(ConfigError::new(path, message));
                    Value::String(text.clone().into_owned())
                }
            },
            DeValue::Integer(digits) => {
                integer(digits).unwrap_or_else(|| self.wrong(path, "is too large a number"))
            }
            DeValue::Float(digits) => {
                float(digits).unwrap_or_else(|| self.wrong(path, "is no finite number"))
            }
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let line = self.line(item.span().start);
                    self.lines.insert(path.clone(), line);
                    list.push(self.value(item.get_ref(), &path));
                }
                Value::Array(list)
            }
            DeValue::Table(table) => self.table(table, path),
        }
    }

    fn wrong(&mut self, path: &str, message: &str) -> Value {
        self.errors.push(ConfigError::new(path, message));
        Value::Null
    }
}

fn integer(digits: &DeInteger<'_>) -> Option<Value> {
    let signed = i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(Value::from);
    signed.or_else(|| u64::from_str_radix(digits.as_str(), digits.radix()).ok().map(Value::from))
}

fn float(digits: &DeFloat<'_>) -> Option<Value> {
    digits.as_str().parse().ok().and_then(Number::from_f64).map(Value::Number)
}
