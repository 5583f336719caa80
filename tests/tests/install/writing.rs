//! Writing an image: refusals, verification before writing, resuming.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::decide::{Fallback, Why};
use twinslot_bootloader::handoff::Booted;
use twinslot_bootloader::image::HEADER_SIZE;
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::{CommitError, FloorRaise, Phase, State};
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::flash::{CacheLoss, SimFlash, Tear};
use twinslot_tests::geometry::{BLOCKS, NOR};
use twinslot_tests::host::{Host, Settings, image, large_image, signed};
use twinslot_tests::image::{Image, ImageBuilder, Signer};
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::Geometry;

use crate::hosts::{B, Nor, assert_refused, on_trial, phases, refused, rejected, updated};

#[test]
fn an_update_is_installed_tried_and_confirmed_from_slot_to_slot() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry)
    where
        SimFlash<WRITE, ERASE>: NorFlash,
    {
        let mut host = Host::<WRITE, ERASE>::running(geometry, &image(1));
        let mut running = Slot::A;
        for seed in 2..40 {
            let new = image(seed);
            host.update(&new).expect("an update on good flash");
            running = running.other();
            let boot = host.boot(ResetCause::PowerOn);
            assert_eq!((boot.slot(), boot.handoff.digest), (Some((running, Why::Confirmed)), new.digest));
        }
        host.assert_flash_rules();
    }
    on_every_geometry!(check);
}

#[test]
fn a_chunk_is_verified_before_it_is_written() {
    let mut host = Nor::running(NOR, &image(1));
    let new = image(2);
    let mut forged = new.chunk(0).to_vec();
    forged[3_500] ^= 1;
    for wrong in [&forged[..], &new.chunk(0)[1..], &[], &[new.chunk(0), &[0]].concat()] {
        let untouched = host.storage.bytes(B).to_vec();
        let outcome = host.write(|session| {
            let slot = session.inactive()?;
            let mut install = session.install(slot, new.header(), &new.table)?;
            assert_eq!(install.write_chunk(wrong), rejected(Rejection::ChunkMismatch));
            assert_eq!(install.next_chunk(), Some(0), "the right bytes may follow");
            install.finish()
        });
        assert_eq!(outcome, refused(Refusal::Incomplete));
        assert!(untouched == host.storage.bytes(B), "nothing of it was written");
    }
    host.install(&new).expect("the right bytes");
}

#[test]
fn an_install_is_refused_before_a_byte_is_written() {
    let mut host = Nor::running(NOR, &image(1));
    let forge = |change: fn(&mut twinslot_bootloader::image::manifest::Manifest)| signed(ImageBuilder::new(2).forge(change));
    let unsigned = ImageBuilder::new(2).build(&mut CheapCrypto);
    let refusals = [
        (unsigned, Rejection::TooFewSignatures),
        (forge(|manifest| manifest.product = "other".try_into().expect("a name")), Rejection::WrongProduct),
        (forge(|manifest| manifest.hw = 1), Rejection::WrongHardware),
        (forge(|manifest| manifest.slot = twinslot_bootloader::image::manifest::SlotRule::A), Rejection::WrongSlot),
        (forge(|manifest| manifest.min_loader = 99), Rejection::LoaderTooOld),
        (forge(|manifest| manifest.chunks = [0; 32]), Rejection::ChunkTableMismatch),
    ];
    for (bad, rejection) in refusals {
        assert_refused(&mut host, rejected(rejection), |host| host.install(&bad));
    }
    let mut raised = Nor::running(NOR, &image(1));
    let mut state = raised.state().expect("a journal");
    state.floor = 6;
    raised.set_state(&state);
    assert_refused(&mut raised, rejected(Rejection::BelowFloor), |host| host.install(&image(2)));
    let mut state = host.state().expect("a journal");
    state.revoked.insert(Signer::cheap(1).id(&mut CheapCrypto)).expect("room");
    host.set_state(&state);
    assert_refused(&mut host, rejected(Rejection::TooFewSignatures), |host| host.install(&image(2)));
}

#[test]
fn an_install_under_a_raised_counter_is_refused() {
    let mut host = Nor::running(NOR, &image(1));
    host.counter.value = 6;
    assert_refused(&mut host, rejected(Rejection::BelowFloor), |host| host.install(&image(2)));
    host.counter.broken = true;
    assert_refused(&mut host, Err(InstallError::Storage), |host| host.install(&image(2)));
}

#[test]
fn a_writer_refuses_a_loader_that_it_does_not_fit() {
    let mut host = Nor::running(NOR, &image(1));
    let good = host.handoff.clone();
    host.handoff.layout = [9; 32];
    assert_refused(&mut host, refused(Refusal::WrongLayout), |host| host.install(&image(2)));
    host.handoff = good.clone();
    host.handoff.reads.header = 2;
    assert_refused(&mut host, refused(Refusal::LoaderReadsOtherFormats), |host| host.install(&image(2)));
    host.handoff = good.clone();
    host.handoff.reads.journal = 2;
    assert_refused(&mut host, refused(Refusal::LoaderReadsOtherFormats), |host| host.install(&image(2)));
    host.handoff = good.clone();
    host.handoff.loader_version = 0;
    assert_refused(&mut host, rejected(Rejection::LoaderTooOld), |host| host.install(&image(2)));
    host.handoff = good.clone();
    host.handoff.reads.keys.clear();
    assert_refused(&mut host, refused(Refusal::LoaderLacksKeys), |host| host.install(&image(2)));
}

