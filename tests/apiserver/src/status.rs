//! What the server says when it does not do what it was asked: `Status` objects, in the words of a real one.

use std::fmt::Write as _;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response};
use serde_json::Value;

use crate::body::{Body, json};
use crate::kind::{Kind, Verb};

/// Seconds after which the server wants to be asked again when it does not know a version yet.
const FUTURE_RETRY_SECONDS: u32 = 1;

/// A refusal: a `Status` and how it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The object, without an end of line.
    pub(crate) body: String,
    /// Seconds after which to ask again.
    pub(crate) retry_after: Option<u32>,
}

// === impl Status ===

impl Status {
    /// The token is not one of those that are accepted.
    pub(crate) fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized", None)
    }

    /// `user` may not do this.
    pub(crate) fn forbidden(user: &str, verb: Verb, kind: Kind, (namespace, name): Place<'_>) -> Self {
        let subject = match name {
            Some(name) => format!("{} \"{name}\"", kind.qualified()),
            None => kind.qualified(),
        };
        let place = match namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let (resource, group) = (kind.resource(), kind.group());
        let message = format!(
            "{subject} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \
             \"{group}\" {place}"
        );
        Self::failure(403, "Forbidden", &message, Some(&details(kind, name)))
    }

    /// `user` may not ask for this path.
    pub(crate) fn forbidden_path(user: &str, path: &str) -> Self {
        Self::failure(
            403,
            "Forbidden",
            &format!("forbidden: User \"{user}\" cannot use path \"{path}\""),
            Some("{}"),
        )
    }

    /// There is such an object already, of a kind that is not served otherwise.
    pub(crate) fn path_exists(name: &str) -> Self {
        let message = format!("\"{name}\" already exists");
        Self::failure(409, "AlreadyExists", &message, Some("{}"))
    }

    /// There is nothing at this path.
    pub(crate) fn unknown_path() -> Self {
        Self::failure(404, "NotFound", "the server could not find the requested resource", Some("{}"))
    }

    /// There is no such object.
    pub(crate) fn no_object(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::failure(404, "NotFound", &message, Some(&details(kind, Some(name))))
    }

    /// There is such an object already.
    pub(crate) fn exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::failure(409, "AlreadyExists", &message, Some(&details(kind, Some(name))))
    }

    /// The object is not the one that was to be changed.
    pub(crate) fn conflict(kind: Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your \
             changes to the latest version and try again",
            kind.qualified()
        );
        Self::failure(409, "Conflict", &message, Some(&details(kind, Some(name))))
    }

    /// What was asked cannot be understood.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::failure(400, "BadRequest", message, None)
    }

    /// The path is known, what is asked of it is not.
    pub(crate) fn bad_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::failure(405, "MethodNotAllowed", message, Some("{}"))
    }

    /// A version that is no number. A real server answers 500, and without a reason.
    pub(crate) fn bad_version(text: &str) -> Self {
        let message = format!(
            "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
        );
        Self::failure(500, "", &message, None)
    }

    /// A version that is not there yet.
    pub(crate) fn future_version(asked: u64, current: u64) -> Self {
        let details = format!(
            r#"{{"causes":[{{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}}],"retryAfterSeconds":{FUTURE_RETRY_SECONDS}}}"#
        );
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let status = Self::failure(504, "Timeout", &message, Some(&details));
        Self { retry_after: Some(FUTURE_RETRY_SECONDS), ..status }
    }

    /// A watch from before what the server still knows.
    pub(crate) fn watch_expired(asked: u64, oldest: u64) -> Self {
        Self::expired("{}", &format!("too old resource version: {asked} ({oldest})"))
    }

    /// A list of a version from before what the server still knows.
    pub(crate) fn list_expired() -> Self {
        Self::expired("{}", "The resourceVersion for the provided list is too old.")
    }

    /// The same for the rest of a list, which can be had by `token`, but of another version.
    pub(crate) fn continue_expired(token: &str) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can \
                       start a new list without the continue parameter, or use the continue token in this \
                       response to retrieve the remainder of the results. Continuing with the provided token \
                       results in an inconsistent list - objects that were created, modified, or deleted \
                       between the time the first chunk was returned and now may show up in the list.";
        Self::expired(&format!(r#"{{"continue":"{token}"}}"#), message)
    }

    /// What a server in trouble says with this code. `retry_after` is in seconds.
    pub(crate) fn trouble(code: u16, retry_after: Option<u32>) -> Self {
        let (reason, message) = match code {
            429 => ("TooManyRequests", "Too many requests, please try again later."),
            500 => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
            _ => ("", "the server has failed"),
        };
        Self { retry_after, ..Self::failure(code, reason, message, None) }
    }

    /// The answer to the request.
    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = json(self.code, Body::whole(format!("{}\n", self.body)));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn expired(metadata: &str, message: &str) -> Self {
        let body = format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{metadata},"status":"Failure","message":{},"reason":"Expired","code":410}}"#,
            quoted(message)
        );
        Self { code: 410, body, retry_after: None }
    }

    fn failure(code: u16, reason: &str, message: &str, details: Option<&str>) -> Self {
        let mut body = format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":{}"#,
            quoted(message)
        );
        if !reason.is_empty() {
            _ = write!(body, r#","reason":"{reason}""#);
        }
        if let Some(details) = details {
            _ = write!(body, r#","details":{details}"#);
        }
        _ = write!(body, r#","code":{code}}}"#);
        Self { code, body, retry_after: None }
    }
}

/// Namespace and name, as far as a request says them.
pub(crate) type Place<'a> = (Option<&'a str>, Option<&'a str>);

fn details(kind: Kind, name: Option<&str>) -> String {
    let mut fields = Vec::new();
    if let Some(name) = name {
        fields.push(format!(r#""name":{}"#, quoted(name)));
    }
    if !kind.group().is_empty() {
        fields.push(format!(r#""group":"{}""#, kind.group()));
    }
    fields.push(format!(r#""kind":"{}""#, kind.resource()));
    format!("{{{}}}", fields.join(","))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
