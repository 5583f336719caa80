//! A machine without a watchdog: trials may hang, and what starts it over is the firmware.

use linux_shell::machine::Watchdog;
use linux_shell::power::WatchdogSays;
use twinslot_bootloader::boot::NoWatchdog;

use super::machine::Virt;

/// No watchdog.
#[derive(Debug)]
pub(super) struct Unwatched<'m>(pub(super) &'m Virt);

impl Watchdog for Unwatched<'_> {
    fn arm(&mut self, _: u32) -> Result<(), NoWatchdog> {
        Err(NoWatchdog)
    }

    fn says(&mut self) -> WatchdogSays {
        WatchdogSays::NotMine
    }

    /// The loader is in control when it halts, so it can ask the firmware for a reset when the time has come.
    fn start_over(&mut self, seconds: u32) -> Result<(), NoWatchdog> {
        self.0.start_over_in(seconds);
        Ok(())
    }
}
