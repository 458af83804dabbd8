//! What is said to epmd and what it answers. All integers are big-endian.
//!
//! ```text
//! length (u16) 122 NAME                     PORT_PLEASE2_REQ: at which port is this node?
//!   119 0 port (u16) kind 0 highest (u16) lowest (u16) length (u16) NAME length (u16) EXTRA
//!   119 RESULT                              RESULT is not 0: there is none of that name
//! length (u16) 110                          NAMES_REQ: which nodes are there?
//!   port of epmd (u32) "name NAME at port PORT\n" …, until it closes
//! length (u16) 120 port (u16) kind 0 highest (u16) lowest (u16) length (u16) NAME 0 (u16)    ALIVE2_REQ: I am here
//!   118 RESULT creation (u32)               ALIVE2_X_RESP, where `highest` is 6; RESULT is not 0: the name is taken
//!   121 RESULT creation (u16)               ALIVE2_RESP, of an epmd before OTP 23
//! ```
//!
//! Requests have a length in front, answers have none: each function here is given all bytes so far and says whether
//! they are a whole answer, the beginning of one (`None`), or none. A name is the part in front of the `@`.

use std::fmt;

use crate::wire::{Bytes, Truncated};

/// Bytes that a name may have at most: 255 characters, as for every atom.
const ALIVE_BYTES_MAX: usize = 4 * 255;
/// Bytes that the answer to `NAMES_REQ` may have at most; some 30,000 nodes.
pub(crate) const NAMES_BYTES_MAX: usize = 1 << 20;
/// Bytes that any other answer may have at most: a name and extra data, each as long as its length can say.
pub(crate) const ANSWER_BYTES_MAX: usize = 2 * (1 << 16) + 14;
/// Characters of a line that an error shows at most.
const LINE_CHARS_MAX: usize = 80;
/// Version of the distribution protocol that a node of ours speaks at most: that of OTP 23 and later.
const VERSION_HIGHEST: u16 = 6;
/// The lowest one that it says it speaks. OTP 25 itself says 5.
const VERSION_LOWEST: u16 = 5;
/// The distribution runs over TCP on IPv4 or IPv6.
const PROTOCOL: u8 = 0;

/// The first byte of a message.
mod tag {
    pub(super) const NAMES_REQ: u8 = 110;
    pub(super) const ALIVE2_X_RESP: u8 = 118;
    pub(super) const PORT2_RESP: u8 = 119;
    pub(super) const ALIVE2_REQ: u8 = 120;
    pub(super) const ALIVE2_RESP: u8 = 121;
    pub(super) const PORT_PLEASE2_REQ: u8 = 122;
}

/// Whether other nodes take a node for a member of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// It is in `nodes()` of its neighbours.
    Visible,
    /// It is not: shells, and programs such as this one.
    Hidden,
    /// None that is known.
    Other(u8),
}

/// The answer to `PORT_PLEASE2_REQ`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortAnswer {
    /// epmd has no such name.
    NotRegistered,
    /// The node is there.
    Registered(Registered),
}

/// A node as epmd knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    /// The port that the node listens at.
    pub(crate) port: u16,
    /// Whether it is hidden.
    pub(crate) kind: NodeKind,
    /// The highest version of the distribution protocol that it speaks.
    pub(crate) highest: u16,
    /// The lowest one.
    pub(crate) lowest: u16,
    /// Its name, as bytes that are to be those that were asked for.
    pub(crate) alive: Vec<u8>,
}

/// The answer to `ALIVE2_REQ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AliveAnswer {
    /// A node of that name is there already.
    Taken,
    /// The node is registered for as long as the connection is open.
    Registered {
        /// Differs from that of the last node of this name.
        creation: u32,
    },
}

/// One node of the answer to `NAMES_REQ`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The part of its name in front of the `@`.
    pub(crate) alive: String,
    /// The port that it listens at.
    pub(crate) port: u16,
}

/// Why bytes are no message. Nothing changed; what answers is no epmd, or a broken one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    /// The connection ended within the answer.
    #[error("the answer is cut off")]
    Truncated,
    /// The answer begins with another byte.
    #[error("the answer begins with the byte {0}")]
    UnexpectedTag(u8),
    /// The answer is longer than any may be.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// The answer is about another node than the question.
    #[error("the answer is about another node")]
    OtherName,
    /// A line in the list of names is not of the known form.
    #[error("the line {0:?} is not of the form \"name NAME at port PORT\"")]
    Line(String),
    /// The name of the question is empty or too long. Whoever gave the name can mend it.
    #[error("a name of {0} bytes: 1 to {ALIVE_BYTES_MAX} are possible")]
    NameLength(usize),
}

/// `PORT_PLEASE2_REQ`.
pub(crate) fn port_request(alive: &str) -> Result<Vec<u8>, MessageError> {
    check_name(alive)?;
    let mut body = vec![tag::PORT_PLEASE2_REQ];
    body.extend_from_slice(alive.as_bytes());
    Ok(framed(&body))
}

