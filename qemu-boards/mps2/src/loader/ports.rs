//! The loader library's ports, over this board's flash, memory and devices.

use twinslot_bootloader::boot::{Arming, Event, NoWatchdog};
use twinslot_bootloader::crypto::Digest;
use twinslot_bootloader::image::manifest::Kind;
use twinslot_bootloader::load::{Mapped, MemoryMap, Span, Target};
use twinslot_bootloader::storage::Region;
use twinslot_bootloader::{boot, load};

use crate::board::{Board, ImageMemory};
use crate::devices::{Timer, Watchdog};
use crate::layout::{Layout, Memory as RamForImages};
use crate::marker::{Mark, Marker};

pub(super) use crate::flash::Flash;

/// What VTOR asks for, with 16 exceptions and up to 16 interrupts. Source: Armv7-M and Armv8-M architecture reference manuals, VTOR.
const VECTOR_ALIGN: u32 = 128;

/// The memory port.
pub(super) struct Memory<'a> {
    images: ImageMemory<'a>,
    usable: [Span; 1],
}

impl<'a> Memory<'a> {
    pub(super) const fn new(images: ImageMemory<'a>, layout: &Layout) -> Self {
        let RamForImages { address, size } = layout.image;
        Self { images, usable: [Span { start: address as u64, len: size as u64 }] }
    }
}

impl load::Memory for Memory<'_> {
    const TARGET: Target = Target::CortexM { vector_align: VECTOR_ALIGN };

    /// Loader, hand-off and marker have RAM regions of their own in the layout, apart from the images', so nothing in here is reserved.
    fn map(&self) -> MemoryMap<'_> {
        MemoryMap { usable: &self.usable, reserved: &[] }
    }

    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        let ram = self.images.ram();
        let start = usize::try_from(address).ok()?.checked_sub(ram.as_ptr().addr())?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        ram.get_mut(start..end)
    }

    fn mapped(&self, region: Region) -> Option<Mapped<'_>> {
        let (address, bytes) = self.images.image(region)?;
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
