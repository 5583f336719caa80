//! The boot: runs the slot decision step by step against real storage, memory and machine.
//!
//! Guarantee: what comes out as [`Outcome::Boot`] was verified in this boot and lies where it runs; before a trial its intent was committed and read
//! back and the watchdog armed.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::anchor::TrustAnchor;
use crate::crypto::{Crypto, Digest};
use crate::decide::{BootState, Fallback, Knowledge, Situation, Step, Verified, Why, decide};
use crate::handoff::{Booted, Handoff, Verdict};
use crate::image::manifest::Kind;
use crate::image::{Expectations, HEADER_SIZE, Header, Identity, SlotUse};
use crate::journal::{CommitError, Journal, Policy, Revert};
use crate::load::{self, Bootable, LoadError, Memory};
use crate::reason::{Reason, ResetCause};
use crate::slot::{BySlot, Slot};
use crate::storage::{Region, Storage};

/// More steps than any boot takes; a guard, not a limit that is ever met.
const MAX_STEPS: u8 = 32;

/// The machine port of a board.
pub trait Machine {
    /// Starts the watchdog, with a deadline that the board chooses for `arming`.
    ///
    /// # Errors
    /// There is no watchdog or it did not start.
    fn arm_watchdog(&mut self, arming: Arming) -> Result<(), NoWatchdog>;

    /// Records what is about to run, for measured boot. Does nothing on most boards.
    fn measure(&mut self, kind: Kind, digest: &Digest);

    /// A monotonic timing mark in the board's own unit.
    fn ticks(&mut self) -> u32;

    /// Tells what happened, for logs.
    fn event(&mut self, event: &Event);
}

/// Why the watchdog is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Arming {
    /// A trial is about to start: only its confirmer feeds the watchdog, never past the deadline.
    Trial,
    /// The board's policy arms it before every jump.
    EveryBoot,
}

/// The watchdog did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoWatchdog;

/// When a board arms its watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchdogUse {
    /// Before trials; without it no trial starts.
    Trials,
    /// Before every jump; without it no trial starts.
    EveryBoot,
    /// The board has none and accepts by this name that a trial that hangs stays there until somebody cuts the power.
    TrialsMayHang,
}

/// What happened, for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// The journal holds no valid record.
    JournalLost,
    /// The logs did not agree and the newest record was committed again.
    JournalRepaired,
    /// A commit failed; nothing more is written in this boot.
    CommitFailed(CommitError),
    /// A state was committed.
    Committed {
        /// Its sequence.
        sequence: u64,
    },
    /// A slot was given up.
    Reverted(Revert),
    /// What a slot's examination found.
    Examined(Slot, Knowledge),
    /// What the golden image's examination found.
    ExaminedGolden(Knowledge),
    /// The watchdog did not start.
    NoWatchdog,
}

/// What a board is, for its loader.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    /// The board.
    pub identity: Identity<'a>,
    /// Whom it trusts.
    pub anchor: &'a TrustAnchor,
    /// What loader and writers agree on.
    pub policy: Policy,
    /// Digest of its layout.
    pub layout: Digest,
    /// When it arms its watchdog.
    pub watchdog: WatchdogUse,
    /// Whether it has a golden image.
    pub golden: Fallback,
    /// Whether it has a recovery to enter.
    pub recovery: Fallback,
    /// The board's monotonic counter, which the floor never drops below; 0 without one.
    pub counter_floor: u32,
    /// Why the machine started.
    pub reset_cause: ResetCause,
}

/// The ports of a board.
#[derive(Debug)]
pub struct Ports<'a, S, M, C, K> {
    /// Its flash.
    pub storage: &'a mut S,
    /// Its memory.
    pub memory: &'a mut M,
    /// Its verification.
    pub crypto: &'a mut C,
    /// The rest of the machine.
    pub machine: &'a mut K,
}

/// How a boot ends.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one outcome a boot, and no allocator")]
pub enum Outcome {
    /// Jump to this image.
    Boot(Bootable),
    /// Enter the board's recovery.
    Recover,
    /// Stop, for this reason.
    Halt(Reason),
}

/// Decides, verifies and loads. The hand-off is filled in whatever the outcome.
pub fn boot<S: Storage, M: Memory, C: Crypto, K: Machine>(ports: &mut Ports<'_, S, M, C, K>, config: &Config<'_>, handoff: &mut Handoff) -> Outcome {
    *handoff = Handoff::new(config.anchor, config.layout, config.reset_cause);
    mark(ports, handoff, 0);
    let mut run = Run::start(ports, config);
    for _ in 0..MAX_STEPS {
        let step = decide(&run.situation, &config.policy);
        if let Some(outcome) = run.take(step, ports, config, handoff) {
            run.tell(handoff);
            mark(ports, handoff, 3);
            return outcome;
        }
    }
    run.tell(handoff);
    Outcome::Halt(Reason::None)
}

fn mark<S, M, C, K: Machine>(ports: &mut Ports<'_, S, M, C, K>, handoff: &mut Handoff, index: usize) {
    if let Some(mark) = handoff.marks.get_mut(index) {
        *mark = ports.machine.ticks();
    }
}

