//! What a writer may be asked to do, and what the design says must come of it.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, Handoff, Verdict};
use twinslot_bootloader::image::short_digest;
use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::{BySlot, Slot};

use crate::cast::Role;
use crate::reader::POLICY;
use crate::subject::{no_handoff, running};
use twinslot_tests::model::{Truth, give_up};

/// A slot, as the running one sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// The running one.
    Running,
    /// The other one.
    Other,
}

impl Which {
    /// The slot, when `running` runs.
    #[must_use]
    pub const fn slot(self, running: Slot) -> Slot {
        match self {
            Self::Running => running,
            Self::Other => running.other(),
        }
    }
}

/// What a writer is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Install an image into the inactive slot.
    Install(Role),
    /// Install an image into a slot by its name.
    InstallInto(Which, Role),
    /// Install an image into a slot by a tool, while nothing runs.
    Offline(Slot, Role),
    /// Accept the running trial.
    Confirm,
    /// Accept it with a hand-off that says that another slot runs.
    ConfirmAs(Which),
    /// Give the running trial up.
    Revert,
    /// Declare the running confirmed image broken.
    Condemn,
    /// Go back to the other confirmed image.
    Rollback,
    /// Arm what lies in a slot.
    Arm(Which),
    /// Give a slot up on an operator's word.
    Reject(Which),
    /// Install by a writer that was given another layout: an agent of another release.
    OtherLayout(Role),
    /// A writer opens its session, another one does something, and then the first one does something.
    Race {
        /// What is done in between.
        first: Rival,
        /// What is done by the writer that knows nothing of it.
        late: Rival,
    },
}

/// What two writers race with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rival {
    /// Install an image.
    Install(Role),
    /// Accept the running trial.
    Confirm,
    /// Give it up.
    Revert,
    /// Give the other slot up.
    RejectOther,
}

impl Rival {
    /// The same as an act.
    #[must_use]
    pub const fn act(self) -> Act {
        match self {
            Self::Install(role) => Act::Install(role),
            Self::Confirm => Act::Confirm,
            Self::Revert => Act::Revert,
            Self::RejectOther => Act::Reject(Which::Other),
        }
    }
}

/// What is known before a writer works.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// What the journal says.
    pub state: Option<State>,
    /// What is in the slots.
    pub truths: BySlot<Truth>,
    /// What the last boot told.
    pub handoff: &'a Handoff,
}

/// What must come of an act.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is refused, and nothing is written.
    Refused,
    /// These states are committed, in this order.
    States(Vec<State>),
    /// These states are committed by the first of two writers, and the other one is told that it came late.
    Late(Vec<State>),
}

impl Expected {
    /// The states that may be found when the power is cut, beside the one before.
    #[must_use]
    pub fn states(&self) -> &[State] {
        match self {
            Self::Refused => &[],
            Self::States(states) | Self::Late(states) => states,
        }
    }
}

/// What the design says must come of an act.
#[must_use]
pub fn expected(act: Act, before: &Before<'_>) -> Expected {
    let refuse_or = |state: Option<State>| state.map_or(Expected::Refused, |state| Expected::States(vec![state]));
    match act {
        Act::Install(role) => before.install(before.inactive(), role),
        Act::InstallInto(which, role) => before.install(which.slot(running(before.handoff)), role),
        Act::Offline(slot, role) => Before { handoff: &no_handoff(), ..*before }.install(slot, role),
        Act::Confirm => refuse_or(before.confirm()),
        Act::ConfirmAs(Which::Running) => refuse_or(before.confirm()),
        Act::ConfirmAs(Which::Other) | Act::OtherLayout(_) => Expected::Refused,
        Act::Revert => refuse_or(before.revert()),
        Act::Condemn => refuse_or(before.condemn()),
        Act::Rollback => refuse_or(before.rollback()),
        Act::Arm(which) => refuse_or(before.arm(which.slot(running(before.handoff)))),
        Act::Reject(which) => refuse_or(before.reject(which.slot(running(before.handoff)))),
        Act::Race { first, .. } => match expected(first.act(), before) {
            Expected::States(states) => Expected::Late(states),
            other => other,
        },
    }
}

