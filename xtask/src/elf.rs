//! Reads firmware ELF files: what is loaded where, sizes by kind, code ranges by name.

mod inlined;
mod lines;

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use object::elf::{FileHeader32, PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::read::elf::{ElfFile32, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags};

pub(crate) use lines::Line;

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

    /// The first word of the vector table.
    pub(crate) fn initial_stack_pointer(&self) -> Result<u64> {
        let flat = self.flat()?;
        let word = flat.first_chunk::<4>().with_context(|| format!("{} has no vector table", self.path.display()))?;
        Ok(u32::from_le_bytes(*word).into())
    }

    /// What may be a call in a range of code: its address and where it comes back to. Constants between the code may look like calls; they never run.
    pub(crate) fn calls(&self, range: &Range<u64>) -> Result<Vec<(u64, u64)>> {
        let (base, flat) = (self.base()?, self.flat()?);
        let halfword = |address: u64| {
            let at = usize::try_from(address.checked_sub(base)?).ok()?;
            Some(u16::from_le_bytes(*flat.get(at..)?.first_chunk()?))
        };
        let call = |from: u64| call_length(halfword(from)?, halfword(from + 2)?).map(|length| (from, from + length));
        Ok(range.clone().step_by(2).filter_map(call).collect())
    }

    /// The bytes of the function with exactly this symbol.
    pub(crate) fn function(&self, name: &str) -> Result<Vec<u8>> {
        let elf = self.parse()?;
        let found = || {
            let symbol = elf.symbol_by_name(name)?;
            let section = elf.section_by_index(symbol.section_index()?).ok()?;
            section.data_range(symbol.address() & !1, symbol.size()).ok()?.filter(|bytes| !bytes.is_empty())
        };
        found().map(<[u8]>::to_vec).with_context(|| format!("{} has no function {name}", self.path.display()))
    }

    /// For each address, the symbol that it lies in and where it stands in the sources: inlined functions, innermost first.
    pub(crate) fn lines(&self, addresses: &[u64]) -> Result<Vec<(String, Vec<Line>)>> {
        lines::lines(&self.parse()?, addresses)
    }

    /// The address ranges of the functions whose mangled name has one of `words` in it: those with a symbol of their own, and wherever the compiler
    /// has inlined one.
    pub(crate) fn functions(&self, words: &[&str]) -> Result<Vec<Range<u64>>> {
        let named = |name: &str| words.iter().any(|word| name.contains(word));
        let elf = self.parse()?;
        let symbols = elf.symbols().filter(|symbol| symbol.size() > 0 && symbol.name().is_ok_and(named));
        let mut ranges: Vec<Range<u64>> = symbols.map(|symbol| (symbol.address() & !1)..(symbol.address() & !1) + symbol.size()).collect();
        ranges.extend(inlined::ranges(&elf, named).with_context(|| format!("the debug information of {} can not be read", self.path.display()))?);
        if ranges.is_empty() {
            bail!("{} has no function named like {}", self.path.display(), words.join(" or "));
        }
        Ok(merged(ranges))
    }
}

/// The lengths of the calls among two halfwords that are executed: `BL` (encoding T1) and `BLX` of a register (T1). Source: Armv7-M Architecture
/// Reference Manual, A7.7.18 and A7.7.19.
const fn call_length(first: u16, second: u16) -> Option<u64> {
    if first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000 {
        Some(4)
    } else if first & 0xff87 == 0x4780 {
        Some(2)
    } else {
        None
    }
}

/// The same addresses as ascending ranges that do not touch.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn is_vector_table<'a>(section: &impl object::ObjectSection<'a>) -> bool {
    section.name() == Ok(".vector_table")
}

fn is_zeroed<'a>(section: &impl object::ObjectSection<'a>) -> bool {
    section.file_range().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bl`, `blx r3`, and what is none: `b.w`, `bx lr`, `push {r4, lr}`.
    #[test]
    fn calls_are_told_from_branches_and_returns() {
        assert_eq!(call_length(0xf000, 0xf83d), Some(4));
        assert_eq!(call_length(0x4798, 0), Some(2));
        assert_eq!(call_length(0xf000, 0xb83d), None);
        assert_eq!(call_length(0x4770, 0xf83d), None);
        assert_eq!(call_length(0xb510, 0xf83d), None);
    }

    #[test]
    fn ranges_that_touch_or_overlap_become_one() {
        assert_eq!(merged(vec![8..10, 0..4, 2..6, 6..7]), [0..7, 8..10]);
    }
}
