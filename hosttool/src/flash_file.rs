//! A flash image in a file, under the rules of NOR flash: erase makes whole units 0xFF, a write only clears bits, both are aligned.
//!
//! What breaks a rule is an error and changes nothing, so that an image made or changed here could have been made on the device.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
};

use anyhow::{Context as _, ensure};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use twinslot_bootloader::{
    slot::Slot,
    storage::{Region, Storage, StorageError, Window},
};
use twinslot_config::{Layout, layout::Span};

/// Bytes that are compared or filled at a time.
const BLOCK: usize = 64 * 1024;

/// What a flash refused to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// The range is not made of whole units.
    #[error("a write or an erase is not made of whole units")]
    NotAligned,
    /// The range ends behind the flash.
    #[error("a range ends behind the flash")]
    OutOfBounds,
    /// A write would set a bit: the place was not erased.
    #[error("a write would set bits that only an erase can set")]
    SetsBits,
    /// The file could not be read or written.
    #[error("the file can not be read or written")]
    File,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::SetsBits | Self::File => NorFlashErrorKind::Other,
        }
    }
}

/// A flash whose smallest write is `WRITE` bytes. Its erase size is a value, checked at every erase.
#[derive(Debug)]
pub struct FileFlash<const WRITE: usize> {
    file: File,
    size: u32,
    erase_size: u32,
}

impl<const WRITE: usize> ErrorType for FileFlash<WRITE> {
    type Error = FlashError;
}

impl<const WRITE: usize> ReadNorFlash for FileFlash<WRITE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check_range(offset, bytes.len() as u64)?;
        self.file.read_exact_at(bytes, offset.into()).map_err(|_| FlashError::File)
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<const WRITE: usize> NorFlash for FileFlash<WRITE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = WRITE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).ok_or(FlashError::OutOfBounds)?;
        self.check_range(from, len.into())?;
        if !from.is_multiple_of(self.erase_size) || !len.is_multiple_of(self.erase_size) {
            return Err(FlashError::NotAligned);
        }
        fill_erased(&self.file, from.into(), len.into()).map_err(|_| FlashError::File)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check_range(offset, bytes.len() as u64)?;
        if !(offset as usize).is_multiple_of(WRITE) || !bytes.len().is_multiple_of(WRITE) {
            return Err(FlashError::NotAligned);
        }
        let mut held = vec![0; bytes.len()];
        self.read(offset, &mut held)?;
        if held.iter().zip(bytes).any(|(held, new)| new & !held != 0) {
            return Err(FlashError::SetsBits);
        }
        self.file.write_all_at(bytes, offset.into()).map_err(|_| FlashError::File)
    }
}

impl<const WRITE: usize> FileFlash<WRITE> {
    fn check_range(&self, offset: u32, len: u64) -> Result<(), FlashError> {
        if u64::from(offset) + len <= u64::from(self.size) { Ok(()) } else { Err(FlashError::OutOfBounds) }
    }
}

/// Fills a range of a file with what erased flash holds.
///
/// # Errors
/// The file can not be written.
pub fn fill_erased(file: &File, from: u64, len: u64) -> std::io::Result<()> {
    let block = [0xff; BLOCK];
    let mut at = from;
    let end = from + len;
    while at < end {
        let step = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
        file.write_all_at(block.get(..step).unwrap_or_default(), at)?;
        at += step as u64;
    }
    Ok(())
}

/// The regions of a layout on a flash in a file.
#[derive(Debug)]
pub struct FileStorage<const WRITE: usize> {
    flash: FileFlash<WRITE>,
    layout: Layout,
}

impl<const WRITE: usize> Storage for FileStorage<WRITE> {
    type Flash = FileFlash<WRITE>;

    fn tear_size(&self) -> u32 {
        narrow(self.layout.flash.tear_size)
    }

    fn region(&mut self, region: Region) -> Window<'_, Self::Flash> {
        let [log_0, log_1] = self.layout.logs();
        let span = match region {
            Region::Log0 => log_0,
            Region::Log1 => log_1,
            Region::Slot(Slot::A) => self.layout.slot_a,
            Region::Slot(Slot::B) => self.layout.slot_b,
            Region::Golden => self.layout.golden.unwrap_or(Span { offset: 0, size: 0 }),
        };
        Window::new(&mut self.flash, narrow(span.offset), narrow(span.size))
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.flash.file.sync_data().map_err(|_| StorageError)
    }
}

