//! The storage port: named regions of NOR-like flash.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};

use crate::slot::Slot;

/// Largest write size of a flash that journals and slots lie on, in bytes.
pub const MAX_WRITE_SIZE: usize = 512;

/// A region of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Region {
    /// The first journal log.
    Log0,
    /// The second journal log.
    Log1,
    /// A slot.
    Slot(Slot),
    /// The read-only golden image, where the board has one.
    Golden,
}

/// Where regions are stored.
///
/// Contract: [`Storage::region`] gives a window whose offset 0 is the region's first byte; a region that the board does not have is an empty window.
/// Reads have no alignment (`READ_SIZE` = 1), `WRITE_SIZE` is at most 512. [`Storage::flush`] returns only after everything written before is on the
/// medium, and reads after it come from the medium, past any cache. While one writer lives, no other one writes the same storage (an exclusive lock,
/// where there is an operating system).
pub trait Storage {
    /// The flash that the regions lie on.
    type Flash: NorFlash;

    /// Bytes of the largest aligned region that one interrupted write may damage; journal records never share one.
    fn tear_size(&self) -> u32;

    /// The window of one region.
    fn region(&mut self, region: Region) -> Window<'_, Self::Flash>;

    /// Makes everything written durable.
    ///
    /// # Errors
    /// The medium could not take it.
    fn flush(&mut self) -> Result<(), StorageError>;
}

/// A counter in hardware that never goes back: it keeps the floor when the journal is lost.
pub trait MonotonicCounter {
    /// The counter's value.
    ///
    /// # Errors
    /// The hardware did not answer.
    fn value(&mut self) -> Result<u32, StorageError>;

    /// Raises the counter to at least `floor`; never lowers it.
    ///
    /// # Errors
    /// The hardware did not take it.
    fn raise(&mut self, floor: u32) -> Result<(), StorageError>;
}

/// A board without a monotonic counter: whoever can erase the journal can go back to the compiled-in floor.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCounter;

impl MonotonicCounter for NoCounter {
    fn value(&mut self) -> Result<u32, StorageError> {
        Ok(0)
    }

    fn raise(&mut self, _floor: u32) -> Result<(), StorageError> {
        Ok(())
    }
}

/// A storage operation failed. Not a refusal: nothing is known about the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StorageError;

impl core::fmt::Display for StorageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the storage failed")
    }
}

impl core::error::Error for StorageError {}

/// A region of a flash, addressed from 0.
#[derive(Debug)]
pub struct Window<'a, F> {
    flash: &'a mut F,
    base: u32,
    size: u32,
}

impl<'a, F> Window<'a, F> {
    /// The window of `size` bytes from `base` on. Base and size must be multiples of the erase size for writing to work at the edges.
    pub const fn new(flash: &'a mut F, base: u32, size: u32) -> Self {
        Self { flash, base, size }
    }

    /// The window's size in bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// The offset in the flash, when `offset..offset + len` lies inside the window.
    fn absolute(&self, offset: u32, len: usize) -> Result<u32, StorageError> {
        let len = u32::try_from(len).map_err(|_| StorageError)?;
        let end = offset.checked_add(len).ok_or(StorageError)?;
        if end > self.size {
            return Err(StorageError);
        }
        self.base.checked_add(offset).ok_or(StorageError)
    }
}

impl NorFlashError for StorageError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<F> ErrorType for Window<'_, F> {
    type Error = StorageError;
}

impl<F: ReadNorFlash> ReadNorFlash for Window<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), StorageError> {
        let at = self.absolute(offset, bytes.len())?;
        self.flash.read(at, bytes).map_err(|_| StorageError)
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<F: NorFlash> NorFlash for Window<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), StorageError> {
        let len = to.checked_sub(from).ok_or(StorageError)?;
        let start = self.absolute(from, len as usize)?;
        let end = start.checked_add(len).ok_or(StorageError)?;
        self.flash.erase(start, end).map_err(|_| StorageError)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), StorageError> {
        let at = self.absolute(offset, bytes.len())?;
        self.flash.write(at, bytes).map_err(|_| StorageError)
    }
}

/// Reads of one image, wherever it lies. 64-bit offsets, so that a host can read images larger than any flash.
pub trait ReadAt {
    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// The bytes could not be read, or end outside what there is.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError>;

    /// How many bytes there are room for: the slot's size, not the image's.
    fn size(&self) -> u64;
}

impl<F: ReadNorFlash> ReadAt for Window<'_, F> {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.read(u32::try_from(offset).map_err(|_| StorageError)?, bytes)
    }

    fn size(&self) -> u64 {
        u64::from(self.size)
    }
}
