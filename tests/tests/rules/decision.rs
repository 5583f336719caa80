//! The rules that are about the decision alone, over its whole input space.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::journal::{Phase, State};
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::slot::{BySlot, Slot};

use twinslot_tests::model::{Case, End, Truth, doubts, expected};

use crate::cases::{MOST_COMMITS, every_case, every_case_without_fallbacks, is_good_confirmed, run};

#[test]
fn every_decision_is_what_the_model_says() {
    let count = every_case(|case| {
        let (end, world) = expected(case);
        let run = run(case);
        assert_eq!(run.end, end, "{case:?}");
        assert_eq!(run.state, world.state, "{case:?}");
        assert_eq!(run.commits, world.tried, "{case:?}");
    });
    assert!(count >= 6_363_648, "the space has shrunk to {count} cases");
}

#[test]
fn the_decision_is_symmetric() {
    every_case(|case| {
        let tie = match (case.truths.a.authentic(), case.truths.b.authentic()) {
            (Some(a), Some(b)) => (a.security_counter, a.version) == (b.security_counter, b.version),
            _ => false,
        };
        let (run, mirrored) = (run(case), run(&swapped(case)));
        let tie = tie && run.state.is_none_or(|state| doubts(&state, Slot::A) == doubts(&state, Slot::B));
        let chosen_by_comparison = case.state.is_none() || matches!(run.end, End::Boot(_, Why::LastResort));
        if tie && chosen_by_comparison {
            assert_eq!(run.end, mirrored.end, "exact ties go to A: {case:?}");
            return;
        }
        assert_eq!(run.end.swapped(), mirrored.end, "{case:?}");
        assert_eq!(run.state.map(|state| state.swapped()), mirrored.state, "{case:?}");
    });
}

fn swapped(case: &Case) -> Case {
    Case { state: case.state.map(|state| state.swapped()), truths: case.truths.swapped(), ..*case }
}

#[test]
fn a_bad_neighbour_changes_nothing_for_a_confirmed_preferred_slot() {
    every_case_without_fallbacks(|case| {
        let Some(state) = case.state else { return };
        let flight_pending = state.in_flight.is_some();
        if !is_good_confirmed(case, state.preferred) || flight_pending {
            return;
        }
        let run = run(case);
        assert_eq!(run.end, End::Boot(state.preferred, Why::Confirmed), "{case:?}");
        assert_eq!(run.examined, [state.preferred], "one slot is examined: {case:?}");
        assert!(run.commits.is_empty(), "confirmed_boot_is_write_free: {case:?}");
    });
}

#[test]
fn a_good_confirmed_slot_always_boots_something_good() {
    every_case_without_fallbacks(|case| {
        if !Slot::BOTH.into_iter().any(|slot| is_good_confirmed(case, slot)) {
            return;
        }
        match run(case).end {
            End::Boot(slot, Why::Confirmed | Why::Fallback) => assert!(is_good_confirmed(case, slot), "{case:?}"),
            End::Boot(slot, Why::Trial) => assert!(matches!(case.truths.of(slot), Truth::Right(_)), "{case:?}"),
            end => panic!("ended in {end:?}: {case:?}"),
        }
    });
}

#[test]
fn the_loader_never_changes_confirmed_and_rejects_only_trials() {
    every_case_without_fallbacks(|case| {
        let Some(first) = case.state else { return };
        let run = run(case);
        let mut before = first;
        for after in &run.commits {
            for slot in Slot::BOTH {
                check_change(case, slot, &before, after);
            }
            assert!(after.floor >= before.floor && after.revoked == before.revoked, "the loader moves no floor: {case:?}");
            before = *after;
        }
    });
}

fn check_change(case: &Case, slot: Slot, before: &State, after: &State) {
    let (old, new) = (before.slots.of(slot), after.slots.of(slot));
    if old == new {
        return;
    }
    assert_eq!(old.phase, Phase::Trial, "only trials change: {case:?}");
    assert!(matches!(new.phase, Phase::Trial | Phase::Rejected), "{case:?}");
    assert_eq!(old.digest, new.digest, "{case:?}");
    let exhausted = old.attempts_left.min(old.boots_left) <= 1;
    if new.phase == Phase::Rejected && *case.truths.of(slot) == Truth::Unreadable {
        assert!(exhausted, "a read error never makes a slot rejected: {case:?}");
    }
    if new.phase == Phase::Rejected {
        assert_eq!(after.last_revert.map(|revert| (revert.slot, revert.reason)), Some((slot, new.reason)), "reverts_and_says_why: {case:?}");
        assert_ne!(new.reason.code(), 0, "a revert has a reason: {case:?}");
    }
}