/// One boot under way.
struct Run {
    journal: Journal,
    situation: Situation,
    loaded: Option<Bootable>,
}

impl Run {
    /// Reads the journal, and repairs it before anything is decided.
    fn start<S: Storage, M, C, K: Machine>(ports: &mut Ports<'_, S, M, C, K>, config: &Config<'_>) -> Self {
        let mut journal = Journal::open(ports.storage, &config.policy);
        let repaired =
            if journal.is_clean() { Ok(()) } else { journal.repair(ports.storage, &config.policy).inspect(|()| tell_repair(ports, &journal)) };
        let situation = Situation {
            boot_state: boot_state(&journal),
            reset_cause: config.reset_cause,
            slots: BySlot { a: Knowledge::NotRead, b: Knowledge::NotRead },
            golden: config.golden,
            recovery: config.recovery,
        };
        let mut run = Self { journal, situation, loaded: None };
        if let Err(error) = repaired {
            run.give_up_writing(error, ports);
        }
        run
    }

    /// Does one step. `Some` when the boot ends with it.
    fn take<S: Storage, M: Memory, C: Crypto, K: Machine>(
        &mut self,
        step: Step,
        ports: &mut Ports<'_, S, M, C, K>,
        config: &Config<'_>,
        handoff: &mut Handoff,
    ) -> Option<Outcome> {
        match step {
            Step::Commit(state) => {
                let before = self.journal.state().and_then(|state| state.last_revert);
                let expected = self.journal.sequence();
                match self.journal.commit(ports.storage, &config.policy, expected, &state) {
                    Ok(()) => self.committed(before, ports),
                    Err(error) => self.give_up_writing(error, ports),
                }
                None
            }
            Step::Examine(slot) => {
                self.examine(slot, ports, config, handoff);
                None
            }
            Step::Boot(slot, why) => self.boot_slot(slot, why, ports, config, handoff),
            Step::Golden => self.boot_golden(ports, config, handoff),
            Step::Recover => Some(Outcome::Recover),
            Step::Halt(reason) => {
                handoff.halt_reason = reason;
                Some(Outcome::Halt(reason))
            }
        }
    }

    fn committed<S, M, C, K: Machine>(&mut self, before: Option<Revert>, ports: &mut Ports<'_, S, M, C, K>) {
        self.situation.boot_state = boot_state(&self.journal);
        ports.machine.event(&Event::Committed { sequence: self.journal.sequence() });
        match self.journal.state().and_then(|state| state.last_revert) {
            Some(revert) if Some(revert) != before => ports.machine.event(&Event::Reverted(revert)),
            _ => {}
        }
    }

    /// After a failed commit the boot goes on with what is known and writes nothing more.
    fn give_up_writing<S, M, C, K: Machine>(&mut self, error: CommitError, ports: &mut Ports<'_, S, M, C, K>) {
        ports.machine.event(&Event::CommitFailed(error));
        self.situation.boot_state = BootState::ReadOnly(self.journal.state().copied());
    }

    /// Verifies a slot and remembers what was found.
    fn examine<S: Storage, M: Memory, C: Crypto, K: Machine>(
        &mut self,
        slot: Slot,
        ports: &mut Ports<'_, S, M, C, K>,
        config: &Config<'_>,
        handoff: &mut Handoff,
    ) {
        let found = self.verify(SlotUse::Slot(slot), ports, config, handoff);
        *self.situation.slots.of_mut(slot) = found;
        ports.machine.event(&Event::Examined(slot, found));
    }

    /// Loads what lies in a slot or in the golden region; a loaded image that is overwritten by it is forgotten.
    fn verify<S: Storage, M: Memory, C: Crypto, K: Machine>(
        &mut self,
        slot_use: SlotUse,
        ports: &mut Ports<'_, S, M, C, K>,
        config: &Config<'_>,
        handoff: &mut Handoff,
    ) -> Knowledge {
        self.loaded = None;
        let loaded = read_and_verify(slot_use, self.journal.state(), ports, config, handoff).and_then(|header| {
            let region = region_of(slot_use);
            let bootable = load::load(&header, region, &mut ports.storage.region(region), ports.memory, ports.crypto)?;
            Ok((header, bootable))
        });
        match loaded {
            Ok((header, bootable)) => {
                mark(ports, handoff, 2);
                handoff.digest = *header.digest();
                self.loaded = Some(bootable);
                let manifest = header.manifest();
                Knowledge::Verified(Verified {
                    digest: header.short_digest(),
                    security_counter: manifest.security_counter,
                    version: manifest.version,
                })
            }
            Err(LoadError::Refused(rejection)) => Knowledge::Refused(rejection),
            Err(LoadError::Storage) => Knowledge::ReadError,
        }
    }

