//! Where instructions stand in the sources: for each address the inlined functions, innermost first.

use std::borrow::Cow;

use addr2line::Context;
use anyhow::Result;
use gimli::{EndianSlice, LittleEndian, SectionId};
use object::{Object, ObjectSection as _, ObjectSymbol as _};

/// A place in the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The function's name, demangled.
    pub(crate) function: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// For each address, the symbol that it lies in and its places in the sources.
pub(super) fn lines<'a>(elf: &impl Object<'a>, addresses: &[u64]) -> Result<Vec<(String, Vec<Line>)>> {
    let load = |section: SectionId| -> Result<Cow<'a, [u8]>> {
        Ok(elf.section_by_name(section.name()).map_or(Ok(Cow::default()), |section| section.uncompressed_data())?)
    };
    let sections = gimli::DwarfSections::load(load)?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    let context = Context::from_dwarf(dwarf)?;
    addresses.iter().map(|address| Ok((symbol(elf, *address), places(&context, *address)?))).collect()
}

fn places(context: &Context<EndianSlice<'_, LittleEndian>>, address: u64) -> Result<Vec<Line>> {
    let mut frames = context.find_frames(address).skip_all_loads()?;
    let mut lines = Vec::new();
    while let Some(frame) = frames.next()? {
        let function = frame.function.and_then(|name| name.demangle().ok().map(Cow::into_owned)).unwrap_or_default();
        let (file, line) = frame.location.map_or((None, None), |location| (location.file, location.line));
        lines.push(Line { function, file: file.unwrap_or_default().to_owned(), line: line.unwrap_or(0) });
    }
    Ok(lines)
}

/// The symbol that the address lies in or behind; mapping symbols and the like are none.
fn symbol<'a>(elf: &impl Object<'a>, address: u64) -> String {
    let functions = elf.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.address() & !1 <= address);
    let nearest = functions.max_by_key(|symbol| symbol.address());
    nearest.and_then(|symbol| symbol.name().ok().map(str::to_owned)).unwrap_or_default()
}