/// Every value of a layout is below 4 GiB once it is checked.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Something to do with a storage whose write size is known only at run time.
pub trait StorageJob {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<S: Storage>(self, storage: &mut S) -> Self::Output;
}

/// Does a job on a flash image.
///
/// # Errors
/// The file is shorter than the layout's flash regions.
pub fn with_storage<J: StorageJob>(layout: &Layout, file: &File, job: J) -> anyhow::Result<J::Output> {
    let len = file.metadata().context("the flash image can not be read")?.len();
    let needed = layout.flash_regions().iter().map(|(_, span)| span.end()).max().unwrap_or(0);
    ensure!(len >= needed, "the flash image has {len} bytes, but the layout's regions end at {needed}: use the layout that it was assembled with");
    let file = file.try_clone().context("the flash image can not be opened again")?;
    Ok(match layout.flash.write_size {
        1 => run::<1, J>(layout, file, len, job),
        2 => run::<2, J>(layout, file, len, job),
        4 => run::<4, J>(layout, file, len, job),
        8 => run::<8, J>(layout, file, len, job),
        16 => run::<16, J>(layout, file, len, job),
        32 => run::<32, J>(layout, file, len, job),
        64 => run::<64, J>(layout, file, len, job),
        128 => run::<128, J>(layout, file, len, job),
        256 => run::<256, J>(layout, file, len, job),
        _ => run::<512, J>(layout, file, len, job),
    })
}

fn run<const WRITE: usize, J: StorageJob>(layout: &Layout, file: File, len: u64, job: J) -> J::Output {
    let flash = FileFlash { file, size: narrow(len), erase_size: narrow(layout.flash.erase_size) };
    job.run(&mut FileStorage::<WRITE> { flash, layout: layout.clone() })
}

/// Opens a flash image to change it, as its only writer.
///
/// # Errors
/// It can not be opened, or another program is writing it.
pub fn open_exclusively(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path).with_context(|| format!("{}: can not be opened", path.display()))?;
    file.try_lock().with_context(|| format!("{}: another program is writing it: try again when it is done", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flash() -> FileFlash<4> {
        let file = tempfile::tempfile().expect("a temporary file");
        fill_erased(&file, 0, 8192).expect("an erased file");
        FileFlash { file, size: 8192, erase_size: 4096 }
    }

    #[test]
    fn a_write_clears_bits_and_never_sets_one() {
        let mut flash = flash();
        flash.write(4096, &[0xf0; 8]).expect("a write to erased flash");
        flash.write(4096, &[0x30; 4]).expect("clearing more bits");
        assert_eq!(flash.write(4096, &[0x31; 4]), Err(FlashError::SetsBits));
        let mut bytes = [0; 12];
        flash.read(4096, &mut bytes).expect("a read");
        assert_eq!(bytes, [0x30, 0x30, 0x30, 0x30, 0xf0, 0xf0, 0xf0, 0xf0, 0xff, 0xff, 0xff, 0xff]);
        flash.erase(4096, 8192).expect("an erase");
        flash.write(4096, &[0x31; 4]).expect("a write after the erase");
    }

    #[test]
    fn partial_units_and_ranges_behind_the_end_are_refused() {
        let mut flash = flash();
        assert_eq!(flash.write(2, &[0; 4]), Err(FlashError::NotAligned));
        assert_eq!(flash.write(0, &[0; 3]), Err(FlashError::NotAligned));
        assert_eq!(flash.erase(0, 2048), Err(FlashError::NotAligned));
        assert_eq!(flash.erase(4096, 0), Err(FlashError::OutOfBounds));
        assert_eq!(flash.write(8192, &[0; 4]), Err(FlashError::OutOfBounds));
        assert_eq!(flash.read(8190, &mut [0; 4]), Err(FlashError::OutOfBounds));
    }
}
