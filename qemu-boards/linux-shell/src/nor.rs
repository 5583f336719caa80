//! A disk with the operations of NOR flash.
//!
//! * Reads have no alignment; what is not whole sectors goes through one sector of the adapter's own.
//! * A write takes whole sectors, an erase whole units of 64 KiB, which it fills with 0xFF.
//! * What lies outside the extents that were unlocked is write-protected.
//! * After a read or a flush the device is at rest: whatever was read can not change any more.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::disk::{Disk, DiskError, Operation, SECTOR, WatchedDisk};
use crate::layout::Extent;

/// Bytes of the smallest write.
pub const WRITE_SIZE: u32 = SECTOR as u32;

/// Bytes of the smallest erase.
pub const ERASE_SIZE: u32 = 64 * 1024;

/// The most that one interrupted write may damage: a physical block of most disks.
pub const TEAR_SIZE: u32 = 4096;

/// What erased bytes read as: as many as are written at once.
const ERASED: [u8; TEAR_SIZE as usize] = [0xff; TEAR_SIZE as usize];

/// A flash on a disk, with two extents unlocked for writing.
#[derive(Debug)]
pub struct DiskFlash<'a, D> {
    disk: &'a WatchedDisk<D>,
    size: u32,
    unlocked: [Extent; 2],
}

impl<'a, D: Disk> DiskFlash<'a, D> {
    /// The first `size` bytes of `disk`, write-protected except for `unlocked`.
    pub const fn new(disk: &'a WatchedDisk<D>, size: u32, unlocked: [Extent; 2]) -> Self {
        Self { disk, size, unlocked }
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// The device did not do it.
    pub fn flush(&mut self) -> Result<(), FlashError> {
        self.disk.attempt(Operation::Flush, 0, |disk| disk.flush().and_then(|()| disk.rest())).map_err(FlashError::Disk)
    }

    fn check_range(&self, offset: u32, len: usize) -> Result<u32, FlashError> {
        let end = u32::try_from(len).ok().and_then(|len| offset.checked_add(len));
        end.filter(|end| *end <= self.size).ok_or(FlashError::OutOfBounds)
    }

    fn check_writable(&self, from: u32, to: u32, unit: u32) -> Result<(), FlashError> {
        if !from.is_multiple_of(unit) || !to.is_multiple_of(unit) {
            return Err(FlashError::Unaligned);
        }
        if from > to || to > self.size {
            return Err(FlashError::OutOfBounds);
        }
        if !self.unlocked.iter().any(|extent| extent.contains(from, to)) {
            return Err(FlashError::Protected);
        }
        Ok(())
    }
}

impl<D> ErrorType for DiskFlash<'_, D> {
    type Error = FlashError;
}

impl<D: Disk> ReadNorFlash for DiskFlash<'_, D> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check_range(offset, bytes.len())?;
        let sector = sector_of(offset);
        let read = |disk: &mut D| read_any(disk, offset, bytes).and_then(|()| disk.rest());
        self.disk.attempt(Operation::Read, sector, read).map_err(FlashError::Disk)
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<D: Disk> NorFlash for DiskFlash<'_, D> {
    const WRITE_SIZE: usize = WRITE_SIZE as usize;
    const ERASE_SIZE: usize = ERASE_SIZE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check_writable(from, to, ERASE_SIZE)?;
        let erased = ERASED;
        for offset in (from..to).step_by(erased.len()) {
            let sector = sector_of(offset);
            self.disk.attempt(Operation::Write, sector, |disk| disk.write(sector, &erased)).map_err(FlashError::Disk)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let end = self.check_range(offset, bytes.len())?;
        self.check_writable(offset, end, WRITE_SIZE)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let sector = sector_of(offset);
        self.disk.attempt(Operation::Write, sector, |disk| disk.write(sector, bytes)).map_err(FlashError::Disk)
    }
}

/// Fills `bytes`: the part of a sector that it begins in, whole sectors where they go, and the part of a sector that it ends in.
fn read_any<D: Disk>(disk: &mut D, offset: u32, bytes: &mut [u8]) -> Result<(), DiskError> {
    let before = offset as usize % SECTOR;
    let head_len = if before == 0 { 0 } else { bytes.len().min(SECTOR - before) };
    let (head, rest) = bytes.split_at_mut(head_len);
    let whole_len = rest.len() - rest.len() % SECTOR;
    let (whole, tail) = rest.split_at_mut(whole_len);
    let first = sector_of(offset);
    let first_whole = first + u64::from(head_len > 0);
    read_piece(disk, first, before, head)?;
    if !whole.is_empty() {
        disk.read(first_whole, whole)?;
    }
    read_piece(disk, first_whole + (whole_len / SECTOR) as u64, 0, tail)
}

/// Fills `piece` with what stands `skip` bytes into a sector.
fn read_piece<D: Disk>(disk: &mut D, sector: u64, skip: usize, piece: &mut [u8]) -> Result<(), DiskError> {
    if piece.is_empty() {
        return Ok(());
    }
    let mut whole = [0; SECTOR];
    disk.read(sector, &mut whole)?;
    for (target, byte) in piece.iter_mut().zip(whole.iter().skip(skip)) {
        *target = *byte;
    }
    Ok(())
}

const fn sector_of(offset: u32) -> u64 {
    (offset / WRITE_SIZE) as u64
}

/// A flash operation that did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashError {
    /// It ends outside the flash.
    OutOfBounds,
    /// It is not made of whole units.
    Unaligned,
    /// It lies outside what is unlocked.
    Protected,
    /// The disk failed.
    Disk(DiskError),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Unaligned => NorFlashErrorKind::NotAligned,
            Self::Protected | Self::Disk(_) => NorFlashErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests;
