//! The ELF side of a plugin file: whether it can be loaded without harm, and the handshake in it.
//!
//! The dynamic loader trusts what it is given: a file that was cut off ends the process by SIGBUS as soon as a
//! page beyond the end is touched. So everything that the loader will touch is checked here to be in the file.

mod contents;

use std::ops::Range;

use cluster_sdk::abi::handshake::HANDSHAKE_BYTES;
use object::{
    NativeEndian, ReadRef,
    elf::{self, DynamicTag},
    read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _, SectionHeader as _},
};

use super::{
    machine::{GlibcVersion, MACHINE},
    refusal::Reason,
};

/// What the file of a plugin says before anything is loaded.
#[derive(Debug)]
pub(super) struct PluginElf {
    /// The exported symbol.
    pub(super) symbol: String,
    /// What the symbol points at.
    pub(super) handshake: [u8; HANDSHAKE_BYTES],
    /// The newest glibc of which it uses something.
    pub(super) glibc_needed: Option<GlibcVersion>,
}

// Hosts have 64 bits.
type Header = elf::FileHeader64<NativeEndian>;
type Segment = <Header as object::read::elf::FileHeader>::ProgramHeader;
type Section = <Header as object::read::elf::FileHeader>::SectionHeader;
type Sections<'d, R> = object::read::elf::SectionTable<'d, Header, R>;

/// A file whose tables are all inside it.
struct Image<'d, R: ReadRef<'d>> {
    data: R,
    endian: NativeEndian,
    bytes: u64,
    segments: &'d [Segment],
    sections: Sections<'d, R>,
    dynamic: Vec<(DynamicTag, u64)>,
}

/// Reads and checks a plugin file.
pub(super) fn read<'d, R: ReadRef<'d>>(data: R) -> Result<PluginElf, Reason> {
    check_ident(data)?;
    let image = Image::parse(data)?;
    image.check_segments()?;
    image.check_sections()?;
    image.check_kind()?;
    image.check_dynamic()?;
    let (symbol, address) = image.plugin_symbol()?;
    if let Some(path) = image.search_path()? {
        return Err(Reason::SearchPath(path));
    }
    if image.has_text_relocations() {
        return Err(Reason::TextRelocations);
    }
    Ok(PluginElf { handshake: image.handshake(address)?, symbol, glibc_needed: image.glibc_needed()? })
}

/// The highest `GLIBC_x.y` that a C library defines.
pub(super) fn highest_glibc_defined<'d, R: ReadRef<'d>>(data: R) -> Option<GlibcVersion> {
    let image = Image::parse(data).ok()?;
    let (versions, strings) = image.sections.gnu_verdef(image.endian, data).ok()??;
    let strings = image.sections.strings(image.endian, data, strings).ok()?;
    let mut highest = None;
    for definition in versions {
        let (_, mut names) = definition.ok()?;
        if let Some(name) = names.next().ok()? {
            highest = highest.max(GlibcVersion::parse(name.name(image.endian, strings).ok()?));
        }
    }
    highest
}

/// Looks at the first bytes, which have the same place in all ELF files.
fn check_ident<'d, R: ReadRef<'d>>(data: R) -> Result<(), Reason> {
    const IDENT_BYTES: u64 = 16;
    let bytes = data.len().map_err(|()| unreadable())?;
    let start = data.read_bytes_at(0, bytes.min(IDENT_BYTES)).map_err(|()| unreadable())?;
    if start.is_empty() {
        return Err(Reason::Empty);
    }
    if !start.starts_with(&elf::ELFMAG) {
        return Err(Reason::NotElf(String::from_utf8_lossy(start).into_owned()));
    }
    let (Some(class), Some(order)) = (start.get(4), start.get(5)) else {
        return Err(Reason::CutOff { part: "the ELF header", end: IDENT_BYTES, bytes });
    };
    let theirs = match elf::FileClass(*class) {
        elf::ELFCLASS32 => 32,
        elf::ELFCLASS64 => 64,
        _ => return Err(Reason::Damaged(format!("class {class} does not exist"))),
    };
    if theirs != u64::BITS {
        return Err(Reason::OtherClass { theirs });
    }
    let big = match elf::DataEncoding(*order) {
        elf::ELFDATA2LSB => false,
        elf::ELFDATA2MSB => true,
        _ => return Err(Reason::Damaged(format!("byte order {order} does not exist"))),
    };
    if big != cfg!(target_endian = "big") {
        return Err(Reason::OtherByteOrder);
    }
    let end = size_of::<Header>() as u64;
    if bytes < end {
        return Err(Reason::CutOff { part: "the ELF header", end, bytes });
    }
    Ok(())
}

// === impl Image ===

