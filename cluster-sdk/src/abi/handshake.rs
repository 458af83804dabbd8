//! The first thing that a host reads of a plugin: plain old data, read from the file before the file is loaded.

use super::entry::Plugin;
use crate::offer::{OfferKind, offers_text};

/// Marks a handshake.
pub const MAGIC: [u8; 16] = *b"libcluster-rs\0\x01\n";
/// A change of it is a new ABI: neither side loads the other. It is part of [`SYMBOL_PREFIX`] too.
pub const ABI_MAJOR: u32 = 1;
/// Grows when something is appended; both directions load.
pub const ABI_MINOR: u32 = if cfg!(feature = "abi-next") { 1 } else { 0 };
/// The exported symbol is this and the crate's name.
pub const SYMBOL_PREFIX: &str = "libcluster_plugin_v1__";
/// What the symbol of any major begins with, so that another major is recognised as such.
pub const SYMBOL_PREFIX_ANY_MAJOR: &str = "libcluster_plugin_v";

/// Described and checked by `abi_stable`.
pub const INTERFACE_ABI_STABLE: u32 = 1;
/// The same tables, filled in by hand from the C header.
pub const INTERFACE_C: u32 = 2;

/// Flag: panics unwind (and are caught), as opposed to aborting the process.
pub const FLAG_PANIC_UNWIND: u32 = 1;

/// Bytes of [`Handshake`], for ever.
pub const HANDSHAKE_BYTES: usize = 840;

/// Who the plugin is and what it offers. Little-endian, no pointers, no padding; texts are UTF-8, padded by NUL.
/// Frozen: it is read by hosts of every version.
///
/// # Examples
///
/// ```
/// # use cluster_sdk::{Context, Discover, Node, Result, View, schemars, serde};
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # #[serde(crate = "cluster_sdk::serde")]
/// # #[schemars(crate = "cluster_sdk::schemars")]
/// # struct Config {}
/// # struct Here;
/// # impl Discover for Here {
/// #     const NAME: &'static str = "here";
/// #     type Config = Config;
/// #     async fn discover(_: &Config, _: &Context) -> Result<View> { Ok(View::complete([Node::try_new("a@h")?])) }
/// # }
/// # cluster_sdk::plugin!(discover: [Here]);
/// use cluster_sdk::abi::handshake::{Handshake, HandshakeError};
///
/// let handshake = plugin().handshake();
/// assert_eq!(handshake.version(), env!("CARGO_PKG_VERSION"), "that of the crate that has the macro");
/// assert!(handshake.panics_unwind());
/// assert_eq!(handshake.offers().map(|(_, name)| name).collect::<Vec<_>>(), ["here"]);
/// // In a file it is looked for in bytes that may be anything.
/// assert!(matches!(Handshake::parse(b"nonsense"), Err(HandshakeError::Short(8))));
/// ```
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Handshake {
    /// [`MAGIC`].
    pub magic: [u8; 16],
    /// [`HANDSHAKE_BYTES`] of the writer.
    pub handshake_bytes: u32,
    /// [`ABI_MAJOR`] of the writer.
    pub abi_major: u32,
    /// [`ABI_MINOR`] of the writer.
    pub abi_minor: u32,
    /// [`INTERFACE_ABI_STABLE`] or [`INTERFACE_C`].
    pub interface: u32,
    /// [`FLAG_PANIC_UNWIND`] and flags to come.
    pub flags: u32,
    /// Features of the host without which the plugin cannot work, one bit each; none exist yet.
    pub features_needed: u32,
    /// CPU features the plugin was compiled to need, one bit each, see [`CPU_FEATURES`].
    pub cpu_features: u64,
    /// Version of the SDK.
    pub sdk: [u8; 24],
    /// Version of the compiler.
    pub rustc: [u8; 48],
    /// Target triple.
    pub target: [u8; 64],
    /// Name of the plugin: its crate.
    pub plugin: [u8; 64],
    /// Version of the plugin.
    pub version: [u8; 80],
    /// What it offers: `s:NAME` for a strategy, `c:NAME` for a connector, separated by spaces.
    pub offers: [u8; 512],
}

/// Names of the bits of [`Handshake::cpu_features`], lowest first.
pub const CPU_FEATURES: [&str; 8] = ["sse4.2", "popcnt", "avx", "avx2", "bmi2", "fma", "avx512f", "aes"];

const _: () = assert!(size_of::<Handshake>() == HANDSHAKE_BYTES);

/// Why bytes are not a handshake that this side can read. Whoever put the file there can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// There are fewer bytes than a handshake has.
    #[error("handshake has {0} bytes instead of {HANDSHAKE_BYTES}")]
    Short(usize),
    /// The magic is another.
    #[error("no handshake: it does not begin with the mark of a libcluster plugin")]
    Magic,
    /// The plugin is of another major version.
    #[error(
        "plugin needs ABI {major}.x, this side has {ABI_MAJOR}.{ABI_MINOR}: rebuild it with a matching cluster-sdk"
    )]
    Major {
        /// The plugin's.
        major: u32,
    },
    /// A text is not UTF-8.
    #[error("handshake is damaged: its {0} is not UTF-8")]
    Text(&'static str),
}

