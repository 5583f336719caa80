//! The storage port: the layout's regions of one flash. Loader and application use the same one.

use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{Region, Storage, StorageError, Window};

use crate::layout::{Extent, Layout};
use crate::nor::{self, Nor};

/// The flash of a board, by regions.
#[derive(Debug)]
pub struct Flash<'a> {
    nor: Nor<'static>,
    layout: &'a Layout,
}

impl<'a> Flash<'a> {
    /// The regions of `layout` on `nor`.
    #[must_use]
    pub const fn new(nor: Nor<'static>, layout: &'a Layout) -> Self {
        Self { nor, layout }
    }

    /// Any part of the flash.
    pub const fn window(&mut self, extent: Extent) -> Window<'_, Nor<'static>> {
        Window::new(&mut self.nor, extent.offset, extent.size)
    }
}

impl Storage for Flash<'_> {
    type Flash = Nor<'static>;

    fn region(&mut self, region: Region) -> Window<'_, Nor<'static>> {
        let [log_0, log_1] = self.layout.logs;
        self.window(match region {
            Region::Log0 => log_0,
            Region::Log1 => log_1,
            Region::Slot(Slot::A) => self.layout.slot_a,
            Region::Slot(Slot::B) => self.layout.slot_b,
            Region::Golden => self.layout.golden,
        })
    }

    /// A power cut ends an operation between two words.
    fn tear_size(&self) -> u32 {
        nor::WRITE_SIZE
    }

    /// Stores to this flash are complete when they are done: there is no cache.
    fn flush(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
