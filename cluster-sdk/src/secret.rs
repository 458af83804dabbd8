//! Secrets in configs: given inline, by a file or by an environment variable, and never shown.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that a secret may have at most.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A secret of a plugin's config: `"inline"`, `{ file = "/run/secrets/key" }` or `{ env = "KEY" }`.
///
/// The value shows up in no log, error or status: [`fmt::Debug`], [`fmt::Display`] and serialisation say `***`. There is
/// no comparison: compare what [`Secret::reveal`] gives, in constant time where an attacker could measure it.
///
/// ```
/// use cluster_sdk::Secret;
/// let secret: Secret = serde_json::from_str(r#""hunter2""#)?;
/// assert_eq!(format!("{secret} {secret:?}"), "*** ***");
/// assert_eq!(secret.reveal()?, "hunter2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Inline(String),
    File(PathBuf),
    Env(String),
}

/// Why a secret cannot be read: names where it is kept, never what it is. An operator can mend it; trying again then
/// works without a restart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("secret file {path:?} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The path is a directory, a pipe or a device.
    #[error("secret file {0:?} is not a regular file")]
    NotAFile(PathBuf),
    /// The environment variable is not there.
    #[error("environment variable {0:?} of a secret is not set")]
    Unset(String),
    /// The value has more than [`SECRET_BYTES_MAX`] bytes.
    #[error("secret in {0} has more than {SECRET_BYTES_MAX} bytes")]
    TooLarge(String),
    /// The value is not UTF-8.
    #[error("secret in {0} is not UTF-8")]
    NotUtf8(String),
    /// There is nothing in it: it would protect nothing.
    #[error("secret in {0} is empty")]
    Empty(String),
}

// === impl Secret ===

impl Secret {
    /// A secret that is known already, for tests and for programs without a config.
    #[must_use]
    pub fn inline(value: impl Into<String>) -> Self {
        Self(Source::Inline(value.into()))
    }

    /// The value. A file or environment variable is read anew each time, so that a rotated secret is picked up; one
    /// newline at the end of a file is not part of the secret.
    ///
    /// # Errors
    /// [`SecretError`] when the source is missing, empty, too large or no text.
    pub fn reveal(&self) -> Result<String, SecretError> {
        let value = match &self.0 {
            Source::Inline(value) => value.clone(),
            Source::File(path) => self.read_file(path)?,
            Source::Env(name) => match std::env::var(name) {
                Ok(value) => value,
                Err(std::env::VarError::NotPresent) => return Err(SecretError::Unset(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::NotUtf8(self.source())),
            },
        };
        if value.is_empty() {
            return Err(SecretError::Empty(self.source()));
        }
        if u64::try_from(value.len()).is_ok_and(|bytes| bytes > SECRET_BYTES_MAX) {
            return Err(SecretError::TooLarge(self.source()));
        }
        Ok(value)
    }

    /// Where the secret is kept, to be named in logs: never what it is.
    #[must_use]
    pub fn source(&self) -> String {
        match &self.0 {
            Source::Inline(_) => "the config".to_owned(),
            Source::File(path) => format!("file {path:?}"),
            Source::Env(name) => format!("environment variable {name:?}"),
        }
    }

    fn read_file(&self, path: &PathBuf) -> Result<String, SecretError> {
        let failed = |source| SecretError::File { path: path.clone(), source };
        // Asked before opening: opening a pipe would wait for its writer. A symbolic link is followed, because
        // mounted secrets are links.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(SecretError::NotAFile(path.clone()));
        }
        let mut bytes = Vec::new();
        // Two more than the limit: a newline that is cut off, and one byte to notice that there is more.
        let file = File::open(path).map_err(failed)?;
        file.take(SECRET_BYTES_MAX + 2).read_to_end(&mut bytes).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_not_text| SecretError::NotUtf8(self.source()))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(line.strip_suffix('\r').filter(|_| line.len() < text.len()).unwrap_or(line).to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Written by hand, because the derived one quotes what it did not expect.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kept = |key: &str, what: &str| {
            json_schema!({
                "type": "object",
                "properties": { key: { "type": "string", "minLength": 1, "description": what } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "a secret: the text itself, { file = PATH } or { env = NAME }",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                kept("file", "the file whose content is the secret"),
                kept("env", "the environment variable whose value is the secret"),
            ],
        })
    }
}

struct Visitor;

const EXPECTED: &str = "expected a secret: a text in quotes, { file = \"PATH\" } or { env = \"NAME\" }";

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
        if value.is_empty() {
            return Err(E::custom("the secret is empty"));
        }
        Ok(Secret(Source::Inline(value.to_owned())))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        use de::Error as _;
        let mut source = None;
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value::<Text>()?.0;
            let kept = match (key.as_str(), value) {
                ("file" | "env", value) if value.is_empty() => {
                    return Err(A::Error::custom(format!("{key} is empty")));
                }
                ("file", value) => Source::File(value.into()),
                ("env", value) => Source::Env(value),
                _ => return Err(A::Error::custom(EXPECTED)),
            };
            if source.replace(kept).is_some() {
                return Err(A::Error::custom("a secret has either `file` or `env`"));
            }
        }
        source.map(Secret).ok_or_else(|| A::Error::custom(EXPECTED))
    }

    // Whoever forgot the quotes still wrote the secret, so none of these may quote it.
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        Err(de::Error::custom(EXPECTED))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
}

