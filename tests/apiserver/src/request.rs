//! The requests that the server saw.

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use crate::kind::{Kind, Verb};
use crate::object::Form;
use crate::query::{Query, Target};

/// A request that the server saw.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// What it asks for; nothing for paths that are not of objects.
    pub verb: Option<Verb>,
    /// Of which kind.
    pub kind: Option<Kind>,
    /// The HTTP status of the answer; nothing as long as there is none.
    pub status: Option<u16>,
    pub(crate) target: Option<Target>,
    pub(crate) query: Query,
    pub(crate) uri: Uri,
    headers: HeaderMap,
}

// === impl SeenRequest ===

impl SeenRequest {
    pub(crate) fn new(parts: &Parts) -> Self {
        let target = Target::parse(parts.uri.path());
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let verb = target.as_ref().and_then(|target| verb(&parts.method, target, &query));
        Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            verb,
            kind: target.as_ref().map(|target| target.kind),
            status: None,
            target,
            query,
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
        }
    }

    /// The pairs of the query, decoded.
    #[must_use]
    pub fn query(&self) -> &[(String, String)] {
        self.query.pairs()
    }

    /// The value of a key of the query; the empty text where there is none.
    #[must_use]
    pub fn query_value(&self, key: &str) -> &str {
        self.query.text(key)
    }

    /// The namespace that the path names; nothing: all.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.target.as_ref()?.namespace.as_deref()
    }

    /// Whether it opens a watch.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.verb == Some(Verb::Watch)
    }

    /// Whether it asks for a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.verb == Some(Verb::List)
    }

    /// Whether it says who asks.
    #[must_use]
    pub fn has_authorization(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    /// Whether it carries this token.
    #[must_use]
    pub fn has_token(&self, token: &str) -> bool {
        self.token() == Some(token)
    }

    /// The header `User-Agent`.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.header(USER_AGENT.as_str())
    }

    /// The header `Accept`.
    #[must_use]
    pub fn accept(&self) -> Option<&str> {
        self.header(ACCEPT.as_str())
    }

    /// Any header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
    }

    pub(crate) fn form(&self) -> Form {
        Form::of(self.accept().unwrap_or_default())
    }
}

fn verb(method: &Method, target: &Target, query: &Query) -> Option<Verb> {
    let verb = match (method.as_str(), &target.name) {
        ("GET", None) if query.is("watch") => Verb::Watch,
        ("GET", None) => Verb::List,
        ("GET", Some(_)) => Verb::Get,
        ("POST", None) => Verb::Create,
        ("PUT", Some(_)) => Verb::Update,
        ("PATCH", Some(_)) => Verb::Patch,
        ("DELETE", Some(_)) => Verb::Delete,
        _ => return None,
    };
    Some(verb)
}
