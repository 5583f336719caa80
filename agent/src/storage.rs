//! The storage port over a block device or a regular file.
//!
//! Guarantees:
//! * Whoever holds a [`FileStorage`] from [`FileStorage::open`] is the only one: it has an exclusive `flock` on the file until it is dropped, and
//!   no longer, whatever processes were started meanwhile.
//! * [`Storage::flush`] returns after `fdatasync`, and then asks the kernel to drop its cached pages, so that what is read next comes from the
//!   medium.
//! * Nothing outside the layout's extent is read or written, and read-only storage is never written.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use rustix::fs::{Advice, FlockOperation};
use rustix::io::Errno;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{Region, Storage, StorageError, Window};
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use crate::open::open;

/// The smallest write: one logical block of most disks.
pub const WRITE_SIZE: u32 = 512;

/// The smallest erase: what the journal's logs are whole multiples of, so that they never share a block of flash inside the disk on small devices.
pub const ERASE_SIZE: u32 = 64 * 1024;

/// The least that one interrupted write may damage: a physical block of most disks.
pub const LEAST_TEAR_SIZE: u64 = 4096;

/// What erased bytes read as.
static ERASED: [u8; ERASE_SIZE as usize] = [0xff; ERASE_SIZE as usize];

/// The regions of a layout on one block device or file.
#[derive(Debug)]
pub struct FileStorage {
    flash: FileFlash,
    regions: Regions,
    tear_size: u32,
}

impl FileStorage {
    /// Opens storage for a writer, which is alone with it until it drops it.
    ///
    /// # Errors
    /// The layout is not one of a block device, the path names something else, somebody else has it open, or it is too small.
    pub fn open(path: &Path, layout: &Layout) -> Result<Self, OpenError> {
        Self::open_as(path, layout, Access::ReadWrite)
    }

    /// Opens storage to look at it, at a time when nobody writes it.
    ///
    /// # Errors
    /// As [`FileStorage::open`]; other readers are no hindrance.
    pub fn open_read_only(path: &Path, layout: &Layout) -> Result<Self, OpenError> {
        Self::open_as(path, layout, Access::ReadOnly)
    }

    /// The last operation of the operating system that failed. The port itself can only say that one did.
    #[must_use]
    pub const fn failure(&self) -> Option<&io::Error> {
        self.flash.failure.as_ref()
    }

    /// Where a region begins, in bytes from the start of the storage.
    #[must_use]
    pub const fn offset(&self, region: Region) -> u64 {
        self.regions.span(region).offset
    }

    fn open_as(path: &Path, layout: &Layout, access: Access) -> Result<Self, OpenError> {
        check_geometry(layout)?;
        let file = LockedFile::lock(open_file(path, access)?, access, path)?;
        let size = (&*file).seek(SeekFrom::End(0)).map_err(|source| OpenError::io(path, source))?;
        let extent = layout.flash_extent();
        if size < extent {
            return Err(OpenError::TooSmall { path: path.to_owned(), size, extent });
        }
        let flash = FileFlash { file, size: narrow(extent), access, failure: None };
        Ok(Self { flash, regions: Regions::of(layout), tear_size: narrow(layout.flash.tear_size) })
    }
}

impl Storage for FileStorage {
    type Flash = FileFlash;

    fn tear_size(&self) -> u32 {
        self.tear_size
    }

    fn region(&mut self, region: Region) -> Window<'_, FileFlash> {
        let span = self.regions.span(region);
        Window::new(&mut self.flash, narrow(span.offset), narrow(span.size))
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.flash.flush().map_err(|error| {
            self.flash.failure = Some(error);
            StorageError
        })
    }
}

/// Where each region lies.
#[derive(Debug, Clone, Copy)]
struct Regions {
    logs: [Span; 2],
    slot_a: Span,
    slot_b: Span,
    golden: Span,
}

impl Regions {
    fn of(layout: &Layout) -> Self {
        Self { logs: layout.logs(), slot_a: layout.slot_a, slot_b: layout.slot_b, golden: layout.golden.unwrap_or(Span { offset: 0, size: 0 }) }
    }

    const fn span(&self, region: Region) -> Span {
        let [log_0, log_1] = self.logs;
        match region {
            Region::Log0 => log_0,
            Region::Log1 => log_1,
            Region::Slot(Slot::A) => self.slot_a,
            Region::Slot(Slot::B) => self.slot_b,
            Region::Golden => self.golden,
        }
    }
}

/// What the file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadOnly,
    ReadWrite,
}

/// A block device or file with the operations of NOR flash. Erasing writes 0xff.
#[derive(Debug)]
pub struct FileFlash {
    file: LockedFile,
    size: u32,
    access: Access,
    failure: Option<io::Error>,
}

impl FileFlash {
    /// Pages are dropped even when the sync failed: the kernel counts them as clean then, and would go on showing bytes that never reached the
    /// medium.
    fn flush(&self) -> io::Result<()> {
        if self.access == Access::ReadOnly {
            return Ok(());
        }
        let synced = rustix::fs::fdatasync(&self.file);
        let dropped = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        synced.and(dropped).map_err(io::Error::from)
    }