/// A text whose absence is told without quoting what was there instead.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self).map_err(|_not_text| de::Error::custom(EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Secret, String> {
        serde_json::from_str(json).map_err(|err| err.to_string())
    }

    /// The file's content is read anew at each reveal, and loses one newline and no more.
    #[test]
    fn file_is_read_each_time() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("key");
        let secret = parse(&serde_json::json!({ "file": path }).to_string()).unwrap();
        let largest = "x".repeat(64 * 1024);
        for (content, value) in [
            ("one", Ok("one")),
            ("two\n", Ok("two")),
            ("three\r\n", Ok("three")),
            ("four\n\n", Ok("four\n")),
            ("five\r", Ok("five\r")),
            ("\n", Err("is empty")),
            (&format!("{largest}\n"), Ok(largest.as_str())),
            (&format!("{largest}y"), Err("has more than 65536 bytes")),
        ] {
            std::fs::write(&path, content).unwrap();
            match (secret.reveal(), value) {
                (Ok(revealed), Ok(value)) => assert_eq!(revealed, value),
                (Err(err), Err(reason)) => {
                    assert_eq!(err.to_string(), format!("secret in file {path:?} {reason}"));
                }
                (revealed, value) => panic!("{revealed:?} instead of {value:?}"),
            }
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert!(matches!(secret.reveal(), Err(SecretError::NotUtf8(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(secret.reveal(), Err(SecretError::File { .. })));
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(secret.reveal(), Err(SecretError::NotAFile(_))));
    }

    /// Environment variables are read by name.
    #[test]
    fn environment() {
        let secret = parse(r#"{ "env": "CARGO_MANIFEST_DIR" }"#).unwrap();
        assert_eq!(secret.reveal().unwrap(), std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let unset = parse(r#"{ "env": "NO_SUCH_VARIABLE" }"#).unwrap();
        let reason = r#"environment variable "NO_SUCH_VARIABLE" of a secret is not set"#;
        assert_eq!(unset.reveal().unwrap_err().to_string(), reason);
    }

    /// No way to print a secret, nor an error about one, shows its value.
    #[test]
    fn never_shown() {
        let secret = parse(r#""hunter2""#).unwrap();
        assert_eq!(format!("{secret}{secret:?}"), "******");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
        for wrong in [
            "4711",
            "-4711",
            "47.11",
            "true",
            "null",
            r#"["4711"]"#,
            r#"{ "file": 4711 }"#,
            r#"{ "value": "4711" }"#,
            r#"{ "file": "a", "env": "4711" }"#,
            "{}",
            r#""""#,
            r#"{ "env": "" }"#,
        ] {
            let err = parse(wrong).unwrap_err();
            assert!(!err.contains("4711") && !err.contains("47.11") && !err.contains("true"), "{err}");
            assert!(err.contains("secret") || err.contains("env is empty"), "{err}");
        }
    }
}
