//! What a server has answered.

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{
    error::{HttpError, Trouble},
    secret::Spoken,
    url::Url,
};

/// Characters of a server's reason that are shown.
const DETAIL_CHARS_MAX: usize = 200;
/// Bytes of it that are looked at: more than a secret may have.
const DETAIL_BYTES_MAX: usize = 128 * 1024;

/// A whole answer with a status of success.
///
/// # Examples
///
/// ```
/// use cluster_sdk::http::Http;
/// # use test_httpserver::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::http(|_| Reply::ok(r#"["a@h", "b@h"]"#).header("x-index", "17"));
/// let answer = Http::default().get(server.url("/")).send().await?;
/// assert_eq!((answer.status().as_u16(), answer.header("X-Index")), (200, Some("17")));
/// assert_eq!(answer.json::<Vec<String>>()?, ["a@h", "b@h"]);
/// // What is not as it was expected says where it came from.
/// let error = answer.unexpected(&"it has no leader");
/// assert!(error.to_string().contains("it has no leader") && error.to_string().contains("127.0.0.1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) method: Method,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) is_unchanged: bool,
}

// === impl Answer ===

impl Answer {
    /// The status, of 200 to 299.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header, the first one of that name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Whether the server said by 304 that it is what it answered before: see
    /// [`Request::revalidated`](super::Request::revalidated).
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.is_unchanged
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`HttpError`] where it is no UTF-8.
    pub fn text(&self) -> Result<&str, HttpError> {
        str::from_utf8(&self.body).map_err(|err| self.unexpected(&err))
    }

    /// The body as JSON. What is nested deeper than 128 levels is refused.
    ///
    /// # Errors
    /// [`HttpError`] where it is no JSON, or not of that type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|err| self.unexpected(&err))
    }

    /// An error about what is in this answer, for who looks into it: says what was asked.
    #[must_use]
    pub fn unexpected(&self, reason: &dyn std::fmt::Display) -> HttpError {
        self.failure(Trouble::Unexpected(reason.to_string()))
    }

    pub(super) fn failure(&self, trouble: Trouble) -> HttpError {
        HttpError::new(&self.method, self.url.to_string(), trouble)
    }

    /// Where it points, if it is a redirect.
    pub(super) fn redirect(&self) -> Option<&str> {
        self.header("location").filter(|_| self.status.is_redirection())
    }

    /// The address of `rel="next"` in the headers `link` (RFC 8288).
    pub(super) fn next_link(&self) -> Option<&str> {
        let links = self.headers.get_all("link").iter().filter_map(|link| link.to_str().ok());
        links.flat_map(|links| links.split('<').skip(1)).find_map(|link| {
            let (target, parameters) = link.split_once('>')?;
            let relations = parameters.split(';').filter_map(|parameter| {
                let (key, value) = parameter.split_once('=')?;
                let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
                key.trim().eq_ignore_ascii_case("rel").then_some(value)
            });
            let is_next =
                relations.flat_map(str::split_whitespace).any(|rel| rel.eq_ignore_ascii_case("next"));
            is_next.then_some(target)
        })
    }
}

/// The beginning of what a server says of an error, in one line and without secrets: some servers answer with what they
/// were sent. Of XML the texts. Pages for people are no help.
pub(super) fn detail(body: &[u8], spoken: &Spoken) -> String {
    let text = String::from_utf8_lossy(body.get(..DETAIL_BYTES_MAX).unwrap_or(body));
    // Hidden before it is cut: half of a secret is not found.
    let text = spoken.hide(&text);
    let is_page = text.to_ascii_lowercase().contains("html");
    let text = match text.trim_start().strip_prefix('<') {
        Some(_) if is_page => return String::new(),
        // What follows a `>` up to the next `<`.
        Some(xml) => {
            xml.split('<').filter_map(|tag| Some(tag.split_once('>')?.1)).collect::<Vec<_>>().join(" ")
        }
        None => text,
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(links: &[&str]) -> Answer {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append("link", link.parse().unwrap());
        }
        Answer {
            method: Method::GET,
            url: "http://api/".parse().unwrap(),
            status: StatusCode::OK,
            headers,
            body: Bytes::from_static(b"{"),
            is_unchanged: false,
        }
    }

    /// The link to the next page among others, in the forms that servers write.
    #[test]
    fn next_links() {
        for (links, next) in [
            (&[r#"</a?page=2>; rel="next", </a?page=9>; rel="last""#][..], Some("/a?page=2")),
            (&[r#"</a?page=1>; rel="prev""#, r#"</a?x=1,2>; title="a"; REL=next"#], Some("/a?x=1,2")),
            (&[r#"</a>; rel="first next""#], Some("/a")),
            (&[r#"</a?rel=next>; rel="last""#], None),
            (&["</a", "next", ""], None),
            (&[], None),
        ] {
            assert_eq!(answer(links).next_link(), next, "{links:?}");
        }
    }

    /// One line, not too long, without secrets, and no pages for people.
    #[test]
    fn details() {
        let detail = |body: &str| detail(body.as_bytes(), &Spoken::of(&["hunter2", "a"]));
        assert_eq!(detail("{\n  \"error\":\t\"no\x1b[2J\"\n}"), "{ \"error\": \"no [2J\" }");
        assert_eq!(detail("  <!doctype html><h1>403"), "");
        assert_eq!(detail("<?xml?>\n<E><Code>Denied</Code>\n<By>hunter2</By></E>"), "Denied ***");
        assert_eq!(detail(&"ü".repeat(900)).chars().count(), 200);
        let cut = format!("{}hunter2", "a ".repeat(98));
        assert!(detail(&cut).ends_with(" a ***"));
        let err = answer(&[]).json::<serde_json::Value>().unwrap_err().to_string();
        assert!(
            err.starts_with("GET http://api/: the answer is not as expected: EOF while parsing"),
            "{err}"
        );
    }
}