/// `NAMES_REQ`.
pub(crate) fn names_request() -> Vec<u8> {
    framed(&[tag::NAMES_REQ])
}

/// `ALIVE2_REQ`.
pub(crate) fn alive_request(alive: &str, port: u16, kind: NodeKind) -> Result<Vec<u8>, MessageError> {
    check_name(alive)?;
    let mut body = vec![tag::ALIVE2_REQ];
    body.extend_from_slice(&port.to_be_bytes());
    body.extend_from_slice(&[kind.into(), PROTOCOL]);
    body.extend_from_slice(&VERSION_HIGHEST.to_be_bytes());
    body.extend_from_slice(&VERSION_LOWEST.to_be_bytes());
    body.extend_from_slice(&length(alive.as_bytes()));
    body.extend_from_slice(alive.as_bytes());
    body.extend_from_slice(&length(&[]));
    Ok(framed(&body))
}

/// `PORT2_RESP`.
pub(crate) fn port_answer(bytes: &[u8]) -> Result<Option<PortAnswer>, MessageError> {
    match bytes {
        [] | [tag::PORT2_RESP] => Ok(None),
        [tag::PORT2_RESP, 0, rest @ ..] => {
            Ok(registered(&mut Bytes::new(rest)).ok().map(PortAnswer::Registered))
        }
        [tag::PORT2_RESP, ..] => Ok(Some(PortAnswer::NotRegistered)),
        [other, ..] => Err(MessageError::UnexpectedTag(*other)),
    }
}

/// `ALIVE2_RESP` or `ALIVE2_X_RESP`.
pub(crate) fn alive_answer(bytes: &[u8]) -> Result<Option<AliveAnswer>, MessageError> {
    let (result, creation) = match bytes {
        [] | [tag::ALIVE2_RESP | tag::ALIVE2_X_RESP] => return Ok(None),
        [tag::ALIVE2_X_RESP, result, rest @ ..] => (*result, Bytes::new(rest).u32().ok()),
        [tag::ALIVE2_RESP, result, rest @ ..] => (*result, Bytes::new(rest).u16().ok().map(u32::from)),
        [other, ..] => return Err(MessageError::UnexpectedTag(*other)),
    };
    Ok(match result {
        0 => creation.map(|creation| AliveAnswer::Registered { creation }),
        _ => Some(AliveAnswer::Taken),
    })
}

/// What follows the result in `PORT2_RESP`.
fn registered(bytes: &mut Bytes<'_>) -> Result<Registered, Truncated> {
    let port = bytes.u16()?;
    let kind = bytes.u8()?.into();
    let _protocol = bytes.u8()?;
    let (highest, lowest) = (bytes.u16()?, bytes.u16()?);
    let length = bytes.u16()?.into();
    let alive = bytes.take(length)?.to_vec();
    let length = bytes.u16()?.into();
    let _extra = bytes.take(length)?;
    Ok(Registered { port, kind, highest, lowest, alive })
}

/// `NAMES_RESP`, which is whole once the connection has ended.
///
/// Blank lines and white space around a line are passed over. A line that is not understood is an error: a list
/// without it would say that its node is gone.
pub(crate) fn names_answer(bytes: &[u8]) -> Result<Vec<Name>, MessageError> {
    let (_port_of_epmd, text) = bytes.split_first_chunk::<4>().ok_or(MessageError::Truncated)?;
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.map(|line| name_in(line).ok_or_else(|| MessageError::Line(shown(line)))).collect()
}

fn name_in(line: &[u8]) -> Option<Name> {
    let line = std::str::from_utf8(line).ok()?;
    let (alive, port) = line.strip_prefix("name ")?.rsplit_once(" at port ")?;
    let alive = alive.trim();
    let is_name = (1..=ALIVE_BYTES_MAX).contains(&alive.len());
    let port = port.trim_start().parse().ok()?;
    is_name.then(|| Name { alive: alive.to_owned(), port })
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

fn check_name(alive: &str) -> Result<(), MessageError> {
    match alive.len() {
        1..=ALIVE_BYTES_MAX => Ok(()),
        length => Err(MessageError::NameLength(length)),
    }
}

/// The length of what is short by what was checked before.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(2 + body.len());
    message.extend_from_slice(&length(body));
    message.extend_from_slice(body);
    message
}

// === impl NodeKind ===

impl From<u8> for NodeKind {
    fn from(byte: u8) -> Self {
        match byte {
            b'M' => Self::Visible,
            b'H' => Self::Hidden,
            other => Self::Other(other),
        }
    }
}

impl From<NodeKind> for u8 {
    fn from(kind: NodeKind) -> Self {
        match kind {
            NodeKind::Visible => b'M',
            NodeKind::Hidden => b'H',
            NodeKind::Other(byte) => byte,
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visible => f.write_str("visible"),
            Self::Hidden => f.write_str("hidden"),
            Self::Other(byte) => write!(f, "of the unknown kind {byte}"),
        }
    }
}

#[cfg(test)]
mod tests;
