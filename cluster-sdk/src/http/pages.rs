//! Answers that come in pages.

use serde_json::Value;

use super::{
    answer::Answer,
    error::{HttpError, Trouble},
    request::Request,
    url::Url,
};

/// Pages of one list at most: a server whose pages go round ends there.
pub const PAGES_MAX: usize = 1_000;

/// How a page says where the next one is. The last one does not, or says nothing by `null`, `""` or `false`.
///
/// # Examples
///
/// ```
/// use cluster_sdk::http::{Http, Next};
/// # use test_httpserver::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::http(|asked| match asked.line.as_str() {
///     "GET /nodes" => Reply::ok(r#"{ "nodes": ["a@h"], "next": "2" }"#),
///     "GET /nodes?page=2" => Reply::ok(r#"{ "nodes": ["b@h"], "next": null }"#),
///     _ => Reply::new(404, ""),
/// });
/// let next = Next::Token { pointer: "/next".into(), query: "page".into() };
/// let nodes: Vec<String> = Http::default().get(server.url("/nodes")).list("/nodes", next).await?;
/// assert_eq!(nodes, ["a@h", "b@h"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// By a header `link: <…>; rel="next"`, as GitHub and many others do.
    Link,
    /// By its address in the body, at a JSON pointer such as `/links/next`.
    Url(String),
    /// By a token or a number in the body, at a JSON pointer, which goes into the query: `/meta/next_page` and `page`.
    Token {
        /// The JSON pointer.
        pointer: String,
        /// The key of the query.
        query: String,
    },
    /// By a token in a header, which goes into the query: `x-nomad-nexttoken` and `next_token`.
    Header {
        /// The header.
        header: String,
        /// The key of the query.
        query: String,
    },
}

/// The pages of a list, one after the other.
///
/// # Examples
///
/// ```
/// use cluster_sdk::http::{Http, Next};
/// # use test_httpserver::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::http(|asked| match asked.line.as_str() {
///     "GET /nodes" => Reply::ok("1").header("link", r#"</nodes?page=2>; rel="next""#),
///     _ => Reply::ok("2"),
/// });
/// let mut pages = Http::default().get(server.url("/nodes")).pages(Next::Link);
/// let mut read = Vec::new();
/// while let Some(page) = pages.next().await? {
///     read.push(page.json::<u32>()?);
/// }
/// assert_eq!(read, [1, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pages {
    request: Request,
    next: Next,
    read: usize,
    is_done: bool,
}

// === impl Pages ===

impl Pages {
    pub(super) fn new(request: Request, next: Next) -> Self {
        Self { request, next, read: 0, is_done: false }
    }

    /// The next page; nothing after the last one, or after an error.
    ///
    /// What was read before an error is a part of the list: enough for
    /// [`View::partial`](crate::View::partial), never for a complete view.
    ///
    /// # Errors
    /// [`HttpError`], also where the page says that the next one is on another server, or there is no end of pages.
    pub async fn next(&mut self) -> Result<Option<Answer>, HttpError> {
        if self.is_done {
            return Ok(None);
        }
        self.is_done = true;
        let page = self.request.send_ref().await?;
        self.read += 1;
        if let Some(url) = self.next.after(&page)? {
            if self.read >= PAGES_MAX {
                return Err(page.failure(Trouble::Pages(PAGES_MAX)));
            }
            self.request.set_url(url);
            self.is_done = false;
        }
        Ok(Some(page))
    }
}

// === impl Next ===

impl Next {
    /// The address of the page after this one.
    fn after(&self, page: &Answer) -> Result<Option<Url>, HttpError> {
        let url = match self {
            Self::Link => page.next_link().map(|link| page.url.join(link)).transpose(),
            Self::Url(pointer) => match text_at(page, pointer)? {
                Some(url) => page.url.join(&url).map(Some),
                None => Ok(None),
            },
            Self::Token { pointer, query } => {
                Ok(text_at(page, pointer)?.map(|token| page.url.with_only_query(query, &token)))
            }
            Self::Header { header, query } => {
                let token = page.header(header).filter(|token| !token.is_empty());
                Ok(token.map(|token| page.url.with_only_query(query, token)))
            }
        };
        match url.map_err(|err| page.failure(err.into()))? {
            Some(url) if !url.is_same_origin(&page.url) => Err(page.failure(Trouble::ForeignPage(url))),
            Some(url) if url == page.url => Err(page.unexpected(&"the page names itself as the next one")),
            url => Ok(url),
        }
    }
}

fn text_at(page: &Answer, pointer: &str) -> Result<Option<String>, HttpError> {
    let body: Value = page.json()?;
    match body.pointer(pointer) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(page.unexpected(&format!("{pointer} is neither a text nor a number"))),
    }
}
