//! Encryption as libcluster does it with `secret`.
//!
//! ```text
//! 16 bytes IV, random | AES-256-CBC of the whole heartbeat, PKCS#7, key = SHA-256(secret)
//! ```
//!
//! No salt, no MAC, no protection from replay: this is what real libcluster nodes understand, and it keeps
//! honest neighbours apart rather than a determined attacker out. Who needs more limits who can send at all.
//!
//! Stricter than libcluster where no real node would notice: bytes after the last whole block, which libcluster
//! drops, and a padding byte of 0, which it accepts, are refused here.

use std::fmt;

use aes::{Aes256Dec, Aes256Enc};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit, block_padding::Pkcs7};
use sha2::{Digest, Sha256};

use crate::wire::PREFIX;

/// Bytes of a block, and of the IV.
pub(crate) const BLOCK_BYTES: usize = 16;
/// The IV and two blocks: no heartbeat fits in one.
pub(crate) const SEALED_BYTES_MIN: usize = 3 * BLOCK_BYTES;

/// The secret in the form in which it is used. The secret itself is not kept beyond what tells a change.
pub(crate) struct Cipher {
    key: [u8; 32],
    encryptor: Aes256Enc,
    decryptor: Aes256Dec,
}

// === impl Cipher ===

impl Cipher {
    /// The cipher for a secret; an empty one encrypts too, as in libcluster.
    pub(crate) fn new(secret: &str) -> Self {
        let key: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        Self { key, encryptor: Aes256Enc::new(&key.into()), decryptor: Aes256Dec::new(&key.into()) }
    }

    /// Bytes that `plain_bytes` have once sealed: the padding adds 1 to 16.
    pub(crate) fn sealed_bytes(plain_bytes: usize) -> usize {
        BLOCK_BYTES + (plain_bytes / BLOCK_BYTES + 1) * BLOCK_BYTES
    }

    /// Encrypts. The IV must be random and new: equal ones show which heartbeats begin alike.
    pub(crate) fn seal(&self, plain: &[u8], iv: [u8; BLOCK_BYTES]) -> Vec<u8> {
        let encryptor = cbc::Encryptor::inner_iv_init(self.encryptor.clone(), &iv.into());
        let mut sealed = iv.to_vec();
        sealed.extend(encryptor.encrypt_padded_vec::<Pkcs7>(plain));
        sealed
    }

    /// Decrypts in place. Nothing where the bytes are not a heartbeat under this secret; garbage costs one
    /// block, because the first one shows whether it begins as a heartbeat does.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        if sealed.len() < SEALED_BYTES_MIN || !sealed.len().is_multiple_of(BLOCK_BYTES) {
            return None;
        }
        let (iv, blocks) = sealed.split_first_chunk_mut::<BLOCK_BYTES>()?;
        let mut decryptor = cbc::Decryptor::inner_iv_init(self.decryptor.clone(), &(*iv).into());
        let (first, rest) = blocks.split_first_chunk_mut::<BLOCK_BYTES>()?;
        decryptor.decrypt_block(first.into());
        if !first.starts_with(PREFIX) {
            return None;
        }
        let rest_bytes = decryptor.decrypt_padded::<Pkcs7>(rest).ok()?.len();
        blocks.get(..BLOCK_BYTES + rest_bytes)
    }
}

impl PartialEq for Cipher {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is sealed opens under the same secret and under no other; sizes are as told.
        #[test]
        fn round_trip(rest in prop::collection::vec(any::<u8>(), 5..200), secret in ".{0,20}", iv: [u8; 16]) {
            let plain = [PREFIX, &rest].concat();
            let sealed = Cipher::new(&secret).seal(&plain, iv);
            prop_assert_eq!(sealed.len(), Cipher::sealed_bytes(plain.len()));
            let mut copy = sealed.clone();
            prop_assert_eq!(Cipher::new(&format!("{secret}x")).open(&mut copy), None);
            copy.copy_from_slice(&sealed);
            prop_assert_eq!(Cipher::new(&secret).open(&mut copy), Some(plain.as_slice()));
        }

        /// Junk and cut-off datagrams do not open, and do not panic.
        #[test]
        fn junk_does_not_open(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Cipher::new("s").open(&mut bytes), None);
        }
    }
}
