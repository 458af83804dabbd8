//! What a request asks for: its path and its query, taken apart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::status::Status;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Nothing: all of them.
    pub(crate) namespace: Option<String>,
    /// Nothing: all of them.
    pub(crate) name: Option<String>,
}

/// The pairs of a query, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// Where the rest of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Continue {
    /// The version of the list; nothing: whatever is there now.
    pub(crate) version: Option<u64>,
    /// The last object that was told.
    pub(crate) after: String,
}

// === impl Target ===

impl Target {
    /// What `path` names; nothing if it names nothing that the server has.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        Kind::ALL.into_iter().find_map(|kind| {
            let segments: Vec<&str> = path.strip_prefix(kind.root())?.split('/').collect();
            let (namespace, rest) = match segments.as_slice() {
                ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
                rest => (None, rest),
            };
            let name = match rest {
                [resource] if *resource == kind.resource() => None,
                [resource, name] | [resource, name, "status"] if *resource == kind.resource() => {
                    Some((*name).to_owned())
                }
                _ => return None,
            };
            // One object is always of a namespace.
            (name.is_none() || namespace.is_some()).then_some(Self { kind, namespace, name })
        })
    }
}

// === impl Query ===

impl Query {
    /// Takes a query apart.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self { pairs: pairs.collect() }
    }

    /// The value of a key; the empty text where there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
    }

    /// Whether a key is said to be true.
    pub(crate) fn is(&self, key: &str) -> bool {
        matches!(self.text(key), "true" | "1")
    }

    /// A number; nothing where there is none, or it is 0.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.text(key).parse().ok().filter(|number| *number > 0)
    }

    /// The resource version; 0 stands for whatever there is, as nothing does.
    pub(crate) fn version(&self) -> Result<u64, Status> {
        match self.text("resourceVersion") {
            "" => Ok(0),
            text => text.parse().map_err(|_problem| Status::bad_version(text)),
        }
    }

    /// The pairs.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

// === impl Continue ===

impl Continue {
    /// Reads a token.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        let text = BASE64.decode(token.trim_end_matches('=')).ok()?;
        let value: Value = serde_json::from_slice(&text).ok()?;
        let start = value["start"].as_str()?;
        let after = start.trim_start_matches('/').strip_suffix('\0')?.to_owned();
        Some(Self { version: u64::try_from(value["rv"].as_i64()?).ok(), after })
    }

    /// Writes a token, in the form that a real server gives it.
    pub(crate) fn token(&self) -> String {
        // The real server leaves out the slash where it has no version.
        let (version, slash) = match self.version {
            Some(version) => (version.to_string(), "/"),
            None => ("-1".to_owned(), ""),
        };
        let start = json!(format!("{slash}{}\0", self.after));
        BASE64.encode(format!(r#"{{"v":"meta.k8s.io/v1","rv":{version},"start":{start}}}"#))
    }
}

/// Undoes the escapes of a query. What is no escape stays as it is.
fn decode(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let [first, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = behind;
                digit(*high) << 4 | digit(*low)
            }
            (byte, _) => *byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The value of a hexadecimal digit.
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths name a kind and, as far as they say, a namespace and an object.
    #[test]
    fn paths_are_read() {
        let target = |kind, namespace: Option<&str>, name: Option<&str>| {
            Some(Target { kind, namespace: namespace.map(Into::into), name: name.map(Into::into) })
        };
        for (path, expected) in [
            ("/api/v1/pods", target(Kind::Pod, None, None)),
            ("/api/v1/namespaces/demo/endpoints", target(Kind::Endpoints, Some("demo"), None)),
            ("/api/v1/namespaces/demo/pods/a", target(Kind::Pod, Some("demo"), Some("a"))),
            ("/api/v1/namespaces/demo/pods/a/status", target(Kind::Pod, Some("demo"), Some("a"))),
            (
                "/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices",
                target(Kind::EndpointSlice, Some("demo"), None),
            ),
            ("/apis/discovery.k8s.io/v1beta1/namespaces/demo/endpointslices", None),
            ("/api/v1/namespaces/demo/services", None),
            ("/api/v1/namespaces/demo/endpointslices", None),
            ("/api/v1/namespaces", None),
            ("/nothing", None),
        ] {
            assert_eq!(Target::parse(path), expected, "{path}");
        }
    }

    /// Escapes of a query are undone, and what only looks like one is kept.
    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=app%3Dmy+app&watch=true&limit=4&x=%zz%4&limit=5&&y");
        assert_eq!(query.text("labelSelector"), "app=my app");
        assert!(query.is("watch") && !query.is("none"));
        assert_eq!(query.number("limit"), Some(4));
        assert_eq!(query.text("x"), "%zz%4");
        assert_eq!(query.pairs().len(), 6);
    }

    /// Tokens have the form of a real server's, with and without a version.
    #[test]
    fn tokens_are_those_of_a_real_server() {
        for (token, version) in [
            ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTI2MzYsInN0YXJ0IjoiL215YXBwLTNcdTAwMDAifQ", Some(12_636)),
            ("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoibXlhcHAtM1x1MDAwMCJ9", None),
        ] {
            let read = Continue::parse(token).unwrap();
            assert_eq!(read, Continue { version, after: "myapp-3".to_owned() });
            assert_eq!(read.token(), token);
        }
        assert_eq!(Continue::parse("nonsense"), None);
    }
}
