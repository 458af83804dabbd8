//! Asking servers over HTTP, for strategies and connectors: feature `http`.
//!
//! A client for JSON APIs with what each of them needs anew: a timeout for each try, tries again with growing waits and
//! `retry-after`, pages, limits, `etag`, secrets as headers that are read when used and never shown, client
//! certificates, and errors that say what was asked, what went wrong and what to do.
//!
//! ```standalone_crate
//! use cluster_sdk::{Context, Discover, Node, Result, Secret, View, schemars, serde};
//! use cluster_sdk::http::{Http, Next};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(crate = "cluster_sdk::serde", deny_unknown_fields)]
//! #[schemars(crate = "cluster_sdk::schemars")]
//! struct Config {
//!     /// Token of the cloud's API
//!     token: Secret,
//!     /// How the API is asked
//!     #[serde(default)]
//!     http: Http,
//! #   /// for the test
//! #   api: String,
//! }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(crate = "cluster_sdk::serde")]
//! struct Server {
//!     private_ip: String,
//! }
//!
//! struct Cloud;
//!
//! impl Discover for Cloud {
//!     const NAME: &'static str = "cloud";
//!     type Config = Config;
//!
//!     async fn discover(config: &Config, _ctx: &Context) -> Result<View> {
//! #       let api = config.api.as_str();
//!         let next = Next::Token { pointer: "/meta/next_page".into(), query: "page".into() };
//!         let request = config.http.get(api).query("status", "running").bearer(&config.token);
//!         let servers: Vec<Server> = request.list("/servers", next).await?;    // all pages, or an error
//!         let nodes = servers.iter().map(|server| Node::try_new(&format!("app@{}", server.private_ip)));
//!         Ok(View::complete(nodes.collect::<Result<Vec<_>, _>>()?))
//!     }
//! }
//! cluster_sdk::export_plugin!(discover: [Cloud]);
//!
//! # fn main() -> Result<()> {
//! // A test needs no cloud: any server on loopback will do.
//! # use std::io::{Read, Write};
//! let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let api = format!("http://{}/v1/servers", server.local_addr()?);
//! std::thread::spawn(move || {
//!     let (mut stream, _) = server.accept()?;
//!     let mut request = [0; 4096];
//!     assert!(stream.read(&mut request)? > 0);
//!     let body = r#"{ "servers": [{ "private_ip": "10.0.0.7" }], "meta": { "next_page": null } }"#;
//!     write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
//! });
//! let config = cluster_sdk::serde_json::json!({ "token": "hunter2", "http": { "timeout": "5s" }, "api": api });
//! let host = cluster_sdk::testing::TestHost::discover::<Cloud>(config)?;
//! let cluster_sdk::Report::Reset(view) = host.next_report()? else { panic!("a list") };
//! assert_eq!(view.nodes.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! - A client is cheap to clone. It keeps one connection open, and can be a field of a config: then it lives as long as
//!   the topology.
//! - Redirects are followed on the same server alone, five at most, for GET and HEAD: headers may be secret. So it is
//!   with the addresses of next pages.
//! - HTTP/1.1; TLS 1.2 and 1.3 by rustls and ring. No proxy, no compression, no cookies.
//! - With the feature `fake-clock` a paused clock stands while a request is under way, as the server knows nothing of it:
//!   waits between tries take no time in a test, and a server that is silent needs the real clock.

mod answer;
mod cache;
mod connection;
mod error;
mod options;
mod pages;
mod request;
mod retry;
mod secret;
#[cfg(feature = "fake-clock")]
mod still;
mod tls;
mod url;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{HeaderMap, header, http::response::Parts};
pub use hyper::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use tokio::time::{Instant, sleep, timeout};

pub use self::{
    answer::Answer,
    error::{HttpError, Trouble},
    options::HttpOptions,
    pages::{Next, PAGES_MAX, Pages},
    request::Request,
    url::{Url, UrlError},
};
use self::{cache::Cache, connection::Connection, secret::Spoken};

/// Redirects that are followed in a row.
const REDIRECTS_MAX: usize = 5;
/// Servers that are remembered as wanting to be left alone.
const QUIET_SERVERS_MAX: usize = 64;

