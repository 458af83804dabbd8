//! Reading terms.

use super::{DEPTH_MAX, Pid, REFERENCE_WORDS_MAX, Reference, TERMS_MAX, Term, VERSION, tag};
use crate::wire::{Bytes, Truncated};

/// Why bytes are no term. Nothing was allocated beyond what they hold; whoever sent them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TermError {
    /// They end too early, or a count is greater than what is left.
    #[error("a term is cut off")]
    Truncated,
    /// The first byte is not 131.
    #[error("a term of version {0}")]
    Version(u8),
    /// A tag that is not known here.
    #[error("a term with the unknown tag {0}")]
    Tag(u8),
    /// Terms within terms beyond [`DEPTH_MAX`].
    #[error("a term is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// More than [`TERMS_MAX`].
    #[error("a message of more than {TERMS_MAX} terms")]
    TooMany,
    /// An atom that is not UTF-8, or a reference of too many words.
    #[error("an atom or reference that is not valid")]
    Malformed,
}

/// Reads a term and what follows it.
///
/// # Errors
/// [`TermError`].
pub(crate) fn decode(bytes: &[u8]) -> Result<(Term, &[u8]), TermError> {
    let mut reader = Reader { bytes: Bytes::new(bytes), terms: 0 };
    match reader.bytes.u8()? {
        VERSION => {}
        other => return Err(TermError::Version(other)),
    }
    let term = reader.term(0)?;
    Ok((term, reader.bytes.rest()))
}

struct Reader<'a> {
    bytes: Bytes<'a>,
    terms: usize,
}

