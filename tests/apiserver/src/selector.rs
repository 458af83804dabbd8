//! Selectors: which objects a list or watch is about.
//!
//! `labelSelector` is read as a real server reads it, to the words of its complaints; of `fieldSelector` the fields
//! are known that are in [`FIELDS`].

mod lexer;

use crate::kind::Kind;
use crate::object::Object;
use crate::selector::lexer::{Context, Lexer, Token};

/// Both selectors and the namespace of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    namespace: Option<String>,
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

/// What a label has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    /// A label that is not there is not in it either.
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    pointer: &'static str,
    value: String,
    is_equal: bool,
}

/// The fields that a selector may name, where they are, and whether only pods have them.
const FIELDS: [(&str, &str, bool); 5] = [
    ("metadata.name", "/metadata/name", false),
    ("metadata.namespace", "/metadata/namespace", false),
    ("status.phase", "/status/phase", true),
    ("spec.nodeName", "/spec/nodeName", true),
    ("status.podIP", "/status/podIP", true),
];
/// What may stand between a key and its values, as complaints list it.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

// === impl Selector ===

impl Selector {
    /// Reads both selectors; the error is what a real server says.
    pub(crate) fn parse(
        kind: Kind,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> Result<Self, String> {
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            labels: LabelParser::new(labels).parse()?,
            fields: parse_fields(kind, fields)?,
        })
    }

    /// Whether it says anything beside the namespace.
    pub(crate) const fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == object.key.namespace)
            && self.labels.iter().all(|requirement| requirement.is_met(object))
            && self.fields.iter().all(|requirement| requirement.is_met(object))
    }
}

// === impl Requirement ===

impl Requirement {
    fn is_met(&self, object: &Object) -> bool {
        let is_in = |key: &str, values: &[String]| {
            object.label(key).is_some_and(|label| values.iter().any(|value| value == label))
        };
        match self {
            Self::In(key, values) => is_in(key, values),
            Self::NotIn(key, values) => !is_in(key, values),
            Self::Exists(key) => object.label(key).is_some(),
            Self::Absent(key) => object.label(key).is_none(),
        }
    }
}

// === impl FieldRequirement ===

impl FieldRequirement {
    fn is_met(&self, object: &Object) -> bool {
        (object.text(self.pointer).unwrap_or_default() == self.value) == self.is_equal
    }
}

fn parse_fields(kind: Kind, text: &str) -> Result<Vec<FieldRequirement>, String> {
    let terms = text.split(',').filter(|term| !term.is_empty());
    terms.map(|term| parse_field(kind, text, term)).collect()
}

fn parse_field(kind: Kind, text: &str, term: &str) -> Result<FieldRequirement, String> {
    let (name, value, is_equal) = if let Some((name, value)) = term.split_once("!=") {
        (name, value, false)
    } else if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (name, value, true)
    } else {
        return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
    };
    FIELDS
        .into_iter()
        .find(|(known, _, is_of_pod)| *known == name && (!is_of_pod || kind == Kind::Pod))
        .map(|(_, pointer, _)| FieldRequirement { pointer, value: value.to_owned(), is_equal })
        .ok_or_else(|| match kind {
            Kind::Pod => format!("field label not supported: {name}"),
            Kind::EndpointSlice | Kind::Endpoints => format!(
                r#""{name}" is not a known field selector: only "metadata.name", "metadata.namespace""#
            ),
        })
}

/// The grammar of label selectors, and what a real server says of what is not in it.
#[derive(Debug)]
struct LabelParser<'a> {
    lexer: Lexer<'a>,
}

// === impl LabelParser ===

impl<'a> LabelParser<'a> {
    const fn new(text: &'a str) -> Self {
        Self { lexer: Lexer::new(text) }
    }

    fn parse(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.lexer.peek(Context::Values) {
                (Token::Identifier | Token::Not, _) => {
                    let requirement = self
                        .requirement()
                        .map_err(|problem| format!("unable to parse requirement: {problem}"))?;
                    requirements.push(requirement);
                }
                (Token::End, _) => return Ok(requirements),
                (_, found) => {
                    return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
                }
            }
            match self.lexer.next(Context::Values) {
                (Token::End, _) => return Ok(requirements),
                (Token::Comma, _) => match self.lexer.peek(Context::Values) {
                    (Token::Identifier | Token::Not, _) => {}
                    (_, found) => return Err(format!("found '{found}', expected: identifier after ','")),
                },
                (_, found) => return Err(format!("found '{found}', expected: ',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut next = self.lexer.next(Context::Values);
        let is_negated = next.0 == Token::Not;
        if is_negated {
            next = self.lexer.next(Context::Values);
        }
        let (Token::Identifier, key) = next else {
            return Err(format!("found '{}', expected: identifier", next.1));
        };
        let key = key.to_owned();
        if is_negated {
            return Ok(Requirement::Absent(key));
        }
        if matches!(self.lexer.peek(Context::Values).0, Token::End | Token::Comma) {
            return Ok(Requirement::Exists(key));
        }
        match self.lexer.next(Context::KeyAndOperator) {
            (Token::In, _) => Ok(Requirement::In(key, self.values()?)),
            (Token::NotIn, _) => Ok(Requirement::NotIn(key, self.values()?)),
            (Token::Equals, _) => Ok(Requirement::In(key, vec![self.value()?])),
            (Token::NotEquals, _) => Ok(Requirement::NotIn(key, vec![self.value()?])),
            (_, found) => Err(format!("found '{found}', expected: {OPERATORS}")),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        if matches!(self.lexer.peek(Context::Values).0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.lexer.next(Context::Values) {
            (Token::Identifier, value) => Ok(value.to_owned()),
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.lexer.next(Context::Values) {
            (Token::Open, _) => {}
            (_, found) => return Err(format!("found '{found}' expected: '('")),
        }
        if self.lexer.peek(Context::Values).0 == Token::Close {
            return Err(
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".into()
            );
        }
        let mut values = Vec::new();
        loop {
            match self.lexer.peek(Context::Values) {
                (Token::Identifier, value) => {
                    values.push(value.to_owned());
                    self.lexer.next(Context::Values);
                }
                // Two commas have an empty value between them.
                (Token::Comma | Token::Close, _) => values.push(String::new()),
                (_, found) => return Err(format!("found '{found}', expected: ',', ')' or identifier")),
            }
            match self.lexer.next(Context::Values) {
                (Token::Comma, _) => {}
                (Token::Close, _) => return Ok(values),
                (_, found) => return Err(format!("found '{found}', expected: ',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
