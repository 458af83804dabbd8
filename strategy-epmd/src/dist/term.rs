//! Terms: the part of Erlang's external term format that a node needs to be asked and to answer.
//!
//! What is only passed on (maps, floats, funs, ports, big numbers) keeps its encoding. Decoding is bounded by
//! [`DEPTH_MAX`], [`TERMS_MAX`] and the bytes that are there; a count from the wire is never allocated by.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

pub(crate) use self::decode::{TermError, decode};

/// The byte in front of each term.
pub(crate) const VERSION: u8 = 131;
/// How deep terms may be nested.
pub(crate) const DEPTH_MAX: usize = 64;
/// Terms in one message at most: the names of 200,000 nodes fit twice.
pub(crate) const TERMS_MAX: usize = 500_000;
/// Words of a reference at most (OTP 24 and newer: five).
const REFERENCE_WORDS_MAX: usize = 5;
/// Characters that the text of a term is cut to.
const TEXT_CHARS_MAX: usize = 300;

/// A term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Term {
    Atom(String),
    Integer(i64),
    Tuple(Vec<Self>),
    /// A proper list.
    List(Vec<Self>),
    /// A list with something else than `[]` at its end, as newer processes tag their calls.
    Improper(Vec<Self>, Box<Self>),
    /// A list of bytes: Erlang's strings.
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pid(Pid),
    Reference(Reference),
    /// Of another type, as it was encoded.
    Other(Vec<u8>),
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pid {
    pub(crate) node: String,
    pub(crate) id: u32,
    pub(crate) serial: u32,
    pub(crate) creation: u32,
}

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    pub(crate) node: String,
    pub(crate) creation: u32,
    pub(crate) words: Vec<u32>,
}

/// The tags of the format that are read or written by name.
mod tag {
    pub(super) const SMALL_INTEGER: u8 = 97;
    pub(super) const INTEGER: u8 = 98;
    pub(super) const ATOM: u8 = 100;
    pub(super) const SMALL_TUPLE: u8 = 104;
    pub(super) const LARGE_TUPLE: u8 = 105;
    pub(super) const NIL: u8 = 106;
    pub(super) const STRING: u8 = 107;
    pub(super) const LIST: u8 = 108;
    pub(super) const BINARY: u8 = 109;
    pub(super) const SMALL_BIG: u8 = 110;
    pub(super) const SMALL_ATOM: u8 = 115;
    pub(super) const MAP: u8 = 116;
    pub(super) const ATOM_UTF8: u8 = 118;
    pub(super) const SMALL_ATOM_UTF8: u8 = 119;
    pub(super) const NEW_PID: u8 = 88;
    pub(super) const NEWER_REFERENCE: u8 = 90;
}

// === impl Term ===

impl Term {
    pub(crate) fn atom(text: &str) -> Self {
        Self::Atom(text.to_owned())
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }

    pub(crate) fn is_atom(&self, text: &str) -> bool {
        self.as_atom() == Some(text)
    }

    pub(crate) fn as_atom(&self) -> Option<&str> {
        match self {
            Self::Atom(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_tuple(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a proper list of terms; a string has none that matter here.
    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }
}

impl fmt::Display for Term {
    /// For people, much as `~w` shows it, cut where it is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text, DEPTH_MAX);
        match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => write!(f, "{}…", text.get(..end).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}

impl Term {
    fn write(&self, text: &mut String, depth: usize) {
        if text.len() > TEXT_CHARS_MAX * 4 || depth == 0 {
            text.push('…');
            return;
        }
        let inner = |text: &mut String, elements: &[Self]| {
            for (number, element) in elements.iter().enumerate() {
                if number > 0 {
                    text.push(',');
                }
                element.write(text, depth - 1);
                if text.len() > TEXT_CHARS_MAX * 4 {
                    return;
                }
            }
        };
        match self {
            Self::Atom(atom) => text.push_str(atom),
            Self::Integer(value) => put(text, format_args!("{value}")),
            Self::Tuple(elements) => {
                text.push('{');
                inner(text, elements);
                text.push('}');
            }
            Self::List(elements) => {
                text.push('[');
                inner(text, elements);
                text.push(']');
            }
            Self::Improper(elements, tail) => {
                text.push('[');
                inner(text, elements);
                text.push('|');
                tail.write(text, depth - 1);
                text.push(']');
            }
            Self::Text(bytes) | Self::Binary(bytes) => {
                let shown = bytes.get(..TEXT_CHARS_MAX).unwrap_or(bytes);
                put(text, format_args!("{:?}", String::from_utf8_lossy(shown)));
            }
            Self::Pid(pid) => put(text, format_args!("<{}:{}.{}>", pid.node, pid.id, pid.serial)),
            Self::Reference(_) => text.push_str("#Ref"),
            Self::Other(_) => text.push_str("#Term"),
        }
    }
}

fn put(text: &mut String, piece: fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    text.write_fmt(piece).unwrap_or_default();
}
