//! The flashes that everything is tried on.

use crate::storage::Geometry;

/// A NOR flash with words of 4 bytes and sectors of 4 KiB.
pub const NOR: Geometry = Geometry { name: "nor 4/4096", tear_size: 4, log_size: 4096, slot_size: 16 * 1024, cached: false };

/// A flash with bytes to write and pages of 1 KiB to erase.
pub const SMALL_PAGES: Geometry = Geometry { name: "small pages 1/1024", tear_size: 1, log_size: 1024, slot_size: 16 * 1024, cached: false };

/// A flash whose words carry an error-correcting code.
pub const ECC: Geometry = Geometry { name: "ecc 16/2048", tear_size: 16, log_size: 2048, slot_size: 16 * 1024, cached: false };

/// A flash that programs whole pages of 256 bytes.
pub const PAGES: Geometry = Geometry { name: "pages 256/4096", tear_size: 256, log_size: 8192, slot_size: 16 * 1024, cached: false };

/// A block device behind a cache, as Linux hosts have it.
pub const BLOCKS: Geometry = Geometry { name: "blocks 512/65536", tear_size: 4096, log_size: 65_536, slot_size: 65_536, cached: true };

/// Runs a function over every geometry: `on_every_geometry!(check)` calls `check::<WRITE, ERASE>(geometry)`.
#[macro_export]
macro_rules! on_every_geometry {
    ($check:ident) => {
        $check::<4, 4096>($crate::geometry::NOR);
        $check::<1, 1024>($crate::geometry::SMALL_PAGES);
        $check::<16, 2048>($crate::geometry::ECC);
        $check::<256, 4096>($crate::geometry::PAGES);
        $check::<512, 65_536>($crate::geometry::BLOCKS);
    };
}