/// A client: asks by its [`HttpOptions`]. See the [module](self).
///
/// # Examples
///
/// ```
/// use cluster_sdk::http::{Http, HttpOptions};
/// # use test_httpserver::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // A server on loopback that says what it was asked.
/// let server = Server::http(|asked| Reply::ok(asked.line.clone()));
/// let mut options = HttpOptions::default();
/// options.retries = 0;
/// let http = Http::new(options);
/// let answer = http.get(server.url("/v1/nodes")).query("zone", "eu 1").send().await?;
/// assert_eq!(answer.text()?, "GET /v1/nodes?zone=eu%201");
/// let answer = http.post(server.url("/v1/nodes")).body_json(&["a@h"]).send().await?;
/// assert_eq!(answer.text()?, "POST /v1/nodes");
/// assert_eq!(server.asked()[1].body, r#"["a@h"]"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Http(Arc<Client>);

struct Client {
    options: HttpOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the last request has left open.
    idle: Option<Connection>,
    cache: Cache,
    /// Servers that want to be left alone until then.
    quiet: Vec<(Url, Instant)>,
}

/// What one try has found out.
struct Outcome {
    answer: Result<Answer, Trouble>,
    retry_after: Option<Duration>,
}

// === impl Http ===

impl Http {
    /// A client that asks in this way. What is wrong with the options, [`HttpOptions::errors`] has told.
    #[must_use]
    pub fn new(options: HttpOptions) -> Self {
        Self(Arc::new(Client { options, state: Mutex::default() }))
    }

    /// Asks for what is at an address: a text, or a [`Url`].
    pub fn get(&self, url: impl TryInto<Url, Error: fmt::Display>) -> Request {
        self.request(Method::GET, url)
    }

    /// Sends something to an address. A POST is not tried again, unless it is [`Request::repeatable`].
    pub fn post(&self, url: impl TryInto<Url, Error: fmt::Display>) -> Request {
        self.request(Method::POST, url)
    }

    /// Asks by another method.
    pub fn request(&self, method: Method, url: impl TryInto<Url, Error: fmt::Display>) -> Request {
        Request::new(self, method, url.try_into().map_err(|err| err.to_string()))
    }

