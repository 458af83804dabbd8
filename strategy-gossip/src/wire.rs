//! The heartbeat on the wire: libcluster's, with more in it than libcluster looks at.
//!
//! ```text
//! "heartbeat::"            11 bytes
//! 131                      version of the external term format
//! 116  pairs (u32)         a map
//!   119 4 "node"           119 LL NAME         who is alive (118 LLLL over 255 bytes); absent in a goodbye
//!   119 7 "cluster"        109 LLLLLLLL TEXT   name of the cluster; absent means the reader's own
//!   119 11 "incarnation"   109 00000008 U64    grows with each restart of the node; big-endian
//!   119 6 "record"         109 LLLLLLLL BYTES  addresses and attributes: the flat entries of `cluster_core::Node`
//!   119 7 "leaving"        109 LLLLLLLL NAME   a goodbye: this node is about to go; absent in a heartbeat
//! ```
//!
//! libcluster matches `%{node: name}` and ignores the other keys, so both kinds of nodes hear each other. The
//! values are binaries under a few constant keys because every atom that a BEAM node decodes stays in its atom
//! table for ever. A goodbye has no `node`, or libcluster would dial who has just left.
//!
//! Read are all four encodings of an atom (100 and 115 in Latin-1, 118 and 119 in UTF-8), compressed terms, keys
//! that are not known with values of any type, and bytes after the term. With `secret` all of it is encrypted:
//! see [`crate::cipher`].

use std::borrow::Cow;

use crate::etf::{EtfError, Reader, VERSION, write_atom, write_binary, write_map};

/// What every heartbeat begins with.
pub(crate) const PREFIX: &[u8] = b"heartbeat::";
/// What a diagnosis sends in place of a heartbeat; its last five bytes are random. libcluster looks at nothing without the
/// prefix and, with a secret, at nothing below 16 bytes.
pub(crate) const PROBE: &[u8; PROBE_BYTES] = b"lc-rs probe....";
/// Its length.
pub(crate) const PROBE_BYTES: usize = 15;
/// Bytes that a datagram of ours has at most: it fits in one packet nearly everywhere, so a lost packet costs one
/// heartbeat and a stranger cannot make routers reassemble.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 1_400;
/// Bytes of a datagram that are read at most, and to which a compressed term is inflated at most.
pub(crate) const DATAGRAM_READ_BYTES_MAX: usize = 8_192;

/// Whether a datagram is such a probe.
pub(crate) fn is_probe(datagram: &[u8]) -> bool {
    datagram.len() == PROBE_BYTES && datagram.get(..PROBE_BYTES - 5) == PROBE.get(..PROBE_BYTES - 5)
}

/// Who a datagram speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// This node is alive.
    Alive(Cow<'a, str>),
    /// This node is about to go.
    Leaving(&'a str),
}

/// A heartbeat or a goodbye. Names are not checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat<'a> {
    /// Who it speaks of.
    pub(crate) subject: Subject<'a>,
    /// The cluster, where it says.
    pub(crate) cluster: Option<&'a str>,
    /// The node's incarnation, where it says.
    pub(crate) incarnation: Option<u64>,
    /// Flat entries; nothing where it says nothing.
    pub(crate) record: &'a [u8],
}

/// Why bytes are not a heartbeat. The datagram is dropped; only its sender can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// It does not begin as a heartbeat does: something else, or encrypted.
    #[error("it does not begin with \"heartbeat::\"")]
    NoPrefix,
    /// What follows is no term, or no map with the right types in it.
    #[error(transparent)]
    Term(#[from] EtfError),
    /// A key occurs twice.
    #[error("a key occurs twice")]
    DoubleKey,
    /// Neither `node` nor `leaving`, or both.
    #[error("it names no node, or says of one that it is there and leaving")]
    NoSubject,
    /// A cluster or leaving node's name is not UTF-8, or an incarnation is not of eight bytes.
    #[error("a value is not valid")]
    BadValue,
}

// === impl Heartbeat ===

impl<'a> Heartbeat<'a> {
    /// Decodes a plain heartbeat. A compressed one is inflated into `scratch`.
    pub(crate) fn decode(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Self, WireError> {
        let term = bytes.strip_prefix(PREFIX).ok_or(WireError::NoPrefix)?;
        let mut reader = Reader::open(term, scratch, DATAGRAM_READ_BYTES_MAX)?;
        let (mut node, mut leaving, mut cluster, mut incarnation, mut record) =
            (None, None, None, None, None);
        for _ in 0..reader.map()? {
            if !reader.at_atom() {
                reader.skip()?;
                reader.skip()?;
                continue;
            }
            let is_double = match reader.atom_bytes()?.0 {
                b"node" => node.replace(reader.atom()?).is_some(),
                b"cluster" => cluster.replace(text(reader.binary()?)?).is_some(),
                b"incarnation" => incarnation.replace(number(reader.binary()?)?).is_some(),
                b"record" => record.replace(reader.binary()?).is_some(),
                b"leaving" => leaving.replace(text(reader.binary()?)?).is_some(),
                _ => {
                    reader.skip()?;
                    false
                }
            };
            if is_double {
                return Err(WireError::DoubleKey);
            }
        }
        let subject = match (node, leaving) {
            (Some(name), None) => Subject::Alive(name),
            (None, Some(name)) => Subject::Leaving(name),
            _ => return Err(WireError::NoSubject),
        };
        Ok(Self { subject, cluster, incarnation, record: record.unwrap_or_default() })
    }

    /// Encodes it, plain.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buffer = PREFIX.to_vec();
        buffer.push(VERSION);
        let pairs = 1
            + u8::from(self.cluster.is_some())
            + u8::from(self.incarnation.is_some())
            + u8::from(!self.record.is_empty());
        write_map(&mut buffer, pairs);
        match &self.subject {
            Subject::Alive(name) => {
                write_atom(&mut buffer, "node");
                write_atom(&mut buffer, name);
            }
            Subject::Leaving(name) => {
                write_atom(&mut buffer, "leaving");
                write_binary(&mut buffer, name.as_bytes());
            }
        }
        if let Some(cluster) = self.cluster {
            write_atom(&mut buffer, "cluster");
            write_binary(&mut buffer, cluster.as_bytes());
        }
        if let Some(incarnation) = self.incarnation {
            write_atom(&mut buffer, "incarnation");
            write_binary(&mut buffer, &incarnation.to_be_bytes());
        }
        if !self.record.is_empty() {
            write_atom(&mut buffer, "record");
            write_binary(&mut buffer, self.record);
        }
        buffer
    }
}

fn text(bytes: &[u8]) -> Result<&str, WireError> {
    str::from_utf8(bytes).map_err(|_error| WireError::BadValue)
}

fn number(bytes: &[u8]) -> Result<u64, WireError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_error| WireError::BadValue)
}

#[cfg(test)]
mod tests;
