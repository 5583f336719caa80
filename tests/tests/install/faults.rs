//! A writer whose storage or counter fails, or holds something else than it should.

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Booted;
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::{CommitError, Phase, SlotState};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::flash::SimFlash;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{image, signed};
use twinslot_tests::image::{ImageBuilder, Signer};

use crate::hosts::{A, B, Nor, assert_refused, on_trial, phases, refused, rejected, updated};

/// Loses both logs of a host that keeps running.
fn lose_journal(host: &mut Nor) {
    host.storage.put(Region::Log0, &[]);
    host.storage.put(Region::Log1, &[]);
}

#[test]
fn whichever_read_or_flush_of_an_install_fails_the_host_boots_and_is_told_the_truth() {
    let (a, b) = (image(1), image(2));
    let start = Nor::running(NOR, &a);
    for fail in [SimFlash::fail_one_read, SimFlash::fail_one_flush] {
        for good in 0.. {
            let mut host = start.clone();
            fail(&mut host.storage.flash, good);
            let told = host.install(&b);
            let was_the_last = host.storage.flash.is_failure_pending();
            host.storage.flash.heal();
            let boot = host.boot(ResetCause::Software);
            let armed = boot.slot() == Some((Slot::B, Why::Trial));
            assert!(armed || boot.slot() == Some((Slot::A, Why::Confirmed)), "{boot:?}");
            assert!(told.is_err() || armed, "a finished install is armed; failure {good}");
            assert_eq!(boot.handoff.digest, if armed { b.digest } else { a.digest });
            host.assert_flash_rules();
            if was_the_last {
                assert_eq!(told, Ok(()));
                break;
            }
        }
    }
}

/// Every read of an install in turn, so those that read back what was written as well.
#[test]
fn a_read_error_of_an_install_is_a_failure_and_never_a_refusal_of_the_image() {
    for good in 0.. {
        let mut host = Nor::running(NOR, &image(1));
        host.storage.flash.fail_one_read(good);
        let told = host.install(&image(2));
        assert!(!matches!(told, Err(InstallError::Refused(_))), "read {good}: {told:?}");
        if host.storage.flash.is_failure_pending() {
            assert_eq!(told, Ok(()));
            break;
        }
    }
}

#[test]
fn a_flush_that_fails_arms_nothing() {
    // One flush behind each of the two records that empty the slot, one behind both, one behind the parts, one behind the header.
    let failures = [
        InstallError::Commit(CommitError::Storage),
        InstallError::Commit(CommitError::Storage),
        InstallError::Storage,
        InstallError::Storage,
        InstallError::Storage,
    ];
    for (good, expected) in (0..).zip(failures) {
        let (mut host, ..) = updated();
        host.storage.flash.fail_one_flush(good);
        assert_eq!(host.install(&image(3)), Err(expected), "flush {good}");
        host.storage.flash.heal();
        assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Confirmed)));
    }
}

#[test]
fn a_header_that_can_not_be_read_back_arms_nothing() {
    let mut host = Nor::running(NOR, &image(1));
    host.storage.fail_reads(B);
    assert_eq!(host.install(&image(2)), Err(InstallError::Storage));
    assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Empty));
}

#[test]
fn an_image_whose_part_is_not_the_one_it_was_signed_with_is_never_armed() {
    let mut host = Nor::running(NOR, &image(1));
    let forged = signed(ImageBuilder::new(2).forge(|manifest| manifest.parts[0].sha256[0] ^= 1));
    assert_eq!(host.install(&forged), rejected(Rejection::DigestMismatch));
    assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Empty));
}

#[test]
fn an_erase_that_fails_is_told() {
    for (offset, length) in [(0, 4096), (4096, 4096)] {
        let mut host = Nor::running(NOR, &image(1));
        let at = host.storage.address(B, offset);
        host.storage.flash.fail_writes(at..at + length);
        assert_eq!(host.install(&image(2)), Err(InstallError::Storage));
        assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Empty));
    }
}

#[test]
fn an_installer_learns_that_the_fallback_can_not_be_read() {
    let mut host = Nor::running(NOR, &image(1));
    let told = |host: &mut Nor| {
        let new = image(2);
        host.write(|session| {
            let slot = session.inactive()?;
            session.install(slot, new.header(), &new.table)?.leaves_no_fallback()
        })
    };
    host.storage.fail_reads(A);
    assert_eq!(told(&mut host), Err(InstallError::Storage), "unknown, which is neither yes nor no");
    host.storage.flash.heal();
    host.storage.flip(A, 9, 0);
    assert_eq!(told(&mut host), Ok(true), "its header is damaged");
}

#[test]
fn a_host_whose_journal_is_lost_confirms_reverts_and_chooses_nothing() {
    let (mut host, ..) = on_trial(NOR);
    lose_journal(&mut host);
    assert_refused(&mut host, refused(Refusal::JournalLost), Nor::confirm);
    assert_refused(&mut host, refused(Refusal::JournalLost), Nor::revert);
    assert_refused(&mut host, refused(Refusal::JournalLost), |host| host.write(|session| session.condemn()));
    assert_refused(&mut host, refused(Refusal::JournalLost), |host| host.write(|session| session.rollback()));
    assert_refused(&mut host, refused(Refusal::JournalLost), |host| host.write(|session| session.reject(Slot::A)));
    let lost = host.write_offline(|session| {
        assert_eq!(session.state(), None);
        session.confirm_offline(Slot::B)
    });
    assert_eq!(lost, refused(Refusal::JournalLost));
}

