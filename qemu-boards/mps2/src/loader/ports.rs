//! The loader library's ports, over this board's flash, memory and devices.

use twinslot_bootloader::boot::{Arming, Event, NoWatchdog};
use twinslot_bootloader::crypto::Digest;
use twinslot_bootloader::image::manifest::Kind;
use twinslot_bootloader::load::{Mapped, MemoryMap, Span, Target};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_bootloader::{boot, load};

use crate::board::{Board, ImageMemory};
use crate::devices::{Timer, Watchdog};
use crate::layout::Layout;
use crate::marker::{Mark, Marker};

pub(super) use crate::flash::Flash;

/// What VTOR asks for, with 16 exceptions and up to 16 interrupts. Source: Armv7-M and Armv8-M architecture reference manuals, VTOR.
const VECTOR_ALIGN: u32 = 128;

/// The memory port.
pub(super) struct Memory<'a> {
    images: ImageMemory,
    layout: &'a Layout,
    usable: [Span; 1],
}

impl<'a> Memory<'a> {
    pub(super) const fn new(images: ImageMemory, layout: &'a Layout) -> Self {
        let start = images.ram_address as u64;
        let len = images.ram.len() as u64;
        Self { images, layout, usable: [Span { start, len }] }
    }
}

impl load::Memory for Memory<'_> {
    const TARGET: Target = Target::CortexM { vector_align: VECTOR_ALIGN };

    /// Loader, hand-off and marker have RAM regions of their own in the layout, apart from the images', so nothing in here is reserved.
    fn map(&self) -> MemoryMap<'_> {
        MemoryMap { usable: &self.usable, reserved: &[] }
    }

    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        let start = usize::try_from(address).ok()?.checked_sub(self.images.ram_address)?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.images.ram.get_mut(start..end)
    }

    fn mapped(&self, region: Region) -> Option<Mapped<'_>> {
        let (bytes, extent) = match region {
            Region::Slot(Slot::A) => (self.images.slot_a, self.layout.slot_a),
            Region::Slot(Slot::B) => (self.images.slot_b, self.layout.slot_b),
            Region::Golden => (self.images.golden, self.layout.golden),
            Region::Log0 | Region::Log1 => return None,
        };
        let address = self.layout.flash.address.checked_add(extent.offset as usize)?;
        Some(Mapped { address: address as u64, bytes })
    }
}

/// The machine port.
pub(super) struct Machine {
    watchdog: Watchdog,
    marker: Marker<'static>,
    timer: Timer,
}

impl Machine {
    pub(super) fn new(board: &Board) -> Self {
        Self { watchdog: board.watchdog(), marker: board.marker(), timer: board.timer() }
    }
}

impl boot::Machine for Machine {
    /// One deadline for all: [`Watchdog::DEADLINE_SECONDS`]. The mark comes first, so that no reset by the watchdog goes without it.
    fn arm_watchdog(&mut self, _: Arming) -> Result<(), NoWatchdog> {
        self.marker.leave(Mark::Armed);
        if self.watchdog.arm() {
            return Ok(());
        }
        self.marker.leave(Mark::Running);
        Err(NoWatchdog)
    }

    /// The boards have no place to extend a measurement into.
    fn measure(&mut self, _: Kind, _: &Digest) {}

    fn ticks(&mut self) -> u32 {
        self.timer.ticks()
    }

    fn event(&mut self, event: &Event) {
        defmt::info!("{}", event);
    }
}
