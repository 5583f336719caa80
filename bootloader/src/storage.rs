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

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixteen bytes of flash that say where a window reached.
    struct Bytes([u8; 16]);

    impl ErrorType for Bytes {
        type Error = StorageError;
    }

    impl ReadNorFlash for Bytes {
        const READ_SIZE: usize = 1;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), StorageError> {
            let from = self.0.get(offset as usize..).and_then(|rest| rest.get(..bytes.len())).ok_or(StorageError)?;
            bytes.copy_from_slice(from);
            Ok(())
        }

        fn capacity(&self) -> usize {
            self.0.len()
        }
    }

    impl NorFlash for Bytes {
        const WRITE_SIZE: usize = 2;
        const ERASE_SIZE: usize = 4;

        fn erase(&mut self, from: u32, to: u32) -> Result<(), StorageError> {
            self.0.get_mut(from as usize..to as usize).ok_or(StorageError)?.fill(0xff);
            Ok(())
        }

        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), StorageError> {
            self.0.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..bytes.len())).ok_or(StorageError)?.copy_from_slice(bytes);
            Ok(())
        }
    }

    fn flash() -> Bytes {
        Bytes(core::array::from_fn(|at| at as u8))
    }

    #[test]
    fn a_window_reaches_its_own_bytes_and_no_others() {
        let mut flash = flash();
        let mut window = Window::new(&mut flash, 4, 8);
        assert_eq!((window.size(), window.capacity(), ReadAt::size(&window)), (8, 8, 8));
        let mut bytes = [0; 8];
        assert_eq!(window.read(0, &mut bytes), Ok(()));
        assert_eq!(bytes, [4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(window.read_at(6, &mut bytes[..2]), Ok(()));
        assert_eq!(bytes[..2], [10, 11]);
        assert_eq!(window.write(6, &[1, 2]), Ok(()));
        assert_eq!(window.erase(0, 4), Ok(()));
        assert_eq!(flash.0, [0, 1, 2, 3, 255, 255, 255, 255, 8, 9, 1, 2, 12, 13, 14, 15]);
    }

    #[test]
    fn nothing_outside_a_window_is_read_written_or_erased() {
        let mut flash = flash();
        let before = flash.0;
        let mut window = Window::new(&mut flash, 4, 8);
        let mut byte = [0; 1];
        assert_eq!(window.read(7, &mut [0; 2]), Err(StorageError));
        assert_eq!(window.read(8, &mut byte), Err(StorageError));
        assert_eq!(window.read(u32::MAX, &mut byte), Err(StorageError));
        assert_eq!(window.read_at(1 << 32, &mut byte), Err(StorageError), "2^32 is not 0");
        assert_eq!(window.write(7, &[1, 2]), Err(StorageError));
        assert_eq!(window.erase(4, 12), Err(StorageError));
        assert_eq!(window.erase(8, 4), Err(StorageError));
        assert_eq!(window.absolute(0, usize::MAX), Err(StorageError));
        assert_eq!(flash.0, before);
    }

    #[test]
    fn a_window_at_the_end_of_the_address_space_does_not_wrap() {
        let mut flash = flash();
        let before = flash.0;
        let mut window = Window::new(&mut flash, u32::MAX - 3, 64);
        assert_eq!(window.read(8, &mut [0; 4]), Err(StorageError));
        assert_eq!(window.erase(0, 8), Err(StorageError), "its end would be offset 4");
        assert_eq!(window.write(4, &[1, 2]), Err(StorageError));
        assert_eq!(flash.0, before);
    }

    #[test]
    fn an_empty_window_holds_nothing() {
        let mut flash = flash();
        let mut window = Window::new(&mut flash, 0, 0);
        assert_eq!(window.read(0, &mut []), Ok(()));
        assert_eq!(window.read(0, &mut [0]), Err(StorageError));
    }

    #[test]
    fn a_storage_error_says_so() {
        assert_eq!(StorageError.kind(), NorFlashErrorKind::Other);
        assert_eq!(std::format!("{StorageError}"), "the storage failed");
    }

    #[test]
    fn a_board_without_a_counter_has_no_floor_in_it() {
        assert_eq!((NoCounter.raise(7), NoCounter.value()), (Ok(()), Ok(0)));
    }
}