#[test]
fn a_key_rotation_needs_both_generations_of_keys() {
    // The loader knows keys 1 to 3, the writer key 4 as well.
    let mut host = Nor::running(NOR, &image(1));
    let keys: Vec<_> = (1..=4).map(|number| Signer::cheap(number).public()).collect();
    host.settings.anchor = TrustAnchor::new(&keys, 1, 0, &mut CheapCrypto).expect("good keys");
    let by = |keys: &[u8]| keys.iter().fold(ImageBuilder::new(2), |builder, key| builder.signer(Signer::cheap(*key))).build(&mut CheapCrypto);
    assert_refused(&mut host, refused(Refusal::LoaderLacksKeys), |host| host.install(&by(&[4])));
    let mut state = host.state().expect("a journal");
    state.revoked.insert(Signer::cheap(1).id(&mut CheapCrypto)).expect("room");
    host.set_state(&state);
    assert_refused(&mut host, refused(Refusal::LoaderLacksKeys), |host| host.install(&by(&[1, 4])));
    host.install(&by(&[2, 4])).expect("one key of each generation");
}

#[test]
fn the_running_and_the_only_confirmed_slot_have_no_writer() {
    let mut host = Nor::running(NOR, &image(1));
    let slot = |host: &mut Nor, slot| host.write(|session| session.inactive_slot(slot).map(|slot| slot.slot()));
    assert_eq!(slot(&mut host, Slot::A), refused(Refusal::RunningSlot));
    assert_eq!(slot(&mut host, Slot::B), Ok(Slot::B));
    assert_eq!(host.write(|session| session.inactive().map(|slot| slot.slot())), Ok(Slot::B));
    host.handoff.booted = Booted::Golden;
    assert_eq!(slot(&mut host, Slot::A), refused(Refusal::OnlyConfirmedSlot));
    assert_eq!(host.write(|session| session.inactive().map(|slot| slot.slot())), Ok(Slot::B));

    let (mut host, ..) = on_trial(NOR);
    assert_eq!(slot(&mut host, Slot::A), refused(Refusal::TrialPending));
    assert_eq!(slot(&mut host, Slot::B), refused(Refusal::RunningSlot));

    let (mut host, ..) = updated();
    assert_eq!(host.write(|session| session.inactive().map(|slot| slot.slot())), Ok(Slot::A), "the previous image gives way");
}

#[test]
fn an_installer_learns_that_a_confirm_leaves_no_fallback() {
    let mut host = Nor::running(NOR, &image(1));
    let asks = |host: &mut Nor, image: &Image| {
        host.write(|session| {
            let slot = session.inactive()?;
            session.install(slot, image.header(), &image.table)?.leaves_no_fallback()
        })
    };
    assert_eq!(asks(&mut host, &image(2)), Ok(false));
    assert_eq!(asks(&mut host, &signed(ImageBuilder::new(2).counter(6))), Ok(true));
    host.settings.policy.floor_raise = FloorRaise::WhenBothSlotsMeetIt;
    assert_eq!(asks(&mut host, &signed(ImageBuilder::new(2).counter(6))), Ok(false));
}

#[test]
fn an_installer_learns_that_revocations_leave_no_fallback() {
    let mut host = Nor::running(NOR, &image(1));
    let revoking = ImageBuilder::new(2).revoke(&[Signer::cheap(1).id(&mut CheapCrypto)]).signer(Signer::cheap(2)).build(&mut CheapCrypto);
    let told = host.write(|session| {
        let slot = session.inactive()?;
        session.install(slot, revoking.header(), &revoking.table)?.leaves_no_fallback()
    });
    host.update(&revoking).expect("signed by a key that stays");
    assert_eq!(phases(&mut host), (Phase::Rejected, Phase::Confirmed));
    assert_eq!(told, Ok(true));
}

#[test]
fn revocations_of_unknown_keys_take_no_room() {
    let mut host = Nor::running(NOR, &image(1));
    let unknown = [[1; 8], [2; 8], [3; 8], [4; 8]];
    host.update(&signed(ImageBuilder::new(2).revoke(&unknown))).expect("none of them is a key of this host");
    assert!(host.state().expect("a journal").revoked.is_empty());
    let mut state = host.state().expect("a journal");
    for number in 0..6 {
        state.revoked.insert([0x90 + number; 8]).expect("room");
    }
    host.set_state(&state);
    host.boot(ResetCause::Software);
    assert_refused(&mut host, rejected(Rejection::TooManyRevocations), |host| {
        let known = ImageBuilder::new(3).revoke(&[Signer::cheap(2).id(&mut CheapCrypto)]);
        host.install(&signed(known))
    });
    host.install(&signed(ImageBuilder::new(3).revoke(&unknown))).expect("they take no room");
}

