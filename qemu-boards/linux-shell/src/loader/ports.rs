//! The machine port of the loader library: watchdog, clock, and a line for every event.

use core::fmt;

use twinslot_bootloader::boot::{self, Arming, Event, NoWatchdog};
use twinslot_bootloader::crypto::Digest;
use twinslot_bootloader::decide::Knowledge;
use twinslot_bootloader::image::manifest::Kind;

use super::DEADLINE_SECONDS;
use super::console::line;
use crate::disk::{Disk, WatchedDisk};
use crate::machine::{Machine, Watchdog};

/// The machine port.
pub(super) struct Reporter<'a, M, W, D> {
    machine: &'a M,
    watchdog: &'a mut W,
    disk: &'a WatchedDisk<D>,
}

impl<'a, M: Machine, W: Watchdog, D: Disk> Reporter<'a, M, W, D> {
    pub(super) const fn new(machine: &'a M, watchdog: &'a mut W, disk: &'a WatchedDisk<D>) -> Self {
        Self { machine, watchdog, disk }
    }

    /// Tells what the disk did not do since this was called last.
    pub(super) fn tell_failure(&self) {
        if let Some(failure) = self.disk.take_failure() {
            line(self.machine, format_args!("{failure}"));
        }
    }
}

impl<M: Machine, W: Watchdog, D: Disk> boot::Machine for Reporter<'_, M, W, D> {
    fn arm_watchdog(&mut self, _: Arming) -> Result<(), NoWatchdog> {
        self.watchdog.arm(DEADLINE_SECONDS)?;
        line(self.machine, format_args!("watchdog armed, {DEADLINE_SECONDS} s"));
        Ok(())
    }

    /// The boards have no place to extend a measurement into.
    fn measure(&mut self, _: Kind, _: &Digest) {}

    /// Microseconds.
    fn ticks(&mut self) -> u32 {
        self.machine.microseconds() as u32
    }

    fn event(&mut self, event: &Event) {
        self.tell_failure();
        match *event {
            Event::JournalLost => line(self.machine, format_args!("journal: holds no valid record")),
            Event::JournalRepaired => line(self.machine, format_args!("journal: repaired")),
            Event::CommitFailed(error) => line(self.machine, format_args!("journal: a commit failed: {error}")),
            Event::Committed { sequence } => line(self.machine, format_args!("journal: committed sequence={sequence}")),
            Event::Reverted(revert) => {
                let (slot, reason) = (revert.slot.name(), revert.reason);
                line(self.machine, format_args!("revert slot={slot} code={} {reason}", reason.code()));
            }
            Event::Examined(slot, found) => line(self.machine, format_args!("examined slot={} {}", slot.name(), Found(found))),
            Event::ExaminedGolden(found) => line(self.machine, format_args!("examined golden {}", Found(found))),
            Event::NoWatchdog => line(self.machine, format_args!("the watchdog did not start")),
        }
    }
}

/// What an examination found, in words.
struct Found(Knowledge);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Knowledge::NotRead => f.write_str("not-read"),
            Knowledge::Verified(_) => f.write_str("verified"),
            Knowledge::Refused(rejection) => write!(f, "refused code={} {}: {rejection}", rejection.code(), rejection.name()),
            Knowledge::ReadError => f.write_str("read-error"),
        }
    }
}
