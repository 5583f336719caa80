//! The storage port over a simulated flash, with a layout as boards have it.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{MonotonicCounter, Region, Storage, StorageError, Window};

use crate::flash::SimFlash;

/// What a board's flash is like, beyond its write and erase size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// What it stands for.
    pub name: &'static str,
    /// Largest region that an interrupted write may damage.
    pub tear_size: u32,
    /// Bytes of one log; a multiple of the erase size.
    pub log_size: u32,
    /// Bytes of a slot; a multiple of the erase size.
    pub slot_size: u32,
    /// Whether writes wait in a cache until they are flushed.
    pub cached: bool,
}

impl Geometry {
    /// How many bytes the whole flash has: two logs, two slots, the golden region.
    #[must_use]
    pub const fn flash_size(&self) -> u32 {
        2 * self.log_size + 3 * self.slot_size
    }

    /// Where a region starts and how long it is.
    #[must_use]
    pub const fn place(&self, region: Region) -> (u32, u32) {
        let slots = 2 * self.log_size;
        match region {
            Region::Log0 => (0, self.log_size),
            Region::Log1 => (self.log_size, self.log_size),
            Region::Slot(Slot::A) => (slots, self.slot_size),
            Region::Slot(Slot::B) => (slots + self.slot_size, self.slot_size),
            Region::Golden => (slots + 2 * self.slot_size, self.slot_size),
        }
    }
}

/// The storage port.
#[derive(Debug, Clone)]
pub struct SimStorage<const WRITE: usize, const ERASE: usize> {
    /// The flash beneath.
    pub flash: SimFlash<WRITE, ERASE>,
    geometry: Geometry,
}

impl<const WRITE: usize, const ERASE: usize> SimStorage<WRITE, ERASE> {
    /// Blank storage.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        let mut flash = SimFlash::new(geometry.flash_size());
        if geometry.cached {
            flash.add_cache();
        }
        Self { flash, geometry }
    }

    /// The layout.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// A region's bytes.
    #[must_use]
    pub fn bytes(&self, region: Region) -> &[u8] {
        let (start, size) = self.geometry.place(region);
        &self.flash.bytes()[start as usize..(start + size) as usize]
    }

    /// Where in the flash `offset` of a region is.
    #[must_use]
    pub const fn address(&self, region: Region, offset: u32) -> u32 {
        self.geometry.place(region).0 + offset
    }

    /// Erases a region and puts bytes at its start, as a factory would.
    pub fn put(&mut self, region: Region, bytes: &[u8]) {
        let (start, size) = self.geometry.place(region);
        let mut whole = vec![0xff; size as usize];
        whole[..bytes.len()].copy_from_slice(bytes);
        self.flash.put(start, &whole);
    }

    /// Makes every read of a region fail.
    pub fn fail_reads(&mut self, region: Region) {
        let (start, size) = self.geometry.place(region);
        self.flash.fail_reads(start..start + size);
    }

    /// Makes every write to a region fail.
    pub fn fail_writes(&mut self, region: Region) {
        let (start, size) = self.geometry.place(region);
        self.flash.fail_writes(start..start + size);
    }
}

impl<const WRITE: usize, const ERASE: usize> SimStorage<WRITE, ERASE> {
    /// Makes every write to a region do nothing and say that it did.
    pub fn swallow_writes(&mut self, region: Region) {
        let (start, size) = self.geometry.place(region);
        self.flash.swallow_writes(start..start + size);
    }

    /// Flips one bit of a region.
    pub fn flip(&mut self, region: Region, offset: u32, bit: u8) {
        self.flash.flip(self.address(region, offset), bit);
    }
}

impl<const WRITE: usize, const ERASE: usize> Storage for SimStorage<WRITE, ERASE>
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    type Flash = SimFlash<WRITE, ERASE>;

    fn tear_size(&self) -> u32 {
        self.geometry.tear_size
    }

    fn region(&mut self, region: Region) -> Window<'_, Self::Flash> {
        let (start, size) = self.geometry.place(region);
        Window::new(&mut self.flash, start, size)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.flash.flush().map_err(|_| StorageError)
    }
}

/// A counter in hardware; a board without one has `present: false`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimCounter {
    /// Whether it counts at all.
    pub present: bool,
    /// Its value.
    pub value: u32,
    /// Whether it fails to answer.
    pub broken: bool,
    /// Whether it answers, but can not be raised.
    pub fails_to_raise: bool,
}

impl MonotonicCounter for SimCounter {
    fn value(&mut self) -> Result<u32, StorageError> {
        if self.broken { Err(StorageError) } else { Ok(self.value) }
    }

    fn raise(&mut self, floor: u32) -> Result<(), StorageError> {
        if self.broken || self.fails_to_raise {
            return Err(StorageError);
        }
        if self.present {
            self.value = self.value.max(floor);
        }
        Ok(())
    }
}
