//! The boot: runs the slot decision step by step against real storage, memory and machine.
//!
//! Guarantee: what comes out as [`Outcome::Boot`] was verified in this boot and lies where it runs; before a trial its intent was committed and read
//! back and the watchdog armed, unless the board has none and says so ([`WatchdogUse::TrialsMayHang`]).

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use crate::anchor::{KeyId, TrustAnchor};
use crate::crypto::{Crypto, Digest};
use crate::decide::{BootState, Fallback, Knowledge, Situation, Step, Verified, Why, decide};
use crate::evidence::difference;
use crate::handoff::{Booted, Handoff, Verdict};
use crate::image::manifest::Kind;
use crate::image::{Expectations, HEADER_SIZE, Header, Identity, SlotUse, short_digest};
use crate::journal::{CommitError, Journal, Policy, Revert, State};
use crate::load::{self, Bootable, LoadError, Memory};
use crate::reason::{Reason, ResetCause};
use crate::rejection::Rejection;
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

/// Decides, verifies and loads. `handoff` comes in as [`Handoff::new`] makes it, and is filled in whatever the outcome.
#[inline(never)]
pub fn boot<S: Storage, M: Memory, C: Crypto, K: Machine>(ports: &mut Ports<'_, S, M, C, K>, config: &Config<'_>, handoff: &mut Handoff) -> Outcome {
    let situation = Situation {
        reset_cause: config.reset_cause,
        slots: BySlot { a: Knowledge::NotRead, b: Knowledge::NotRead },
        golden: config.golden,
        recovery: config.recovery,
    };
    handoff.reset_cause = config.reset_cause;
    let mut run = Run { ports, config, handoff, journal: Journal::unread(), may_write: true, situation, loaded: None };
    run.mark(0);
    run.open_journal();
    let end = run.decide();
    run.tell();
    match (end, run.loaded) {
        (End::Boot, Some(bootable)) => Outcome::Boot(bootable),
        (End::Boot, None) => Outcome::Halt(Reason::None),
        (End::Recover, _) => Outcome::Recover,
        (End::Halt(reason), _) => Outcome::Halt(reason),
    }
}

/// How a boot ends, before the image that it may end with is handed over.
enum End {
    /// With the loaded image.
    Boot,
    /// See [`Outcome::Recover`].
    Recover,
    /// See [`Outcome::Halt`].
    Halt(Reason),
}

/// One boot under way.
struct Run<'r, 'p, S, M, C, K> {
    ports: &'r mut Ports<'p, S, M, C, K>,
    config: &'r Config<'r>,
    handoff: &'r mut Handoff,
    journal: Journal,
    /// Whether no commit has failed in this boot.
    may_write: bool,
    situation: Situation,
    loaded: Option<Bootable>,
}

impl<S: Storage, M: Memory, C: Crypto, K: Machine> Run<'_, '_, S, M, C, K> {
    /// Reads the journal, and repairs it before anything is decided.
    fn open_journal(&mut self) {
        self.journal.read(self.ports.storage, &self.config.policy);
        let is_clean = self.journal.is_clean();
        let repaired = self.journal.repair(self.ports.storage, &self.config.policy);
        if self.journal.state().is_none() {
            self.event(Event::JournalLost);
        } else if repaired.is_ok() && !is_clean {
            self.event(Event::JournalRepaired);
        }
        self.written(repaired);
    }

    /// Asks for steps and does them until the boot ends.
    fn decide(&mut self) -> End {
        for _ in 0..MAX_STEPS {
            let step = decide(self.boot_state(), &self.situation, &self.config.policy);
            if let Some(end) = self.take(&step) {
                return end;
            }
        }
        End::Halt(Reason::None)
    }

