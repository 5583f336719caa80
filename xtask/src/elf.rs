//! Reads firmware ELF files: what is loaded where, sizes by kind, code ranges by name.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use object::elf::{FileHeader32, PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::read::elf::{ElfFile32, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags};

/// A firmware ELF in memory.
pub(crate) struct Firmware {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Bytes by what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    /// Instructions and the vector table.
    pub(crate) code: u64,
    /// Constants.
    pub(crate) read_only_data: u64,
    /// Variables with a start value; it is stored beside the code as well.
    pub(crate) data: u64,
    /// Variables that start as zero or are left alone.
    pub(crate) zeroed: u64,
}

impl Firmware {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("can not read {}", path.display()))?;
        let firmware = Self { path: path.to_owned(), bytes };
        firmware.parse()?;
        Ok(firmware)
    }

    fn parse(&self) -> Result<ElfFile32<'_, Endianness>> {
        ElfFile32::<Endianness>::parse(self.bytes.as_slice()).with_context(|| format!("{} is no 32-bit ELF", self.path.display()))
    }

    /// The bytes as they stand in memory, from the lowest loaded address to the highest; gaps are 0xFF like erased flash.
    pub(crate) fn flat(&self) -> Result<Vec<u8>> {
        let loaded = self.loaded()?;
        let start = loaded.iter().map(|(address, _)| *address).min().with_context(|| format!("{} loads nothing", self.path.display()))?;
        let mut flat = Vec::new();
        for (address, bytes) in loaded {
            let at = usize::try_from(address - start)?;
            let end = at + bytes.len();
            if flat.len() < end {
                flat.resize(end, 0xff);
            }
            flat[at..end].copy_from_slice(bytes);
        }
        Ok(flat)
    }

    fn loaded(&self) -> Result<Vec<(u64, &[u8])>> {
        let header = FileHeader32::<Endianness>::parse(self.bytes.as_slice())?;
        use object::read::elf::FileHeader as _;
        let endian = header.endian()?;
        let mut loaded = Vec::new();
        for segment in header.program_headers(endian, self.bytes.as_slice())? {
            if segment.p_type(endian) == PT_LOAD && segment.p_filesz(endian) > 0 {
                let bytes = segment.data(endian, self.bytes.as_slice()).ok();
                let bytes = bytes.with_context(|| format!("a segment of {} lies outside the file", self.path.display()))?;
                loaded.push((u64::from(segment.p_paddr(endian)), bytes));
            }
        }
        Ok(loaded)
    }

    /// Where a section lies in [`Firmware::flat`], when the memory image begins at `base`.
    pub(crate) fn section(&self, name: &str) -> Result<Range<u64>> {
        let elf = self.parse()?;
        let section = elf.section_by_name(name).with_context(|| format!("{} has no section {name}", self.path.display()))?;
        Ok(section.address()..section.address() + section.size())
    }

    /// The lowest loaded address.
    pub(crate) fn base(&self) -> Result<u64> {
        self.loaded()?.iter().map(|(address, _)| *address).min().with_context(|| format!("{} loads nothing", self.path.display()))
    }

    pub(crate) fn sizes(&self) -> Result<Sizes> {
        let mut sizes = Sizes::default();
        for section in self.parse()?.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            let has = |flag: u32| sh_flags & u64::from(flag) != 0;
            let size = section.size();
            match (has(SHF_ALLOC), has(SHF_WRITE), has(SHF_EXECINSTR) || is_vector_table(&section)) {
                (false, ..) => {}
                (true, true, _) if is_zeroed(&section) => sizes.zeroed += size,
                (true, true, _) => sizes.data += size,
                (true, false, true) => sizes.code += size,
                (true, false, false) => sizes.read_only_data += size,
            }
        }
        Ok(sizes)
    }

    /// The value of a symbol.
    pub(crate) fn symbol(&self, name: &str) -> Result<u64> {
        let elf = self.parse()?;
        let found = elf.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address());
        found.with_context(|| format!("{} has no symbol {name}", self.path.display()))
    }

    /// The first two words of the vector table: the initial stack pointer and the reset vector.
    pub(crate) fn initial_stack_pointer(&self) -> Result<u64> {
        let flat = self.flat()?;
        let word = flat.first_chunk::<4>().with_context(|| format!("{} has no vector table", self.path.display()))?;
        Ok(u32::from_le_bytes(*word).into())
    }

    /// The address ranges of the functions whose mangled name has one of `words` in it.
    pub(crate) fn functions(&self, words: &[&str]) -> Result<Vec<Range<u64>>> {
        let elf = self.parse()?;
        let named = elf.symbols().filter(|symbol| symbol.size() > 0 && symbol.name().is_ok_and(|name| words.iter().any(|word| name.contains(word))));
        let mut ranges: Vec<Range<u64>> = named.map(|symbol| (symbol.address() & !1)..(symbol.address() & !1) + symbol.size()).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        if ranges.is_empty() {
            bail!("{} has no function named like {}", self.path.display(), words.join(" or "));
        }
        Ok(ranges)
    }
}

fn is_vector_table<'a>(section: &impl object::ObjectSection<'a>) -> bool {
    section.name() == Ok(".vector_table")
}

fn is_zeroed<'a>(section: &impl object::ObjectSection<'a>) -> bool {
    section.file_range().is_none()
}
