//! What the design says the decision comes to, in one pass over the truth instead of step by step over knowledge.

use twinslot_bootloader::decide::{Verified, Why};
use twinslot_bootloader::journal::{Phase, Policy, Revert, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::{BySlot, Slot};

/// What is really in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The image that the journal speaks of.
    Right(Verified),
    /// Another authentic image.
    Other(Verified),
    /// Something that verification refuses.
    Refused,
    /// Something that can not be read.
    Unreadable,
}

impl Truth {
    /// The image that verification accepts.
    #[must_use]
    pub const fn authentic(&self) -> Option<Verified> {
        match self {
            Self::Right(image) | Self::Other(image) => Some(*image),
            Self::Refused | Self::Unreadable => None,
        }
    }
}

/// A boot, before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What the journal says; `None`: it is lost.
    pub state: Option<State>,
    /// Why the machine starts.
    pub cause: ResetCause,
    /// What is in the slots.
    pub truths: BySlot<Truth>,
    /// Whether the golden image boots, where there is one.
    pub golden: Option<bool>,
    /// Whether there is a recovery.
    pub recovery: bool,
    /// Which commit of this boot fails, counted from 1.
    pub failing_commit: Option<u8>,
    /// How often trials may fail and start.
    pub policy: Policy,
    /// The sequence of the boot's first commit.
    pub sequence: u64,
}

/// How a boot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In this slot's image.
    Boot(Slot, Why),
    /// In the golden image.
    Golden,
    /// In the board's recovery.
    Recover,
    /// Nowhere.
    Halt(Reason),
}

impl End {
    /// The same with the slots' names swapped.
    #[must_use]
    pub const fn swapped(self) -> Self {
        match self {
            Self::Boot(slot, why) => Self::Boot(slot.other(), why),
            other => other,
        }
    }
}

/// The world as the model changes it.
#[derive(Debug)]
pub struct World<'a> {
    case: &'a Case,
    /// What the journal says.
    pub state: Option<State>,
    /// Every state that was to be committed, the failing one included, in order.
    pub tried: Vec<State>,
    writable: bool,
}

/// The end that the design asks for, and the world as it is then.
#[must_use]
pub fn expected(case: &Case) -> (End, World<'_>) {
    let mut world = World { case, state: case.state, tried: Vec::new(), writable: true };
    if world.state.is_none() {
        world.start_over();
    } else {
        world.settle_flight();
    }
    let end = world.ordinary().unwrap_or_else(|| world.last_resort());
    (end, world)
}