    /// How it asks.
    #[must_use]
    pub fn options(&self) -> &HttpOptions {
        &self.0.options
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows redirects to the end.
    async fn send(&self, request: &Request, url: &Url) -> Result<Answer, HttpError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.tried(request, &url).await?;
            let failed = |trouble| HttpError::new(&request.method, url.to_string(), trouble);
            let Some(target) = answer.redirect().filter(|_| request.method.is_safe()) else {
                return Ok(answer);
            };
            let target = url.join(target).map_err(|err| failed(err.into()))?;
            if !target.is_same_origin(&url) {
                return Err(failed(Trouble::Redirect(answer.status, target)));
            }
            url = target;
        }
        Err(HttpError::new(&request.method, url.to_string(), Trouble::Redirects(REDIRECTS_MAX)))
    }

    /// Tries until there is an answer, or no hope.
    async fn tried(&self, request: &Request, url: &Url) -> Result<Answer, HttpError> {
        let mut tries = 0;
        loop {
            let quiet = self.state().quiet_for(url);
            if let Some(left) = quiet {
                let err = HttpError::new(&request.method, url.to_string(), Trouble::Quiet(left));
                return Err(err.after(tries, Some(left)));
            }
            tries += 1;
            let Outcome { answer, retry_after } = self.once(request, url).await;
            let trouble = match answer {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let may_help = trouble.is_temporary() && request.is_repeatable;
            let wait = retry::wait(tries, self.0.options.retries, retry_after, fastrand::f64());
            if let Some(wait) = wait.filter(|_| may_help) {
                sleep(wait).await;
                continue;
            }
            if let Some(after) = retry_after {
                self.state().be_quiet(url, after);
            }
            return Err(HttpError::new(&request.method, url.to_string(), trouble).after(tries, retry_after));
        }
    }

    /// Tries once.
    async fn once(&self, request: &Request, url: &Url) -> Outcome {
        #[cfg(feature = "fake-clock")]
        let _until_answered = still::Still::hold();
        let within = self.0.options.timeout.get();
        let mut spoken = Spoken::default();
        let exchange = timeout(within, self.exchange(request, url, &mut spoken)).await;
        match exchange.unwrap_or(Err(Trouble::Timeout(within))) {
            Ok((parts, body)) => self.judge(request, url, (parts, body), &spoken),
            Err(trouble) => Outcome { answer: Err(trouble), retry_after: None },
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        url: &Url,
        spoken: &mut Spoken,
    ) -> Result<(Parts, Bytes), Trouble> {
        let options = &self.0.options;
        let mut message = request.message(url, spoken)?;
        if request.is_revalidated
            && let Some(etag) = self.state().cache.etag(&url.whole())
        {
            message.headers_mut().insert(header::IF_NONE_MATCH, etag);
        }
        // The server may close it just now. That is no failure of the server, but a request that must not be repeated
        // would be lost.
        let idle = self.state().idle.take().filter(|idle| request.is_repeatable && idle.is_for(url));
        if let Some(mut connection) = idle {
            match connection.exchange(message.clone(), options.body_bytes_max).await {
                Err(Trouble::Broken(_)) => {}
                answer => {
                    self.state().idle = answer.is_ok().then_some(connection);
                    return answer;
                }
            }
        }
        let mut connection = Connection::open(url, options).await?;
        let answer = connection.exchange(message, options.body_bytes_max).await?;
        self.state().idle = Some(connection);
        Ok(answer)
    }

    /// What an answer means.
    fn judge(&self, request: &Request, url: &Url, answer: (Parts, Bytes), spoken: &Spoken) -> Outcome {
        let (parts, body) = answer;
        let whole = |status, headers: HeaderMap, body, is_unchanged| Answer {
            method: request.method.clone(),
            url: url.clone(),
            status,
            headers,
            body,
            is_unchanged,
        };
        let found = |answer| Outcome { answer: Ok(answer), retry_after: None };
        if parts.status == StatusCode::NOT_MODIFIED
            && request.is_revalidated
            && let Some((headers, body)) = self.state().cache.reuse(&url.whole())
        {
            return found(whole(StatusCode::OK, headers, body, true));
        }
        let is_redirect = parts.status.is_redirection() && parts.headers.contains_key(header::LOCATION);
        if parts.status.is_success() || (is_redirect && request.method.is_safe()) {
            if request.is_revalidated && parts.status == StatusCode::OK {
                let bytes_max = self.0.options.body_bytes_max;
                self.state().cache.keep(url.whole(), &parts.headers, &body, bytes_max);
            }
            return found(whole(parts.status, parts.headers, body, false));
        }
        let detail = answer::detail(&body, spoken);
        let retry_after = retry::retry_after(&parts.headers);
        Outcome { answer: Err(Trouble::Status { status: parts.status, detail }), retry_after }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new(HttpOptions::default())
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Http {
    /// From [`HttpOptions`]; what makes no sense in them is an error too.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let options = HttpOptions::deserialize(deserializer)?;
        let errors: Vec<_> = options.errors().iter().map(ToString::to_string).collect();
        if errors.is_empty() { Ok(Self::new(options)) } else { Err(de::Error::custom(errors.join("; "))) }
    }
}

impl JsonSchema for Http {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        HttpOptions::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        HttpOptions::json_schema(generator)
    }
}

// === impl State ===

impl State {
    /// How long the server of an address still wants to be left alone.
    fn quiet_for(&mut self, url: &Url) -> Option<Duration> {
        let now = Instant::now();
        self.quiet.retain(|(_, until)| *until > now);
        let (_, until) = self.quiet.iter().find(|(quiet, _)| quiet.is_same_origin(url))?;
        Some(until.saturating_duration_since(now))
    }

    fn be_quiet(&mut self, url: &Url, after: Duration) {
        self.quiet.retain(|(quiet, _)| !quiet.is_same_origin(url));
        if self.quiet.len() < QUIET_SERVERS_MAX {
            self.quiet.push((url.clone(), Instant::now() + after.min(retry::QUIET_MAX)));
        }
    }
}

// === impl Url ===

impl TryFrom<&str> for Url {
    type Error = UrlError;
    fn try_from(text: &str) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<&String> for Url {
    type Error = UrlError;
    fn try_from(text: &String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl TryFrom<String> for Url {
    type Error = UrlError;
    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<&Self> for Url {
    fn from(url: &Self) -> Self {
        url.clone()
    }
}
