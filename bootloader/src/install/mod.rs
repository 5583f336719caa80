//! The only writer of slots and journal outside the loader.
//!
//! Guarantees:
//! * No writer exists for the running slot, nor for the only confirmed slot while its image verifies: an [`InactiveSlot`] can not name them.
//! * A chunk is verified before it is written; the header is written after all parts are durable; the trial is armed after everything was read back
//!   from the medium and verified.
//! * An install that was cut at any instant resumes at the last whole chunk that storage holds, whatever it holds.
//! * Confirm is refused unless the running slot is the trial.

mod refusal;
mod verdict;
mod writer;

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

pub use refusal::{InstallError, Refusal};
pub use writer::Install;

use crate::anchor::TrustAnchor;
use crate::crypto::{Crypto, Digest};
use crate::decide::Why;
use crate::handoff::{Booted, Handoff, Reads, Verdict};
use crate::image::{Expectations, FORMAT_VERSION, HEADER_SIZE, Header, HeaderDigest, Identity, SlotUse, short_digest};
use crate::journal::{Journal, LAYOUT_VERSION, Phase, Policy, State};
use crate::rejection::Rejection;
use crate::slot::{BySlot, Slot};
use crate::storage::{MonotonicCounter, Region, Storage};

/// What a writer knows of its host.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// The host.
    pub identity: Identity<'a>,
    /// Whom its loader trusts.
    pub anchor: &'a TrustAnchor,
    /// What its loader and its writers agree on.
    pub policy: Policy,
    /// Digest of the layout that the writer was given.
    pub layout: Digest,
}

/// What runs while the writer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// The image in a slot.
    Slot {
        /// The slot.
        slot: Slot,
        /// First half of its header digest.
        digest: HeaderDigest,
        /// Why the loader chose it.
        why: Why,
    },
    /// The golden image.
    Golden,
    /// Nothing: the storage is in the hands of a tool.
    Offline,
}

impl Running {
    fn of(handoff: &Handoff) -> Self {
        match handoff.booted {
            Booted::Slot(slot) => Self::Slot { slot, digest: short_digest(&handoff.digest), why: handoff.why },
            Booted::Golden => Self::Golden,
            Booted::Nothing => Self::Offline,
        }
    }

    const fn is_slot(&self, wanted: Slot) -> bool {
        matches!(self, Self::Slot { slot, .. } if *slot as u8 == wanted as u8)
    }
}

/// One writer at work. While it lives it is the only one, which the storage's lock ensures.
#[derive(Debug)]
pub struct Session<'a, S, C, N> {
    storage: &'a mut S,
    crypto: &'a mut C,
    counter: &'a mut N,
    host: Host<'a>,
    running: Running,
    verdicts: BySlot<Verdict>,
    loader_version: u16,
    reads: Reads,
    journal: Journal,
}

/// A slot that may be written: not the running one, and not the only confirmed one unless no boot can use its image any more.
#[derive(Debug, PartialEq, Eq)]
pub struct InactiveSlot {
    slot: Slot,
}

impl InactiveSlot {
    /// Which slot it is.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }
}

impl<'a, S: Storage, C: Crypto, N: MonotonicCounter> Session<'a, S, C, N> {
    /// A writer on a running host, which its loader told with `handoff`.
    ///
    /// # Errors
    /// The writer was given another layout than the loader, or the loader reads other formats than this writer writes.
    pub fn open(storage: &'a mut S, crypto: &'a mut C, counter: &'a mut N, host: Host<'a>, handoff: &Handoff) -> Result<Self, InstallError> {
        if handoff.layout != host.layout {
            return Err(Refusal::WrongLayout.into());
        }
        if handoff.reads.header != FORMAT_VERSION || handoff.reads.journal != LAYOUT_VERSION {
            return Err(Refusal::LoaderReadsOtherFormats.into());
        }
        let journal = Journal::open(storage, &host.policy);
        let mut session = Self {
            storage,
            crypto,
            counter,
            host,
            running: Running::of(handoff),
            verdicts: handoff.verdicts,
            loader_version: handoff.loader_version,
            reads: handoff.reads.clone(),
            journal,
        };
        session.raise_lagging_counter();
        Ok(session)
    }

    /// A writer on storage that nothing runs from, for tools. It takes the loader for one of this build.
    pub fn offline(storage: &'a mut S, crypto: &'a mut C, counter: &'a mut N, host: Host<'a>) -> Self {
        let journal = Journal::open(storage, &host.policy);
        let reads = Reads::of_this_build(host.anchor);
        let verdicts = BySlot { a: Verdict::NotExamined, b: Verdict::NotExamined };
        Self { storage, crypto, counter, host, running: Running::Offline, verdicts, loader_version: crate::LOADER_VERSION, reads, journal }
    }

    /// A confirm that could not raise the counter left it behind the journal. It is raised to what a confirmed image's signed header vouches for: a
    /// floor that somebody wrote into the journal must never reach a counter that can not go back.
    fn raise_lagging_counter(&mut self) {
        let Some(state) = self.journal.state().copied() else {
            return;
        };
        let confirmed = Slot::BOTH.into_iter().filter(|slot| state.phase(*slot) == Phase::Confirmed);
        for slot in confirmed {
            if self.counter.value().is_ok_and(|value| value < state.floor)
                && let Ok(header) = self.read_header(slot, 0, &state)
                && header.short_digest() == state.slots.of(slot).digest
            {
                let _ = self.counter.raise(state.floor.min(header.manifest().security_counter));
            }
        }
    }

