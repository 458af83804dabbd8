//! Where the daemon is asked.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::api::ListenAddress;

/// Where the daemon's API is: `unix:PATH`, `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// `HOST:PORT`.
    Http(String),
    /// `HOST:PORT`, with TLS.
    Https(String),
}

/// The text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiAddressError {
    #[error("{0:?} is no address of a daemon: write unix:PATH, http://HOST:PORT or https://HOST:PORT")]
    NotAddress(String),
}

impl FromStr for ApiAddress {
    type Err = ApiAddressError;

    /// What `--listen` takes is understood, too.
    fn from_str(text: &str) -> Result<Self, ApiAddressError> {
        let not_address = || ApiAddressError::NotAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(not_address()) } else { Ok(Self::Unix(path.into())) };
        }
        let https = text.strip_prefix("https://");
        let http = text.strip_prefix("http://");
        let authority = https.or(http).unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let named =
            authority.strip_prefix('[').map_or(authority, |rest| rest.trim_start_matches(|c| c != ']'));
        let port = named.rsplit_once(':').map(|(_, port)| port);
        let valid = !authority.is_empty()
            && !authority.contains(|c: char| c.is_whitespace() || "/?#@".contains(c))
            && (port.is_some() || https.or(http).is_some())
            && port.is_none_or(|port| port.parse::<u16>().is_ok());
        let with_port = |default: u16| match port {
            Some(_) => authority.to_owned(),
            None => format!("{authority}:{default}"),
        };
        match (valid, https) {
            (false, _) => Err(not_address()),
            (true, None) => Ok(Self::Http(with_port(80))),
            (true, Some(_)) => Ok(Self::Https(with_port(443))),
        }
    }
}

impl From<ListenAddress> for ApiAddress {
    fn from(address: ListenAddress) -> Self {
        match address {
            ListenAddress::Unix(path) => Self::Unix(path),
            ListenAddress::Tcp(address) => Self::Http(address.to_string()),
        }
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(authority) => write!(f, "http://{authority}"),
            Self::Https(authority) => write!(f, "https://{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is understood, and that the rest is refused.
    #[test]
    fn addresses() {
        for (text, address) in [
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("http://localhost:4444", "http://localhost:4444"),
            ("http://127.0.0.1:4444/", "http://127.0.0.1:4444"),
            ("http://localhost", "http://localhost:80"),
            ("http://[::1]", "http://[::1]:80"),
            ("[::1]:4444", "http://[::1]:4444"),
            ("https://app.example", "https://app.example:443"),
            ("https://[fd00::7]:4444/", "https://[fd00::7]:4444"),
            ("127.0.0.1:4444", "http://127.0.0.1:4444"),
        ] {
            assert_eq!(text.parse::<ApiAddress>().unwrap().to_string(), address);
        }
        for bad in [
            "",
            "unix:",
            "http://",
            "/run/x.sock",
            "localhost",
            "http://a/b",
            "http://a:b",
            "ftp://a:1",
            "http://u@a:1",
            "https://",
            "https://a/b",
        ] {
            assert!(matches!(bad.parse::<ApiAddress>(), Err(ApiAddressError::NotAddress(_))), "{bad}");
        }
    }
}
