//! `resolv.conf`: which servers to ask, and for which names.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::proto::rr::Name;

use crate::{
    nameserver::{Nameserver, NameserverError},
    search::Search,
};

/// Servers of one file at most; further ones are not asked. resolv.conf(5) allows three.
const SERVERS_MAX: usize = 8;
/// Entries of the search list at most.
const SEARCH_MAX: usize = 32;
/// Limits of resolv.conf(5).
const NDOTS_MAX: usize = 15;
const TIMEOUT_SECS_MAX: u64 = 30;
const ATTEMPTS_MAX: u32 = 5;

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResolvConf {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) search: Search,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempts: Option<u32>,
}

/// The text names no server. The operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolvConfError {
    /// No line does.
    #[error("has no line that begins with nameserver")]
    NoServer,
    /// The lines that should do have something else in them.
    #[error("line {line}: {source}")]
    NotAServer {
        /// The first of them, counted from 1.
        line: usize,
        #[source]
        source: NameserverError,
    },
}

// === impl ResolvConf ===

impl ResolvConf {
    /// Reads the text. What is not understood is passed over, as by every resolver, unless no server is left.
    pub(crate) fn parse(text: &str) -> Result<Self, ResolvConfError> {
        let mut conf = Self {
            servers: Vec::new(),
            search: Search { domains: Vec::new(), ndots: 1 },
            timeout: None,
            attempts: None,
        };
        let mut wrong = ResolvConfError::NoServer;
        for (line, text) in text.lines().enumerate() {
            let mut words = text.split(['#', ';']).next().unwrap_or_default().split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => match words.next().unwrap_or_default().parse::<Nameserver>() {
                    Ok(server) => conf.servers.push(server.address()),
                    Err(source) if wrong == ResolvConfError::NoServer => {
                        wrong = ResolvConfError::NotAServer { line: line + 1, source };
                    }
                    Err(_) => {}
                },
                // The last of these lines counts.
                Some("search") => conf.search.domains = words.filter_map(domain).take(SEARCH_MAX).collect(),
                Some("domain") => conf.search.domains = words.filter_map(domain).take(1).collect(),
                Some("options") => words.for_each(|option| conf.handle_option(option)),
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS_MAX);
        if conf.servers.is_empty() { Err(wrong) } else { Ok(conf) }
    }

    fn handle_option(&mut self, option: &str) {
        let Some((key, value)) = option.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        match key {
            "ndots" => self.search.ndots = usize::try_from(value).unwrap_or(NDOTS_MAX).min(NDOTS_MAX),
            "timeout" => {
                self.timeout = Some(Duration::from_secs(u64::from(value).clamp(1, TIMEOUT_SECS_MAX)));
            }
            "attempts" => self.attempts = Some(value.clamp(1, ATTEMPTS_MAX)),
            _ => {}
        }
    }
}

/// An entry of the search list. The root adds nothing to a name.
fn domain(text: &str) -> Option<Name> {
    Name::from_ascii(text).ok().filter(|name| !name.is_root())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file as Kubernetes writes it.
    #[test]
    fn kubernetes() {
        let text = "search prod.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        let conf = ResolvConf::parse(text).unwrap();
        assert_eq!(conf.servers, ["10.96.0.10:53".parse().unwrap()]);
        let domains: Vec<_> = conf.search.domains.iter().map(Name::to_ascii).collect();
        assert_eq!(domains, ["prod.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
        assert_eq!((conf.search.ndots, conf.timeout, conf.attempts), (5, None, None));
    }

    /// Comments, several servers, ports as OpenBSD writes them, limits, and what nobody understands.
    #[test]
    fn all_there_is() {
        let text = "# by hand\n; too\nnameserver\t127.0.0.53 # stub\nnameserver [::1]:5353\nnameserver nonsense\n\
                    domain a.example\nsearch b.example . -- c.example # d.example\nfamily inet4\n\
                    options edns0 ndots:99 timeout:0 attempts:9 rotate ndots: timeout:x\n";
        let conf = ResolvConf::parse(text).unwrap();
        assert_eq!(conf.servers, ["127.0.0.53:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
        let domains: Vec<_> = conf.search.domains.iter().map(Name::to_ascii).collect();
        assert_eq!(domains, ["b.example", "c.example"]);
        assert_eq!(
            (conf.search.ndots, conf.timeout, conf.attempts),
            (15, Some(Duration::from_secs(1)), Some(5))
        );
    }

    /// Without a server it is of no use, and says why.
    #[test]
    fn no_server() {
        let error = |text| ResolvConf::parse(text).unwrap_err().to_string();
        assert_eq!(error("search a.example\n"), "has no line that begins with nameserver");
        let wrong = error("\nnameserver dns.example\nnameserver x\n");
        assert!(wrong.starts_with("line 2: \"dns.example\" is no address of a name server"), "{wrong}");
    }

    proptest! {
        /// Whatever the file has in it, nothing breaks.
        #[test]
        fn any_text(text in "(nameserver|search|options|[ :.#a-z0-9\\n\\PC]){0,40}") {
            if let Ok(conf) = ResolvConf::parse(&text) {
                prop_assert!((1..=SERVERS_MAX).contains(&conf.servers.len()));
            }
        }
    }
}
