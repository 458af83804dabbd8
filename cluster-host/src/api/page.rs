//! The live page at `/`: three files of this program, which hold no data. What they show they ask of `/v1` as any client
//! does, so whoever may not read there sees an empty page.
//!
//! | path | |
//! |---|---|
//! | `/` | the document |
//! | `/page.css`, `/page.js` | how it looks, what it does |
//!
//! ```text
//!   fetch /v1/events ─► SSE ─► fold ─► members (a Map) ─► what is dirty ─► one frame ─► map, table, events
//!                        ▲                                     ▲
//!          Last-Event-ID └── lost, again                       └── /v1/topologies, when one has changed
//! ```
//!
//! What is drawn is touched only where it has changed, a frame at a time, and what grows has a limit, so the page costs the
//! same with three members and with thousands. It reads the events by `fetch`, since an `EventSource` can send no token.
//!
//! **Invariant:** nothing that comes from a node becomes a part of the document but as text. The policy sent with it has
//! the browser hold to that: no script but this one, no text made into elements, nothing asked of anybody else.

use axum::{
    Router,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest as _, Sha256};

/// What the page may do. Styles are set by the script one property at a time, which needs no permission.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Sent with each of the files. Each visit asks whether the file is still the same, as the program may be another one.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// A file of the page.
#[derive(Debug, Clone, Copy)]
struct File {
    content_type: &'static str,
    content: &'static [u8],
}

const DOCUMENT: File =
    File { content_type: "text/html; charset=utf-8", content: include_bytes!("page/index.html") };
const STYLE: File =
    File { content_type: "text/css; charset=utf-8", content: include_bytes!("page/page.css") };
const SCRIPT: File =
    File { content_type: "text/javascript; charset=utf-8", content: include_bytes!("page/page.js") };

/// The page's own paths. They need no token, since there is nothing in them.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| DOCUMENT.answer(&headers)))
        .route("/page.css", get(async |headers: HeaderMap| STYLE.answer(&headers)))
        .route("/page.js", get(async |headers: HeaderMap| SCRIPT.answer(&headers)))
}

// === impl File ===

impl File {
    fn answer(self, asked: &HeaderMap) -> Response {
        let etag = self.etag();
        let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut known = known.flat_map(|list| list.split(',')).map(str::trim);
        let is_known = known.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
        let tag = HeaderValue::try_from(etag).ok().map(|etag| [(ETAG, etag)]);
        if is_known {
            return (StatusCode::NOT_MODIFIED, tag, HEADERS).into_response();
        }
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        (tag, HEADERS, content_type, self.content).into_response()
    }

    /// Of the content, so that a page that is the same in another version is not sent again. Made for each visit: a
    /// value that is kept would be memory of every host, and pages are seldom opened.
    fn etag(self) -> String {
        let hash = Sha256::digest(self.content);
        let hex: Vec<String> = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{}\"", hex.concat())
    }
}

#[cfg(test)]
mod tests;
