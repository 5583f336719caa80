//! Where images may lie: the machine's memory, as far as the layout gives it to images, without what is reserved.

use core::sync::atomic::AtomicU32;

use heapless::Vec;
use twinslot_bootloader::image::manifest::Kind;
use twinslot_bootloader::load::{self, Mapped, MemoryMap, PlacedPart, Span, Target};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::storage::Region;

use crate::console::Line;
use crate::device_tree::{self, MAX_RANGES, Ranges};
use crate::layout::Layout;
use crate::machine::Machine;

/// Most ranges that images may lie in.
const MAX_USABLE: usize = 8;

/// Most ranges that images may not touch: the tree's, and the layout's.
const MAX_RESERVED: usize = MAX_RANGES + 16;

/// Which memory is whose.
#[derive(Debug, Clone)]
pub struct MemoryPlan {
    usable: Vec<Span, MAX_USABLE>,
    reserved: Vec<Span, MAX_RESERVED>,
    /// Bytes of the room for the tree that Linux gets.
    tree_room: usize,
}

/// There are more ranges than the loader keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyRanges;

impl MemoryPlan {
    /// Images get what both the machine and the layout give them; the loader, the trees, the mark's page and what the machine's tree reserves is
    /// nobody's.
    ///
    /// # Errors
    /// There are more ranges than fit.
    pub fn new(layout: &Layout, memory: &Ranges, machine_reserved: &Ranges, machine_tree: Span) -> Result<Self, TooManyRanges> {
        let mut plan = Self { usable: Vec::new(), reserved: Vec::new(), tree_room: layout.device_tree.1 as usize };
        for allowed in layout.image.iter().map(span) {
            for present in memory {
                if let Some(common) = intersection(allowed, *present) {
                    plan.usable.push(common).map_err(|_| TooManyRanges)?;
                }
            }
        }
        let fixed = [layout.device_tree, layout.marker];
        let ours = layout.loader.iter().chain(layout.reserved).chain(&fixed).map(span);
        for taken in ours.chain([machine_tree]).chain(machine_reserved.iter().copied()) {
            plan.reserved.push(taken).map_err(|_| TooManyRanges)?;
        }
        Ok(plan)
    }

    /// Whether `address..address + len` is memory for images.
    fn lends(&self, address: u64, len: u64) -> bool {
        let asked = Span { start: address, len };
        let is_usable = self.usable.iter().any(|usable| intersection(asked, *usable) == Some(asked));
        is_usable && self.reserved.iter().all(|reserved| intersection(asked, *reserved).is_none())
    }
}

const fn span(range: &(u64, u64)) -> Span {
    Span { start: range.0, len: range.1 }
}

/// What two ranges have in common; `None` when that is nothing. A range that overflows ends at the end of all addresses.
fn intersection(a: Span, b: Span) -> Option<Span> {
    let start = a.start.max(b.start);
    let end = a.start.saturating_add(a.len).min(b.start.saturating_add(b.len));
    let len = end.checked_sub(start).filter(|len| *len > 0)?;
    Some(Span { start, len })
}

/// A board's word for its memory.
#[derive(Debug)]
pub struct Vouched(());

impl Vouched {
    /// Vouches for the memory of the board that this program runs on.
    ///
    /// # Safety
    /// The RAM that both the layout and the machine's device tree name is there, at the address that Rust code sees it at, and this program uses
    /// nothing of what the layout gives to images. Called once.
    #[expect(unsafe_code, reason = "whoever describes a board vouches for its addresses")]
    #[must_use]
    pub const unsafe fn for_this_board() -> Self {
        Self(())
    }
}

/// The memory port.
#[derive(Debug)]
pub struct ImageMemory<'m, M> {
    plan: MemoryPlan,
    machine: &'m M,
}

impl<'m, M> ImageMemory<'m, M> {
    /// The memory of a plan, which is made from the layout and the machine's device tree.
    #[must_use]
    pub fn new(machine: &'m M, plan: MemoryPlan, _: Vouched) -> Self {
        Self { plan, machine }
    }
}

impl<M: Machine> load::Memory for ImageMemory<'_, M> {
    const TARGET: Target = Target::Linux(M::ARCHITECTURE);

    fn map(&self) -> MemoryMap<'_> {
        MemoryMap { usable: &self.plan.usable, reserved: &self.plan.reserved }
    }

    /// The disk is at rest whenever none of its operations runs, so nothing changes these bytes while they are lent.
    #[expect(unsafe_code, reason = "memory for images is reached by its address")]
    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        if !self.plan.lends(address, len) {
            return None;
        }
        let start = core::ptr::with_exposed_provenance_mut(usize::try_from(address).ok()?);
        let len = usize::try_from(len).ok()?;
        // SAFETY: the board vouched that this is memory of nobody else's, once, and the plan gives nothing that is reserved; the exclusive borrow of
        // this value lasts as long as the slice.
        Some(unsafe { core::slice::from_raw_parts_mut(start, len) })
    }

    /// A disk is not mapped: nothing runs in place.
    fn mapped(&self, _: Region) -> Option<Mapped<'_>> {
        None
    }

    /// A tree that could not be edited for Linux would be found out when nothing is left but to halt. Which fault it has stands in the log alone.
    fn judge(&mut self, part: &PlacedPart) -> Result<(), Rejection> {
        if part.kind != Kind::DeviceTree {
            return Ok(());
        }
        let room = self.plan.tree_room;
        let tree = self.ram(part.address, part.len).ok_or(Rejection::RangeOutsideRam)?;
        device_tree::judge(tree, room).map_err(|error| {
            drop(Line::new(self.machine).text("signed tree: ").text(error.text()));
            Rejection::UnusableDeviceTree
        })
    }
}

/// Bytes at an address, for the loader alone.
///
/// # Safety
/// Memory lies there that nothing but the result uses for as long as the program runs. Call it once for each range.
#[expect(unsafe_code, reason = "memory at a fixed address is named by its address")]
#[must_use]
pub unsafe fn own_bytes(address: u64, len: u64) -> &'static mut [u8] {
    let start = core::ptr::with_exposed_provenance_mut(address as usize);
    // SAFETY: the caller promises memory that is ours alone; any bits are valid bytes.
    unsafe { core::slice::from_raw_parts_mut(start, len as usize) }
}

/// Bytes at an address that nothing changes.
///
/// # Safety
/// Memory lies there that nothing writes for as long as the program runs.
#[expect(unsafe_code, reason = "memory at a fixed address is named by its address")]
#[must_use]
pub unsafe fn constant_bytes(address: u64, len: u64) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the caller promises memory that nothing writes; any bits are valid bytes.
    unsafe { core::slice::from_raw_parts(start, len as usize) }
}

/// Words at an address that outlive this program.
///
/// # Safety
/// Memory lies there, `address` is a multiple of 4, and no reference that is neither shared nor atomic ever covers it.
#[expect(unsafe_code, reason = "memory at a fixed address is named by its address")]
#[must_use]
pub unsafe fn words(address: u64, len: u64) -> &'static [AtomicU32] {
    let start = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the caller promises memory without exclusive references; any bits are a valid `AtomicU32`.
    unsafe { core::slice::from_raw_parts(start, len as usize / 4) }
}

#[cfg(test)]
mod tests;
