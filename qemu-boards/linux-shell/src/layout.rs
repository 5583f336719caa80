//! A board's memory map, as its build script took it from `layout.toml`.

use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;

/// Bytes of the disk, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first byte.
    pub offset: u32,
    /// How many bytes; 0 for a region that the board does not have.
    pub size: u32,
}

impl Extent {
    /// The byte after the last one.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.offset.saturating_add(self.size)
    }

    /// Whether `from..to` is a range of these bytes.
    #[must_use]
    pub const fn contains(self, from: u32, to: u32) -> bool {
        self.offset <= from && from <= to && to <= self.end()
    }
}

/// Addresses and sizes of RAM regions.
pub type Ranges = &'static [(u64, u64)];

/// The map of a board.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Bytes of the disk.
    pub disk_size: u32,
    /// The journal's two logs.
    pub logs: [Extent; 2],
    /// Slot A.
    pub slot_a: Extent,
    /// Slot B.
    pub slot_b: Extent,
    /// The golden image.
    pub golden: Extent,
    /// RAM that images may lie in, where the machine has it.
    pub image: Ranges,
    /// The loader's own RAM.
    pub loader: Ranges,
    /// Where the loader makes the device tree for Linux.
    pub device_tree: (u64, u64),
    /// The mark that RAM kept its contents, in a page that Linux leaves alone.
    pub marker: (u64, u64),
    /// RAM that nothing is placed in.
    pub reserved: Ranges,
    /// SHA-256 of the layout.
    pub digest: [u8; 32],
}

impl Layout {
    /// The byte of the disk behind the last region.
    #[must_use]
    pub fn end(&self) -> u32 {
        let [log_0, log_1] = self.logs;
        [log_0, log_1, self.slot_a, self.slot_b, self.golden].into_iter().map(Extent::end).max().unwrap_or(0)
    }

    /// Where a region lies.
    #[must_use]
    pub const fn extent(&self, region: Region) -> Extent {
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

/// The [`Layout`] in a module of generated constants (`twinslot_config::build`), checked against what a disk can do.
#[macro_export]
macro_rules! layout {
    ($generated:ident) => {{
        use $crate::layout::{Extent, Layout};

        const fn extent(offset: u32, size: u32) -> Extent {
            Extent { offset, size }
        }

        const fn only(regions: &[(u64, u64)]) -> (u64, u64) {
            assert!(regions.len() == 1, "layout: this board needs one RAM region each with use = \"device-tree\" and use = \"marker\"");
            regions[0]
        }

        const {
            assert!($generated::WRITE_SIZE == $crate::nor::WRITE_SIZE as usize, "layout: a disk writes sectors of 512 bytes");
            assert!($generated::ERASE_SIZE == $crate::nor::ERASE_SIZE as usize, "layout: the disk is erased in units of 64 KiB");
            assert!($generated::TEAR_SIZE == $crate::nor::TEAR_SIZE as usize, "layout: a power cut tears up to 4096 bytes of a disk");
            assert!(only(&$generated::RAM_MARKER).1 == $crate::power::PAGE, "layout: the marker has a page of 4096 bytes to itself");
            assert!(only(&$generated::RAM_MARKER).0 % $crate::power::PAGE == 0, "layout: the marker's page is aligned");
            assert!(!$generated::RAM_IMAGE.is_empty(), "layout: there is no RAM for images");
        }

        Layout {
            disk_size: $generated::FLASH_SIZE,
            logs: [extent($generated::LOG_0_OFFSET, $generated::LOG_0_SIZE), extent($generated::LOG_1_OFFSET, $generated::LOG_1_SIZE)],
            slot_a: extent($generated::SLOT_A_OFFSET, $generated::SLOT_A_SIZE),
            slot_b: extent($generated::SLOT_B_OFFSET, $generated::SLOT_B_SIZE),
            golden: extent($generated::GOLDEN_OFFSET, $generated::GOLDEN_SIZE),
            image: &$generated::RAM_IMAGE,
            loader: &$generated::RAM_LOADER,
            device_tree: only(&$generated::RAM_DEVICE_TREE),
            marker: only(&$generated::RAM_MARKER),
            reserved: &$generated::RAM_RESERVED,
            digest: $generated::LAYOUT_DIGEST,
        }
    }};
}
