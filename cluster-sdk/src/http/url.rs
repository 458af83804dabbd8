//! Addresses: absolute, `http` or `https`, and without a password in them.

use std::{borrow::Cow, fmt, str::FromStr};

use hyper::{
    Uri,
    http::uri::{Authority, PathAndQuery, Scheme},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// What stays as it is in a query: the unreserved characters of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Characters of a wrong address that its error shows.
const SHOWN_CHARS_MAX: usize = 120;

/// An absolute `http` or `https` address. As text it is without the values of its query, which may be secrets.
///
/// ```
/// use cluster_sdk::http::Url;
/// let url: Url = "https://api.example:8443/v1/nodes?token=hunter2".parse()?;
/// assert_eq!(url.to_string(), "https://api.example:8443/v1/nodes?…");
/// assert_eq!(url.join("/v1/nodes?page=2")?, "https://api.example:8443/v1/nodes?page=2".parse()?);
/// # Ok::<(), cluster_sdk::http::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    authority: Authority,
    path: PathAndQuery,
}

/// Why a text is no address. Whoever wrote it can mend it. What it shows has neither a password nor a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It does not begin with `http://` or `https://`.
    #[error("{0:?} is not an address: write it whole, with http:// or https:// before it")]
    NoScheme(String),
    /// It has a user or a password.
    #[error(
        "{0:?} has a user or a password: an address is shown in logs, so give them as a header, authorization = {{ file = … }}"
    )]
    Userinfo(String),
    /// It cannot be parsed.
    #[error("{0:?} is not an address: {1}")]
    Malformed(String, String),
}

// === impl Url ===

