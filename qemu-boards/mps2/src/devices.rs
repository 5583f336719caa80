//! The CMSDK peripherals of the MPS2 boards, and the processor's memory protection unit. Source of the peripherals: Arm DDI 0479 (Cortex-M System
//! Design Kit), chapter 4.

mod protection;
mod timer;
mod uart;
mod watchdog;

pub use protection::{Architecture, Protection};
pub use timer::Timer;
pub use uart::Uart;
pub use watchdog::Watchdog;

/// Ticks a second of the peripheral clock.
pub const CLOCK_HZ: u32 = 25_000_000;
