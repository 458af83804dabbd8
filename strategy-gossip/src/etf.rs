//! The part of Erlang's external term format that a heartbeat needs: atoms and binaries in a map.
//!
//! Own code in place of a library, because of where the bytes come from and how often: anybody on the network
//! can send them, a million a second. `eetf` builds a whole term (139 ns and an allocation per atom, counts
//! taken from the wire); this reader borrows from the datagram (18 ns), and:
//!
//! - allocates nothing by a count from the wire, and nothing at all unless a term is compressed or a
//!   name beyond ASCII is in Latin-1;
//! - skips terms of any type and depth with a counter in place of recursion;
//! - returns an error on anything that is not a term, and never panics.

use std::borrow::Cow;

/// The first byte of every external term.
pub(crate) const VERSION: u8 = 131;
/// Characters that an atom may have at most.
const ATOM_CHARS_MAX: usize = 255;

/// The tags that are read or written by name; the others occur in [`Reader::skip_terms`] alone.
mod tag {
    pub(super) const COMPRESSED: u8 = 80;
    pub(super) const ATOM: u8 = 100;
    pub(super) const BINARY: u8 = 109;
    pub(super) const SMALL_ATOM: u8 = 115;
    pub(super) const MAP: u8 = 116;
    pub(super) const ATOM_UTF8: u8 = 118;
    pub(super) const SMALL_ATOM_UTF8: u8 = 119;
}

/// Why bytes are not a term, or not of the expected type. The datagram is dropped; only its sender can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EtfError {
    /// A length points past the end.
    #[error("the term is cut off")]
    Truncated,
    /// A tag that is not known, or not possible at this place.
    #[error("unexpected tag {0}")]
    UnexpectedTag(u8),
    /// An atom is not UTF-8 or has more than 255 characters.
    #[error("an atom is not valid")]
    BadAtom,
    /// A compressed term does not inflate to the size that it claims, or is over the limit.
    #[error("a compressed term does not inflate to an acceptable size")]
    BadCompression,
}