impl From<Truncated> for TermError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn term(&mut self, depth: usize) -> Result<Term, TermError> {
        if depth > DEPTH_MAX {
            return Err(TermError::TooDeep);
        }
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(TermError::TooMany);
        }
        let before = self.bytes;
        let tag = self.bytes.u8()?;
        match tag {
            tag::SMALL_INTEGER => Ok(Term::Integer(self.bytes.u8()?.into())),
            tag::INTEGER => Ok(Term::Integer(i32::from_be_bytes(self.bytes.array()?).into())),
            tag::SMALL_BIG => self.small_big(before),
            tag::SMALL_TUPLE => {
                let arity = self.bytes.u8()?.into();
                Ok(Term::Tuple(self.sequence(arity, depth)?))
            }
            tag::LARGE_TUPLE => {
                let arity = self.bytes.length()?;
                Ok(Term::Tuple(self.sequence(arity, depth)?))
            }
            tag::NIL => Ok(Term::List(Vec::new())),
            tag::STRING => {
                let length = self.bytes.u16()?.into();
                Ok(Term::Text(self.bytes.take(length)?.to_vec()))
            }
            tag::LIST => {
                let length = self.bytes.length()?;
                let elements = self.sequence(length, depth)?;
                match self.term(depth + 1)? {
                    Term::List(tail) if tail.is_empty() => Ok(Term::List(elements)),
                    tail => Ok(Term::Improper(elements, Box::new(tail))),
                }
            }
            tag::BINARY => {
                let length = self.bytes.length()?;
                Ok(Term::Binary(self.bytes.take(length)?.to_vec()))
            }
            tag::NEW_PID => Ok(Term::Pid(self.pid()?)),
            tag::NEWER_REFERENCE => Ok(Term::Reference(self.reference()?)),
            tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 => {
                self.bytes = before;
                Ok(Term::Atom(self.atom()?))
            }
            _ => {
                self.skip(tag, depth)?;
                let skipped = before.len().saturating_sub(self.bytes.len());
                Ok(Term::Other(before.rest().get(..skipped).unwrap_or_default().to_vec()))
            }
        }
    }

    /// Each element takes a byte at least: a count beyond what is left is a lie, and no memory is taken by it.
    fn sequence(&mut self, count: usize, depth: usize) -> Result<Vec<Term>, TermError> {
        if count > self.bytes.len() {
            return Err(TermError::Truncated);
        }
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.term(depth + 1)?);
        }
        Ok(elements)
    }

    fn atom(&mut self) -> Result<String, TermError> {
        let tag = self.bytes.u8()?;
        let length = match tag {
            tag::ATOM | tag::ATOM_UTF8 => self.bytes.u16()?.into(),
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => self.bytes.u8()?.into(),
            other => return Err(TermError::Tag(other)),
        };
        let bytes = self.bytes.take(length)?;
        if matches!(tag, tag::ATOM | tag::SMALL_ATOM) {
            return Ok(bytes.iter().copied().map(char::from).collect());
        }
        String::from_utf8(bytes.to_vec()).map_err(|_not_utf8| TermError::Malformed)
    }

    fn pid(&mut self) -> Result<Pid, TermError> {
        let node = self.atom()?;
        let (id, serial, creation) = (self.bytes.u32()?, self.bytes.u32()?, self.bytes.u32()?);
        Ok(Pid { node, id, serial, creation })
    }

    fn reference(&mut self) -> Result<Reference, TermError> {
        let count = usize::from(self.bytes.u16()?);
        if count > REFERENCE_WORDS_MAX {
            return Err(TermError::Malformed);
        }
        let node = self.atom()?;
        let creation = self.bytes.u32()?;
        let words = (0..count).map(|_| self.bytes.u32()).collect::<Result<_, _>>()?;
        Ok(Reference { node, creation, words })
    }

    /// Of eight bytes at most it is a number here; a greater one is passed on as it is.
    fn small_big(&mut self, before: Bytes<'a>) -> Result<Term, TermError> {
        let length = usize::from(self.bytes.u8()?);
        let is_negative = self.bytes.u8()? != 0;
        let digits = self.bytes.take(length)?;
        let value = digits.iter().rev().try_fold(0_i128, |value, digit| {
            value.checked_mul(256).and_then(|value| value.checked_add(i128::from(*digit)))
        });
        let value = value.map(|value| if is_negative { -value } else { value });
        if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
            return Ok(Term::Integer(value));
        }
        Ok(Term::Other(before.rest().get(..length.saturating_add(3)).unwrap_or_default().to_vec()))
    }

    /// Goes past a term of a type that is only passed on.
    fn skip(&mut self, tag: u8, depth: usize) -> Result<(), TermError> {
        match tag {
            70 => self.past(8),  // NEW_FLOAT
            99 => self.past(31), // FLOAT
            77 | 111 => {
                // BIT_BINARY and LARGE_BIG: a byte of bits or sign before the data
                let length = self.bytes.length()?;
                self.past(1)?;
                self.past(length)
            }
            112 => {
                // NEW_FUN: the size counts its own four bytes
                let size = self.bytes.length()?;
                self.past(size.checked_sub(4).ok_or(TermError::Truncated)?)
            }
            113 => (0..3).try_for_each(|_| self.term(depth + 1).map(drop)), // EXPORT
            tag::MAP => {
                let pairs = self.bytes.length()?;
                let count = pairs.checked_mul(2).filter(|count| *count <= self.bytes.len());
                let count = count.ok_or(TermError::Truncated)?;
                (0..count).try_for_each(|_| self.term(depth + 1).map(drop))
            }
            // REFERENCE and PORT, PID, NEW_PORT, V4_PORT: an atom, then numbers
            101 | 102 => self.past_identifier(5),
            103 => self.past_identifier(9),
            89 => self.past_identifier(8),
            120 => self.past_identifier(12),
            // NEW_REFERENCE: a count, an atom, a byte of creation, the words
            114 => {
                let words = usize::from(self.bytes.u16()?);
                self.past_identifier(words.saturating_mul(4).saturating_add(1))
            }
            other => Err(TermError::Tag(other)),
        }
    }

    fn past_identifier(&mut self, numbers: usize) -> Result<(), TermError> {
        self.atom()?;
        self.past(numbers)
    }

    fn past(&mut self, length: usize) -> Result<(), TermError> {
        self.bytes.take(length)?;
        Ok(())
    }
}
