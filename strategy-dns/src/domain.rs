//! Names to look up, as configs write them.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use cluster_sdk::{
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
    serde::{Deserialize, Deserializer, de},
};
use hickory_resolver::proto::rr::Name;

/// Names that are looked up at most.
pub(crate) const NAMES_MAX: usize = 64;

/// A name to look up. With a full stop at its end it is absolute, else the search list applies.
#[derive(Clone, PartialEq, Eq)]
pub struct Domain(Name);

/// One name, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains(Vec<Domain>);

/// The text is no name. Says what is wrong and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {reason}")]
pub struct DomainError {
    text: String,
    reason: &'static str,
}

// === impl Domain ===

impl Domain {
    pub(crate) fn name(&self) -> &Name {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let wrong = |reason| DomainError { text: text.chars().take(300).collect(), reason };
        if text.trim_end_matches('.').is_empty() {
            return Err(wrong("is no name: write it as app.example.com"));
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(wrong(
                "is an address, and what is looked up are names: write one as app.example.com",
            ));
        }
        if text.contains(['/', ':', '@']) {
            return Err(wrong(
                "is no name: write it alone, without scheme, port or path, as app.example.com",
            ));
        }
        if !text.is_ascii() {
            return Err(wrong("is not ASCII: write it in the form that begins with xn--"));
        }
        let malformed = "is no name: labels of 1 to 63 characters with full stops between, 253 in all";
        let name = Name::from_ascii(text).map_err(|_malformed| wrong(malformed))?;
        if name.is_root() || text.contains("..") || name.len() > 255 {
            return Err(wrong(malformed));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_ascii())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Domain {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Domain".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a DNS name" })
    }
}

// === impl Domains ===

impl Domains {
    /// The names, each once.
    pub(crate) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for domain in &self.0 {
            if !names.contains(&domain.0) {
                names.push(domain.0.clone());
            }
        }
        names
    }

    /// What is wrong with how many there are.
    pub(crate) fn count_error(&self) -> Option<String> {
        match self.0.len() {
            0 => Some("names nothing to look up: write a name, as \"app.example.com\"".to_owned()),
            count if count > NAMES_MAX => Some(format!("{count} names: at most {NAMES_MAX} are possible")),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Domains {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Domains;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a DNS name or a list of them")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Domains, E> {
                text.parse().map(|domain| Domains(vec![domain])).map_err(E::custom)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, sequence: A) -> Result<Domains, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(sequence)).map(Domains)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Domains {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Domains".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = Domain::json_schema(generator);
        json_schema!({
            "description": "a DNS name or a list of them",
            "anyOf": [one.clone(), { "type": "array", "items": one }],
        })
    }
}

#[cfg(test)]
mod tests {
    use cluster_sdk::serde_json::{from_value, json};

    use super::*;

    /// What is a name, and what is said of what is none.
    #[test]
    fn names() {
        for good in ["app", "app.", "app.example.com", "_epmd._tcp.App.example.", "a-b.c_d", "10.0.0"] {
            assert_eq!(good.parse::<Domain>().unwrap().to_string(), good);
        }
        let long = "a.".repeat(128);
        for (bad, reason) in [
            ("", "is no name: write it as"),
            (".", "is no name: write it as"),
            ("10.0.0.5", "is an address"),
            ("::1", "is an address"),
            ("http://app", "write it alone"),
            ("app:53", "write it alone"),
            ("bücher.example", "begins with xn--"),
            ("a..b", "labels of 1 to 63"),
            (".a", "labels of 1 to 63"),
            ("a b", "labels of 1 to 63"),
            (&"a".repeat(64), "labels of 1 to 63"),
            (&long, "labels of 1 to 63"),
        ] {
            let err = bad.parse::<Domain>().unwrap_err().to_string();
            assert!(err.contains(reason), "{err}");
        }
    }

    /// One name is a list of one; of doubles one counts; an empty list is told.
    #[test]
    fn lists() {
        let parse = |value| from_value::<Domains>(value).unwrap();
        assert_eq!(parse(json!("a.example")), parse(json!(["a.example"])));
        assert_eq!(parse(json!(["a.", "b.", "A."])).names().len(), 2);
        assert!(parse(json!([])).count_error().unwrap().contains("nothing to look up"));
        assert!(parse(json!(vec!["a"; NAMES_MAX + 1])).count_error().unwrap().contains("at most 64"));
        assert_eq!(parse(json!("a")).count_error(), None);
        from_value::<Domains>(json!(5)).unwrap_err();
    }
}
