//! A board's memory as its layout describes it, so that a host can ask the loader's own placement about an image: is it linked for this slot, does
//! it fit the RAM for images, does it touch what is reserved.

use std::collections::BTreeMap;

use twinslot_bootloader::{
    crypto::Builtin,
    image::{Header, manifest::Kind},
    load::{LoadError, Mapped, Memory, MemoryMap, Span, Target, load},
    slot::Slot,
    storage::{ReadAt, Region, StorageError},
};
use twinslot_config::{
    Layout,
    layout::{self, Purpose},
};

/// What every Cortex-M asks of a vector table at least: room for 16 exceptions and 16 interrupts. Source: Armv7-M architecture reference manual,
/// VTOR. A chip with more interrupts may ask for more; its loader checks that.
const LEAST_VECTOR_ALIGN: u32 = 128;

/// Loads firmware as the board's loader would, into memory of this computer. Kernels, and boards whose flash has no address, are left to the board.
///
/// # Errors
/// The loader's refusal, or the source can not be read.
pub fn try_load(header: &Header, region: Region, source: &mut impl ReadAt, layout: &Layout) -> Result<(), LoadError> {
    let (Some(base), Some(span)) = (layout.flash.base, span_of(layout, region)) else {
        return Ok(());
    };
    if header.manifest().part(Kind::Firmware).is_none() {
        return Ok(());
    }
    let image_len = header.manifest().image_len().unwrap_or(0);
    let mut stored = vec![0; usize::try_from(image_len).map_err(|_| StorageError)?];
    source.read_at(0, &mut stored)?;
    let mut memory = BoardMemory {
        address: base.saturating_add(span.offset),
        stored,
        usable: usable(layout),
        reserved: reserved(layout),
        placed: BTreeMap::new(),
    };
    load(header, region, source, &mut memory, &mut Builtin).map(|_| ())
}

const fn span_of(layout: &Layout, region: Region) -> Option<layout::Span> {
    match region {
        Region::Slot(Slot::A) => Some(layout.slot_a),
        Region::Slot(Slot::B) => Some(layout.slot_b),
        Region::Golden => layout.golden,
        Region::Log0 | Region::Log1 => None,
    }
}

fn usable(layout: &Layout) -> Vec<Span> {
    layout.ram_for(Purpose::Image).map(|ram| Span { start: ram.base, len: ram.size }).collect()
}

fn reserved(layout: &Layout) -> Vec<Span> {
    layout.ram.iter().filter(|ram| ram.purpose != Purpose::Image).map(|ram| Span { start: ram.base, len: ram.size }).collect()
}

struct BoardMemory {
    address: u64,
    stored: Vec<u8>,
    usable: Vec<Span>,
    reserved: Vec<Span>,
    placed: BTreeMap<u64, Vec<u8>>,
}

impl Memory for BoardMemory {
    const TARGET: Target = Target::CortexM { vector_align: LEAST_VECTOR_ALIGN };

    fn map(&self) -> MemoryMap<'_> {
        MemoryMap { usable: &self.usable, reserved: &self.reserved }
    }

    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        let len = usize::try_from(len).ok()?;
        let bytes = self.placed.entry(address).or_default();
        bytes.resize(len, 0);
        Some(bytes)
    }

    fn mapped(&self, _: Region) -> Option<Mapped<'_>> {
        Some(Mapped { address: self.address, bytes: &self.stored })
    }
}