    /// Does one step. `Some` when the boot ends with it.
    fn take(&mut self, step: &Step) -> Option<End> {
        match *step {
            Step::Commit(ref state) => {
                // The intent of a trial is committed only for an image that lies where it runs.
                if state.in_flight.is_none_or(|slot| self.is_loaded(slot)) {
                    self.commit(state);
                }
                None
            }
            Step::Examine(slot) => {
                self.examine(slot);
                None
            }
            Step::Boot(slot, why) => self.boot_slot(slot, why),
            Step::Golden => self.boot_golden(),
            Step::Recover(reason) => {
                self.handoff.halt_reason = reason;
                Some(End::Recover)
            }
            Step::Halt(reason) => {
                self.handoff.halt_reason = reason;
                Some(End::Halt(reason))
            }
        }
    }

    fn commit(&mut self, state: &State) {
        let before = self.last_revert();
        let expected = self.journal.sequence();
        let committed = self.journal.commit(self.ports.storage, &self.config.policy, expected, state);
        self.written(committed);
        if committed.is_ok() {
            self.event(Event::Committed { sequence: self.journal.sequence() });
            if let Some(revert) = self.last_revert()
                && before.is_none_or(|before| before.sequence != revert.sequence)
            {
                self.event(Event::Reverted(revert));
            }
        }
    }

    /// After a failed commit the boot goes on with what is known and writes nothing more.
    fn written(&mut self, committed: Result<(), CommitError>) {
        if let Err(error) = committed {
            self.event(Event::CommitFailed(error));
            self.may_write = false;
        }
    }

