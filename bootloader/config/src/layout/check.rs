//! The rules of a layout, each with its own error.

use twinslot_bootloader::{
    handoff::HANDOFF_SIZE,
    image::{HEADER_SIZE_U64, MIN_PART_ALIGN, Product},
    storage::MAX_WRITE_SIZE,
};

use super::{Layout, LayoutError, Purpose, Span};

/// Bytes of a reset marker.
const MARKER_BYTES: u64 = 4;

/// The longest board or chip name.
const NAME_LIMIT: usize = 64;

pub(super) fn check(layout: &Layout) -> Result<(), LayoutError> {
    check_identity(layout)?;
    check_geometry(layout)?;
    check_policy(layout)?;
    for (region, span) in layout.flash_regions() {
        check_region(layout, region, span)?;
    }
    check_disjoint(layout.flash_regions().into_iter().map(|(name, span)| (name.to_owned(), span)).collect())?;
    check_journal(layout)?;
    check_image_regions(layout)?;
    check_ram(layout)?;
    check_disjoint(address_map(layout)?)
}

fn check_identity(layout: &Layout) -> Result<(), LayoutError> {
    if let Err(reason) = Product::try_from(layout.product.as_str()) {
        return Err(LayoutError::Product { product: layout.product.clone(), reason });
    }
    let names = [("board", &layout.board), ("chip", &layout.chip)];
    for (field, name) in names {
        if name.is_empty() || name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
            return Err(LayoutError::Name { field, len: name.len(), limit: NAME_LIMIT });
        }
    }
    if layout.hardware > 31 {
        return Err(LayoutError::HardwareRevision { revision: layout.hardware });
    }
    Ok(())
}

fn check_geometry(layout: &Layout) -> Result<(), LayoutError> {
    let flash = &layout.flash;
    let sizes = [("write_size", flash.write_size), ("erase_size", flash.erase_size), ("tear_size", flash.tear_size)];
    for (field, value) in sizes {
        if !value.is_power_of_two() || value > u64::from(u32::MAX) {
            return Err(LayoutError::NotPowerOfTwo { field, value });
        }
    }
    if flash.write_size > MAX_WRITE_SIZE as u64 {
        return Err(LayoutError::WriteSize { write_size: flash.write_size });
    }
    if flash.erase_size < flash.write_size {
        return Err(LayoutError::EraseBelowWrite { erase_size: flash.erase_size, write_size: flash.write_size });
    }
    Ok(())
}

fn check_policy(layout: &Layout) -> Result<(), LayoutError> {
    let policy = layout.policy;
    if policy.attempts == 0 || policy.boots < policy.attempts {
        return Err(LayoutError::Policy { attempts: policy.attempts, boots: policy.boots });
    }
    Ok(())
}

fn check_region(layout: &Layout, region: &'static str, span: Span) -> Result<(), LayoutError> {
    let Span { offset, size } = span;
    let erase_size = layout.flash.erase_size;
    if size == 0 {
        return Err(LayoutError::Empty { region: region.to_owned() });
    }
    if !offset.is_multiple_of(erase_size) || !size.is_multiple_of(erase_size) {
        return Err(LayoutError::Unaligned { region, offset, size, erase_size });
    }
    let end = span.end();
    if end > u64::from(u32::MAX) {
        return Err(LayoutError::Beyond4GiB { region, end });
    }
    match layout.flash.size {
        Some(flash_size) if end > flash_size => Err(LayoutError::OutsideFlash { region, end, flash_size }),
        _ => Ok(()),
    }
}

/// Sorted by their starts, neighbours are the only ones that can overlap first.
fn check_disjoint(mut regions: Vec<(String, Span)>) -> Result<(), LayoutError> {
    regions.sort_by_key(|(_, span)| span.offset);
    for pair in regions.windows(2) {
        if let [(first, a), (second, b)] = pair
            && a.end() > b.offset
        {
            return Err(LayoutError::Overlap { first: first.clone(), second: second.clone(), at: b.offset });
        }
    }
    Ok(())
}

/// Each log is whole erase units, whole records and whole tear regions, so that no write to one can damage the other.
fn check_journal(layout: &Layout) -> Result<(), LayoutError> {
    let Span { offset, size } = layout.journal;
    let flash = &layout.flash;
    let units = [("erase units of", flash.erase_size), ("records of", flash.record_stride()), ("tear regions of", flash.tear_size)];
    for (unit_name, unit) in units {
        if !size.is_multiple_of(unit.saturating_mul(2)) {
            return Err(LayoutError::JournalSize { size, unit_name, unit });
        }
    }
    if !offset.is_multiple_of(flash.tear_size) {
        return Err(LayoutError::JournalTear { offset, tear_size: flash.tear_size });
    }
    Ok(())
}

fn check_image_regions(layout: &Layout) -> Result<(), LayoutError> {
    let least = HEADER_SIZE_U64.next_multiple_of(MIN_PART_ALIGN.max(layout.flash.write_size));
    let regions = [("slot-a", Some(layout.slot_a)), ("slot-b", Some(layout.slot_b)), ("golden", layout.golden)];
    for (region, span) in regions {
        if let Some(Span { size, .. }) = span
            && size <= least
        {
            return Err(LayoutError::TooSmallForImage { region, size, least });
        }
    }
    Ok(())
}

fn check_ram(layout: &Layout) -> Result<(), LayoutError> {
    for purpose in [Purpose::Loader, Purpose::Handoff, Purpose::Marker] {
        if layout.ram_for(purpose).count() > 1 {
            return Err(LayoutError::RepeatedPurpose { purpose });
        }
    }
    for (purpose, least) in [(Purpose::Handoff, HANDOFF_SIZE as u64), (Purpose::Marker, MARKER_BYTES)] {
        if let Some(ram) = layout.ram_for(purpose).find(|ram| ram.size < least) {
            return Err(LayoutError::RamTooSmall { purpose, size: ram.size, least });
        }
    }
    Ok(())
}

/// Everything that has addresses, by name: RAM, the loader's own memory, and the flash as a whole.
fn address_map(layout: &Layout) -> Result<Vec<(String, Span)>, LayoutError> {
    let ram = layout.ram.iter().map(|ram| (format!("ram ({})", ram.purpose), ram.base, ram.size));
    let flash = layout.flash.base.map(|base| ("flash".to_owned(), base, layout.flash_extent()));
    let loader = layout.loader.base.map(|base| ("loader".to_owned(), base.saturating_add(layout.loader.span.offset), layout.loader.span.size));
    ram.chain(flash).chain(loader).map(in_address_space).collect()
}

fn in_address_space((region, base, size): (String, u64, u64)) -> Result<(String, Span), LayoutError> {
    if size == 0 {
        return Err(LayoutError::Empty { region });
    }
    if base.checked_add(size).is_none() {
        return Err(LayoutError::AddressOverflow { region, base, size });
    }
    Ok((region, Span { offset: base, size }))
}
