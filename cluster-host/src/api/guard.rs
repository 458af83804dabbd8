//! Who may ask over TCP. A port on loopback is open to every web page in a browser of the machine: the page's own
//! script may send requests there, and by DNS rebinding (its name suddenly resolving to 127.0.0.1) even read the
//! answers. Such a request gives itself away by its `Host` or its `Origin`. Where others can come, a browser that has a
//! client certificate shows it for any page: there the `Origin` tells, and the name is the certificate's concern.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, Method, Uri,
        header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    access::Access,
    problem::{Kind, Problem},
};

/// What is let in at one place.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) access: Access,
    /// Only this machine can reach it.
    pub(super) is_loopback: bool,
}

/// Lets through what is meant for this place: around everything.
pub(super) async fn meant(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check_site(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets through who may ask for it: around what has data.
pub(super) async fn entitled(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check_right(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

// === impl Guard ===

impl Guard {
    /// Whether a request is by one who may ask, for something that may be done from there.
    fn check_right(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_token(headers)?;
        if method == Method::GET || method == Method::HEAD || self.access.allow_writes {
            return Ok(());
        }
        let else_ = if self.access.is_given() { ", or set allow_writes of [api]" } else { "" };
        Err(Problem::of(
            Kind::ReadOnly,
            format!("{method} is not possible over TCP, which reads only: use the Unix socket{else_}"),
        ))
    }

    fn check_site(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = single(headers, &HOST)?.unwrap_or_default();
        if self.is_loopback && !is_loopback(host) {
            return Err(forbidden(format!("Host {host:?} is not this machine's loopback")));
        }
        if let Some(authority) = uri.authority()
            && self.is_loopback
            && !is_loopback(authority.as_str())
        {
            return Err(forbidden(format!("the address {authority} is not this machine's loopback")));
        }
        let scheme = if self.access.tls.is_some() { "https://" } else { "http://" };
        match single(headers, &ORIGIN)? {
            None => Ok(()),
            Some(origin) if origin.strip_prefix(scheme).is_some_and(|o| o.eq_ignore_ascii_case(host)) => {
                Ok(())
            }
            Some(origin) => Err(forbidden(format!("Origin {origin:?} is another site's"))),
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(tokens) = &self.access.token else {
            return Ok(());
        };
        let denied = |why: &str| Problem::of(Kind::Unauthorized, why);
        let shown = single(headers, &AUTHORIZATION)?
            .ok_or_else(|| denied("a token is needed: send it as Authorization: Bearer TOKEN"))?;
        let token = shown.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.ok_or_else(|| denied("Authorization is not of the form Bearer TOKEN"))?.1.trim();
        match tokens.has(token) {
            Ok(true) => Ok(()),
            Ok(false) => Err(denied("the token is not one of this host's")),
            // Why is for the host's operator, in its log.
            Err(_unusable) => {
                Err(Problem::of(Kind::Unavailable, "the token cannot be checked: see the host's log"))
            }
        }
    }
}

fn forbidden(detail: String) -> Problem {
    Problem::of(Kind::Forbidden, detail)
}

/// The only value of a header; two of them are a trick.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_not_text| forbidden(format!("{name} is not text")))
        }
        (Some(_), Some(_)) => Err(forbidden(format!("more than one {name}"))),
    }
}

/// Whether `HOST[:PORT]` names loopback: an IP address cannot be rebound, and of names only `localhost` counts.
fn is_loopback(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let host = match authority.split_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) => return false,
        None => authority,
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4() && ip.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &Method, uri: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let headers = headers.iter();
        let headers =
            headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        let guard = Guard { access: Access::default(), is_loopback: true };
        let headers = headers.collect();
        let checked = guard.check_site(&uri.parse().unwrap(), &headers);
        let refusal = checked.and_then(|()| guard.check_right(method, &headers)).err();
        refusal.map(|problem| problem.kind.status().as_u16())
    }

    /// The machine's own names and addresses may read, with an `Origin` of the same, and only read.
    #[test]
    fn loopback_reads() {
        let hosts =
            "localhost LOCALHOST:1 localhost:4444 127.0.0.1 127.0.0.1:4444 127.9.9.9:80 [::1] [::1]:4444";
        for host in hosts.split(' ') {
            let headers = [("host", host), ("origin", &format!("http://{host}"))];
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(refused(&method, "/", &headers[..1]), None, "{host}");
                assert_eq!(refused(&method, "/", &headers), None, "{host}");
            }
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::CONNECT] {
                assert_eq!(refused(&method, "/", &headers), Some(405), "{host}");
            }
        }
        assert_eq!(refused(&Method::GET, "http://localhost/", &[("host", "localhost")]), None);
    }

    /// What a rebound name, another site's script and a smuggled header look like.
    #[test]
    fn others_are_refused() {
        let hosts = "evil.example evil.example:4444 localhost.evil.example 127.0.0.1.evil.example localhost. \
                     localhost:+1 localhost:99999 127.0.0.1@evil.example 10.0.0.1:4444 0.0.0.0 [::] ::1 [::1 [::1]x \
                     [::ffff:127.0.0.1] user@localhost localhost:80:80 127.1 2130706433";
        for host in hosts.split(' ').chain([""]) {
            assert_eq!(refused(&Method::GET, "/", &[("host", host)]), Some(403), "{host}");
        }
        let origins =
            "null http://evil.example http://localhost:1 https://localhost http://localhost. localhost";
        for origin in origins.split(' ').chain([""]) {
            let headers = [("host", "localhost"), ("origin", origin)];
            assert_eq!(refused(&Method::GET, "/", &headers), Some(403), "{origin}");
        }
        for headers in [&[][..], &[("host", "localhost"), ("host", "localhost")]] {
            assert_eq!(refused(&Method::GET, "/", headers), Some(403), "{headers:?}");
        }
        assert_eq!(refused(&Method::GET, "http://evil.example/", &[("host", "localhost")]), Some(403));
    }
}
