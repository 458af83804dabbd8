//! Addresses of API servers and proxies, as configs write them.

use std::net::IpAddr;

use http::{HeaderValue, Uri};

/// An address is none. One that may have a password in it is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("{0:?} is no API server: write a host, host:port or https://host:port")]
    Server(String),
    #[error(
        "credentials do not belong into the API server's address: write host:port or https://host:port, and a kubeconfig for these"
    )]
    Credentials,
    #[error("proxy is no URL such as http://proxy.example:3128")]
    Proxy,
}

/// Where an API server is. As in libcluster a name without port is completed by the cluster's domain, unless it ends with
/// that, or with a full stop.
pub(crate) fn server_url(master: &str, domain: &str) -> Result<Uri, AddressError> {
    if master.contains('@') {
        return Err(AddressError::Credentials);
    }
    let wrong = || AddressError::Server(master.to_owned());
    let text =
        if master.contains("://") { master.to_owned() } else { format!("https://{}", host(master, domain)) };
    let uri: Uri = text.parse().map_err(|_no_uri| wrong())?;
    let has_host = uri.host().is_some_and(|host| !host.is_empty() && !host.starts_with('.'));
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if has_host && is_http && uri.query().is_none() { Ok(uri) } else { Err(wrong()) }
}

fn host(master: &str, domain: &str) -> String {
    if let Ok(IpAddr::V6(address)) = master.parse() {
        return format!("[{address}]");
    }
    let has_port = master.contains(':');
    if has_port || master.parse::<IpAddr>().is_ok() || master == "localhost" {
        return master.to_owned();
    }
    match master.strip_suffix('.') {
        Some(whole) => whole.to_owned(),
        None if master.ends_with(domain) => master.to_owned(),
        None => format!("{master}.{domain}"),
    }
}

/// A proxy's address.
pub(crate) fn proxy(url: &str) -> Result<Uri, AddressError> {
    let uri: Uri = url.parse().map_err(|_no_uri| AddressError::Proxy)?;
    if uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()) {
        Ok(uri)
    } else {
        Err(AddressError::Proxy)
    }
}

/// What a proxy is shown of the user and password in its address.
pub(crate) fn proxy_credentials(url: &Uri) -> Option<HeaderValue> {
    let (user, _) = url.authority()?.as_str().rsplit_once('@')?;
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
    let mut header = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(decoded))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

#[cfg(test)]
mod tests {
    use super::*;

    /// libcluster's rule for the domain, and what it has no word for.
    #[test]
    fn servers() {
        let rows = [
            ("kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local/"),
            ("kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc.cluster.local/"),
            ("api.example.", "https://api.example/"),
            ("localhost:6443", "https://localhost:6443/"),
            ("localhost", "https://localhost/"),
            ("10.0.0.1", "https://10.0.0.1/"),
            ("10.0.0.1:443", "https://10.0.0.1:443/"),
            ("fd00::1", "https://[fd00::1]/"),
            ("[fd00::1]:6443", "https://[fd00::1]:6443/"),
            ("https://api.example:6443", "https://api.example:6443/"),
            ("http://localhost:8001", "http://localhost:8001/"),
            ("https://rancher.example/k8s/clusters/c-1", "https://rancher.example/k8s/clusters/c-1"),
        ];
        for (master, expected) in rows {
            let url = server_url(master, "cluster.local").unwrap();
            assert_eq!(url.to_string(), expected, "{master}");
        }
        for wrong in ["", "https://", "ftp://host", "a b", "https://user:secret@host", "https://host/?a=b"] {
            let err = server_url(wrong, "cluster.local").unwrap_err();
            assert!(!err.to_string().contains("secret"), "{wrong:?}: {err}");
        }
    }

    /// A password in a proxy's address is decoded for it, and shown to nobody else.
    #[test]
    fn proxies() {
        let url = proxy("http://user:pa%40ss@proxy.example:3128").unwrap();
        let header = proxy_credentials(&url).unwrap();
        assert_eq!(header.to_str().unwrap(), format!("Basic {}", BASE64.encode("user:pa@ss")));
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(proxy_credentials(&proxy("http://proxy.example:3128").unwrap()), None);
        for wrong in ["", "proxy:3128", "socks5://proxy:1080", "http://"] {
            assert_eq!(proxy(wrong), Err(AddressError::Proxy), "{wrong}");
        }
    }
}
