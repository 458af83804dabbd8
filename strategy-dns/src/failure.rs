//! Why a name could not be looked up, in words that say what to do.

use std::{fmt, net::SocketAddr, time::Duration};

use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
};

/// What was wrong with what one server said, or with asking it. Another server may do better.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It said nothing. Retry; else the operator.
    #[error("no answer within {}ms; is it there, and is port {port} open for UDP?", within.as_millis())]
    Silent {
        /// For how long one question was waited for.
        within: Duration,
        /// The port that was asked.
        port: u16,
    },
    /// Nothing could be sent to it, or received. The operator.
    #[error("cannot be asked: {0}")]
    Unreachable(String),
    /// Its answer is longer than a datagram, and the whole one was not to be had. The operator.
    #[error(
        "the answer was truncated and is to be had by TCP only, which failed: {0}; open TCP port {1} too"
    )]
    NoTcp(String, u16),
    /// It said by TCP too that its answer is truncated. The operator.
    #[error("the answer is truncated, by TCP too; ask another server")]
    Truncated,
    /// It answered with an error. Retry; else the operator.
    #[error("{}", said(*.0))]
    Code(ResponseCode),
    /// It does not look names up for others. The operator.
    #[error(
        "only named other servers to ask: it does not look names up for others; name a resolver in its place"
    )]
    Referral,
    /// The name is an alias, and what it stands for does not exist. The operator.
    #[error("NXDOMAIN for {0} which it is an alias of: mend the CNAME, or what it points to")]
    Dangling(Name),
    /// The name is an alias of itself, or of too many others in a row. The operator.
    #[error("more than {} aliases in a row, do they go round? Mend the CNAMEs", crate::answer::ALIASES_MAX)]
    Aliases,
}

/// Why one name is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such name: a server said so.
    NoSuchName {
        /// All that were tried, by the search list.
        tried: Vec<Name>,
        /// Who said it last.
        server: SocketAddr,
        /// The type of records that were found nevertheless, which a right answer would not allow.
        contradiction: Option<RecordType>,
    },
    /// No server gave an answer that is of use.
    Servers {
        /// The name that was asked for.
        name: Name,
        /// The types of records that failed in this way.
        types: Vec<RecordType>,
        /// Each server and what it did.
        faults: Vec<(SocketAddr, Fault)>,
    },
}

// === impl Failure ===

impl Failure {
    /// Whether another failure differs in the type of record alone; it then is part of this one.
    pub(crate) fn absorbs(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Servers { name, types, faults },
                Self::Servers { name: other_name, types: other_types, faults: other_faults },
            ) if name == other_name && faults == other_faults => {
                types.extend(other_types);
                true
            }
            _ => false,
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName { tried, server, contradiction } => {
                let names: Vec<_> = tried.iter().map(Name::to_ascii).collect();
                write!(f, "{} at {server}: NXDOMAIN, ", names.join(", "))?;
                match contradiction {
                    Some(RecordType::A) => f.write_str(
                        "though it has A records: the server is wrong; without IPv6 set family = \"ipv4\"",
                    ),
                    Some(other) => write!(f, "though it has {other} records: the server is wrong"),
                    None => f.write_str(
                        "there is no such name; is it misspelt? A headless Service has none while no pod is ready, \
                         unless publishNotReadyAddresses is true",
                    ),
                }
            }
            Self::Servers { name, types, faults } => {
                let types: Vec<_> = types.iter().map(ToString::to_string).collect();
                write!(f, "{} ({})", name.to_ascii(), types.join(", "))?;
                for (place, (server, fault)) in faults.iter().enumerate() {
                    write!(f, "{} at {server}: {fault}", if place == 0 { "" } else { ";" })?;
                }
                Ok(())
            }
        }
    }
}

/// An error of a server by its name in the protocol, and what to do.
fn said(code: ResponseCode) -> String {
    let (name, remedy) = match code {
        ResponseCode::ServFail => {
            ("SERVFAIL", "it could not find out; its log says why, as a zone that is not loaded")
        }
        ResponseCode::Refused => {
            ("REFUSED", "it does not answer us for this name; may we ask it, does it have the zone?")
        }
        ResponseCode::NotImp => ("NOTIMP", "it does not know how to answer; ask another server"),
        ResponseCode::FormErr => ("FORMERR", "it does not understand the question; ask another server"),
        ResponseCode::NXDomain | ResponseCode::NoError => ("a wrong answer", "ask another server"),
        other => return format!("error {} ({other}); ask another server", u16::from(other)),
    };
    format!("{name}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn server(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// The name, the server, what it said and what to do.
    #[test]
    fn words() {
        let missing = Failure::NoSuchName {
            tried: vec![name("api.a.example."), name("api.")],
            server: server(53),
            contradiction: None,
        };
        assert_eq!(
            missing.to_string(),
            "api.a.example., api. at 127.0.0.1:53: NXDOMAIN, there is no such name; is it misspelt? A headless Service \
             has none while no pod is ready, unless publishNotReadyAddresses is true"
        );
        let silent = Fault::Silent { within: Duration::from_millis(1_500), port: 53 };
        let failed = |kind| Failure::Servers {
            name: name("api.example."),
            types: vec![kind],
            faults: vec![(server(53), silent.clone()), (server(54), Fault::Code(ResponseCode::ServFail))],
        };
        let mut both = failed(RecordType::A);
        assert!(both.absorbs(&failed(RecordType::AAAA)));
        assert_eq!(
            both.to_string(),
            "api.example. (A, AAAA) at 127.0.0.1:53: no answer within 1500ms; is it there, and is port 53 open for UDP?; \
             at 127.0.0.1:54: SERVFAIL; it could not find out; its log says why, as a zone that is not loaded"
        );
        assert!(!both.absorbs(&missing));
    }
}
