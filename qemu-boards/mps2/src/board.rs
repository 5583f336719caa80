//! A board: where its devices are and how its memory is laid out.

use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

use crate::devices::{Architecture, Protection, Timer, Uart, Watchdog};
use crate::layout::{Extent, Layout, Memory};
use crate::marker::Marker;
use crate::memory::{self, Words};
use crate::nor::Nor;
use crate::registers::Registers;

/// Addresses of the devices that the boards use, and the architecture of the processor.
#[derive(Debug, Clone, Copy)]
pub struct Devices {
    /// UART0: the text console.
    pub console: usize,
    /// UART1: defmt frames.
    pub log: usize,
    /// TIMER0: timing marks.
    pub timer: usize,
    /// The watchdog.
    pub watchdog: usize,
    /// By which the processor's memory protection unit is programmed.
    pub architecture: Architecture,
}

impl Devices {
    /// MPS2 with application note AN386: a Cortex-M4. Source: Arm DAI 0386, memory map.
    pub const AN386: Self =
        Self { console: 0x4000_4000, log: 0x4000_5000, timer: 0x4000_0000, watchdog: 0x4000_8000, architecture: Architecture::Armv7M };

    /// MPS2 with application note AN505: a Cortex-M33, through the secure aliases. Source: Arm DAI 0505, memory map.
    pub const AN505: Self =
        Self { console: 0x5020_0000, log: 0x5020_1000, timer: 0x5000_0000, watchdog: 0x5008_1000, architecture: Architecture::Armv8M };
}

/// A board.
#[derive(Debug)]
pub struct Board {
    devices: Devices,
    layout: Layout,
}

/// The right to the flash and to the RAM for images. A program has one.
#[derive(Debug)]
pub struct Claim(());

impl Claim {
    /// The claim of this program.
    ///
    /// # Safety
    /// No other claim was made since the reset.
    #[expect(unsafe_code, reason = "that main runs once is nothing that the compiler knows")]
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl Devices {
    /// The devices of the board of that name.
    #[must_use]
    pub const fn of(board: &str) -> Option<Self> {
        match board.as_bytes() {
            b"mps2-an386" => Some(Self::AN386),
            b"mps2-an505" => Some(Self::AN505),
            _ => None,
        }
    }
}

impl Board {
    /// The board that this program runs on.
    ///
    /// # Safety
    /// The machine has these devices, and memory where the layout says. This program was linked into what the layout gives it (the loader's own code
    /// and RAM, or an image that stays clear of the loader's RAM, hand-off and marker), and has no second `Board`.
    #[expect(unsafe_code, reason = "whoever describes a board vouches for its addresses")]
    #[must_use]
    pub const unsafe fn new(devices: Devices, layout: Layout) -> Self {
        Self { devices, layout }
    }

    /// The memory map.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The text console.
    #[must_use]
    pub fn console(&self) -> Uart {
        Uart::start(device(self.devices.console))
    }

    /// The UART for defmt frames.
    #[must_use]
    pub fn log(&self) -> Uart {
        Uart::start(device(self.devices.log))
    }

    /// Starts the timer.
    #[must_use]
    pub fn timer(&self) -> Timer {
        Timer::start(device(self.devices.timer))
    }

    /// The watchdog.
    #[must_use]
    pub fn watchdog(&self) -> Watchdog {
        Watchdog::new(device(self.devices.watchdog))
    }

    /// The memory protection unit.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        Protection::new(device(Protection::ADDRESS), self.devices.architecture)
    }

    /// The reset marker.
    #[must_use]
    pub fn marker(&self) -> Marker<'static> {
        Marker::new(shared(self.layout.marker))
    }

    /// The memory of the hand-off record.
    #[must_use]
    pub fn handoff(&self) -> Words {
        shared(self.layout.handoff)
    }

    /// The flash and the memory for images, for a loader: only the journal is unlocked, so what it hashes stays what it is.
    #[must_use]
    pub fn claim_for_loader(&self, claim: Claim) -> (Nor<'static>, ImageMemory<'_>) {
        (self.flash(claim, [Extent::NONE, Extent::NONE]), ImageMemory::new(&self.layout))
    }

    /// The flash and a view of the staging region, for an application: the journal and the slots that do not run are unlocked.
    #[must_use]
    pub fn claim_for_application(&self, claim: Claim, running: Option<Slot>) -> (Nor<'static>, &'static [u8]) {
        let unless_running = |slot| if running == Some(slot) { Extent::NONE } else { self.layout.slot(slot) };
        let flash = self.flash(claim, [unless_running(Slot::A), unless_running(Slot::B)]);
        (flash, constant(&self.layout, self.layout.staging))
    }

    fn flash(&self, Claim(()): Claim, [slot_0, slot_1]: [Extent; 2]) -> Nor<'static> {
        let [log_0, log_1] = self.layout.logs;
        Nor::new(shared(self.layout.flash), [log_0, log_1, slot_0, slot_1])
    }
}

#[expect(unsafe_code, reason = "a device is reached by its address")]
const fn device(address: usize) -> Registers {
    // SAFETY: `Board::new` was promised that its devices are there; their registers touch no memory (none of them is a DMA controller).
    unsafe { Registers::at(address) }
}

#[expect(unsafe_code, reason = "flash, hand-off and marker are reached by their addresses")]
fn shared(memory: Memory) -> Words {
    // SAFETY: `Board::new` was promised that this memory exists and is not the program's own. Over flash, hand-off and marker, only atomic views and
    // views of bytes that no atomic view may write (`ImageMemory`) are ever made.
    unsafe { memory::words(memory.address, memory.size) }
}

/// What a loader places images in, and where it sees those that run in place.
#[derive(Debug)]
pub struct ImageMemory<'a> {
    layout: &'a Layout,
    ram: &'static mut [u8],
}

impl<'a> ImageMemory<'a> {
    /// Called once, by the claim for a loader.
    #[expect(unsafe_code, reason = "RAM for images is reached by its address")]
    fn new(layout: &'a Layout) -> Self {
        let Memory { address, size } = layout.image;
        // SAFETY: a loader is linked into its own RAM, so nothing else uses the RAM for images, and there is one claim.
        Self { layout, ram: unsafe { memory::own_bytes(address, size) } }
    }

    /// The RAM for images.
    pub const fn ram(&mut self) -> &mut [u8] {
        self.ram
    }

    /// The address of the image in this region, and its bytes; `None` for the journal. Empty for a golden region that the board does not have.
    #[must_use]
    pub fn image(&self, region: Region) -> Option<(usize, &'static [u8])> {
        let extent = match region {
            Region::Slot(slot) => self.layout.slot(slot),
            Region::Golden => self.layout.golden,
            Region::Log0 | Region::Log1 => return None,
        };
        let bytes = constant(self.layout, extent);
        Some((bytes.as_ptr().addr(), bytes))
    }
}

#[expect(unsafe_code, reason = "mapped flash is reached by its address")]
fn constant(layout: &Layout, extent: Extent) -> &'static [u8] {
    let address = layout.flash.address.saturating_add(extent.offset as usize);
    // SAFETY: the only `Nor` of this program came from the same claim and unlocks nothing of what is viewed
    // here: not staging, and for a loader only the journal, which the layout keeps clear of the slots.
    unsafe { memory::constant_bytes(address, extent.size as usize) }
}
