//! Errors of the API as `application/problem+json` (RFC 9457).

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};

use super::json;

/// What the `type` of each problem begins with; behind it comes its [`Kind`].
const TYPE_PREFIX: &str = "urn:problem-type:cluster-host:";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    pub(super) detail: String,
}

macro_rules! kinds {
    ($($kind:ident = $word:literal, $status:ident;)*) => {
        /// What is wrong, in a word that programs rely on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind { $($kind),* }

        impl Kind {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$kind),*];

            /// The word.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),* }
            }

            /// The HTTP status that it always has.
            pub(super) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),* }
            }
        }
    };
}

kinds! {
    BadRequest = "bad-request", BAD_REQUEST;
    Unauthorized = "unauthorized", UNAUTHORIZED;
    Forbidden = "forbidden", FORBIDDEN;
    UnknownPath = "unknown-path", NOT_FOUND;
    UnknownNode = "unknown-node", NOT_FOUND;
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED;
    ReadOnly = "read-only", METHOD_NOT_ALLOWED;
    StillNamed = "still-named", CONFLICT;
    OwnNode = "own-node", CONFLICT;
    NeedsRestart = "needs-restart", CONFLICT;
    NoConfiguration = "no-configuration", CONFLICT;
    ConfigurationRefused = "configuration-refused", UNPROCESSABLE_ENTITY;
    Bug = "bug", INTERNAL_SERVER_ERROR;
    NotReady = "not-ready", SERVICE_UNAVAILABLE;
    Unavailable = "unavailable", SERVICE_UNAVAILABLE;
    Stopping = "stopping", SERVICE_UNAVAILABLE;
    TooManySubscribers = "too-many-subscribers", SERVICE_UNAVAILABLE;
    TooManyConnections = "too-many-connections", SERVICE_UNAVAILABLE;
}

// === impl Problem ===

impl Problem {
    pub(super) fn of(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The answer, with the path that was asked for.
    pub(super) fn answer(&self, instance: Option<&str>) -> Response {
        let status = self.kind.status();
        let body = json::Problem {
            kind: [TYPE_PREFIX, self.kind.as_str()].concat().into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: self.detail.as_str().into(),
            instance: instance.map(Into::into),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(CONTENT_TYPE, content_type)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.answer(None);
        // Whoever knows what was asked for adds it.
        response.extensions_mut().insert(self);
        response
    }
}