#[test]
fn a_stale_writer_is_refused() {
    let mut host = Nor::running(NOR, &image(1));
    let new = image(2);
    let policy = host.settings.policy;
    let outcome = host.write(|session| {
        let slot = session.inactive()?;
        let mut install = session.install(slot, new.header(), &new.table)?;
        install.write_chunk(new.chunk(0))?;
        install.finish()
    });
    assert_eq!(outcome, Ok(()));
    // Somebody else commits between this writer's reading and its writing.
    let mut journal = host.journal();
    let expected = journal.sequence();
    let state = host.state().expect("a journal");
    host.set_state(&State { floor: 1, ..state });
    assert_eq!(journal.commit(&mut host.storage, &policy, expected, &state), Err(CommitError::Stale));
}

#[test]
fn a_medium_that_does_not_hold_what_was_written_arms_nothing() {
    for offset in [0, 1020, 4096, 4096 + 4_996] {
        let mut host = Nor::running(NOR, &image(1));
        let at = host.storage.address(B, offset);
        host.storage.flash.swallow_writes(at..at + 4);
        let outcome = host.install(&image(2));
        assert!(outcome.is_err(), "at {offset}");
        assert_eq!(phases(&mut host), (Phase::Confirmed, Phase::Empty));
        assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Confirmed)));
    }
}

#[test]
fn an_install_resumes_where_the_last_one_stopped_and_only_with_the_same_image() {
    let geometry = Geometry { slot_size: 768 * 1024, ..NOR };
    let (new, other) = (large_image(2, B), large_image(3, B));
    let mut host = Nor::running(geometry, &image(1));
    let first_chunks = |host: &mut Nor, image: &Image, count: u64| {
        host.write(|session| {
            let slot = session.inactive()?;
            let mut install = session.install(slot, image.header(), &image.table)?;
            let start = install.next_chunk();
            for _ in 0..count {
                let Some(index) = install.next_chunk() else { break };
                install.write_chunk(image.chunk(index))?;
            }
            Ok(start)
        })
    };
    assert_eq!(first_chunks(&mut host, &new, 1), Ok(Some(0)));
    let resumed = first_chunks(&mut host, &new, 0).expect("a resume");
    assert!(resumed.is_some_and(|chunk| chunk <= 1), "{resumed:?}");
    assert_eq!(first_chunks(&mut host, &new, 2), Ok(resumed));
    assert!(first_chunks(&mut host, &new, 0).expect("a resume").is_some_and(|chunk| chunk >= 1));
    assert_eq!(first_chunks(&mut host, &other, 0), Ok(Some(0)), "nothing of another image is kept");
    host.install(&new).expect("to its end");
    assert_eq!(first_chunks(&mut host, &new, 0), Ok(None), "all of it is there");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::A, Why::Confirmed)), "but it was begun anew: empty until it is finished");
    let before = host.storage.flash.counters().erases;
    host.install(&new).expect("nothing left to write");
    assert!(host.storage.flash.counters().erases - before <= 2, "the slot was not erased again");
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    host.assert_flash_rules();
}

#[test]
fn an_image_can_be_installed_from_the_golden_image_and_from_nothing() {
    let golden = image(5);
    let mut host = Nor::with(NOR, Settings { golden: Fallback::Untried, ..Settings::new(1) });
    host.storage.put(Region::Golden, &golden.slot);
    let boot = host.boot(ResetCause::PowerOn);
    assert_eq!(boot.handoff.booted, Booted::Golden);
    host.install(&image(2)).expect("golden runs");
    let boot = host.boot(ResetCause::Software);
    assert!(boot.slot().is_some_and(|(_, why)| why == Why::Trial), "{boot:?}");
    host.confirm().expect("the trial runs");
    host.assert_flash_rules();
}

#[test]
fn the_parts_are_on_the_medium_before_the_header_is_written() {
    let start = Host::<512, 65_536>::running(BLOCKS, &image(1));
    let new = image(2);
    let mut whole = start.clone();
    whole.install(&new).expect("an install");
    let operations = whole.storage.flash.counters().operations() - start.storage.flash.counters().operations();
    // Behind the parts come the header in two writes and the record that arms the trial in two logs.
    let mut host = start.clone();
    host.storage.flash.cut_at(operations - 4, Tear::Before, CacheLoss::All);
    assert_eq!(host.install(&new), Err(InstallError::Storage));
    host.storage.flash.power_on();
    assert!(host.storage.bytes(B)[..HEADER_SIZE].iter().all(|byte| *byte == 0xff), "the header is not there yet");
    assert!(host.storage.bytes(B)[HEADER_SIZE..new.slot.len()] == new.slot[HEADER_SIZE..], "nothing of the parts was left in a cache");
}
