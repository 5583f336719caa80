//! The memory protection unit. Sources: Armv7-M architecture reference manual, B3.5; Armv8-M architecture reference manual, B11 and D1.2.

use crate::layout::Memory;
use crate::registers::Registers;

/// The architecture of a processor, which says what a region of its memory protection unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Cortex-M3, M4 and M7: a region is a power of two, from a multiple of its size.
    Armv7M,
    /// Cortex-M33: a region is any number of blocks of 32 bytes.
    Armv8M,
}

/// The memory protection unit, as a loader uses it: one region, from which nothing runs.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    registers: Registers,
    architecture: Architecture,
}

/// Registers, in bytes from [`Protection::ADDRESS`].
const CONTROL: usize = 0x4;
/// Which region the next two registers are of.
const REGION: usize = 0x8;
const REGION_BASE: usize = 0xc;
/// Size and attributes on Armv7-M, the last address on Armv8-M.
const REGION_REST: usize = 0x10;
/// Of memory, on Armv8-M only.
const ATTRIBUTES: usize = 0x30;

/// With the usual memory map for whatever no region covers.
const ENABLED: u32 = 0b101;

impl Protection {
    /// Where the registers are, on every processor that has them.
    pub const ADDRESS: usize = 0xe000_ed90;

    /// The unit behind `registers`.
    #[must_use]
    pub const fn new(registers: Registers, architecture: Architecture) -> Self {
        Self { registers, architecture }
    }

    /// From the next barrier on no instruction is fetched from `ram`, which is read and written as before. Its size is a power of two of at least 32
    /// bytes, its address a multiple of that.
    pub fn forbid_code_in(self, ram: Memory) {
        let (base, rest) = self.architecture.region(ram);
        if self.architecture == Architecture::Armv8M {
            self.registers.write::<ATTRIBUTES>(0xff);
            self.registers.write::<REGION>(0);
        }
        self.registers.write::<REGION_BASE>(base);
        self.registers.write::<REGION_REST>(rest);
        self.registers.write::<CONTROL>(ENABLED);
    }
}

impl Architecture {
    /// The words of [`REGION_BASE`] and [`REGION_REST`] for `ram`: readable, writable, not executable, cached as RAM is. On Armv7-M they name
    /// region 0 themselves, on Armv8-M they are those of the region that is selected.
    #[expect(clippy::cast_possible_truncation, reason = "addresses of a 32-bit machine")]
    const fn region(self, ram: Memory) -> (u32, u32) {
        let (base, size) = (ram.address as u32, ram.size as u32);
        match self {
            Self::Armv7M => (base | 0x10, 0x1303_0001 | (size.trailing_zeros() - 1) << 1),
            Self::Armv8M => (base | 0b011, (base + size - 32) | 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAM: Memory = Memory { address: 0x2000_0000, size: 0x4000 };

    /// Fields as in the Armv7-M manual, B3.5.8 and B3.5.9.
    #[test]
    fn a_region_of_armv7m_is_ram_that_nothing_runs_from() {
        let (base, rest) = Architecture::Armv7M.region(RAM);
        assert_eq!((base & !0x1f, base & 0x1f), (0x2000_0000, 0x10), "address; valid, region 0");
        assert_eq!(1_u32 << ((rest >> 1 & 0x1f) + 1), 0x4000, "size");
        assert_eq!(
            (rest >> 28 & 1, rest >> 24 & 7, rest >> 16 & 0x3f, rest >> 8 & 0xff, rest & 1),
            (1, 3, 3, 0, 1),
            "never, full access, cached, whole, on"
        );
    }

    /// Fields as in the Armv8-M manual, MPU_RBAR and MPU_RLAR.
    #[test]
    fn a_region_of_armv8m_is_ram_that_nothing_runs_from() {
        let (base, rest) = Architecture::Armv8M.region(RAM);
        assert_eq!((base & !0x1f, base & 0x1f), (0x2000_0000, 0b011), "address; not shared, full access, never");
        assert_eq!(((rest & !0x1f) | 0x1f, rest & 0x1f), (0x2000_3fff, 1), "last byte; attributes 0, on");
    }
}
