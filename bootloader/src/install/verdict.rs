//! What becomes of a slot once its image is there: confirm, revert, condemn, roll back; arm and reject for tools.

use super::{InstallError, Refusal, Running, Session};
use crate::crypto::Crypto;
use crate::decide::{Verified, Why};
use crate::image::Header;
use crate::journal::{FloorRaise, Phase, SlotState, State};
use crate::load::verify_stored;
use crate::reason::Reason;
use crate::rejection::Rejection;
use crate::slot::Slot;
use crate::storage::{MonotonicCounter, Region, Storage};

impl<S: Storage, C: Crypto, N: MonotonicCounter> Session<'_, S, C, N> {
    /// Accepts the running trial: it becomes the confirmed, preferred image, and floor and revocations rise.
    ///
    /// # Errors
    /// Refused unless the running slot *is* the trial. A commit that fails or does not read back: the trial is not confirmed.
    /// [`InstallError::CounterNotRaised`]: it is.
    pub fn confirm(&mut self) -> Result<(), InstallError> {
        let (slot, state) = self.running_trial()?;
        self.accept(slot, state)
    }

    /// Gives the running trial up for a failed health check: the other slot boots next.
    ///
    /// # Errors
    /// Refused unless the running slot is the trial and the other slot holds an image.
    pub fn revert(&mut self) -> Result<(), InstallError> {
        let (slot, mut state) = self.running_trial()?;
        if !matches!(state.phase(slot.other()), Phase::Confirmed | Phase::Trial) {
            return Err(Refusal::NoOtherImage.into());
        }
        state.reject(slot, Reason::HealthCheck, self.journal.next_sequence());
        self.commit(&state)
    }

    /// Declares the running confirmed system broken.
    ///
    /// # Errors
    /// Refused unless the running slot is confirmed and the other one is too, with an image that still verifies.
    pub fn condemn(&mut self) -> Result<(), InstallError> {
        let Running::Slot { slot, digest, .. } = self.running else {
            return Err(Refusal::NotConfirmed.into());
        };
        let mut state = self.known_state()?;
        if state.phase(slot) != Phase::Confirmed || state.slots.of(slot).digest != digest {
            return Err(Refusal::NotConfirmed.into());
        }
        if state.is_only_confirmed(slot) {
            return Err(Refusal::OnlyConfirmedSlot.into());
        }
        self.verify_confirmed(slot.other(), &state)?;
        state.reject(slot, Reason::Condemned, self.journal.next_sequence());
        self.commit(&state)
    }

    /// Goes back to the previous confirmed image, on purpose. Both stay confirmed.
    ///
    /// # Errors
    /// Refused unless the other slot is confirmed and its image still verifies, at or above the floor.
    pub fn rollback(&mut self) -> Result<(), InstallError> {
        let mut state = self.known_state()?;
        let current = match self.running {
            Running::Slot { slot, .. } => slot,
            Running::Golden | Running::Offline => state.preferred,
        };
        let target = current.other();
        if state.phase(current) == Phase::Trial {
            return Err(Refusal::TrialPending.into());
        }
        if state.phase(target) != Phase::Confirmed {
            return Err(Refusal::NoOtherImage.into());
        }
        self.verify_confirmed(target, &state)?;
        state.preferred = target;
        self.commit(&state)
    }

    /// Arms the image that lies in a slot.
    ///
    /// # Errors
    /// Refused for the running and the only confirmed slot, while a trial runs, and when the image does not verify.
    pub fn arm(&mut self, slot: Slot) -> Result<(), InstallError> {
        let slot = self.inactive_slot(slot)?.slot();
        let mut state = self.base_state();
        let header = self.verify_slot(slot, &state)?;
        self.add_revocations(&header, &mut state.clone())?;
        *state.slots.of_mut(slot) = SlotState::trial(header.short_digest(), &self.host.policy);
        state.preferred = slot;
        if state.in_flight == Some(slot) {
            state.in_flight = None;
        }
        self.commit(&state)
    }

    /// Gives a slot up on an operator's word.
    ///
    /// # Errors
    /// Refused for the running and the only confirmed slot.
    pub fn reject(&mut self, slot: Slot) -> Result<(), InstallError> {
        let mut state = self.known_state()?;
        if self.running.is_slot(slot) {
            return Err(Refusal::RunningSlot.into());
        }
        if state.is_only_confirmed(slot) || self.is_last_good(slot, &state) {
            return Err(Refusal::OnlyConfirmedSlot.into());
        }
        state.reject(slot, Reason::Operator, self.journal.next_sequence());
        self.commit(&state)
    }

    /// Accepts the trial in a slot that nothing runs from, for tools that prepare storage.
    ///
    /// # Errors
    /// Refused on a running host, when the slot is not on trial, and when its image does not verify.
    pub fn confirm_offline(&mut self, slot: Slot) -> Result<(), InstallError> {
        if self.running != Running::Offline {
            return Err(Refusal::OnlyOffline.into());
        }
        let state = self.known_state()?;
        if state.phase(slot) != Phase::Trial {
            return Err(Refusal::NotTheTrial.into());
        }
        self.verify_slot(slot, &state)?;
        self.accept(slot, state)
    }

    /// Commits the newest record to both logs again; a lost journal gets a state in which authentic slots are on trial, as the loader would.
    ///
    /// # Errors
    /// A failing commit; refused on a running host.
    pub fn repair(&mut self) -> Result<(), InstallError> {
        if self.running != Running::Offline {
            return Err(Refusal::OnlyOffline.into());
        }
        if self.journal.state().is_some() {
            return self.journal.repair(self.storage, &self.host.policy).map_err(InstallError::Commit);
        }
        let state = self.state_after_loss();
        self.commit(&state)
    }

    /// The running slot, when it is the trial that the loader jumped to as one: watched, and for a bounded time. With the state that says so.
    fn running_trial(&self) -> Result<(Slot, State), InstallError> {
        let Running::Slot { slot, digest, why: Why::Trial } = self.running else {
            return Err(Refusal::NotTheTrial.into());
        };
        let state = self.known_state()?;
        let entry = state.slots.of(slot);
        let is_it = entry.phase == Phase::Trial && entry.digest == digest && state.in_flight == Some(slot);
        if is_it { Ok((slot, state)) } else { Err(Refusal::NotTheTrial.into()) }
    }

    /// Commits a trial as confirmed, in one record with the floor, the revocations and what they cut off.
    fn accept(&mut self, slot: Slot, mut state: State) -> Result<(), InstallError> {
        let floor = self.floor(&state)?;
        let header = self.read_header(slot, floor, &state)?;
        if header.short_digest() != state.slots.of(slot).digest {
            return Err(Rejection::NotTheArmedImage.into());
        }
        let other = self.read_header(slot.other(), floor, &state).ok();
        *state.slots.of_mut(slot) = SlotState::confirmed(header.short_digest());
        state.preferred = slot;
        state.in_flight = None;
        self.add_revocations(&header, &mut state)?;
        state.floor = raised_floor(floor, &header, other.as_ref(), &state, self.host.policy.floor_raise, slot);
        self.cut_off(slot.other(), &mut state);
        let floor = state.floor;
        self.commit(&state)?;
        self.counter.raise(floor).map_err(|_| InstallError::CounterNotRaised)
    }

    /// Adds the keys of the anchor that an image revokes.
    ///
    /// # Errors
    /// The journal can not hold them all.
    pub(super) fn add_revocations(&self, header: &Header, state: &mut State) -> Result<(), InstallError> {
        for id in header.manifest().revoke.iter().filter(|id| self.host.anchor.key(id).is_some()) {
            state.revoked.insert(*id).map_err(|_| Rejection::TooManyRevocations)?;
        }
        Ok(())
    }

    /// Rejects the other slot when the new floor or the new revocations refuse its image. One that can not be read or is damaged stays as it is.
    fn cut_off(&mut self, slot: Slot, state: &mut State) {
        if !matches!(state.phase(slot), Phase::Confirmed | Phase::Trial) {
            return;
        }
        let judged = self.read_header(slot, state.floor, state);
        if let Err(InstallError::Refused(Refusal::Image(rejection))) = judged
            && matches!(rejection, Rejection::BelowFloor | Rejection::TooFewSignatures | Rejection::TooFewKeysLeft)
        {
            let entry = state.slots.of_mut(slot);
            *entry = entry.rejected(Reason::Refused(rejection));
        }
    }

    /// Verifies header and stored parts of a slot.
    fn verify_slot(&mut self, slot: Slot, state: &State) -> Result<Header, InstallError> {
        let floor = self.floor(state)?;
        let header = self.read_header(slot, floor, state)?;
        let mut window = self.storage.region(Region::Slot(slot));
        verify_stored(&header, &mut window, self.crypto)?;
        Ok(header)
    }

    /// Whether a slot holds the image that the journal speaks of, whole and acceptable.
    pub(super) fn verify_confirmed(&mut self, slot: Slot, state: &State) -> Result<(), InstallError> {
        let header = self.verify_slot(slot, state)?;
        if header.short_digest() == state.slots.of(slot).digest { Ok(()) } else { Err(Rejection::NotTheArmedImage.into()) }
    }

    /// Authentic slots on trial, in the loader's order.
    fn state_after_loss(&mut self) -> State {
        let mut state = State::new(0);
        let mut best: Option<Verified> = None;
        for slot in Slot::BOTH {
            let Ok(header) = self.verify_slot(slot, &State::new(0)) else { continue };
            let image = Verified::of(&header);
            *state.slots.of_mut(slot) = SlotState::trial(image.digest, &self.host.policy);
            if best.is_none_or(|best| image.goes_before(&best)) {
                best = Some(image);
                state.preferred = slot;
            }
        }
        state
    }
}

/// The floor after a confirm of `slot`.
fn raised_floor(floor: u32, confirmed: &Header, other: Option<&Header>, state: &State, rule: FloorRaise, slot: Slot) -> u32 {
    let counter = confirmed.manifest().security_counter;
    let raised = match (rule, other) {
        (FloorRaise::OnConfirm, _) => counter,
        (FloorRaise::WhenBothSlotsMeetIt, Some(other)) if *state.slots.of(slot.other()) == SlotState::confirmed(other.short_digest()) => {
            counter.min(other.manifest().security_counter)
        }
        (FloorRaise::WhenBothSlotsMeetIt, _) => floor,
    };
    floor.max(raised)
}
