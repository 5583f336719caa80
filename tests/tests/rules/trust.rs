//! The rules about floors, revocations, confirmed images and lost state, over the real code on every geometry.

use twinslot_bootloader::boot::{Event, Outcome};
use twinslot_bootloader::decide::{Fallback, Why};
use twinslot_bootloader::handoff::{Booted, Verdict};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::{Phase, SlotState};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::host::{Host, Settings, image, signed};
use twinslot_tests::image::{Image, ImageBuilder, Signer};
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::Geometry;

use crate::life::{A, B, trial_armed};

#[test]
fn floor_is_monotone() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
        let mut host = Host::<WRITE, ERASE>::running(geometry, &of(1, 5));
        host.update(&of(2, 7)).expect("a newer counter");
        let state = host.state().expect("a journal");
        assert_eq!((state.floor, state.slots.a.phase, state.slots.a.reason), (7, Phase::Rejected, Reason::Refused(Rejection::BelowFloor)));
        assert_eq!(host.install(&of(3, 6)), Err(Rejection::BelowFloor.into()));
        for log in [Region::Log0, Region::Log1] {
            host.storage.put(log, &[]);
            assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::Confirmed)));
            assert_eq!(host.state().expect("a journal").floor, 7, "one copy keeps the floor");
        }
        host.update(&of(4, 7)).expect("the same counter");
        assert_eq!(host.state().expect("a journal").floor, 7);
        host.assert_flash_rules();
    }
    on_every_geometry!(check);
}

#[test]
fn floor_is_monotone_over_the_whole_range_of_counters() {
    let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
    let mut host = Host::<4, 4096>::running(twinslot_tests::geometry::NOR, &of(1, i32::MAX as u32));
    for (seed, counter) in [(2, 1 << 31), (3, u32::MAX)] {
        host.update(&of(seed, counter)).expect("a newer counter");
        host.boot(ResetCause::Software);
        for lower in [0, 1, i32::MAX as u32, counter - 1] {
            assert_eq!(host.install(&of(9, lower)), Err(Rejection::BelowFloor.into()), "{lower} after {counter}");
        }
    }
    host.update(&of(4, u32::MAX)).expect("the same counter");
}

#[test]
fn floor_is_monotone_in_a_counter_that_outlives_the_journal() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
        let mut host = Host::<WRITE, ERASE>::running(geometry, &of(1, 5));
        host.counter.present = true;
        host.update(&of(2, 7)).expect("a newer counter");
        assert_eq!(host.counter.value, 7);
        host.storage.put(Region::Log0, &[]);
        host.storage.put(Region::Log1, &[]);
        let boot = host.boot(ResetCause::PowerOn);
        assert_eq!(boot.slot(), Some((Slot::B, Why::Trial)), "the old image stays below the floor");
        assert_eq!(boot.handoff.verdicts.a, Verdict::Refused(Reason::Refused(Rejection::BelowFloor)));
    }
    on_every_geometry!(check);
}

