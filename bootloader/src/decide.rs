//! The slot decision: one pure, total function, called step by step.
//!
//! [`decide`] looks at what is known and names the next step. The executor ([`crate::boot`]) does the step, adds what it learned, and asks again.
//! Order of what boots: an armed trial that is preferred, confirmed slots, other bounded trials, golden, recovery, authentic slots as a last resort.

use crate::image::manifest::Version;
use crate::image::{Header, HeaderDigest};
use crate::journal::{Phase, Policy, SlotState, State};
use crate::reason::{Reason, ResetCause};
use crate::rejection::Rejection;
use crate::slot::{BySlot, Slot};

/// What this boot knows beside the boot state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Why the machine started.
    pub reset_cause: ResetCause,
    /// What this boot has learned about each slot.
    pub slots: BySlot<Knowledge>,
    /// The golden image.
    pub golden: Fallback,
    /// The board's recovery.
    pub recovery: Fallback,
}

/// What is known of the boot state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootState<'a> {
    /// The journal holds no valid record.
    Lost,
    /// The newest record's state; the next commit will have this sequence.
    Known {
        /// The state.
        state: &'a State,
        /// The sequence of the next commit.
        next_sequence: u64,
    },
    /// A commit failed in this boot: nothing more is written and no trial starts.
    ReadOnly(Option<&'a State>),
}

/// What this boot knows about a slot's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Knowledge {
    /// The slot was not looked at.
    NotRead,
    /// Header and parts verified in this boot.
    Verified(Verified),
    /// Verification refused it.
    Refused(Rejection),
    /// It could not be read. Says nothing about the image.
    ReadError,
}

impl Knowledge {
    /// The digest of a verified image.
    #[must_use]
    pub fn digest(&self) -> Option<HeaderDigest> {
        match self {
            Self::Verified(image) => Some(image.digest),
            _ => None,
        }
    }
}

/// What a verified image says that a decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verified {
    /// First half of its header digest.
    pub digest: HeaderDigest,
    /// Its security counter.
    pub security_counter: u32,
    /// Its version.
    pub version: Version,
}

impl Verified {
    /// What a verified header says, for an image whose parts hold too.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        let manifest = header.manifest();
        Self { digest: header.short_digest(), security_counter: manifest.security_counter, version: manifest.version }
    }

    /// Whether this image goes before another one where no journal tells: the higher security counter, then the lower version.
    pub(crate) fn goes_before(&self, other: &Self) -> bool {
        (self.security_counter, other.version) > (other.security_counter, self.version)
    }
}

/// Something to fall back on when neither slot boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fallback {
    /// The board has none.
    Absent,
    /// The board has one that was not tried in this boot.
    Untried,
    /// It was tried in this boot and did not work.
    Failed,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Commit this state and ask again.
    Commit(State),
    /// Verify the slot's image and ask again.
    Examine(Slot),
    /// Jump to the image that was verified in this slot.
    Boot(Slot, Why),
    /// Verify and jump to the golden image.
    Golden,
    /// Enter the board's recovery, for this reason.
    Recover(Reason),
    /// Stop: nothing verifies.
    Halt(Reason),
}

/// Why an image was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Why {
    /// It is the preferred, confirmed one.
    Confirmed,
    /// It is confirmed, and the preferred one can not boot.
    Fallback,
    /// It is on trial.
    Trial,
    /// Nothing else is left and it is authentic.
    LastResort,
    /// Neither slot boots; this is the golden image.
    Golden,
    /// Nothing boots.
    Nothing,
}

impl Why {
    /// The answer in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Fallback => "fallback",
            Self::Trial => "trial",
            Self::LastResort => "last-resort",
            Self::Golden => "golden",
            Self::Nothing => "nothing",
        }
    }
}

/// Names the next step. Pure and total.
#[must_use]
pub fn decide(boot_state: BootState<'_>, situation: &Situation, policy: &Policy) -> Step {
    match boot_state {
        BootState::Lost => after_loss(situation, policy),
        BootState::Known { state, next_sequence } => with_state(situation, state, next_sequence),
        BootState::ReadOnly(state) => state.and_then(|state| confirmed(situation, state)).unwrap_or_else(|| last_resort(situation, state)),
    }
}

/// The ordinary case: the journal is there and can be written.
fn with_state(situation: &Situation, state: &State, sequence: u64) -> Step {
    if let Some(step) = account(situation, state, sequence) {
        return step;
    }
    if let Some(step) = trial(situation, state, state.preferred, sequence) {
        return step;
    }
    if let Some(step) = confirmed(situation, state) {
        return step;
    }
    if let Some(step) = trial(situation, state, state.preferred.other(), sequence) {
        return step;
    }
    last_resort(situation, Some(state))
}

/// Settles the trial that an earlier boot jumped to: unless the power was cut, it loses an attempt. `None` when there is none to settle.
///
/// A trial whose image this boot has verified is in flight because this boot put it there.
fn account(situation: &Situation, state: &State, sequence: u64) -> Option<Step> {
    let slot = state.in_flight?;
    if matches!(situation.slots.of(slot), Knowledge::Verified(_)) {
        return None;
    }
    let mut next = *state;
    next.in_flight = None;
    let entry = next.slots.of_mut(slot);
    if let Some(reason) = Reason::of_reset(situation.reset_cause) {
        entry.attempts_left = entry.attempts_left.saturating_sub(1);
        entry.reason = reason;
    }
    let exhausted = exhaustion(entry);
    if let Some(reason) = exhausted {
        next.reject(slot, reason, sequence);
    }
    Some(Step::Commit(next))
}

