//! The memory and the machine of a simulated board.

use linux_shell::device_tree;
use twinslot_bootloader::boot::{Arming, Event, Machine, NoWatchdog};
use twinslot_bootloader::crypto::Digest;
use twinslot_bootloader::image::kernel::Architecture;
use twinslot_bootloader::image::manifest::Kind;
use twinslot_bootloader::load::{Mapped, Memory, MemoryMap, PlacedPart, Span, Target};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

/// Where the RAM for images begins.
pub const RAM_BASE: u64 = 0x2000_0000;

/// Where the processor sees slot A; slot B and the golden region follow at [`MAPPED_STEP`].
pub const MAPPED_BASE: u64 = 0x0800_0000;

/// The distance between mapped regions.
pub const MAPPED_STEP: u64 = 0x0100_0000;

/// The RAM and the mapped flash of a microcontroller.
#[derive(Debug, Clone)]
pub struct SimMemory {
    usable: Vec<Span>,
    reserved: Vec<Span>,
    ram: Vec<u8>,
    mapped: [Vec<u8>; 3],
    mapped_base: u64,
}

impl SimMemory {
    /// `ram_size` bytes of RAM for images, of which the last `reserved` belong to the loader.
    #[must_use]
    pub fn new(ram_size: usize, reserved: u64) -> Self {
        let len = ram_size as u64;
        Self {
            usable: vec![Span { start: RAM_BASE, len }],
            reserved: vec![Span { start: RAM_BASE + len - reserved, len: reserved }],
            ram: vec![0; ram_size],
            mapped: [const { Vec::new() }; 3],
            mapped_base: MAPPED_BASE,
        }
    }

    /// What lies in RAM at an address.
    #[must_use]
    pub fn peek(&self, address: u64, len: u64) -> &[u8] {
        let start = (address - RAM_BASE) as usize;
        &self.ram[start..start + len as usize]
    }

    /// Shows the processor what a region holds.
    pub fn map_region(&mut self, region: Region, bytes: &[u8]) {
        if let Some(index) = mapped_index(region) {
            self.mapped[index] = bytes.to_vec();
        }
    }

    /// Moves the mapped flash, to where offsets overflow for instance.
    pub const fn move_mapped(&mut self, base: u64) {
        self.mapped_base = base;
    }
}

/// The address at which a region is mapped.
#[must_use]
pub fn mapped_address(region: Region) -> Option<u64> {
    Some(MAPPED_BASE + MAPPED_STEP * mapped_index(region)? as u64)
}

const fn mapped_index(region: Region) -> Option<usize> {
    match region {
        Region::Slot(Slot::A) => Some(0),
        Region::Slot(Slot::B) => Some(1),
        Region::Golden => Some(2),
        _ => None,
    }
}

impl Memory for SimMemory {
    const TARGET: Target = Target::CortexM { vector_align: 512 };

    fn map(&self) -> MemoryMap<'_> {
        MemoryMap { usable: &self.usable, reserved: &self.reserved }
    }

    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        let start = usize::try_from(address.checked_sub(RAM_BASE)?).ok()?;
        self.ram.get_mut(start..start.checked_add(usize::try_from(len).ok()?)?)
    }

    fn mapped(&self, region: Region) -> Option<Mapped<'_>> {
        let index = mapped_index(region)?;
        let address = self.mapped_base.checked_add(MAPPED_STEP.checked_mul(index as u64)?)?;
        Some(Mapped { address, bytes: &self.mapped[index] })
    }
}

/// The same memory on a board that starts arm64 kernels.
#[derive(Debug, Clone)]
pub struct LinuxMemory(pub SimMemory);

impl Memory for LinuxMemory {
    const TARGET: Target = Target::Linux(Architecture::Aarch64);

    fn map(&self) -> MemoryMap<'_> {
        self.0.map()
    }

    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]> {
        self.0.ram(address, len)
    }

    fn mapped(&self, region: Region) -> Option<Mapped<'_>> {
        self.0.mapped(region)
    }

    /// As the boards do it.
    fn judge(&mut self, part: &PlacedPart) -> Result<(), Rejection> {
        if part.kind != Kind::DeviceTree {
            return Ok(());
        }
        let tree = self.ram(part.address, part.len).ok_or(Rejection::RangeOutsideRam)?;
        device_tree::judge(tree, TREE_ROOM).map_err(|_| Rejection::UnusableDeviceTree)
    }
}

/// Room for the tree that Linux gets.
const TREE_ROOM: usize = 0x2_0000;

/// A machine that writes down what was asked of it.
#[derive(Debug, Clone, Default)]
pub struct SimMachine {
    /// Whether the watchdog does not start.
    pub broken_watchdog: bool,
    /// How the watchdog was armed in this boot, in order.
    pub armed: Vec<Arming>,
    /// What was measured in this boot.
    pub measured: Vec<(Kind, Digest)>,
    /// What the loader told in this boot.
    pub events: Vec<Event>,
    ticks: u32,
}

impl SimMachine {
    /// Forgets an earlier boot.
    pub fn reset(&mut self) {
        *self = Self { broken_watchdog: self.broken_watchdog, ..Self::default() };
    }
}

impl Machine for SimMachine {
    fn arm_watchdog(&mut self, arming: Arming) -> Result<(), NoWatchdog> {
        if self.broken_watchdog {
            return Err(NoWatchdog);
        }
        self.armed.push(arming);
        Ok(())
    }

    fn measure(&mut self, kind: Kind, digest: &Digest) {
        self.measured.push((kind, *digest));
    }

    fn ticks(&mut self) -> u32 {
        self.ticks += 1;
        self.ticks
    }

    fn event(&mut self, event: &Event) {
        self.events.push(*event);
    }
}