    /// The boot state; `None` when the journal is lost.
    #[must_use]
    pub const fn state(&self) -> Option<&State> {
        self.journal.state()
    }

    /// What runs.
    #[must_use]
    pub const fn running(&self) -> Running {
        self.running
    }

    /// The slot to install into.
    ///
    /// # Errors
    /// A trial is running and not confirmed, or the only slot that does not run is the only confirmed one.
    pub fn inactive(&mut self) -> Result<InactiveSlot, InstallError> {
        let state = self.base_state();
        let slot = match self.running {
            Running::Slot { slot, .. } => slot.other(),
            Running::Golden | Running::Offline => {
                let spare = spare_slot(&state);
                if self.is_last_good(spare, &state) { spare.other() } else { spare }
            }
        };
        self.inactive_slot(slot)
    }

    /// The same for a slot that a tool names.
    ///
    /// # Errors
    /// As [`Session::inactive`], and when it is the running slot.
    pub fn inactive_slot(&mut self, slot: Slot) -> Result<InactiveSlot, InstallError> {
        let state = self.base_state();
        if self.running.is_slot(slot) {
            return Err(Refusal::RunningSlot.into());
        }
        if let Running::Slot { slot: running, .. } = self.running
            && state.phase(running) == Phase::Trial
        {
            return Err(Refusal::TrialPending.into());
        }
        if state.is_only_confirmed(slot) && !self.is_beyond_use(slot, &state)? {
            return Err(Refusal::OnlyConfirmedSlot.into());
        }
        if self.is_last_good(slot, &state) {
            return Err(Refusal::OnlyConfirmedSlot.into());
        }
        Ok(InactiveSlot { slot })
    }

    /// Whether nothing good would be left without this slot: both are confirmed, nothing runs from the other one, and only this one still verifies.
    fn is_last_good(&mut self, slot: Slot, state: &State) -> bool {
        let both_confirmed = Slot::BOTH.into_iter().all(|slot| state.phase(slot) == Phase::Confirmed);
        both_confirmed
            && !self.running.is_slot(slot.other())
            && self.verify_confirmed(slot.other(), state).is_err()
            && self.verify_confirmed(slot, state).is_ok()
    }

    /// Whether a confirmed image is one that no boot can use any more: the loader refused it in this boot and had to start the other slot as a last
    /// resort, and it is refused here again. A host in that state could not be updated otherwise. A read error proves nothing.
    fn is_beyond_use(&mut self, slot: Slot, state: &State) -> Result<bool, InstallError> {
        let refused_at_boot = matches!(self.verdicts.of(slot), Verdict::Refused(_));
        if !refused_at_boot || !matches!(self.running, Running::Slot { why: Why::LastResort, .. }) {
            return Ok(false);
        }
        match self.verify_confirmed(slot, state) {
            Err(InstallError::Refused(Refusal::Image(_))) => Ok(true),
            Ok(()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The journal's state, or the state of a host that no image is known of.
    fn base_state(&self) -> State {
        self.journal.state().copied().unwrap_or_else(|| State::new(0))
    }

    fn known_state(&self) -> Result<State, InstallError> {
        self.journal.state().copied().ok_or_else(|| Refusal::JournalLost.into())
    }

    fn commit(&mut self, state: &State) -> Result<(), InstallError> {
        let expected = self.journal.sequence();
        self.journal.commit(self.storage, &self.host.policy, expected, state).map_err(InstallError::Commit)
    }

    /// The floor that a confirmed image must meet: the journal's and the counter's; the anchor's own is the verifier's business.
    fn floor(&mut self, state: &State) -> Result<u32, InstallError> {
        Ok(state.floor.max(self.counter.value()?))
    }

    /// Reads and verifies the header that lies in a slot, held to this floor and these revocations.
    fn read_header(&mut self, slot: Slot, floor: u32, state: &State) -> Result<Header, InstallError> {
        let mut bytes = [0; HEADER_SIZE];
        self.storage.region(Region::Slot(slot)).read(0, &mut bytes)?;
        self.verify_header(&bytes, slot, floor, state).map_err(InstallError::from)
    }

    fn verify_header(&mut self, bytes: &[u8; HEADER_SIZE], slot: Slot, floor: u32, state: &State) -> Result<Header, Rejection> {
        let expect = Expectations {
            identity: self.host.identity,
            slot_use: SlotUse::Slot(slot),
            slot_size: u64::from(self.storage.region(Region::Slot(slot)).size()),
            write_size: S::Flash::WRITE_SIZE as u64,
            floor,
            revoked: &state.revoked,
        };
        Header::verify(bytes, self.host.anchor, &expect, self.crypto)
    }
}

/// The slot to write when none runs: one that is not confirmed, else the one that is not preferred.
fn spare_slot(state: &State) -> Slot {
    let other = state.preferred.other();
    if state.phase(other) == Phase::Confirmed && state.phase(state.preferred) != Phase::Confirmed { state.preferred } else { other }
}
