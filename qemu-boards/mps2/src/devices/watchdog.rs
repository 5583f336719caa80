//! The watchdog.

use crate::registers::Registers;

use super::CLOCK_HZ;

/// A CMSDK watchdog: when it runs out it raises the non-maskable interrupt, and when it runs out once more it resets the machine.
#[derive(Debug, Clone, Copy)]
pub struct Watchdog(Registers);

const LOAD: usize = 0x0;
const CONTROL: usize = 0x8;
const INTERRUPT_CLEAR: usize = 0xc;
const LOCK: usize = 0xc00;

const INTERRUPT_AND_RESET: u32 = 0b11;
const UNLOCK: u32 = 0x1acc_e551;

/// Seconds of each of the two stages.
const STAGE_SECONDS: u32 = 2;

impl Watchdog {
    /// Seconds from arming or feeding to the reset.
    pub const DEADLINE_SECONDS: u32 = 2 * STAGE_SECONDS;

    /// The watchdog behind `registers`.
    #[must_use]
    pub const fn new(registers: Registers) -> Self {
        Self(registers)
    }

    /// Starts the countdown. Tells whether the watchdog took it.
    #[must_use]
    pub fn arm(self) -> bool {
        self.unlocked(|registers| {
            registers.write::<LOAD>(STAGE_SECONDS * CLOCK_HZ);
            registers.write::<INTERRUPT_CLEAR>(1);
            registers.write::<CONTROL>(INTERRUPT_AND_RESET);
        });
        self.0.read::<CONTROL>() & INTERRUPT_AND_RESET == INTERRUPT_AND_RESET
    }

    /// Starts the countdown again.
    pub fn feed(self) {
        self.unlocked(|registers| registers.write::<INTERRUPT_CLEAR>(1));
    }

    /// Stops the countdown.
    pub fn stop(self) {
        self.unlocked(|registers| {
            registers.write::<CONTROL>(0);
            registers.write::<INTERRUPT_CLEAR>(1);
        });
    }

    /// Outside of this, stray writes do not reach the watchdog.
    fn unlocked(self, change: impl FnOnce(Registers)) {
        self.0.write::<LOCK>(UNLOCK);
        change(self.0);
        self.0.write::<LOCK>(0);
    }
}
