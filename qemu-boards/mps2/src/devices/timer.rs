//! The timer that marks are taken from.

use crate::registers::Registers;

/// A CMSDK timer that counts down from 2^32 - 1 and wraps.
#[derive(Debug, Clone, Copy)]
pub struct Timer(Registers);

const CONTROL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;

const ENABLE: u32 = 1;

impl Timer {
    /// Starts the timer from 0.
    #[must_use]
    pub fn start(registers: Registers) -> Self {
        registers.write::<CONTROL>(0);
        registers.write::<RELOAD>(u32::MAX);
        registers.write::<VALUE>(u32::MAX);
        registers.write::<CONTROL>(ENABLE);
        Self(registers)
    }

    /// Ticks of [`super::CLOCK_HZ`] since the start, modulo 2^32.
    #[must_use]
    pub fn ticks(self) -> u32 {
        !self.0.read::<VALUE>()
    }
}
