//! What becomes of a slot once its image is there: confirm, revert, condemn, roll back, arm, reject.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Booted;
use twinslot_bootloader::install::{Host as WriterHost, InstallError, Refusal, Session};
use twinslot_bootloader::journal::{CommitError, FloorRaise, Phase, SlotState};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{MonotonicCounter, Region, StorageError};
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{LAYOUT, identity, image, signed};
use twinslot_tests::image::ImageBuilder;
use twinslot_tests::storage::{SimCounter, SimStorage};

use crate::hosts::{A, B, Nor, assert_refused, on_trial, phases, refused, rejected, updated};

#[test]
fn confirm_is_for_the_running_trial_only_and_once() {
    let mut host = Nor::running(NOR, &image(1));
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
    host.install(&image(2)).expect("an install");
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);

    let (mut host, a, _) = on_trial(NOR);
    let good = host.handoff.clone();
    host.handoff.booted = Booted::Slot(Slot::A);
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
    host.handoff = good.clone();
    host.handoff.digest = a.digest;
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
    host.handoff.booted = Booted::Golden;
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
    host.handoff = good;
    assert_refused(&mut host, refused(Refusal::OnlyOffline), |host| host.write(|session| session.confirm_offline(Slot::B)));
    host.confirm().expect("the trial runs");
    assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Confirmed));
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
}

#[test]
fn a_trial_whose_bytes_changed_is_not_confirmed() {
    let (mut host, ..) = on_trial(NOR);
    host.storage.put(B, &image(7).slot);
    assert_refused(&mut host, rejected(Rejection::NotTheArmedImage), Nor::confirm);
    host.storage.put(B, &[]);
    assert_refused(&mut host, rejected(Rejection::WrongMagic), Nor::confirm);
}

#[test]
fn a_confirm_that_does_not_reach_the_medium_is_told_as_failed() {
    let logs = [Region::Log0, Region::Log1];
    for fail in [SimStorage::fail_writes, SimStorage::swallow_writes] {
        for log in logs {
            let (mut host, ..) = on_trial(NOR);
            fail(&mut host.storage, log);
            assert_eq!(host.confirm(), Err(InstallError::Commit(CommitError::Storage)), "one log lacks the record");
        }
        let (mut host, ..) = on_trial(NOR);
        logs.into_iter().for_each(|log| fail(&mut host.storage, log));
        assert_eq!(host.confirm(), Err(InstallError::Commit(CommitError::Storage)));
        assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Trial), "nothing was confirmed");
    }
}

#[test]
fn a_failed_health_check_reverts_with_its_reason() {
    let (mut host, a, _) = on_trial(NOR);
    host.revert().expect("the confirmed image is there");
    let state = host.state().expect("a journal");
    assert_eq!((state.preferred, state.slots.b.phase, state.slots.b.reason, state.in_flight), (Slot::A, Phase::Rejected, Reason::HealthCheck, None));
    let revert = state.last_revert.expect("a revert");
    assert_eq!((revert.slot, revert.reason, revert.sequence), (Slot::B, Reason::HealthCheck, host.journal().sequence()));
    let boot = host.boot(ResetCause::Software);
    assert_eq!((boot.slot(), boot.handoff.digest, boot.operations), (Some((Slot::A, Why::Confirmed)), a.digest, 0));
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::revert);

    // The first image of a host has nothing to go back to.
    let mut first = Nor::new(NOR);
    first.storage.put(A, &image(1).slot);
    assert_eq!(first.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Trial)));
    assert_refused(&mut first, refused(Refusal::NoOtherImage), Nor::revert);
}

#[test]
fn condemn_needs_another_confirmed_image() {
    let condemn = |host: &mut Nor| host.write(|session| session.condemn());
    let mut alone = Nor::running(NOR, &image(1));
    assert_refused(&mut alone, refused(Refusal::OnlyConfirmedSlot), condemn);
    let (mut trial, ..) = on_trial(NOR);
    assert_refused(&mut trial, refused(Refusal::NotConfirmed), condemn);
    let (mut host, a, _) = updated();
    let good = host.handoff.clone();
    host.handoff.booted = Booted::Golden;
    assert_refused(&mut host, refused(Refusal::NotConfirmed), condemn);
    host.handoff = good;
    condemn(&mut host).expect("the other one is confirmed");
    let boot = host.boot(ResetCause::Software);
    assert_eq!((boot.slot(), boot.handoff.digest), (Some((Slot::A, Why::Confirmed)), a.digest));
    assert_eq!(boot.handoff.last_revert.map(|revert| (revert.slot, revert.reason)), Some((Slot::B, Reason::Condemned)));
}

