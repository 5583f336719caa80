//! The flashes that lives are explored on.

use std::ops::Range;

use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

use crate::reader::RECORD;
use crate::subject::{Real, Subject};

/// A kind of flash and the layout on it.
#[derive(Debug)]
pub struct Board {
    /// What it is called in scripts and tables.
    pub name: &'static str,
    /// Bytes that are programmed at once.
    pub write_size: usize,
    /// Bytes that are erased at once.
    pub erase_size: usize,
    /// Largest aligned region that an interrupted write may damage.
    pub tear_size: usize,
    /// Bytes of each log.
    pub logs: [usize; 2],
    /// Bytes of a slot.
    pub slot_size: usize,
    /// Whether writes wait in a cache until they are flushed.
    pub cached: bool,
    /// The real code, built for this write and erase size.
    pub subject: &'static dyn Subject,
}

/// Every board.
pub static BOARDS: [Board; 10] = [
    board("1/128", (1, 128), 1, [512, 512], 2048, &Real::<1, 128>),
    board("2/256", (2, 256), 2, [512, 512], 2048, &Real::<2, 256>),
    board("4/4096", (4, 4096), 4, [4096, 4096], 4096, &Real::<4, 4096>),
    board("8/1024", (8, 1024), 8, [1024, 1024], 2048, &Real::<8, 1024>),
    board("16/2048", (16, 2048), 16, [2048, 2048], 2048, &Real::<16, 2048>),
    board("32/131072", (32, 131_072), 32, [131_072, 131_072], 131_072, &Real::<32, 131_072>),
    board("256/4096", (256, 4096), 256, [4096, 4096], 4096, &Real::<256, 4096>),
    board("512/2048", (512, 2048), 512, [2048, 2048], 2048, &Real::<512, 2048>),
    board("unequal", (4, 512), 256, [1024, 512], 2048, &Real::<4, 512>),
    Board { cached: true, ..board("disk", (512, 65_536), 4096, [65_536, 65_536], 65_536, &Real::<512, 65_536>) },
];

const fn board(
    name: &'static str,
    (write_size, erase_size): (usize, usize),
    tear_size: usize,
    logs: [usize; 2],
    slot_size: usize,
    subject: &'static dyn Subject,
) -> Board {
    Board { name, write_size, erase_size, tear_size, logs, slot_size, cached: false, subject }
}

impl Board {
    /// The board of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        BOARDS.iter().find(|board| board.name == name)
    }

    /// Where a region lies. There is no golden region.
    #[must_use]
    pub const fn region(&self, region: Region) -> Range<usize> {
        let [first, second] = self.logs;
        let slots = first + second;
        match region {
            Region::Log0 => 0..first,
            Region::Log1 => first..slots,
            Region::Slot(Slot::A) => slots..slots + self.slot_size,
            Region::Slot(Slot::B) => slots + self.slot_size..slots + 2 * self.slot_size,
            Region::Golden => 0..0,
        }
    }

    /// Bytes of the whole flash.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.region(Region::Slot(Slot::B)).end
    }

    /// The distance between two records.
    #[must_use]
    pub fn stride(&self) -> usize {
        RECORD.next_multiple_of(self.write_size.max(self.tear_size))
    }
}
