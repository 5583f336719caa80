//! What must hold of a manifest on every host, in the order in which it is checked.

use super::HEADER_SIZE_U64;
use super::manifest::{Check, Encoding, Kind, Manifest, Part, Place};
use crate::LOADER_VERSION;
use crate::rejection::Rejection;

/// Parts start at a multiple of this or of the board's write size, whichever is larger.
pub const MIN_PART_ALIGN: u64 = 1024;

/// Checks everything that the format asks of a manifest, for a slot of `slot_size` bytes on a flash with this write size.
///
/// # Errors
/// The first rule that does not hold. What a newer format may mean differently (`requires`, `min_loader`) is looked at first.
#[inline(never)]
pub fn check_format(manifest: &Manifest, slot_size: u64, write_size: u64) -> Result<(), Rejection> {
    if manifest.requires != 0 {
        return Err(Rejection::UnknownRequirement);
    }
    if manifest.min_loader > LOADER_VERSION {
        return Err(Rejection::LoaderTooOld);
    }
    check_kinds(manifest)?;
    check_layout(manifest, slot_size, write_size.max(MIN_PART_ALIGN))
}

/// Which kinds may stand together.
fn check_kinds(manifest: &Manifest) -> Result<(), Rejection> {
    let mut earlier: &[Part] = &[];
    for (index, part) in manifest.parts.iter().enumerate() {
        if part.kind == Kind::Loader {
            return Err(Rejection::LoaderPartReserved);
        }
        if part.encoding != Encoding::Plain {
            return Err(Rejection::UnsupportedEncoding);
        }
        if (part.kind == Kind::RootFs) != (part.check == Check::ByOs) {
            return Err(Rejection::WrongCheck);
        }
        if has(earlier, part.kind) {
            return Err(Rejection::RepeatedPart);
        }
        earlier = manifest.parts.get(..=index).unwrap_or_default();
    }
    let parts = &manifest.parts;
    match (has(parts, Kind::Firmware), has(parts, Kind::Kernel)) {
        (false, false) => return Err(Rejection::NoBootablePart),
        (true, true) => return Err(Rejection::FirmwareAndKernel),
        (true, false) if has(parts, Kind::Initrd) || has(parts, Kind::DeviceTree) || has(parts, Kind::CommandLine) => {
            return Err(Rejection::PartNeedsKernel);
        }
        _ => {}
    }
    if has(parts, Kind::RootFs) && !has(parts, Kind::CommandLine) {
        return Err(Rejection::RootHashNotSigned);
    }
    Ok(())
}

#[inline(never)]
fn has(parts: &[Part], kind: Kind) -> bool {
    parts.iter().any(|part| part.kind == kind)
}

/// Where parts may lie; `align` is a power of two, as write sizes are.
fn check_layout(manifest: &Manifest, slot_size: u64, align: u64) -> Result<(), Rejection> {
    let mut free_from = HEADER_SIZE_U64;
    for part in &manifest.parts {
        if part.len == 0 || part.mem < part.len {
            return Err(Rejection::MemoryTooSmall);
        }
        if part.entry >= part.len {
            return Err(Rejection::EntryOutsidePart);
        }
        if part.offset < HEADER_SIZE_U64 || part.offset & align.wrapping_sub(1) != 0 {
            return Err(Rejection::PartMisaligned);
        }
        if part.offset < free_from {
            return Err(Rejection::PartsOverlap);
        }
        free_from = part.end().ok_or(Rejection::Overflow)?;
        if free_from > slot_size {
            return Err(Rejection::PartOutsideSlot);
        }
        check_placement(part)?;
    }
    Ok(())
}

/// Which placements fit which kinds.
fn check_placement(part: &Part) -> Result<(), Rejection> {
    let fits = match part.kind {
        Kind::Firmware => part.entry == 0 && part.place != Place::Auto,
        Kind::RootFs => part.place == Place::InPlace,
        Kind::Aux(_) => part.place != Place::Auto,
        _ => part.place != Place::InPlace || part.kind == Kind::CommandLine,
    };
    if fits { Ok(()) } else { Err(Rejection::WrongPlacement) }
}
