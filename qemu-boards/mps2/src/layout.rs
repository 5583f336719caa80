//! A board's memory map, as its build script took it from `layout.toml`.

use twinslot_bootloader::slot::Slot;

/// Bytes of the flash, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first byte.
    pub offset: u32,
    /// How many bytes; 0 for a region that the board does not have.
    pub size: u32,
}

impl Extent {
    /// No bytes at all.
    pub const NONE: Self = Self { offset: 0, size: 0 };

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

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The first address.
    pub address: usize,
    /// How many bytes.
    pub size: usize,
}

/// The map of a board.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The flash, where the processor sees it.
    pub flash: Memory,
    /// The journal's two logs.
    pub logs: [Extent; 2],
    /// Slot A.
    pub slot_a: Extent,
    /// Slot B.
    pub slot_b: Extent,
    /// The golden image.
    pub golden: Extent,
    /// Where an application finds bundles.
    pub staging: Extent,
    /// The hand-off record.
    pub handoff: Memory,
    /// The reset marker.
    pub marker: Memory,
    /// What images run in.
    pub image: Memory,
    /// SHA-256 of the layout.
    pub digest: [u8; 32],
}

impl Layout {
    /// Where a slot lies.
    #[must_use]
    pub const fn slot(&self, slot: Slot) -> Extent {
        match slot {
            Slot::A => self.slot_a,
            Slot::B => self.slot_b,
        }
    }
}

/// The [`Layout`] in a module of generated constants (`twinslot_config::build`), checked against what the flash here can do.
#[macro_export]
macro_rules! layout {
    ($generated:ident) => {{
        use $crate::layout::{Extent, Layout, Memory};

        const fn extent(offset: u32, size: u32) -> Extent {
            Extent { offset, size }
        }

        /// Addresses of a 32-bit machine; the layout's check has them disjoint and in range.
        #[expect(clippy::cast_possible_truncation, reason = "checked right here")]
        const fn memory(address: u64, size: u64) -> Memory {
            assert!(address + size <= u32::MAX as u64, "layout: an address is beyond the address space");
            Memory { address: address as usize, size: size as usize }
        }

        const fn only(regions: &[(u64, u64)]) -> Memory {
            assert!(regions.len() == 1, "layout: this board needs one RAM region for each use");
            memory(regions[0].0, regions[0].1)
        }

        const {
            assert!($generated::WRITE_SIZE == $crate::nor::WRITE_SIZE as usize, "layout: the flash writes words of 4 bytes");
            assert!($generated::ERASE_SIZE == $crate::nor::ERASE_SIZE as usize, "layout: the flash erases sectors of 4096 bytes");
            assert!($generated::TEAR_SIZE == $crate::nor::WRITE_SIZE as usize, "layout: a power cut tears one word of this flash");
            assert!(only(&$generated::RAM_MARKER).size >= $crate::marker::SIZE, "layout: the reset marker is two words");
        }

        Layout {
            flash: memory($generated::FLASH_BASE, $generated::FLASH_SIZE as u64),
            logs: [extent($generated::LOG_0_OFFSET, $generated::LOG_0_SIZE), extent($generated::LOG_1_OFFSET, $generated::LOG_1_SIZE)],
            slot_a: extent($generated::SLOT_A_OFFSET, $generated::SLOT_A_SIZE),
            slot_b: extent($generated::SLOT_B_OFFSET, $generated::SLOT_B_SIZE),
            golden: extent($generated::GOLDEN_OFFSET, $generated::GOLDEN_SIZE),
            staging: extent($generated::STAGING_OFFSET, $generated::STAGING_SIZE),
            handoff: only(&$generated::RAM_HANDOFF),
            marker: only(&$generated::RAM_MARKER),
            image: only(&$generated::RAM_IMAGE),
            digest: $generated::LAYOUT_DIGEST,
        }
    }};
}
