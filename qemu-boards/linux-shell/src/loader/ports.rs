//! The machine port of the loader library: watchdog, clock, and a line for every event.

use twinslot_bootloader::boot::{self, Arming, Event, NoWatchdog};
use twinslot_bootloader::crypto::Digest;
use twinslot_bootloader::decide::Knowledge;
use twinslot_bootloader::image::manifest::Kind;
use twinslot_bootloader::journal::CommitError;

use super::DEADLINE_SECONDS;
use crate::console::Line;
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

    fn line(&self, beginning: &str) -> Line<'a, M> {
        Line::new(self.machine).text(beginning)
    }

    fn say(&self, words: &str) {
        drop(self.line(words));
    }

    /// Tells what the disk did not do since this was called last.
    pub(super) fn tell_failure(&self) {
        if let Some(failure) = self.disk.take_failure() {
            let line = self.line("disk ").text(failure.operation.name());
            let _ = line.text(" at sector ").number(failure.sector).text(": ").text(failure.error.text());
        }
    }
}

impl<M: Machine, W: Watchdog, D: Disk> boot::Machine for Reporter<'_, M, W, D> {
    fn arm_watchdog(&mut self, _: Arming) -> Result<(), NoWatchdog> {
        self.watchdog.arm(DEADLINE_SECONDS)?;
        let _ = self.line("watchdog armed, ").number(DEADLINE_SECONDS.into()).text(" s");
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
            Event::JournalLost => self.say("journal: holds no valid record"),
            Event::JournalRepaired => self.say("journal: repaired"),
            Event::CommitFailed(error) => drop(self.line("journal: a commit failed: ").text(commit_failure(error))),
            Event::Committed { sequence } => drop(self.line("journal: committed sequence=").number(sequence)),
            Event::Reverted(revert) => {
                let line = self.line("revert slot=").text(revert.slot.name()).text(" code=").number(revert.reason.code().into());
                let _ = line.text(" ").text(revert.reason.text());
            }
            Event::Examined(slot, found) => tell(self.line("examined slot=").text(slot.name()), found),
            Event::ExaminedGolden(found) => tell(self.line("examined golden"), found),
            Event::NoWatchdog => self.say("the watchdog did not start"),
        }
    }
}

/// Ends a line with what an examination found.
fn tell<M: Machine>(line: Line<'_, M>, found: Knowledge) {
    let line = line.text(" ");
    let _ = match found {
        Knowledge::NotRead => line.text("not-read"),
        Knowledge::Verified(_) => line.text("verified"),
        Knowledge::ReadError => line.text("read-error"),
        Knowledge::Refused(rejection) => {
            line.text("refused code=").number(rejection.code().into()).text(" ").text(rejection.name()).text(": ").text(rejection.text())
        }
    };
}

/// Why a commit did not happen, as far as it concerns whoever looks after the machine.
const fn commit_failure(error: CommitError) -> &'static str {
    match error {
        CommitError::Stale => "somebody else has written to the journal",
        CommitError::Impossible => "the state is one that no writer may commit",
        CommitError::Exhausted => "the journal has no sequence left",
        CommitError::Storage => "the journal could not be written and read back",
    }
}
