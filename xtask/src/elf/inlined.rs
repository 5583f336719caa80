//! Where functions lie that have no symbol of their own any more: the debug information tells what was inlined where.

use std::borrow::Cow;
use std::ops::Range;

use anyhow::Result;
use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, SectionId, Unit, UnitOffset};
use object::{Object, ObjectSection as _};

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The address ranges of all functions, inlined or not, whose linkage name is `wanted`.
pub(super) fn ranges<'a>(elf: &impl Object<'a>, wanted: impl Fn(&str) -> bool) -> Result<Vec<Range<u64>>> {
    let load = |section: SectionId| -> Result<Cow<'a, [u8]>> {
        Ok(elf.section_by_name(section.name()).map_or(Ok(Cow::default()), |section| section.uncompressed_data())?)
    };
    let sections = gimli::DwarfSections::load(load)?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    let mut ranges = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        while let Some((_, entry)) = entries.next_dfs()? {
            if is_code(entry) && linkage_name(&dwarf, &unit, entry)?.is_some_and(|name| wanted(&name)) {
                ranges.extend(ranges_of(&dwarf, &unit, entry)?);
            }
        }
    }
    Ok(ranges)
}

fn is_code(entry: &DebuggingInformationEntry<Bytes>) -> bool {
    matches!(entry.tag(), gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine)
}

/// The mangled name; an inlined copy refers to the function that it is a copy of. References lead from a copy to its original at most twice.
fn linkage_name(dwarf: &Dwarf<Bytes>, unit: &Unit<Bytes>, entry: &DebuggingInformationEntry<Bytes>) -> Result<Option<String>> {
    if let Some(name) = entry.attr_value(gimli::DW_AT_linkage_name)? {
        return Ok(Some(dwarf.attr_string(unit, name)?.to_string_lossy().into_owned()));
    }
    for reference in [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification] {
        match entry.attr_value(reference)? {
            Some(AttributeValue::UnitRef(offset)) => return original_name(dwarf, unit, offset),
            Some(AttributeValue::DebugInfoRef(offset)) => return foreign_name(dwarf, offset),
            _ => {}
        }
    }
    Ok(None)
}

fn original_name(dwarf: &Dwarf<Bytes>, unit: &Unit<Bytes>, offset: UnitOffset) -> Result<Option<String>> {
    linkage_name(dwarf, unit, &unit.entry(offset)?)
}

/// The original stands in another unit.
fn foreign_name(dwarf: &Dwarf<Bytes>, offset: gimli::DebugInfoOffset) -> Result<Option<String>> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        if let Some(offset) = offset.to_unit_offset(&header) {
            let unit = dwarf.unit(header)?;
            return original_name(dwarf, &unit, offset);
        }
    }
    Ok(None)
}

/// Code that the linker left out keeps a range at address 0 or of no length.
fn ranges_of(dwarf: &Dwarf<Bytes>, unit: &Unit<Bytes>, entry: &DebuggingInformationEntry<Bytes>) -> Result<Vec<Range<u64>>> {
    let mut found = Vec::new();
    let mut ranges = dwarf.die_ranges(unit, entry)?;
    while let Some(range) = ranges.next()? {
        if range.begin != 0 && range.begin < range.end {
            found.push(range.begin..range.end);
        }
    }
    Ok(found)
}