// === impl Handshake ===

impl Handshake {
    /// The handshake of a plugin, evaluated by the compiler: used by the macros.
    #[doc(hidden)]
    #[must_use]
    pub const fn new<P: Plugin>(plugin: &str, version: &str) -> Self {
        Self {
            magic: MAGIC,
            handshake_bytes: HANDSHAKE_BYTES_U32,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            interface: INTERFACE_ABI_STABLE,
            flags: if cfg!(panic = "unwind") { FLAG_PANIC_UNWIND } else { 0 },
            features_needed: 0,
            cpu_features: CPU_FEATURES_BUILT_FOR,
            sdk: padded(env!("CARGO_PKG_VERSION")),
            rustc: padded(env!("CLUSTER_SDK_RUSTC")),
            target: padded(env!("CLUSTER_SDK_TARGET")),
            plugin: padded(plugin),
            version: padded(version),
            offers: offers_text(P::OFFERS),
        }
    }

    /// Reads a handshake from the bytes of a file; what follows it is ignored.
    ///
    /// # Errors
    /// [`HandshakeError`] when it is none, or one of another major version.
    pub fn parse(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader(bytes.get(..HANDSHAKE_BYTES).ok_or(HandshakeError::Short(bytes.len()))?);
        let read = Self {
            magic: reader.take(),
            handshake_bytes: u32::from_le_bytes(reader.take()),
            abi_major: u32::from_le_bytes(reader.take()),
            abi_minor: u32::from_le_bytes(reader.take()),
            interface: u32::from_le_bytes(reader.take()),
            flags: u32::from_le_bytes(reader.take()),
            features_needed: u32::from_le_bytes(reader.take()),
            cpu_features: u64::from_le_bytes(reader.take()),
            sdk: reader.take(),
            rustc: reader.take(),
            target: reader.take(),
            plugin: reader.take(),
            version: reader.take(),
            offers: reader.take(),
        };
        if read.magic != MAGIC {
            return Err(HandshakeError::Magic);
        }
        if read.abi_major != ABI_MAJOR {
            return Err(HandshakeError::Major { major: read.abi_major });
        }
        for (name, text) in [
            ("SDK version", &read.sdk[..]),
            ("compiler version", &read.rustc[..]),
            ("target", &read.target[..]),
            ("name", &read.plugin[..]),
            ("version", &read.version[..]),
            ("list of offers", &read.offers[..]),
        ] {
            str::from_utf8(text).map_err(|_not_text| HandshakeError::Text(name))?;
        }
        Ok(read)
    }

    /// Version of the SDK.
    #[must_use]
    pub fn sdk(&self) -> &str {
        text(&self.sdk)
    }

    /// Version of the compiler.
    #[must_use]
    pub fn rustc(&self) -> &str {
        text(&self.rustc)
    }

    /// Target triple.
    #[must_use]
    pub fn target(&self) -> &str {
        text(&self.target)
    }

    /// Name of the plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        text(&self.plugin)
    }

    /// Version of the plugin.
    #[must_use]
    pub fn version(&self) -> &str {
        text(&self.version)
    }

    /// What it offers; kinds that are not known are left out.
    pub fn offers(&self) -> impl Iterator<Item = (OfferKind, &str)> {
        text(&self.offers).split_ascii_whitespace().filter_map(|offer| match offer.split_once(':')? {
            ("s", name) => Some((OfferKind::Strategy, name)),
            ("c", name) => Some((OfferKind::Connector, name)),
            _ => None,
        })
    }

    /// Whether panics unwind, so that they can be caught.
    #[must_use]
    pub const fn panics_unwind(&self) -> bool {
        self.flags & FLAG_PANIC_UNWIND != 0
    }
}

const HANDSHAKE_BYTES_U32: u32 = 840;
const _: () = assert!(HANDSHAKE_BYTES_U32 as usize == HANDSHAKE_BYTES);

/// In the order of [`CPU_FEATURES`].
const CPU_FEATURES_BUILT_FOR: u64 = (cfg!(target_feature = "sse4.2") as u64)
    | (cfg!(target_feature = "popcnt") as u64) << 1
    | (cfg!(target_feature = "avx") as u64) << 2
    | (cfg!(target_feature = "avx2") as u64) << 3
    | (cfg!(target_feature = "bmi2") as u64) << 4
    | (cfg!(target_feature = "fma") as u64) << 5
    | (cfg!(target_feature = "avx512f") as u64) << 6
    | (cfg!(target_feature = "aes") as u64) << 7;

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The next `N` bytes; zeros where there are no more, which the length check before has ruled out.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((taken, rest)) = self.0.split_first_chunk::<N>() else {
            return [0; N];
        };
        self.0 = rest;
        *taken
    }
}

/// Up to the first NUL.
fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.get(..end).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or("")
}

/// The text and NULs after it; the compiler says if it does not fit.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; const code has no get_mut")]
const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = text.as_bytes();
    let mut at = 0;
    while let [byte, after @ ..] = rest {
        assert!(at < N, "name or version of the crate does not fit in the handshake");
        bytes[at] = *byte;
        at += 1;
        rest = after;
    }
    bytes
}
