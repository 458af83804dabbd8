//! Why there is no answer, in words that say what to do.

use std::{fmt, io, path::PathBuf, time::Duration};

use hyper::{Method, StatusCode};
use tokio_rustls::rustls;

use super::url::{Url, UrlError};
use crate::SecretError;

/// Why a request has no answer that is of use. Nothing is known of what was asked for: report nothing, or a partial
/// view of what other requests gave.
///
/// As text it names what was asked, what went wrong and what to do; never a header's value, or that of a query.
///
/// # Examples
///
/// ```
/// use cluster_sdk::http::{Http, HttpError, StatusCode, Trouble};
/// # use test_httpserver::{Reply, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::http(|_| Reply::new(403, "this token reads nothing"));
/// let error: HttpError = Http::default().get(server.url("/v1/nodes?token=hunter2")).send().await.unwrap_err();
/// assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
/// assert!(error.is_denied() && !error.is_temporary());
/// assert!(matches!(error.trouble(), Trouble::Status { detail, .. } if detail == "this token reads nothing"));
/// assert!(!error.to_string().contains("hunter2"), "what is in a query is not shown");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{method}{}{url}: {trouble}{}", if url.is_empty() { "" } else { " " }, Tried(*tries))]
pub struct HttpError {
    method: Method,
    /// As it may be shown.
    url: String,
    trouble: Box<Trouble>,
    tries: u32,
    retry_after: Option<Duration>,
}

/// What went wrong. Whoever runs the host can mend it; where [`HttpError::is_temporary`], trying again may.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// What was to be asked has no address.
    #[error("{0}")]
    Address(String),
    /// The host's name has no address.
    #[error("the name {0:?} cannot be looked up: {1}")]
    Unresolved(String, io::Error),
    /// Nobody takes the connection.
    #[error("cannot connect: {0}; is it running, is the port right, does a firewall drop it?")]
    Unreachable(io::Error),
    /// TLS was not agreed on.
    #[error("TLS: {}", TlsWords(.0))]
    Tls(io::Error),
    /// A file for TLS cannot be used.
    #[error("{path:?} {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nobody to vouch for servers.
    #[error("this machine has no certificates of authorities ({0}): install ca-certificates, or set ca_file")]
    NoRoots(String),
    /// It took too long.
    #[error("no whole answer within {}ms: raise the timeout, or see what it waits for", .0.as_millis())]
    Timeout(Duration),
    /// What came is no HTTP, or broke off.
    #[error("the answer broke off or is no HTTP: {0}")]
    Broken(String),
    /// The server says no.
    #[error("{status}{}; {}", Said(detail), remedy(*status))]
    Status {
        /// What it said.
        status: StatusCode,
        /// The beginning of what it said besides.
        detail: String,
    },
    /// It points elsewhere, where it is not followed.
    #[error(
        "{0} to {1}, which is another server: not followed, as headers may be secret; write that address"
    )]
    Redirect(StatusCode, Url),
    /// It points elsewhere again and again.
    #[error("more than {0} redirects, do they go round?")]
    Redirects(usize),
    /// An address that the server gave is none.
    #[error("it points to what is no address: {0}")]
    Pointer(#[from] UrlError),
    /// The answer is larger than was allowed.
    #[error("the answer has more than {0} bytes: raise body_bytes_max, or ask for less")]
    TooLarge(u64),
    /// The answer is compressed, though it was not asked for.
    #[error("the answer is encoded as {0:?}, which was not asked for: have the server send it plain")]
    Encoded(String),
    /// The answer is not what was expected.
    #[error("the answer is not as expected: {0}; is it the right address?")]
    Unexpected(String),
    /// A secret cannot be read.
    #[error("header {0}: {1}")]
    Secret(String, SecretError),
    /// A header cannot be sent.
    #[error("header {0} has a character that a header cannot have, as a line break")]
    Header(String),
    /// What is to be sent cannot be written.
    #[error("what is to be sent cannot be written as JSON: {0}")]
    Unsendable(String),
    /// The next page is on another server.
    #[error("the next page is at {0}, which is another server: not followed, as headers may be secret")]
    ForeignPage(Url),
    /// Pages have no end.
    #[error("more than {0} pages, do they go round?")]
    Pages(usize),
    /// The server has asked to be left alone, and that time is not over.
    #[error("the server has asked to be left alone for {}s more (retry-after)", .0.as_secs())]
    Quiet(Duration),
}

// === impl HttpError ===