#[test]
fn a_counter_that_does_not_answer_confirms_nothing() {
    let (mut host, ..) = on_trial(NOR);
    host.counter.broken = true;
    assert_refused(&mut host, Err(InstallError::Storage), Nor::confirm);
    let (mut host, ..) = updated();
    host.counter.broken = true;
    assert_refused(&mut host, Err(InstallError::Storage), |host| host.write(|session| session.rollback()));
    assert_refused(&mut host, Err(InstallError::Storage), |host| host.write(|session| session.condemn()));
    assert_refused(&mut host, Err(InstallError::Storage), |host| host.write(|session| session.arm(Slot::A)));
}

#[test]
fn a_confirm_whose_revocations_find_no_room_is_refused() {
    let revoked = Signer::cheap(2).id(&mut CheapCrypto);
    let revoking = signed(ImageBuilder::new(2).revoke(&[revoked]));
    let mut host = Nor::running(NOR, &image(1));
    host.install(&revoking).expect("there is room when it is installed");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    let mut state = host.state().expect("a journal");
    for number in 0..6 {
        state.revoked.insert([0x90 + number; 8]).expect("room");
    }
    host.set_state(&state);
    assert_refused(&mut host, rejected(Rejection::TooManyRevocations), Nor::confirm);
    host.write(|session| session.revert()).expect("back to the confirmed image");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Confirmed)));
    assert_refused(&mut host, rejected(Rejection::TooManyRevocations), |host| host.write(|session| session.arm(Slot::B)));
}

#[test]
fn a_confirm_leaves_a_neighbour_alone_that_it_can_not_judge() {
    // The image that is confirmed has a higher counter, which a neighbour that could be read would not meet.
    for (damage, expected) in [(0, Phase::Rejected), (1, Phase::Confirmed), (2, Phase::Confirmed)] {
        let mut host = Nor::running(NOR, &image(1));
        host.install(&signed(ImageBuilder::new(2).counter(9))).expect("an install");
        assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
        match damage {
            0 => {}
            1 => host.storage.flip(A, 40, 0),
            _ => host.storage.fail_reads(A),
        }
        host.confirm().expect("the trial runs");
        host.storage.flash.heal();
        assert_eq!(phases(&mut host), (expected, Phase::Confirmed), "damage {damage}");
    }
}

#[test]
fn a_trial_that_the_new_floor_refuses_is_cut_off_too() {
    let mut host = Nor::running(NOR, &signed(ImageBuilder::new(1).counter(9)));
    let mut state = host.state().expect("a journal");
    state.slots.a = SlotState::trial(state.slots.a.digest, &host.settings.policy);
    state.slots.b = SlotState::trial(image(2).short_digest(), &host.settings.policy);
    host.storage.put(B, &image(2).slot);
    host.set_state(&state);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Trial)));
    host.confirm().expect("the trial runs");
    let state = host.state().expect("a journal");
    assert_eq!((state.slots.b.phase, state.slots.b.reason), (Phase::Rejected, Reason::Refused(Rejection::BelowFloor)));
}

#[test]
fn a_neighbour_that_is_neither_confirmed_nor_on_trial_is_not_judged() {
    let mut host = Nor::running(NOR, &image(1));
    host.install(&signed(ImageBuilder::new(2).counter(9))).expect("an install");
    let mut state = host.state().expect("a journal");
    state.slots.a = state.slots.a.rejected(Reason::Operator);
    host.set_state(&state);
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    host.confirm().expect("the trial runs");
    assert_eq!(host.state().expect("a journal").slots.a.reason, Reason::Operator, "its reason stands");
}

#[test]
fn a_confirmed_image_that_can_not_be_read_is_not_beyond_use() {
    let mut host = Nor::running(NOR, &image(1));
    host.storage.put(B, &image(2).slot);
    let mut state = host.state().expect("a journal");
    state.slots.b = SlotState::confirmed(image(2).short_digest()).rejected(Reason::HealthCheck);
    host.set_state(&state);
    host.storage.flip(A, 4096 + 7, 1);
    assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::LastResort)));
    let good = host.handoff.clone();
    host.storage.fail_reads(A);
    assert_refused(&mut host, Err(InstallError::Storage), |host| host.write(|session| session.inactive().map(|_| ())));
    host.storage.flash.heal();
    host.handoff.why = Why::Confirmed;
    assert_refused(&mut host, refused(Refusal::OnlyConfirmedSlot), |host| host.write(|session| session.inactive().map(|_| ())));
    host.handoff = good;
    host.handoff.booted = Booted::Golden;
    assert_refused(&mut host, refused(Refusal::OnlyConfirmedSlot), |host| host.write(|session| session.inactive_slot(Slot::A).map(|_| ())));
}