#[test]
fn a_trial_jump_follows_its_committed_intent() {
    every_case_without_fallbacks(|case| {
        let run = run(case);
        let End::Boot(slot, Why::Trial) = run.end else { return };
        assert!(!run.failed, "intent_before_jump: {case:?}");
        let last = run.commits.last().expect("a trial commits its intent");
        assert_eq!(last.in_flight, Some(slot), "{case:?}");
        let entries = run.commits.iter().rev().nth(1).copied().or(case.state).map(|state| *state.slots.of(slot));
        let before = entries.expect("a state before the intent");
        assert_eq!(last.slots.of(slot).boots_left + 1, before.boots_left, "{case:?}");
    });
}

#[test]
fn an_attempt_is_paid_for_every_reset_but_a_power_cut() {
    every_case_without_fallbacks(|case| {
        let Some(state) = case.state else { return };
        let Some(slot) = state.in_flight else { return };
        let settled = run(case).commits[0];
        let (old, new) = (state.slots.of(slot), settled.slots.of(slot));
        assert_eq!(settled.in_flight, None, "{case:?}");
        let paid = u8::from(case.cause != ResetCause::PowerOn);
        let attempts = old.attempts_left.saturating_sub(paid);
        if attempts == 0 || old.boots_left == 0 {
            assert_eq!(new.phase, Phase::Rejected, "{case:?}");
        } else {
            assert_eq!((new.phase, new.attempts_left, new.boots_left), (Phase::Trial, attempts, old.boots_left), "{case:?}");
        }
    });
}

#[test]
fn the_last_resort_writes_nothing_and_comes_last() {
    every_case(|case| {
        let run = run(case);
        let End::Boot(slot, Why::LastResort) = run.end else { return };
        assert!(case.golden != Some(true) && !case.recovery, "golden and recovery come before: {case:?}");
        assert!(Slot::BOTH.into_iter().all(|slot| !is_good_confirmed(case, slot)), "confirmed comes before: {case:?}");
        assert!(case.truths.of(slot).authentic().is_some(), "{case:?}");
        if !run.failed {
            let phases = run.state.map(|state| BySlot { a: state.phase(Slot::A), b: state.phase(Slot::B) });
            let untried = |slot: Slot| phases.is_some_and(|phases| *phases.of(slot) == Phase::Trial) && *case.truths.of(slot) != Truth::Unreadable;
            assert!(!Slot::BOTH.into_iter().any(untried), "bounded trials come before: {case:?}");
        }
        let again = Case { state: run.state, cause: ResetCause::PowerOn, ..*case };
        if !run.failed && run.state.is_some() {
            assert!(crate::cases::run(&again).commits.is_empty(), "the next last resort is write-free: {case:?}");
        }
    });
}

#[test]
fn no_boot_commits_more_often_than_a_case_can_fail() {
    let mut most = 0;
    every_case_without_fallbacks(|case| most = most.max(run(case).commits.len()));
    assert_eq!(most, usize::from(MOST_COMMITS));
}

#[test]
fn a_halt_means_that_nothing_verifies() {
    every_case(|case| {
        if let End::Halt(_) = run(case).end {
            assert!(Slot::BOTH.into_iter().all(|slot| case.truths.of(slot).authentic().is_none()), "{case:?}");
        }
    });
}

#[test]
fn every_boot_makes_progress_or_writes_nothing_or_fails_one_commit() {
    every_case_without_fallbacks(|case| {
        let run = run(case);
        let mut before = case.state;
        for (index, after) in run.commits.iter().enumerate() {
            assert_ne!(before, Some(*after), "a commit changes something: {case:?}");
            let failed = run.failed && index + 1 == run.commits.len();
            if let (Some(old), false) = (before, failed) {
                assert!(budget(after) < budget(&old), "every commit uses something up: {case:?}");
            }
            before = Some(*after);
        }
    });
}

/// What a host has left to spend on trials: falls with every commit of the loader, so that there is no endless loop of boots.
fn budget(state: &State) -> u32 {
    let of = |slot: Slot| {
        let entry = state.slots.of(slot);
        if entry.phase == Phase::Trial { 1_000 + 10 * u32::from(entry.attempts_left) + 10 * u32::from(entry.boots_left) } else { 0 }
    };
    of(Slot::A) + of(Slot::B) + u32::from(state.in_flight.is_some())
}