#[test]
fn rollback_goes_to_a_confirmed_verified_image_and_back() {
    let rollback = |host: &mut Nor| host.write(|session| session.rollback());
    let mut alone = Nor::running(NOR, &image(1));
    assert_refused(&mut alone, refused(Refusal::NoOtherImage), rollback);
    let (mut trial, ..) = on_trial(NOR);
    assert_refused(&mut trial, refused(Refusal::TrialPending), rollback);
    let (mut host, a, b) = updated();
    rollback(&mut host).expect("the previous image is confirmed");
    let boot = host.boot(ResetCause::Software);
    assert_eq!((boot.slot(), boot.handoff.digest), (Some((Slot::A, Why::Confirmed)), a.digest));
    rollback(&mut host).expect("both stay confirmed");
    assert_eq!(host.boot(ResetCause::Software).handoff.digest, b.digest);
    host.storage.flip(A, 4096 + 9, 0);
    assert_refused(&mut host, rejected(Rejection::DigestMismatch), rollback);
    host.storage.put(A, &image(8).slot);
    assert_refused(&mut host, rejected(Rejection::NotTheArmedImage), rollback);
}

#[test]
fn arm_and_reject_are_refused_where_they_would_hurt() {
    let mut host = Nor::running(NOR, &image(1));
    assert_refused(&mut host, rejected(Rejection::WrongMagic), |host| host.write(|session| session.arm(Slot::B)));
    host.storage.put(B, &image(2).slot);
    host.storage.flip(B, 4096 + 9, 0);
    assert_refused(&mut host, rejected(Rejection::DigestMismatch), |host| host.write(|session| session.arm(Slot::B)));
    host.storage.put(B, &image(2).slot);
    host.write(|session| session.arm(Slot::B)).expect("a good image");
    assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Trial));
    host.write(|session| session.reject(Slot::B)).expect("an operator may");
    let state = host.state().expect("a journal");
    assert_eq!((state.preferred, state.slots.b.phase, state.slots.b.reason), (Slot::A, Phase::Rejected, Reason::Operator));
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Confirmed)));
    host.write(|session| session.arm(Slot::B)).expect("armed anew");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
}

#[test]
fn a_tool_prepares_blank_storage() {
    let mut host = Nor::new(NOR);
    host.storage.put(A, &image(1).slot);
    assert_eq!(host.write_offline(|session| session.confirm_offline(Slot::A)), refused(Refusal::JournalLost));
    host.write_offline(|session| session.repair()).expect("good flash");
    assert_eq!(phases(&mut host), (Phase::Trial, Phase::Empty));
    assert_eq!(host.write_offline(|session| session.confirm_offline(Slot::B)), refused(Refusal::NotTheTrial));
    host.write_offline(|session| session.confirm_offline(Slot::A)).expect("a good image");
    let boot = host.boot(ResetCause::PowerOn);
    assert_eq!((boot.slot(), boot.operations), (Some((Slot::A, Why::Confirmed)), 0));
    assert_refused(&mut host, refused(Refusal::OnlyOffline), |host| host.write(|session| session.repair()));
    host.assert_flash_rules();
}

#[test]
fn a_tool_and_the_loader_agree_on_a_lost_journal() {
    for (seed_a, seed_b) in [(1, 2), (2, 1), (1, 1)] {
        for (counter_a, counter_b) in [(5, 5), (5, 6), (6, 5)] {
            let preferred = [false, true].map(|by_tool| {
                let mut host = Nor::new(NOR);
                host.storage.put(A, &signed(ImageBuilder::new(seed_a).counter(counter_a)).slot);
                host.storage.put(B, &signed(ImageBuilder::new(seed_b).counter(counter_b)).slot);
                if by_tool {
                    host.write_offline(|session| session.repair()).expect("good flash");
                }
                host.boot(ResetCause::PowerOn).slot()
            });
            assert_eq!(preferred[0], preferred[1], "versions {seed_a} {seed_b}, counters {counter_a} {counter_b}");
        }
    }
}

