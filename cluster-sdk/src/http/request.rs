//! What is asked, put together step by step.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method,
    header::{self, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Http,
    answer::Answer,
    error::{HttpError, Trouble},
    pages::{Next, Pages},
    secret::{Spoken, header_value},
    url::Url,
};
use crate::Secret;

/// A request of an [`Http`]. What is wrong with it is told by [`Request::send`] and the like.
///
/// # Examples
///
/// ```
/// use cluster_sdk::{Secret, http::{Http, Method}};
/// # use test_httpserver::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::http(|_| Reply::ok("17").header("etag", r#""a""#));
/// let http = Http::default();
/// let request = http.request(Method::PUT, server.url("/v1/nodes")).bearer(&Secret::inline("hunter2"));
/// assert!(!format!("{request:?}").contains("hunter2"));
/// let count: u32 = request.header("accept", "application/json").body("text/plain", "a@h").json().await?;
/// assert_eq!(count, 17);
/// let asked = &server.asked()[0];
/// assert_eq!((asked.headers["authorization"].as_str(), asked.body.as_str()), ("Bearer hunter2", "a@h"));
///
/// // What is wrong with a request is told when it is sent.
/// assert!(http.get("not an address").send().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is not asked before it is sent"]
pub struct Request {
    http: Http,
    pub(super) method: Method,
    url: Result<Url, String>,
    headers: Vec<(String, Secret)>,
    body: Result<(Option<&'static str>, Bytes), String>,
    pub(super) is_repeatable: bool,
    pub(super) is_revalidated: bool,
}

// === impl Request ===

impl Request {
    pub(super) fn new(http: &Http, method: Method, url: Result<Url, String>) -> Self {
        Self {
            http: http.clone(),
            is_repeatable: method.is_idempotent(),
            method,
            url,
            headers: Vec::new(),
            body: Ok((None, Bytes::new())),
            is_revalidated: false,
        }
    }

    /// Adds to the query. The values of a query show up in no error.
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.url = self.url.map(|url| url.with_query(key, value));
        self
    }

    /// Sets a header, in place of that of the client's options.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.secret(name, &Secret::inline(value))
    }

    /// Sets headers, as those that sign a request.
    pub fn headers<'a>(self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        headers.into_iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Sets a header to a secret, which is read when the request is sent.
    pub fn secret(mut self, name: &str, value: &Secret) -> Self {
        self.headers.push((name.to_owned(), value.clone()));
        self
    }

    /// Sends `authorization: Bearer TOKEN`; the token is read when the request is sent.
    pub fn bearer(self, token: &Secret) -> Self {
        self.secret(BEARER, token)
    }

    /// Sends a body as JSON.
    pub fn body_json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body)
            .map(|body| (Some("application/json"), body.into()))
            .map_err(|err| err.to_string());
        self
    }

    /// Sends a body of another kind.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Ok((Some(content_type), body.into()));
        self
    }

    /// It does no harm to send it twice, though it is a POST: it may be tried again.
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Keeps the answer where it has an `etag`, and asks the next time for one only if it has changed. Where it has not
    /// (304) the kept one is given, with [`Answer::is_unchanged`]. The client keeps as many bytes as one answer may have.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_sdk::http::Http;
    /// # use test_httpserver::{Reply, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::http(|asked| match asked.headers.get("if-none-match") {
    ///     None => Reply::ok("a@h").header("etag", r#""17""#),
    ///     Some(_) => Reply::new(304, ""),
    /// });
    /// let http = Http::default();
    /// let first = http.get(server.url("/nodes")).revalidated().send().await?;
    /// let second = http.get(server.url("/nodes")).revalidated().send().await?;
    /// assert!(!first.is_unchanged() && second.is_unchanged());
    /// assert_eq!(second.text()?, "a@h");
    /// # Ok(())
    /// # }
    /// ```
    pub fn revalidated(mut self) -> Self {
        self.is_revalidated = true;
        self
    }

    /// Asks, and again where that may help, and gives an answer of success.
    ///
    /// # Errors
    /// [`HttpError`], also for a status other than 200 to 299.
    pub async fn send(self) -> Result<Answer, HttpError> {
        self.send_ref().await
    }

    /// Asks, and reads the answer as JSON.
    ///
    /// # Errors
    /// [`HttpError`], also where it is no JSON, or not of that type.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        self.send_ref().await?.json()
    }

    /// Asks for one page after the other.
    #[must_use]
    pub fn pages(self, next: Next) -> Pages {
        Pages::new(self, next)
    }

    /// Asks for all pages, and gives what is in their lists, at a JSON pointer such as `/servers`; `""` where a page is
    /// the list.
    ///
    /// # Errors
    /// [`HttpError`] where any page fails: what is given is whole.
    pub async fn list<T: DeserializeOwned>(self, pointer: &str, next: Next) -> Result<Vec<T>, HttpError> {
        let mut pages = self.pages(next);
        let mut all = Vec::new();
        while let Some(page) = pages.next().await? {
            let mut body: Value = page.json()?;
            let list = body.pointer_mut(pointer).map(Value::take);
            let list = list.ok_or_else(|| page.unexpected(&format!("it has nothing at {pointer:?}")))?;
            all.extend(serde_json::from_value::<Vec<T>>(list).map_err(|err| page.unexpected(&err))?);
        }
        Ok(all)
    }

    pub(super) async fn send_ref(&self) -> Result<Answer, HttpError> {
        match &self.url {
            Ok(url) => self.http.send(self, url).await,
            Err(reason) => Err(HttpError::new(&self.method, String::new(), Trouble::Address(reason.clone()))),
        }
    }

    pub(super) fn set_url(&mut self, url: Url) {
        self.url = Ok(url);
    }

    /// The message, with secrets as they are now.
    pub(super) fn message(
        &self,
        url: &Url,
        spoken: &mut Spoken,
    ) -> Result<hyper::Request<Full<Bytes>>, Trouble> {
        let (content_type, body) = self.body.as_ref().map_err(|err| Trouble::Unsendable(err.clone()))?;
        let mut message = hyper::Request::new(Full::new(body.clone()));
        *message.method_mut() = self.method.clone();
        *message.uri_mut() = url.target();
        let headers = message.headers_mut();
        *headers = self.http.options().read_headers(spoken)?;
        let host = HeaderValue::from_str(url.authority());
        headers.insert(header::HOST, host.map_err(|_checked| Trouble::Header("host".to_owned()))?);
        default(headers, header::ACCEPT, "application/json, */*;q=0.5");
        default(headers, header::USER_AGENT, concat!("cluster-sdk/", env!("CARGO_PKG_VERSION")));
        if let Some(content_type) = content_type {
            default(headers, header::CONTENT_TYPE, content_type);
        }
        for (name, secret) in &self.headers {
            let (name, before) =
                if name == BEARER { ("authorization", "Bearer ") } else { (name.as_str(), "") };
            let value = header_value(name, before, secret, spoken)?;
            let name = HeaderName::from_bytes(name.as_bytes());
            headers.insert(name.map_err(|_no_name| Trouble::Header("names".to_owned()))?, value);
        }
        Ok(message)
    }
}

/// Stands for the header authorization whose value begins with this word: no header can have this name.
const BEARER: &str = "Bearer ";

fn default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
