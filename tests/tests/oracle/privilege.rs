//! What one boot state allows that another does not. Source: DESIGN, section 3, read as an order.
//!
//! A state is more privileged than another when it lets a host run or keep something that the other does not:
//!
//! * a slot in a higher phase, of rejected < empty < trial < confirmed (an empty slot may be a last resort, a rejected one has lost even that turn);
//! * a slot of the same phase that is bound to another image;
//! * a trial with more attempts or more boots left, or one that was jumped to and no longer counts as in flight, which spares it the account;
//! * a lower floor;
//! * a revoked key that is trusted again;
//! * the preference for the other slot, which goes first.
//!
//! The last revert is not part of it: it is told, and weighs only between two images that are both a last resort.

use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::slot::Slot;

/// The first privilege that `after` has over `before`.
pub(crate) fn gained(after: &State, before: &State) -> Option<&'static str> {
    let by_slot = Slot::BOTH.into_iter().find_map(|slot| gained_by_slot(after.slots.of(slot), before.slots.of(slot)));
    let rest = [
        ("a lower floor", after.floor < before.floor),
        ("a revoked key trusted again", before.revoked.iter().any(|id| !after.revoked.contains(id))),
        ("the other slot preferred", after.preferred != before.preferred),
        ("a trial no longer in flight", before.in_flight.is_some() && after.in_flight != before.in_flight),
    ];
    by_slot.or_else(|| rest.into_iter().find(|(_, holds)| *holds).map(|(name, _)| name))
}

fn gained_by_slot(after: &SlotState, before: &SlotState) -> Option<&'static str> {
    let runs = matches!(after.phase, Phase::Trial | Phase::Confirmed);
    let gains = [
        ("a higher phase", rank(after.phase) > rank(before.phase)),
        ("another image", runs && after.phase == before.phase && after.digest != before.digest),
        ("more attempts", after.attempts_left > before.attempts_left),
        ("more boots", after.boots_left > before.boots_left),
    ];
    gains.into_iter().find(|(_, holds)| *holds).map(|(name, _)| name)
}

const fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Rejected => 0,
        Phase::Empty => 1,
        Phase::Trial => 2,
        Phase::Confirmed => 3,
    }
}

/// Something that happens to a state.
type Change = fn(&mut State);

#[test]
fn every_privilege_is_noticed_and_losing_one_is_none() {
    let mut base = State::new(5);
    base.slots.a = SlotState::confirmed([1; 16]);
    base.slots.b = SlotState { phase: Phase::Trial, attempts_left: 2, boots_left: 4, digest: [2; 16], ..base.slots.a };
    base.in_flight = Some(Slot::B);
    base.revoked.insert([7; 8]).expect("room");
    assert_eq!(gained(&base, &base), None);
    let changes: [(&str, Change); 8] = [
        ("a higher phase", |state| state.slots.b.phase = Phase::Confirmed),
        ("another image", |state| state.slots.a.digest = [3; 16]),
        ("more attempts", |state| state.slots.b.attempts_left = 3),
        ("more boots", |state| state.slots.b.boots_left = 5),
        ("a lower floor", |state| state.floor = 4),
        ("a revoked key trusted again", |state| state.revoked = State::new(0).revoked),
        ("the other slot preferred", |state| state.preferred = Slot::B),
        ("a trial no longer in flight", |state| state.in_flight = None),
    ];
    for (name, change) in changes {
        let mut other = base;
        change(&mut other);
        assert_eq!(gained(&other, &base), Some(name));
    }
    let mut less = base;
    (less.slots.b.attempts_left, less.slots.b.boots_left, less.floor) = (1, 0, 9);
    less.slots.a = less.slots.a.rejected(base.slots.a.reason);
    less.revoked.insert([8; 8]).expect("room");
    assert_eq!(gained(&less, &base), None);
}