impl Before<'_> {
    fn runs(&self, slot: Slot) -> bool {
        self.handoff.booted == Booted::Slot(slot)
    }

    fn base(&self) -> State {
        self.state.unwrap_or_else(|| State::new(0))
    }

    fn inactive(&self) -> Slot {
        match self.handoff.booted {
            Booted::Slot(slot) => slot.other(),
            Booted::Golden | Booted::Nothing => self.base().preferred.other(),
        }
    }

    /// No writer for the running slot, none while a trial runs, none for the only confirmed slot unless no boot can use it any more.
    fn may_write(&self, slot: Slot) -> bool {
        let state = self.base();
        let trial_runs = matches!(self.handoff.booted, Booted::Slot(running) if state.phase(running) == Phase::Trial);
        let only_confirmed = state.phase(slot) == Phase::Confirmed && state.phase(slot.other()) != Phase::Confirmed;
        let refused = matches!(self.handoff.verdicts.of(slot), Verdict::Refused(_));
        let beyond_use = self.handoff.why == Why::LastResort && refused && !matches!(self.truths.of(slot), Truth::Right(_) | Truth::Unreadable);
        !self.runs(slot) && !trial_runs && (!only_confirmed || beyond_use)
    }

    fn install(&self, slot: Slot, role: Role) -> Expected {
        let mut state = self.base();
        if !self.may_write(slot) || !role.is_authentic(state.floor, &state.revoked) {
            return Expected::Refused;
        }
        let mut states = Vec::new();
        if self.state.is_none() || state.phase(slot) != Phase::Empty {
            *state.slots.of_mut(slot) = SlotState::empty(Reason::None);
            state.in_flight = state.in_flight.filter(|flying| *flying != slot);
            state.preferred = if state.preferred == slot { slot.other() } else { state.preferred };
            states.push(state);
        }
        *state.slots.of_mut(slot) = SlotState::trial(role.digest(), &POLICY);
        state.preferred = slot;
        states.push(state);
        Expected::States(states)
    }

    /// The running slot, when it is the trial that the loader jumped to.
    fn running_trial(&self) -> Option<(State, Slot)> {
        let state = self.state?;
        let Booted::Slot(slot) = self.handoff.booted else { return None };
        let entry = state.slots.of(slot);
        let runs_it = self.handoff.why == Why::Trial && entry.digest == short_digest(&self.handoff.digest);
        (runs_it && entry.phase == Phase::Trial && state.in_flight == Some(slot)).then_some((state, slot))
    }

    fn confirm(&self) -> Option<State> {
        let (mut state, slot) = self.running_trial()?;
        let Truth::Right(image) = self.truths.of(slot) else { return None };
        let role = Role::ALL.into_iter().find(|role| role.digest() == image.digest)?;
        *state.slots.of_mut(slot) = SlotState::confirmed(image.digest);
        state.preferred = slot;
        state.in_flight = None;
        state.floor = state.floor.max(role.counter());
        for key in role.revokes() {
            state.revoked.insert(*key).ok()?;
        }
        self.cut_off(slot.other(), &mut state);
        Some(state)
    }

    /// A slot that the new floor or the new revocations cut off is rejected in the same record.
    fn cut_off(&self, slot: Slot, state: &mut State) {
        let Some(role) = self.truths.of(slot).authentic().and_then(|image| Role::ALL.into_iter().find(|role| role.digest() == image.digest)) else {
            return;
        };
        if !matches!(state.phase(slot), Phase::Confirmed | Phase::Trial) || role.is_authentic(state.floor, &state.revoked) {
            return;
        }
        let reason = if role.is_authentic(0, &state.revoked) { Rejection::BelowFloor } else { Rejection::TooFewSignatures };
        let digest = state.slots.of(slot).digest;
        *state.slots.of_mut(slot) = SlotState { phase: Phase::Rejected, attempts_left: 0, boots_left: 0, digest, reason: Reason::Refused(reason) };
    }

    fn revert(&self) -> Option<State> {
        let (mut state, slot) = self.running_trial()?;
        let has_other = matches!(state.phase(slot.other()), Phase::Confirmed | Phase::Trial);
        give_up(&mut state, slot, Reason::HealthCheck, 0);
        has_other.then_some(state)
    }

    fn condemn(&self) -> Option<State> {
        let mut state = self.state?;
        let Booted::Slot(slot) = self.handoff.booted else { return None };
        let runs_it = state.slots.of(slot).digest == short_digest(&self.handoff.digest);
        let both = state.phase(slot) == Phase::Confirmed && state.phase(slot.other()) == Phase::Confirmed;
        give_up(&mut state, slot, Reason::Condemned, 0);
        (runs_it && both && matches!(self.truths.of(slot.other()), Truth::Right(_))).then_some(state)
    }

    fn rollback(&self) -> Option<State> {
        let mut state = self.state?;
        let current = match self.handoff.booted {
            Booted::Slot(slot) => slot,
            Booted::Golden | Booted::Nothing => state.preferred,
        };
        let target = current.other();
        let is_good = state.phase(target) == Phase::Confirmed && matches!(self.truths.of(target), Truth::Right(_));
        let is_allowed = is_good && state.phase(current) != Phase::Trial;
        state.preferred = target;
        is_allowed.then_some(state)
    }

    fn arm(&self, slot: Slot) -> Option<State> {
        let mut state = self.base();
        let image = self.truths.of(slot).authentic()?;
        let is_allowed = self.may_write(slot);
        *state.slots.of_mut(slot) = SlotState::trial(image.digest, &POLICY);
        state.preferred = slot;
        state.in_flight = state.in_flight.filter(|flying| *flying != slot);
        is_allowed.then_some(state)
    }

    fn reject(&self, slot: Slot) -> Option<State> {
        let mut state = self.state?;
        let only_confirmed = state.phase(slot) == Phase::Confirmed && state.phase(slot.other()) != Phase::Confirmed;
        give_up(&mut state, slot, Reason::Operator, 0);
        (!self.runs(slot) && !only_confirmed).then_some(state)
    }
}