/// Why a trial may not start again, if it may not.
const fn exhaustion(entry: &SlotState) -> Option<Reason> {
    if entry.attempts_left == 0 {
        Some(entry.reason)
    } else if entry.boots_left == 0 {
        Some(Reason::BootsUsedUp)
    } else {
        None
    }
}

/// The steps of a bounded trial; `None` when the slot is not on trial or can not be read.
fn trial(situation: &Situation, state: &State, slot: Slot, sequence: u64) -> Option<Step> {
    let entry = state.slots.of(slot);
    if entry.phase != Phase::Trial {
        return None;
    }
    let started = state.in_flight == Some(slot);
    let reject = |reason| {
        let mut next = *state;
        next.reject(slot, reason, sequence);
        Some(Step::Commit(next))
    };
    match situation.slots.of(slot) {
        Knowledge::Verified(image) if image.digest != entry.digest => reject(Reason::Refused(Rejection::NotTheArmedImage)),
        Knowledge::Verified(_) if started => Some(Step::Boot(slot, Why::Trial)),
        Knowledge::ReadError => None,
        Knowledge::Refused(rejection) => reject(Reason::Refused(*rejection)),
        Knowledge::NotRead | Knowledge::Verified(_) => match exhaustion(entry) {
            Some(reason) => reject(reason),
            None if matches!(situation.slots.of(slot), Knowledge::NotRead) => Some(Step::Examine(slot)),
            None => Some(Step::Commit(intent(state, slot))),
        },
    }
}

/// The state that is committed before a trial jump.
fn intent(state: &State, slot: Slot) -> State {
    let mut next = *state;
    next.in_flight = Some(slot);
    let entry = next.slots.of_mut(slot);
    entry.boots_left = entry.boots_left.saturating_sub(1);
    next
}

/// The steps towards a confirmed slot, the preferred one first; `None` when none boots.
fn confirmed(situation: &Situation, state: &State) -> Option<Step> {
    [(state.preferred, Why::Confirmed), (state.preferred.other(), Why::Fallback)].into_iter().find_map(|(slot, why)| {
        let entry = state.slots.of(slot);
        if entry.phase != Phase::Confirmed {
            return None;
        }
        match situation.slots.of(slot) {
            Knowledge::NotRead => Some(Step::Examine(slot)),
            Knowledge::Verified(image) if image.digest == entry.digest => Some(Step::Boot(slot, why)),
            _ => None,
        }
    })
}

/// A lost journal is never guessed back: authentic slots become trials.
fn after_loss(situation: &Situation, policy: &Policy) -> Step {
    if let Some(slot) = first_unread(situation) {
        return Step::Examine(slot);
    }
    let Some(first) = best_verified(situation) else {
        return last_resort(situation, None);
    };
    let mut state = State::new(0);
    state.preferred = first;
    for slot in Slot::BOTH {
        *state.slots.of_mut(slot) = match situation.slots.of(slot) {
            Knowledge::Verified(image) => SlotState::trial(image.digest, policy),
            Knowledge::Refused(rejection) => SlotState::empty(Reason::None).rejected(Reason::Refused(*rejection)),
            Knowledge::ReadError | Knowledge::NotRead => SlotState::empty(Reason::ReadError),
        };
    }
    Step::Commit(state)
}

/// Golden, recovery, then whatever is authentic; writes nothing.
fn last_resort(situation: &Situation, state: Option<&State>) -> Step {
    if situation.golden == Fallback::Untried {
        return Step::Golden;
    }
    if situation.recovery == Fallback::Untried {
        return Step::Recover(halt_reason(situation, state));
    }
    if let Some(slot) = first_unread(situation) {
        return Step::Examine(slot);
    }
    match best_verified(situation) {
        Some(slot) => Step::Boot(less_doubtful(slot, situation, state), Why::LastResort),
        None => Step::Halt(halt_reason(situation, state)),
    }
}

/// `slot`, unless the other one verified too and the journal has less against it. Otherwise an update that failed its trial would win the last resort
/// for good, over the image that installed it.
fn less_doubtful(slot: Slot, situation: &Situation, state: Option<&State>) -> Slot {
    match state {
        Some(state) if situation.slots.of(slot.other()).digest().is_some() && state.doubts(slot.other()) < state.doubts(slot) => slot.other(),
        _ => slot,
    }
}

fn first_unread(situation: &Situation) -> Option<Slot> {
    Slot::BOTH.into_iter().find(|slot| matches!(situation.slots.of(*slot), Knowledge::NotRead))
}

/// The verified slot whose image goes before the other's; A when neither does.
fn best_verified(situation: &Situation) -> Option<Slot> {
    match (situation.slots.a, situation.slots.b) {
        (Knowledge::Verified(a), Knowledge::Verified(b)) => Some(if b.goes_before(&a) { Slot::B } else { Slot::A }),
        (Knowledge::Verified(_), _) => Some(Slot::A),
        (_, Knowledge::Verified(_)) => Some(Slot::B),
        _ => None,
    }
}

/// Why nothing boots: what could not be read, since it may be read after another reset; else the refusal of the preferred slot, without a preference
/// the one with the higher code.
fn halt_reason(situation: &Situation, state: Option<&State>) -> Reason {
    let refusal = |slot| match situation.slots.of(slot) {
        Knowledge::Refused(rejection) => Some(*rejection),
        _ => None,
    };
    let (Some(a), Some(b)) = (refusal(Slot::A), refusal(Slot::B)) else {
        return Reason::ReadError;
    };
    Reason::Refused(match state.map(|state| state.preferred) {
        Some(Slot::A) => a,
        Some(Slot::B) => b,
        None => a.max(b),
    })
}