#[test]
fn revocation_never_orphans_itself() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let ids: Vec<_> = (1..=3).map(|number| Signer::cheap(number).id(&mut twinslot_tests::crypto::CheapCrypto)).collect();
        let build = |builder: ImageBuilder, keys: &[u8]| {
            keys.iter().fold(builder, |builder, key| builder.signer(Signer::cheap(*key))).build(&mut twinslot_tests::crypto::CheapCrypto)
        };
        let mut host = Host::<WRITE, ERASE>::running(geometry, &image(1));
        let suicidal = build(ImageBuilder::new(2).revoke(&ids[..1]), &[1]);
        assert_eq!(host.install(&suicidal), Err(Rejection::TooFewSignatures.into()));
        let all = build(ImageBuilder::new(2).revoke(&ids), &[1, 2, 3]);
        assert_eq!(host.install(&all), Err(Rejection::TooFewKeysLeft.into()));
        host.settings = Settings { recovery: Fallback::Absent, ..Settings::new(2) };
        let (old, new) = (build(ImageBuilder::new(1), &[1, 2]), build(ImageBuilder::new(2).revoke(&ids[..1]), &[2, 3]));
        host.storage.put(A, &old.slot);
        let mut state = host.state().expect("a journal");
        state.slots.a = SlotState::confirmed(old.short_digest());
        host.set_state(&state);
        assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Confirmed)));
        host.update(&new).expect("a revocation that leaves enough keys");
        let state = host.state().expect("a journal");
        assert_eq!(&*state.revoked, &ids[..1]);
        assert_eq!((state.slots.a.phase, state.slots.b.phase), (Phase::Rejected, Phase::Confirmed), "what lost its signature is cut off");
        assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::Confirmed)), "the revoking image itself boots");
        let one_left = build(ImageBuilder::new(3).revoke(&ids[1..2]), &[2, 3]);
        assert_eq!(host.install(&one_left), Err(Rejection::TooFewKeysLeft.into()));
        let too_many = build(ImageBuilder::new(3).revoke(&ids[..2]), &[2, 3]);
        assert_eq!(host.install(&too_many), Err(Rejection::TooFewKeysLeft.into()));
        assert_eq!(host.install(&build(ImageBuilder::new(3), &[1, 2])), Err(Rejection::TooFewSignatures.into()), "revoked signatures do not count");
        host.update(&build(ImageBuilder::new(3), &[1, 2, 3])).expect("revoked signatures do no harm");
        assert_eq!(&*host.state().expect("a journal").revoked, &ids[..1], "revocations are never dropped");
    }
    on_every_geometry!(check);
}

#[test]
fn last_confirmed_is_untouchable() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (a, b) = (image(1), image(2));
        let mut running_a = Host::<WRITE, ERASE>::running(geometry, &a);
        running_a.storage.put(B, &b.slot);
        let refused = |refusal: Refusal| Err(InstallError::Refused(refusal));
        assert_eq!(running_a.write(|session| session.inactive_slot(Slot::A).map(|_| ())), refused(Refusal::RunningSlot));
        assert_eq!(running_a.write(|session| session.arm(Slot::A)), refused(Refusal::RunningSlot));
        assert_eq!(running_a.write(|session| session.reject(Slot::A)), refused(Refusal::RunningSlot));
        assert_eq!(running_a.write(|session| session.condemn()), refused(Refusal::OnlyConfirmedSlot));
        assert_eq!(running_a.write(|session| session.revert()), refused(Refusal::NotTheTrial));
        assert_eq!(running_a.write_offline(|session| session.arm(Slot::A)), refused(Refusal::OnlyConfirmedSlot));
        assert_eq!(running_a.write_offline(|session| session.reject(Slot::A)), refused(Refusal::OnlyConfirmedSlot));
        assert_eq!(running_a.write_offline(|session| session.inactive_slot(Slot::A).map(|_| ())), refused(Refusal::OnlyConfirmedSlot));

        // The running trial may not overwrite what it would fall back to either.
        let (mut host, ..) = trial_armed::<WRITE, ERASE>(geometry);
        host.boot(ResetCause::Software);
        assert_eq!(host.install(&image(3)), refused(Refusal::TrialPending));
        assert_eq!(host.write(|session| session.reject(Slot::A)), refused(Refusal::OnlyConfirmedSlot));
        assert_eq!(host.write(|session| session.arm(Slot::A)), refused(Refusal::TrialPending));
    }
    on_every_geometry!(check);
}

