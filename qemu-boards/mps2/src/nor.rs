//! NOR flash over memory, with the rules of real NOR flash.
//!
//! * A program operation takes whole words and only clears bits. A word is programmed once; after that only an erase makes it writable again.
//! * An erase takes whole sectors and sets every bit.
//! * What lies outside the extents that were unlocked is write-protected.
//!
//! An operation that would break a rule is refused before it changes anything. A power cut may end one between any two words.

use core::sync::atomic::{AtomicU32, Ordering};

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::layout::Extent;

/// A word that was erased and not programmed since.
const ERASED: u32 = u32::MAX;

/// Bytes of a word: the smallest write.
pub const WRITE_SIZE: u32 = 4;

/// Bytes of a sector: the smallest erase.
pub const ERASE_SIZE: u32 = 4096;

/// A flash, with up to four extents unlocked for writing.
#[derive(Debug, Clone, Copy)]
pub struct Nor<'a> {
    words: &'a [AtomicU32],
    unlocked: [Extent; 4],
}

impl<'a> Nor<'a> {
    /// The flash that `words` are, write-protected except for `unlocked`.
    #[must_use]
    pub const fn new(words: &'a [AtomicU32], unlocked: [Extent; 4]) -> Self {
        Self { words, unlocked }
    }

    /// The words of an aligned, unlocked range.
    fn writable(&self, from: u32, to: u32, unit: u32) -> Result<&'a [AtomicU32], NorError> {
        if !from.is_multiple_of(unit) || !to.is_multiple_of(unit) {
            return Err(NorError::Unaligned);
        }
        if !self.unlocked.iter().any(|extent| extent.contains(from, to)) {
            return Err(NorError::Protected);
        }
        self.words.get((from / 4) as usize..(to / 4) as usize).ok_or(NorError::OutOfBounds)
    }
}

impl ErrorType for Nor<'_> {
    type Error = NorError;
}

impl ReadNorFlash for Nor<'_> {
    const READ_SIZE: usize = 1;

    /// Byte by byte: no alignment to tell apart, and the loader reads little through here.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        let start = offset as usize;
        let end = start.checked_add(bytes.len()).ok_or(NorError::OutOfBounds)?;
        if end > self.capacity() {
            return Err(NorError::OutOfBounds);
        }
        for (at, byte) in (start..end).zip(bytes) {
            let word = self.words.get(at / 4).map_or(ERASED, |word| word.load(Ordering::Relaxed));
            *byte = (word >> (at % 4 * 8)) as u8;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.words.len().saturating_mul(4)
    }
}

impl NorFlash for Nor<'_> {
    const WRITE_SIZE: usize = WRITE_SIZE as usize;
    const ERASE_SIZE: usize = ERASE_SIZE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        for word in self.writable(from, to, ERASE_SIZE)? {
            word.store(ERASED, Ordering::Relaxed);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        let len = u32::try_from(bytes.len()).map_err(|_| NorError::OutOfBounds)?;
        let end = offset.checked_add(len).ok_or(NorError::OutOfBounds)?;
        let words = self.writable(offset, end, WRITE_SIZE)?;
        if words.iter().any(|word| word.load(Ordering::Relaxed) != ERASED) {
            return Err(NorError::NotErased);
        }
        crate::memory::store(words, bytes);
        Ok(())
    }
}

/// A flash operation that breaks a rule. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NorError {
    /// It ends outside the flash.
    OutOfBounds,
    /// It is not made of whole words or sectors.
    Unaligned,
    /// It would program a word that was programmed since its last erase.
    NotErased,
    /// It lies outside what is unlocked.
    Protected,
}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Unaligned => NorFlashErrorKind::NotAligned,
            Self::NotErased | Self::Protected => NorFlashErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests;