impl Url {
    /// Where a reference leads that was found at this address: a whole address, `/path`, `?query` or `path`.
    ///
    /// # Errors
    /// [`UrlError`] when that is no address.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let path = self.path.path();
        let whole = match reference {
            "" => return Ok(self.clone()),
            _ if is_absolute(reference) => reference.to_owned(),
            _ if reference.starts_with("//") => format!("{}:{reference}", self.scheme),
            _ if reference.starts_with('/') => format!("{}{reference}", self.origin()),
            _ if reference.starts_with('?') => format!("{}{path}{reference}", self.origin()),
            _ => {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{}{directory}/{reference}", self.origin())
            }
        };
        whole.parse()
    }

    /// Whether a header that is meant for one may be shown to the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_sdk::http::Url;
    ///
    /// let url: Url = "https://api.example/nodes".parse()?;
    /// assert!(url.is_same_origin(&"https://api.example:443/".parse()?));
    /// assert!(!url.is_same_origin(&"http://api.example/".parse()?));
    /// # Ok::<(), cluster_sdk::http::UrlError>(())
    /// ```
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port() == other.port()
    }

    /// Adds to the query.
    #[must_use]
    pub fn with_query(&self, key: &str, value: &str) -> Self {
        self.with_pairs(self.pairs().map(str::to_owned).chain([pair(key, value)]))
    }

    /// Puts a value into the query in place of those that have the same key.
    ///
    /// # Examples
    ///
    /// ```
    /// use cluster_sdk::http::Url;
    ///
    /// let url: Url = "https://api.example/nodes?page=1&zone=eu".parse()?;
    /// assert_eq!(url.with_only_query("page", "2"), "https://api.example/nodes?zone=eu&page=2".parse()?);
    /// assert_eq!(url.with_query("page", "2"), "https://api.example/nodes?page=1&zone=eu&page=2".parse()?);
    /// # Ok::<(), cluster_sdk::http::UrlError>(())
    /// ```
    #[must_use]
    pub fn with_only_query(&self, key: &str, value: &str) -> Self {
        let others = self.pairs().filter(|pair| {
            let other = pair.split_once('=').map_or(*pair, |(key, _)| key);
            percent_decode_str(other).decode_utf8_lossy() != key
        });
        self.with_pairs(others.map(str::to_owned).chain([pair(key, value)]))
    }

    fn with_pairs(&self, pairs: impl Iterator<Item = String>) -> Self {
        let query = pairs.collect::<Vec<_>>().join("&");
        // What was escaped is always a query.
        let path = format!("{}?{query}", self.path.path()).parse().unwrap_or_else(|_| self.path.clone());
        Self { path, ..self.clone() }
    }

    fn pairs(&self) -> impl Iterator<Item = &str> {
        self.path.query().into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty())
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host: a name or an IP address, that without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, also where it is not written.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.is_https() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Path and query, as a request has them.
    pub(super) fn target(&self) -> Uri {
        Uri::from(self.path.clone())
    }

    /// What the header `host` says.
    pub(super) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The whole address with its query: not to be shown.
    pub(super) fn whole(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !is_absolute(text) {
            return Err(UrlError::NoScheme(shown(text)));
        }
        let malformed = |reason: &dyn fmt::Display| UrlError::Malformed(shown(text), reason.to_string());
        let parts = text.parse::<Uri>().map_err(|err| malformed(&err))?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(malformed(&"it names no host"));
        };
        if authority.as_str().contains('@') {
            return Err(UrlError::Userinfo(shown(text)));
        }
        if authority.host().is_empty() || authority.as_str().ends_with(':') {
            return Err(malformed(&"it names no host, or no port behind the colon"));
        }
        let path = parts.path_and_query.map(|path| path.to_string()).unwrap_or_default();
        let root = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{root}{path}").parse().map_err(|err| malformed(&err))?;
        Ok(Self { scheme, authority, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.path.query().is_some() { "?…" } else { "" };
        write!(f, "{}{}{query}", self.origin(), self.path.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Url {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://", "examples": ["http://127.0.0.1:8500/v1/nodes"] })
    }
}

fn is_absolute(text: &str) -> bool {
    let begins =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    begins("http://") || begins("https://")
}

fn pair(key: &str, value: &str) -> String {
    format!("{}={}", utf8_percent_encode(key, QUERY), utf8_percent_encode(value, QUERY))
}

/// What may be shown of a text that should be an address: no query, and nothing before an `@`.
fn shown(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (text, has_more) = (text.get(..end).unwrap_or_default(), end < text.len());
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(Cow::Borrowed(rest), |(_, host)| format!("…@{host}").into());
    let separator = if scheme.is_empty() { "" } else { "://" };
    let whole = format!("{scheme}{separator}{rest}{}", if has_more { "?…" } else { "" });
    whole.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// What is refused says why, and shows neither a password nor a query.
    #[test]
    fn refused() {
        for (text, reason) in [
            ("consul:8500/v1", r#""consul:8500/v1" is not an address: write it whole, with http://"#),
            ("ftp://files/a", r#""ftp://files/a" is not an address: write it whole"#),
            ("http://", r#""http://" is not an address: "#),
            ("http://:80/", r#""http://:80/" is not an address: "#),
            ("http://a:/", r#""http://a:/" is not an address: "#),
            ("http://a b/", r#""http://a b/" is not an address: "#),
            ("https://me:hunter2@api/v1?token=hunter2", r#""https://…@api/v1?…" has a user or a password"#),
            ("me:hunter2@api/v1?token=hunter2", r#""…@api/v1?…" is not an address"#),
        ] {
            let err = text.parse::<Url>().unwrap_err().to_string();
            assert!(err.starts_with(reason) && !err.contains("hunter2"), "{err}");
        }
    }

    /// Parts, with what is not written.
    #[test]
    fn parts() {
        for (text, host, port, target) in [
            ("http://api", "api", 80, "/"),
            ("HTTPS://api/v1", "api", 443, "/v1"),
            ("https://[::1]:8443/v1?a=b#c", "::1", 8443, "/v1?a=b"),
        ] {
            let url = url(text);
            assert_eq!((url.host(), url.port(), url.target().to_string().as_str()), (host, port, target));
        }
    }

    /// Where references lead.
    #[test]
    fn joined() {
        let base = url("https://api:8443/v1/nodes?page=1");
        for (reference, whole) in [
            ("", "https://api:8443/v1/nodes?page=1"),
            ("?page=2", "https://api:8443/v1/nodes?page=2"),
            ("more", "https://api:8443/v1/more"),
            ("/v2?page=2", "https://api:8443/v2?page=2"),
            ("//other/v1", "https://other/v1"),
            ("http://other/v1", "http://other/v1"),
        ] {
            assert_eq!(base.join(reference).unwrap().whole(), whole);
        }
        assert!(base.is_same_origin(&url("https://API:8443/")));
        assert!(!base.is_same_origin(&url("http://api:8443/")));
        assert!(!base.is_same_origin(&url("https://api/")));
    }

    /// Queries are escaped, added to and replaced.
    #[test]
    fn queries() {
        let base = url("http://api/nodes").with_query("tag", "a&b=ü").with_query("tag", "c");
        assert_eq!(base.whole(), "http://api/nodes?tag=a%26b%3D%C3%BC&tag=c");
        assert_eq!(
            base.with_only_query("tag", "d").with_query("page", "1").whole(),
            "http://api/nodes?tag=d&page=1"
        );
        assert_eq!(base.to_string(), "http://api/nodes?…");
    }

    proptest! {
        /// No text makes it panic; what is an address is the same when it is parsed again.
        #[test]
        fn any_text(text in "(https?://)?\\PC{0,40}", reference in "\\PC{0,40}", key in "\\PC{0,8}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(&url, &url.whole().parse().unwrap());
                drop(url.join(&reference));
                let replaced = url.with_only_query(&key, &reference).target();
                let target = url.target();
                prop_assert_eq!(replaced.path(), target.path());
            }
        }
    }
}
