//! The content of a plugin file: its hash, and a copy of it that nobody can change any more.
//!
//! ```text
//! file --copy--> memfd --seal--> hash, ELF, handshake, dlopen: all of these bytes
//! ```
//!
//! A file is open to whoever may write to it for as long as it is used, so where a configuration says which content
//! is meant, it is copied before anything is looked at. The kernel lets nobody write to a sealed copy, not even us.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek as _},
    os::unix::fs::FileExt as _,
    str::FromStr,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

use super::{inspect::PLUGIN_BYTES_MAX, refusal::Reason};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
const HASH_BYTES: usize = 32;

/// The SHA-256 of a content: 64 hexadecimal digits.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::ContentHash;
///
/// let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// let hash: ContentHash = text.to_uppercase().parse()?;
/// assert_eq!(hash.to_string(), text);
/// assert!("ba7816bf".parse::<ContentHash>().is_err(), "the beginning of a hash is none");
/// # Ok::<(), cluster_host::plugin::NotAHash>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; HASH_BYTES]);

/// Not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no SHA-256: write its 64 hexadecimal digits")]
pub struct NotAHash(String);

/// Copies a file to memory and seals the copy.
pub(super) fn seal(mut file: &File) -> Result<File, Reason> {
    let mut copy: File = memfd().map_err(|error| Reason::NoPrivateCopy(error.into()))?.into();
    file.rewind().map_err(Reason::Unreadable)?;
    let copied = io::copy(&mut file.take(PLUGIN_BYTES_MAX + 1), &mut copy).map_err(Reason::Unreadable)?;
    if copied > PLUGIN_BYTES_MAX {
        return Err(Reason::TooLarge { bytes: copied });
    }
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals).map_err(|error| Reason::NoPrivateCopy(error.into()))?;
    Ok(copy)
}

/// An empty file in memory. Nobody executes it, so it is made without the right to: that is allowed where
/// `vm.memfd_noexec` forbids the rest, and does not keep the dynamic loader from mapping it.
fn memfd() -> Result<rustix::fd::OwnedFd, Errno> {
    const NAME: &str = "cluster-host-plugin";
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know of it.
        Err(Errno::INVAL) => memfd_create(NAME, flags),
        made => made,
    }
}

/// Gives the content to each, from the beginning.
pub(super) fn read_chunks(file: &File, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let (mut chunk, mut at) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let read = match file.read_at(&mut chunk, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        each(bytes);
        at += bytes.len() as u64;
    }
}

// === impl ContentHash ===

impl ContentHash {
    /// That of a file, all of which is read.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        read_chunks(file, |bytes| hasher.update(bytes))?;
        Ok(Self(hasher.finalize().into()))
    }
}

impl FromStr for ContentHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut hash = [0; HASH_BYTES];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != HASH_BYTES || !rest.is_empty() {
            return Err(NotAHash(text.to_owned()));
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                return Err(NotAHash(text.to_owned()));
            };
            *byte = high << 4 | low;
        }
        Ok(Self(hash))
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// The hash is SHA-256 (FIPS 180-4, its first example), reads as it is written, and nothing else is one.
    #[test]
    fn hashes() {
        let hash = ContentHash::of(&file(b"abc")).unwrap();
        assert_eq!(hash.to_string(), ABC);
        assert_eq!(ABC.to_uppercase().parse::<ContentHash>().unwrap(), hash);
        for bad in [
            "",
            "abc",
            &format!("{ABC}0"),
            &format!("{ABC}00"),
            &ABC.replace('b', "g"),
            &ABC.replace('b', "é"),
        ] {
            bad.parse::<ContentHash>().unwrap_err();
        }
    }

    /// A sealed copy has the bytes of its file, however many, and cannot be changed by any way of writing.
    #[test]
    fn sealed_for_ever() {
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 17).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let original = file(&bytes);
        let mut copy = seal(&original).unwrap();
        let mut read = Vec::new();
        read_chunks(&copy, |chunk| read.extend_from_slice(chunk)).unwrap();
        assert!(read == bytes);
        assert_eq!(ContentHash::of(&copy).unwrap(), ContentHash::of(&original).unwrap());

        original.write_all_at(b"changed", 0).unwrap();
        copy.rewind().unwrap();
        copy.write_all(b"changed").unwrap_err();
        copy.set_len(1).unwrap_err();
        copy.set_len(1 << 20).unwrap_err();
        fcntl_add_seals(&copy, SealFlags::empty()).unwrap_err();
        // Opened again it is as closed as before.
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
        if let Ok(mut again) = File::options().write(true).open(&name) {
            again.write_all(b"changed").unwrap_err();
        }
        assert_ne!(ContentHash::of(&copy).unwrap(), ContentHash::of(&original).unwrap());
    }
}