    fn boot_state(&self) -> BootState<'_> {
        match self.journal.state() {
            state if !self.may_write => BootState::ReadOnly(state),
            Some(state) => BootState::Known { state, next_sequence: self.journal.next_sequence() },
            None => BootState::Lost,
        }
    }

    /// Verifies a slot and remembers what was found.
    fn examine(&mut self, slot: Slot) {
        let found = self.verify(SlotUse::Slot(slot));
        *self.situation.slots.of_mut(slot) = found;
        self.event(Event::Examined(slot, found));
    }

    /// Loads what lies in a slot or in the golden region; a loaded image that is overwritten by it is forgotten.
    fn verify(&mut self, slot_use: SlotUse) -> Knowledge {
        self.loaded = None;
        match self.load(slot_use) {
            Ok(verified) => Knowledge::Verified(verified),
            Err(LoadError::Refused(rejection)) => Knowledge::Refused(rejection),
            Err(LoadError::Storage) => Knowledge::ReadError,
        }
    }

    /// Not inlined: header and manifest would lie on the stack for all of the boot.
    #[inline(never)]
    fn load(&mut self, slot_use: SlotUse) -> Result<Verified, LoadError> {
        let region = region_of(slot_use);
        let mut bytes = [0; HEADER_SIZE];
        self.ports.storage.region(region).read(0, &mut bytes)?;
        let verified = self.verify_header(&bytes, slot_use);
        let header = verified.as_ref().map_err(|rejection| *rejection)?;
        self.mark(1);
        load::load_into(&mut self.loaded, header, region, &mut self.ports.storage.region(region), self.ports.memory, self.ports.crypto)?;
        self.mark(2);
        self.handoff.digest = *header.digest();
        Ok(Verified::of(header))
    }

    /// Verifies a header. The golden image is held to the compiled-in anchor and floor only.
    fn verify_header(&mut self, bytes: &[u8; HEADER_SIZE], slot_use: SlotUse) -> Result<Header, Rejection> {
        let (floor, revoked): (u32, &[KeyId]) = match (slot_use, self.journal.state()) {
            (SlotUse::Golden, _) => (0, &[]),
            (SlotUse::Slot(_), None) => (self.config.counter_floor, &[]),
            (SlotUse::Slot(_), Some(state)) => (state.floor.max(self.config.counter_floor), &state.revoked),
        };
        let expect = Expectations {
            identity: self.config.identity,
            slot_use,
            slot_size: u64::from(self.ports.storage.region(region_of(slot_use)).size()),
            write_size: S::Flash::WRITE_SIZE as u64,
            floor,
            revoked,
        };
        Header::verify(bytes, self.config.anchor, &expect, self.ports.crypto)
    }

    /// Jumps to a slot's verified image.
    fn boot_slot(&mut self, slot: Slot, why: Why) -> Option<End> {
        if !self.is_loaded(slot) {
            return None;
        }
        if self.arm(why).is_err() && why == Why::Trial {
            self.give_up(slot);
            return None;
        }
        let mut doubt = self.loaded.as_ref()?.below(self.config.counter_floor);
        if let Some(state) = self.journal.state() {
            let entry = state.slots.of(slot);
            self.handoff.phase = entry.phase;
            self.handoff.attempts_left = entry.attempts_left;
            doubt |= self.loaded.as_ref()?.below(state.floor);
            if why != Why::LastResort {
                doubt |= difference(&entry.digest, &short_digest(&self.handoff.digest));
            }
            if why == Why::Trial {
                doubt |= u32::from(state.in_flight != Some(slot));
            }
        }
        self.hand_over(Booted::Slot(slot), why, doubt)
    }

    /// Whether the slot's image lies where it runs. One that another image has overwritten is loaded again, judged again, and chosen again.
    fn is_loaded(&mut self, slot: Slot) -> bool {
        let is_loaded = self.loaded.as_ref().map(Bootable::region) == Some(Region::Slot(slot));
        if !is_loaded {
            self.examine(slot);
        }
        is_loaded
    }

    /// A trial that has no deadline does not start, and is not tried again.
    fn give_up(&mut self, slot: Slot) {
        let sequence = self.journal.next_sequence();
        if let Some(mut state) = self.journal.state().copied() {
            state.reject(slot, Reason::NoWatchdog, sequence);
            self.commit(&state);
        }
    }

    fn boot_golden(&mut self) -> Option<End> {
        let found = self.verify(SlotUse::Golden);
        self.event(Event::ExaminedGolden(found));
        if self.loaded.is_none() {
            self.situation.golden = Fallback::Failed;
            return None;
        }
        let _ = self.arm(Why::Golden);
        self.hand_over(Booted::Golden, Why::Golden, 0)
    }

    /// The end of a boot that jumps to the loaded image, unless there is doubt about it.
    fn hand_over(&mut self, booted: Booted, why: Why, doubt: u32) -> Option<End> {
        let bootable = self.loaded.as_mut()?;
        bootable.choose(doubt | bootable.below(self.config.anchor.floor()));
        self.handoff.booted = booted;
        self.handoff.why = why;
        for part in bootable.parts() {
            self.ports.machine.measure(part.kind, &part.sha256);
        }
        Some(End::Boot)
    }

    /// Arms the watchdog as the board's policy says.
    fn arm(&mut self, why: Why) -> Result<(), NoWatchdog> {
        let arming = match (self.config.watchdog, why) {
            (WatchdogUse::Trials | WatchdogUse::EveryBoot, Why::Trial) => Arming::Trial,
            (WatchdogUse::EveryBoot, _) => Arming::EveryBoot,
            (WatchdogUse::Trials | WatchdogUse::TrialsMayHang, _) => return Ok(()),
        };
        let armed = self.ports.machine.arm_watchdog(arming);
        if armed.is_err() {
            self.event(Event::NoWatchdog);
        }
        armed
    }

    /// What every hand-off tells, whatever was booted.
    fn tell(&mut self) {
        let BySlot { a, b } = self.situation.slots;
        self.handoff.verdicts = BySlot { a: Verdict::from(a), b: Verdict::from(b) };
        self.handoff.last_revert = self.last_revert();
        if self.handoff.booted == Booted::Nothing {
            self.handoff.digest = [0; 32];
        }
        self.mark(3);
    }

    fn last_revert(&self) -> Option<Revert> {
        self.journal.state()?.last_revert
    }

    #[inline(never)]
    fn mark(&mut self, index: usize) {
        if let Some(mark) = self.handoff.marks.get_mut(index) {
            *mark = self.ports.machine.ticks();
        }
    }

    fn event(&mut self, event: Event) {
        self.ports.machine.event(&event);
    }
}

const fn region_of(slot_use: SlotUse) -> Region {
    match slot_use {
        SlotUse::Slot(slot) => Region::Slot(slot),
        SlotUse::Golden => Region::Golden,
    }
}
