//! The boot state that a record carries.

use serde::{Deserialize, Serialize};

use super::revoked::RevokedKeys;
use crate::codec::{DecodeError, Reader, Writer};
use crate::image::HeaderDigest;
use crate::reason::Reason;
use crate::slot::{BySlot, Slot};

/// What a slot's image is to the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// Nothing that may boot.
    #[default]
    Empty,
    /// Armed: may boot a bounded number of times until it is confirmed.
    Trial,
    /// Accepted.
    Confirmed,
    /// Given up, with a reason; not tried again unless it is armed anew.
    Rejected,
}

impl Phase {
    /// The phase in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Trial => "trial",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }
}

/// What the journal knows about one slot. It binds to an image by header digest and never carries over to other bytes written into the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SlotState {
    /// The phase.
    pub phase: Phase,
    /// Failed attempts that a trial has left.
    pub attempts_left: u8,
    /// Jumps that a trial has left.
    pub boots_left: u8,
    /// First half of the header digest of the image; zero when no image is known.
    pub digest: HeaderDigest,
    /// Why an attempt was lost last, or why the slot is rejected.
    pub reason: Reason,
}

impl SlotState {
    /// A slot that no image is known of.
    #[must_use]
    pub const fn empty(reason: Reason) -> Self {
        Self { phase: Phase::Empty, attempts_left: 0, boots_left: 0, digest: [0; 16], reason }
    }

    /// An armed slot.
    #[must_use]
    pub const fn trial(digest: HeaderDigest, policy: &Policy) -> Self {
        Self { phase: Phase::Trial, attempts_left: policy.attempts, boots_left: policy.boots, digest, reason: Reason::None }
    }

    /// An accepted slot.
    #[must_use]
    pub const fn confirmed(digest: HeaderDigest) -> Self {
        Self { phase: Phase::Confirmed, attempts_left: 0, boots_left: 0, digest, reason: Reason::None }
    }

    /// The same slot given up for `reason`.
    #[must_use]
    pub const fn rejected(self, reason: Reason) -> Self {
        Self { phase: Phase::Rejected, attempts_left: 0, boots_left: 0, digest: self.digest, reason }
    }

    /// Whether counters and digest fit the phase and the policy.
    fn is_possible(&self, policy: &Policy) -> bool {
        let no_counters = self.attempts_left == 0 && self.boots_left == 0;
        let has_digest = self.digest != [0; 16];
        match self.phase {
            Phase::Empty => no_counters && !has_digest,
            Phase::Trial => has_digest && self.attempts_left <= policy.attempts && self.boots_left <= policy.boots,
            Phase::Confirmed => no_counters && has_digest,
            Phase::Rejected => no_counters,
        }
    }
}

/// A slot that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Revert {
    /// The slot.
    pub slot: Slot,
    /// Why.
    pub reason: Reason,
    /// The sequence of the record that gave it up.
    pub sequence: u64,
}

/// The boot state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The slot to boot when it can be.
    pub preferred: Slot,
    /// What is known about each slot.
    pub slots: BySlot<SlotState>,
    /// The trial that was jumped to and has not been accounted for.
    pub in_flight: Option<Slot>,
    /// The lowest security counter that may run.
    pub floor: u32,
    /// Revoked keys of the trust anchor.
    pub revoked: RevokedKeys,
    /// The last slot that was given up.
    pub last_revert: Option<Revert>,
}

impl State {
    /// The state of a host that no image is known of.
    #[must_use]
    #[inline(never)]
    pub const fn new(floor: u32) -> Self {
        const EMPTY: SlotState = SlotState::empty(Reason::None);
        Self { preferred: Slot::A, slots: BySlot { a: EMPTY, b: EMPTY }, in_flight: None, floor, revoked: RevokedKeys::NONE, last_revert: None }
    }

    /// The phase of a slot.
    #[must_use]
    pub const fn phase(&self, slot: Slot) -> Phase {
        self.slots.of(slot).phase
    }

    /// How much there is against a slot as a last resort: most against one that hung or crashed, since no deadline ends it there, then one that was
    /// never on trial, then the one that was given up last.
    pub(crate) fn doubts(&self, slot: Slot) -> u8 {
        let entry = self.slots.of(slot);
        let untried = u8::from(entry.phase == Phase::Empty);
        let hung = u8::from(matches!(entry.reason, Reason::Watchdog | Reason::Fault));
        let last = u8::from(self.last_revert.is_some_and(|revert| revert.slot == slot));
        hung << 2 | untried << 1 | last
    }

    /// Whether `slot` is the one confirmed image that there is: never overwritten, never rejected.
    #[must_use]
    pub fn is_only_confirmed(&self, slot: Slot) -> bool {
        self.phase(slot) == Phase::Confirmed && self.phase(slot.other()) != Phase::Confirmed
    }

    /// Gives a slot up: rejected with its reason, no longer in flight, and the other slot preferred when that one may still boot.
    pub fn reject(&mut self, slot: Slot, reason: Reason, sequence: u64) {
        let entry = self.slots.of_mut(slot);
        *entry = entry.rejected(reason);
        if self.in_flight == Some(slot) {
            self.in_flight = None;
        }
        if matches!(self.phase(slot.other()), Phase::Confirmed | Phase::Trial) {
            self.preferred = slot.other();
        }
        self.last_revert = Some(Revert { slot, reason, sequence });
    }

