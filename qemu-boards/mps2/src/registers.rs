//! Device registers: 32-bit words that are read and written as they stand.

/// The 4 KiB register block of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    base: usize,
}

impl Registers {
    /// The block at `base`.
    ///
    /// # Safety
    /// A device of this machine has its registers at `base..base + 4096`, `base` is a multiple of 4, and neither reading nor writing any of them
    /// changes memory that Rust code uses.
    #[expect(unsafe_code, reason = "whoever names an address vouches for what is there")]
    #[must_use]
    pub const unsafe fn at(base: usize) -> Self {
        Self { base }
    }

    /// Reads the register `OFFSET` bytes into the block.
    #[expect(unsafe_code, reason = "a device register is reached by its address")]
    #[must_use]
    pub fn read<const OFFSET: usize>(self) -> u32 {
        let register = self.register::<OFFSET>();
        // SAFETY: `at` was promised a device block here, and `register` checked that the offset is an aligned word inside it.
        unsafe { register.read_volatile() }
    }

    /// Writes the register `OFFSET` bytes into the block.
    #[expect(unsafe_code, reason = "a device register is reached by its address")]
    pub fn write<const OFFSET: usize>(self, value: u32) {
        let register = self.register::<OFFSET>();
        // SAFETY: `at` was promised a device block here whose registers touch no memory of ours, and `register` checked the offset.
        unsafe { register.write_volatile(value) }
    }

    const fn register<const OFFSET: usize>(self) -> *mut u32 {
        const { assert!(OFFSET < 4096 && OFFSET.is_multiple_of(4)) };
        core::ptr::with_exposed_provenance_mut(self.base.wrapping_add(OFFSET))
    }
}
