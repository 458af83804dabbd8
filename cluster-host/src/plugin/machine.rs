//! What this machine is and has, as far as a plugin depends on it.

use std::{fmt, fs, fs::File, path::Path, sync::OnceLock};

use cluster_sdk::abi::handshake::CPU_FEATURES;
use object::{ReadCache, elf};

use super::elf::highest_glibc_defined;
use crate::connectors;

/// A version of the GNU C library.
///
/// # Examples
///
/// ```
/// use cluster_host::plugin::GlibcVersion;
///
/// let old = GlibcVersion { major: 2, minor: 4 };
/// let new = GlibcVersion { major: 2, minor: 34 };
/// assert!(old < new, "by numbers, not as text");
/// assert_eq!(new.to_string(), "2.34");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlibcVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// The processor in ELF's numbering, where it is one that we know.
pub(super) const MACHINE: Option<elf::Machine> = if cfg!(target_arch = "x86_64") {
    Some(elf::EM_X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(elf::EM_AARCH64)
} else if cfg!(target_arch = "x86") {
    Some(elf::EM_386)
} else if cfg!(target_arch = "arm") {
    Some(elf::EM_ARM)
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    Some(elf::EM_RISCV)
} else if cfg!(target_arch = "powerpc64") {
    Some(elf::EM_PPC64)
} else if cfg!(target_arch = "s390x") {
    Some(elf::EM_S390)
} else {
    None
};

/// The version of the C library that this process runs on; `None` where it is not glibc.
///
/// It is read from the library's own file, so that it costs no call into C.
pub(super) fn glibc() -> Option<GlibcVersion> {
    static GLIBC: OnceLock<Option<GlibcVersion>> = OnceLock::new();
    *GLIBC.get_or_init(|| {
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let path = maps.lines().find_map(|line| {
            let path = line.get(line.find('/')?..)?;
            let name = Path::new(path).file_name()?.to_str()?;
            (name.starts_with("libc.so.6") || name.starts_with("libc-2.")).then_some(path)
        })?;
        let file = File::open(path).ok()?;
        highest_glibc_defined(&ReadCache::new(&file))
    })
}

/// The target triple that this host was built for: that of the connectors in it.
pub(super) fn target() -> &'static str {
    connectors::plugin().handshake().target()
}

/// Names of the processor features among `bits` (see [`CPU_FEATURES`]) that this machine lacks.
pub(super) fn cpu_lacks(bits: u64) -> Vec<&'static str> {
    let known = CPU_FEATURES.iter().enumerate();
    let mut lacking: Vec<_> =
        known.filter(|(bit, name)| bits & (1 << bit) != 0 && !cpu_has(name)).map(|(_, name)| *name).collect();
    if bits >> CPU_FEATURES.len() != 0 {
        lacking.push("features unknown to this host");
    }
    lacking
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn cpu_has(feature: &str) -> bool {
    match feature {
        "sse4.2" => std::is_x86_feature_detected!("sse4.2"),
        "popcnt" => std::is_x86_feature_detected!("popcnt"),
        "avx" => std::is_x86_feature_detected!("avx"),
        "avx2" => std::is_x86_feature_detected!("avx2"),
        "bmi2" => std::is_x86_feature_detected!("bmi2"),
        "fma" => std::is_x86_feature_detected!("fma"),
        "avx512f" => std::is_x86_feature_detected!("avx512f"),
        "aes" => std::is_x86_feature_detected!("aes"),
        _ => false,
    }
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn cpu_has(_feature: &str) -> bool {
    false
}

// === impl GlibcVersion ===

impl GlibcVersion {
    /// Reads the name of a symbol version, `GLIBC_2.34`. Names without numbers give nothing, but for the mark of
    /// libraries with packed relocations, which came with 2.36.
    pub(super) fn parse(version: &[u8]) -> Option<Self> {
        let numbers = str::from_utf8(version).ok()?.strip_prefix("GLIBC_")?;
        if numbers == "ABI_DT_RELR" {
            return Some(Self { major: 2, minor: 36 });
        }
        let mut numbers = numbers.split('.').map(str::parse);
        Some(Self { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The version found in the C library's file is one that such a system can have, and orders as numbers do.
    #[test]
    fn glibc_version() {
        let version = |text: &str| GlibcVersion::parse(text.as_bytes());
        if cfg!(target_env = "gnu") {
            let have = glibc().expect("this is a glibc system");
            assert!(have >= version("GLIBC_2.17").unwrap(), "{have}");
        }
        assert!(version("GLIBC_2.9").unwrap() < version("GLIBC_2.34").unwrap());
        assert_eq!(version("GLIBC_2.2.5").unwrap().to_string(), "2.2");
        assert_eq!(version("GLIBC_ABI_DT_RELR"), version("GLIBC_2.36"));
        for none in ["GLIBC_PRIVATE", "GCC_3.0", "GLIBC_", "GLIBC_2"] {
            assert_eq!(version(none), None);
        }
    }

    /// A feature bit that nobody knows is missing, none is never missing.
    #[test]
    fn cpu_features() {
        assert!(cpu_lacks(0).is_empty());
        assert_eq!(cpu_lacks(1 << 40), ["features unknown to this host"]);
    }
}
