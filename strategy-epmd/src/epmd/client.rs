//! Questions to the epmd of a host.

use std::{
    env,
    ffi::OsString,
    io,
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
    time::Duration,
};

use cluster_sdk::tracing::warn;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::message::{
    ANSWER_BYTES_MAX, MessageError, NAMES_BYTES_MAX, Name, NodeKind, PortAnswer, names_answer, names_request,
    port_answer, port_request,
};

/// The port of epmd where nothing else is said.
const PORT: u16 = 4369;
/// The environment variable with which BEAM nodes are told of another one.
const PORT_VARIABLE: &str = "ERL_EPMD_PORT";
/// Addresses of one host that are tried at most.
const ADDRESSES_MAX: usize = 16;

/// The epmd of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epmd {
    /// A name, or an IPv4 or IPv6 address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
}

/// A node that epmd knows, and where to dial it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The address at which epmd answered: its nodes are on the same machine.
    pub(crate) address: IpAddr,
    /// The port that the node listens at.
    pub(crate) port: u16,
    /// Whether it is hidden.
    pub(crate) kind: NodeKind,
    /// The highest version of the distribution protocol that it speaks.
    pub(crate) highest: u16,
    /// The lowest one.
    pub(crate) lowest: u16,
}

/// Why epmd was of no help. In none of these cases did anything change.
///
/// The texts are shown to operators and are complete, so there is no `source`. They are the same at each try that
/// fails for the same reason (no port of ours, no time, no address of several), because a reason that changes is
/// published as news.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EpmdError {
    /// The host has no address. The operator can mend the name, or the resolver comes back.
    #[error("cannot resolve {host}: {err}")]
    Unresolvable {
        /// The host.
        host: String,
        /// What the resolver said.
        err: io::Error,
    },
    /// Nobody listens, or there is no way there. A retry helps once epmd runs: BEAM nodes start it.
    #[error("no epmd answers on {at} ({reason})")]
    Down {
        /// Where.
        at: String,
        /// What the system said.
        reason: String,
    },
    /// Nothing came in time, often because of a firewall. A retry may help, or the operator.
    #[error("no epmd answers on {at} (deadline passed)")]
    NoAnswer {
        /// Where.
        at: String,
    },
    /// There is no such node, or not yet. A retry helps once it has started.
    #[error("{alive} is not registered at epmd on {at}")]
    NotRegistered {
        /// The name without its host.
        alive: String,
        /// Where.
        at: String,
    },
    /// Another node has registered that name. The operator can choose another one; a node that has just gone is
    /// forgotten soon.
    #[error("name {alive} is in use at epmd on {at}")]
    NameTaken {
        /// The name without its host.
        alive: String,
        /// Where.
        at: String,
    },
    /// It ended the connection without a word: epmd does that to what it does not allow, such as a registration
    /// from another machine. The operator can mend it.
    #[error("epmd on {at} closed the connection without an answer")]
    Closed {
        /// Where.
        at: String,
    },
    /// What it said is no answer; perhaps no epmd listens there. The operator can mend it.
    #[error("what answers on {at} is no epmd: {what}")]
    Malformed {
        /// Where.
        at: String,
        /// What is wrong with it.
        what: MessageError,
    },
    /// The name cannot be asked for. Whoever gave it can mend it.
    #[error("cannot ask epmd on {at} for {alive:?}: {what}")]
    BadName {
        /// The name without its host.
        alive: String,
        /// Where.
        at: String,
        /// What is wrong with it.
        what: MessageError,
    },
    /// The connection broke. A retry may help.
    #[error("the connection to epmd on {at} broke ({reason})")]
    Io {
        /// Where.
        at: String,
        /// What the system said.
        reason: String,
    },
}

/// What was answered, by whom.
#[derive(Debug)]
pub(super) struct Answer<T> {
    /// The answer.
    pub(super) value: T,
    /// The address that it came from.
    pub(super) address: IpAddr,
    /// The connection.
    pub(super) stream: TcpStream,
}