    /// Whether `from..to` is made of whole units inside the flash and may be written.
    fn check_writable(&self, from: u32, to: u32, unit: u32) -> Result<(), FlashError> {
        if self.access == Access::ReadOnly {
            return Err(FlashError::ReadOnly);
        }
        if !from.is_multiple_of(unit) || !to.is_multiple_of(unit) {
            return Err(FlashError::Unaligned);
        }
        if from > to || to > self.size {
            return Err(FlashError::OutOfBounds);
        }
        Ok(())
    }

    fn end_of(&self, offset: u32, len: usize) -> Result<u32, FlashError> {
        let end = u32::try_from(len).ok().and_then(|len| offset.checked_add(len));
        end.filter(|end| *end <= self.size).ok_or(FlashError::OutOfBounds)
    }

    fn remember(&mut self, result: io::Result<()>) -> Result<(), FlashError> {
        result.map_err(|error| {
            self.failure = Some(error);
            FlashError::Io
        })
    }
}

impl ErrorType for FileFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.end_of(offset, bytes.len())?;
        let read = self.file.read_exact_at(bytes, u64::from(offset));
        self.remember(read)
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WRITE_SIZE as usize;
    const ERASE_SIZE: usize = ERASE_SIZE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check_writable(from, to, ERASE_SIZE)?;
        for unit in (from..to).step_by(ERASE_SIZE as usize) {
            let written = self.file.write_all_at(&ERASED, u64::from(unit));
            self.remember(written)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let end = self.end_of(offset, bytes.len())?;
        self.check_writable(offset, end, WRITE_SIZE)?;
        let written = self.file.write_all_at(bytes, u64::from(offset));
        self.remember(written)
    }
}

/// A file under a `flock` of ours, which ends when this is dropped.
///
/// Closing alone would not end it while somebody else holds the same open file, as a process that was started does until it becomes its program.
#[derive(Debug)]
struct LockedFile(File);

impl LockedFile {
    fn lock(file: File, access: Access, path: &Path) -> Result<Self, OpenError> {
        let operation = match access {
            Access::ReadOnly => FlockOperation::NonBlockingLockShared,
            Access::ReadWrite => FlockOperation::NonBlockingLockExclusive,
        };
        match rustix::fs::flock(&file, operation) {
            Ok(()) => Ok(Self(file)),
            Err(Errno::WOULDBLOCK) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(other) => Err(OpenError::io(path, other.into())),
        }
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl AsFd for LockedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // There is nobody to tell, and the file is closed all the same.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// A flash operation that did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// It ends outside the layout's extent.
    #[error("the operation ends outside the storage")]
    OutOfBounds,
    /// It is not made of whole units.
    #[error("the operation is not made of whole units")]
    Unaligned,
    /// The storage was opened to look at it.
    #[error("the storage is open for reading only")]
    ReadOnly,
    /// The operating system failed; [`FileStorage::failure`] has its error.
    #[error("the operating system could not do it")]
    Io,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Unaligned => NorFlashErrorKind::NotAligned,
            Self::ReadOnly | Self::Io => NorFlashErrorKind::Other,
        }
    }
}

/// Storage that can not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The layout is one of another kind of storage.
    #[error(
        "layout: flash.{field} is {value}, a block device needs {needed}; use the layout that the loader of this host was built with, on the host that it is for"
    )]
    Geometry {
        /// The field of the layout.
        field: &'static str,
        /// What it says.
        value: u64,
        /// What it must say.
        needed: String,
    },
    /// The path names neither.
    #[error("{}: is neither a block device nor a regular file; name the device that the slots lie on", path.display())]
    NotStorage {
        /// The path.
        path: PathBuf,
    },
    /// Another process holds it.
    #[error("{}: another process is using it; try again when it is done", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// It ends before the layout does.
    #[error("{}: has {size} bytes, the layout needs {extent}; name the right device or the right layout", path.display())]
    TooSmall {
        /// The path.
        path: PathBuf,
        /// What there is.
        size: u64,
        /// What the layout needs.
        extent: u64,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

fn check_geometry(layout: &Layout) -> Result<(), OpenError> {
    let flash = &layout.flash;
    for (field, value, exactly) in [("write_size", flash.write_size, WRITE_SIZE), ("erase_size", flash.erase_size, ERASE_SIZE)] {
        if value != u64::from(exactly) {
            return Err(OpenError::Geometry { field, value, needed: exactly.to_string() });
        }
    }
    if flash.tear_size < LEAST_TEAR_SIZE {
        let needed = format!("{LEAST_TEAR_SIZE} or more");
        return Err(OpenError::Geometry { field: "tear_size", value: flash.tear_size, needed });
    }
    Ok(())
}

fn open_file(path: &Path, access: Access) -> Result<File, OpenError> {
    let writes = access == Access::ReadWrite;
    let file = open(path, OpenOptions::new().read(true).write(writes), |kind| kind.is_file() || kind.is_block_device());
    file.map_err(|source| OpenError::io(path, source))?.ok_or_else(|| OpenError::NotStorage { path: path.to_owned() })
}

/// Every layout ends below 4 GiB.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