#[test]
fn last_confirmed_is_untouchable_in_every_state() {
    let (a, b, c) = (image(1), image(2), image(3));
    let digests = [a.short_digest(), b.short_digest()];
    for mut state in crate::cases::states() {
        for slot in Slot::BOTH {
            let entry = state.slots.of_mut(slot);
            if entry.phase != Phase::Empty {
                entry.digest = digests[slot as usize];
            }
        }
        let Some(only) = Slot::BOTH.into_iter().find(|slot| state.is_only_confirmed(*slot)) else { continue };
        for booted in [Booted::Slot(Slot::A), Booted::Slot(Slot::B), Booted::Golden, Booted::Nothing] {
            let mut host = Host::<4, 4096>::new(twinslot_tests::geometry::NOR);
            host.storage.put(A, &a.slot);
            host.storage.put(B, &b.slot);
            host.set_state(&state);
            host.handoff.booted = booted;
            host.handoff.digest = if booted == Booted::Slot(Slot::B) { b.digest } else { a.digest };
            let bytes = host.storage.bytes(Region::Slot(only)).to_vec();
            try_everything(&mut host, &c);
            let after = host.state().expect("a journal");
            let still = Slot::BOTH.into_iter().filter(|slot| after.phase(*slot) == Phase::Confirmed).count();
            assert!(still >= 1, "{state:?} {booted:?}: {after:?}");
            if !after.slots.of(only.other()).digest.eq(&digests[only.other() as usize]) || after.phase(only.other()) != Phase::Confirmed {
                assert_eq!(after.slots.of(only), state.slots.of(only), "{booted:?}");
                assert!(bytes == host.storage.bytes(Region::Slot(only)), "{booted:?}");
            }
        }
    }
}

/// Every operation of a writer, on both slots, as the running system and as a tool; most are refused.
fn try_everything(host: &mut Host<4, 4096>, image: &Image) {
    for slot in Slot::BOTH {
        let _ = host.write(|session| session.reject(slot));
        let _ = host.write_offline(|session| session.reject(slot));
        let _ = host.write(|session| session.arm(slot));
        let _ = host.write_offline(|session| session.arm(slot));
        let _ = host.write(|session| {
            let target = session.inactive_slot(slot)?;
            let mut install = session.install(target, image.header(), &image.table)?;
            install.write_chunk(image.chunk(0))
        });
    }
    let _ = host.write(|session| session.revert());
    let _ = host.write(|session| session.condemn());
    let _ = host.write(|session| session.rollback());
    let _ = host.write(|session| session.repair());
}

#[test]
fn lost_state_is_cautious() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let of = |seed, counter| signed(ImageBuilder::new(seed).counter(counter));
        let first =
            [((1, 5), (2, 6), Slot::B), ((1, 6), (2, 5), Slot::A), ((2, 5), (1, 5), Slot::B), ((1, 5), (2, 5), Slot::A), ((1, 5), (1, 5), Slot::A)];
        for ((seed_a, counter_a), (seed_b, counter_b), expected) in first {
            let mut host = Host::<WRITE, ERASE>::new(geometry);
            host.storage.put(A, &of(seed_a, counter_a).slot);
            host.storage.put(B, &of(seed_b, counter_b).slot);
            let boot = host.boot(ResetCause::PowerOn);
            assert_eq!(boot.slot(), Some((expected, Why::Trial)), "{boot:?}");
            assert!(boot.events.contains(&Event::JournalLost));
            let state = host.state().expect("a journal");
            assert_eq!((state.slots.a.phase, state.slots.b.phase), (Phase::Trial, Phase::Trial), "never confirmed by default");
            host.confirm().expect("a trial after a loss is confirmed like any other");
            host.assert_flash_rules();
        }
        let mut host = Host::<WRITE, ERASE>::new(geometry);
        host.storage.put(B, &image(2).slot);
        assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::B, Why::Trial)));
        assert_eq!(host.state().expect("a journal").slots.a.reason, Reason::Refused(Rejection::WrongMagic));

        let mut blank = Host::<WRITE, ERASE>::new(geometry);
        let boot = blank.boot(ResetCause::PowerOn);
        assert_eq!((boot.outcome, boot.operations), (Outcome::Halt(Reason::Refused(Rejection::WrongMagic)), 0), "nothing to try, nothing to write");
    }
    on_every_geometry!(check);
}
