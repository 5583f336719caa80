//! What differs between the machines: the ports that a board implements.

use twinslot_bootloader::boot::NoWatchdog;
use twinslot_bootloader::image::kernel::Architecture;

use crate::power::WatchdogSays;

/// The processor and its console.
pub trait Machine {
    /// The kernels that it runs.
    const ARCHITECTURE: Architecture;

    /// Writes to the console.
    fn send(&self, text: &str);

    /// A clock that never goes back.
    fn microseconds(&self) -> u64;

    /// Lets a moment pass while a device works, and comes back by itself.
    fn pause(&self) {
        core::hint::spin_loop();
    }

    /// Starts a kernel as its boot protocol asks: nothing of the loader runs any more.
    fn start_kernel(&self, entry: u64, device_tree: u64) -> !;

    /// Stops: for good, or until what [`Watchdog::start_over`] asked for.
    fn stop(&self) -> !;
}

/// The watchdog of a board. A board without one opts in to trials that may hang by name (`WatchdogUse::TrialsMayHang`), and its
/// [`Watchdog::arm`] fails.
pub trait Watchdog {
    /// Starts it: only a feed keeps it from resetting the machine after this many seconds.
    ///
    /// # Errors
    /// There is none, or it did not start.
    fn arm(&mut self, seconds: u32) -> Result<(), NoWatchdog>;

    /// What it says of the last reset; asked once, at the start.
    fn says(&mut self) -> WatchdogSays;

    /// Has the machine reset so many seconds from now, after a halt that may be over by itself.
    ///
    /// # Errors
    /// Nothing resets it.
    fn start_over(&mut self, seconds: u32) -> Result<(), NoWatchdog> {
        self.arm(seconds)
    }
}