impl<'d, R: ReadRef<'d>> Image<'d, R> {
    fn parse(data: R) -> Result<Self, Reason> {
        let header = Header::parse(data).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        let bytes = data.len().map_err(|()| unreadable())?;
        let machine = header.e_machine(endian);
        if MACHINE.is_some_and(|ours| ours != machine) {
            return Err(Reason::OtherArchitecture { theirs: machine_name(machine) });
        }
        for (part, start, count, size) in [
            (
                "the program header table",
                header.e_phoff(endian),
                header.e_phnum(endian),
                size_of::<Segment>(),
            ),
            (
                "the section header table",
                header.e_shoff(endian),
                header.e_shnum(endian),
                size_of::<Section>(),
            ),
        ] {
            inside(part, start, u64::from(count).saturating_mul(size as u64), bytes)?;
        }
        let segments = header.program_headers(endian, data).map_err(damaged)?;
        let sections = header.sections(endian, data).map_err(damaged)?;
        if sections.is_empty() {
            return Err(Reason::Damaged("it has no section headers".to_owned()));
        }
        let dynamic = sections.dynamic(endian, data).map_err(damaged)?;
        let dynamic = dynamic
            .iter()
            .flat_map(|(entries, _)| entries.iter())
            .map(|entry| (entry.d_tag(endian), entry.val(endian)))
            .take_while(|(tag, _)| *tag != elf::DT_NULL)
            .collect();
        Ok(Self { data, endian, bytes, segments, sections, dynamic })
    }

    /// What is mapped is in the file.
    fn check_segments(&self) -> Result<(), Reason> {
        for segment in self.segments {
            let (start, size) = segment.file_range(self.endian);
            inside("a segment", start, size, self.bytes)?;
            let memory = segment.p_memsz(self.endian);
            let load = segment.p_type(self.endian) == elf::PT_LOAD;
            if load && (memory < size || segment.p_vaddr(self.endian).checked_add(memory).is_none()) {
                return Err(Reason::Damaged("a segment has an impossible size".to_owned()));
            }
        }
        Ok(())
    }

    /// What the sections name is in the file: they end last, so this notices any truncation.
    fn check_sections(&self) -> Result<(), Reason> {
        for section in self.sections.iter() {
            if let Some((start, size)) = section.file_range(self.endian) {
                inside("a section", start, size, self.bytes)?;
            }
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), Reason> {
        let header = Header::parse(self.data).map_err(damaged)?;
        let pie = self.dynamic(elf::DT_FLAGS_1).is_some_and(|flags| flags & elf::DF_1_PIE.0 != 0);
        Err(Reason::NotSharedLibrary(match header.e_type(self.endian) {
            elf::ET_DYN if !pie => return Ok(()),
            elf::ET_DYN | elf::ET_EXEC => "an executable",
            elf::ET_REL => "an object file",
            elf::ET_CORE => "a core dump",
            _ => "an ELF file of unknown kind",
        }))
    }

    /// The tables that the dynamic loader follows are inside of what is mapped from the file.
    fn check_dynamic(&self) -> Result<(), Reason> {
        let segment = self.segments.iter().find(|segment| segment.p_type(self.endian) == elf::PT_DYNAMIC);
        let start = segment.map(|segment| segment.p_offset(self.endian));
        let section = self.sections.iter().find(|section| section.sh_type(self.endian) == elf::SHT_DYNAMIC);
        if start.is_none() || start != section.map(|section| section.sh_offset(self.endian)) {
            return Err(Reason::Damaged("it has no dynamic table, or two different ones".to_owned()));
        }
        let size = |tag| self.dynamic(tag).unwrap_or(1);
        for (tag, size) in [
            (elf::DT_STRTAB, size(elf::DT_STRSZ)),
            (elf::DT_SYMTAB, size(elf::DT_SYMENT)),
            (elf::DT_RELA, size(elf::DT_RELASZ)),
            (elf::DT_REL, size(elf::DT_RELSZ)),
            (elf::DT_RELR, size(elf::DT_RELRSZ)),
            (elf::DT_JMPREL, size(elf::DT_PLTRELSZ)),
            (elf::DT_INIT_ARRAY, size(elf::DT_INIT_ARRAYSZ)),
            (elf::DT_FINI_ARRAY, size(elf::DT_FINI_ARRAYSZ)),
            (elf::DT_GNU_HASH, 1),
            (elf::DT_HASH, 1),
            (elf::DT_VERSYM, 1),
            (elf::DT_VERNEED, 1),
            (elf::DT_VERDEF, 1),
        ] {
            let Some(address) = self.dynamic(tag) else {
                continue;
            };
            if self.file_range(address, size).is_none() {
                return Err(Reason::Damaged(format!("dynamic table {tag:?} points outside of the file")));
            }
        }
        Ok(())
    }

    fn dynamic(&self, tag: DynamicTag) -> Option<u64> {
        self.dynamic.iter().find(|(other, _)| *other == tag).map(|(_, value)| *value)
    }

    /// Where in the file the bytes at an address come from.
    fn file_range(&self, address: u64, size: u64) -> Option<Range<u64>> {
        self.segments.iter().find_map(|segment| {
            if segment.p_type(self.endian) != elf::PT_LOAD {
                return None;
            }
            let (start, in_file) = segment.file_range(self.endian);
            let within = address.checked_sub(segment.p_vaddr(self.endian))?;
            (within.checked_add(size)? <= in_file).then_some(())?;
            let start = start.checked_add(within)?;
            Some(start..start.checked_add(size)?)
        })
    }
}

fn machine_name(machine: elf::Machine) -> String {
    let name = match machine {
        elf::EM_X86_64 => "x86_64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_386 => "x86",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390x",
        elf::Machine(other) => return format!("processor {other}"),
    };
    name.to_owned()
}

fn inside(part: &'static str, start: u64, size: u64, bytes: u64) -> Result<(), Reason> {
    let end = start.saturating_add(size);
    if end > bytes { Err(Reason::CutOff { part, end, bytes }) } else { Ok(()) }
}

fn damaged(error: object::read::Error) -> Reason {
    Reason::Damaged(error.to_string())
}

fn unreadable() -> Reason {
    Reason::Unreadable(std::io::Error::other("reading the file failed"))
}
