//! What a file that is whole says of itself: the plugin in it, and what it needs.

use std::ops::Range;

use cluster_sdk::abi::handshake::{HANDSHAKE_BYTES, SYMBOL_PREFIX, SYMBOL_PREFIX_ANY_MAJOR};
use object::{
    ReadRef, elf,
    read::elf::{Rel as _, Rela as _, SectionHeader as _, Sym as _},
};

use super::{Image, damaged, unreadable};
use crate::plugin::{machine::GlibcVersion, refusal::Reason};

impl<'d, R: ReadRef<'d>> Image<'d, R> {
    /// The one symbol that makes a library a plugin, and its address.
    pub(super) fn plugin_symbol(&self) -> Result<(String, u64), Reason> {
        let table = self.sections.symbols(self.endian, self.data, elf::SHT_DYNSYM).map_err(damaged)?;
        let mut ours = Vec::new();
        let mut foreign = None;
        for symbol in table.iter() {
            if symbol.is_undefined(self.endian) || symbol.is_local() {
                continue;
            }
            let name = table.symbol_name(self.endian, symbol).map_err(damaged)?;
            let Ok(name) = str::from_utf8(name) else { continue };
            if name.starts_with(SYMBOL_PREFIX) {
                ours.push((name.to_owned(), symbol.st_value(self.endian)));
            } else if let Some(rest) = name.strip_prefix(SYMBOL_PREFIX_ANY_MAJOR) {
                foreign = foreign.or_else(|| rest.split_once("__"));
            }
        }
        match (ours.pop(), ours.is_empty(), foreign) {
            (Some(only), true, _) => Ok(only),
            (Some(last), false, _) => {
                Err(Reason::SeveralPlugins(ours.into_iter().chain([last]).map(|(name, _)| name).collect()))
            }
            (None, _, Some((major, plugin))) => {
                Err(Reason::OtherAbi { plugin: plugin.to_owned(), major: major.to_owned() })
            }
            (None, _, None) => Err(Reason::NotPlugin),
        }
    }

    pub(super) fn search_path(&self) -> Result<Option<String>, Reason> {
        let Some(offset) = self.dynamic(elf::DT_RPATH).or_else(|| self.dynamic(elf::DT_RUNPATH)) else {
            return Ok(None);
        };
        let (_, strings) = self
            .sections
            .dynamic(self.endian, self.data)
            .map_err(damaged)?
            .ok_or_else(|| Reason::Damaged("no dynamic table".to_owned()))?;
        let strings = self.sections.strings(self.endian, self.data, strings).map_err(damaged)?;
        let path = u32::try_from(offset).ok().and_then(|offset| strings.get(offset).ok());
        Ok(Some(String::from_utf8_lossy(path.unwrap_or_default()).into_owned()))
    }

    pub(super) fn has_text_relocations(&self) -> bool {
        let flags = self.dynamic(elf::DT_FLAGS).unwrap_or(0);
        self.dynamic(elf::DT_TEXTREL).is_some() || flags & elf::DF_TEXTREL.0 != 0
    }

    pub(super) fn glibc_needed(&self) -> Result<Option<GlibcVersion>, Reason> {
        let Some((needs, strings)) = self.sections.gnu_verneed(self.endian, self.data).map_err(damaged)?
        else {
            return Ok(None);
        };
        let strings = self.sections.strings(self.endian, self.data, strings).map_err(damaged)?;
        let mut highest = None;
        for need in needs {
            let (_, versions) = need.map_err(damaged)?;
            for version in versions {
                let name = version.map_err(damaged)?.name(self.endian, strings).map_err(damaged)?;
                highest = highest.max(GlibcVersion::parse(name));
            }
        }
        Ok(highest)
    }

    /// The bytes at the symbol, which must be in memory what they are in the file.
    pub(super) fn handshake(&self, address: u64) -> Result<[u8; HANDSHAKE_BYTES], Reason> {
        let bad = |what: &str| Reason::BadHandshake(what.to_owned());
        let range = self
            .file_range(address, HANDSHAKE_BYTES as u64)
            .ok_or_else(|| bad("its symbol points outside of the file"))?;
        if self.is_relocated(&(address..address.saturating_add(HANDSHAKE_BYTES as u64)))? {
            return Err(bad("it is not constant data"));
        }
        let bytes =
            self.data.read_bytes_at(range.start, HANDSHAKE_BYTES as u64).map_err(|()| unreadable())?;
        bytes.try_into().map_err(|_other_length| bad("it is cut off"))
    }

    /// Whether the loader writes into a range of addresses.
    fn is_relocated(&self, range: &Range<u64>) -> Result<bool, Reason> {
        let written = |address: u64| {
            let pointer = u64::from(usize::BITS / 8);
            address < range.end && address.saturating_add(pointer) > range.start
        };
        for section in self.sections.iter() {
            // The address of a section that is not loaded is zero; its relocations are for a debugger.
            if section.sh_addr(self.endian) == 0 {
                continue;
            }
            if let Some((entries, _)) = section.rela(self.endian, self.data).map_err(damaged)?
                && entries.iter().any(|entry| written(entry.r_offset(self.endian)))
            {
                return Ok(true);
            }
            if let Some((entries, _)) = section.rel(self.endian, self.data).map_err(damaged)?
                && entries.iter().any(|entry| written(entry.r_offset(self.endian)))
            {
                return Ok(true);
            }
            if let Some(mut addresses) = section.relr(self.endian, self.data).map_err(damaged)?
                && addresses.any(written)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