impl HttpError {
    pub(super) fn new(method: &Method, url: String, trouble: Trouble) -> Self {
        Self { method: method.clone(), url, trouble: Box::new(trouble), tries: 1, retry_after: None }
    }

    pub(super) fn after(self, tries: u32, retry_after: Option<Duration>) -> Self {
        Self { tries, retry_after, ..self }
    }

    /// What went wrong.
    #[must_use]
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The server's answer, where it gave one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match *self.trouble {
            Trouble::Status { status, .. } | Trouble::Redirect(status, _) => Some(status),
            _ => None,
        }
    }

    /// Whether the server refuses us, by 401 or 403: what [`Context::denied`](crate::Context::denied) is for.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }

    /// Whether it may work later with nothing changed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.trouble.is_temporary()
    }

    /// How long the server wants to be left alone. Who asks sooner is refused here, without a request.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

// === impl Trouble ===

impl Trouble {
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Unresolved(..)
            | Self::Unreachable(_)
            | Self::Timeout(_)
            | Self::Broken(_)
            | Self::Quiet(_) => true,
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// What hyper failed with: TLS may be below it, where a server refuses our certificate after the handshake.
    pub(super) fn of_hyper(err: &hyper::Error) -> Self {
        match tls_cause(err) {
            Some(cause) => Self::Tls(io::Error::other(cause.clone())),
            None => Self::Broken(causes(err)),
        }
    }
}

/// An error with all that it came from.
fn causes(err: &dyn std::error::Error) -> String {
    let mut words = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let next = err.to_string();
        if !words.ends_with(&next) {
            words = format!("{words}: {next}");
        }
        cause = err.source();
    }
    words
}

fn tls_cause<'a>(err: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(err);
    while let Some(err) = cause {
        if let Some(tls) = err.downcast_ref() {
            return Some(tls);
        }
        let inner = err.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => err.source(),
        };
    }
    None
}

struct TlsWords<'a>(&'a io::Error);

impl fmt::Display for TlsWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
        let Some(err) = tls_cause(self.0) else {
            return write!(f, "{}; does it speak TLS there?", self.0);
        };
        let remedy = match err {
            Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
                "set ca_file to the authority of its certificate"
            }
            Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
                "renew its certificate, or set this machine's clock"
            }
            Error::InvalidCertificate(
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
            ) => "write a name that is in its certificate",
            Error::AlertReceived(Alert::CertificateRequired) => "set client_cert and client_key",
            Error::AlertReceived(_) => {
                "it refuses us: does it ask for a certificate (client_cert) of another authority?"
            }
            Error::InvalidMessage(_) => "it does not speak TLS there: is it http://, or another port?",
            _ => "see its log",
        };
        write!(f, "{err}; {remedy}")
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ", it says {:?}", self.0) }
    }
}

struct Tried(u32);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " ({} tries)", self.0) } else { Ok(()) }
    }
}

fn remedy(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "the server does not understand the request: is the query right?",
        401 => "the server does not know us: give a token or mend it",
        403 => "the server knows us and refuses: give the token the right to read this",
        404 | 410 => "nothing is there: is the path right?",
        407 => "that is a proxy, and none is used: ask the server itself",
        429 => "it is asked too often: raise the interval",
        300..400 => "it says where to look only in part: write the address that is meant",
        500.. => "the server is in trouble, or what is behind it: see its log",
        _ => "is the address right?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(trouble: Trouble, tries: u32) -> String {
        let url: Url = "https://api.example/v1?token=hunter2".parse().unwrap();
        HttpError::new(&Method::GET, url.to_string(), trouble).after(tries, None).to_string()
    }

    /// What was asked, what went wrong, what to do; a query's values nowhere.
    #[test]
    fn texts() {
        let status = StatusCode::FORBIDDEN;
        assert_eq!(
            words(Trouble::Status { status, detail: "no such\ttoken".to_owned() }, 1),
            "GET https://api.example/v1?…: 403 Forbidden, it says \"no such\\ttoken\"; the server knows us and refuses: \
             give the token the right to read this"
        );
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(
            words(Trouble::Tls(io::Error::other(unknown)), 1),
            "GET https://api.example/v1?…: TLS: invalid peer certificate: UnknownIssuer; set ca_file to the authority of its \
             certificate"
        );
        assert_eq!(
            words(Trouble::Timeout(Duration::from_millis(1_500)), 3),
            "GET https://api.example/v1?…: no whole answer within 1500ms: raise the timeout, or see what it waits for (3 tries)"
        );
    }
}
