//! The disk port: sectors of a block device.

use core::cell::{Cell, RefCell};
use core::fmt;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// A disk.
///
/// Contract: buffers are whole sectors; an operation that returns has ended, and touches its buffer no more; it returns within a bound of time,
/// whatever the device does. After [`Disk::rest`] the device accesses no memory until the next operation.
pub trait Disk {
    /// How many sectors it has.
    ///
    /// # Errors
    /// The device does not say.
    fn sectors(&mut self) -> Result<u64, DiskError>;

    /// Fills `bytes` from `sector` on.
    ///
    /// # Errors
    /// The device did not give them.
    fn read(&mut self, sector: u64, bytes: &mut [u8]) -> Result<(), DiskError>;

    /// Writes `bytes` from `sector` on.
    ///
    /// # Errors
    /// The device did not take them.
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Makes everything written durable.
    ///
    /// # Errors
    /// The device did not do it.
    fn flush(&mut self) -> Result<(), DiskError>;

    /// Puts the device to rest: no DMA until the next operation.
    ///
    /// # Errors
    /// The device does not stop; nothing is known about memory that it was ever lent.
    fn rest(&mut self) -> Result<(), DiskError>;
}

/// What a disk did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskError {
    /// There is no disk.
    Absent,
    /// There are several, and nothing says which one is meant.
    Ambiguous,
    /// It does not start as virtio wants it.
    NotVirtio,
    /// It did not answer in time. It is not used again.
    TimedOut,
    /// It answered that the operation failed.
    Failed,
    /// It does not know the operation.
    Unsupported,
    /// It does not stop.
    Restless,
    /// It ends before the layout does.
    TooSmall,
}

impl DiskError {
    /// What happened, and what to do.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Absent => "no virtio disk was found; attach one",
            Self::Ambiguous => "there is more than one virtio disk; give the one with the slots the serial number twinslot",
            Self::NotVirtio => "the disk does not start as a virtio block device; attach it as virtio-blk-device",
            Self::TimedOut => "the disk does not answer; it is not used again in this boot",
            Self::Failed => "the disk reports an error",
            Self::Unsupported => "the disk does not know this operation",
            Self::Restless => "the disk does not stop after a reset; it is not used again in this boot",
            Self::TooSmall => "the disk ends before the layout does; attach the disk that hosttool assembled",
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for DiskError {}

/// What was tried when a disk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A read.
    Read,
    /// A write.
    Write,
    /// A flush.
    Flush,
}

impl Operation {
    /// Its name, for the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
        }
    }
}

/// A failure with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What was tried.
    pub operation: Operation,
    /// The sector that it began at.
    pub sector: u64,
    /// What happened.
    pub error: DiskError,
}

/// A disk that remembers what it did not do: the storage port can only say that something failed.
#[derive(Debug)]
pub struct WatchedDisk<D> {
    disk: RefCell<D>,
    failure: Cell<Option<Failure>>,
}

impl<D: Disk> WatchedDisk<D> {
    /// Watches `disk`.
    pub const fn new(disk: D) -> Self {
        Self { disk: RefCell::new(disk), failure: Cell::new(None) }
    }

    /// The disk itself.
    #[cfg(test)]
    pub(crate) const fn inner(&self) -> &RefCell<D> {
        &self.disk
    }

    /// The last failure since this was asked.
    pub fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    /// Does something with the disk and remembers its failure.
    ///
    /// # Errors
    /// Those of `action`.
    pub fn attempt<T>(&self, operation: Operation, sector: u64, action: impl FnOnce(&mut D) -> Result<T, DiskError>) -> Result<T, DiskError> {
        action(&mut self.disk.borrow_mut()).inspect_err(|error| self.failure.set(Some(Failure { operation, sector, error: *error })))
    }

    /// Whether it says that it ends before byte `end`. What lies in front of that can be used all the same.
    pub fn ends_before(&self, end: u64) -> bool {
        self.disk.borrow_mut().sectors().is_ok_and(|sectors| sectors < end.div_ceil(SECTOR as u64))
    }

    /// Puts the disk to rest.
    ///
    /// # Errors
    /// It does not stop.
    pub fn rest(&self) -> Result<(), DiskError> {
        self.disk.borrow_mut().rest()
    }
}
