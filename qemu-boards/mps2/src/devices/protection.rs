//! The memory protection unit. Sources: Armv7-M architecture reference manual, B3.5; Armv8-M architecture reference manual, B11 and D1.2.

use crate::registers::Registers;

/// The architecture of a processor, which says what a region of its memory protection unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Cortex-M3, M4 and M7: a region is a power of two, from a multiple of its size.
    Armv7M,
    /// Cortex-M33: a region is any number of blocks of 32 bytes.
    Armv8M,
}

/// The memory protection unit, as a loader uses it: code is not written, and what can be written is not run.
///
/// By the system address map of both architectures, mirrors and aliases included: code lies below 0x2000_0000; from there on lie memories up to
/// 0x4000_0000 and from 0x6000_0000 to 0xa000_0000. Devices are never run.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    registers: Registers,
    architecture: Architecture,
}

/// Registers, in bytes from [`Protection::ADDRESS`].
const CONTROL: usize = 0x4;
/// The first of the regions that the registers below are of, on Armv8-M. On Armv7-M a base names its region.
const REGION: usize = 0x8;
/// Where a region begins; of the next ones 8 bytes further.
const BASE: usize = 0xc;
/// Its size and attributes on Armv7-M, its last address on Armv8-M; the same.
const REST: usize = 0x10;
const NEXT: usize = 8;
/// Of memory, on Armv8-M only.
const ATTRIBUTES: usize = 0x30;

/// Also while a fault is handled; with the usual memory map for whatever no region covers.
const ENABLED: u32 = 0b111;

/// Base and attributes of the regions: code, and memory below 0x4000_0000. The board of this architecture has none above; one that has needs a region
/// for it.
const REGIONS_OF_ARMV7M: [(u32, u32); 2] = [(0x10, 0x0602_0039), (0x2000_0011, 0x1303_0039)];

/// Base and limit of the regions: code, and both places of memory.
const REGIONS_OF_ARMV8M: [(u32, u32); 3] = [(0b110, 0x1fff_ffe1), (0x2000_0003, 0x3fff_ffe1), (0x6000_0003, 0x9fff_ffe1)];

impl Protection {
    /// Where the registers are, on every processor that has them.
    pub const ADDRESS: usize = 0xe000_ed90;

    /// The unit behind `registers`.
    #[must_use]
    pub const fn new(registers: Registers, architecture: Architecture) -> Self {
        Self { registers, architecture }
    }

    /// From the next barrier on.
    #[inline(always)]
    pub fn switch_on(self) {
        let registers = self.registers;
        match self.architecture {
            Architecture::Armv7M => {
                let [code, memory] = REGIONS_OF_ARMV7M;
                registers.write::<BASE>(code.0);
                registers.write::<REST>(code.1);
                registers.write::<{ BASE + NEXT }>(memory.0);
                registers.write::<{ REST + NEXT }>(memory.1);
            }
            Architecture::Armv8M => {
                let [code, memory, external] = REGIONS_OF_ARMV8M;
                registers.write::<ATTRIBUTES>(0xff);
                registers.write::<REGION>(0);
                registers.write::<BASE>(code.0);
                registers.write::<REST>(code.1);
                registers.write::<{ BASE + NEXT }>(memory.0);
                registers.write::<{ REST + NEXT }>(memory.1);
                registers.write::<{ BASE + 2 * NEXT }>(external.0);
                registers.write::<{ REST + 2 * NEXT }>(external.1);
            }
        }
        registers.write::<CONTROL>(ENABLED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields as in the Armv7-M manual, B3.5.8 and B3.5.9.
    #[test]
    fn on_armv7m_code_is_not_written_and_memory_is_not_run() {
        let fields = REGIONS_OF_ARMV7M.map(|(base, rest)| {
            let size = 1_u64 << ((rest >> 1 & 0x1f) + 1);
            let (never_run, access) = (rest >> 28 & 1, rest >> 24 & 7);
            assert_eq!((base & 0x10, rest & 1, rest >> 8 & 0xff), (0x10, 1, 0), "valid, on, whole");
            assert!(u64::from(base & !0x1f).is_multiple_of(size), "at a multiple of the size");
            (base & 0xf, base & !0x1f, size, never_run, access)
        });
        let (read_only, full) = (0b110, 0b011);
        assert_eq!(fields, [(0, 0, 0x2000_0000, 0, read_only), (1, 0x2000_0000, 0x2000_0000, 1, full)]);
    }

    /// Fields as in the Armv8-M manual, MPU_RBAR and MPU_RLAR.
    #[test]
    fn on_armv8m_code_is_not_written_and_memory_is_not_run() {
        let fields = REGIONS_OF_ARMV8M.map(|(base, rest)| {
            assert_eq!((base >> 3 & 3, rest & 0x1f), (0, 1), "not shared; attributes 0, on");
            (base & !0x1f, rest | 0x1f, base & 1, base >> 1 & 3)
        });
        let (read_only, full) = (0b11, 0b01);
        let expected = [(0, 0x1fff_ffff, 0, read_only), (0x2000_0000, 0x3fff_ffff, 1, full), (0x6000_0000, 0x9fff_ffff, 1, full)];
        assert_eq!(fields, expected);
    }
}
