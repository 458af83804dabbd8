//! The first thing that a host reads of a plugin: plain old data, read from the file before the file is loaded.

/// Marks a handshake.
pub const MAGIC: [u8; 16] = *b"libcluster-rs\0\x01\n";
/// A change of it is a new ABI: neither side loads the other. It is part of [`SYMBOL_PREFIX`] too.
pub const ABI_MAJOR: u32 = 1;
/// Grows when something is appended; both directions load.
pub const ABI_MINOR: u32 = 0;
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