    /// Whether the writers of this project can have written the state. An impossible one counts as torn.
    #[must_use]
    pub fn is_possible(&self, policy: &Policy) -> bool {
        let preferred = self.phase(self.preferred);
        let other = self.phase(self.preferred.other());
        let no_stranded_preference = !(preferred == Phase::Empty && other == Phase::Confirmed);
        let in_flight_is_a_trial = self.in_flight.is_none_or(|slot| self.phase(slot) == Phase::Trial);
        self.slots.a.is_possible(policy) && self.slots.b.is_possible(policy) && no_stranded_preference && in_flight_is_a_trial
    }

    /// Whether the floor is no lower than that of `other` and no key is missing that `other` has revoked: the part of a state that no signature
    /// vouches for. Writers append to the revoked keys and never move one.
    pub(super) fn is_as_strict_as(&self, other: &Self) -> bool {
        self.floor >= other.floor && self.revoked.starts_with(&other.revoked)
    }

    /// Writes the state's encoding.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.byte(self.preferred as u8);
        self.slots.a.write(writer);
        self.slots.b.write(writer);
        writer.option(self.in_flight, |slot, writer| writer.byte(slot as u8));
        writer.varint(u64::from(self.floor));
        self.revoked.write(writer);
        writer.option(self.last_revert, Revert::write);
    }

    /// Reads the state at the front of `bytes` into a new one; gives what follows it.
    pub(super) fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let mut reader = Reader::new(bytes);
        self.preferred = Slot::read(&mut reader);
        self.slots.a.read(&mut reader);
        self.slots.b.read(&mut reader);
        self.in_flight = reader.option(Slot::read);
        self.floor = reader.u32();
        self.revoked.read(&mut reader);
        self.last_revert = reader.option(Revert::read);
        reader.finish()
    }

    /// The same state with the slots' names swapped.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self {
            preferred: self.preferred.other(),
            slots: self.slots.swapped(),
            in_flight: self.in_flight.map(Slot::other),
            floor: self.floor,
            revoked: self.revoked,
            last_revert: self.last_revert.map(|revert| Revert { slot: revert.slot.other(), ..revert }),
        }
    }
}

impl SlotState {
    fn read(&mut self, reader: &mut Reader<'_>) {
        self.phase = Phase::read(reader);
        self.attempts_left = reader.byte();
        self.boots_left = reader.byte();
        reader.fill(&mut self.digest);
        self.reason = Reason::read(reader);
    }

    #[inline(never)]
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&[self.phase as u8, self.attempts_left, self.boots_left]);
        writer.bytes(&self.digest);
        writer.byte(self.reason.code());
    }
}

impl Phase {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(4) {
            0 => Self::Empty,
            1 => Self::Trial,
            2 => Self::Confirmed,
            _ => Self::Rejected,
        }
    }
}

impl Revert {
    pub(crate) fn write(self, writer: &mut Writer<'_>) {
        writer.bytes(&[self.slot as u8, self.reason.code()]);
        writer.varint(self.sequence);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        Self { slot: Slot::read(reader), reason: Reason::read(reader), sequence: reader.number() }
    }
}

/// When a confirm raises the security floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FloorRaise {
    /// To the counter of the image that is confirmed. There is no fallback to an image below it from then on.
    #[default]
    OnConfirm,
    /// To the lower counter of the two slots, once both hold confirmed images.
    WhenBothSlotsMeetIt,
}

/// What loader and writers must agree on; it stands in the layout file, whose digest the hand-off carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Failed attempts that a trial gets.
    pub attempts: u8,
    /// Jumps that a trial gets.
    pub boots: u8,
    /// When a confirm raises the floor.
    pub floor_raise: FloorRaise,
}

impl Policy {
    /// Three attempts, ten jumps, floor raised on confirm.
    pub const DEFAULT: Self = Self { attempts: 3, boots: 10, floor_raise: FloorRaise::OnConfirm };
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_hung_is_doubted_most_then_one_that_was_never_tried_then_the_one_given_up_last() {
        let hung = [Reason::Watchdog, Reason::Fault];
        for (phase, untried) in [(Phase::Empty, 2), (Phase::Trial, 0), (Phase::Confirmed, 0), (Phase::Rejected, 0)] {
            for reason in (0..=u8::MAX).map(Reason::from_code) {
                for (last, given_up_last) in [(None, 0), (Some(Slot::A), 0), (Some(Slot::B), 1)] {
                    let mut state = State::new(0);
                    (state.slots.b.phase, state.slots.b.reason) = (phase, reason);
                    state.last_revert = last.map(|slot| Revert { slot, reason, sequence: 1 });
                    let expected = untried + if hung.contains(&reason) { 4 } else { 0 } + given_up_last;
                    assert_eq!(state.doubts(Slot::B), expected, "{phase:?} {reason:?} {last:?}");
                }
            }
        }
    }

    #[test]
    fn a_state_is_as_strict_as_one_with_no_higher_floor_and_no_other_revoked_key() {
        let state = State::new(3);
        let mut revokes = state;
        assert_eq!(revokes.revoked.insert([1; 8]), Ok(()));
        let with_floor = |floor| State { floor, ..state };
        assert!(state.is_as_strict_as(&State { preferred: Slot::B, ..state }));
        assert!(revokes.is_as_strict_as(&revokes) && revokes.is_as_strict_as(&state) && !state.is_as_strict_as(&revokes));
        assert!(state.is_as_strict_as(&with_floor(2)) && !state.is_as_strict_as(&with_floor(4)));
        let mut revokes_another = state;
        assert_eq!(revokes_another.revoked.insert([2; 8]), Ok(()));
        assert!(!revokes.is_as_strict_as(&revokes_another), "another key");
        assert!(!with_floor(4).is_as_strict_as(&revokes), "a higher floor makes up for no key");
    }
}