    /// Jumps to a slot's verified image. An image that another one has overwritten since is loaded again, and judged again.
    fn boot_slot<S: Storage, M: Memory, C: Crypto, K: Machine>(
        &mut self,
        slot: Slot,
        why: Why,
        ports: &mut Ports<'_, S, M, C, K>,
        config: &Config<'_>,
        handoff: &mut Handoff,
    ) -> Option<Outcome> {
        let chosen = *self.situation.slots.of(slot);
        if self.loaded.as_ref().map(Bootable::region) != Some(Region::Slot(slot)) {
            self.examine(slot, ports, config, handoff);
            if *self.situation.slots.of(slot) != chosen {
                return None;
            }
        }
        let armed = arm(why, ports, config);
        if armed.is_err() && why == Why::Trial {
            self.situation.boot_state = BootState::ReadOnly(self.journal.state().copied());
            return None;
        }
        let bootable = self.loaded.take()?;
        handoff.booted = Booted::Slot(slot);
        handoff.why = why;
        if let Some(state) = self.journal.state() {
            let entry = state.slots.of(slot);
            handoff.phase = entry.phase;
            handoff.attempts_left = entry.attempts_left;
        }
        measure(&bootable, ports);
        Some(Outcome::Boot(bootable))
    }

    fn boot_golden<S: Storage, M: Memory, C: Crypto, K: Machine>(
        &mut self,
        ports: &mut Ports<'_, S, M, C, K>,
        config: &Config<'_>,
        handoff: &mut Handoff,
    ) -> Option<Outcome> {
        let found = self.verify(SlotUse::Golden, ports, config, handoff);
        ports.machine.event(&Event::ExaminedGolden(found));
        let Some(bootable) = self.loaded.take() else {
            self.situation.golden = Fallback::Failed;
            return None;
        };
        let _ = arm(Why::Golden, ports, config);
        handoff.booted = Booted::Golden;
        handoff.why = Why::Golden;
        measure(&bootable, ports);
        Some(Outcome::Boot(bootable))
    }

    /// What every hand-off tells, whatever was booted.
    fn tell(&self, handoff: &mut Handoff) {
        let slots = self.situation.slots;
        handoff.verdicts = BySlot { a: Verdict::from(slots.a), b: Verdict::from(slots.b) };
        handoff.last_revert = self.journal.state().and_then(|state| state.last_revert);
        if handoff.booted == Booted::Nothing {
            handoff.digest = [0; 32];
        }
    }
}

fn tell_repair<S, M, C, K: Machine>(ports: &mut Ports<'_, S, M, C, K>, journal: &Journal) {
    let event = if journal.state().is_some() { Event::JournalRepaired } else { Event::JournalLost };
    ports.machine.event(&event);
}

fn boot_state(journal: &Journal) -> BootState {
    let next_sequence = journal.next_sequence();
    match journal.state() {
        Some(state) => BootState::Known { state: *state, next_sequence },
        None => BootState::Lost { next_sequence },
    }
}

const fn region_of(slot_use: SlotUse) -> Region {
    match slot_use {
        SlotUse::Slot(slot) => Region::Slot(slot),
        SlotUse::Golden => Region::Golden,
    }
}

/// Reads and verifies a header. The golden image is held to the compiled-in anchor and floor only.
fn read_and_verify<S: Storage, M, C: Crypto, K: Machine>(
    slot_use: SlotUse,
    state: Option<&crate::journal::State>,
    ports: &mut Ports<'_, S, M, C, K>,
    config: &Config<'_>,
    handoff: &mut Handoff,
) -> Result<Header, LoadError> {
    let mut bytes = [0; HEADER_SIZE];
    let mut window = ports.storage.region(region_of(slot_use));
    window.read(0, &mut bytes)?;
    let journal = state.filter(|_| slot_use != SlotUse::Golden);
    let expect = Expectations {
        identity: config.identity,
        slot_use,
        slot_size: u64::from(window.size()),
        write_size: S::Flash::WRITE_SIZE as u64,
        floor: if slot_use == SlotUse::Golden { 0 } else { journal.map_or(0, |state| state.floor).max(config.counter_floor) },
        revoked: journal.map_or(&[], |state| &state.revoked),
    };
    let header = Header::verify(&bytes, config.anchor, &expect, ports.crypto)?;
    mark(ports, handoff, 1);
    Ok(header)
}

/// Arms the watchdog as the board's policy says.
fn arm<S, M, C, K: Machine>(why: Why, ports: &mut Ports<'_, S, M, C, K>, config: &Config<'_>) -> Result<(), NoWatchdog> {
    let armed = match (config.watchdog, why) {
        (WatchdogUse::TrialsMayHang, _) => return Ok(()),
        (_, Why::Trial) => ports.machine.arm_watchdog(Arming::Trial),
        (WatchdogUse::EveryBoot, _) => ports.machine.arm_watchdog(Arming::EveryBoot),
        (WatchdogUse::Trials, _) => return Ok(()),
    };
    armed.inspect_err(|_| ports.machine.event(&Event::NoWatchdog))
}

fn measure<S, M, C, K: Machine>(bootable: &Bootable, ports: &mut Ports<'_, S, M, C, K>) {
    for part in bootable.parts() {
        ports.machine.measure(part.kind, &part.sha256);
    }
}