#[test]
fn the_floor_rises_when_both_slots_meet_it_if_the_policy_says_so() {
    let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
    let mut host = Nor::running(NOR, &of(1, 5));
    host.settings.policy.floor_raise = FloorRaise::WhenBothSlotsMeetIt;
    host.update(&of(2, 7)).expect("a newer counter");
    let state = host.state().expect("a journal");
    assert_eq!((state.floor, phases(&mut host)), (5, (Phase::Confirmed, Phase::Confirmed)), "the lower of both");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Confirmed)));
    host.update(&of(3, 9)).expect("a newer counter");
    assert_eq!((host.state().expect("a journal").floor, phases(&mut host)), (7, (Phase::Confirmed, Phase::Confirmed)));
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Confirmed)));
    assert_refused(&mut host, rejected(Rejection::BelowFloor), |host| host.install(&of(4, 6)));

    // Nothing rises while the other slot holds no confirmed image.
    let mut state = host.state().expect("a journal");
    state.slots.b = state.slots.b.rejected(Reason::Operator);
    host.set_state(&state);
    host.update(&of(5, 20)).expect("a newer counter");
    assert_eq!(host.state().expect("a journal").floor, 9, "the counter of the confirmed other slot");
}

#[test]
fn a_host_on_its_last_resort_tells_that_it_can_not_be_confirmed() {
    let (mut host, ..) = updated();
    let mut state = host.state().expect("a journal");
    state.slots.a = state.slots.a.rejected(Reason::Operator);
    host.set_state(&state);
    host.storage.flip(B, 4096, 0);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::LastResort)));
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
}

#[test]
fn a_trial_that_the_last_resort_started_is_not_confirmed() {
    // The watchdog does not start, so that the trial never ran as one: there is no confirmed image, and it boots as the last resort.
    let mut host = Nor::new(NOR);
    host.storage.put(A, &image(1).slot);
    host.machine.broken_watchdog = true;
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::LastResort)));
    assert_refused(&mut host, refused(Refusal::NotTheTrial), Nor::confirm);
}

#[test]
fn a_confirm_records_the_image_and_clears_counters_and_reason() {
    let (mut host, _, b) = updated();
    assert_eq!(host.state().expect("a journal").slots.b, SlotState::confirmed(b.short_digest()));
}

#[test]
fn the_next_session_raises_a_counter_that_a_confirm_left_behind() {
    let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
    let opened = |host: &mut Nor| host.write(|_| Ok(())).map(|()| host.counter.value);
    let mut host = Nor::running(NOR, &of(1, 5));
    host.counter = SimCounter { present: true, value: 5, fails_to_raise: true, ..SimCounter::default() };
    host.install(&of(2, 7)).expect("an install");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    assert_eq!(host.confirm(), Err(InstallError::CounterNotRaised));
    assert_eq!(opened(&mut host), Ok(5), "it still can not be raised");
    host.counter.fails_to_raise = false;
    assert_eq!(opened(&mut host), Ok(7));

    // What no confirmed image that lies in its slot vouches for does not reach the counter.
    for damage in [Region::Log0, B] {
        let mut host = host.clone();
        host.counter.value = 5;
        let mut state = host.state().expect("a journal");
        if damage == B {
            host.storage.put(B, &of(3, 7).slot);
        } else {
            state.slots.b = SlotState::trial(state.slots.b.digest, &host.settings.policy);
        }
        host.set_state(&state);
        assert_eq!(opened(&mut host), Ok(5), "{damage:?}");
    }
}

/// A counter that wears out: how often it was written.
struct Worn {
    value: u32,
    writes: u32,
}

impl MonotonicCounter for Worn {
    fn value(&mut self) -> Result<u32, StorageError> {
        Ok(self.value)
    }

    fn raise(&mut self, floor: u32) -> Result<(), StorageError> {
        (self.value, self.writes) = (self.value.max(floor), self.writes + 1);
        Ok(())
    }
}

#[test]
fn a_session_writes_to_the_counter_only_when_it_lags() {
    let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
    let mut host = Nor::running(NOR, &of(1, 5));
    host.update(&of(2, 7)).expect("an update");
    for (value, expected) in [(6, (7, 1)), (7, (7, 0)), (8, (8, 0))] {
        let mut counter = Worn { value, writes: 0 };
        let settings = &host.settings;
        let writer = WriterHost { identity: identity(), anchor: &settings.anchor, policy: settings.policy, layout: LAYOUT };
        Session::open(&mut host.storage, &mut CheapCrypto, &mut counter, writer, &host.handoff).expect("the writer fits the loader");
        assert_eq!((counter.value, counter.writes), expected, "a counter of {value} under a floor of 7");
    }
}