impl World<'_> {
    fn commit(&mut self, state: State) -> bool {
        self.tried.push(state);
        if self.case.failing_commit.map(usize::from) == Some(self.tried.len()) {
            self.writable = false;
        } else {
            self.state = Some(state);
        }
        self.writable
    }

    fn next_sequence(&self) -> u64 {
        self.case.sequence + self.tried.len() as u64
    }

    /// A lost journal: authentic images become trials, nothing becomes confirmed, and nothing is committed for nothing.
    fn start_over(&mut self) {
        let Some(best) = self.best() else { return };
        let entry = |truth: &Truth| match truth {
            Truth::Right(image) | Truth::Other(image) => SlotState::trial(image.digest, &self.case.policy),
            Truth::Refused => SlotState::empty(Reason::None).rejected(Reason::Refused(Rejection::DigestMismatch)),
            Truth::Unreadable => SlotState::empty(Reason::ReadError),
        };
        let slots = BySlot { a: entry(&self.case.truths.a), b: entry(&self.case.truths.b) };
        self.commit(State { preferred: best, slots, ..State::new(0) });
    }

    /// An unconfirmed trial that was jumped to pays with an attempt, unless the power was cut.
    fn settle_flight(&mut self) {
        let Some(mut state) = self.state else { return };
        let Some(slot) = state.in_flight.take() else { return };
        let reason = match self.case.cause {
            ResetCause::PowerOn => None,
            ResetCause::Watchdog => Some(Reason::Watchdog),
            ResetCause::Software => Some(Reason::SoftwareReset),
            ResetCause::Fault => Some(Reason::Fault),
            ResetCause::Unknown => Some(Reason::UnknownReset),
        };
        let entry = state.slots.of_mut(slot);
        if let Some(reason) = reason {
            entry.attempts_left = entry.attempts_left.saturating_sub(1);
            entry.reason = reason;
        }
        if let Some(reason) = exhausted(entry) {
            give_up(&mut state, slot, reason, self.next_sequence());
        }
        self.commit(state);
    }

    /// An armed trial that is preferred, the confirmed slots, another trial: the first that works.
    fn ordinary(&mut self) -> Option<End> {
        for _ in 0..4 {
            let state = self.state?;
            let order = [(state.preferred, true), (state.preferred, false), (state.preferred.other(), false), (state.preferred.other(), true)];
            let mut changed = false;
            for (slot, as_trial) in order {
                let is_trial = state.phase(slot) == Phase::Trial;
                if as_trial && is_trial && self.writable {
                    if let Some(end) = self.try_trial(slot) {
                        return Some(end);
                    }
                    changed = self.state != Some(state) || !self.writable;
                }
                if changed {
                    break;
                }
                if !as_trial && state.phase(slot) == Phase::Confirmed && matches!(self.case.truths.of(slot), Truth::Right(_)) {
                    let why = if slot == state.preferred { Why::Confirmed } else { Why::Fallback };
                    return Some(End::Boot(slot, why));
                }
            }
            if !changed {
                return None;
            }
        }
        None
    }

    /// Boots a trial after committing the intent, or gives it up, or leaves it alone when it can not be read.
    fn try_trial(&mut self, slot: Slot) -> Option<End> {
        let mut state = self.state?;
        let entry = *state.slots.of(slot);
        let verdict = match self.case.truths.of(slot) {
            _ if exhausted(&entry).is_some() => exhausted(&entry),
            Truth::Unreadable => return None,
            Truth::Refused => Some(Reason::Refused(Rejection::DigestMismatch)),
            Truth::Right(image) | Truth::Other(image) if image.digest != entry.digest => Some(Reason::Refused(Rejection::NotTheArmedImage)),
            Truth::Right(_) | Truth::Other(_) => None,
        };
        if let Some(reason) = verdict {
            give_up(&mut state, slot, reason, self.next_sequence());
            self.commit(state);
            return None;
        }
        state.in_flight = Some(slot);
        state.slots.of_mut(slot).boots_left -= 1;
        self.commit(state).then_some(End::Boot(slot, Why::Trial))
    }

    fn last_resort(&self) -> End {
        if self.case.golden == Some(true) {
            return End::Golden;
        }
        if self.case.recovery {
            return End::Recover;
        }
        match self.least_doubtful() {
            Some(slot) => End::Boot(slot, Why::LastResort),
            None if Slot::BOTH.iter().any(|slot| *self.case.truths.of(*slot) == Truth::Unreadable) => End::Halt(Reason::ReadError),
            None => End::Halt(Reason::Refused(Rejection::DigestMismatch)),
        }
    }

    /// An image that the journal has less against goes first; between equals the order after a loss.
    fn least_doubtful(&self) -> Option<Slot> {
        let best = self.best()?;
        let other_is_authentic = self.case.truths.of(best.other()).authentic().is_some();
        let less = self.state.is_some_and(|state| doubts(&state, best.other()) < doubts(&state, best));
        Some(if other_is_authentic && less { best.other() } else { best })
    }

    /// Higher security counter first, then lower version, then A.
    fn best(&self) -> Option<Slot> {
        let key = |slot: Slot, image: Verified| (core::cmp::Reverse(image.security_counter), image.version, slot);
        Slot::BOTH
            .into_iter()
            .filter_map(|slot| Some((slot, self.case.truths.of(slot).authentic()?)))
            .min_by_key(|(slot, image)| key(*slot, *image))
            .map(|(slot, _)| slot)
    }
}

/// What speaks against a slot as a last resort, the gravest first: it hung or crashed, it was never on trial, it was given up last.
#[must_use]
pub fn doubts(state: &State, slot: Slot) -> [bool; 3] {
    let entry = state.slots.of(slot);
    let hung = [Reason::Watchdog, Reason::Fault].contains(&entry.reason);
    [hung, entry.phase == Phase::Empty, state.last_revert.is_some_and(|revert| revert.slot == slot)]
}

fn exhausted(entry: &SlotState) -> Option<Reason> {
    match (entry.attempts_left, entry.boots_left) {
        (0, _) => Some(entry.reason),
        (_, 0) => Some(Reason::BootsUsedUp),
        _ => None,
    }
}

/// Gives a slot up: rejected with its reason, and the other one preferred when that one may still boot.
pub fn give_up(state: &mut State, slot: Slot, reason: Reason, sequence: u64) {
    let digest = state.slots.of(slot).digest;
    *state.slots.of_mut(slot) = SlotState { phase: Phase::Rejected, attempts_left: 0, boots_left: 0, digest, reason };
    state.in_flight = state.in_flight.filter(|flying| *flying != slot);
    if matches!(state.phase(slot.other()), Phase::Confirmed | Phase::Trial) {
        state.preferred = slot.other();
    }
    state.last_revert = Some(Revert { slot, reason, sequence });
}
