//! The storage port: the layout's regions of one disk. The loader can write the journal only.

use twinslot_bootloader::storage::{Region, Storage, StorageError, Window};

use crate::disk::{Disk, WatchedDisk};
use crate::layout::Layout;
use crate::nor::{DiskFlash, TEAR_SIZE};

/// The disk of a board, by regions.
#[derive(Debug)]
pub struct Regions<'a, D> {
    flash: DiskFlash<'a, D>,
    layout: &'a Layout,
}

impl<'a, D: Disk> Regions<'a, D> {
    /// The regions of `layout` on `disk`; the two logs are unlocked.
    pub const fn new(disk: &'a WatchedDisk<D>, layout: &'a Layout) -> Self {
        Self { flash: DiskFlash::new(disk, layout.disk_size, layout.logs), layout }
    }
}

impl<'a, D: Disk> Storage for Regions<'a, D> {
    type Flash = DiskFlash<'a, D>;

    fn tear_size(&self) -> u32 {
        TEAR_SIZE
    }

    fn region(&mut self, region: Region) -> Window<'_, Self::Flash> {
        let extent = self.layout.extent(region);
        Window::new(&mut self.flash, extent.offset, extent.size)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.flash.flush().map_err(|_| StorageError)
    }
}
