//! The messages of the handshake, version 6, without the length in front.
//!
//! ```text
//!  A (dials)                          B (accepts)
//!    N flags creation name  --------->
//!                           <---------  s status           ok | ok_simultaneous | nok | not_allowed | alive | named:…
//!    s true | false         --------->                     after alive only
//!                           <---------  N flags challenge creation name
//!    r challenge digest     --------->
//!                           <---------  a digest
//! ```
//!
//! A digest is the MD5 of the cookie followed by the other side's challenge in decimal.

#[cfg(test)]
mod tests;

use md5::{Digest as _, Md5};

use super::flags::Flags;
use crate::wire::{Bytes, Truncated};

/// Bytes of a message of the handshake at most: a name of 255 characters and some numbers.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2_048;

/// MD5 of cookie and challenge.
pub(crate) type Proof = [u8; 16];

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Name { flags: Flags, creation: u32, name: String },
    Status(Status),
    Challenge { flags: Flags, challenge: u32, creation: u32, name: String },
    Reply { challenge: u32, digest: Proof },
    Ack { digest: Proof },
}

/// How the accepting node takes the dialling one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    /// As `Ok`; the accepting node has given up its own dial of us.
    OkSimultaneous,
    /// The accepting node dials us itself and goes on with that; or our name is its own.
    Nok,
    /// It does not let this node in.
    NotAllowed,
    /// It has a link of this name already. What follows is whether that one is dead.
    Alive,
    /// It gave us a name.
    Named {
        name: String,
        creation: u32,
    },
    /// The answer to `Alive`.
    IsDead(bool),
}

/// Why bytes are no message of the handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("a message of the handshake is cut off")]
    Truncated,
    #[error("a message of the handshake of unknown kind {0}")]
    Unknown(u8),
    /// OTP 22 and older.
    #[error("it speaks the handshake of OTP 22 or older; OTP 23 is the oldest that is supported")]
    TooOld,
    #[error("unknown status {0:?}")]
    UnknownStatus(String),
    #[error("a name that is not UTF-8 or no name")]
    Name,
}

impl From<Truncated> for MessageError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

/// The proof that the cookie is known.
pub(crate) fn proof(cookie: &[u8], challenge: u32) -> Proof {
    let mut hasher = Md5::new();
    hasher.update(cookie);
    hasher.update(challenge.to_string());
    hasher.finalize().into()
}

/// Compares in a time that does not depend on where they differ.
pub(crate) fn is_equal(a: &Proof, b: &Proof) -> bool {
    a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

// === impl Message ===

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Name { flags, creation, name } => {
                bytes.push(b'N');
                bytes.extend_from_slice(&flags.0.to_be_bytes());
                bytes.extend_from_slice(&creation.to_be_bytes());
                put_name(&mut bytes, name);
            }
            Self::Status(status) => {
                bytes.push(b's');
                status.encode(&mut bytes);
            }
            Self::Challenge { flags, challenge, creation, name } => {
                bytes.push(b'N');
                bytes.extend_from_slice(&flags.0.to_be_bytes());
                bytes.extend_from_slice(&challenge.to_be_bytes());
                bytes.extend_from_slice(&creation.to_be_bytes());
                put_name(&mut bytes, name);
            }
            Self::Reply { challenge, digest } => {
                bytes.push(b'r');
                bytes.extend_from_slice(&challenge.to_be_bytes());
                bytes.extend_from_slice(digest);
            }
            Self::Ack { digest } => {
                bytes.push(b'a');
                bytes.extend_from_slice(digest);
            }
        }
        bytes
    }

    /// The first message, of who dials.
    pub(crate) fn decode_name(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut bytes = Bytes::new(bytes);
        match bytes.u8()? {
            b'N' => {}
            b'n' => return Err(MessageError::TooOld),
            other => return Err(MessageError::Unknown(other)),
        }
        let (flags, creation) = (Flags(bytes.u64()?), bytes.u32()?);
        Ok(Self::Name { flags, creation, name: take_name(&mut bytes)? })
    }

    /// The challenge has the letter of the first message.
    pub(crate) fn decode_challenge(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut bytes = Bytes::new(bytes);
        match bytes.u8()? {
            b'N' => {}
            b'n' => return Err(MessageError::TooOld),
            other => return Err(MessageError::Unknown(other)),
        }
        let flags = Flags(bytes.u64()?);
        let (challenge, creation) = (bytes.u32()?, bytes.u32()?);
        Ok(Self::Challenge { flags, challenge, creation, name: take_name(&mut bytes)? })
    }

    /// Any of the others.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut bytes = Bytes::new(bytes);
        match bytes.u8()? {
            b's' => Status::decode(bytes.rest()).map(Self::Status),
            b'r' => Ok(Self::Reply { challenge: bytes.u32()?, digest: bytes.array()? }),
            b'a' => Ok(Self::Ack { digest: bytes.array()? }),
            other => Err(MessageError::Unknown(other)),
        }
    }
}

// === impl Status ===

const NAMED: &[u8] = b"named:";

impl Status {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let word = match self {
            Self::Ok => "ok",
            Self::OkSimultaneous => "ok_simultaneous",
            Self::Nok => "nok",
            Self::NotAllowed => "not_allowed",
            Self::Alive => "alive",
            Self::IsDead(true) => "true",
            Self::IsDead(false) => "false",
            Self::Named { name, creation } => {
                bytes.extend_from_slice(NAMED);
                put_name(bytes, name);
                bytes.extend_from_slice(&creation.to_be_bytes());
                return;
            }
        };
        bytes.extend_from_slice(word.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if let Some(named) = bytes.strip_prefix(NAMED) {
            let mut named = Bytes::new(named);
            let name = take_name(&mut named)?;
            return Ok(Self::Named { name, creation: named.u32()? });
        }
        match bytes {
            b"ok" => Ok(Self::Ok),
            b"ok_simultaneous" => Ok(Self::OkSimultaneous),
            b"nok" => Ok(Self::Nok),
            b"not_allowed" => Ok(Self::NotAllowed),
            b"alive" => Ok(Self::Alive),
            b"true" => Ok(Self::IsDead(true)),
            b"false" => Ok(Self::IsDead(false)),
            other => {
                let shown = other.get(..64).unwrap_or(other);
                Err(MessageError::UnknownStatus(String::from_utf8_lossy(shown).into_owned()))
            }
        }
    }
}

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    // Names have at most 255 characters of four bytes.
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
}

fn take_name(bytes: &mut Bytes<'_>) -> Result<String, MessageError> {
    let length = bytes.u16()?.into();
    let name = bytes.take(length)?;
    // Nodes before OTP 26 write names in Latin-1.
    let name = match str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_latin1) => name.iter().copied().map(char::from).collect(),
    };
    if name.is_empty() || name.contains(char::is_control) { Err(MessageError::Name) } else { Ok(name) }
}
