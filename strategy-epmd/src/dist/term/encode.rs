//! Writing terms. Atoms are written as OTP 26 does (tags 118 and 119), which every OTP since R16 reads.

use super::{Pid, Reference, Term, VERSION, tag};

impl Term {
    /// The term with the version byte in front.
    pub(crate) fn encode_versioned(&self, buffer: &mut Vec<u8>) {
        buffer.push(VERSION);
        self.encode(buffer);
    }

    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Atom(text) => atom(buffer, text),
            Self::Integer(value) => integer(buffer, *value),
            Self::Tuple(elements) => {
                match u8::try_from(elements.len()) {
                    Ok(arity) => buffer.extend_from_slice(&[tag::SMALL_TUPLE, arity]),
                    Err(_large) => head(buffer, tag::LARGE_TUPLE, elements.len()),
                }
                elements.iter().for_each(|element| element.encode(buffer));
            }
            Self::List(elements) => list(buffer, elements, None),
            Self::Improper(elements, tail) => list(buffer, elements, Some(tail)),
            Self::Text(bytes) => match u16::try_from(bytes.len()) {
                Ok(0) => buffer.push(tag::NIL),
                Ok(length) => {
                    buffer.push(tag::STRING);
                    buffer.extend_from_slice(&length.to_be_bytes());
                    buffer.extend_from_slice(bytes);
                }
                Err(_long) => {
                    head(buffer, tag::LIST, bytes.len());
                    bytes.iter().for_each(|byte| buffer.extend_from_slice(&[tag::SMALL_INTEGER, *byte]));
                    buffer.push(tag::NIL);
                }
            },
            Self::Binary(bytes) => {
                head(buffer, tag::BINARY, bytes.len());
                buffer.extend_from_slice(bytes);
            }
            Self::Pid(pid) => pid.encode(buffer),
            Self::Reference(reference) => reference.encode(buffer),
            Self::Other(bytes) => buffer.extend_from_slice(bytes),
        }
    }
}

impl Pid {
    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.push(tag::NEW_PID);
        atom(buffer, &self.node);
        for number in [self.id, self.serial, self.creation] {
            buffer.extend_from_slice(&number.to_be_bytes());
        }
    }
}

impl Reference {
    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.push(tag::NEWER_REFERENCE);
        let words = u16::try_from(self.words.len()).unwrap_or(u16::MAX);
        buffer.extend_from_slice(&words.to_be_bytes());
        atom(buffer, &self.node);
        buffer.extend_from_slice(&self.creation.to_be_bytes());
        self.words.iter().for_each(|word| buffer.extend_from_slice(&word.to_be_bytes()));
    }
}

fn atom(buffer: &mut Vec<u8>, text: &str) {
    if let Ok(length) = u8::try_from(text.len()) {
        buffer.extend_from_slice(&[tag::SMALL_ATOM_UTF8, length]);
    } else {
        // Atoms have at most 255 characters of four bytes.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        buffer.push(tag::ATOM_UTF8);
        buffer.extend_from_slice(&length.to_be_bytes());
    }
    buffer.extend_from_slice(text.as_bytes());
}

fn integer(buffer: &mut Vec<u8>, value: i64) {
    if let Ok(small) = u8::try_from(value) {
        buffer.extend_from_slice(&[tag::SMALL_INTEGER, small]);
    } else if let Ok(word) = i32::try_from(value) {
        buffer.push(tag::INTEGER);
        buffer.extend_from_slice(&word.to_be_bytes());
    } else {
        buffer.extend_from_slice(&[tag::SMALL_BIG, 8, u8::from(value < 0)]);
        buffer.extend_from_slice(&value.unsigned_abs().to_le_bytes());
    }
}

fn list(buffer: &mut Vec<u8>, elements: &[Term], tail: Option<&Term>) {
    if !elements.is_empty() {
        head(buffer, tag::LIST, elements.len());
        elements.iter().for_each(|element| element.encode(buffer));
    }
    match tail {
        Some(tail) => tail.encode(buffer),
        None => buffer.push(tag::NIL),
    }
}

fn head(buffer: &mut Vec<u8>, tag: u8, count: usize) {
    buffer.push(tag);
    // Nothing that we write has four thousand million of anything.
    buffer.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}