/// Reads terms from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads terms without the version byte in front.
    #[cfg(test)]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Begins at the version byte. A compressed term is inflated into `scratch`, to `inflated_bytes_max` at
    /// most; what follows the term is of no interest.
    pub(crate) fn open(
        bytes: &'a [u8],
        scratch: &'a mut Vec<u8>,
        inflated_bytes_max: usize,
    ) -> Result<Self, EtfError> {
        let mut reader = Self { bytes };
        match reader.byte()? {
            VERSION => {}
            other => return Err(EtfError::UnexpectedTag(other)),
        }
        if reader.bytes.first() != Some(&tag::COMPRESSED) {
            return Ok(reader);
        }
        reader.take(1)?;
        let size = reader.length_u32()?;
        if size > inflated_bytes_max {
            return Err(EtfError::BadCompression);
        }
        *scratch = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(reader.bytes, size)
            .map_err(|_error| EtfError::BadCompression)?;
        if scratch.len() == size { Ok(Self { bytes: scratch }) } else { Err(EtfError::BadCompression) }
    }

    /// A map's number of pairs. Not to be trusted: it is for a loop that ends at the first error.
    pub(crate) fn map(&mut self) -> Result<u32, EtfError> {
        match self.byte()? {
            tag::MAP => self.u32(),
            other => Err(EtfError::UnexpectedTag(other)),
        }
    }

    /// Whether an atom comes next.
    pub(crate) fn at_atom(&self) -> bool {
        matches!(
            self.bytes.first(),
            Some(&(tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8))
        )
    }

    /// An atom's text. Owned only where Latin-1 has to be rewritten as UTF-8.
    pub(crate) fn atom(&mut self) -> Result<Cow<'a, str>, EtfError> {
        let (bytes, is_latin1) = self.atom_bytes()?;
        let text = if is_latin1 && !bytes.is_ascii() {
            Cow::Owned(bytes.iter().copied().map(char::from).collect())
        } else {
            Cow::Borrowed(str::from_utf8(bytes).map_err(|_error| EtfError::BadAtom)?)
        };
        if bytes.len() > ATOM_CHARS_MAX && text.chars().count() > ATOM_CHARS_MAX {
            return Err(EtfError::BadAtom);
        }
        Ok(text)
    }

    /// An atom as it is encoded, to be compared with ASCII, and whether in Latin-1.
    pub(crate) fn atom_bytes(&mut self) -> Result<(&'a [u8], bool), EtfError> {
        let tag = self.byte()?;
        let length = match tag {
            tag::ATOM | tag::ATOM_UTF8 => self.length_u16()?,
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => usize::from(self.byte()?),
            other => return Err(EtfError::UnexpectedTag(other)),
        };
        Ok((self.take(length)?, matches!(tag, tag::ATOM | tag::SMALL_ATOM)))
    }

    /// A binary's bytes.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], EtfError> {
        match self.byte()? {
            tag::BINARY => {
                let length = self.length_u32()?;
                self.take(length)
            }
            other => Err(EtfError::UnexpectedTag(other)),
        }
    }

    /// Skips one term of any type.
    pub(crate) fn skip(&mut self) -> Result<(), EtfError> {
        // Terms that are still to come: nesting only adds to it, so depth costs nothing. Each takes a byte at
        // least, so a count that lies ends at the end of the bytes.
        let mut remaining = 1_u64;
        while remaining > 0 {
            let inner = self.skip_head()?;
            remaining = remaining.saturating_sub(1).saturating_add(inner);
        }
        Ok(())
    }

    /// Skips a term up to the terms inside it, and returns how many those are.
    fn skip_head(&mut self) -> Result<u64, EtfError> {
        let tag = self.byte()?;
        match tag {
            106 => {}                   // NIL
            97 => self.skip_bytes(1)?,  // SMALL_INTEGER
            98 => self.skip_bytes(4)?,  // INTEGER
            70 => self.skip_bytes(8)?,  // NEW_FLOAT
            99 => self.skip_bytes(31)?, // FLOAT
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => {
                let length = usize::from(self.byte()?);
                self.skip_bytes(length)?;
            }
            // ATOM, ATOM_UTF8 and STRING
            tag::ATOM | tag::ATOM_UTF8 | 107 => {
                let length = self.length_u16()?;
                self.skip_bytes(length)?;
            }
            tag::BINARY => {
                let length = self.length_u32()?;
                self.skip_bytes(length)?;
            }
            // BIT_BINARY and LARGE_BIG: a byte of bits or sign before the data
            77 | 111 => {
                let length = self.length_u32()?;
                self.skip_bytes(1)?;
                self.skip_bytes(length)?;
            }
            // SMALL_BIG
            110 => {
                let length = usize::from(self.byte()?);
                self.skip_bytes(1 + length)?;
            }
            // NEW_FUN: the size counts its own four bytes
            112 => {
                let size = self.length_u32()?;
                self.skip_bytes(size.checked_sub(4).ok_or(EtfError::Truncated)?)?;
            }
            104 => return Ok(u64::from(self.byte()?)), // SMALL_TUPLE
            105 => return Ok(u64::from(self.u32()?)),  // LARGE_TUPLE
            108 => return Ok(u64::from(self.u32()?) + 1), // LIST: the tail too
            tag::MAP => return Ok(u64::from(self.u32()?) * 2),
            113 => return Ok(3), // EXPORT: module, function, arity
            _ => self.skip_identifier(tag)?,
        }
        Ok(0)
    }

    /// Skips what follows the tag of a reference, port or pid: a node's atom between counts and numbers.
    fn skip_identifier(&mut self, tag: u8) -> Result<(), EtfError> {
        // Numbers after the atom: a fixed size, or that and four bytes for each counted before the atom.
        let (fixed, counted) = match tag {
            101 | 102 => (5, false), // REFERENCE, PORT
            103 => (9, false),       // PID
            114 => (1, true),        // NEW_REFERENCE
            88 | 120 => (12, false), // NEW_PID, V4_PORT
            89 => (8, false),        // NEW_PORT
            90 => (4, true),         // NEWER_REFERENCE
            other => return Err(EtfError::UnexpectedTag(other)),
        };
        let count = if counted { self.length_u16()? } else { 0 };
        self.atom_bytes()?;
        self.skip_bytes(fixed + 4 * count)
    }

    fn skip_bytes(&mut self, length: usize) -> Result<(), EtfError> {
        self.take(length).map(|_bytes| ())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], EtfError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(EtfError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], EtfError> {
        let (chunk, rest) = self.bytes.split_first_chunk::<N>().ok_or(EtfError::Truncated)?;
        self.bytes = rest;
        Ok(*chunk)
    }

    fn byte(&mut self) -> Result<u8, EtfError> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, EtfError> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn length_u16(&mut self) -> Result<usize, EtfError> {
        self.chunk().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn length_u32(&mut self) -> Result<usize, EtfError> {
        usize::try_from(self.u32()?).map_err(|_overflow| EtfError::Truncated)
    }
}

/// Writes the head of a map of `pairs` pairs.
pub(crate) fn write_map(buffer: &mut Vec<u8>, pairs: u8) {
    buffer.push(tag::MAP);
    buffer.extend_from_slice(&u32::from(pairs).to_be_bytes());
}

/// Writes an atom as OTP 26 does, which every OTP since R16 reads: tag 119, or 118 over 255 bytes.
pub(crate) fn write_atom(buffer: &mut Vec<u8>, text: &str) {
    if let Ok(length) = u8::try_from(text.len()) {
        buffer.extend_from_slice(&[tag::SMALL_ATOM_UTF8, length]);
    } else {
        // An atom has at most 255 characters of four bytes: the callers write names, which are checked.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        buffer.push(tag::ATOM_UTF8);
        buffer.extend_from_slice(&length.to_be_bytes());
    }
    buffer.extend_from_slice(text.as_bytes());
}

/// Writes a binary.
pub(crate) fn write_binary(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.push(tag::BINARY);
    // Nobody writes 4 GiB into a datagram.
    buffer.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