/// What is asked, and how the answer is read.
pub(super) struct Question<'a, T> {
    /// The whole request: one write.
    pub(super) request: &'a [u8],
    /// Bytes that the answer may have at most.
    pub(super) answer_bytes_max: usize,
    /// Reads all bytes so far; the second argument says whether there are no more.
    pub(super) parse: fn(&[u8], bool) -> Result<Option<T>, MessageError>,
}

/// The port of epmd: `ERL_EPMD_PORT`, as for BEAM nodes, or 4369.
pub(crate) fn default_port() -> u16 {
    /// Once, so that a value that is not valid is logged once.
    static DEFAULT: LazyLock<u16> = LazyLock::new(|| port_of(env::var_os(PORT_VARIABLE)));
    *DEFAULT
}

fn port_of(value: Option<OsString>) -> u16 {
    let Some(value) = value else { return PORT };
    let port = value.to_str().and_then(|text| text.parse().ok()).filter(|port| *port != 0);
    port.unwrap_or_else(|| {
        warn!(value = ?value, used = PORT, "{PORT_VARIABLE} is no port");
        PORT
    })
}

// === impl Epmd ===

impl Epmd {
    /// The epmd of this machine, at the address where BEAM nodes register.
    pub(crate) fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// Where it is, as errors show it.
    pub(crate) fn at(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Asks where a node listens; `alive` is its name without the host.
    pub(crate) async fn lookup(&self, alive: &str, within: Duration) -> Result<Found, EpmdError> {
        let request = port_request(alive).map_err(|what| self.bad_name(alive, what))?;
        let question = Question {
            request: &request,
            answer_bytes_max: ANSWER_BYTES_MAX,
            parse: |bytes, _is_end| port_answer(bytes),
        };
        let is_wanted = |answer: &PortAnswer| match answer {
            PortAnswer::Registered(node) if node.alive == alive.as_bytes() => Ok(()),
            PortAnswer::Registered(_) => Err(self.malformed(MessageError::OtherName)),
            PortAnswer::NotRegistered => Err(self.not_registered(alive)),
        };
        let Answer { value, address, .. } = self.ask(&question, within, is_wanted).await?;
        match value {
            PortAnswer::Registered(node) => {
                let (highest, lowest) = (node.highest, node.lowest);
                Ok(Found { address, port: node.port, kind: node.kind, highest, lowest })
            }
            PortAnswer::NotRegistered => Err(self.not_registered(alive)),
        }
    }

    /// Asks which nodes are there, of any kind.
    #[cfg(test)]
    pub(crate) async fn names(&self, within: Duration) -> Result<Vec<Name>, EpmdError> {
        Ok(self.names_and_address(within).await?.0)
    }

    /// Asks which nodes are there, of any kind. With the address at which epmd answered: who asks on asks the same epmd, and the resolver no more.
    pub(crate) async fn names_and_address(&self, within: Duration) -> Result<(Vec<Name>, IpAddr), EpmdError> {
        let question = Question {
            request: &names_request(),
            answer_bytes_max: NAMES_BYTES_MAX,
            parse: |bytes, is_end| if is_end { names_answer(bytes).map(Some) } else { Ok(None) },
        };
        let Answer { value, address, .. } = self.ask(&question, within, |_| Ok(())).await?;
        Ok((value, address))
    }

    /// Asks at each address of the host in turn until an answer is as wanted. Each address has an equal part of the
    /// time that is left. Of several failures the one that says most is returned, whatever the order of the
    /// addresses was.
    pub(super) async fn ask<T>(
        &self,
        question: &Question<'_, T>,
        within: Duration,
        is_wanted: impl Fn(&T) -> Result<(), EpmdError>,
    ) -> Result<Answer<T>, EpmdError> {
        let deadline = Instant::now() + within;
        let addresses = self.resolve(deadline).await?;
        let mut failure: Option<EpmdError> = None;
        for (place, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
            let share = now + deadline.saturating_duration_since(now) / left.max(1);
            let asked = timeout_at(share, self.ask_at(*address, question)).await;
            let asked = asked.unwrap_or_else(|_elapsed| Err(EpmdError::NoAnswer { at: self.at() }));
            match asked.and_then(|answer| is_wanted(&answer.value).map(|()| answer)) {
                Ok(answer) => return Ok(answer),
                Err(err) => failure = failure.filter(|earlier| earlier.says() >= err.says()).or(Some(err)),
            }
        }
        Err(failure.unwrap_or_else(|| self.unresolvable(io::ErrorKind::NotFound.into())))
    }

    async fn resolve(&self, deadline: Instant) -> Result<Vec<SocketAddr>, EpmdError> {
        let found = match timeout_at(deadline, lookup_host((self.host.as_str(), self.port))).await {
            Ok(found) => found.map_err(|err| self.unresolvable(err))?,
            Err(_elapsed) => return Err(self.unresolvable(io::ErrorKind::TimedOut.into())),
        };
        let mut addresses = Vec::new();
        for address in found {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    async fn ask_at<T>(
        &self,
        address: SocketAddr,
        question: &Question<'_, T>,
    ) -> Result<Answer<T>, EpmdError> {
        let down = |err: io::Error| EpmdError::Down { at: self.at(), reason: reason(&err) };
        let mut stream = TcpStream::connect(address).await.map_err(down)?;
        let broken = |err: io::Error| EpmdError::Io { at: self.at(), reason: reason(&err) };
        stream.set_nodelay(true).map_err(broken)?;
        stream.write_all(question.request).await.map_err(broken)?;
        let mut bytes = Vec::new();
        loop {
            let is_end = stream.read_buf(&mut bytes).await.map_err(broken)? == 0;
            if is_end && bytes.is_empty() {
                return Err(EpmdError::Closed { at: self.at() });
            }
            if bytes.len() > question.answer_bytes_max {
                return Err(self.malformed(MessageError::TooLong(question.answer_bytes_max)));
            }
            match (question.parse)(&bytes, is_end) {
                Ok(Some(value)) => return Ok(Answer { value, address: address.ip(), stream }),
                Ok(None) if is_end => return Err(self.malformed(MessageError::Truncated)),
                Ok(None) => {}
                Err(what) => return Err(self.malformed(what)),
            }
        }
    }

    pub(super) fn bad_name(&self, alive: &str, what: MessageError) -> EpmdError {
        EpmdError::BadName { alive: alive.to_owned(), at: self.at(), what }
    }

    fn not_registered(&self, alive: &str) -> EpmdError {
        EpmdError::NotRegistered { alive: alive.to_owned(), at: self.at() }
    }

    fn malformed(&self, what: MessageError) -> EpmdError {
        EpmdError::Malformed { at: self.at(), what }
    }

    fn unresolvable(&self, err: io::Error) -> EpmdError {
        EpmdError::Unresolvable { host: self.host.clone(), err }
    }
}

// === impl EpmdError ===

impl EpmdError {
    /// How much an error says, where several addresses of a host were tried: an epmd that answers is the one that
    /// was meant, and silence counts for more than a network that is not there (IPv6, on many machines).
    fn says(&self) -> u8 {
        match self {
            Self::Unresolvable { .. } => 0,
            Self::Down { .. } => 1,
            Self::NoAnswer { .. } => 2,
            Self::Io { .. } | Self::Closed { .. } => 3,
            Self::Malformed { .. } | Self::BadName { .. } => 4,
            Self::NotRegistered { .. } | Self::NameTaken { .. } => 5,
        }
    }
}

/// The kind in words where it has one of its own: it leaves out the number of the error.
fn reason(err: &io::Error) -> String {
    match err.raw_os_error() {
        Some(_) if !err.kind().to_string().contains("uncategorized") => err.kind().to_string(),
        _ => err.to_string(),
    }
}

#[cfg(test)]
mod tests;
